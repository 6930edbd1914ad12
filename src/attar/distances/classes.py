"""What all classification tasks share, whatever their rows: losses, targets, accuracy, members, on a network's answers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar.types import Batch

__all__ = ["answers", "class_accuracy", "class_loss", "class_members", "class_targets", "weighted_mean"]


def class_loss(logits: Tensor, batch: Batch, squared: bool) -> Tensor:
    """The training loss ``()`` with class ids ``(n,)``, probabilities or targets ``(n, classes)``, weighted mean over rows.

    Args:
        logits: a network's answers ``(n, classes)``.
        batch: the rows.
        squared: the squared gap between logits and targets, mean over the classes, in place of the cross-entropy.
    """
    assert batch.y is not None
    if squared:
        return weighted_mean(((logits - class_targets(batch, logits.shape[1], squared)) ** 2).mean(1), batch.weight)
    return weighted_mean(F.cross_entropy(logits, batch.y, reduction="none"), batch.weight)


def weighted_mean(losses: Tensor, weight: Tensor | None) -> Tensor:
    """The mean of rows' losses ``(n,)`` by their weights."""
    return losses.mean() if weight is None else (losses * weight).sum() / weight.sum()


def class_targets(batch: Batch, classes: int, squared: bool) -> Tensor:
    """Class ids become probabilities ``(n, classes)``; for the squared loss these less their mean, 1 / classes."""
    assert batch.y is not None
    if batch.y.dim() > 1:
        return batch.y
    targets = F.one_hot(batch.y, classes).to(batch.x.dtype)
    return targets - 1 / classes if squared else targets


def class_accuracy(model: nn.Module, call: Callable[[Tensor], Tensor], data: Batch) -> float:
    """Accuracy in [0, 1]; soft labels count by their largest probability."""
    assert data.y is not None
    truth = data.y if data.y.dim() == 1 else data.y.argmax(-1)
    return float((answers(model, call, data.x).argmax(-1) == truth).double().mean())


def answers(model: nn.Module, call: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What a trained network says of rows ``(n, outputs)``, in blocks, without gradients."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = [call(block) for block in x.split(256)]
    model.train(was_training)
    return torch.cat(found)


def class_members(batch: Batch, classes: int) -> dict[int | None, Tensor]:
    """Row ids of each class."""
    assert batch.y is not None
    labels = batch.y if batch.y.dim() == 1 else batch.y.argmax(-1)
    if labels.dim() == 2:  # per-view targets: the class that most views agree on
        labels = labels.mode(0).values
    return {group: torch.nonzero(labels == group).flatten() for group in range(classes)}
