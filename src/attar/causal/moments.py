"""Means, covariances and what is left of them after regression: all of a table that linear Gaussian statistics read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attar.errors import AttarError
from attar.tables import Column, Table
from attar.tables.moments import mean_and_covariance

__all__ = ["COLLINEAR", "CONSTANT", "Covariances", "design", "moments", "swept"]

CONSTANT = 1e-10
"""A column whose standard deviation is at most this share of its largest magnitude holds one value, up to rounding."""

COLLINEAR = 1e-10
"""A column of which others leave at most this share of its variance is determined by them, up to rounding."""


@dataclass(frozen=True, eq=False)
class Covariances:
    """Weighted mean and covariance of a table's columns as numbers.

    Args:
        mean: ``(d,)``.
        covariance: ``(d, d)``, divided by the number of rows and not one less; rows and columns of constants are 0.
        groups: which of the d columns each column of the table became.
    """

    mean: Tensor
    covariance: Tensor
    groups: dict[str, slice]

    @property
    def deviation(self) -> Tensor:
        """Standard deviations ``(d,)``; 0 of constants."""
        return self.covariance.diagonal().sqrt()

    @property
    def correlation(self) -> Tensor:
        """``(d, d)``, with rows and columns of 0 for constants, diagonal included."""
        scale = self.deviation
        inverse = torch.where(scale > 0, 1 / scale, torch.zeros_like(scale))
        return self.covariance * inverse[:, None] * inverse


def design(table: Table, names: Sequence[str]) -> tuple[Tensor, dict[str, slice]]:
    """Columns as numbers ``(n, d)``: of a categorical column with more than two categories the probability of each, of others their
    numbers (see `Table.numbers`); and which of the d each became.

    Raises:
        AttarError: if a column is not there or misses values.
    """
    parts: list[Tensor] = [torch.empty(len(table), 0, dtype=torch.float64)]
    groups, start = {}, 0
    for name in names:
        part = table.probabilities(name) if _one_hot(table.column(name)) else table.numbers([name])
        missing = int(part.isnan().any(dim=1).sum())
        if missing:
            raise AttarError(f"Column '{name}' misses {missing:,} values: fill them in, or leave out these rows.")
        groups[name] = slice(start, start + part.shape[1])
        start += part.shape[1]
        parts.append(part)
    return torch.cat(parts, dim=1), groups


def moments(table: Table, names: Sequence[str]) -> Covariances:
    """Mean and covariance by the rows' shares. A soft row is the distribution that it stands for: the variance within its soft cells
    is in the covariance, too.

    Raises:
        AttarError: as `design` does.
    """
    x, groups = design(table, names)
    mean, covariance = mean_and_covariance(x, table.shares)
    for name in names:
        if name in table.soft:
            place = groups[name]
            covariance[place, place] += _within(table, name, x[:, place])
    constant = (
        covariance.diagonal().sqrt() <= CONSTANT * x.abs().amax(dim=0) if len(x) else torch.ones(x.shape[1]).bool()
    )
    covariance[constant] = 0.0
    covariance[:, constant] = 0.0
    return Covariances(mean, covariance, groups)


def swept(correlation: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """What is left of correlations after the regression of all columns on the first ones.

    One by one, each of the first columns is taken out of all others; one that those before it determine is passed over, so that
    the first columns may be constant or collinear.

    Args:
        correlation: ``(..., d, d)``.
        count: how many columns to regress on.

    Returns:
        Covariances of the residuals of the other columns ``(..., d - count, d - count)``, and the rank of the first ``(...)``.
    """
    left, rank = correlation, torch.zeros(correlation.shape[:-2], dtype=torch.int64)
    for place in range(count):
        pivot = left[..., place, place]
        kept = pivot > COLLINEAR
        factor = left[..., :, place] / torch.where(kept, pivot, torch.inf)[..., None]
        left = left - factor[..., :, None] * left[..., place, None, :]
        rank = rank + kept
    return left[..., count:, count:], rank


def _one_hot(column: Column) -> bool:
    return column.kind == "categorical" and column.levels > 2


def _within(table: Table, name: str, mean: Tensor) -> Tensor:
    """The mean over soft rows of the covariance within a cell ``(width, width)``, from the cells' means ``(n, width)``."""
    column = table.column(name)
    if _one_hot(column):
        scale = torch.eye(column.levels, dtype=torch.float64)
    else:
        scale = Table(torch.arange(column.levels, dtype=torch.float64)[:, None], (column,)).numbers()
    shares = table.shares
    second = scale.T * (shares @ table.probabilities(name)) @ scale
    return second - (mean * shares[:, None]).T @ mean
