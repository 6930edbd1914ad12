"""A table: rows of real columns, hard or soft, with weights and the sample size that they stand for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from attar.errors import AttarError
from attar.tables.columns import Column
from attar.tables.statistics import Statistics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table"]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of named columns, real or distilled, in the units of the source.

    Args:
        values: ``(n, p)``, float64: of continuous columns their numbers, of others the code of the category; NaN where a value is
            missing. Of a soft column the code of its most probable category.
        columns: what is known of each of the p columns; names differ.
        weight: of the rows ``(n,)``, positive, in any unit; None for equal ones.
        n_represented: how many rows the statistics of these rows stand for, which is what tests read as their sample size; None
            for as many as there are.
        soft: of discrete columns by name the probabilities of their categories ``(n, levels)``, where a row stands for a
            distribution: the columns of such a row are independent of one another.
        kept: of rows that were made what they keep of their source; None where nothing is said of it, as of real rows.

    Raises:
        AttarError: if any of these do not suit one another.

    Example:
        >>> rows = Table(torch.tensor([[1.5, 0.0], [2.5, 1.0]]), (Column("dose"), Column("cured", "categorical", ("no", "yes"))))
        >>> rows.counts(["cured"])
        tensor([1., 1.], dtype=torch.float64)
    """

    values: Tensor
    columns: tuple[Column, ...]
    weight: Tensor | None = None
    n_represented: float | None = None
    soft: Mapping[str, Tensor] = field(default_factory=dict)
    kept: Statistics | None = None

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise AttarError(f"Two columns are named '{twice}': rename one of them.")
        if self.values.dim() != 2 or self.values.shape[1] != len(names):
            raise AttarError(f"Values of shape {tuple(self.values.shape)} are no table of {len(names)} columns.")
        object.__setattr__(self, "values", self.values.double())
        if self.weight is not None:
            object.__setattr__(self, "weight", self.weight.double())
            if self.weight.shape != (len(self),) or not bool(((self.weight > 0) & self.weight.isfinite()).all()):
                raise AttarError(
                    f"Weights are a positive number for each of the {len(self):,} rows, and these are not."
                )
        if self.n_represented is not None and not 0 < self.n_represented < float("inf"):
            raise AttarError(f"n_represented={self.n_represented} is no number of rows: give one above 0.")
        for place, column in enumerate(self.columns):
            _check_codes(self.values[:, place], column)
        for name, shares in self.soft.items():
            _check_soft(shares, self.column(name), len(self))

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        stands = "" if self.n_represented is None else f", standing for {self.n_represented:,.6g}"
        return f"Table({len(self):,} rows of {', '.join(self.names)}{stands})"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def size(self) -> float:
        """The sample size that tests read: `n_represented`, or the number of rows."""
        return float(len(self)) if self.n_represented is None else float(self.n_represented)

    @cached_property
    def shares(self) -> Tensor:
        """What each row is of the whole ``(n,)``: its weight, where all sum to 1."""
        weight = torch.ones(len(self), dtype=torch.float64) if self.weight is None else self.weight
        return weight / weight.sum()

    @property
    def nbytes(self) -> int:
        """Bytes of what tells the rows apart: 8 a value, of soft columns 8 a probability in place of the code, 8 a weight."""
        hard = sum(column.name not in self.soft for column in self.columns)
        soft = sum(shares.shape[1] for shares in self.soft.values())
        return 8 * len(self) * (hard + soft + (self.weight is not None))

    def place(self, name: str) -> int:
        """Where a column stands.

        Raises:
            AttarError: if there is no such column.
        """
        if name not in self.names:
            raise AttarError(f"There is no column '{name}' among {', '.join(self.names)}.")
        return self.names.index(name)

    def column(self, name: str) -> Column:
        return self.columns[self.place(name)]

    def take(self, rows: Tensor) -> Self:
        """The given rows, in order, with their weights; they stand for as many as they are, and of what all were made to keep they
        keep nothing for certain."""
        return self.replace(
            values=self.values[rows],
            weight=None if self.weight is None else self.weight[rows],
            n_represented=None,
            soft={name: shares[rows] for name, shares in self.soft.items()},
            kept=self.kept and Statistics(),
        )

    def only(self, names: Sequence[str]) -> Self:
        """The given columns, in order."""
        places = [self.place(name) for name in names]
        return self.replace(
            values=self.values[:, places],
            columns=tuple(self.columns[place] for place in places),
            soft={name: shares for name, shares in self.soft.items() if name in names},
        )

    def replace(self, **fields: Any) -> Self:
        return dataclasses.replace(self, **fields)

    def codes(self, name: str) -> Tensor:
        """Codes of a discrete column ``(n,)``, int64.

        Raises:
            AttarError: if the column is continuous, or a value is missing.
        """
        self._discrete(name)
        found = self.values[:, self.place(name)]
        if found.isnan().any():
            raise AttarError(
                f"Column '{name}' misses {int(found.isnan().sum()):,} values: fill them in, or leave out these rows."
            )
        return found.long()

    def probabilities(self, name: str) -> Tensor:
        """Of each row how probable each category of a discrete column is ``(n, levels)``: ones and noughts where it is not soft."""
        if name in self.soft:
            return self.soft[name].double()
        return torch.nn.functional.one_hot(self.codes(name), self.column(name).levels).double()

    def numbers(self, names: Sequence[str] | None = None) -> Tensor:
        """Values as numbers ``(n, len(names))``: those that the categories of an ordinal column are, or else their codes, of a
        soft column their mean; NaN where one is missing.

        Raises:
            AttarError: if a column has more than two categories without an order, which no number tells.
        """
        found = []
        for name in self.names if names is None else names:
            column, value = self.column(name), self.values[:, self.place(name)]
            if column.kind == "categorical" and column.levels > 2:
                raise AttarError(
                    f"Column '{name}' has {column.levels} categories without an order, so they are no numbers: leave it out, or "
                    "call it ordinal."
                )
            if column.discrete:
                levels = column.categories if column.numeric else range(column.levels)
                scale = torch.tensor([float(level) for level in levels], dtype=torch.float64)
                known = value.nan_to_num(0.0).long()
                value = (
                    self.soft[name].double() @ scale if name in self.soft else scale[known].where(~value.isnan(), value)
                )
            found.append(value)
        return torch.stack(found, dim=1)

    def counts(self, names: Sequence[str]) -> Tensor:
        """The contingency table of discrete columns ``(levels of the first, of the second, ...)``, which sums to `size`."""
        alike = self.weight is None and self.n_represented is None
        weight = torch.ones_like(self.shares) if alike else self.shares * self.size
        if not any(name in self.soft for name in names):
            levels = [self.column(name).levels for name in names]
            cell = torch.zeros(len(self), dtype=torch.int64)
            for name, count in zip(names, levels, strict=True):
                cell = cell * count + self.codes(name)
            return torch.bincount(cell, weight, math.prod(levels)).reshape(levels)
        table = weight
        for name in names:
            table = table[..., None] * self.probabilities(name).reshape(len(self), *(1,) * (table.dim() - 1), -1)
        return table.sum(dim=0)

    def frame(self) -> pd.DataFrame:
        """The rows as a pandas frame, categories by their names, of soft columns the most probable one; weights are not in it.

        Raises:
            AttarError: if pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise AttarError("frame() needs pandas: pip install 'attar[tables]'.") from error
        found: dict[str, Any] = {}
        for name, column, value in zip(self.names, self.columns, self.values.T, strict=True):
            if not column.discrete:
                whole = column.whole and bool((value == value.round()).all())
                found[name] = value.long().numpy() if whole else value.numpy()
            else:
                codes = value.nan_to_num(-1.0).long().numpy()
                ordered = column.kind == "ordinal"
                found[name] = pd.Categorical.from_codes(codes, list(column.categories), ordered=ordered)
        return pd.DataFrame(found)

    def resampled(self, rows: int, generator: torch.Generator) -> Self:
        """Rows drawn by their weights, with replacement, that weigh alike and are hard: what tools read that know neither weights nor
        soft rows. Of each drawn soft row every column is drawn anew. They stand for as many rows as they are.

        Args:
            rows: how many.
            generator: draws them.
        """
        if rows < 1:
            raise AttarError(f"{rows} rows cannot be drawn: give 1 or more.")
        drawn = self.take(torch.multinomial(self.shares, rows, replacement=True, generator=generator))
        values = drawn.values.clone()
        for name, shares in drawn.soft.items():
            values[:, self.place(name)] = torch.multinomial(shares.double(), 1, generator=generator)[:, 0].double()
        return drawn.replace(values=values, weight=None, soft={})

    def _discrete(self, name: str) -> None:
        if not self.column(name).discrete:
            raise AttarError(f"Column '{name}' is continuous, so it has no categories to count.")


def _check_codes(value: Tensor, column: Column) -> None:
    """Refuse infinite numbers, and codes of no category."""
    known = value[~value.isnan()]
    if not column.discrete:
        if known.isinf().any():
            raise AttarError(f"Column '{column.name}' holds infinite values: leave these rows out.")
    elif len(known) and not bool(((known == known.round()) & (known >= 0) & (known < column.levels)).all()):
        raise AttarError(f"Column '{column.name}' holds codes that none of its {column.levels} categories has.")


def _check_soft(shares: Tensor, column: Column, rows: int) -> None:
    """Refuse what are no probabilities of a column's categories."""
    if not column.discrete or shares.shape != (rows, column.levels):
        raise AttarError(
            f"Probabilities of shape {tuple(shares.shape)} are not those of column '{column.name}' ({column.levels} categories, "
            f"{rows:,} rows)."
        )
    if bool((shares < 0).any()) or not torch.allclose(
        shares.double().sum(1), torch.ones(rows, dtype=torch.float64), atol=1e-6
    ):
        raise AttarError(f"Probabilities of column '{column.name}' are not above 0 with a sum of 1 in every row.")
