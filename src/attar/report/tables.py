"""The tables of a comparison: methods by budgets, methods by networks, and every line with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from attar.distilled.card import size_text
from attar.report.comparison import FULL, Cell, Comparison, Difference
from attar.report.render import duration
from attar.report.verdict import points

__all__ = ["Grid", "Heat", "Shown", "failures", "grid", "heat", "lines", "value_text"]

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


def failures(comparison: Comparison) -> dict[str, int]:
    """The sentences of cells that failed, numbered from 1 in the order of the table."""
    return {text: place for place, text in enumerate(_distinct(c.failed for c in comparison.cells if c.failed), 1)}


def grid(comparison: Comparison, model: str, labels: str) -> Grid | None:
    """Methods by budgets; None where no method has a line there."""
    numbers = failures(comparison)
    rows = []
    for method in comparison.methods:
        found = [comparison.find(method, budget, model, labels) for budget in comparison.budgets]
        if any(found):
            rows.append((method, tuple(_shown(cell, numbers) for cell in found)))
    full = comparison.full(model)
    return Grid(model, labels, tuple(rows), value_text(full) if full else "") if rows else None


def heat(comparison: Comparison, per_class: int, labels: str) -> Heat | None:
    """Methods by networks, warmer where the score is higher; None below two networks."""
    if len(comparison.models) < 2:
        return None
    numbers = failures(comparison)
    names = [method for method in comparison.methods if any(_cells(comparison, method, per_class, labels))]
    found = {name: _cells(comparison, name, per_class, labels) for name in names}
    if not found:
        return None
    found["full data"] = [comparison.full(model) for model in comparison.models]
    means = [cell.mean for cells in found.values() for cell in cells if cell is not None and cell.mean is not None]
    low, span = min(means, default=0.0), (max(means, default=0.0) - min(means, default=0.0)) or 1.0
    rows = tuple(
        (
            name,
            tuple(
                _shown(
                    cell, numbers, round(HOTTEST * (cell.mean - low) / span) if cell and cell.mean is not None else 0
                )
                for cell in cells
            ),
        )
        for name, cells in found.items()
        if any(cells)
    )
    return Heat(per_class, labels, rows)


def lines(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Every line with every measure that some line has: names of the columns, and cells in words."""
    columns = {
        "trained on": lambda cell: "full data" if cell.method == FULL else cell.method,
        "images a class": lambda cell: "" if cell.per_class is None else f"{cell.per_class:,}",
        "model": lambda cell: cell.model,
        "labels": lambda cell: cell.labels,
        "test": lambda cell: value_text(cell) or "failed",
        "validation": lambda cell: _points(cell.validation),
        "runs": lambda cell: f"{cell.runs}" if cell.mean is not None else "",
        "rows": lambda cell: "" if cell.rows is None else f"{cell.rows:,}",
        "against random": lambda cell: difference_text(cell.against_random),
        "against the best coreset": lambda cell: f"{difference_text(cell.against_coreset)} {cell.best_coreset}".strip(),
        "label-robust": lambda cell: _fraction(cell.label_robust),
        "augmentation-robust": lambda cell: _fraction(cell.augmentation_robust),
        "size": lambda cell: "" if cell.bytes is None else size_text(cell.bytes),
        "time to make": lambda cell: "" if cell.seconds is None or cell.method == FULL else duration(cell.seconds),
        "memory to make": lambda cell: "" if cell.memory is None else size_text(cell.memory),
    }
    order = {name: place for place, name in enumerate([*comparison.methods, FULL])}
    cells = sorted(
        comparison.cells,
        key=lambda c: (comparison.models.index(c.model), c.per_class or 0, c.labels, order[c.method]),
    )
    table = {name: [text(cell) for cell in cells] for name, text in columns.items()}
    kept = {name: texts for name, texts in table.items() if any(texts)}
    return list(kept), [list(row) for row in zip(*kept.values(), strict=True)]


def value_text(cell: Cell) -> str:
    """ "97.2 ± 0.1"; without a spread for one run, empty without a score."""
    if cell.mean is None:
        return ""
    return points(cell.mean) if cell.std is None else f"{points(cell.mean)} ± {points(cell.std)}"


def difference_text(found: Difference | None) -> str:
    """ "+2.4 [1.9, 2.9]"."""
    if found is None:
        return ""
    ends = (
        f" [{100 * found.low:.1f}, {100 * found.high:.1f}]" if found.low is not None and found.high is not None else ""
    )
    return f"{100 * found.mean:+.1f}{ends}".replace("-", "\N{MINUS SIGN}")


def _cells(comparison: Comparison, method: str, per_class: int, labels: str) -> list[Cell | None]:
    return [comparison.find(method, per_class, model, labels) for model in comparison.models]


def _shown(cell: Cell | None, numbers: dict[str, int], warmth: int = 0) -> Shown:
    if cell is None:
        return Shown()
    if cell.mean is None:
        return Shown(failure=numbers.get(cell.failed, 0))
    beside = "" if cell.is_random else difference_text(cell.against_random)
    gains = cell.against_random is not None and cell.against_random.above is True
    return Shown(value_text(cell), beside, gains, numbers.get(cell.failed, 0), warmth)


def _points(share: float | None) -> str:
    return "" if share is None else points(share)


def _fraction(score: float | None) -> str:
    """DD-Ranking's scores are no accuracies, and stay in [0, 1]."""
    return "" if score is None else f"{score:.3f}"


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
