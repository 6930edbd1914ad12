"""Latent classes: a table of categories as a mixture of distributions whose columns are independent, fitted by EM.

A class is a soft row and its share is the row's weight, so a fitted mixture is a distilled table of that form, the likeliest one.

Reference:
    Dempster, Laird and Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm", JRSS B 1977.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attar.errors import AttarError

__all__ = ["LatentClasses", "fitted"]

_CHUNK = 4_096  # rows at a time, which bounds the memory
_LEAST = 1e-300  # whose logarithm is finite
_OWN = 0.5  # of its first row a class starts with, the rest being the shares of all rows


@dataclass(frozen=True)
class LatentClasses:
    """A mixture of k distributions over the categories of some columns.

    Args:
        share: of each class ``(k,)``, which sum to 1.
        probabilities: of all categories of all columns in each class ``(k, sum of levels)``.
        likelihood: mean log-likelihood of a row before each step and after the last one, in nats.
    """

    share: Tensor
    probabilities: Tensor
    likelihood: tuple[float, ...]


def fitted(
    rows: Tensor,
    weight: Tensor,
    levels: list[int],
    classes: int,
    generator: torch.Generator,
    *,
    steps: int = 200,
    tolerance: float = 1e-6,
) -> LatentClasses:
    """Fit a mixture to weighted rows; each step is at least as likely as the one before. Memory is that of ``rows`` and of
    4,096 of them by classes.

    Args:
        rows: indicators of the categories of all columns ``(n, sum of levels)``, distinct rows of a table.
        weight: of the rows ``(n,)``.
        levels: how many categories each column has.
        classes: how many; each starts at a row of its own, drawn by weight.
        generator: draws the rows to start from.
        steps: at most.
        tolerance: what a step has to gain in mean log-likelihood, in nats, for another one.

    Raises:
        AttarError: if there are more classes than rows.
    """
    if not 1 <= classes <= len(rows):
        raise AttarError(f"{classes:,} soft rows of {len(rows):,} distinct ones: give 1 to {len(rows):,}.")
    rows, weight = rows.double(), weight.double() / weight.double().sum()
    start = torch.multinomial(weight, classes, replacement=False, generator=generator)
    probabilities = _OWN * rows[start] + (1 - _OWN) * (weight @ rows)
    share = torch.full((classes,), 1 / classes, dtype=torch.float64)
    likelihood = []
    for _ in range(steps):
        found, mass, sums = _expected(rows, weight, share, probabilities)
        likelihood.append(found)
        if len(likelihood) > 1 and likelihood[-1] - likelihood[-2] < tolerance:
            break
        share = mass / mass.sum()
        probabilities = _each_to_one(torch.where(mass[:, None] > _LEAST, sums, probabilities), levels)
    else:
        likelihood.append(_expected(rows, weight, share, probabilities)[0])
    return LatentClasses(share, probabilities, tuple(likelihood))


def _expected(rows: Tensor, weight: Tensor, share: Tensor, probabilities: Tensor) -> tuple[float, Tensor, Tensor]:
    """Mean log-likelihood, and of each class the expected share ``(k,)`` and sums of indicators ``(k, sum of levels)``."""
    log_share, log = share.clamp(min=_LEAST).log(), probabilities.clamp(min=_LEAST).log()
    likelihood, mass, sums = 0.0, torch.zeros_like(share), torch.zeros_like(probabilities)
    for part, by in zip(rows.split(_CHUNK), weight.split(_CHUNK), strict=True):
        joint = part @ log.T + log_share
        whole = joint.logsumexp(dim=1, keepdim=True)
        likelihood += float(by @ whole[:, 0])
        belongs = (joint - whole).exp() * by[:, None]
        mass += belongs.sum(dim=0)
        sums += belongs.T @ part
    return likelihood, mass, sums


def _each_to_one(sums: Tensor, levels: list[int]) -> Tensor:
    """Divide the categories of each column by their sum."""
    return torch.cat([part / part.sum(dim=1, keepdim=True) for part in sums.split(levels, dim=1)], dim=1)
