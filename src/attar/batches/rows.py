"""What batches of independent rows share: images, and the encoded rows of tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

__all__ = ["Rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows ``x`` of shape ``(n, ...)`` with the fields of `attar.types.Batch`."""

    x: Tensor
    y: Tensor | None = None
    weight: Tensor | None = None
    attribute: Tensor | None = None
    views: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} of {tuple(self.x.shape[1:])})"

    def take(self, rows: Tensor) -> Self:
        """The given rows, in order."""
        rows = rows.to(self.x.device)
        y = self.y
        if y is not None:
            y = y[:, rows] if self.views is not None else y[rows]
        return self.replace(x=self.x[rows], y=y, **self._each(lambda field: field[rows], ("weight", "attribute")))

    def replace(self, **fields: Any) -> Self:
        return dataclasses.replace(self, **fields)

    def join(self, others: Sequence[Self]) -> Self:
        """These rows and then the others'."""
        parts = [self, *others]
        if any(part.views is not None for part in parts):
            raise ValueError("per-view targets do not join: their views differ")
        names = [f.name for f in dataclasses.fields(self) if getattr(self, f.name) is not None]
        return self.replace(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    def detach(self) -> Self:
        return self.replace(**self._each(Tensor.detach))

    def to(self, device: str) -> Self:
        return self.replace(**self._each(lambda field: field.to(device)))

    def _each(self, change: Callable[[Tensor], Tensor], names: Sequence[str] | None = None) -> dict[str, Tensor]:
        names = names or [f.name for f in dataclasses.fields(self)]
        return {name: change(getattr(self, name)) for name in names if getattr(self, name) is not None}
