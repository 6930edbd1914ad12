"""Propensity scores by logistic regression, and rows that are hard."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from attar.causal.moments import CONSTANT
from attar.errors import AttarError
from attar.tables import Table

__all__ = ["RIDGE", "logistic", "spread"]

RIDGE = 1e-6
"""Penalty of squared slopes of standardised columns, against the mean loss of a row; the intercept has none."""

_STEPS = 200

_ROWS = 2**21
"""Hard rows that soft ones may become."""


def logistic(x: Tensor, treated: Tensor, shares: Tensor) -> Tensor:
    """Probabilities of treatment by weighted logistic regression, by Newton steps, each halved until the loss falls.

    ``mean loss + RIDGE / 2 |slopes|^2`` is minimised over an intercept and the slopes of standardised columns.

    Args:
        x: ``(n, d)``; constant and collinear columns do no harm.
        treated: 0 or 1 ``(n,)``.
        shares: of the rows ``(n,)``, with sum 1.

    Returns:
        ``(n,)``.

    Raises:
        AttarError: if the steps do not come to an end.
    """
    centred = x - shares @ x
    deviation = (shares @ centred**2).sqrt()
    varies = deviation > CONSTANT * x.abs().amax(dim=0)
    z = torch.cat([torch.ones(len(x), 1, dtype=x.dtype), centred[:, varies] / deviation[varies]], dim=1)
    penalty = torch.full((z.shape[1],), RIDGE, dtype=x.dtype)
    penalty[0] = 0.0

    def loss(weights: Tensor) -> float:
        score = z @ weights
        each = torch.nn.functional.softplus(score) - treated * score
        return float(shares @ each + 0.5 * (penalty * weights**2).sum())

    weights = torch.zeros(z.shape[1], dtype=x.dtype)
    now = loss(weights)
    for _ in range(_STEPS):
        probability = (z @ weights).sigmoid()
        gradient = z.T @ (shares * (probability - treated)) + penalty * weights
        curved = shares * probability * (1 - probability)
        step = torch.linalg.lstsq((z * curved[:, None]).T @ z + penalty.diag(), gradient, driver="gelsd").solution
        if float(gradient @ step) <= 1e-14:  # twice what a Newton step can still gain
            return (z @ (weights - step)).sigmoid()
        size = 1.0
        while (ahead := loss(weights - size * step)) > now and size > 1e-6:
            size /= 2
        weights, now = weights - size * step, min(now, ahead)
    raise AttarError(
        f"The logistic regression of the propensity did not settle in {_STEPS} steps: leave columns out of the adjustment."
    )


def spread(table: Table, names: Sequence[str]) -> Table:
    """The named columns with hard rows in place of soft ones: one for each combination of categories that a row may have, which weighs
    what it is probable. They stand for as many rows as before.

    Raises:
        AttarError: if that makes too many rows.
    """
    rows = table.only(names)
    if not rows.soft:
        return rows
    many = len(rows) * math.prod(rows.column(name).levels for name in rows.soft)
    if many > _ROWS:
        raise AttarError(
            f"Soft rows of these columns are {many:,} hard ones, too many to weigh: name fewer columns, or draw rows by Table.resampled."
        )
    values, weight, soft = rows.values, rows.shares, dict(rows.soft)
    while soft:
        name, shares = soft.popitem()
        levels = shares.shape[1]
        soft = {other: part.repeat_interleave(levels, dim=0) for other, part in soft.items()}
        values = values.repeat_interleave(levels, dim=0)
        values[:, rows.place(name)] = torch.arange(levels, dtype=values.dtype).repeat(len(shares))
        weight = (weight[:, None] * shares.double()).reshape(-1)
        kept = weight > 0
        values, weight, soft = values[kept], weight[kept], {other: part[kept] for other, part in soft.items()}
    return rows.replace(values=values, weight=weight, n_represented=table.size, soft={})
