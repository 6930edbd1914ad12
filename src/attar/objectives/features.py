"""Match the features of synthetic and real rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from attar.distances import mean_distance
from attar.surrogates import Weights
from attar.training import passes
from attar.types import Batch, Problem, Task
from attar.views import View

__all__ = ["FeatureMatch"]


@dataclass(frozen=True)
class FeatureMatch:
    """``distance( f(real), f(synthetic) )`` class by class, for features f of a network.

    Args:
        distance: called as ``distance(real, y_real, synthetic, y_synthetic, classes)`` with a list of features ``(n, ...)``
            a side, one a layer (see `attar.distances.features`).
        layers: which of ``task.features``; the last alone is the embedding.
    """

    distance: Callable[..., Tensor] = mean_distance
    layers: tuple[int, ...] = (-1,)

    reads: ClassVar[tuple[type, ...]] = (Weights,)

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {}

    def loss(
        self, task: Task, surrogate: Weights, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        rows = real.draw()
        target = passes.features(task, surrogate.model, surrogate.params, rows, self.layers)
        drawn = synthetic.draw()
        outputs = passes.features_of(task, surrogate.model, surrogate.params, drawn, self.layers)
        classes = len(task.groups)
        loss = self.distance(target, _shares(rows, classes), outputs, _shares(drawn, classes), classes)
        return loss, {}, state


def _shares(batch: Batch, classes: int) -> Tensor:
    """Labels as a distance reads them, row weights worked in."""
    assert batch.y is not None
    if batch.weight is None:
        return batch.y
    share = F.one_hot(batch.y, classes).to(batch.x.dtype) if batch.y.dim() == 1 else batch.y
    return share * batch.weight.unsqueeze(1)
