"""Kernel ridge regression: a kernel of many rows in blocks, and the solution of its system."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attar.types import AttarError

__all__ = ["blocks", "ridge"]

_Kernel = Callable[[Tensor, Tensor], Tensor]


def blocks(kernel: _Kernel, a: Tensor, b: Tensor, rows: int = 1024, columns: int | None = None) -> Tensor:
    """``kernel(a, b)`` computed a block at a time, so that beside the kernel itself only one block's work is in memory.

    Where neither a nor b needs a gradient, no graph is kept. Where one does and there are several blocks, each is computed
    a second time on the way back and nothing of it is kept until then; gradients then go to a and b alone, and once.

    Args:
        kernel: gives ``(n, m)`` of rows ``(n, ...)`` and ``(m, ...)``, each number from its two rows alone.
        a: rows ``(n, ...)``.
        b: rows ``(m, ...)``.
        rows: rows of a in a block.
        columns: rows of b in a block; None for all.

    Returns:
        The kernel ``(n, m)``.

    Raises:
        AttarError: if a block has no rows.
    """
    if rows < 1 or (columns is not None and columns < 1):
        raise AttarError(f"Blocks of {rows} by {columns} rows hold nothing: give 1 or more.")
    learns = torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)
    cuts = _cuts(len(a), rows), _cuts(len(b), columns or max(1, len(b)))
    if learns and len(cuts[0]) == len(cuts[1]) == 1:
        return kernel(a, b)
    return _Blocks.apply(kernel, a, b, cuts)


def _cuts(length: int, size: int) -> list[slice]:
    """Slices of so many rows; one empty one of none."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)] or [slice(0, 0)]


class _Blocks(torch.autograd.Function):
    """The kernel, block by block into one tensor.

    It does by hand what `torch.utils.checkpoint` would do for each block. With that, small things that are kept stood between
    large ones that are freed, the system's allocator did not fill the holes, and memory grew with the number of blocks.
    """

    @staticmethod
    def forward(ctx: Any, kernel: _Kernel, a: Tensor, b: Tensor, cuts: tuple[list[slice], list[slice]]) -> Tensor:
        ctx.kernel, ctx.cuts = kernel, cuts
        ctx.save_for_backward(a, b)
        whole = None
        for above, beside in itertools.product(*cuts):
            block = kernel(a[above], b[beside])
            if whole is None:
                whole = block.new_empty(len(a), len(b))
            whole[above, beside] = block
        assert whole is not None
        return whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        sides, learned = ctx.saved_tensors, ctx.needs_input_grad[1:3]
        totals = [torch.zeros_like(side) if needed else None for side, needed in zip(sides, learned, strict=True)]
        for cut in itertools.product(*ctx.cuts):
            parts = [side[at].detach().requires_grad_(yes) for side, at, yes in zip(sides, cut, learned, strict=True)]
            with torch.enable_grad():
                block = ctx.kernel(*parts)
            asked = [part for part in parts if part.requires_grad]
            found = iter(torch.autograd.grad(block, asked, slope[cut]))
            for total, at in zip(totals, cut, strict=True):
                if total is not None:
                    total[at] += next(found)
        return None, *totals, None


def ridge(k_ss: Tensor, y: Tensor, jitter: float) -> Tensor:
    """Coefficients of kernel ridge regression.

    alpha with ``(K_ss + jitter tr(K_ss) / n I) alpha = y``, by Cholesky; ``K_ts alpha`` is then what is said of rows t.
    Gradients go to both k_ss and y.

    Args:
        k_ss: the kernel ``(n, n)`` of the rows learned from, symmetric and positive semi-definite.
        y: their targets ``(n, k)``.
        jitter: of the mean of the diagonal, what is added to it.

    Returns:
        alpha ``(n, k)``.

    Raises:
        AttarError: if jitter is negative, the kernel is not finite, or is singular in its number type.

    Reference:
        Nguyen, Chen, Lee: Dataset Meta-Learning from Kernel Ridge-Regression, ICLR 2021.
    """
    if not 0 <= jitter < math.inf:
        raise AttarError(f"A jitter of {jitter} makes no ridge: give a number of 0 or more.")
    if k_ss.dim() != 2 or len(k_ss) != k_ss.shape[1] or y.dim() != 2 or len(y) != len(k_ss):
        raise AttarError(
            f"Ridge regression needs a kernel (n, n) and targets (n, k), and got {tuple(k_ss.shape)} and {tuple(y.shape)}."
        )
    diagonal = k_ss.diagonal()
    factor, failed = torch.linalg.cholesky_ex(k_ss + torch.diag_embed(jitter * diagonal.mean().expand_as(diagonal)))
    if not k_ss.is_meta and not bool(((failed == 0) & k_ss.isfinite().all()).all()):
        _explain(k_ss, jitter)
    return torch.cholesky_solve(y, factor)


def _explain(k_ss: Tensor, jitter: float) -> None:
    """Say why a kernel has no Cholesky factor."""
    if not bool(k_ss.isfinite().all()):
        raise AttarError(
            f"The kernel of {len(k_ss):,} rows holds numbers that are not finite: a row has become infinite or not a "
            "number, so lower the step size, or look at the rows it starts from."
        )
    precise = "" if k_ss.dtype == torch.float64 else ", or compute the kernel in float64"
    raise AttarError(
        f"The kernel of {len(k_ss):,} rows is singular with a jitter of {jitter:g}, as of rows that are nearly the same: "
        f"raise the jitter, to {max(10 * jitter, 1e-6):g} for instance{precise}."
    )
