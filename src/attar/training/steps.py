"""One update of a network: the gradient of its loss, by plain autograd or by what the plan chooses, and the optimiser.

`plain` is the reference. Where the plan compiles, a batch goes through the network in pieces of one size, so that one
compiled graph serves every batch; what is missing in the last piece is filled with rows of weight zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar.models import fused
from attar.types import Batch, Params, Task

__all__ = ["compiled", "plain", "step"]

Slopes = tuple[dict[str, Tensor], Tensor]


def step(task: Task, model: nn.Module, optimiser: torch.optim.Optimizer, batch: Batch, size: int) -> Tensor:
    """Update the network once.

    Args:
        size: rows of a full batch, by which compiled pieces are cut.

    Returns:
        The loss before the update ``()``, detached.
    """
    params = dict(model.named_parameters())
    slopes, loss = compiled(task, model, params, batch, size) if task.plan.compiled else plain(task, model, params, batch)
    for name, param in params.items():
        param.grad = slopes[name]
    optimiser.step()
    return loss


def plain(task: Task, model: nn.Module, params: Params, batch: Batch) -> Slopes:
    """Gradient of the mean loss with respect to the weights, by name, and the loss ``()``; both detached."""
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    loss = task.loss(model, leaves, batch)
    slopes = torch.autograd.grad(loss, list(leaves.values()))
    return dict(zip(leaves, slopes, strict=True)), loss.detach()


def compiled(task: Task, model: nn.Module, params: Params, batch: Batch, size: int) -> Slopes:
    """As `plain`, through a compiled graph.

    Args:
        size: rows of a full batch; every batch of a run gives the same.
    """
    weight = torch.ones(len(batch), device=batch.x.device) if batch.weight is None else batch.weight
    batch = batch.replace(weight=weight / weight.sum())
    by_hand = task.plan.device == "cpu" and fused.supports(model, tuple(batch.x.shape[1:]))
    gradient = _by_hand if by_hand else _by_autograd
    total: list[Tensor] = []
    for piece in _pieces(task, model, batch, size):
        slopes, loss = gradient(task, model, params, piece)
        values = [*slopes.values(), loss]
        if total:
            torch._foreach_add_(total, values)
        else:
            total = values
    return dict(zip(params, total, strict=False)), total[-1]


def _pieces(task: Task, model: nn.Module, batch: Batch, size: int) -> list[Batch]:
    """The batch in equal pieces of at most `plan.chunk` rows, filled up with rows of weight zero."""
    if not task.independent(model):
        return [batch]  # rows see each other, in batch norm: another size means another graph
    pieces = -(-size // (task.plan.chunk or size))
    length = -(-size // pieces)
    missing = -len(batch) % length
    if missing:
        assert batch.weight is not None
        filled = batch.take(torch.cat([torch.arange(len(batch)), torch.zeros(missing, dtype=torch.long)]))
        batch = filled.replace(weight=torch.cat([batch.weight, batch.weight.new_zeros(missing)]))
    if len(batch) == length:
        return [batch]
    return [batch.take(rows) for rows in torch.arange(len(batch)).split(length)]


def _by_hand(task: Task, model: nn.Module, params: Params, piece: Batch) -> Slopes:
    """By the gradient that is written out for the network."""
    assert piece.y is not None
    values = {name: value.detach() for name, value in params.items()}
    targets = piece.y if piece.y.dim() == 2 else F.one_hot(piece.y, len(task.groups)).to(piece.x.dtype)
    dtype = torch.bfloat16 if task.plan.precision == "bf16" else torch.float32
    pad = fused.padding(tuple(piece.x.shape[1:]))
    with torch.no_grad():
        return _compile(fused.loss_gradient)(values, piece.x, targets, piece.weight, pad, dtype)


def _by_autograd(task: Task, model: nn.Module, params: Params, piece: Batch) -> Slopes:
    """By the compiler's own derivative of the task's loss."""
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    loss = _compile(_weighted_loss)(task, model, leaves, piece)
    slopes = torch.autograd.grad(loss, list(leaves.values()))
    return dict(zip(leaves, slopes, strict=True)), loss.detach()


def _weighted_loss(task: Task, model: nn.Module, params: Params, piece: Batch) -> Tensor:
    """The sum over rows of weight times loss: what adds up over pieces."""
    assert piece.weight is not None
    # of filled rows alone the mean is 0 / 0
    return task.loss(model, params, piece) * piece.weight.sum()


@cache
def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    # every network, size of piece and kind of label is a graph of its own, and the limit is meant for accidents
    return torch.compile(function, dynamic=False, recompile_limit=64)
