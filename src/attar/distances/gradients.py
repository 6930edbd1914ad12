"""Distances between two gradients, each a dict of tensors with the same names and shapes."""

from __future__ import annotations

import torch
from torch import Tensor

from attar.types import Params

__all__ = ["cosine_distance", "layerwise_cosine", "squared_distance"]


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
