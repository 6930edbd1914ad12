"""What a page of a comparison is made from: `comparison.json`, read so that an older, newer or partial one still shows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attar.compare.counted import Counted
from attar.compare.study import BOOTSTRAP, FULL, RANDOM, WHOLE
from attar.errors import AttarError
from attar.evaluation import judges

__all__ = ["Difference", "Line", "Table", "number"]

_COUNTED = {"seeds": "seeds", "networks": "networks a set"}


@dataclass(frozen=True)
class Difference:
    """A paired difference between two sets' scores, in [-1, 1], with the ends of its interval where there is one."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def above(self) -> bool | None:
        """Whether all of the interval is above zero; None without an interval."""
        return None if self.low is None else self.low > 0


@dataclass(frozen=True)
class Line:
    """One line of comparison.json as a page reads it. Accuracies are in [0, 1]; what was not measured is None.

    Args:
        method: "full", "bootstrap" (as many rows drawn of these with replacement), "random" or a method's name;
            "random, labels of dm" where random rows take those of dm.
        per_class: rows of each class; None for full data.
        model: the network that was trained.
        labels: kind of labels that it was trained on.
        mean: mean over runs; None where all of them failed.
        std: spread over runs; None for one run.
        runs: networks trained.
        rows: rows trained on.
        bytes: what the set takes.
        seconds: what making it took, networks that it trained included.
        memory: bytes that making it took beyond the rows.
        against_random: paired difference to random rows with the same labels.
        against_coreset: paired difference to the best coreset.
        best_coreset: its name.
        validation: mean accuracy on rows cut from the training data.
        label_robust: score of DD-Ranking.
        augmentation_robust: score of DD-Ranking.
        failed: why there is no score, or a score of fewer runs.
        labels_from: of random rows, the method whose labels they take.
        worst_group: mean accuracy of the worst group of test rows, where these have an attribute.
        worst_group_std: spread of that over runs.
        amplification: differences between groups over those of full data.
        lost: of the judge "decisions", whose scores are shares of decisions alike, the share of dependences that are not found.
        invented: likewise of independences that are rejected.
    """

    method: str
    per_class: int | None
    model: str
    labels: str
    mean: float | None
    std: float | None = None
    runs: int = 1
    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    memory: int | None = None
    against_random: Difference | None = None
    against_coreset: Difference | None = None
    best_coreset: str = ""
    validation: float | None = None
    label_robust: float | None = None
    augmentation_robust: float | None = None
    failed: str = ""
    labels_from: str = ""
    worst_group: float | None = None
    worst_group_std: float | None = None
    amplification: float | None = None
    lost: float | None = None
    invented: float | None = None

    @property
    def is_random(self) -> bool:
        """Whether it is of random rows, whosever labels they have."""
        return self.method == RANDOM or bool(self.labels_from)


@dataclass(frozen=True)
class Table:
    """comparison.json as a page reads it: lines, all under one protocol.

    Args:
        data: name of the data.
        lines: in the order of the table.
        protocol: how networks were trained.
        command: the exact command.
        notes: sentences that a reader should see.
        versions: of the software.
        fingerprint: of the data.
        left: whether cells are still to be done.
        counted: what sets hold, and what scores are, in words.
        settings: of the methods by name, an entry for all budgets at which they are alike; see `attar.compare.described`.
    """

    data: str
    lines: Sequence[Line]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    notes: Sequence[str] = ()
    versions: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    left: bool = False
    counted: Counted = field(default_factory=Counted)
    settings: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str | Path) -> Table:
        """The table in a folder that `attar compare` wrote.

        Raises:
            AttarError: if comparison.json is missing or is not a comparison.
        """
        path = Path(folder) / "comparison.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise AttarError(
                f"{path} cannot be read ({error.strerror}): give the folder that 'attar compare' wrote."
            ) from error
        except ValueError as error:
            raise AttarError(f"{path} is not JSON ({error}): run the same 'attar compare' again.") from error
        if not isinstance(record, Mapping) or not isinstance(record.get("rows"), list):
            raise AttarError(f"{path} has no list of rows: run the same 'attar compare' again.")
        return cls.from_json(record)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Table:
        """A table from JSON values; missing fields take defaults, and rows without a method are left out."""
        rows = [row for row in record.get("rows") or () if isinstance(row, Mapping) and row.get("method")]
        notes = record.get("notes") or ()
        counted = {name: record[key] for key, name in _COUNTED.items() if key in record}
        lines = tuple(_line(row) for row in rows)
        partial = record.get("complete") is False and not any(line.failed for line in lines)
        left, problem = number(record.get("left")), _mapping(record.get("problem"))
        return cls(
            data=_text(record.get("data")) or "the data",
            lines=lines,
            protocol={**_mapping(record.get("protocol")), **counted},
            command=_text(record.get("command")),
            notes=(notes,) if isinstance(notes, str) else tuple(map(str, notes)),
            versions=_mapping(record.get("versions")),
            fingerprint=_text(problem.get("fingerprint")),
            counted=Counted.of(problem),
            left=partial if left is None else left > 0,
            settings=_entries(record.get("methods")),
        )

    @property
    def methods(self) -> list[str]:
        """All but full data, random rows first."""
        drawn = [line.method for line in self.lines if line.is_random]
        return list(dict.fromkeys([*drawn, *(line.method for line in self.lines if line.method not in WHOLE)]))

    @property
    def budgets(self) -> list[int]:
        """Rows of each class, from few to many."""
        return sorted({c.per_class for c in self.lines if c.per_class is not None and c.method not in WHOLE})

    @property
    def models(self) -> list[str]:
        """Networks and kinds of ridge regression."""
        return list(dict.fromkeys(line.model for line in self.lines))

    @property
    def leading(self) -> str:
        """The one of `models` that the finding speaks of: the first network, if there is any."""
        return judges.leading(self.models)

    @property
    def labels(self) -> list[str]:
        """Kinds of labels, hard ones first."""
        kinds = dict.fromkeys(line.labels for line in self.lines if line.method not in WHOLE)
        return sorted(kinds, key=lambda kind: kind != "hard")

    def find(self, method: str, per_class: int | None, model: str, labels: str | None = None) -> Line | None:
        """The line of a method at a budget; full data has one for each network, whatever its labels."""
        for line in self.lines:
            same = (line.method, line.per_class, line.model) == (method, per_class, model)
            if same and (labels is None or line.labels == labels):
                return line
        return None

    def random_beside(self, line: Line) -> Line | None:
        """Random rows with the labels of a line: hard ones, its own, or else those of its kind."""
        alike = [
            other
            for other in self.at(line.per_class, line.model)
            if other.is_random and other.labels == line.labels and other.labels_from in ("", line.method)
        ]
        return max(alike, key=lambda other: other.labels_from == line.method, default=None)

    def full(self, model: str) -> Line | None:
        """Full data's line, where it has a score."""
        return self._whole(FULL, model)

    def drawn_again(self, model: str) -> Line | None:
        """The line of as many rows drawn of the full data with replacement, where there is one: the noise floor."""
        return self._whole(BOOTSTRAP, model)

    def _whole(self, name: str, model: str) -> Line | None:
        return next((c for c in self.lines if c.method == name and c.model == model and c.mean is not None), None)

    def at(self, per_class: int | None, model: str) -> list[Line]:
        """The lines of a budget and a network, of all methods and labels."""
        return [line for line in self.lines if line.per_class == per_class and line.model == model]


def _line(row: Mapping[str, Any]) -> Line:
    mean = number(row.get("mean"))
    scores = row.get("scores")
    runs = number(row.get("runs")) or (len(scores) if isinstance(scores, list) else 1)
    per_class, size, memory = (number(row.get(name)) for name in ("per_class", "bytes", "memory"))
    rows, labels_from = number(row.get("rows")), _text(row.get("labels_from"))
    return Line(
        method=f"{row['method']}, labels of {labels_from}" if labels_from else str(row["method"]),
        per_class=None if per_class is None else int(per_class),
        model=_text(row.get("model")) or "network",
        labels=_text(row.get("labels")) or "hard",
        mean=mean,
        std=number(row.get("std")),
        runs=int(runs),
        rows=None if rows is None else int(rows),
        bytes=None if size is None else int(size),
        seconds=number(row.get("seconds")),
        memory=None if memory is None else int(memory),
        against_random=_difference(row.get("against_random")),
        against_coreset=_difference(row.get("against_best_coreset")),
        best_coreset=_text(row.get("best_coreset")),
        validation=number(row.get("validation")),
        label_robust=number(row.get("label_robust")),
        augmentation_robust=number(row.get("augmentation_robust")),
        failed=_text(row.get("failed")) or ("" if mean is not None else "no score was recorded"),
        labels_from=labels_from,
        worst_group=number(row.get("worst_group")),
        worst_group_std=number(row.get("worst_group_std")),
        amplification=number(row.get("amplification")),
        lost=number(row.get("lost")),
        invented=number(row.get("invented")),
    )


def _difference(value: Any) -> Difference | None:
    if not isinstance(value, Mapping) or (mean := number(value.get("mean"))) is None:
        return None
    low, high = number(value.get("low")), number(value.get("high"))
    return Difference(mean, low, high) if low is not None and high is not None else Difference(mean)


def number(value: Any) -> float | None:
    """A finite number, else None."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return value if real and math.isfinite(value) else None


def _entries(value: Any) -> dict[str, list[Mapping[str, Any]]]:
    """Of each method the entries that can be read."""
    found = {
        str(name): [
            entry
            for entry in (entries if isinstance(entries, list) else ())
            if isinstance(entry, Mapping)
            and isinstance(entry.get("method"), Mapping)
            and isinstance(entry.get("per_class"), list)
        ]
        for name, entries in _mapping(value).items()
    }
    return {name: entries for name, entries in found.items() if entries}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
