"""Distances between two gradients, each a dict of tensors with the same names and shapes."""

from __future__ import annotations

import torch
from torch import Tensor

from attar.types import Params

__all__ = ["cosine_distance", "hidden_l1", "hidden_squared", "layerwise_cosine", "squared_distance"]


def layerwise_cosine(a: Params, b: Params, eps: float = 1e-6) -> Tensor:
    r"""Sum over layers and output units of one minus the cosine.

    ``sum_l sum_i 1 - <a_li, b_li> / (|a_li| |b_li| + eps)``, where row *i* of layer *l* holds all weights into output
    unit *i*. Parameters of one dimension (biases, norms) are skipped, as in the published results.

    Args:
        a, b: gradients, each value ``(out, ...)``.
        eps: added to the product of the norms.

    Returns:
        The distance ``()``, in [0, 2 x the number of output units].

    Reference:
        Zhao, Mopuri, Bilen: Dataset Condensation with Gradient Matching, ICLR 2021, equation 10.
    """
    total = torch.zeros((), device=next(iter(a.values())).device)
    for name, left in a.items():
        if left.dim() < 2:
            continue
        left, right = left.flatten(1), b[name].flatten(1)
        scale = left.norm(dim=1) * right.norm(dim=1) + eps
        total = total + (1 - (left * right).sum(1) / scale).sum()
    return total


def squared_distance(a: Params, b: Params) -> Tensor:
    """Sum over all parameters of the squared difference ``()`` (the "mse" of the gradient matching papers)."""
    return torch.stack([((left - b[name]) ** 2).sum() for name, left in a.items()]).sum()


def cosine_distance(a: Params, b: Params, eps: float = 1e-6) -> Tensor:
    """One minus the cosine ``()`` of the two gradients, each flattened to one vector."""
    left = torch.cat([value.flatten() for value in a.values()])
    right = torch.cat([b[name].flatten() for name in a])
    return 1 - (left * right).sum() / (left.norm() * right.norm() + eps)


def hidden_l1(a: Params, b: Params) -> Tensor:
    """Sum over the hidden layers of the absolute difference.

    ``sum_l | a_l - b_l |_1`` over all weights ``(out, ...)`` but the last, which is the classifier's; parameters of one
    dimension (biases, norms) are skipped. Nothing is divided by a layer's size.

    Args:
        a: a gradient, its names in the order of the layers.
        b: another.

    Returns:
        The distance ``()``.

    Reference:
        Kim et al.: Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022; which layers count is
        read from its public code.
    """
    return torch.stack([(a[name] - b[name]).abs().sum() for name in _hidden(a)]).sum()


def hidden_squared(a: Params, b: Params) -> Tensor:
    """Sum over the hidden layers of the squared difference ``sum_l | a_l - b_l |^2``; layers and reference as `hidden_l1`."""
    return torch.stack([((a[name] - b[name]) ** 2).sum() for name in _hidden(a)]).sum()


def _hidden(gradient: Params) -> list[str]:
    """Names of the weights below the classifier; of the classifier where there is no other."""
    weights = [name for name, value in gradient.items() if value.dim() > 1]
    return weights[:-1] or weights
