"""Gradients of a loss through the fused passes of `attar.models.fused`, and what is made of them; for ``torch.compile``, too."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from attar.models import fused
from attar.models.fused import Weights

__all__ = ["loss_gradient", "matched_gradient", "pulled_gradient"]


def loss_gradient(
    params: Weights, x: Tensor, targets: Tensor, weight: Tensor, pad: int, dtype: torch.dtype, squared: bool
) -> tuple[Weights, Tensor]:
    """Gradient of ``sum_i weight_i L(x_i, targets_i)`` with respect to the weights, and its value.

    Args:
        targets: ``(n, classes)``: probabilities, or with `squared` real numbers.
        weight: ``(n,)``; zero for rows that only fill a chunk.
        squared: L is the mean squared gap over the classes instead of the cross-entropy.
    """
    features, saved = fused.embedding_kept(params, x, pad, dtype)
    logits = F.linear(features, params["head.weight"], params["head.bias"])
    if squared:
        gap = logits - targets
        losses, slope = (gap**2).mean(1), gap * (2 / gap.shape[1] * weight[:, None])
    else:
        log_p = F.log_softmax(logits, 1)
        losses = -(log_p * targets).sum(1)
        slope = (log_p.exp() * targets.sum(1, keepdim=True) - targets) * weight[:, None]
    slopes = fused.of_the_last(slope @ params["head.weight"], saved)
    _, gradients = fused.backward(params, x.shape[1], saved, slopes, pad, dtype, False, True)
    gradients["head.weight"], gradients["head.bias"] = slope.t() @ features, slope.sum(0)
    return {name: gradients[name] for name in params}, (losses * weight).sum()


def matched_gradient(
    params: Weights,
    x: Tensor,
    targets: Tensor,
    weight: Tensor,
    wanted: Weights,
    distance: Callable[[Weights, Weights], Tensor],
    pad: int,
    dtype: torch.dtype,
    squared: bool,
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Distance between the loss's gradient and a wanted one; returns its gradients to images and targets, and its value."""

    def value(x: Tensor, targets: Tensor) -> Tensor:
        return distance(loss_gradient(params, x, targets, weight, pad, dtype, squared)[0], wanted)

    return torch.func.grad_and_value(value, argnums=(0, 1))(x, targets)


def pulled_gradient(
    params: Weights,
    x: Tensor,
    targets: Tensor,
    weight: Tensor,
    cotangent: Weights,
    pad: int,
    hessian: bool,
    squared: bool,
) -> tuple[tuple[Weights, Tensor, Tensor], Tensor]:
    """The loss's gradient times a constant like it, in float32; returns its gradients to weights (none without `hessian`),
    images and targets, and its value."""

    def value(params: Weights, x: Tensor, targets: Tensor) -> Tensor:
        slopes = loss_gradient(params, x, targets, weight, pad, torch.float32, squared)[0]
        return torch.stack([(slopes[name] * cotangent[name]).sum() for name in params]).sum()

    slopes, product = torch.func.grad_and_value(value, argnums=(0, 1, 2) if hessian else (1, 2))(params, x, targets)
    return slopes if hessian else ({}, *slopes), product
