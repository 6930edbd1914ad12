"""Decisions on independence, as many as were asked for, and how far two tables agree on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attar.errors import AttarError

__all__ = ["Agreement", "Decisions", "agreement"]


@dataclass(frozen=True, eq=False)
class Decisions:
    """Tests of columns i and j given K, one a place.

    Args:
        names: of the table's columns.
        test: its name.
        alpha: level at which independence is rejected, which is where ``p <= alpha``.
        size: the sample size that was read.
        pairs: places of i and j ``(t, 2)``, i < j.
        given: places of K ``(t, order)``, -1 where K has fewer columns.
        statistic: ``(t,)``; the larger, the more dependent.
        freedom: degrees of freedom ``(t,)``.
        p: p-values ``(t,)``.
        valid: whether the p-value holds at that sample size ``(t,)``.
    """

    names: tuple[str, ...]
    test: str
    alpha: float
    size: float
    pairs: Tensor
    given: Tensor
    statistic: Tensor
    freedom: Tensor
    p: Tensor
    valid: Tensor

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def reject(self) -> Tensor:
        """Where independence is rejected ``(t,)``: i and j are dependent given K."""
        return self.p <= self.alpha

    @property
    def order(self) -> Tensor:
        """The number of columns in K ``(t,)``."""
        return (self.given >= 0).sum(dim=1)

    def columns(self, place: int) -> tuple[str, ...]:
        """The names of i and j of one test, and of the columns in K."""
        return tuple(self.names[k] for k in (*self.pairs[place].tolist(), *self.given[place].tolist()) if k >= 0)


@dataclass(frozen=True)
class Agreement:
    """How far the decisions of one table are those of another, the reference.

    Args:
        tests: how many were compared.
        equal: share of equal decisions.
        kappa: Cohen's: what of the agreement is beyond chance, at most 1; NaN where both decide all tests alike, so that chance
            explains everything.
        lost: share of the reference's dependences that are not found; NaN where it has none.
        invented: share of the reference's independences that are rejected; NaN where it has none.
        lost_count: how many are lost.
        invented_count: how many are invented.
        spearman: rank correlation of the statistics, ties at their mean rank; NaN where one side's are all the same.
    """

    tests: int
    equal: float
    kappa: float
    lost: float
    invented: float
    lost_count: int
    invented_count: int
    spearman: float


def agreement(of: Decisions, to: Decisions) -> Agreement:
    """Compare decisions with those of a reference, such as the full data's.

    Args:
        of: decisions that are judged.
        to: the reference; of the same tests of the same columns.

    Raises:
        AttarError: if these are not the same tests.
    """
    same = of.names == to.names and of.test == to.test
    if not (same and torch.equal(of.pairs, to.pairs) and torch.equal(of.given, to.given)):
        raise AttarError(
            "Decisions are compared test by test, and these are of other columns, another test or another order: ask both tables for "
            "the same."
        )
    found, true, tests = of.reject, to.reject, len(of)
    if not tests:
        raise AttarError("There is no test to compare: a table needs two columns or more.")
    lost, invented = int((true & ~found).sum()), int((found & ~true).sum())
    equal = 1 - (lost + invented) / tests
    share, reference = float(found.double().mean()), float(true.double().mean())
    chance = share * reference + (1 - share) * (1 - reference)
    dependent = int(true.sum())
    return Agreement(
        tests=tests,
        equal=equal,
        kappa=(equal - chance) / (1 - chance) if chance < 1 else math.nan,
        lost=lost / dependent if dependent else math.nan,
        invented=invented / (tests - dependent) if tests > dependent else math.nan,
        lost_count=lost,
        invented_count=invented,
        spearman=_correlation(_ranks(of.statistic), _ranks(to.statistic)),
    )


def _ranks(x: Tensor) -> Tensor:
    """Ranks from 0 ``(t,)``, float64, ties at their mean."""
    _, place, count = x.unique(return_inverse=True, return_counts=True)
    last = count.cumsum(dim=0).double()
    return (last - (count.double() + 1) / 2)[place]


def _correlation(x: Tensor, y: Tensor) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float((x.square().sum() * y.square().sum()).sqrt())
    return float(x @ y) / scale if scale > 0 else math.nan
