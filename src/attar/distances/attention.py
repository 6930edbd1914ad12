"""Spatial attention: where in an image the features of a layer are large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from attar.types import AttarError

__all__ = ["SpatialAttention", "spatial_attention"]


def spatial_attention(features: Tensor, exponent: float = 4.0) -> Tensor:
    """Attention map of each row, of length 1.

    ``a / |a|`` with ``a = vec( sum_channels |f|^exponent )``

    Args:
        features: ``(n, c, h, w)``; those without pixels ``(n, d)`` have one channel and d places.
        exponent: the larger, the more a map shows of its largest values alone.

    Returns:
        ``(n, h*w)``, nought where all features are.

    Reference:
        Sajedi et al.: DataDAM: Efficient Dataset Distillation with Attention Matching, ICCV 2023.
    """
    maps = _power(features.unsqueeze(1) if features.dim() == 2 else features, exponent).sum(1)
    return F.normalize(maps.flatten(1), dim=1)


def _power(x: Tensor, exponent: float) -> Tensor:
    """``|x|^exponent``; by squaring where that is enough, for torch's power takes ten times as long."""
    if exponent == 4:
        return x.square().square()
    if exponent == 2:
        return x.square()
    return x.abs() if exponent == 1 else x.abs().pow(exponent)


@dataclass(frozen=True)
class SpatialAttention:
    """The attention maps of all layers but the last, whose features are left as they are.

    Args:
        exponent: see `spatial_attention`.

    Raises:
        AttarError: if the exponent is below 1.
    """

    exponent: float = 4.0

    def __post_init__(self) -> None:
        if self.exponent < 1:
            raise AttarError(f"Attention needs an exponent of 1 or more, and got {self.exponent}.")

    def __call__(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps ``(n, h*w)`` of each layer's features ``(n, c, h, w)``, and the last features ``(n, d)``."""
        *below, last = features
        return [*(spatial_attention(layer, self.exponent) for layer in below), last.flatten(1)]
