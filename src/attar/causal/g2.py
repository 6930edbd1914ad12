"""G2, the likelihood ratio test of contingency tables: columns that are categories."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import torch
from torch import Tensor

from attar.errors import AttarError
from attar.tables import Table

__all__ = ["EMPTY", "G2"]

EMPTY = 0.5
"""A category that stands for fewer rows than this in a stratum is not there, as where it is rounded to whole rows."""

_DENSE = 2**16
"""Cells of a contingency table up to which all are counted; above it, only strata that occur."""

_AT_ONCE = 2**21
"""Numbers held at once."""


class G2:
    """The test ``G2 = 2 sum n_ijk log(n_ijk n_k / (n_ik n_jk))`` of two columns given others, against the chi-squared distribution;
    counts sum to the table's `size`.

    Degrees of freedom are the sum over strata k of (categories of i there - 1) (categories of j there - 1), where a category counts
    as there if it stands for half a row or more in the stratum: of whole rows, those that occur. No degree of freedom gives p = 1.
    No test is left out for few rows in its cells.

    Args:
        table: of discrete columns, hard or soft.

    Raises:
        AttarError: if a column is continuous or misses values.

    Reference:
        Spirtes, Glymour and Scheines: Causation, Prediction, and Search, 2000 (degrees of freedom without empty rows and columns).
    """

    def __init__(self, table: Table) -> None:
        self.levels = torch.tensor([table.column(name).levels for name in table.names])
        weight = table.shares * table.size
        self.shares: list[Tensor] | None = None
        codes = torch.stack([table.codes(name) for name in table.names], dim=1)
        if table.soft:
            self.codes, self.weight = codes.T, weight
            self.shares = [table.probabilities(name) for name in table.names]
        else:
            distinct, place = codes.unique(dim=0, return_inverse=True)
            self.codes = distinct.T.contiguous()  # (p, rows)
            self.weight = torch.bincount(place, weight, len(distinct))

    def __call__(self, pairs: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Many tests of one order; the contingency table of the same columns is counted once.

        Args:
            pairs: places of the two columns ``(t, 2)``.
            given: places of the others ``(t, k)``.

        Returns:
            Statistic, degrees of freedom and p-value ``(t,)``.
        """
        columns, place = torch.cat([pairs, given], dim=1).sort(dim=1)
        place = place.argsort(dim=1)[:, :2].sort(dim=1).values  # where the pair stands among the sorted columns
        distinct, which = columns.unique(dim=0, return_inverse=True)
        statistic, freedom = torch.empty(2, len(pairs), dtype=torch.float64)
        for sets in self._portions(distinct):
            within = torch.full((len(distinct),), -1)
            within[sets] = torch.arange(len(sets))
            mine = (within[which] >= 0).nonzero()[:, 0]
            levels = self.levels[distinct[sets[0]]].tolist()
            if given.shape[1] and math.prod(levels) > _DENSE and self.shares is None:
                for test in mine.tolist():
                    statistic[test], freedom[test] = _likelihood_ratio(self._occurring(pairs[test], given[test]))
                continue
            tables = self._counted(distinct[sets], levels)
            for first, second in combinations(range(columns.shape[1]), 2):
                tests = mine[(place[mine] == torch.tensor([first, second])).all(dim=1)]
                if len(tests):
                    moved = tables[within[which[tests]]].movedim((first + 1, second + 1), (1, 2))
                    strata = moved.reshape(len(tests), levels[first], levels[second], -1)
                    statistic[tests], freedom[tests] = _likelihood_ratio(strata)
        p = torch.special.gammaincc(freedom.clamp(min=1) / 2, statistic / 2)
        return statistic, freedom, torch.where(freedom > 0, p, torch.ones_like(p))

    def _portions(self, distinct: Tensor) -> Iterator[Tensor]:
        """Sets of columns ``(s, m)`` whose tables have the same shape, no more at once than fit into memory."""
        _, shape = self.levels[distinct].unique(dim=0, return_inverse=True)
        for group in range(int(shape.max()) + 1 if len(shape) else 0):
            sets = (shape == group).nonzero()[:, 0]
            levels = self.levels[distinct[sets[0]]].tolist()
            each = len(self.weight) * (1 if self.shares is None else math.prod(levels[: (len(levels) + 1) // 2]))
            yield from sets.split(max(1, _AT_ONCE // max(math.prod(levels), each)))

    def _counted(self, sets: Tensor, levels: list[int]) -> Tensor:
        """The contingency tables ``(s, levels of the first, of the second, ...)`` of sets of columns ``(s, m)``."""
        cells, many = math.prod(levels), len(sets)
        if self.shares is None:
            cell = torch.arange(many)[:, None]
            for place, count in enumerate(levels):
                cell = cell * count + self.codes[sets[:, place]]
            weight = self.weight.expand_as(cell).reshape(-1)
            return torch.bincount(cell.reshape(-1), weight, many * cells).reshape(many, *levels)
        if cells > 2**24:
            raise AttarError(
                f"Soft rows have {cells:,} cells of {len(levels)} columns, too many to count: test fewer columns at a time, or draw "
                "hard rows by Table.resampled."
            )
        half = (len(levels) + 1) // 2
        left = self._products(sets[:, :half]) * self.weight[:, None]
        return (left.mT @ self._products(sets[:, half:])).reshape(many, *levels)

    def _products(self, sets: Tensor) -> Tensor:
        """Of each soft row how probable each cell of sets of columns is ``(s, n, cells)``."""
        assert self.shares is not None
        found = torch.ones(len(sets), len(self.weight), 1, dtype=torch.float64)
        for place in range(sets.shape[1]):
            part = torch.stack([self.shares[column] for column in sets[:, place].tolist()])
            found = (found[..., None] * part[:, :, None]).reshape(*found.shape[:2], -1)
        return found

    def _occurring(self, pair: Tensor, given: Tensor) -> Tensor:
        """The contingency table ``(1, levels of i, of j, strata)`` of the strata that occur."""
        distinct, stratum = self.codes[given].unique(dim=1, return_inverse=True)
        first, second = self.levels[pair].tolist()
        cell = (self.codes[pair[0]] * second + self.codes[pair[1]]) * distinct.shape[1] + stratum
        return torch.bincount(cell, self.weight, first * second * distinct.shape[1]).reshape(1, first, second, -1)


def _likelihood_ratio(tables: Tensor) -> tuple[Tensor, Tensor]:
    """G2 and its degrees of freedom ``(t,)`` of contingency tables ``(t, levels of i, of j, strata)``."""
    rows, columns = tables.sum(dim=2), tables.sum(dim=1)
    strata = rows.sum(dim=1)
    ratio = tables * strata[:, None, None] / (rows[:, :, None] * columns[:, None])
    terms = torch.xlogy(tables, torch.where(tables > 0, ratio, torch.ones_like(ratio)))
    there = [((margin >= EMPTY).sum(dim=1) - 1).clamp(min=0) for margin in (rows, columns)]
    return 2 * terms.sum(dim=(1, 2, 3)).clamp(min=0), (there[0] * there[1]).sum(dim=1).double()
