"""Accuracy against what a set holds, weighs or takes to make: points and lines on two axes, as geometry.

As in `charts`, places across are percentages and places down are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from attar.report.charts import round_ticks
from attar.report.words import points, spread_text

__all__ = [
    "Marked",
    "Plot",
    "Point",
    "Series",
    "Style",
    "Ticks",
    "byte_ticks",
    "count_ticks",
    "plot",
    "second_ticks",
    "styles",
]

HEIGHT = 240
MARGIN = 5  # percent of the width left free at either end
TICKS = 5
COLOURS, SHAPES = 8, 5  # page.css and parts.html hold as many; they share no factor, so 40 methods look different

_KIB = 1024
_BYTES = [
    (count * _KIB**power, f"{count} {unit}")
    for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB"))
    for count in (1, 10, 100)
]
_SECONDS = [
    (0.001, "1 ms"), (0.01, "10 ms"), (0.1, "0.1 s"), (1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"),
    (3_600, "1 h"), (36_000, "10 h"), (360_000, "100 h"), (3_600_000, "1000 h"),
]  # fmt: skip

Ticks = Callable[[Sequence[float]], list[tuple[float, str]]]


@dataclass(frozen=True)
class Point:
    """A score at a place: `x` in the axis' unit, `mean` and `std` in [0, 1], `note` for whoever points at it."""

    x: float
    mean: float
    std: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Style:
    """How a series is told apart: `kind` is "method", "random", "beside" (random rows with a method's labels, in its
    colour) or "full"; colour and shape are numbers."""

    kind: str
    colour: int = 0
    shape: int = 0


@dataclass(frozen=True)
class Marked:
    """A point in the box; `low` and `high` are the places of its spread, None without one."""

    left: float
    top: float
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True)
class Series:
    """The points of one name, from left to right."""

    name: str
    style: Style
    marks: tuple[Marked, ...]
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Plot:
    """A chart.

    Args:
        title: what is drawn.
        across: what the horizontal axis measures.
        series: in the order of the legend.
        ticks: places and texts along the horizontal axis.
        levels: places and texts along the vertical axis, in points.
        line: place and text of full data, None without it.
        height: of the box, in pixels.
        description: the chart in words.
    """

    title: str
    across: str
    series: tuple[Series, ...]
    ticks: tuple[tuple[float, str], ...]
    levels: tuple[tuple[float, str], ...]
    line: tuple[float, str] | None
    height: int
    description: str


def styles(
    names: Sequence[str], random: str, full: str, labels_from: Mapping[str, str] | None = None
) -> dict[str, Style]:
    """A look for each name; the same names in the same order look the same in every chart of a page.

    Args:
        names: of all series.
        random: the name of random rows.
        full: the name of full data.
        labels_from: names of random rows that take a method's labels, and that method.
    """
    beside = labels_from or {}
    methods = [name for name in dict.fromkeys(names) if name not in (random, full, *beside)]
    found = {name: Style("method", place % COLOURS, place % SHAPES) for place, name in enumerate(methods)}
    looks = {name: Style("beside", found[of].colour if of in found else 0) for name, of in beside.items()}
    return {**found, **looks, random: Style("random"), full: Style("full")}


def plot(
    title: str,
    across: str,
    points_of: Mapping[str, Sequence[Point]],
    look: Mapping[str, Style],
    ticks: Ticks,
    full: float | None = None,
    unit: Callable[[float], str] = "{:,.6g}".format,
) -> Plot | None:
    """Place the points on a logarithmic horizontal axis; None where no two of them lie apart.

    Args:
        title: what is drawn.
        across: what the horizontal axis measures.
        points_of: the points of each name; those that are not above zero lie at the left end.
        look: a style for each name.
        ticks: marks of the axis for given values.
        full: full data's score, drawn as a line.
        unit: a value of the axis in words.
    """
    positive = [point.x for found in points_of.values() for point in found if point.x > 0]
    if not positive or min(positive) == max(positive):
        return None
    left, right = math.log(min(positive)), math.log(max(positive))
    ends = [end for found in points_of.values() for point in found for end in _spread(point)]
    reached = [min(max(end, 0.0), 1.0) for end in [*ends, *([full] if full is not None else [])]]
    levels = [level for level in round_ticks(100 * min(reached), 100 * max(reached)) if 0 <= level <= 100]
    levels = levels if len(levels) > 1 else [0.0, 50.0, 100.0]
    low, high = levels[0], levels[-1]

    def place(x: float) -> float:
        inside = min(max(math.log(x) if x > 0 else left, left), right)
        return round(MARGIN + (100 - 2 * MARGIN) * (inside - left) / (right - left), 2)

    def down(share: float) -> float:
        return round((1 - (100 * min(max(share, 0.0), 1.0) - low) / (high - low)) * HEIGHT, 1)

    series = []
    for name, found in points_of.items():
        ordered = sorted(found, key=lambda point: point.x)
        marks = tuple(
            Marked(
                place(point.x),
                down(point.mean),
                None if point.std is None else down(point.mean - point.std),
                None if point.std is None else down(point.mean + point.std),
                f"{name}, {_place(point, unit)}: {spread_text(point.mean, point.std)}",
            )
            for point in ordered
        )
        rows = tuple((_place(point, unit), spread_text(point.mean, point.std)) for point in ordered)
        series.append(Series(name, look[name], marks, rows))
    marked = [(place(value), text) for value, text in ticks(positive)]
    if len(marked) < 2:
        marked = [(place(value), unit(value)) for value in (min(positive), max(positive))]
    return Plot(
        title=title,
        across=across,
        series=tuple(series),
        ticks=tuple(marked),
        levels=tuple((round((1 - (level - low) / (high - low)) * HEIGHT, 1), f"{level:.6g}") for level in levels),
        line=None if full is None else (down(full), f"full data {points(full)}"),
        height=HEIGHT,
        description=_described(series, full),
    )


def count_ticks(values: Sequence[float]) -> list[tuple[float, str]]:
    """The values themselves, or where they are many some of them, the first and the last among them."""
    found = sorted(set(values))
    step = max(1, -(-(len(found) - 1) // (TICKS - 1)))
    kept = found[::step] if (len(found) - 1) % step == 0 else [*found[::step], found[-1]]
    return [(value, f"{value:,.6g}") for value in kept]


def byte_ticks(values: Sequence[float]) -> list[tuple[float, str]]:
    """1, 10 and 100 of each unit of bytes."""
    return _within(_BYTES, values)


def second_ticks(values: Sequence[float]) -> list[tuple[float, str]]:
    """Round times from a millisecond to a thousand hours."""
    return _within(_SECONDS, values)


def _within(marks: Sequence[tuple[float, str]], values: Sequence[float]) -> list[tuple[float, str]]:
    inside = [mark for mark in marks if min(values) <= mark[0] <= max(values)]
    return inside[:: max(1, -(-len(inside) // TICKS))]


def _spread(point: Point) -> tuple[float, float]:
    return point.mean - (point.std or 0.0), point.mean + (point.std or 0.0)


def _place(point: Point, unit: Callable[[float], str]) -> str:
    return f"{unit(point.x)} ({point.note})" if point.note else unit(point.x)


def _described(series: Sequence[Series], full: float | None) -> str:
    told = [
        f"{found.name}: {found.rows[0][1]} at {found.rows[0][0]}"
        + (f" to {found.rows[-1][1]} at {found.rows[-1][0]}" if len(found.rows) > 1 else "")
        for found in series
        if found.rows
    ]
    return "; ".join([*told, *([] if full is None else [f"full data: {points(full)}"])])
