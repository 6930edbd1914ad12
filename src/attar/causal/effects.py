"""The effect of a treatment on an outcome, with the columns that must be adjusted for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import torch
from torch import Tensor

from attar.causal.kept import Rows, rows_of, unkept_effect
from attar.causal.moments import COLLINEAR, design, moments, swept
from attar.causal.propensity import logistic, spread
from attar.errors import AttarError
from attar.tables import Table

__all__ = ["ESTIMATORS", "Effect", "effect"]

ESTIMATORS = ("regression", "ipw", "aipw")


@dataclass(frozen=True)
class Effect:
    """An estimated effect.

    Args:
        estimate: of regression the slope of the treatment, of ipw and aipw the average effect of 1 against 0, in units of the outcome.
        error: its standard error, at the sample size that the rows stand for.
        low: lower end of the interval, by the normal distribution.
        high: its upper end.
        level: of the interval.
        size: the sample size that was read.
        effective: of regression the same; of ipw and aipw what is left of it under the weights of both arms (Kish).
        propensity: lowest and highest before clipping; None of regression.
        clipped: share of the rows whose propensity was clipped; 0 of regression.
        note: that the rows do not keep what the estimator reads, so that this is no estimate of their source's effect; empty where
            they do.
    """

    estimate: float
    error: float
    low: float
    high: float
    level: float
    size: float
    effective: float
    propensity: tuple[float, float] | None = None
    clipped: float = 0.0
    note: str = ""

    @property
    def valid(self) -> bool:
        """Whether the rows keep what was read."""
        return not self.note


def effect(
    table: Rows,
    treatment: str,
    outcome: str,
    adjust: Sequence[str] = (),
    estimator: Literal["regression", "ipw", "aipw"] = "regression",
    *,
    clip: float = 0.01,
    level: float = 0.95,
) -> Effect:
    """Estimate the effect of a treatment.

    - ``regression``: weighted least squares of the outcome on the treatment and the adjustment; the error is the classical one, with
      n less the rank as degrees of freedom. It reads means and covariances only, so that rows that keep these keep it.
    - ``ipw``: the difference of the means of both arms under inverse propensities, which sum to 1 in each (Hájek); the error takes
      the propensities as known, which makes it too large rather than too small.
    - ``aipw``: the doubly robust mean of ``m1 - m0 + t (y - m1) / e - (1 - t) (y - m0) / (1 - e)``, where m1 and m0 are linear
      regressions within the arms; the error is that of this mean.

    Propensities e are of a weighted logistic regression (see `attar.causal.propensity`), clipped. Categorical columns of the adjustment
    are ones and noughts, others numbers, all as they are, without products.

    Args:
        table: real or distilled rows, read by their shares and at `Table.size`: a table, a distilled one, or a problem, whose training
            rows are read.
        treatment: a column of numbers; of two values 0 and 1, or of two categories, for ipw and aipw.
        outcome: a column of numbers, or of two categories.
        adjust: columns that are held fixed.
        estimator: regression, ipw or aipw.
        clip: propensities are kept between this and one less it, in [0, 0.5).
        level: of the interval, in (0, 1).

    Raises:
        AttarError: if a column is not there, is named twice, misses values or is constant, the treatment is determined by the
            adjustment or not binary where it must be, the arms do not overlap, or rows are too few.

    Reference:
        Hirano, Imbens and Ridder: Efficient estimation of average treatment effects using the estimated propensity score,
        Econometrica 2003; Robins, Rotnitzky and Zhao, JASA 1994 (aipw).
    """
    table, names = rows_of(table), (treatment, outcome, *adjust)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AttarError(f"Column '{twice}' is named twice: treatment, outcome and adjustment are different columns.")
    if not 0 < level < 1 or not 0 <= clip < 0.5:
        raise AttarError(f"level={level} is to be between 0 and 1, and clip={clip} from 0 to below 0.5.")
    if estimator not in ESTIMATORS:
        raise AttarError(f"There is no estimator '{estimator}': give regression, ipw or aipw.")
    table.numbers([treatment, outcome])  # refuses categories without an order
    centre = moments(table, names)
    for name in (treatment, outcome):
        if float(centre.deviation[centre.groups[name]]) == 0:
            raise AttarError(f"Column '{name}' is constant, so there is no effect to estimate.")
    if estimator == "regression":
        estimate, error = _regression(table, names)
        rest: dict[str, Any] = {"effective": table.size}
    else:
        estimate, error, rest = _weighted(table, names, clip, doubly=estimator == "aipw")
    wide = NormalDist().inv_cdf((1 + level) / 2) * error
    note = unkept_effect(table, treatment, outcome, adjust, estimator, clip)
    return Effect(estimate, error, estimate - wide, estimate + wide, level, table.size, **rest, note=note)


def _regression(table: Table, names: tuple[str, ...]) -> tuple[float, float]:
    """Estimate and standard error; the first name is the treatment, the second the outcome."""
    ordered = (*names[2:], *names[:2])
    found = moments(table, ordered)
    count = len(found.mean) - 2
    left, rank = swept(found.correlation, count)
    if float(left[0, 0]) <= COLLINEAR:
        raise AttarError(
            f"Column '{names[0]}' is determined by the adjustment, so its effect cannot be told from theirs."
        )
    freedom = table.size - int(rank) - 2  # of the intercept and the treatment
    if freedom <= 0:
        raise AttarError(f"{table.size:,.6g} rows are too few for a regression on {int(rank) + 1} columns.")
    slope = float(left[0, 1] / left[0, 0])
    residual = max(float(left[1, 1]) - slope * float(left[0, 1]), 0.0)
    scale = float(found.deviation[-1] / found.deviation[-2])
    return slope * scale, math.sqrt(residual / freedom / float(left[0, 0])) * scale


def _weighted(table: Table, names: tuple[str, ...], clip: float, doubly: bool) -> tuple[float, float, dict[str, Any]]:
    """Estimate, standard error and what is told of overlap, by inverse propensities."""
    rows = spread(table, names)
    shares, (treated, y) = rows.shares, rows.numbers(names[:2]).T
    if not bool(((treated == 0) | (treated == 1)).all()):
        raise AttarError(
            f"Treatment '{names[0]}' takes other values than two, 0 and 1 or two categories, so there are no two arms for ipw and aipw: "
            "estimate by regression, or bring it to two values."
        )
    x, _ = design(rows, names[2:])
    e = logistic(x, treated, shares)
    least = max(clip, 1e-12)
    kept = e.clamp(least, 1 - least)
    clipped = float(shares[kept != e].sum())
    if bool((treated * (1 - e) + (1 - treated) * e <= max(clip, 1e-6)).all()):
        raise AttarError(
            f"The arms of '{names[0]}' do not overlap: the adjustment tells the treatment of every row, so no row has a counterpart."
        )
    inverse = treated / kept + (1 - treated) / (1 - kept)
    if doubly:
        one, two = (_fitted(x, y, shares * arm) for arm in (treated, 1 - treated))
        each = one - two + (2 * treated - 1) * inverse * (y - torch.where(treated == 1, one, two))
        estimate = float(shares @ each)
        influence = each - estimate
    else:
        totals = [shares * inverse * arm for arm in (treated, 1 - treated)]
        means = [(total @ y) / total.sum() for total in totals]
        estimate = float(means[0] - means[1])
        parts = [
            inverse * arm * (y - mean) / total.sum()
            for arm, mean, total in zip((treated, 1 - treated), means, totals, strict=True)
        ]
        influence = parts[0] - parts[1]
    error = math.sqrt(float(shares @ influence**2) / table.size)
    effective = table.size * float((shares @ inverse) ** 2 / (shares @ inverse**2))
    told = {"effective": effective, "propensity": (float(e.min()), float(e.max())), "clipped": clipped}
    return estimate, error, told


def _fitted(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """What weighted least squares on x, with an intercept, says of every row ``(n,)``; the smallest solution of collinear columns."""
    z = torch.cat([torch.ones(len(x), 1, dtype=x.dtype), x], dim=1)
    root = weight.sqrt()
    solution = torch.linalg.lstsq(z * root[:, None], y * root, driver="gelsd").solution
    return z @ solution
