"""Scoring a trained network: by the task's own metric, through fast kernels where the plan has them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attar.models import Network
from attar.models.kernels import Kernels
from attar.types import Batch, Task

__all__ = ["guesses", "measure"]


def measure(task: Task, model: nn.Module, data: Batch) -> float:
    """The task's metric of a trained network on data, in [0, 1]."""
    return task.metric(_quickest(task, model), data)


def guesses(task: Task, model: nn.Module, data: Batch) -> Tensor:
    """The classes ``(n,)`` that a trained network takes rows for."""
    network, was_training = _quickest(task, model), model.training
    network.eval()
    with torch.no_grad():
        found = [network(x).argmax(-1) for x in data.x.split(256)]
    network.train(was_training)
    return torch.cat(found)


def _quickest(task: Task, model: nn.Module) -> nn.Module:
    """The network, by kernels where the plan has them."""
    kernels = task.kernels(model)
    if kernels is None:
        return model
    assert isinstance(model, Network)
    return _Fast(model, kernels)


class _Fast(nn.Module):
    """A network that answers as the given one does, by kernels."""

    def __init__(self, model: Network, kernels: Kernels) -> None:
        super().__init__()
        self.params = {name: value.detach() for name, value in model.named_parameters()}
        self.head = model.head
        self.kernels = kernels

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of images ``(n, c, h, w)``."""
        missing = -len(x) % self.kernels.chunk  # whole chunks only, so that a remainder costs no graph of its own
        filled = torch.cat([x, x.new_zeros((missing, *x.shape[1:]))])
        return self.head(self.kernels.embedding(self.params, filled)[: len(x)])
