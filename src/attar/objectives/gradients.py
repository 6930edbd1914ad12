"""Match the gradients that synthetic and real rows give a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attar.distances import layerwise_cosine
from attar.surrogates import Weights
from attar.training import passes
from attar.types import Problem, Task
from attar.views import View

__all__ = ["GradientMatch"]


@dataclass(frozen=True)
class GradientMatch:
    """``sum_c distance( grad L(synthetic_c), grad L(real_c) )`` with respect to a network's weights, class by class.

    Args:
        distance: between two gradients (see `attar.distances.gradients`).
    """

    distance: Callable[..., Tensor] = layerwise_cosine

    reads: ClassVar[tuple[type, ...]] = (Weights,)

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {}

    def loss(
        self, task: Task, surrogate: Weights, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        model, params = surrogate.model, surrogate.params
        losses = []
        for group in synthetic.groups:
            target, _ = passes.gradient(task, model, params, real.draw(group))
            losses.append(passes.gradient_distance(task, model, params, synthetic.draw(group), target, self.distance))
        return torch.stack(losses).sum(), {}, state
