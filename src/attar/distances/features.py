"""Distances between two labelled sets of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attar.types import AttarError

__all__ = ["MeanDistance", "class_means", "mean_distance"]


def class_means(features: Tensor, y: Tensor, classes: int) -> Tensor:
    """Mean feature of each class.

    Args:
        features: ``(n, ...)``, flattened to ``(n, d)``.
        y: class ids ``(n,)``, or probabilities ``(n, classes)``, which weigh each row's share in each class.
        classes: number of classes.

    Returns:
        ``(classes, d)`` in float32 or better; zero where a class has no row.
    """
    rows = features.flatten(1)
    rows = rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows
    share = torch.nn.functional.one_hot(y, classes) if y.dim() == 1 else y
    share = share.to(rows.dtype)
    return (share.T @ rows) / share.sum(0).clamp_min(1e-12).unsqueeze(1)


def mean_distance(
    real: Sequence[Tensor], y_real: Tensor, synthetic: Sequence[Tensor], y_synthetic: Tensor, classes: int
) -> Tensor:
    """Sum over layers and classes of the squared distance between mean features.

    ``sum_l sum_c | mean_{i: y_i = c} f_l(x_i) - mean_{j: y_j = c} f_l(s_j) |^2``

    Args:
        real, synthetic: for each layer the features ``(n, ...)`` and ``(m, ...)``.
        y_real, y_synthetic: class ids ``(n,)`` and ``(m,)``, or probabilities.
        classes: number of classes.

    Returns:
        The distance ``()``.

    Reference:
        Zhao, Bilen: Dataset Condensation with Distribution Matching, WACV 2023.
    """
    total = torch.zeros((), device=y_real.device)
    for left, right in zip(real, synthetic, strict=True):
        gap = class_means(left, y_real, classes) - class_means(right, y_synthetic, classes)
        total = total + (gap**2).sum()
    return total


@dataclass(frozen=True)
class MeanDistance:
    """`mean_distance` with weights: one for the last layer and one for all below it.

    ``below sum_{l < L} D_l + last D_L``, D_l the sum over classes of a layer's squared distances between means

    Args:
        below: weight of each layer below the last.
        last: weight of the last.
    """

    below: float = 1.0
    last: float = 1.0

    def __post_init__(self) -> None:
        if min(self.below, self.last) < 0 or self.below == self.last == 0:
            raise AttarError(
                f"Weights of {self.below} and {self.last} compare nothing: give numbers of 0 or more, not both 0."
            )

    def __call__(
        self,
        real: Sequence[Tensor],
        y_real: Tensor,
        synthetic: Sequence[Tensor],
        y_synthetic: Tensor,
        classes: int,
    ) -> Tensor:
        """The distance ``()``; arguments as in `mean_distance`."""
        cuts = (slice(None, -1), slice(-1, None))
        lower, upper = (mean_distance(real[cut], y_real, synthetic[cut], y_synthetic, classes) for cut in cuts)
        return self.below * lower + self.last * upper
