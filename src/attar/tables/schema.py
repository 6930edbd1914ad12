"""What the columns of a table are for, and how they become the rows and targets that methods learn from, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from attar.errors import AttarError
from attar.tables.encoding import Encoding, onto_simplex
from attar.tables.table import Table

__all__ = ["Schema"]


@dataclass(frozen=True)
class Schema:
    """The columns of a table as ``x`` ``(n, d)`` and ``y``.

    A target of classes gives class ids, or of soft cells their probabilities ``(n, classes)``; one of numbers its standardised
    values ``(n, 1)``. Without a target there is no y.

    Args:
        names: of all columns, in the order of the source.
        inputs: the encoding of all columns but the target.
        output: the encoding of the target alone; of no column where there is none.
        treatment: the column whose effect is asked for, "" where none is.
    """

    names: tuple[str, ...]
    inputs: Encoding
    output: Encoding
    treatment: str = ""

    @classmethod
    def fit(cls, table: Table, target: str = "", treatment: str = "") -> Schema:
        """The schema of a table: means and deviations are those of its rows.

        Raises:
            AttarError: if there is no such column, or values are missing.
        """
        for name in (target, treatment):
            if name:
                table.place(name)
        rest = [name for name in table.names if name != target]
        inputs = Encoding.fit(table, without=[target] if target else [])
        return cls(table.names, inputs, Encoding.fit(table, without=rest), treatment)

    @property
    def target(self) -> str:
        """The column that is predicted, "" where there is none."""
        return self.output.columns[0].name if self.output.columns else ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of a target's classes; none where it is of numbers, or there is none."""
        column = self.output.columns[0] if self.output.columns else None
        return () if column is None or column.numeric else tuple(map(str, column.categories))

    @property
    def width(self) -> int:
        """Numbers in a row of x."""
        return self.inputs.width

    def split(self, table: Table) -> tuple[Tensor, Tensor | None]:
        """Rows as x and y.

        Args:
            table: has the columns of this schema, in any order.

        Raises:
            AttarError: if a column is not there, is another one than was fitted, or misses values.
        """
        if self._as_numbers(table):
            return self._of_numbers(table)
        x = self.inputs.encode(table)
        if not self.target:
            return x, None
        if not self.classes:
            return x, self.output.encode(table)
        if table.column(self.target).categories != self.output.columns[0].categories:
            raise AttarError(
                f"The target '{self.target}' has the categories {', '.join(map(str, table.column(self.target).categories))}, and had "
                f"{', '.join(self.classes)} in the training rows: read both tables alike."
            )
        return x, table.soft[self.target].double() if self.target in table.soft else table.codes(self.target)

    def _as_numbers(self, table: Table) -> bool:
        """Whether categories are numbers in it (see `attar.tables.as_numbers`), as in rows that keep moments."""
        kinds = {column.name: column.discrete for column in table.columns}
        columns = (*self.inputs.columns, *self.output.columns)
        return any(column.discrete and not kinds.get(column.name, False) for column in columns)

    def _of_numbers(self, table: Table) -> tuple[Tensor, Tensor | None]:
        """Rows of numbers as x and y; of a target of classes the nearest probabilities."""
        x, y = (self._numbers(table, encoding) for encoding in (self.inputs, self.output))
        if not self.target:
            return x, None
        if not self.classes:
            return x, y
        if self.output.columns[0].kind == "ordinal":
            codes = self.output.decode(y).values[:, 0].long()
            return x, torch.nn.functional.one_hot(codes, len(self.classes)).double()
        return x, onto_simplex(y if y.shape[1] > 1 else torch.cat([1 - y, y], dim=1))

    @staticmethod
    def _numbers(table: Table, encoding: Encoding) -> Tensor:
        """Columns of numbers ``(n, width)`` as an encoding has them: of three categories or more one each, else standardised."""
        parts = [torch.empty(len(table), 0, dtype=torch.float64)]
        for column, mean, std in zip(encoding.columns, encoding.mean, encoding.std, strict=True):
            wide = column.kind == "categorical" and column.levels > 2
            names = [f"{column.name}={level}" for level in column.categories] if wide else [column.name]
            parts.append((table.values[:, [table.place(name) for name in names]] - mean) / std)
        return torch.cat(parts, dim=1)

    def table(
        self,
        x: Tensor,
        y: Tensor | None,
        weight: Tensor | None = None,
        n_represented: float | None = None,
        soft: bool = False,
    ) -> Table:
        """Columns again, those of x as by `Encoding.decode`.

        Args:
            x: encoded rows ``(n, d)``.
            y: class ids ``(n,)``, real numbers a class ``(n, classes)``, of which the nearest probabilities are taken, or
                standardised numbers ``(n, 1)``.
            weight: of the rows ``(n,)``, positive.
            n_represented: how many rows these stand for.
            soft: give categorical cells as probabilities (see `Encoding.decode`).
        """
        inputs = self.inputs.decode(x, soft=soft)
        by_name = dict(zip(inputs.names, inputs.values.T, strict=True))
        cells = dict(inputs.soft)
        if self.target:
            assert y is not None
            by_name[self.target], shares = self._target(y)
            cells.update({self.target: shares} if shares is not None else {})
        columns = {column.name: column for column in (*self.inputs.columns, *self.output.columns)}
        values = torch.stack([by_name[name] for name in self.names], dim=1)
        return Table(values, tuple(columns[name] for name in self.names), weight, n_represented, cells)

    def _target(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values of the target ``(n,)``, and probabilities where y has a number a class."""
        if not self.classes:
            return self.output.decode(y).values[:, 0], None
        if y.dim() == 1:
            return y.cpu().double(), None
        shares = onto_simplex(
            y.detach().cpu().double()
        )  # which a shift of all classes, as of centred targets, does not change
        return shares.argmax(dim=1).double(), shares

    @cached_property
    def groups(self) -> dict[str, slice]:
        """Which numbers of a joint row (see `joint`) each column became, by its name."""
        found = dict(self.inputs.groups)
        if self.target:
            wide = len(self.classes) if self.classes else 1
            found[self.target] = slice(self.width, self.width + wide)
        return found

    def joint(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Rows with their targets ``(n, d + k)``, as differentiable as they are: class ids become ones and noughts."""
        if y is None:
            return x
        if y.dim() == 1:
            y = torch.nn.functional.one_hot(y, len(self.classes)).to(x.dtype)
        return torch.cat([x, y.to(x.dtype)], dim=1)

    def covariates(self) -> tuple[str, ...]:
        """The names of the columns that are neither target nor treatment."""
        return tuple(name for name in self.names if name not in (self.target, self.treatment))
