"""The page of a comparison: the table, what it says, what the sets cost and look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attar.distilled.card import size_text
from attar.report.comparison import FULL, RANDOM, Cell, Comparison
from attar.report.finding import Finding, found, in_words, sentence_of
from attar.report.page import Pictures
from attar.report.plots import Plot, Point, Ticks, byte_ticks, count_ticks, plot, second_ticks, styles
from attar.report.render import duration, save, template, unfold
from attar.report.sets import SetOnDisk, matrix, real_rows, sets_in
from attar.report.tables import Heat, failures, grid, heat, lines
from attar.report.verdict import points

__all__ = ["of_comparison", "render_comparison"]


def of_comparison(folder: str | Path) -> Comparison:
    """Write report.html beside the comparison.json of a folder.

    Args:
        folder: what `attar compare` wrote; sets that are not there are left out of the pictures.

    Raises:
        AttarError: if there is no comparison, or the page cannot be written.
    """
    folder = Path(folder)
    comparison = Comparison.read(folder)
    sets = sets_in(folder / "sets", comparison.methods, comparison.budgets)
    save(render_comparison(comparison, sets, real_rows(sets)), folder / "report.html")
    return comparison


def render_comparison(comparison: Comparison, sets: Sequence[SetOnDisk] = (), real: Pictures | None = None) -> str:
    """The page as one HTML document. Every text in it is escaped: a method may be called anything.

    Args:
        comparison: what was measured.
        sets: to be shown, at most one of each method and budget.
        real: real rows beside them.
    """
    by_budget = found(comparison)
    first = by_budget[0] if by_budget else None
    groups = [(model, labels) for model in comparison.models for labels in comparison.labels]
    columns, every = lines(comparison)
    shown = sorted({one.per_class for one in sets}, reverse=True)
    drawn = [
        (budget, matrix([one for one in sets if one.per_class == budget], real, comparison.methods, len(shown)))
        for budget in shown
    ]
    return template("comparison.html").render(
        comparison=comparison,
        title=_title(comparison),
        sentence=sentence_of(comparison),
        others=[sentence_of(comparison, finding) for finding in by_budget[1:]],
        numbers=_numbers(comparison, first),
        chosen=first.chosen.method if first and first.chosen else "",
        grids=[table for table in (grid(comparison, *group) for group in groups) if table is not None],
        differences=any(cell.against_random for cell in comparison.cells),
        failures=failures(comparison),
        by_count=_charts(comparison, [_COUNT], comparison.models),
        by_cost=_charts(comparison, _COSTS, comparison.models[:1]),
        heats=_heats(comparison),
        matrices=[(budget, pictures) for budget, pictures in drawn if pictures is not None],
        in_words=in_words,
        has_real=real is not None,
        columns=columns,
        lines=every,
        protocol=list(unfold(_measured(comparison))),
        versions=list(unfold(comparison.versions)),
    )


def _title(comparison: Comparison) -> str:
    budgets = comparison.budgets
    methods = {cell.method for cell in comparison.cells if cell.method != FULL and not cell.labels_from}
    count = f"{len(methods)} way{'s' if len(methods) != 1 else ''} to choose"
    return f"{comparison.data}: {count} {_listed([f'{budget:,}' for budget in budgets])} images a class"


def _measured(comparison: Comparison) -> dict[str, Any]:
    """The protocol with the networks that were trained; its own number of runs gives way to that of seeds."""
    named = {**comparison.protocol, "models": comparison.models}
    return {key: value for key, value in named.items() if key != "runs" or "seeds" not in named}


def _listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _numbers(comparison: Comparison, finding: Finding | None) -> list[tuple[str, str, str]]:
    """The numbers at the top, of the method that was chosen; nothing where none was."""
    cell = finding.chosen if finding else None
    if finding is None or cell is None or cell.mean is None:
        return []
    known = [("full data", finding.full), ("random rows", finding.random)]
    beside = [f"{name} {points(other.mean)}" for name, other in known if other and other.mean is not None]
    numbers = [(points(cell.mean), "points of accuracy", ", ".join([cell.method, *beside]))]
    if cell.bytes is not None:
        full = finding.full.bytes if finding.full else None
        share = f"{100 * cell.bytes / full:.2g} % of {size_text(full)}" if full else ""
        numbers.append((size_text(cell.bytes), in_words(finding.per_class), share))
    if cell.seconds is not None:
        random = finding.random.seconds if finding.random else None
        numbers.append((duration(cell.seconds), "to make", "" if random is None else f"random rows {duration(random)}"))
    return numbers


def _series(
    comparison: Comparison, model: str, labels: str, place: Callable[[Cell], float | None]
) -> dict[str, list[Point]]:
    """The points of each method with one network and one kind of labels; `place` says where they lie across."""
    series: dict[str, list[Point]] = {}
    for cell in comparison.cells:
        x = place(cell)
        if cell.method != FULL and (cell.model, cell.labels) == (model, labels) and None not in (cell.mean, x):
            assert cell.mean is not None and x is not None
            note = in_words(cell.per_class) if cell.per_class not in (None, x) else ""
            series.setdefault(cell.method, []).append(Point(x, cell.mean, cell.std, note))
    return {method: series[method] for method in comparison.methods if method in series}


@dataclass(frozen=True)
class _Axis:
    """What a chart has across: in the title, below the axis, where a cell lies, and how values are told."""

    title: str
    across: str
    place: Callable[[Cell], float | None]
    ticks: Ticks
    unit: Callable[[float], str]


_COUNT = _Axis("", "images a class", lambda cell: cell.per_class, count_ticks, "{:,.6g}".format)
_COSTS = (
    _Axis(" against size", "size of the set", lambda cell: cell.bytes, byte_ticks, lambda x: size_text(round(x))),
    _Axis(" against time", "time to make the set", lambda cell: cell.seconds, second_ticks, duration),
)


def _charts(comparison: Comparison, axes: Sequence[_Axis], models: Sequence[str]) -> list[Plot]:
    """A chart of each axis for each network and each kind of labels, with full data's line."""
    labels_from = {cell.method: cell.labels_from for cell in comparison.cells if cell.labels_from}
    look = styles(comparison.methods, RANDOM, FULL, labels_from)
    charts = []
    for model in models:
        for labels in comparison.labels:
            full = comparison.full(model)
            for axis in axes:
                title = f"Accuracy{axis.title}, {model}, {labels} labels"
                series = _series(comparison, model, labels, axis.place)
                level = full.mean if full is not None else None
                charts.append(plot(title, axis.across, series, look, axis.ticks, level, axis.unit))
    return [chart for chart in charts if chart is not None]


def _heats(comparison: Comparison) -> list[tuple[int, list[Heat]]]:
    """Heat maps of each budget, the largest first, one for each kind of labels."""
    tables = [
        (budget, [found for labels in comparison.labels if (found := heat(comparison, budget, labels)) is not None])
        for budget in reversed(comparison.budgets)
    ]
    return [(budget, found) for budget, found in tables if found]
