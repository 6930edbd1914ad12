"""Margins of discrete tables: which contingency tables are kept, how many numbers they are, and how far two tables differ in them.

A margin is the contingency table of a family of columns. Those of all families of k columns hold what a test of independence of
order k - 2 reads, those of each node with its parents what a network of the given graph reads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from attar.errors import AttarError
from attar.tables.statistics import Statistics
from attar.tables.table import Table

__all__ = ["Cells", "Gap", "Margins"]

_CHUNK = 2_048  # rows at a time, which bounds the memory
_MOST = 50_000_000  # cells that are counted at once
_BYTES = 2**31  # that indicators may take


@dataclass(frozen=True)
class Gap:
    """How far the margins of two tables are apart, all in shares of the whole.

    Args:
        cell: the largest difference of any cell of any margin.
        variation: the largest total variation distance (half the sum of differences) of any margin.
        mean_variation: that distance on average over the margins.
        family: the columns of the margin whose distance is the largest.
    """

    cell: float
    variation: float
    mean_variation: float
    family: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.cell:.3g} in a cell, {self.variation:.3g} in total variation at most ({', '.join(self.family)}), "
            f"{self.mean_variation:.3g} on average"
        )


@dataclass(frozen=True)
class Margins:
    """The families of columns whose contingency tables are kept, and with these those of all of their parts.

    Args:
        families: names of the columns of each.

    Raises:
        AttarError: if there is no family, or one is empty or names a column twice.

    Example:
        >>> Margins.of_order(["a", "b", "c"], 2).families
        (('a', 'b'), ('a', 'c'), ('b', 'c'))
    """

    families: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not self.families:
            raise AttarError("There is no family of columns to keep a contingency table of: give one at least.")
        for family in self.families:
            if not family or len(set(family)) < len(family):
                raise AttarError(f"The family ({', '.join(family)}) is empty or names a column twice.")

    @classmethod
    def of_order(cls, names: Sequence[str], order: int) -> Self:
        """Every margin of up to the given number of columns.

        Args:
            names: of the columns.
            order: how many a family has; a test of independence given q columns reads margins of order q + 2.

        Raises:
            AttarError: if there are fewer columns than that.
        """
        if not 1 <= order <= len(names):
            raise AttarError(f"Margins of order {order} of {len(names)} columns: the order is 1 to {len(names)}.")
        return cls(tuple(itertools.combinations(names, order)))

    @classmethod
    def of_families(cls, parents: Mapping[str, Sequence[str]]) -> Self:
        """Every node of a graph with its parents.

        Args:
            parents: names of the parents of each node.
        """
        families = [(node, *of) for node, of in parents.items()]
        sets = [set(family) for family in families]
        kept = [
            family
            for place, family in enumerate(families)
            if not any(
                sets[place] < other or (sets[place] == other and earlier < place) for earlier, other in enumerate(sets)
            )
        ]
        return cls(tuple(kept))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns that some family has, in the order of their first one."""
        return tuple(dict.fromkeys(name for family in self.families for name in family))

    @cached_property
    def closure(self) -> tuple[tuple[str, ...], ...]:
        """All families and all of their parts but the empty one, each once, smaller ones first, columns in the order of `names`."""
        place = {name: index for index, name in enumerate(self.names)}
        found: set[tuple[int, ...]] = set()
        for family in self.families:
            ordered = sorted(place[name] for name in family)
            for size in range(1, len(ordered) + 1):
                found.update(itertools.combinations(ordered, size))
        ranked = sorted(found, key=lambda part: (len(part), part))
        return tuple(tuple(self.names[index] for index in part) for part in ranked)

    @property
    def kept(self) -> Statistics:
        """What rows with these margins keep."""
        sets = {frozenset(family) for family in self.families}
        order = min(map(len, sets))
        every = len(sets) == math.comb(len(self.names), order) and all(len(family) == order for family in sets)
        return Statistics(columns=order) if every else Statistics(families=self.families)

    def independent(self, table: Table) -> int:
        """How many cells of these margins tell all the others, where no category is ruled out by others: the sum over all parts
        of families of ``prod(levels - 1)``. With the sum of weights, which is one number more, an exact vertex has no more rows.

        Raises:
            AttarError: if a column is continuous.
        """
        levels = _levels(table, self.names)
        return sum(math.prod(levels[name] - 1 for name in part) for part in self.closure)

    def refuse_many(self, table: Table) -> None:
        """Refuse more rows and independent cells than can be computed with.

        Raises:
            AttarError: if a column is continuous, or if they would take more than 2 GiB as float64.
        """
        count = self.independent(table)
        if len(table) * count * 8 > _BYTES:
            raise AttarError(
                f"{count:,} independent cells of {len(table):,} rows take more than 2 GiB: keep margins of a lower order, or of "
                "fewer columns."
            )

    def indicators(self, table: Table) -> Tensor:
        """What each row adds to the independent cells: of every part of a family the products of the indicators of all
        categories but the first, without those that no row has.

        Returns:
            Noughts and ones ``(n, at most independent cells)``, bool.

        Raises:
            AttarError: if a column is continuous, soft or misses values, or if they would take more than 2 GiB as float64.
        """
        refuse_soft(table, self.names)
        levels = _levels(table, self.names)
        self.refuse_many(table)
        start = dict(zip(self.names, itertools.accumulate([0, *levels.values()]), strict=False))
        length = max(len(part) for part in self.closure)
        ones = sum(levels.values())
        columns = [
            (*cell, *(ones,) * (length - len(part)))
            for part in self.closure
            for cell in itertools.product(*(range(start[name] + 1, start[name] + levels[name]) for name in part))
        ]
        held = [table.probabilities(name).bool() for name in self.names]
        row = torch.cat([*held, torch.ones(len(table), 1, dtype=torch.bool)], dim=1)
        index = torch.tensor(columns, dtype=torch.int64).reshape(-1, length).T
        found = row[:, index[0]]
        for place in index[1:]:
            found &= row[:, place]
        return found[:, found.any(dim=0)]

    def rank(self, table: Table) -> int:
        """How many independent cells these margins have on the rows that there are, where some categories may rule out others.

        Raises:
            AttarError: as `indicators` does.
        """
        columns = self.indicators(table).unique(dim=0).double()
        constant = torch.ones(len(columns), 1, dtype=torch.float64)
        return int(torch.linalg.matrix_rank(torch.cat([constant, columns], dim=1))) - 1

    def gap(self, of: Table, to: Table) -> Gap:
        """How far the margins of a table are from those of another, each in shares; hard or soft.

        Raises:
            AttarError: if the tables differ in the categories of a column, or one is continuous or misses values.
        """
        cells = Cells.of(to, self.families)
        for name in self.names:
            if of.column(name).categories != to.column(name).categories:
                raise AttarError(
                    f"Column '{name}' has other categories in one table than in the other: they have no margins in common."
                )
        apart = (cells.shares(of) - cells.shares(to)).abs()
        variation = cells.sums(apart) / 2
        worst = int(variation.argmax())
        return Gap(float(apart.max()), float(variation[worst]), float(variation.mean()), self.families[worst])


class Cells:
    """The cells of many margins in one vector, which is made of the rows by few products of matrices and can be differentiated.

    Each family is cut in two halves. What a row adds to a cell is the product of what it adds to the halves of the cell, so the
    cells of all families with the same first half are one product of matrices.

    Args:
        names: of the columns that the probabilities have, in order.
        levels: how many categories each has.
        families: names of the columns of each.

    Attributes:
        family: of each cell the place of its family ``(cells,)``.
        columns: names of the columns.
        levels: how many categories each has.
    """

    def __init__(self, names: Sequence[str], levels: Sequence[int], families: Sequence[Sequence[str]]) -> None:
        self.columns, self.levels, self.families = tuple(names), tuple(levels), len(families)
        size = dict(zip(names, levels, strict=True))
        count = sum(math.prod(size[name] for name in family) for family in families)
        if count > _MOST:
            raise AttarError(
                f"These margins have {count:,} cells, and {_MOST:,} can be counted: keep lower orders, or fewer columns."
            )
        groups: dict[tuple[str, ...], list[tuple[int, tuple[str, ...]]]] = {}
        for place, family in enumerate(families):
            cut = (len(family) + 1) // 2
            groups.setdefault(tuple(family[:cut]), []).append((place, tuple(family[cut:])))
        seconds = sorted(
            {second for group in groups.values() for _, second in group}, key=lambda half: (len(half), half)
        )
        start = dict(zip(names, itertools.accumulate([0, *levels]), strict=False))
        self._left = _products(list(groups), start, size)
        self._right = _products(seconds, start, size)
        width = [math.prod(size[name] for name in second) for second in seconds]
        first = dict(zip(seconds, itertools.accumulate([0, *width]), strict=False))
        span = dict(zip(seconds, width, strict=True))
        self._blocks: list[tuple[int, Tensor]] = []
        owner = []
        for half, group in groups.items():
            rows = math.prod(size[name] for name in half)
            places = [torch.arange(first[second], first[second] + span[second]) for _, second in group]
            self._blocks.append((rows, torch.cat(places)))
            owners = torch.cat([torch.full((span[second],), place) for place, second in group])
            owner.append(owners.repeat(rows))
        self.family = torch.cat(owner)

    @classmethod
    def of(cls, table: Table, families: Sequence[Sequence[str]]) -> Self:
        """The cells that families of columns of a table have.

        Raises:
            AttarError: if a column is continuous, or there are more than fifty million cells.
        """
        levels = _levels(table, tuple(dict.fromkeys(name for family in families for name in family)))
        return cls(list(levels), list(levels.values()), families)

    def shares(self, table: Table) -> Tensor:
        """What each cell has of the whole of a table, hard or soft: ``(cells,)``, float64."""
        found = torch.zeros(len(self.family), dtype=torch.float64)
        for rows in torch.arange(len(table)).split(_CHUNK):
            part = table.take(rows)
            found += self.counted(self.probabilities(part), table.shares[rows])
        return found

    def probabilities(self, table: Table) -> Tensor:
        """How probable each category of each column is in each row ``(n, sum of levels)``, float64."""
        return torch.cat([table.probabilities(name) for name in self.columns], dim=1)

    def counted(self, probabilities: Tensor, share: Tensor) -> Tensor:
        """The same of rows as tensors.

        Args:
            probabilities: of all categories of all columns ``(n, sum of levels)``.
            share: of the rows ``(n,)``.

        Returns:
            ``(cells,)``
        """
        row = torch.cat([probabilities, probabilities.new_ones(len(probabilities), 1)], dim=1)
        left, right = row[:, self._left[0]] * share[:, None], row[:, self._right[0]]
        for index in self._left[1:]:
            left = left * row[:, index]
        for index in self._right[1:]:
            right = right * row[:, index]
        found: Tensor = _Crossed.apply(left, right, self._blocks)
        return found

    def sums(self, values: Tensor) -> Tensor:
        """The sum of a value ``(cells,)`` over the cells of each family ``(families,)``."""
        return values.new_zeros(self.families).index_add(0, self.family, values)

    def entropies(self, shares: Tensor) -> Tensor:
        """Shannon entropy of each family's margin, in nats ``(families,)``."""
        return -self.sums(torch.xlogy(shares, shares.clamp(min=torch.finfo(shares.dtype).tiny)))


class _Crossed(torch.autograd.Function):
    """Products ``left' right`` of blocks of columns, in one vector; backwards no block is written out in full width."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, blocks: list[tuple[int, Tensor]]) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.blocks = blocks
        halves = left.split([rows for rows, _ in blocks], dim=1)
        return torch.cat(
            [(half.T @ right[:, places]).flatten() for half, (_, places) in zip(halves, blocks, strict=True)]
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        left, right = ctx.saved_tensors
        of_left, of_right = [], torch.zeros_like(right)
        halves = left.split([rows for rows, _ in ctx.blocks], dim=1)
        parts = grads[0].split([rows * len(places) for rows, places in ctx.blocks])
        for half, part, (rows, places) in zip(halves, parts, ctx.blocks, strict=True):
            block = part.reshape(rows, -1)
            of_left.append(right[:, places] @ block.T)
            of_right.index_add_(1, places, half @ block)
        return torch.cat(of_left, dim=1), of_right, None


def _products(halves: Sequence[Sequence[str]], start: Mapping[str, int], levels: Mapping[str, int]) -> Tensor:
    """Which columns' product each cell of each half is ``(longest half, cells)``; the column of ones fills up shorter ones."""
    length = max(1, *(len(half) for half in halves))
    ones = sum(levels.values())
    cells = [
        (*cell, *(ones,) * (length - len(half)))
        for half in halves
        for cell in itertools.product(*(range(start[name], start[name] + levels[name]) for name in half))
    ]
    return torch.tensor(cells, dtype=torch.int64).reshape(-1, length).T.contiguous()


def refuse_soft(table: Table, names: Sequence[str]) -> None:
    """Refuse rows that are distributions where categories are counted one by one.

    Raises:
        AttarError: if one of the columns is soft.
    """
    for name in names:
        if name in table.soft:
            raise AttarError(
                f"Column '{name}' is soft, and rows with categories are needed: round it, or draw rows from it."
            )


def _levels(table: Table, names: Sequence[str]) -> dict[str, int]:
    """How many categories each column has."""
    for name in names:
        if not table.column(name).discrete:
            raise AttarError(f"Column '{name}' is continuous, so it has no categories to count.")
    return {name: table.column(name).levels for name in names}
