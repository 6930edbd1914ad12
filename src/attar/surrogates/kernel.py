"""Sources of kernels: networks of infinite width, and estimates of them by networks of finite width."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attar import rng
from attar.distances import FullyConnected, estimated
from attar.surrogates.fresh import skeleton
from attar.surrogates.kinds import Kernel
from attar.training import passes
from attar.types import AttarError, Batch, Params, Problem
from attar.views import View

__all__ = ["FixedKernel", "RandomFeatures"]


@dataclass(frozen=True)
class FixedKernel:
    """The same kernel every step, of rows as they are.

    Args:
        kernel: from rows ``(n, ...)`` and ``(m, ...)`` to values ``(n, m)``: one of `attar.distances`, or a frozen part of
            one's own.
    """

    kernel: Callable[[Tensor, Tensor], Tensor] = field(default_factory=lambda: FullyConnected(depth=1))

    yields: ClassVar[type] = Kernel

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {}

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Kernel, dict[str, Any]]:
        return Kernel(_rows, self.kernel), state


def _rows(batch: Batch, learned: bool) -> Tensor:
    return batch.x


@dataclass(frozen=True)
class RandomFeatures:
    """Each step networks with new random weights, whose features estimate the kernel of an infinitely wide one (NNGP).

    ``K = weight_variance mean_j phi_j phi_j^T + bias_variance``, phi_j the last features of network j: the last layer, linear
    and random, is integrated out.

    Args:
        model: name of the networks; convolutions without norms are what the estimate is of ("convnet3-256-none").
        networks: how many a step.
        weight_variance: of a weight times the layer's fan in; all layers have it.
        bias_variance: of a bias.

    Reference:
        Loo, Hasani, Amini, Rus: Efficient Dataset Distillation using Random Feature Approximation, NeurIPS 2022; the
        numbers as in its public code.
    """

    model: str = "convnet3-256-none"
    networks: int = 8
    weight_variance: float = 2.0
    bias_variance: float = 0.01

    yields: ClassVar[type] = Kernel

    def __post_init__(self) -> None:
        if self.networks < 1:
            raise AttarError(f"{self.networks} networks estimate no kernel: give 1 or more.")
        if not self.weight_variance > 0 or not self.bias_variance >= 0:
            raise AttarError(
                f"Weights of variance {self.weight_variance} and biases of {self.bias_variance} make no kernel: give more "
                "than 0, and 0 or more."
            )

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        skeleton(problem.task, self.model)  # refused in a sentence where it does not fit the rows
        return {}

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Kernel, dict[str, Any]]:
        task, model = problem.task, skeleton(problem.task, self.model)
        drawn = [self._weights(model, generator, problem) for _ in range(self.networks)]

        def represent(batch: Batch, learned: bool) -> Tensor:
            found = passes.features_of if learned else passes.features
            return torch.stack([found(task, model, params, batch)[-1].flatten(1) for params in drawn])

        def between(a: Tensor, b: Tensor) -> Tensor:
            return estimated(a, b, self.weight_variance, self.bias_variance)

        return Kernel(represent, between), state

    def _weights(self, model: nn.Module, generator: torch.Generator, problem: Problem) -> Params:
        """Normal weights of the layers; norms, if there are any, as they start."""
        source = rng.generator(rng.draw_seed(generator), "weights")
        params = {name: value.detach() for name, value in model.named_parameters()}
        for prefix, layer in model.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                spreads = {"weight": self.weight_variance / layer.weight[0].numel(), "bias": self.bias_variance}
                for name, value in layer.named_parameters():
                    drawn = torch.randn(value.shape, generator=source) * math.sqrt(spreads[name])
                    params[f"{prefix}.{name}"] = drawn.to(problem.train.x)
        return params
