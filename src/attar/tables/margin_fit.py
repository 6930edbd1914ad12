"""Rows of free probabilities and weights, moved by gradient until their margins are those of a table.

With shares ``f`` of the cells of the table's margins, ``m`` of the rows' and the table's size ``n``, what falls is

    mean over margins of  2 n KL(f || m)   +   statistics * mean over tests of d (log(d + G_f) - log(d + G_m))^2.

The first term is the G statistic of the table against the rows. The second compares ``G = 2 n I(x; y | z)`` of every pair of columns
given the others of each part of a family, with d degrees of freedom, which is all that tests of independence read of these margins.
Where G is what chance makes it, near d, a test's term is about half its squared difference in standard errors; where columns are strongly
dependent it is relative to how strongly. I is a sum of entropies of margins, so all tests cost little more than the margins.

Reference:
    Wilks, "The Likelihood Ratio Test of Independence", Annals of Mathematical Statistics 1935, for G.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from attar.tables.margins import Cells, Margins
from attar.tables.table import Table

__all__ = ["Aim", "descended"]

_NOUGHT = 1e-3  # of a row, which is what an empty cell counts as
_EMPTY = 0.1  # of a row, likewise where rows are looked for: a single empty cell is not to decide
_CHUNK = 2_048  # rows at a time, which bounds the memory


@dataclass(frozen=True, eq=False)
class Aim:
    """What the rows are to keep.

    Args:
        cells: of all parts of all families.
        target: the shares that these have ``(cells,)``.
        size: how many rows the shares are those of.
        tests: places of the families xz, yz, xyz and z of each test ``(tests, 4)``; of an empty z the number of families.
        freedom: degrees of freedom of each test where no cell is empty ``(tests,)``.
        statistics: what the tests' statistics weigh against the margins.
    """

    cells: Cells
    target: Tensor
    size: float
    tests: Tensor
    freedom: Tensor
    statistics: float

    @classmethod
    def of(cls, table: Table, margins: Margins, statistics: float) -> Self:
        """Of a table, hard or soft.

        Raises:
            AttarError: if a column is continuous or misses values.
        """
        cells = Cells.of(table, margins.closure)
        place = {frozenset(part): index for index, part in enumerate(margins.closure)} | {
            frozenset(): len(margins.closure)
        }
        levels = dict(zip(cells.columns, cells.levels, strict=True))
        tests, freedom = [], []
        for part in margins.closure:
            whole = math.prod(levels[name] for name in part)
            for x, y in itertools.combinations(part, 2):
                z = frozenset(part) - {x, y}
                tests.append((place[z | {x}], place[z | {y}], place[frozenset(part)], place[z]))
                freedom.append(whole * (1 - 1 / levels[x]) * (1 - 1 / levels[y]))
        places = torch.tensor(tests, dtype=torch.int64).reshape(-1, 4)
        free = torch.tensor(freedom, dtype=torch.float64).clamp(min=1.0)  # a column of one category is independent
        return cls(cells, cells.shares(table), table.size, places, free, statistics)

    def g(self, shares: Tensor) -> Tensor:
        """The G statistic of each test ``(tests,)``."""
        entropy = self.cells.entropies(shares)
        xz, yz, xyz, z = torch.cat([entropy, entropy.new_zeros(1)])[self.tests].unbind(dim=1)
        return (2 * self.size * (xz + yz - xyz - z)).clamp(min=0.0)

    @cached_property
    def _wanted(self) -> Tensor:
        return (self.freedom + self.g(self.target)).log()

    def loss(self, probabilities: Tensor, share: Tensor) -> Tensor:
        """What falls, of rows as tensors ``(k, sum of levels)`` and ``(k,)``."""
        shares = self.cells.counted(probabilities, share)
        least = _NOUGHT / self.size
        apart = torch.xlogy(self.target, (self.target + least) / (shares + least)).sum()
        loss = 2 * self.size * apart / self.cells.families
        if self.statistics and len(self.tests):
            off = (self.freedom + self.g(shares)).log() - self._wanted
            loss = loss + self.statistics * (self.freedom * off.square()).mean()
        return loss

    def pull(self, probabilities: Tensor, shares: Tensor) -> Tensor:
        """How much ``sum over margins of f log m`` rises with the share of each row ``(n,)``.

        Args:
            probabilities: of the rows ``(n, sum of levels)``.
            shares: m of the cells ``(cells,)``.
        """
        ratio = self.target / (shares + _EMPTY / self.size)
        found = []
        for part in probabilities.split(_CHUNK):
            share = part.new_zeros(len(part), requires_grad=True)
            found.extend(torch.autograd.grad(self.cells.counted(part, share), share, ratio))
        return torch.cat(found)


def descended(start: list[Tensor], loss: Callable[..., Tensor], steps: int) -> list[Tensor]:
    """Parameters after at most that many steps of L-BFGS; the loss never rises.

    Args:
        start: of the parameters, which stay as they are.
        loss: of the parameters, a scalar.
        steps: at most; one reads the loss and its gradient once or twice.
    """
    free = [parameter.clone().requires_grad_() for parameter in start]
    optimiser = torch.optim.LBFGS(
        free, max_iter=steps, max_eval=2 * steps, history_size=20, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def read() -> Tensor:
        optimiser.zero_grad()
        found = loss(*free)
        found.backward()
        return found

    optimiser.step(read)
    return [parameter.detach() for parameter in free]
