"""Passes of many rows through one network: features, gradients, and distances between gradients.

Objectives and sources of surrogates ask for these, never for how they are computed: that is the plan's affair. Each has a
plain version (ordinary autograd in fp32), the tested reference, and where the task has fast kernels for the network (see
`attar.models.kernels`) a fast one that the plan chooses.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar.models.kernels import Kept, joined
from attar.types import AttarError, Batch, Params, Task

__all__ = [
    "Pullback",
    "accuracy",
    "differentiable_gradient",
    "features",
    "features_of",
    "gradient",
    "gradient_distance",
    "gradient_pullback",
    "logits",
    "loss_of",
    "shares",
]

LAST = (-1,)

Layers = Sequence[int] | Literal["all"]
"""Indices into ``task.features``, or all of them."""

Reduce = Callable[[list[Tensor], Tensor], Kept]
"""What is kept of a chunk: called with its features, one a layer, and its rows' shares ``(rows, classes)``, it returns tensors
with a row a row, which are put one chunk after the other, and sums over rows, which are added up."""


def features(
    task: Task,
    model: nn.Module,
    params: Params,
    batch: Batch,
    layers: Layers = LAST,
    reduce: Reduce | None = None,
    share: Tensor | None = None,
) -> list[Tensor]:
    """Features of rows that need no gradient, a chunk at a time.

    Args:
        layers: which of ``task.features``.
        reduce: what is kept of a chunk's features, so that large maps of many rows never exist at once; None for all.
        share: shares ``(n, classes)`` of the rows in the classes, handed to `reduce`; None for those of ``batch.y``.

    Returns:
        For each layer ``(n, ...)``; with `reduce` the rows that it kept, then the sums.
    """
    kernels = task.kernels(model)
    if kernels is not None and reduce is None and layers != "all" and tuple(layers) == LAST:
        return [kernels.embedding(dict(params), batch.x)]
    weights = shares(task, batch) if reduce is not None and share is None else share
    weights = batch.x.new_zeros(len(batch), 1) if weights is None else weights
    if kernels is not None:
        chosen = _chosen(kernels.depth(dict(params)), layers)
        return kernels.layers(dict(params), batch.x, weights, chosen, reduce or _whole)
    parts = _chunks(task, model, batch)
    pieces = zip(parts, weights.split([len(part) for part in parts]), strict=True)
    with torch.no_grad():
        kept = ((reduce or _whole)(_pick(task.features(model, params, part), layers), w) for part, w in pieces)
        rows, sums = joined(kept, len(parts))
    return [*rows, *sums]


def features_of(task: Task, model: nn.Module, params: Params, batch: Batch, layers: Layers = LAST) -> list[Tensor]:
    """Features of rows, differentiable in the rows (not in the weights); shapes as `features`."""
    kernels = task.kernels(model)
    if kernels is not None and layers != "all" and tuple(layers) == LAST:
        return [kernels.embedding_of(dict(params), batch.x)]
    if kernels is not None:
        return kernels.layers_of(dict(params), batch.x, _chosen(kernels.depth(dict(params)), layers))
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
    loss = torch.zeros((), dtype=batch.x.dtype, device=batch.x.device)
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


class Pullback(NamedTuple):
    """The gradient of ``<g, c>``, g the gradient of a loss with respect to the weights and c a constant like it.

    Args:
        params: with respect to the weights, by name: the Hessian times c; empty where it was not asked for.
        x: with respect to the rows ``(n, ...)``.
        y: with respect to targets that are probabilities ``(n, classes)``, None for class ids.
        value: ``<g, c>`` ``()``.
    """

    params: dict[str, Tensor]
    x: Tensor
    y: Tensor | None
    value: Tensor


def gradient_pullback(
    task: Task, model: nn.Module, params: Params, batch: Batch, cotangent: Params, hessian: bool = True
) -> Pullback:
    """Go back through `gradient`, a chunk at a time.

    Args:
        cotangent: what the gradient is multiplied by, by name.
        hessian: whether to go back to the weights as well.
    """
    kernels = task.kernels(model)
    soft = batch.y is not None and batch.y.is_floating_point()
    if kernels is not None:
        slopes, of_x, of_y, value = kernels.gradient_pullback(
            dict(params), batch.x, *_targets(task, batch), dict(cotangent), hessian
        )
        return Pullback(slopes, of_x, of_y if soft else None, value)
    whole = _mass(batch)
    total = {name: torch.zeros_like(value) for name, value in params.items()} if hessian else {}
    value = torch.zeros((), dtype=batch.x.dtype, device=batch.x.device)
    pieces: list[tuple[Tensor, ...]] = []
    for part in _chunks(task, model, batch):
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        rows = [part.x.detach().requires_grad_()]
        if soft:
            assert part.y is not None
            rows.append(part.y.detach().requires_grad_())
        share = _mass(part) / whole
        if share == 0:
            pieces.append(tuple(torch.zeros_like(row) for row in rows))
            continue
        loss = task.loss(model, leaves, part.replace(x=rows[0], y=rows[-1] if soft else part.y))
        slopes = torch.autograd.grad(loss, list(leaves.values()), create_graph=True)
        product = torch.stack([(slope * cotangent[name]).sum() for name, slope in zip(leaves, slopes, strict=True)])
        product = product.sum() * share
        weights = list(leaves.values()) if hessian else []
        back = torch.autograd.grad(product, [*weights, *rows], materialize_grads=True)
        value += product.detach()
        for name, slope in zip(total, back, strict=False):
            total[name] += slope
        pieces.append(back[len(weights) :])
    of_rows = [torch.cat(column) for column in zip(*pieces, strict=True)]
    return Pullback(total, of_rows[0], of_rows[1] if soft else None, value)


def differentiable_gradient(task: Task, model: nn.Module, params: Params, batch: Batch) -> dict[str, Tensor]:
    """Gradient of the mean loss with respect to the weights, by name, differentiable once in weights, rows and targets."""
    kernels = task.kernels(model)
    if kernels is not None:
        return kernels.differentiable_gradient(dict(params), batch.x, *_targets(task, batch))
    leaves = {name: value if value.requires_grad else value.detach().requires_grad_() for name, value in params.items()}
    slopes = torch.autograd.grad(task.loss(model, leaves, batch), list(leaves.values()), create_graph=True)
    return dict(zip(leaves, slopes, strict=True))


def loss_of(task: Task, model: nn.Module, params: Params, batch: Batch) -> Tensor:
    """Mean loss ``()`` of rows, differentiable in the rows and their targets (not in the weights)."""
    kernels = task.kernels(model)
    if kernels is None or kernels.squared:
        return task.loss(model, params, batch)
    targets, weight = _targets(task, batch)
    logits = F.linear(kernels.embedding_of(dict(params), batch.x), params["head.weight"], params["head.bias"])
    return -((F.log_softmax(logits, 1) * targets).sum(1) * weight).sum()


def accuracy(task: Task, model: nn.Module, params: Params, batch: Batch) -> float:
    """Share of labelled rows that a network with the given weights gets right, in [0, 1]."""
    if task.kernels(model) is not None:
        assert batch.y is not None
        truth = batch.y if batch.y.dim() == 1 else batch.y.argmax(-1)
        return float((logits(task, model, params, batch).argmax(-1) == truth).double().mean())
    network = copy.deepcopy(model)
    network.load_state_dict(dict(params), strict=False)
    return sum(task.metric(network, part) * len(part) for part in _chunks(task, model, batch)) / len(batch)


def logits(task: Task, model: nn.Module, params: Params, batch: Batch) -> Tensor:
    """A network's answers ``(n, classes)`` for rows, no gradient."""
    kernels = task.kernels(model)
    if kernels is not None:
        return kernels.logits(dict(params), batch.x)
    with torch.no_grad():
        parts = [torch.func.functional_call(model, dict(params), (part.x,)) for part in _chunks(task, model, batch)]
    return torch.cat(parts)


def shares(task: Task, batch: Batch) -> Tensor:
    """How much each row counts in each class ``(n, classes)``: labels times row weights; where there are no classes, in all."""
    if None in task.groups:
        share = batch.x.new_ones(len(batch), 1)
    else:
        assert batch.y is not None
        share = F.one_hot(batch.y, len(task.groups)).to(batch.x.dtype) if batch.y.dim() == 1 else batch.y
    return share if batch.weight is None else share * batch.weight.unsqueeze(1)


def _pick(outputs: Sequence[Tensor], layers: Layers) -> list[Tensor]:
    return [outputs[layer] for layer in _chosen(len(outputs), layers)]


def _chosen(depth: int, layers: Layers) -> tuple[int, ...]:
    """Indices from nought on."""
    if layers == "all":
        return tuple(range(depth))
    indices = tuple(int(layer) for layer in layers)
    if any(not -depth <= layer < depth for layer in indices):
        raise AttarError(
            f"The network has {depth} layers of features and layers={indices} was asked for: give 0 to {depth - 1}."
        )
    return tuple(layer % depth for layer in indices)


def _whole(outputs: list[Tensor], share: Tensor) -> Kept:
    return outputs, ()


def _targets(task: Task, batch: Batch) -> tuple[Tensor, Tensor]:
    """Targets ``(n, classes)`` and row weights ``(n,)`` that sum to one."""
    targets = task.targets(batch)
    weight = torch.ones(len(targets)) if batch.weight is None else batch.weight
    return targets, weight / weight.sum()


def _chunks(task: Task, model: nn.Module, batch: Batch) -> list[Batch]:
    size = task.plan.chunk
    if size is None or len(batch) <= size or not task.independent(model):
        return [batch]
    return [batch.take(rows) for rows in torch.arange(len(batch), device=batch.x.device).split(size)]


def _mass(batch: Batch) -> float:
    return float(len(batch)) if batch.weight is None else float(batch.weight.sum())
