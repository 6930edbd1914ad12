"""The Gaussian kernel, maximum mean discrepancy under it, and kernels that finite networks' features estimate.

A kernel is called as ``kernel(a, b) -> (n, m)`` for rows a ``(n, ...)`` and b ``(m, ...)``; those of infinitely wide
networks are in `attar.distances.neural` and `attar.distances.convolutional`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attar.types import AttarError

__all__ = ["RBF", "GaussianMMD", "estimated", "gaussian_mmd", "median_width", "paired"]


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


def paired(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Rows that a kernel can compare, in float32 if they were in half precision.

    Raises:
        AttarError: if rows ``(n, ...)`` and ``(m, ...)`` differ in shape or number type, or are not of real numbers.
    """
    a, b = _full(a), _full(b)
    if a.dim() < 2 or a.shape[1:] != b.shape[1:]:
        shapes = " and ".join(" x ".join(str(side) for side in rows.shape) or "no" for rows in (a, b))
        raise AttarError(f"A kernel compares rows of one shape, and got {shapes} numbers: give (n, ...) and (m, ...).")
    if not a.is_floating_point() or a.dtype != b.dtype:
        raise AttarError(
            f"A kernel compares rows in float32 or float64, both in the same, and got {a.dtype} and {b.dtype}: convert them."
        )
    return a, b


@dataclass(frozen=True)
class RBF:
    """The Gaussian kernel ``k(x, y) = exp( -|x - y|^2 / (2 width^2) )``.

    Args:
        width: in units of the rows; `median_width` is the usual choice.
    """

    width: float

    def __post_init__(self) -> None:
        if not 0 < self.width < math.inf:
            raise AttarError(f"A Gaussian kernel of width {self.width} measures nothing: give a number above 0.")

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """The kernel ``(n, m)`` of rows ``(n, ...)`` and ``(m, ...)``, flattened."""
        return torch.exp(_squares(*_flat(*paired(a, b))) / (-2 * self.width**2))


def median_width(x: Tensor, most: int = 2048) -> float:
    """The median distance between two different rows of x ``(n, ...)``: the "median heuristic" for `RBF`.

    Args:
        x: rows, of which at least two differ.
        most: of more rows than these, so many at equal steps are looked at.

    Raises:
        AttarError: if more than half of the distances are nought, or not finite.

    Reference:
        Gretton et al.: A Kernel Two-Sample Test, JMLR 2012.
    """
    rows = _full(x.detach()).flatten(1)
    rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), most), device=rows.device).long()]
    width = torch.pdist(rows).median().item() if len(rows) > 1 else 0.0
    if not 0 < width < math.inf:
        raise AttarError(
            f"The median distance between {len(rows):,} rows is {width:g}, which is no width of a kernel: give rows that "
            "differ, or the width itself."
        )
    return width


def estimated(
    features_a: Sequence[Tensor] | Tensor,
    features_b: Sequence[Tensor] | Tensor,
    weight_variance: float = 1.0,
    bias_variance: float = 0.0,
) -> Tensor:
    """The NNGP kernel as finite random networks estimate it.

    ``w mean_k <f_k(x), f_k(y)> / d_k + b``, f_k the d_k features before the output layer of network k: the covariance,
    given these networks, of outputs whose weights have variance w / d_k and biases variance b. Its error falls with the
    root of the number of features in all.

    Args:
        features_a, features_b: for each network features ``(n, ...)`` and ``(m, ...)``, flattened, or one tensor
            ``(networks, n, d)``.
        weight_variance: w.
        bias_variance: b.

    Returns:
        The kernel ``(n, m)``, symmetric and positive semi-definite if both are the same.

    Raises:
        AttarError: if the two sides are not of the same networks.

    Reference:
        Loo et al.: Efficient Dataset Distillation using Random Feature Approximation, NeurIPS 2022.
    """
    if not len(features_a) or len(features_a) != len(features_b):
        raise AttarError(
            f"A kernel is estimated from the same networks' features on both sides, and got those of {len(features_a)} and "
            f"{len(features_b)}."
        )
    sides = zip(features_a, features_b, strict=True)
    products = [left @ right.T / left.shape[1] for left, right in (_flat(*paired(a, b)) for a, b in sides)]
    return torch.stack(products).mean(0) * weight_variance + bias_variance


def _flat(*sides: Tensor) -> list[Tensor]:
    return [rows.flatten(1) for rows in sides]
