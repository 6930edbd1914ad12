"""Mixing: rows of a batch put together with one another, and their targets with them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attar import rng
from attar.types import AttarError

__all__ = ["CutMix"]


@dataclass(frozen=True)
class CutMix:
    """A rectangle of every image is replaced by that of another image of the batch, and as much of its target.

    The rectangle is one for the batch, with sides ``sqrt(u)`` of the image's for u uniform in [0, 1) and its centre
    anywhere, cut off at the border; partners are a random permutation. Targets mix by the area that was replaced.

    Args:
        probability: of mixing a batch at all.

    Raises:
        AttarError: if the probability is not one.

    Example:
        >>> x, y = torch.rand(8, 1, 28, 28), torch.eye(8)
        >>> mixed, targets = CutMix(probability=1.0)(x, y, seed=3)
        >>> bool((targets.sum(1) - 1).abs().max() < 1e-6)
        True

    Reference:
        Yun et al.: CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features, ICCV 2019.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise AttarError(f"A probability of {self.probability} to mix a batch is none: give one in [0, 1].")

    def __call__(self, x: Tensor, targets: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Mix images ``(n, c, h, w)`` and their targets ``(n, classes)``; equal seeds mix alike."""
        source = rng.generator(seed, "cutmix")
        mixed, share, down, right = torch.rand(4, generator=source).tolist()
        if mixed >= self.probability:
            return x, targets
        partner = torch.randperm(len(x), generator=source).to(x.device)
        spans = [_span(side, share**0.5, place) for side, place in zip(x.shape[2:], (down, right), strict=True)]
        (top, bottom), (left, end) = spans
        x = x.clone()
        x[:, :, top:bottom, left:end] = x[partner, :, top:bottom, left:end]
        area = (bottom - top) * (end - left) / (x.shape[2] * x.shape[3])
        return x, (1 - area) * targets + area * targets[partner]


def _span(side: int, share: float, place: float) -> tuple[int, int]:
    """From where to where a share of a side reaches around a pixel, within the image."""
    reach = int(side * share) // 2
    centre = int(side * place)
    return max(centre - reach, 0), min(centre + reach, side)
