"""The table of a comparison: for programs, for the terminal, for spreadsheets and for papers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from attar.checkpoint import write_json, write_whole
from attar.compare.counted import Counted
from attar.compare.rows import Row
from attar.compare.storage import at_equal_bytes, left_out, left_out_sentence
from attar.compare.study import WHOLE
from attar.distilled.dataset import inert
from attar.evaluation import Protocol, judges
from attar.evaluation.paired import Paired

__all__ = ["Comparison"]

_FLAT = {"scores": " ", "seeds": " "}
"""Columns of lists, and what stands between their items in a CSV file."""

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


@dataclass(frozen=True)
class Comparison:
    """What a comparison found so far.

    Args:
        data: name of the data.
        problem: what is known of the data, JSON values.
        protocol: how all networks were trained.
        rows: by network, full data first, then by budget random rows and the methods in the order in which they were named.
        seeds: draws of everything.
        networks: trained on each set.
        notes: sentences that a reader of the table should see.
        command: the command line.
        versions: of the software that measured the scores, several with commas between them.
        left: cells that are still to be done.
        methods: the settings and steps of each, as `attar.compare.described.described` has them.
    """

    data: str
    problem: Mapping[str, Any]
    protocol: Protocol
    rows: tuple[Row, ...]
    seeds: int
    networks: int
    notes: tuple[str, ...] = ()
    command: str = ""
    versions: Mapping[str, str] | None = None
    left: int = 0
    methods: Mapping[str, Sequence[Mapping[str, Any]]] | None = None

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows of which a cell failed."""
        return tuple(row for row in self.rows if row.failed is not None)

    @property
    def metric(self) -> str:
        """What the scores are: "accuracy", "R²" of a target of numbers, or "decisions alike" of a table's decisions on independence;
        "score" of several of these."""
        return judges.metric_of([row.model for row in self.rows], Counted.of(self.problem).metric)

    def to_json(self) -> dict[str, Any]:
        """``{"protocol": {...}, "rows": [...], "methods": {...}, ...}``, JSON values."""
        record = {
            "protocol": {**asdict(self.protocol), "runs": self.networks, "in words": self.protocol.describe()},
            "rows": [asdict(row) for row in self.rows],
            "methods": dict(self.methods or {}),
            "data": self.data,
            "problem": dict(self.problem),
            "seeds": self.seeds,
            "networks": self.networks,
            "notes": self.notes,
            "command": self.command,
            "versions": dict(self.versions or {}),
            "left": self.left,
            "complete": self.left == 0 and not self.failed,
        }
        return json.loads(json.dumps(record))

    def write(self, out: Path) -> None:
        """comparison.json, comparison.csv and comparison.tex, each whole or not at all."""
        write_json(out / "comparison.json", self.to_json())
        write_whole(out / "comparison.csv", self.csv().encode())
        write_whole(out / "comparison.tex", self.latex().encode())

    def table(self, equal_bytes: bool = False) -> str:
        """A table in plain text with the protocol, the notes and the failures below it.

        Args:
            equal_bytes: put those sets beside one another that take as much storage, in place of those of as many rows.
        """
        groups: Iterable[tuple[str, Sequence[Row]]]
        if equal_bytes:
            places = at_equal_bytes(self.rows)
            whole = {
                row.model: [one for one in self.rows if one.model == row.model and one.method in WHOLE]
                for row in self.rows
            }
            groups = [
                group
                for model in dict.fromkeys(row.model for row in self.rows)
                for group in (
                    ("all", whole[model]),
                    *((f"{place.bytes:,}", place.rows) for place in places if place.model == model),
                )
                if group[1]
            ]
        else:
            budgets = dict.fromkeys((row.model, row.per_class) for row in self.rows)
            groups = [("", [row for row in self.rows if (row.model, row.per_class) == budget]) for budget in budgets]
        counted = Counted.of(self.problem)
        named = {"accuracy %": f"{self.metric} %", "a class": counted.short}
        head = ("up to bytes", *(named.get(name, name) for name in _HEAD))
        lines: list[tuple[str, ...]] = [head]
        for limit, group in groups:
            lines += [("",) * len(head)] if len(lines) > 1 else []
            lines += [(limit, *_line(row)) for row in group]
        columns = [cells for cells in zip(*lines, strict=True) if set(cells[1:]) - {"-", ""}]
        padded = zip(*map(_aligned, columns), strict=True)
        text = ["  ".join(line).rstrip() for line in padded]
        learned = [judges.learns(row.model) for row in self.rows]
        on_test = (
            "" if not any(learned) else " on test data" if all(learned) else " (of models that learn, on test data)"
        )
        below = [
            f"{self.metric[0].upper()}{self.metric[1:]}{on_test} in per cent; {_counted(self.seeds, 'seed')}, "
            f"{_counted(self.networks, 'network')} a set. Differences are in points, paired by seed, with a 95 % interval.",
            *judges.protocol_lines(self.protocol, [row.model for row in self.rows]),
            *(self._left_out() if equal_bytes else ()),
            *(f"Note: {note}" for note in self.notes),
            *dict.fromkeys(f"Failed: {_place(row)}: {row.failed}" for row in self.failed),
        ]
        return "\n".join([*text, "", *below])

    def _left_out(self) -> list[str]:
        """Of the table at equal bytes a sentence on the sets that have no place in it."""
        sets = dict.fromkeys(
            f"{row.full_name}, {row.per_class} a class ({row.bytes or 0:,} bytes)" for row in left_out(self.rows)
        )
        return [left_out_sentence(sets)] if sets else []

    def csv(self) -> str:
        """The rows, a column a field; of differences the mean and the interval's ends."""
        text = io.StringIO()
        records = [_flat(row) for row in self.rows]
        names = list(records[0]) if records else [field.name for field in fields(Row)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return text.getvalue()

    def latex(self) -> str:
        r"""A tabular of methods by budgets, to be read by ``\input``; with the package booktabs its rules are better."""
        budgets = list(dict.fromkeys(row.per_class for row in self.rows if row.per_class is not None))
        models = list(dict.fromkeys(row.model for row in self.rows))
        lines = [
            f"% {' '.join(line.split())}"
            for line in (f"{self.data}, {self.metric} in per cent", *judges.protocol_lines(self.protocol, models))
        ]
        lines += [rf"\providecommand{{\{rule}rule}}{{\hline}}" for rule in ("top", "mid", "bottom")]
        lines += [rf"\begin{{tabular}}{{l{'r' * max(len(budgets), 1)}}}", r"\toprule"]
        lines.append(" & ".join([Counted.of(self.problem).many, *map(str, budgets)]) + r" \\")
        for model in models:
            lines.append(r"\midrule")
            if len(models) > 1:
                lines += [rf"\multicolumn{{{1 + len(budgets)}}}{{l}}{{\emph{{{_tex(model)}}}}} \\"]
            lines += self._latex_rows(model, budgets)
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])

    def _latex_rows(self, model: str, budgets: Sequence[int]) -> list[str]:
        """The lines of one network: random rows, the methods, full data."""
        here = [row for row in self.rows if row.model == model]
        lines = []
        for name in dict.fromkeys(row.full_name for row in here if row.method not in WHOLE):
            cells = {row.per_class: _tex_score(row) for row in here if row.full_name == name}
            lines.append(" & ".join([_tex(name), *(cells.get(budget, "--") for budget in budgets)]) + r" \\")
        for row in (row for row in here if row.method in WHOLE):
            lines.append(rf"{row.name} & \multicolumn{{{max(len(budgets), 1)}}}{{c}}{{{_tex_score(row)}}} \\")
        return lines


_HEAD = (
    "model",
    "a class",
    "method",
    "labels",
    "accuracy %",
    "against random",
    "against best coreset",
    "label-robust",
    "augment-robust",
    "worst group %",
    "amplification",
    "lost %",
    "invented %",
    "scores",
    "bytes",
    "seconds",
    "memory MB",
)


def _line(row: Row) -> tuple[str, ...]:
    return (
        row.model,
        "all" if row.per_class is None else f"{row.per_class:,}",
        row.name,
        row.labels if row.labels and judges.learns(row.model) else "-",
        _score(row),
        "-" if row.against_random is None else str(row.against_random),
        "-" if row.against_best_coreset is None else str(row.against_best_coreset),
        "-" if row.label_robust is None else f"{row.label_robust:.3f}",
        "-" if row.augmentation_robust is None else f"{row.augmentation_robust:.3f}",
        "-" if row.worst_group is None else _percent(row.worst_group, row.worst_group_std),
        "-" if row.amplification is None else f"{row.amplification:.2f}",
        "-" if row.lost is None else _percent(row.lost, None),
        "-" if row.invented is None else _percent(row.invented, None),
        str(row.runs),
        "-" if row.bytes is None else f"{row.bytes:,}",
        "-" if row.seconds is None else f"{row.seconds:,.1f}",
        "-" if row.memory is None else f"{row.memory / 1e6:,.0f}",
    )


def _aligned(cells: Sequence[str]) -> list[str]:
    """Cells of one width: words to the left, the rest to the right."""
    width = max(map(len, cells))
    left = cells[0] in ("model", "method", "labels")
    return [cell.ljust(width) if left else cell.rjust(width) for cell in cells]


def _score(row: Row, plus_minus: str = "±") -> str:
    """Mean and spread in per cent; a failure stands beside what the other seeds gave."""
    found = "" if row.mean is None else _percent(row.mean, row.std, plus_minus)
    return found if row.failed is None else f"{found} (failed)" if found else "failed"


def _percent(mean: float, std: float | None, plus_minus: str = "±") -> str:
    return f"{100 * mean:.1f}" + ("" if std is None else f" {plus_minus} {100 * std:.1f}")


def _tex_score(row: Row) -> str:
    return _score(row, r"$\pm$")


def _tex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_ESCAPED.get(letter, letter) for letter in text)


def _flat(row: Row) -> dict[str, Any]:
    """A row's fields as cells of a spreadsheet."""
    cells: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if field.name == "labels" and not judges.learns(row.model):
            cells[field.name] = None
        elif field.name in _FLAT:
            cells[field.name] = _FLAT[field.name].join(map(str, value))
        elif field.name.startswith("against_"):
            for part in ("mean", "low", "high"):
                name = field.name if part == "mean" else f"{field.name}_{part}"
                cells[name] = getattr(value, part) if isinstance(value, Paired) else None
        else:
            cells[field.name] = inert(value)
    return cells


def _place(row: Row) -> str:
    """Where a failure happened, whichever network was to be trained."""
    return row.name if row.per_class is None else f"{row.name}, {row.per_class} a class"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
