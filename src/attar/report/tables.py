"""The tables of a comparison: methods by budgets, methods by networks, and every line with all that is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attar.compare.study import FULL
from attar.distilled.card import size_text
from attar.report.comparison import Difference, Line, Table
from attar.report.words import FULL_DATA, duration, points, spread_text, told

__all__ = ["Grid", "Heat", "Shown", "every_line", "failures", "grid", "heat", "value_text"]

_FRACTION = "{:.3f}".format  # DD-Ranking's scores are no accuracies, and stay in [0, 1]
HOTTEST = 45  # percent of the accent in the warmest cell; text stays readable on it


@dataclass(frozen=True)
class Shown:
    """A cell in words.

    Args:
        value: "97.2 ± 0.1", or "" where there is nothing.
        beside: "+2.4 [1.9, 2.9]", the paired difference to random rows.
        gains: whether all of that interval is above zero.
        failure: number of the sentence that says why it failed, or has fewer runs; 0 where it did not.
        warmth: percent of the accent colour, for a heat map.
    """

    value: str = ""
    beside: str = ""
    gains: bool = False
    failure: int = 0
    warmth: int = 0


@dataclass(frozen=True)
class Grid:
    """Methods by budgets for one network and one kind of labels; `full` is its line of full data."""

    model: str
    labels: str
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]
    full: str


@dataclass(frozen=True)
class Heat:
    """Methods by networks at one budget with one kind of labels."""

    per_class: int
    labels: str
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]


def failures(table: Table) -> dict[str, int]:
    """The sentences of cells that failed, numbered from 1 in the order of the table."""
    told_once = dict.fromkeys(line.failed for line in table.lines if line.failed)
    return {text: place for place, text in enumerate(told_once, 1)}


def grid(table: Table, model: str, labels: str) -> Grid | None:
    """Methods by budgets; None where no method has a line there."""
    numbers = failures(table)
    rows = []
    for method in table.methods:
        found = [table.find(method, budget, model, labels) for budget in table.budgets]
        if any(found):
            rows.append((method, tuple(_shown(line, numbers) for line in found)))
    full = table.full(model)
    return Grid(model, labels, tuple(rows), value_text(full) if full else "") if rows else None


def heat(table: Table, per_class: int, labels: str) -> Heat | None:
    """Methods by networks, warmer where the score is higher; None below two networks."""
    if len(table.models) < 2:
        return None
    numbers = failures(table)
    names = [method for method in table.methods if any(_across(table, method, per_class, labels))]
    found = {name: _across(table, name, per_class, labels) for name in names}
    if not found:
        return None
    found[FULL_DATA] = [table.full(model) for model in table.models]
    means = [line.mean for lines in found.values() for line in lines if line is not None and line.mean is not None]
    low, span = min(means, default=0.0), (max(means, default=0.0) - min(means, default=0.0)) or 1.0

    def warmth(line: Line | None) -> int:
        return round(HOTTEST * (line.mean - low) / span) if line is not None and line.mean is not None else 0

    rows = tuple(
        (name, tuple(_shown(line, numbers, warmth(line)) for line in lines))
        for name, lines in found.items()
        if any(lines)
    )
    return Heat(per_class, labels, rows)


def every_line(table: Table) -> tuple[list[str], list[list[str]]]:
    """Every line with every measure that some line has: names of the columns, and cells in words."""
    columns: dict[str, Callable[[Line], str]] = {
        "trained on": lambda line: FULL_DATA if line.method == FULL else line.method,
        "images a class": lambda line: told(line.per_class, "{:,}".format),
        "model": lambda line: line.model,
        "labels": lambda line: line.labels,
        "test": lambda line: value_text(line) or "failed",
        "validation": lambda line: told(line.validation, points),
        "runs": lambda line: f"{line.runs}" if line.mean is not None else "",
        "rows": lambda line: told(line.rows, "{:,}".format),
        "against random": lambda line: told(line.against_random, difference_text),
        "against the best coreset": lambda line: (
            f"{told(line.against_coreset, difference_text)} {line.best_coreset}".strip()
        ),
        "label-robust": lambda line: told(line.label_robust, _FRACTION),
        "augmentation-robust": lambda line: told(line.augmentation_robust, _FRACTION),
        "size": lambda line: told(line.bytes, size_text),
        "time to make": lambda line: "" if line.method == FULL else told(line.seconds, duration),
        "memory to make": lambda line: told(line.memory, size_text),
    }
    order = {name: place for place, name in enumerate([*table.methods, FULL])}
    ordered = sorted(
        table.lines,
        key=lambda line: (table.models.index(line.model), line.per_class or 0, line.labels, order[line.method]),
    )
    found = {name: [text(line) for line in ordered] for name, text in columns.items()}
    kept = {name: texts for name, texts in found.items() if any(texts)}
    return list(kept), [list(row) for row in zip(*kept.values(), strict=True)]


def value_text(line: Line) -> str:
    """ "97.2 ± 0.1"; without a spread for one run, empty without a score."""
    return "" if line.mean is None else spread_text(line.mean, line.std)


def difference_text(found: Difference) -> str:
    """ "+2.4 [1.9, 2.9]"."""
    ends = (
        f" [{100 * found.low:.1f}, {100 * found.high:.1f}]" if found.low is not None and found.high is not None else ""
    )
    return f"{100 * found.mean:+.1f}{ends}".replace("-", "\N{MINUS SIGN}")


def _across(table: Table, method: str, per_class: int, labels: str) -> list[Line | None]:
    return [table.find(method, per_class, model, labels) for model in table.models]


def _shown(line: Line | None, numbers: dict[str, int], warmth: int = 0) -> Shown:
    if line is None:
        return Shown()
    if line.mean is None:
        return Shown(failure=numbers.get(line.failed, 0))
    beside = "" if line.is_random else told(line.against_random, difference_text)
    gains = line.against_random is not None and line.against_random.above is True
    return Shown(value_text(line), beside, gains, numbers.get(line.failed, 0), warmth)
