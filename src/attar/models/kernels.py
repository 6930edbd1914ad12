"""Fast passes of one network: `fused` under a plan, a chunk of fixed shape at a time, compiled where the plan says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from attar.models import fused, fused_loss

__all__ = ["Kept", "Kernels", "compiled", "joined"]

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


Kept = tuple[Sequence[Tensor], Sequence[Tensor]]
"""What is kept of a chunk: tensors with a row a row, which are put one chunk after the other, and sums, which are added."""


def joined(parts: Iterable[Kept], count: int) -> tuple[list[Tensor], list[Tensor]]:
    """Put together what is kept of chunks, as it comes.

    Each chunk's tensors are let go at once. Kept until the end they would lie between the chunks' large temporaries, and an
    allocator that keeps freed memory could not use these again: more than a gigabyte for 2,560 images of MNIST.

    Args:
        parts: what is kept of each chunk, of which none has more rows than the first.
        count: number of chunks.

    Returns:
        The rows of all chunks, and the sums over them.
    """
    columns: list[Tensor] = []
    totals: list[Tensor] = []
    filled = 0
    for index, (rows, sums) in enumerate(parts):
        if index == 0:
            columns = [column.new_empty((count * len(column), *column.shape[1:])) for column in rows]
            totals = [torch.zeros_like(value) for value in sums]
        for column, part in zip(columns, rows, strict=True):
            column[filled : filled + len(part)] = part
        for total, value in zip(totals, sums, strict=True):
            total += value
        filled += len(rows[0]) if rows else 0
    return [column[:filled] for column in columns], totals


@dataclass(frozen=True)
class Kernels:
    """Passes of a network that `fused` supports, on images ``(n, c, h, w)``.

    Args:
        pad: padding of the first convolution.
        dtype: of the convolutions.
        compile: whether the passes go through ``torch.compile``.
        chunk: rows at a time.
        squared: the loss L is the mean squared gap to the targets over the classes instead of the cross-entropy.
    """

    pad: int
    dtype: torch.dtype
    compile: bool
    chunk: int
    squared: bool = False

    def embedding(self, params: Weights, x: Tensor) -> Tensor:
        """Features ``(n, d)``, no gradient."""
        run, pieces = self._ready(fused.embedding), self._pieces(x)
        with torch.no_grad():
            [features], _ = joined((([run(params, part, self.pad, self.dtype)], ()) for part in pieces), len(pieces))
        return features[: len(x)]

    def embedding_of(self, params: Weights, x: Tensor) -> Tensor:
        """Features ``(n, d)``, differentiable once in the images."""
        return _Embedding.apply(x, self, params)

    def depth(self, params: Weights) -> int:
        """Number of blocks."""
        return len(fused.blocks(params))

    def layers(
        self,
        params: Weights,
        x: Tensor,
        share: Tensor,
        chosen: tuple[int, ...],
        reduce: Callable[[list[Tensor], Tensor], Kept],
    ) -> list[Tensor]:
        """What `reduce` keeps of the chunks' outputs of the chosen blocks (see `joined`), no gradient.

        Rows that fill the last chunk have shares of nought, so they do not count in sums; where a row is kept for each they
        are cut off.
        """
        run, pieces = self._ready(fused.layers), list(zip(self._pieces(x), self._pieces(share), strict=True))
        with torch.no_grad():
            parts = (run(params, *piece, self.pad, self.dtype, chosen, reduce) for piece in pieces)
            rows, sums = joined(parts, len(pieces))
        return [*(column[: len(x)] for column in rows), *sums]

    def layers_of(self, params: Weights, x: Tensor, chosen: tuple[int, ...]) -> list[Tensor]:
        """Outputs ``(n, c, h, w)`` of the chosen blocks, differentiable once in the images."""
        return list(_Layers.apply(x, self, params, chosen))

    def logits(self, params: Weights, x: Tensor) -> Tensor:
        """Logits ``(n, classes)``, no gradient."""
        return nn.functional.linear(self.embedding(params, x), params["head.weight"], params["head.bias"])

    def gradient(self, params: Weights, x: Tensor, targets: Tensor, weight: Tensor) -> tuple[Weights, Tensor]:
        """Gradient of ``sum_i weight_i L_i`` with respect to the weights, and the value."""
        run = self._ready(fused_loss.loss_gradient)
        total: Weights | None = None
        value = torch.zeros(())
        with torch.no_grad():
            for part in zip(self._pieces(x), self._pieces(targets), self._pieces(weight), strict=True):
                slopes, loss = run(params, *part, self.pad, self.dtype, self.squared)
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

    def gradient_pullback(
        self, params: Weights, x: Tensor, targets: Tensor, weight: Tensor, cotangent: Weights, hessian: bool
    ) -> tuple[Weights, Tensor, Tensor, Tensor]:
        """Gradients of ``<gradient, cotangent>`` with respect to weights (empty without `hessian`), images and targets, and
        its value; a chunk at a time, always in float32 (see `gradient_distance`)."""
        run = self._ready(fused_loss.pulled_gradient)
        slopes = {name: torch.zeros_like(value) for name, value in params.items()} if hessian else {}
        value, rows = torch.zeros(()), []
        for part in zip(self._pieces(x), self._pieces(targets), self._pieces(weight), strict=True):
            (more, *of_rows), product = run(params, *part, cotangent, self.pad, hessian, self.squared)
            slopes = {name: slope + more[name] for name, slope in slopes.items()}
            value = value + product
            rows.append(of_rows)
        of_x, of_targets = (torch.cat(column)[: len(x)] for column in zip(*rows, strict=True))
        return slopes, of_x, of_targets, value

    def differentiable_gradient(self, params: Weights, x: Tensor, targets: Tensor, weight: Tensor) -> Weights:
        """Gradient of ``sum_i weight_i L_i`` with respect to the weights, differentiable once in all that is given; all rows
        at once, always in float32."""
        run = self._ready(fused_loss.loss_gradient)
        return run(params, x, targets, weight, self.pad, torch.float32, self.squared)[0]

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


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Kernels, params: Weights, chosen: tuple[int, ...]) -> tuple[Tensor, ...]:
        run = kernels._ready(fused.layers_kept)
        parts = [run(params, part, kernels.pad, kernels.dtype, chosen) for part in kernels._pieces(x.detach())]
        ctx.kernels, ctx.params, ctx.shape, ctx.chosen = kernels, params, x.shape, chosen
        ctx.saved = [saved for _, saved in parts]
        ctx.set_materialize_grads(False)
        return tuple(torch.cat(column)[: len(x)] for column in zip(*(outputs for outputs, _ in parts), strict=True))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor, None, None, None]:
        run, kernels = ctx.kernels._ready(fused.layers_back), ctx.kernels
        cut: list[list[Tensor] | None] = [None] * (len(ctx.saved[0]) - 1)  # one a block
        for index, slope in zip(ctx.chosen, slopes, strict=True):
            cut[index] = None if slope is None else kernels._pieces(slope.contiguous())
        parts = [
            run(
                ctx.params,
                ctx.shape[1],
                saved,
                [None if pieces is None else pieces[number] for pieces in cut],
                kernels.pad,
                kernels.dtype,
            )
            for number, saved in enumerate(ctx.saved)
        ]
        return torch.cat(parts)[: ctx.shape[0]], None, None, None


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
        run = kernels._ready(fused_loss.matched_gradient)
        with torch.enable_grad():
            slopes, value = run(
                params,
                x.detach(),
                targets.detach(),
                weight,
                wanted,
                distance,
                kernels.pad,
                torch.float32,
                kernels.squared,
            )
        ctx.slopes = slopes
        return value.detach()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Any:
        return ctx.slopes[0] * slope, ctx.slopes[1] * slope, None, None, None, None, None
