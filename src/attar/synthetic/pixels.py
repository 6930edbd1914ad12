"""Pixels: every value of every row is a parameter, or none is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from attar.synthetic.synthetic import LabelForm
from attar.types import Batch, Budget, Problem

__all__ = ["Pixels"]

_KEPT = ("weight", "attribute", "views")
"""What goes with the rows and is not learned."""


@dataclass(frozen=True)
class Pixels:
    """The rows themselves are learned, ``x`` of shape ``(n, ...)``, unbounded (in normalised units).

    Args:
        learned: False for rows that stay as they start, so that only labels or step sizes are learned.

    Example:
        >>> import torch, attar
        >>> tensors = {"x": torch.zeros(2, 1, 8, 8)}
        >>> like = attar.batches.Images(torch.zeros(0, 1, 8, 8))
        >>> attar.synthetic.Pixels().restore(tensors, like)(torch.tensor([0, 1])).x.shape
        torch.Size([2, 1, 8, 8])
    """

    learned: bool = True

    decodes: ClassVar[bool] = False
    each: ClassVar[int] = 1

    def check(self, problem: Problem, budget: Budget, labels: LabelForm = "hard") -> None:
        """Any rows will do."""

    def build(self, batch: Batch, problem: Problem, generator: torch.Generator) -> PixelRows:
        return PixelRows(batch, self.learned)

    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> PixelRows:
        kept = {name: tensors.get(name) for name in _KEPT}
        return PixelRows(like.replace(x=tensors["x"], y=None, **kept), self.learned)


class PixelRows(nn.Module):
    """Holds ``x`` of shape ``(n, ...)``."""

    def __init__(self, batch: Batch, learned: bool = True) -> None:
        super().__init__()
        x = batch.x.detach().clone()
        if learned:
            self.x = nn.Parameter(x)
        else:
            self.register_buffer("x", x)
        for name in _KEPT:
            self.register_buffer(name, getattr(batch, name))
        self._rest = batch.detach()

    def forward(self, y: Tensor | None) -> Batch:
        return self._rest.replace(x=self.x, y=y)

    def __len__(self) -> int:
        return len(self._rest)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"data": [self.x]} if isinstance(self.x, nn.Parameter) else {}
