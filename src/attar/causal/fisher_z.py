"""Fisher's z: partial correlations of columns that are numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attar.causal.moments import COLLINEAR, moments, swept
from attar.tables import Table

__all__ = ["FisherZ"]


class FisherZ:
    """The test ``z = sqrt(n - |K| - 3) |artanh r|`` of the partial correlation r of two columns given others, against the normal
    distribution on both sides; n is the table's `size`.

    A column that is constant, or that the given ones determine (up to `COLLINEAR`), is independent of every other one. Given
    columns that are constant or collinear are passed over, and still count in |K|. Where n - |K| - 3 is not above 0 there is
    nothing to decide on: the statistic is 0 and p is 1. A correlation of 1 is read as the last number below 1.

    Args:
        table: of columns that are numbers.

    Raises:
        AttarError: if a column has more than two categories without an order, or misses values.

    Reference:
        Kalisch and Bühlmann: Estimating high-dimensional directed acyclic graphs with the PC-algorithm, JMLR 2007.
    """

    def __init__(self, table: Table) -> None:
        table.numbers()  # refuses categories without an order
        self.correlation = moments(table, table.names).correlation
        self.size = table.size

    def __call__(self, pairs: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Many tests of one order.

        Args:
            pairs: places of the two columns ``(t, 2)``.
            given: places of the others ``(t, k)``.

        Returns:
            Statistic, degrees of freedom ``n - k - 3`` and p-value ``(t,)``.
        """
        order = given.shape[1]
        places = torch.cat([given, pairs], dim=1)
        left, _ = swept(self.correlation[places[:, :, None], places[:, None, :]], order)
        variance = left.diagonal(dim1=-2, dim2=-1)
        known = (variance > COLLINEAR).all(dim=1)
        scale = torch.where(known, variance.prod(dim=1), torch.ones(len(places), dtype=torch.float64)).sqrt()
        partial = torch.where(known, left[:, 0, 1] / scale, torch.zeros_like(scale)).abs()
        freedom = self.size - order - 3
        statistic = math.sqrt(max(freedom, 0.0)) * partial.clamp(max=1 - torch.finfo(torch.float64).eps).atanh()
        return statistic, torch.full_like(statistic, freedom), torch.special.erfc(statistic / math.sqrt(2))
