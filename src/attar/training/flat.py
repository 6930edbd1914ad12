"""Flat minima: gradients that look at the worst weights nearby (SAM), and at the gap between there and here (GSAM).

With g the gradient at the weights w and g' the one at ``w + rho g / |g|``, SAM descends along g'. GSAM adds that the gap
between the two losses is to fall: it descends along

    g' - alpha (g - (<g, g'> / |g'|^2) g'),

where what is taken off is the part of g orthogonal to g', so that the loss nearby falls as fast as by SAM.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attar.types import AttarError, Params

__all__ = ["Flat", "Slopes", "flat_slopes"]

Slopes = Callable[[Params], tuple[dict[str, Tensor], Tensor]]
"""From weights ``(k, ...)`` of k networks side by side: the gradients by name ``(k, ...)`` and the losses ``(k,)``."""

_LEAST_NORM = 1e-12


@dataclass(frozen=True)
class Flat:
    """How flat the minima are that training looks for; it takes two gradients an update.

    Args:
        rho: how far off the worst weights nearby are looked for.
        alpha: how much the gap between the loss there and here counts; 0 is SAM. Published are 0.3, and 1 for CIFAR-10 at 50
            rows a class and CIFAR-100.
        adaptive: measure the distance in units of each weight (ASAM): the step is ``rho w^2 g / |w g|``. The public code of
            DATM and PAD, which follows that of FTD, does; the formulas above are those without.

    Reference:
        Foret et al., Sharpness-aware minimization for efficiently improving generalization, ICLR 2021; Kwon et al., ASAM,
        ICML 2021; Zhuang et al., Surrogate gap minimization improves sharpness-aware training, ICLR 2022; used for experts
        by Du et al., Minimizing the accumulated trajectory error to improve dataset distillation, CVPR 2023 (FTD).
    """

    rho: float = 0.01
    alpha: float = 0.3
    adaptive: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.rho < math.inf:
            raise AttarError(f"Flat minima within rho={self.rho} are no others: give a positive number, as 0.01.")
        if not 0 <= self.alpha < math.inf:
            raise AttarError(f"The gap cannot count alpha={self.alpha} times: give 0 (SAM) or a positive number.")


def flat_slopes(slopes: Slopes, params: Params, flat: Flat) -> tuple[dict[str, Tensor], Tensor]:
    """What to descend along instead of the gradient, each network by itself.

    Args:
        slopes: gives the gradients; called at the weights, and at those nearby.
        params: weights ``(k, ...)`` of k networks.
        flat: how flat.

    Returns:
        The directions by name ``(k, ...)``, and the losses ``(k,)`` at the weights themselves.
    """
    here, loss = slopes(params)
    unit = {name: params[name].abs() for name in here} if flat.adaptive else {}
    scaled = {name: slope * unit[name] for name, slope in here.items()} if flat.adaptive else here
    reach = flat.rho / (_dot(scaled, scaled).sqrt() + _LEAST_NORM)
    step = {name: slope * unit[name] for name, slope in scaled.items()} if flat.adaptive else here
    worse, _ = slopes({name: params[name] + _each(reach, slope) * slope for name, slope in step.items()})
    if flat.alpha == 0:
        return worse, loss
    along = _dot(here, worse) / (_dot(worse, worse) + _LEAST_NORM**2)
    across = {name: here[name] - _each(along, slope) * slope for name, slope in worse.items()}
    return {name: slope - flat.alpha * across[name] for name, slope in worse.items()}, loss


def _dot(one: Params, other: Params) -> Tensor:
    """Inner products ``(k,)`` over all weights of each network."""
    return torch.stack([(one[name] * other[name]).flatten(1).sum(1) for name in one]).sum(0)


def _each(factor: Tensor, like: Tensor) -> Tensor:
    """A factor a network ``(k,)`` in the shape of its weights."""
    return factor.view(-1, *(1,) * (like.dim() - 1))
