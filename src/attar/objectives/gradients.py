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

__all__ = ["ContrastiveGradientMatch", "GradientMatch"]


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


@dataclass(frozen=True)
class ContrastiveGradientMatch:
    """``distance( sum_c p_c grad L(synthetic_c), sum_c p_c grad L(real_c) )``: one gradient of all classes together.

    Class by class each side's gradient is mostly what the classes share; in the sum that cancels, and what tells them
    apart remains. The weights p_c are the classes' shares of the synthetic rows that are drawn, equal ones for equal classes.

    It starts class by class, as `GradientMatch`: in the first steps of each of the first networks.

    Args:
        distance: between two gradients (see `attar.distances.gradients`).
        warm_up: networks that start class by class.
        young: steps of each of these that do.

    Reference:
        Lee et al.: Dataset Condensation with Contrastive Signals, ICML 2022; the warm-up as in its public code.
    """

    distance: Callable[..., Tensor] = layerwise_cosine
    warm_up: int = 250
    young: int = 10

    reads: ClassVar[tuple[type, ...]] = (Weights,)

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {"networks": 0}

    def loss(
        self, task: Task, surrogate: Weights, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        networks = state["networks"] + (surrogate.age == 0)
        after = {"networks": networks}
        if networks <= self.warm_up and surrogate.age < self.young:
            loss, info, _ = GradientMatch(self.distance).loss(task, surrogate, synthetic, real, {})
            return loss, info, after
        model, params = surrogate.model, surrogate.params
        drawn = synthetic.draw()
        whole = len(drawn) if drawn.weight is None else drawn.weight.sum()
        weights = passes.shares(task, drawn).detach().sum(0) / whole
        # a class without a row of its own has a share all the same where labels are soft
        soft = drawn.y is not None and drawn.y.dim() > 1
        target = {name: torch.zeros_like(value) for name, value in params.items()}
        for group in real.groups if soft else synthetic.groups:
            slopes, _ = passes.gradient(task, model, params, real.draw(group))
            weight = weights[task.groups.index(group)]
            target = {name: value + slopes[name] * weight for name, value in target.items()}
        loss = passes.gradient_distance(task, model, params, drawn, target, self.distance)
        return loss, {}, after
