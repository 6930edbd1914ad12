"""Effects with their intervals, and prediction against kept decisions, as geometry and as HTML.

As in `charts`, places across are percentages and places down are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from attar.errors import AttarError
from attar.report.charts import round_ticks
from attar.report.render import template
from attar.report.words import points as in_points
from attar.report.words import spread_text, told

__all__ = ["Forest", "Interval", "Line", "Mark", "TradeOff", "effect_intervals", "forests", "trade_off", "traded"]

FAR = 0.75  # an interval is cut where it leaves what others take by more than so many times their range
HEIGHT = 260
NARROW = 260.0  # pixels that a chart has on a phone: labels that are apart there are apart everywhere
SIDES = ((9, 4, "start"), (-9, 4, "end"), (0, -10, "middle"), (0, 19, "middle"), (8, -8, "start"), (-8, -8, "end"),
         (8, 16, "start"), (-8, 16, "end"))  # fmt: skip
"""Where a label may stand beside its point: pixels right and down, and its anchor, the best first."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval in percent of the width; `cut` tells of each end whether it lies beyond the picture."""

    at: float
    low: float
    high: float
    cut: tuple[bool, bool]


@dataclass(frozen=True)
class Line:
    """One effect by one estimator.

    Args:
        effect: its name.
        estimator: its name.
        full: the full data's, None where there is none.
        of: the distilled rows', likewise.
        texts: of both, the estimate and its interval in numbers, or why there is none and nothing.
        errors: their difference in standard errors, in words; empty where it is not known.
        floor: left end and width of the noise floor's band.
        truth: place of the true effect.
        truth_text: the true effect in numbers.
    """

    effect: str
    estimator: str
    full: Interval | None
    of: Interval | None
    texts: tuple[tuple[str, str], tuple[str, str]]
    errors: str
    floor: tuple[float, float] | None
    truth: float | None
    truth_text: str


@dataclass(frozen=True)
class Forest:
    """Effects in one unit on one axis.

    Args:
        unit: of the axis.
        lines: from top to bottom.
        ticks: places and texts along the axis.
        zero: place of no effect; None where it lies beyond the axis.
        description: all numbers in words.
    """

    unit: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float | None
    description: str


@dataclass(frozen=True)
class Mark:
    """A point with its label: `x` in percent, others in pixels; `wide` and `high` are the ends of its spreads, None without them."""

    x: float
    y: float
    label: str
    beside: tuple[float, float, str]
    wide: tuple[float, float] | None
    high: tuple[float, float] | None
    text: str


@dataclass(frozen=True)
class TradeOff:
    """The chart of a trade-off.

    Args:
        marks: by ascending weight.
        across: places and texts along the horizontal axis, in points of a hundred.
        levels: the same along the vertical one.
        full: place of the full data's score.
        bootstrap: place of the decisions that a bootstrap keeps.
        random: places of random rows.
        legend: what lines and marks are, with their numbers: kind and words.
        description: the chart in words.
    """

    marks: tuple[Mark, ...]
    across: tuple[tuple[float, str], ...]
    levels: tuple[tuple[float, str], ...]
    full: float | None
    bootstrap: float | None
    random: tuple[float, float] | None
    legend: tuple[tuple[str, str], ...]
    description: str


def effect_intervals(rows: Sequence[Mapping[str, Any]], *, identifier: str = "effects") -> str:
    """Estimates with their intervals, of the full data and of distilled rows, with all numbers beside the picture.

    Args:
        rows: of each effect and estimator ``{"effect": name, "estimator": name, "unit": of the axis, "full": estimate, "of": estimate}``,
            where an estimate is ``{"estimate", "low", "high"}`` or a sentence that says why there is none. "errors" is the difference
            in standard errors, "floor" the low and high end of the noise floor's band, "truth" the true effect; each may lack.
            Rows of one unit share an axis.
        identifier: of this part in the page's document.

    Returns:
        HTML, to stand in a page that has causal.css; empty without rows. Every text in it is escaped.

    Raises:
        AttarError: if a row lacks a name or an estimate.
    """
    if not rows:
        return ""
    charts = forests(rows)
    lines = [line for chart in charts for line in chart.lines]
    return template("effects.html").render(
        identifier=identifier,
        forests=charts,
        has_errors=any(line.errors for line in lines),
        has_floor=any(line.floor for line in lines),
        has_truth=any(line.truth is not None for line in lines),
    )


def forests(rows: Sequence[Mapping[str, Any]]) -> list[Forest]:
    """The geometry of `effect_intervals`: a picture of each unit, in the order in which they come."""
    for row in rows:
        lacks = [name for name in ("effect", "estimator", "full", "of") if name not in row]
        if lacks:
            raise AttarError(f"The row of effect '{row.get('effect', '')}' has no '{lacks[0]}': give one.")
    units = dict.fromkeys(str(row.get("unit", "")) for row in rows)
    return [_forest(unit, [row for row in rows if str(row.get("unit", "")) == unit]) for unit in units]


def trade_off(
    points: Sequence[Mapping[str, Any]],
    *,
    full: float | None = None,
    random: tuple[float, float] | None = None,
    bootstrap: float | None = None,
    metric: str = "prediction score",
    identifier: str = "trade-off",
) -> str:
    """Prediction against the share of independence decisions that are kept, along the weight between both.

    Args:
        points: ``{"weight", "kept", "score"}`` of each, shares in [0, 1]; "kept_std" and "score_std" are spreads over seeds, or None.
        full: the full data's score.
        random: share of kept decisions and score of random rows.
        bootstrap: share of the decisions that a bootstrap of the full data keeps.
        metric: what the scores measure.
        identifier: of this part in the page's document.

    Returns:
        HTML, to stand in a page that has causal.css; empty without points.
    """
    if not points:
        return ""
    chart = traded(points, full, random, bootstrap)
    ordered = sorted(points, key=lambda point: float(point["weight"]))
    rows = [tuple(_told(point)) for point in ordered]
    return template("trade_off.html").render(
        chart=chart, metric=metric, rows=rows, identifier=identifier, height=HEIGHT
    )


def traded(
    points: Sequence[Mapping[str, Any]],
    full: float | None = None,
    random: tuple[float, float] | None = None,
    bootstrap: float | None = None,
) -> TradeOff:
    """The geometry of `trade_off`; its arguments are that one's."""
    ordered = sorted(points, key=lambda point: float(point["weight"]))
    ends = {"kept": [bootstrap] if bootstrap is not None else [], "score": [full] if full is not None else []}
    for name, place in (("kept", 0), ("score", 1)):
        ends[name] += [random[place]] if random is not None else []
        for point in ordered:
            std = point.get(f"{name}_std") or 0.0
            ends[name] += [point[name] - std, point[name] + std]
    across, levels = (_axis([100 * end for end in ends[name]]) for name in ("kept", "score"))

    def right(share: float) -> float:
        return round(_place(100 * share, across), 2)

    def down(share: float) -> float:
        return round(HEIGHT * (1 - _place(100 * share, levels) / 100), 1)

    spots = [(right(point["kept"]), down(point["score"])) for point in ordered]
    labels = [f"{point['weight']:g}" for point in ordered]
    spreads = [[_spread(point, name, place) for point in ordered] for name, place in (("kept", right), ("score", down))]
    beside = _beside(
        spots,
        labels,
        [
            *([] if random is None else [(right(random[0]), down(random[1]))]),
            *((end, y) for (_, y), wide in zip(spots, spreads[0], strict=True) if wide for end in _along(*wide)),
            *((x, end) for (x, _), high in zip(spots, spreads[1], strict=True) if high for end in _along(*high)),
            *([] if bootstrap is None else [(right(bootstrap), y) for y in _along(0, HEIGHT)]),
            *([] if full is None else [(x, down(full)) for x in _along(0, 100)]),
        ],
    )
    marks = tuple(
        Mark(
            spot[0],
            spot[1],
            label,
            side,
            wide,
            high,
            "weight {}: {} kept, score {}".format(*_told(point)),
        )
        for spot, label, side, wide, high, point in zip(spots, labels, beside, *spreads, ordered, strict=True)
    )
    legend = [("point", "distilled rows, labelled by the weight")]
    legend += [("full", f"full data: {in_points(full)}")] if full is not None else []
    legend += [("bootstrap", f"a bootstrap keeps {in_points(bootstrap)}")] if bootstrap is not None else []
    legend += [("random", f"random rows: {in_points(random[1])} at {in_points(random[0])} kept")] if random else []
    return TradeOff(
        marks,
        tuple((round(_place(tick, across), 2), f"{tick:.6g}") for tick in across),
        tuple((round(HEIGHT * (1 - _place(tick, levels) / 100), 1), f"{tick:.6g}") for tick in levels),
        None if full is None else down(full),
        None if bootstrap is None else right(bootstrap),
        None if random is None else (right(random[0]), down(random[1])),
        tuple(legend),
        "; ".join([*(mark.text for mark in marks), *(words for _, words in legend[1:])]) + ".",
    )


def _forest(unit: str, rows: Sequence[Mapping[str, Any]]) -> Forest:
    estimates = [row[name] for row in rows for name in ("full", "of") if isinstance(row[name], Mapping)]
    core = [float(found["estimate"]) for found in estimates]
    core += [float(row["full"][end]) for row in rows if isinstance(row["full"], Mapping) for end in ("low", "high")]
    core += [float(end) for row in rows for end in row.get("floor") or ()]
    core += [float(row["truth"]) for row in rows if row.get("truth") is not None]
    low, high = min(core, default=-1.0), max(core, default=1.0)
    room = FAR * ((high - low) or abs(high) or 1.0)
    reached = [min(max(float(found[end]), low - room), high + room) for found in estimates for end in ("low", "high")]
    low, high = min([low, *reached]), max([high, *reached])
    near = 0.6 * (high - low)  # no effect is shown where that leaves most of the picture to what was found
    low, high = min(low, 0.0 if low < near else low), max(high, 0.0 if -high < near else high)
    ticks = round_ticks(low, high)
    lines = tuple(_line(row, ticks) for row in rows)
    described = [
        f"{line.effect} by {line.estimator}: full data {' '.join(line.texts[0])}, distilled rows {' '.join(line.texts[1])}"
        for line in lines
    ]
    return Forest(
        unit,
        lines,
        tuple((round(_place(tick, ticks), 2), f"{round(tick, 12):.6g}") for tick in ticks),
        round(_place(0.0, ticks), 2) if ticks[0] <= 0 <= ticks[-1] else None,
        "; ".join(described) + ".",
    )


def _line(row: Mapping[str, Any], ticks: Sequence[float]) -> Line:
    found = [row[name] if isinstance(row[name], Mapping) else None for name in ("full", "of")]
    widths = [float(one["high"]) - float(one["low"]) for one in found if one is not None]
    digits = _digits(min((width for width in widths if width > 0), default=0.0))
    texts = [
        (str(row[name]), "") if one is None else _numbers(one, digits)
        for name, one in zip(("full", "of"), found, strict=True)
    ]
    full, of = (None if one is None else _interval(one, ticks) for one in found)
    floor, truth = row.get("floor"), row.get("truth")
    band = None if floor is None else [round(_place(float(end), ticks), 2) for end in floor]
    return Line(
        str(row["effect"]),
        str(row["estimator"]),
        full,
        of,
        (texts[0], texts[1]),
        told(row.get("errors"), "{:+.2f}".format),
        None if band is None else (band[0], round(band[1] - band[0], 2)),
        None if truth is None else round(_place(float(truth), ticks), 2),
        told(truth, lambda value: f"{value:,.{digits}f}"),
    )


def _interval(found: Mapping[str, Any], ticks: Sequence[float]) -> Interval:
    at, low, high = (_place(float(found[name]), ticks) for name in ("estimate", "low", "high"))
    kept = [round(min(max(end, 0.0), 100.0), 2) for end in (low, high)]
    return Interval(round(at, 2), kept[0], kept[1], (low < -1e-9, high > 100 + 1e-9))


def _digits(width: float) -> int:
    """Decimals with which an interval so wide has three digits."""
    return 4 if width <= 0 else min(max(2 - math.floor(math.log10(width)), 0), 10)


def _numbers(found: Mapping[str, Any], digits: int) -> tuple[str, str]:
    estimate, low, high = (f"{float(found[name]):,.{digits}f}" for name in ("estimate", "low", "high"))
    return estimate, f"({low} to {high})"


def _place(value: float, ticks: Sequence[float]) -> float:
    """Where a value lies between the first tick and the last, in percent."""
    return 100 * (value - ticks[0]) / (ticks[-1] - ticks[0])


def _axis(values: Sequence[float]) -> list[float]:
    """Ticks that enclose values in points of a hundred; no tick lies above 100 where no value does."""
    ticks = round_ticks(min(values), max(values))
    inside = [tick for tick in ticks if tick <= 100 or max(values) > 100 + 1e-9]
    return inside if len(inside) > 1 else [inside[0] - 10, *inside]


def _spread(point: Mapping[str, Any], name: str, place: Any) -> tuple[float, float] | None:
    std = point.get(f"{name}_std")
    return None if std is None else (place(point[name] - std), place(point[name] + std))


def _along(low: float, high: float) -> list[float]:
    """Places along a line, near enough to one another that no label lies between them."""
    return [low + (high - low) * part / 24 for part in range(25)]


def _told(point: Mapping[str, Any]) -> tuple[str, str, str]:
    """Weight, kept decisions and score in words."""
    kept, score = (spread_text(point[name], point.get(f"{name}_std")) for name in ("kept", "score"))
    return f"{point['weight']:g}", kept, score


def _beside(
    spots: Sequence[tuple[float, float]], labels: Sequence[str], others: Sequence[tuple[float, float]]
) -> list[tuple[float, float, str]]:
    """A side for each label, so that it covers few points, few of the line between them and no other label."""
    scale = NARROW / 100
    dots = [(x * scale, y) for x, y in (*spots, *others)]
    for (x, y), (to_x, to_y) in pairwise(spots):
        dots += [(between * scale, down) for between, down in zip(_along(x, to_x), _along(y, to_y), strict=True)]
    taken: list[tuple[float, float, float, float]] = []
    found: list[tuple[float, float, str]] = []
    for (x, y), label in zip(spots, labels, strict=True):
        wide = 7.6 * len(label)

        def box(side: tuple[float, float, str], x: float = x, y: float = y, wide: float = wide) -> tuple[float, ...]:
            left = x * scale + side[0] - {"start": 0.0, "end": wide, "middle": wide / 2}[side[2]]
            return left, y + side[1] - 11, left + wide, y + side[1] + 3

        def cost(side: tuple[float, float, str]) -> float:
            left, top, right, bottom = box(side)
            hit = sum(left - 4 < dot_x < right + 4 and top - 4 < dot_y < bottom + 4 for dot_x, dot_y in dots)
            over = sum(left < c and a < right and top < d and b < bottom for a, b, c, d in taken)
            out = max(0.0, -4 - left) + max(0.0, right - NARROW - 4) + max(0.0, bottom - HEIGHT)
            return 10 * over + hit + out

        best = min(SIDES, key=cost)
        left, top, right, bottom = box(best)
        taken.append((left, top, right, bottom))
        found.append(best)
    return found
