"""Charts as geometry: where things lie. The template draws them as SVG.

Horizontal places are percentages of the width and vertical ones pixels, so that a chart fills a phone or a wide screen
with text of one size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from attar.report.page import Score
from attar.report.words import WHOLE_DATA, spread_text

__all__ = ["Bar", "Bars", "Curve", "bars", "curve", "round_ticks"]

BAR_STEP = 46  # pixels from one bar to the next
CURVE_HEIGHT = 220
CURVE_POINTS = 300


@dataclass(frozen=True)
class Bar:
    """One score: `low` and `high` end its spread, all in percent of the width."""

    name: str
    detail: str
    value: str
    kind: str
    top: int
    width: float
    low: float
    high: float


@dataclass(frozen=True)
class Bars:
    """The scores of one model."""

    model: str
    bars: tuple[Bar, ...]
    height: int
    description: str


@dataclass(frozen=True)
class Curve:
    """A line in a box of 1000 x `height`.

    Args:
        path: points of an SVG polyline.
        ticks: vertical place and text of each horizontal line.
        steps: text at the left end, the middle and the right end.
        height: of the box, in pixels.
        logarithmic: whether the vertical scale is.
        each: steps that one point is the mean of.
        description: the curve in words.
    """

    path: str
    ticks: tuple[tuple[float, str], ...]
    steps: tuple[str, str, str]
    height: int
    logarithmic: bool
    each: int
    description: str


def bars(scores: Sequence[Score], method: str) -> list[Bars]:
    """A chart a model; every scale starts at 0 and ends at 100 points."""
    charts = []
    for model in dict.fromkeys(score.model for score in scores):
        mine = [score for score in scores if score.model == model]
        several = len({score.labels for score in mine}) > 1
        budgets = len({score.rows for score in mine if score.name not in WHOLE_DATA}) > 1
        drawn = tuple(
            Bar(
                name=score.name,
                detail=_detail(score, several, budgets),
                value=spread_text(score.mean, score.spread),
                kind="method" if score.name == method else "full" if score.name in WHOLE_DATA else "other",
                top=place * BAR_STEP,
                width=_percent(score.mean),
                low=_percent(score.mean - score.std),
                high=_percent(score.mean + score.std),
            )
            for place, score in enumerate(mine)
        )
        described = "; ".join(f"{bar.name}{f', {bar.detail}' if bar.detail else ''}: {bar.value}" for bar in drawn)
        charts.append(Bars(model, drawn, len(drawn) * BAR_STEP, described))
    return charts


def curve(loss: Sequence[tuple[int, float]]) -> Curve | None:
    """The loss over steps, on a logarithmic scale where it spans more than a factor of 30; None below two points."""
    found = [(step, value) for step, value in loss if math.isfinite(value)]
    each = -(-len(found) // CURVE_POINTS)
    if len(found) < 2:
        return None
    chunks = [found[start : start + each] for start in range(0, len(found), each)]
    steps = [sum(step for step, _ in chunk) / len(chunk) for chunk in chunks]
    values = [sum(value for _, value in chunk) / len(chunk) for chunk in chunks]
    logarithmic = min(values) > 0 and max(values) / min(values) > 30
    ticks = _decades(min(values), max(values)) if logarithmic else round_ticks(min(values), max(values))
    place = math.log10 if logarithmic else float
    low, high = (place(end) for end in (min(ticks[0], *values), max(ticks[-1], *values)))

    def down(value: float) -> float:
        return round((1 - (place(value) - low) / (high - low)) * CURVE_HEIGHT, 1)

    first, last = steps[0], max(steps[-1], steps[0] + 1)
    path = " ".join(
        f"{1000 * (step - first) / (last - first):.1f},{down(value)}" for step, value in zip(steps, values, strict=True)
    )
    shown = (found[0][0], (found[0][0] + found[-1][0]) // 2, found[-1][0])
    return Curve(
        path=path,
        ticks=tuple((down(tick), f"{tick:.6g}") for tick in ticks),
        steps=(f"step {shown[0]:,}", f"{shown[1]:,}", f"{shown[2]:,}"),
        height=CURVE_HEIGHT,
        logarithmic=logarithmic,
        each=each,
        description=f"From {found[0][1]:.3g} at step {shown[0]:,} to {found[-1][1]:.3g} at step {shown[2]:,}; "
        f"lowest {min(value for _, value in found):.3g}, highest {max(value for _, value in found):.3g}.",
    )


def _detail(score: Score, labels: bool, rows: bool) -> str:
    """What tells scores of one name apart: their labels, their number of rows."""
    told = [f"{score.labels} labels"] if labels else []
    told += [f"{score.rows:,} rows"] if rows and score.rows is not None and score.name not in WHOLE_DATA else []
    return ", ".join(told)


def _percent(share: float) -> float:
    return round(100 * min(max(share, 0), 1), 2)


def _decades(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def round_ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers that enclose the range."""
    span = (high - low) or abs(high) or 1.0
    unit = 10 ** math.floor(math.log10(span / 4))
    step = next(unit * factor for factor in (1, 2, 5, 10) if span / (unit * factor) <= 4)
    return [step * place for place in range(math.floor(low / step), math.ceil(high / step) + (low == high) + 1)]
