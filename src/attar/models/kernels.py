"""Fast passes of one network: `fused` under a plan, a chunk of fixed shape at a time, compiled where the plan says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from attar.models import fused

__all__ = ["Kernels", "compiled"]

Weights = dict[str, Tensor]

_RECOMPILES = 256
"""Shapes for which one function may be compiled; torch's own limit of 8 is reached by a few networks and batch sizes."""


@lru_cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function through ``torch.compile``, one graph for each shape."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _RECOMPILES)
    torch._dynamo.config.accumulated_recompile_limit = max(
        torch._dynamo.config.accumulated_recompile_limit, 4 * _RECOMPILES
    )
    return torch.compile(function, dynamic=False, fullgraph=True)


@dataclass(frozen=True)
class Kernels:
    """Passes of a network that `fused` supports, on images ``(n, c, h, w)``.

    Args:
        pad: padding of the first convolution.
        dtype: of the convolutions.
        compile: whether the passes go through ``torch.compile``.
        chunk: rows at a time.
    """

    pad: int
    dtype: torch.dtype
    compile: bool
    chunk: int

    def embedding(self, params: Weights, x: Tensor) -> Tensor:
        """Features ``(n, d)``, no gradient."""
        run = self._ready(fused.embedding)
        with torch.no_grad():
            return torch.cat([run(params, part, self.pad, self.dtype) for part in self._pieces(x)])[: len(x)]

    def embedding_of(self, params: Weights, x: Tensor) -> Tensor:
        """Features ``(n, d)``, differentiable once in the images."""
        return _Embedding.apply(x, self, params)

    def gradient(self, params: Weights, x: Tensor, targets: Tensor, weight: Tensor) -> tuple[Weights, Tensor]:
        """Gradient of ``sum_i weight_i CE_i`` with respect to the weights, and the value."""
        run = self._ready(fused.loss_gradient)
        total: Weights | None = None
        value = torch.zeros(())
        with torch.no_grad():
            for part in zip(self._pieces(x), self._pieces(targets), self._pieces(weight), strict=True):
                slopes, loss = run(params, *part, self.pad, self.dtype)
                value = value + loss
                if total is None:
                    total = slopes
                else:
                    torch._foreach_add_(list(total.values()), list(slopes.values()))
        assert total is not None
        return total, value

    def gradient_distance(
        self,
        params: Weights,
        x: Tensor,
        targets: Tensor,
        weight: Tensor,
        wanted: Weights,
        distance: Callable[..., Tensor],
    ) -> Tensor:
        """Distance ``()`` of the loss's gradient from a wanted one, differentiable once in images and targets.

        Always in float32: in bf16 this second derivative is off by a cosine of 1.4e-2, and a tenth of the time.
        """
        return _Matched.apply(x, targets, self, params, weight, wanted, distance)

    def _ready(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return compiled(function) if self.compile else function

    def _pieces(self, rows: Tensor) -> list[Tensor]:
        """Chunks of one size, the last filled up with zero rows, so that one compiled shape serves."""
        count = -(-len(rows) // self.chunk)
        size = -(-len(rows) // count)
        missing = count * size - len(rows)
        if missing:
            rows = torch.cat([rows, rows.new_zeros((missing, *rows.shape[1:]))])
        return list(rows.split(size))


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Kernels, params: Weights) -> Tensor:
        run = kernels._ready(fused.embedding_kept)
        parts = [run(params, part, kernels.pad, kernels.dtype) for part in kernels._pieces(x.detach())]
        ctx.kernels, ctx.params, ctx.shape = kernels, params, x.shape
        ctx.saved = [saved for _, saved in parts]
        return torch.cat([features for features, _ in parts])[: len(x)]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        run, kernels = ctx.kernels._ready(fused.embedding_back), ctx.kernels
        pieces = zip(ctx.saved, kernels._pieces(slope.contiguous()), strict=True)
        parts = [run(ctx.params, ctx.shape[1], saved, part, kernels.pad, kernels.dtype) for saved, part in pieces]
        return torch.cat(parts)[: ctx.shape[0]], None, None


class _Matched(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        targets: Tensor,
        kernels: Kernels,
        params: Weights,
        weight: Tensor,
        wanted: Weights,
        distance: Any,
    ) -> Tensor:
        run = kernels._ready(fused.matched_gradient)
        with torch.enable_grad():
            slopes, value = run(
                params, x.detach(), targets.detach(), weight, wanted, distance, kernels.pad, torch.float32
            )
        ctx.slopes = slopes
        return value.detach()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Any:
        return ctx.slopes[0] * slope, ctx.slopes[1] * slope, None, None, None, None, None
