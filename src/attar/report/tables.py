"""The tables of a comparison: methods by budgets, methods by networks, and every line with all that is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from attar.compare.rows import Row, with_labels
from attar.compare.storage import at_equal_bytes, left_out
from attar.compare.study import WHOLE, WHOLE_NAMES
from attar.distilled.card import size_text
from attar.evaluation import judges
from attar.report.comparison import Difference, Line, Table
from attar.report.words import FULL_DATA, duration, points, spread_text, told

__all__ = [
    "Grid",
    "Heat",
    "Shown",
    "by_storage",
    "every_line",
    "failures",
    "full_name",
    "grid",
    "heat",
    "too_large",
    "value_text",
]

_FRACTION = "{:.3f}".format  # DD-Ranking's scores are no accuracies, and stay in [0, 1]
HOTTEST = 45  # percent of the accent in the warmest cell; text stays readable on it


@dataclass(frozen=True)
class Shown:
    """A cell in words.

    Args:
        value: "97.2 ± 0.1", or "" where there is nothing.
        beside: "+2.4 [1.9, 2.9]", the paired difference to random rows; by storage "10 a class, 30.7 KiB".
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
    """Methods by budgets for one network and one kind of labels, or by storage; `full` is the network's line of full data, with that
    of rows drawn again of it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]
    full: str


@dataclass(frozen=True)
class Heat:
    """Methods by networks at one budget with one kind of labels."""

    per_class: int
    labels: str
    models: tuple[str, ...]
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
    columns = tuple(f"{budget:,} {table.counted.short}" for budget in table.budgets)
    title = f"{model}, {labels} labels" if judges.learns(model) else f"{model} alike"
    return Grid(title, columns, tuple(rows), _full_text(table, model)) if rows else None


def by_storage(table: Table, model: str) -> Grid | None:
    """Methods with their kinds of labels by storage; None where no random rows are known, whose bytes are the columns.

    A column has of each the largest set that fits (see `attar.compare.storage`).
    """
    lines = _rows(line for line in table.lines if line.model == model)
    places = at_equal_bytes(list(lines))
    if not places:
        return None
    numbers = failures(table)
    found = [{full_name(lines[row]): lines[row] for row in place.rows} for place in places]
    names = dict.fromkeys(
        full_name(line) for method in table.methods for line in lines.values() if line.method == method
    )
    rows = tuple(
        (name, tuple(_sized(here.get(name), numbers) for here in found))
        for name in names
        if any(name in here for here in found)
    )
    columns = tuple(f"up to {size_text(place.bytes)}" for place in places)
    return Grid(f"{model}, by storage", columns, rows, _full_text(table, model))


def too_large(table: Table) -> list[str]:
    """The sets that have no place by storage, for they take more than random rows of every budget."""
    lines = _rows(table.lines)
    told = (
        f"{full_name(lines[row])}, {lines[row].per_class:,} a class ({size_text(row.bytes or 0)})"
        for row in left_out(list(lines))
    )
    return list(dict.fromkeys(told))


def heat(table: Table, per_class: int, labels: str) -> Heat | None:
    """Methods by networks, warmer where the score is higher; None below two networks."""
    models = [model for model in table.models if judges.learns(model)]  # of which scores are alike
    if len(models) < 2:
        return None
    numbers = failures(table)
    names = [method for method in table.methods if any(_across(table, models, method, per_class, labels))]
    found = {name: _across(table, models, name, per_class, labels) for name in names}
    if not found:
        return None
    found[FULL_DATA] = [table.full(model) for model in models]
    means = [line.mean for lines in found.values() for line in lines if line is not None and line.mean is not None]
    low, span = min(means, default=0.0), (max(means, default=0.0) - min(means, default=0.0)) or 1.0

    def warmth(line: Line | None) -> int:
        return round(HOTTEST * (line.mean - low) / span) if line is not None and line.mean is not None else 0

    rows = tuple(
        (name, tuple(_shown(line, numbers, warmth(line)) for line in lines))
        for name, lines in found.items()
        if any(lines)
    )
    return Heat(per_class, labels, tuple(models), rows)


def every_line(table: Table) -> tuple[list[str], list[list[str]]]:
    """Every line with every measure that some line has: names of the columns, and cells in words."""
    columns: dict[str, Callable[[Line], str]] = {
        "trained on": lambda line: WHOLE_NAMES.get(line.method, line.method),
        table.counted.many: lambda line: told(line.per_class, "{:,}".format),
        "model": lambda line: line.model,
        "labels": lambda line: line.labels if judges.learns(line.model) else "",
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
        "worst group": lambda line: told(line.worst_group, lambda mean: spread_text(mean, line.worst_group_std)),
        "bias amplified": lambda line: told(line.amplification, "{:.2f} times".format),
        "lost": lambda line: told(line.lost, points),
        "invented": lambda line: told(line.invented, points),
        "size": lambda line: told(line.bytes, size_text),
        "time to make": lambda line: "" if line.method in WHOLE else told(line.seconds, duration),
        "memory to make": lambda line: told(line.memory, size_text),
    }
    order = {name: place for place, name in enumerate([*table.methods, *WHOLE])}
    ordered = sorted(
        table.lines,
        key=lambda line: (table.models.index(line.model), line.per_class or 0, line.labels, order[line.method]),
    )
    found = {name: [text(line) for line in ordered] for name, text in columns.items()}
    kept = {name: texts for name, texts in found.items() if any(texts)}
    return list(kept), [list(row) for row in zip(*kept.values(), strict=True)]


def full_name(line: Line) -> str:
    """The method in words, with its kind of labels."""
    return with_labels(line.method, line.labels, line.labels_from)


def value_text(line: Line) -> str:
    """ "97.2 ± 0.1"; without a spread for one run, empty without a score."""
    return "" if line.mean is None else spread_text(line.mean, line.std)


def difference_text(found: Difference) -> str:
    """ "+2.4 [1.9, 2.9]"."""
    ends = (
        f" [{100 * found.low:.1f}, {100 * found.high:.1f}]" if found.low is not None and found.high is not None else ""
    )
    return f"{100 * found.mean:+.1f}{ends}".replace("-", "\N{MINUS SIGN}")


def _full_text(table: Table, model: str) -> str:
    full, drawn = table.full(model), table.drawn_again(model)
    again = f", drawn again {value_text(drawn)}" if drawn else ""
    return f"{value_text(full)}{again}" if full else ""


def _rows(lines: Iterable[Line]) -> dict[Row, Line]:
    """Lines by what the table at equal bytes is made from."""
    return {
        Row(line.method, line.per_class, line.model, line.labels, line.labels_from or None, bytes=line.bytes): line
        for line in lines
    }


def _across(table: Table, models: Sequence[str], method: str, per_class: int, labels: str) -> list[Line | None]:
    return [table.find(method, per_class, model, labels) for model in models]


def _sized(line: Line | None, numbers: dict[str, int]) -> Shown:
    """A cell by storage: below the score stands which set it is of."""
    if line is None or line.per_class is None or line.bytes is None:
        return Shown()
    return replace(_shown(line, numbers), beside=f"{line.per_class:,} a class, {size_text(line.bytes)}", gains=False)


def _shown(line: Line | None, numbers: dict[str, int], warmth: int = 0) -> Shown:
    if line is None:
        return Shown()
    if line.mean is None:
        return Shown(failure=numbers.get(line.failed, 0))
    beside = "" if line.is_random else told(line.against_random, difference_text)
    if line.lost is not None or line.invented is not None:
        shares = {"lost": line.lost, "invented": line.invented}
        beside = ", ".join(f"{name} {points(share)}" for name, share in shares.items() if share is not None)
    gains = line.against_random is not None and line.against_random.above is True
    return Shown(value_text(line), beside, gains, numbers.get(line.failed, 0), warmth)
