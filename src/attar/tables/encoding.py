"""Tables as numbers to learn from, and back: what was standardised, and what became a column a category."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from attar.errors import AttarError
from attar.tables.columns import Column
from attar.tables.table import Table

__all__ = ["Encoding", "onto_simplex"]


@dataclass(frozen=True)
class Encoding:
    """How the columns of a table become d columns of float64, fitted on one table (see `Encoding.fit`) and the same for all.

    A continuous column becomes its number, standardised; an ordinal one the number that its category is (or else its code),
    standardised; a categorical one a column of ones and noughts for each category, or of two categories one column that tells
    the second; one category takes no column.

    Args:
        columns: those that are encoded, in order.
        mean: of each column; 0 of a categorical one.
        std: of each column, positive; 1 of a categorical one and where all values are the same.

    Example:
        >>> rows = Table(torch.tensor([[1.0, 0.0], [3.0, 1.0]]), (Column("dose"), Column("cured", "categorical", ("no", "yes"))))
        >>> Encoding.fit(rows).encode(rows)
        tensor([[-1.,  0.],
                [ 1.,  1.]], dtype=torch.float64)
    """

    columns: tuple[Column, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.columns) == len(self.mean) == len(self.std):
            raise AttarError(
                f"An encoding of {len(self.columns)} columns needs a mean and a deviation of each, not {len(self.mean)} and "
                f"{len(self.std)}."
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std, default=1.0) <= 0:
            raise AttarError("An encoding has finite means and positive deviations, and this one does not.")

    @classmethod
    def fit(cls, table: Table, without: Sequence[str] = ()) -> Self:
        """The encoding of a table's columns: means and standard deviations are those of its rows, by their weights.

        Args:
            table: without missing values.
            without: columns that are left out, such as the target.

        Raises:
            AttarError: if values are missing, or a column that is left out is not there.
        """
        left_out = [table.place(name) for name in without]
        columns = tuple(column for place, column in enumerate(table.columns) if place not in left_out)
        mean, std = [], []
        for column in columns:
            if column.kind == "categorical":
                mean.append(0.0)
                std.append(1.0)
                continue
            value = _numbers(table, column)
            centre = float(table.shares @ value)
            spread = float((table.shares @ (value - centre) ** 2).sqrt())
            constant = bool(
                (value == value[:1]).all()
            )  # weights that sum to 1 but for rounding leave a spread of 1e-16
            mean.append(float(value[0]) if constant and len(value) else centre)
            std.append(1.0 if constant else spread)
        return cls(columns, tuple(mean), tuple(std))

    @cached_property
    def groups(self) -> dict[str, slice]:
        """Which of the d encoded columns each column became, by its name."""
        found, start = {}, 0
        for column in self.columns:
            found[column.name] = slice(start, start + _width(column))
            start += _width(column)
        return found

    @property
    def width(self) -> int:
        """The number d of encoded columns."""
        return sum(map(_width, self.columns))

    def encode(self, table: Table) -> Tensor:
        """Rows as numbers ``(n, d)``, float64. Of a soft categorical cell the probabilities, of a soft ordinal one the mean.

        Args:
            table: has the columns of this encoding, in any order and among others.

        Raises:
            AttarError: if a column is not there, is another one than was fitted, or misses values.
        """
        parts = []
        for column, mean, std in zip(self.columns, self.mean, self.std, strict=True):
            _same(table.column(column.name), column)
            if column.kind == "categorical":
                shares = table.probabilities(column.name)
                parts.append(shares if column.levels > 2 else shares[:, 1:])
            else:
                parts.append(((_numbers(table, column) - mean) / std)[:, None])
        return torch.cat(parts, dim=1) if parts else torch.empty(len(table), 0, dtype=torch.float64)

    def decode(
        self,
        x: Tensor,
        *,
        clip: bool = True,
        whole: bool = True,
        soft: bool = False,
        weight: Tensor | None = None,
        n_represented: float | None = None,
    ) -> Table:
        """Real columns again. Real rows that were encoded come back as they were, up to the rounding of continuous values.

        Args:
            x: encoded rows ``(n, d)``, any finite numbers.
            clip: bring continuous values into the range that the source has.
            whole: round continuous values where the source has whole numbers.
            soft: give categorical cells as probabilities, the nearest ones to the numbers (by squared distance), and not as the
                most probable category. Ordinal cells are the category nearest to the number either way.
            weight: of the rows ``(n,)``.
            n_represented: how many rows these stand for.

        Raises:
            AttarError: if x has another width, or numbers that are not finite.

        Reference:
            Duchi et al., "Efficient projections onto the l1-ball for learning in high dimensions" (ICML 2008), Figure 1:
            the projection onto the simplex.
        """
        if x.dim() != 2 or x.shape[1] != self.width:
            raise AttarError(
                f"Rows of shape {tuple(x.shape)} are not of this encoding, which has {self.width} columns."
            )
        if not bool(x.isfinite().all()):
            raise AttarError("The encoded rows hold numbers that are not finite: learning diverged; try a lower rate.")
        x = x.detach().cpu().double()
        values, shares = [], {}
        for column, mean, std in zip(self.columns, self.mean, self.std, strict=True):
            block = x[:, self.groups[column.name]]
            if column.kind == "categorical":
                shares[column.name] = _shares(block, column)
                values.append(shares[column.name].argmax(dim=1).double())
            elif column.kind == "ordinal":
                distance = (block * std + mean - _levels(column)).abs()  # (n, levels)
                values.append(distance.argmin(dim=1).double())
            else:
                values.append(_continuous(block[:, 0] * std + mean, column, clip, whole))
        stacked = torch.stack(values, dim=1) if values else torch.empty(len(x), 0, dtype=torch.float64)
        return Table(stacked, self.columns, weight, n_represented, shares if soft else {})

    def to_json(self) -> dict[str, Any]:
        """A record of JSON values, from which `from_json` makes this encoding again; a bound that is not known is null."""
        columns = []
        for column in self.columns:
            record = dataclasses.asdict(column) | {"categories": list(column.categories)}
            columns.append(record | {bound: _known(record[bound]) for bound in ("low", "high")})
        return {"columns": columns, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The encoding that `to_json` recorded.

        Raises:
            AttarError: if it is no such record.
        """
        try:
            columns = []
            for fields in record["columns"]:
                bounds = {name: math.nan if fields[name] is None else float(fields[name]) for name in ("low", "high")}
                columns.append(Column(**{**fields, **bounds, "categories": tuple(fields["categories"])}))
            return cls(tuple(columns), tuple(map(float, record["mean"])), tuple(map(float, record["std"])))
        except (KeyError, TypeError) as error:
            raise AttarError(
                f"This is no record of an encoding ({error}): it was written by something else."
            ) from error


def _width(column: Column) -> int:
    if column.kind != "categorical":
        return 1
    return column.levels if column.levels > 2 else column.levels - 1


def _numbers(table: Table, column: Column) -> Tensor:
    """Values of a continuous or ordinal column as numbers ``(n,)``."""
    value = table.numbers([column.name])[:, 0]
    if bool(value.isnan().any()):
        raise AttarError(
            f"Column '{column.name}' misses {int(value.isnan().sum()):,} values: fill them in, or leave out these rows."
        )
    return value


def _levels(column: Column) -> Tensor:
    """The numbers that the categories of an ordinal column are ``(levels,)``, or else their codes, as `Table.numbers` has them."""
    every = torch.arange(column.levels, dtype=torch.float64)[:, None]
    return Table(every, (column,)).numbers()[:, 0]


def _same(found: Column, fitted: Column) -> None:
    """Refuse a column whose codes mean something else."""
    if found.kind != fitted.kind:
        raise AttarError(f"Column '{found.name}' is {found.kind}, and was {fitted.kind} where the encoding was fitted.")
    if found.categories != fitted.categories:
        raise AttarError(
            f"Column '{found.name}' has the categories {', '.join(map(str, found.categories))}, and had "
            f"{', '.join(map(str, fitted.categories))} where the encoding was fitted: read both tables alike."
        )


def _shares(block: Tensor, column: Column) -> Tensor:
    """The probabilities ``(n, levels)`` that are nearest to what the encoded columns of a categorical column hold."""
    if column.levels > 2:
        return onto_simplex(block)
    second = block.clamp(0, 1)
    return torch.cat([1 - second.sum(dim=1, keepdim=True), second], dim=1)


def onto_simplex(x: Tensor) -> Tensor:
    """The nearest point of the simplex to each row ``(n, k)``: all entries less one threshold, cut at 0."""
    ordered = x.sort(dim=1, descending=True).values
    rank = torch.arange(1, x.shape[1] + 1, dtype=x.dtype, device=x.device)
    threshold = (
        ordered.cumsum(dim=1) - 1
    ) / rank  # what the threshold is if the largest 1, 2, ... entries stay above 0
    above = (ordered > threshold).sum(dim=1, keepdim=True)
    return (x - threshold.gather(1, above - 1)).clamp(min=0)


def _continuous(value: Tensor, column: Column, clip: bool, whole: bool) -> Tensor:
    """Values of a continuous column ``(n,)`` as its source could have them."""
    if whole and column.whole:
        value = value.round()
    if clip and not math.isnan(column.low):
        value = value.clamp(min=column.low)
    if clip and not math.isnan(column.high):
        value = value.clamp(max=column.high)
    return value


def _known(bound: float) -> float | None:
    return None if math.isnan(bound) else bound
