"""The page of a comparison: the table, what it says, what the sets cost and look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attar.compare.storage import left_out_sentence
from attar.compare.study import FULL, RANDOM, WHOLE
from attar.distilled.card import size_text
from attar.evaluation import judges
from attar.report.comparison import Line, Table
from attar.report.finding import Finding, found, sentence_of
from attar.report.page import Pictures
from attar.report.plots import Plot, Point, Ticks, byte_ticks, count_ticks, plot, second_ticks, styles
from attar.report.render import save, template, unfold
from attar.report.sets import SetOnDisk, matrix, real_rows, sets_in
from attar.report.settings import settings_of
from attar.report.tables import Grid, Heat, by_storage, every_line, failures, full_name, grid, heat, too_large
from attar.report.trade import trade_offs
from attar.report.words import FULL_DATA, Judges, duration, listed, points, told

__all__ = ["of_comparison", "render_comparison"]


def of_comparison(folder: str | Path, equal_bytes: bool = False) -> Table:
    """Write report.html beside the comparison.json of a folder.

    Args:
        folder: what `attar compare` wrote; sets that are not there are left out of the pictures.
        equal_bytes: draw the tables by storage in place of images a class.

    Raises:
        AttarError: if there is no comparison, or the page cannot be written.
    """
    folder = Path(folder)
    table = Table.read(folder)
    sets = sets_in(folder / "sets", table.methods, table.budgets)
    page = render_comparison(table, sets, real_rows(sets), equal_bytes, trade_offs(folder, table))
    save(page, folder / "report.html")
    return table


def render_comparison(
    table: Table,
    sets: Sequence[SetOnDisk] = (),
    real: Pictures | None = None,
    equal_bytes: bool = False,
    traded: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as one HTML document. Every text in it is escaped: a method may be called anything.

    Args:
        table: what was measured.
        sets: to be shown, at most one of each method and budget.
        real: real rows beside them.
        equal_bytes: draw the tables by storage in place of images a class.
        traded: of tables, by method and budget the curve of prediction against kept decisions, as HTML (see `attar.report.trade`).
    """
    by_budget = found(table)
    first = by_budget[0] if by_budget else None
    chosen = first.chosen if first else None
    sets_too_large = too_large(table) if equal_bytes else []
    named = full_name if equal_bytes else (lambda line: line.method)
    columns, every = every_line(table)
    shown = sorted({one.per_class for one in sets}, reverse=True)
    drawn = [
        (budget, matrix([one for one in sets if one.per_class == budget], real, table.methods, len(shown)))
        for budget in shown
    ]
    return template("comparison.html").render(
        table=table,
        title=_title(table),
        sentence=sentence_of(table),
        others=[sentence_of(table, finding) for finding in by_budget[1:]],
        numbers=_numbers(table, first),
        judges=Judges(table.models),
        chosen=named(chosen) if chosen else "",
        in_colour=_marked(table, first, named),
        legend=_legend(table),
        grids=_grids(table, equal_bytes),
        equal_bytes=equal_bytes,
        too_large=left_out_sentence(sets_too_large) if sets_too_large else "",
        differences=any(line.against_random for line in table.lines),
        failures=failures(table),
        decisions=any(not judges.learns(model) for model in table.models),
        by_count=_charts(table, [_count(table)], table.models),
        by_cost=_charts(table, _COSTS, [table.leading] if table.models else []),
        heats=_heats(table),
        matrices=[(budget, pictures) for budget, pictures in drawn if pictures is not None],
        in_words=table.counted.told,
        traded=traded,
        has_real=real is not None,
        columns=columns,
        lines=every,
        protocol=list(unfold(_measured(table))),
        versions=list(unfold(table.versions)),
        settings=settings_of(table),
    )


def _grids(table: Table, equal_bytes: bool) -> list[Grid]:
    """The tables: of each network and kind of labels by budget, or of each network by storage."""
    if equal_bytes:
        grids = [by_storage(table, model) for model in table.models]
    else:
        grids = [grid(table, model, labels) for model in table.models for labels in table.labels]
    return [found for found in grids if found is not None]


def _marked(table: Table, finding: Finding | None, named: Callable[[Line], str]) -> str:
    """Which row of the tables is marked, and why that one."""
    if finding is None or finding.chosen is None:
        return ""
    line = finding.chosen
    kept = table.counted.told(finding.per_class)
    best = f"it has the best validation {table.counted.metric} at {kept} on {table.leading}"
    only = f"no other method has a score at {kept}"
    return f"The row in bold is {named(line)}, of which the top of this page speaks: {best if finding.by_validation else only}."


def _legend(table: Table) -> str:
    """How methods are told apart in the charts."""
    theirs = any(line.labels_from for line in table.lines)
    beside = " (in a method's colour where they have its labels)" if theirs else ""
    full = ", and full data is the level line" if any(map(table.full, table.models)) else ""
    return (
        f"A method has the same colour and shape in all charts; random rows are hollow, on a dashed line{beside}{full}."
    )


def _title(table: Table) -> str:
    budgets = table.budgets
    methods = {line.method for line in table.lines if line.method not in WHOLE and not line.labels_from}
    count = f"{len(methods)} way{'s' if len(methods) != 1 else ''} to choose"
    return f"{table.data}: {count} {listed([f'{budget:,}' for budget in budgets], 'or')} {table.counted.many}"


def _measured(table: Table) -> dict[str, Any]:
    """The protocol with the networks that were trained; its own number of runs gives way to that of seeds."""
    named = {**table.protocol, "models": table.models}
    return {key: value for key, value in named.items() if key != "runs" or "seeds" not in named}


def _numbers(table: Table, finding: Finding | None) -> list[tuple[str, str, str]]:
    """The numbers at the top, of the method that was chosen; nothing where none was."""
    line = finding.chosen if finding else None
    if finding is None or line is None or line.mean is None:
        return []
    known = [(FULL_DATA, finding.full), ("random rows", finding.random)]
    beside = [f"{name} {points(other.mean)}" for name, other in known if other and other.mean is not None]
    metric = judges.metric_of([table.leading], table.counted.metric)
    numbers = [(points(line.mean), f"points of {metric}", ", ".join([line.method, *beside]))]
    if line.bytes is not None:
        full = finding.full.bytes if finding.full else None
        share = f"{100 * line.bytes / full:.2g} % of {size_text(full)}" if full else ""
        numbers.append((size_text(line.bytes), table.counted.told(finding.per_class), share))
    if line.seconds is not None:
        random = finding.random.seconds if finding.random else None
        numbers.append(
            (duration(line.seconds), "to make", told(random, lambda taken: f"random rows {duration(taken)}"))
        )
    return numbers


def _series(table: Table, model: str, labels: str, place: Callable[[Line], float | None]) -> dict[str, list[Point]]:
    """The points of each method with one network and one kind of labels; `place` says where they lie across."""
    series: dict[str, list[Point]] = {}
    for line in table.lines:
        x = place(line)
        if line.method not in WHOLE and (line.model, line.labels) == (model, labels) and None not in (line.mean, x):
            assert line.mean is not None and x is not None
            note = table.counted.told(line.per_class) if line.per_class not in (None, x) else ""
            series.setdefault(line.method, []).append(Point(x, line.mean, line.std, note))
    return {method: series[method] for method in table.methods if method in series}


@dataclass(frozen=True)
class _Axis:
    """What a chart has across: in the title, below the axis, where a line lies, and how values are told."""

    title: str
    across: str
    place: Callable[[Line], float | None]
    ticks: Ticks
    unit: Callable[[float], str]


_COSTS = (
    _Axis(" against size", "size of the set", lambda line: line.bytes, byte_ticks, lambda x: size_text(round(x))),
    _Axis(" against time", "time to make the set", lambda line: line.seconds, second_ticks, duration),
)


def _count(table: Table) -> _Axis:
    """Across how many of what sets hold."""
    return _Axis("", table.counted.many, lambda line: line.per_class, count_ticks, "{:,.6g}".format)


def _charts(table: Table, axes: Sequence[_Axis], models: Sequence[str]) -> list[Plot]:
    """A chart of each axis for each network and each kind of labels, with full data's line."""
    labels_from = {line.method: line.labels_from for line in table.lines if line.labels_from}
    look = styles(table.methods, RANDOM, FULL, labels_from)
    charts = []
    for model in models:
        for labels in table.labels:
            full = table.full(model)
            for axis in axes:
                metric = judges.metric_of([model], table.counted.metric)
                learned = f", {model}, {labels} labels" if judges.learns(model) else ""
                title = f"{_capital(metric)}{axis.title}{learned}"
                series = _series(table, model, labels, axis.place)
                level = full.mean if full is not None else None
                charts.append(plot(title, axis.across, series, look, axis.ticks, level, axis.unit))
    return [chart for chart in charts if chart is not None]


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _heats(table: Table) -> list[tuple[int, list[Heat]]]:
    """Heat maps of each budget, the largest first, one for each kind of labels."""
    tables = [
        (budget, [found for labels in table.labels if (found := heat(table, budget, labels)) is not None])
        for budget in reversed(table.budgets)
    ]
    return [(budget, found) for budget, found in tables if found]
