"""Pixels: every value of every row is a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from attar.types import Batch

__all__ = ["Pixels"]

_KEPT = ("weight", "attribute", "views")
"""What goes with the rows and is not learned."""


@dataclass(frozen=True)
class Pixels:
    """The rows themselves are learned, ``x`` of shape ``(n, ...)``, unbounded (in normalised units).

    Example:
        >>> import torch, attar
        >>> rows = attar.batches.Images(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1]))
        >>> attar.synthetic.Pixels().build(rows)(rows.y).x.shape
        torch.Size([2, 1, 8, 8])
    """

    def build(self, batch: Batch) -> PixelRows:
        return PixelRows(batch)

    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> PixelRows:
        return PixelRows(like.replace(x=tensors["x"], y=None, **{name: tensors.get(name) for name in _KEPT}))


class PixelRows(nn.Module):
    """Holds ``x`` of shape ``(n, ...)``."""

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.x = nn.Parameter(batch.x.detach().clone())
        for name in _KEPT:
            self.register_buffer(name, getattr(batch, name))
        self._rest = batch.detach()

    def forward(self, y: Tensor | None) -> Batch:
        return self._rest.replace(x=self.x, y=y)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"data": [self.x]}
