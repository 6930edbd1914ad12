"""Maximum mean discrepancy under a characteristic kernel: distributions that differ in any moment differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attar.types import AttarError

__all__ = ["GaussianMMD", "gaussian_mmd"]


def gaussian_mmd(
    real: Tensor, real_share: Tensor, synthetic: Tensor, synthetic_share: Tensor, widths: Sequence[float], scaled: bool
) -> Tensor:
    """Squared maximum mean discrepancy of two weighted sets under a sum of Gaussian kernels.

    ``sum_ij p_i p_j k(r_i, r_j) - 2 sum_ij p_i q_j k(r_i, s_j) + sum_ij q_i q_j k(s_i, s_j)`` with
    ``k(a, b) = sum_m exp( -|a - b|^2 / (m B) )`` for m in `widths`, and B the mean squared distance between two different
    rows of both sets together, taken as a constant. A row's pair with itself counts.

    Args:
        real, synthetic: features ``(n, d)`` and ``(m, d)``.
        real_share, synthetic_share: what each row counts, ``(n,)`` and ``(m,)``; they are divided by their sums.
        widths: kernels, as multiples of B.
        scaled: multiply by ``B / (2 sum_m 1/m)``. Where B is large beside the gap of the means the discrepancy is then the
            squared gap itself, and its gradient does not shrink as the features grow.

    Returns:
        The discrepancy ``()``, at least nought but for rounding.
    """
    within, across, own = (_squares(a, b) for a, b in ((real, real), (real, synthetic), (synthetic, synthetic)))
    rows = len(real) + len(synthetic)
    total = within.detach().sum() + 2 * across.detach().sum() + own.detach().sum()
    bandwidth = (total / (rows * (rows - 1))).clamp_min(1e-12)
    p, q = real_share / real_share.sum().clamp_min(1e-12), synthetic_share / synthetic_share.sum().clamp_min(1e-12)
    value = p @ _kernel(within, bandwidth, widths) @ p - 2 * (p @ _kernel(across, bandwidth, widths) @ q)
    value = value + q @ _kernel(own, bandwidth, widths) @ q
    return value * bandwidth / (2 * sum(1 / width for width in widths)) if scaled else value


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances ``(n, m)``; at least nought."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    return squares.clamp_min(0)


def _kernel(squares: Tensor, bandwidth: Tensor, widths: Sequence[float]) -> Tensor:
    return torch.stack([torch.exp(-squares / (width * bandwidth)) for width in widths]).sum(0)


@dataclass(frozen=True)
class GaussianMMD:
    """Sum over layers and classes of `gaussian_mmd`, a distance for `attar.objectives.FeatureMatch`.

    Every pair of rows is looked at whatever their classes, so a batch of one class at a time (``FeatureMatch(apart=True)``)
    is what it is meant for.

    Args:
        widths: kernels, as multiples of the mean squared distance.
        scaled: see `gaussian_mmd`. A gap between means then counts about as in `mean_distance`, so a step size carries over
            whatever the features' spread.

    Reference:
        Zhang et al.: M3D: Dataset Condensation by Minimizing Maximum Mean Discrepancy, AAAI 2024; Gretton et al.: A Kernel
        Two-Sample Test, JMLR 2012.
    """

    widths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    scaled: bool = True

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) <= 0:
            raise AttarError(f"Kernels of widths {self.widths} measure nothing: give one or more positive ones.")

    def __call__(
        self,
        real: Sequence[Tensor],
        y_real: Tensor,
        synthetic: Sequence[Tensor],
        y_synthetic: Tensor,
        classes: int,
    ) -> Tensor:
        """The discrepancy ``()``; arguments as in `mean_distance`."""
        total = torch.zeros((), device=y_real.device)
        for left, right in zip(real, synthetic, strict=True):
            sides = [_full(rows.flatten(1)) for rows in (left, right)]
            for group in range(classes):
                p, q = (_column(y, group).to(sides[0].dtype) for y in (y_real, y_synthetic))
                total = total + gaussian_mmd(sides[0], p, sides[1], q, self.widths, self.scaled)
        return total


def _column(y: Tensor, group: int) -> Tensor:
    """What each row counts in a class."""
    return y == group if y.dim() == 1 else y[:, group]


def _full(rows: Tensor) -> Tensor:
    return rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows
