"""Passes of many rows through one network: features, gradients, and distances between gradients.

Objectives and sources of surrogates ask for these, never for how they are computed: that is the plan's affair. Each has a
plain version (ordinary autograd in fp32), the tested reference, and where the task has fast kernels for the network (see
`attar.models.kernels`) a fast one that the plan chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar.types import AttarError, Batch, Params, Task

__all__ = ["features", "features_of", "gradient", "gradient_distance"]

LAST = (-1,)


def features(task: Task, model: nn.Module, params: Params, batch: Batch, layers: Sequence[int] = LAST) -> list[Tensor]:
    """Features of rows that need no gradient, a chunk at a time.

    Args:
        layers: indices into ``task.features``.

    Returns:
        For each layer ``(n, ...)``.
    """
    kernels = task.kernels(model) if tuple(layers) == LAST else None
    if kernels is not None:
        return [kernels.embedding(dict(params), batch.x)]
    with torch.no_grad():
        parts = [_pick(task.features(model, params, part), layers) for part in _chunks(task, model, batch)]
    return [torch.cat(column) for column in zip(*parts, strict=True)]


def features_of(
    task: Task, model: nn.Module, params: Params, batch: Batch, layers: Sequence[int] = LAST
) -> list[Tensor]:
    """Features of rows, differentiable in the rows (not in the weights); shapes as `features`."""
    kernels = task.kernels(model) if tuple(layers) == LAST else None
    if kernels is not None:
        return [kernels.embedding_of(dict(params), batch.x)]
    return _pick(task.features(model, params, batch), layers)


def gradient(task: Task, model: nn.Module, params: Params, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """Gradient of the mean loss with respect to the weights, a chunk at a time.

    Returns:
        The gradient by name and the loss ``()``, detached.
    """
    kernels = task.kernels(model)
    if kernels is not None:
        return kernels.gradient(dict(params), batch.x, *_targets(task, batch))
    total = {name: torch.zeros_like(value) for name, value in params.items()}
    loss = torch.zeros((), device=batch.x.device)
    whole = _mass(batch)
    for part in _chunks(task, model, batch):
        share = _mass(part) / whole
        if share == 0:  # rows without weight, whose mean would be 0 / 0
            continue
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        value = task.loss(model, leaves, part)
        slopes = torch.autograd.grad(value, list(leaves.values()))
        loss += value.detach() * share
        for name, slope in zip(leaves, slopes, strict=True):
            total[name] += slope * share
    return total, loss


def gradient_distance(
    task: Task,
    model: nn.Module,
    params: Params,
    batch: Batch,
    target: Params,
    distance: Callable[[Params, Params], Tensor],
) -> Tensor:
    """Distance ``()`` between the gradient of `batch`'s loss and a given one, differentiable in the batch."""
    kernels = task.kernels(model)
    if kernels is not None:
        return kernels.gradient_distance(dict(params), batch.x, *_targets(task, batch), dict(target), distance)
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    slopes = torch.autograd.grad(task.loss(model, leaves, batch), list(leaves.values()), create_graph=True)
    return distance(dict(zip(leaves, slopes, strict=True)), target)


def _pick(outputs: Sequence[Tensor], layers: Sequence[int]) -> list[Tensor]:
    depth = len(outputs)
    if any(not -depth <= layer < depth for layer in layers):
        raise AttarError(
            f"The network has {depth} layers of features and layers={tuple(layers)} was asked for: give 0 to {depth - 1}."
        )
    return [outputs[layer] for layer in layers]


def _targets(task: Task, batch: Batch) -> tuple[Tensor, Tensor]:
    """Probabilities ``(n, classes)`` and row weights ``(n,)`` that sum to one."""
    assert batch.y is not None
    targets = F.one_hot(batch.y, len(task.groups)).to(batch.x.dtype) if batch.y.dim() == 1 else batch.y
    weight = torch.ones(len(targets)) if batch.weight is None else batch.weight
    return targets, weight / weight.sum()


def _chunks(task: Task, model: nn.Module, batch: Batch) -> list[Batch]:
    size = task.plan.chunk
    if size is None or len(batch) <= size or not task.independent(model):
        return [batch]
    return [batch.take(rows) for rows in torch.arange(len(batch), device=batch.x.device).split(size)]


def _mass(batch: Batch) -> float:
    return float(len(batch)) if batch.weight is None else float(batch.weight.sum())
