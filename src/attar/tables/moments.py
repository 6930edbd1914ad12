"""A table's mean and covariance, and few rows that have just these: whatever reads no more finds the same in them.

Of columns as numbers, correlations, partial correlations (Fisher-z tests), linear regressions and Gaussian scores are functions
of the mean, the covariance and the sample size alone. Rows that keep the first two, and say by `Table.n_represented` for how
many they stand, keep all of these. `Moments.rows` makes the fewest rows there are, which nobody has measured; `real_rows`
weighs some of those that somebody has.

Two tables stand for as many rows as their sizes say, so their union is both, weighted by size: this is how blocks of a stream,
and sets that were made apart, come together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce

import torch
from torch import Tensor

from attar.errors import AttarError
from attar.tables.columns import Column
from attar.tables.statistics import Statistics
from attar.tables.table import Table
from attar.tables.vertex import vertex

__all__ = [
    "Leaves",
    "Moments",
    "as_numbers",
    "mean_and_covariance",
    "real_row_ids",
    "real_rows",
    "real_rows_of_stream",
]

_CHUNK = 16_384  # rows at a time
_SINGULAR = 1e-14  # by the number of columns: below, rounding made an eigenvalue of the correlations
_SLACK = 1e-9  # what a value may leave a range by, in widths of it, or a whole number: rounding


def as_numbers(table: Table) -> Table:
    """The table with columns of numbers only, in as many rows.

    Continuous and ordinal columns, and those of two categories, keep their names and are as in `Table.numbers`. Any other column
    ``city`` becomes a column ``city=Rome`` of ones and noughts for each of its categories.

    Raises:
        AttarError: if there are no rows, values are missing, or rows are soft.
    """
    _check(table)
    values = [
        table.probabilities(column.name) if _wide(column) else table.numbers([column.name]) for column in table.columns
    ]
    columns = tuple(number for column in table.columns for number in _numbers(column))
    kept = None if table.kept is None else table.kept.of_numbers()
    return Table(torch.cat(values, dim=1), columns, table.weight, table.n_represented, kept=kept)


@dataclass(frozen=True)
class Leaves:
    """Where rows of numbers are unlike those of their source, by the names of its columns.

    Args:
        beyond: continuous columns with values below the smallest of the source, or above the largest.
        unlike: columns of whole numbers, or of categories, with values that are none.
    """

    beyond: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What a card says of it."""
        found = []
        if self.beyond:
            found.append(f"leave the range of the source in {', '.join(self.beyond)}")
        if self.unlike:
            found.append(f"are no whole numbers or categories, as those of the source, in {', '.join(self.unlike)}")
        return f"Values {', and '.join(found) or 'keep to the ranges and types of the source'}."


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of a table's p columns as q numbers (see `as_numbers`).

    Args:
        columns: of the source, continuous ones with the smallest and largest value.
        size: how many rows they stand for.
        mean: of the numbers ``(q,)``, float64, in the units of the source.
        covariance: of the numbers ``(q, q)``, float64: the maximum-likelihood one, which divides by the size.

    Example:
        >>> table = Table(torch.tensor([[0.0], [2.0], [4.0], [6.0]]), (Column("dose"),))
        >>> few = Moments.of(table).rows()
        >>> few.values.T, few.size
        (tensor([[5.2361, 0.7639]], dtype=torch.float64), 4.0)
    """

    columns: tuple[Column, ...]
    size: float
    mean: Tensor = field(repr=False)
    covariance: Tensor = field(repr=False)

    @classmethod
    def of(cls, table: Table) -> Moments:
        """Those of a table's rows, by their weights.

        Raises:
            AttarError: if there are no rows, values are missing, or rows are soft.
        """
        values, columns = as_numbers(table).values, _ranged(table)
        parts = zip(values.split(_CHUNK), (table.shares * table.size).split(_CHUNK), strict=True)
        found = reduce(cls.merge, (cls(columns, float(mass.sum()), *mean_and_covariance(x, mass)) for x, mass in parts))
        return replace(found, size=table.size)

    @classmethod
    def of_stream(cls, tables: Iterable[Table]) -> Moments:
        """Those of the union of tables with the same columns, which are read once, one at a time.

        Raises:
            AttarError: if there is none, or their columns differ, or `of` raises.
        """
        found = reduce(lambda first, then: then if first is None else first.merge(then), map(cls.of, tables), None)
        if found is None:
            raise AttarError("The stream holds no table: give one at least.")
        return found

    def merge(self, other: Moments) -> Moments:
        """Those of the union: the same in any order, and however rows were told apart, to rounding.

        Raises:
            AttarError: if the columns differ.

        Reference:
            Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
        """
        columns = _union(self.columns, other.columns)
        size = self.size + other.size
        mine, its = self.size / size, other.size / size
        apart = other.mean - self.mean
        covariance = mine * self.covariance + its * other.covariance + mine * its * torch.outer(apart, apart)
        return Moments(columns, size, self.mean + its * apart, covariance)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the q numbers."""
        return tuple(number.name for column in self.columns for number in _numbers(column))

    @property
    def rank(self) -> int:
        """The rank of the covariance: how many directions the rows vary in."""
        return self._root.shape[1]

    def rows(self) -> Table:
        """As few rows as have these moments, ``rank + 1``, which weigh alike and stand for `size`.

        With L the Cholesky factor of the covariance ``(q, rank)`` they are ``mean + L u`` for the corners u of a regular simplex
        about 0, whose entries are within ``sqrt(2)``. Their mean and covariance are those given to 1e-12 of a column's standard
        deviation, or where its values are so far from 0 that float64 does not tell such differences, to the rounding of its
        values. A column that is constant stays so, exactly, and other linear relations hold to rounding. Values may leave the
        range of the source, and whole numbers and categories come out as fractions: `leaves` says where.
        """
        values = self.mean + _simplex(self.rank) @ self._root.T
        columns = tuple(number for column in self.columns for number in _numbers(column))
        return Table(values, columns, n_represented=self.size, kept=Statistics(moments=True))

    def leaves(self, rows: Table) -> Leaves:
        """Where rows are unlike those of the source: `rows` of these moments, or rows with the source's own columns.

        Raises:
            AttarError: if they have other columns.
        """
        numbers = as_numbers(rows)
        beyond, unlike = [], []
        for column in self.columns:
            names = [number.name for number in _numbers(column)]
            value = numbers.values[:, [numbers.place(name) for name in names]]
            slack = _SLACK * (column.high - column.low)
            if not column.discrete and bool(((value < column.low - slack) | (value > column.high + slack)).any()):
                beyond.append(column.name)
            if bool((_distance(value, column) > _SLACK).any()):
                unlike.append(column.name)
        return Leaves(tuple(beyond), tuple(unlike))

    @cached_property
    def _root(self) -> Tensor:
        """Lower trapezoidal L ``(q, rank)`` with ``L L'`` the covariance."""
        scale = self.covariance.diagonal().sqrt()
        safe = torch.where(scale > 0, scale, 1.0)
        size, axes = torch.linalg.eigh(self.covariance / safe[:, None] / safe)
        # the root of rounding, 1e-16, is 1e-8: left in, linear relations would hold to no more than that
        real = size > _SINGULAR * len(size)
        return scale[:, None] * torch.linalg.qr((axes[:, real] * size[real].sqrt()).T).R.T


def real_row_ids(table: Table) -> tuple[Tensor, Tensor]:
    """Which rows of a table, by new weights, have its mean and covariance as numbers (see `as_numbers`), q in all.

    The time grows with the number of rows, and with the sixth power of q; memory with its fourth.

    Returns:
        Ids ``(k,)``, int64, ascending, of at most ``1 + q + q (q + 1) / 2`` rows, and their weights ``(k,)``, float64, positive,
        which sum to the table's size. Mean and covariance are kept to 1e-12 of the columns' widths.

    Raises:
        AttarError: if there are no rows, values are missing, or rows are soft.
    """
    values, weight = as_numbers(table).values, table.shares * table.size
    kept, mass = torch.empty(0, dtype=torch.int64), weight[:0]
    for part in torch.arange(len(table)).split(max(_CHUNK, values.shape[1] ** 2)):
        rows, mass = torch.cat([kept, part]), torch.cat([mass, weight[part]])
        places, mass = vertex(_statistics(values[rows]), mass)
        kept = rows[places]
    return kept, mass


def real_rows(table: Table) -> Table:
    """Rows of a table, by new weights, that have its mean and covariance as numbers, and stand for as many: see `real_row_ids`."""
    rows, weight = real_row_ids(table)
    kept = Statistics(moments=True)
    return table.replace(values=table.values[rows], weight=weight, n_represented=table.size, kept=kept)


def real_rows_of_stream(tables: Iterable[Table]) -> Table:
    """`real_rows` of the union of tables with the same columns, which are read once, one at a time. Of two tables of real rows
    that were made apart it makes that of the union.

    Raises:
        AttarError: if there is no table, their columns differ, values are missing, or rows are soft.
    """
    waiting: list[Table] = []
    for table in tables:
        _check(table)
        waiting.append(table)
        if sum(map(len, waiting)) >= _CHUNK:
            waiting = [real_rows(_joined(waiting))]
    if not waiting:
        raise AttarError("The stream holds no table: give one at least.")
    return real_rows(_joined(waiting))


def _check(table: Table) -> None:
    """Refuse a table whose rows are no numbers."""
    if not len(table) or not table.columns:
        raise AttarError("The table holds no values, so it has no moments: give one row at least.")
    missing = table.values.isnan().sum(dim=0).tolist()
    if any(missing):
        found = ", ".join(f"{count:,} in '{name}'" for name, count in zip(table.names, missing, strict=True) if count)
        rows = int(table.values.isnan().any(dim=1).sum())
        raise AttarError(
            f"Values are missing ({found}), and mean and covariance need all of them: fill them in, or leave out these "
            f"{rows:,} of {len(table):,} rows."
        )
    if table.soft:
        raise AttarError(
            f"Column '{next(iter(table.soft))}' holds probabilities, which are no numbers of one row: draw hard rows first, by "
            "resampled()."
        )


def _wide(column: Column) -> bool:
    """Whether a column is as many numbers as it has categories."""
    return column.kind == "categorical" and column.levels > 2


def _levels(column: Column) -> list[float]:
    """The numbers that a discrete column takes, those of `Table.numbers`."""
    return [float(level) for level in (column.categories if column.numeric else range(column.levels))]


def _numbers(column: Column) -> Sequence[Column]:
    """What the numbers are that a column becomes."""
    if _wide(column):
        return [Column(f"{column.name}={level}", low=0.0, high=1.0, whole=True) for level in column.categories]
    if column.discrete:
        levels = _levels(column)
        return [Column(column.name, low=min(levels), high=max(levels), whole=all(map(float.is_integer, levels)))]
    return [column]


def _ranged(table: Table) -> tuple[Column, ...]:
    """The columns, continuous ones with a range that holds their values."""
    ranges = zip(table.columns, table.values.amin(dim=0).tolist(), table.values.amax(dim=0).tolist(), strict=True)
    found = [column if column.discrete else replace(column, low=low, high=high) for column, low, high in ranges]
    return _union(table.columns, found)


def _union(first: Sequence[Column], then: Sequence[Column]) -> tuple[Column, ...]:
    """Columns of two tables, with the ranges of both."""
    for mine, its in zip(first, then, strict=False):
        if (mine.name, mine.kind, mine.categories) != (its.name, its.kind, its.categories):
            raise AttarError(f"Column '{mine.name}' is another in the second table ({its}): read both alike.")
    if len(first) != len(then):
        raise AttarError(f"One table has {len(first)} columns and the other {len(then)}: give both the same.")
    return tuple(mine if mine.discrete else _widened(mine, its) for mine, its in zip(first, then, strict=True))


def _widened(mine: Column, its: Column) -> Column:
    """A continuous column with the range of both, as far as it is known."""
    low = [column.low for column in (mine, its) if not math.isnan(column.low)]
    high = [column.high for column in (mine, its) if not math.isnan(column.high)]
    whole = mine.whole and its.whole
    return replace(mine, low=min(low, default=math.nan), high=max(high, default=math.nan), whole=whole)


def mean_and_covariance(x: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``(q,)`` and maximum-likelihood covariance ``(q, q)`` of rows ``(n, q)`` by their masses ``(n,)``; of no rows noughts."""
    share = mass / mass.sum()
    first = x[:1].sum(dim=0)
    from_first = x - first  # so that a constant column keeps its value, and a large offset costs no digits
    centre = share @ from_first
    apart = from_first - centre
    off = share @ apart  # what rounding left of the mean
    return first + centre, (apart * share[:, None]).T @ apart - torch.outer(off, off)


def _simplex(dimensions: int) -> Tensor:
    """Corners ``(d + 1, d)`` of a regular simplex with mean 0 and covariance I: the waves of the discrete Fourier basis, so that
    every entry is within ``sqrt(2)``, where other bases have entries of ``sqrt(d)``."""
    count = dimensions + 1
    corner = torch.arange(count)
    waves = []
    for frequency in range(1, dimensions // 2 + 1):
        angle = 2 * math.pi * (corner * frequency % count).double() / count
        waves += [math.sqrt(2) * angle.cos(), math.sqrt(2) * angle.sin()]
    if dimensions % 2:
        waves.append((1 - 2 * (corner % 2)).double())
    return torch.stack(waves, dim=1) if waves else torch.zeros(1, 0, dtype=torch.float64)


def _statistics(x: Tensor) -> Tensor:
    """Numbers ``(n, q)`` and all products of two of them ``(n, q + q (q + 1) / 2)``, about a centre and in units of each column,
    which changes nothing of what is kept, and saves digits."""
    low, high = x.amin(dim=0), x.amax(dim=0)
    z = (x - (low + (high - low) / 2)) / torch.where(high > low, high - low, 1.0)
    one, two = torch.triu_indices(z.shape[1], z.shape[1])
    return torch.cat([z, z[:, one] * z[:, two]], dim=1)


def _distance(value: Tensor, column: Column) -> Tensor:
    """How far numbers ``(n, width)`` of a column are from what it can hold; 0 of fractions where it holds any."""
    if _wide(column):
        return (value - value.round().clamp(0, 1)).abs()
    if column.discrete:
        return (value - torch.tensor(_levels(column), dtype=value.dtype)).abs().amin(dim=1)
    return (value - value.round()).abs() if column.whole else torch.zeros_like(value)


def _joined(tables: Sequence[Table]) -> Table:
    """The rows of all tables in one, each of the mass that it has of its table's size."""
    columns = reduce(_union, (table.columns for table in tables))
    values = torch.cat([table.values for table in tables])
    weight = torch.cat([table.shares * table.size for table in tables])
    return Table(values, columns, weight, sum(table.size for table in tables))
