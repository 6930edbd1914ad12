"""Match characteristic functions, at frequencies that a network seeks where the two sides differ most."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar import rng
from attar.distances import characteristic_distance, characteristic_function
from attar.surrogates import Weights
from attar.training import passes
from attar.training.optimisers import SGD, Optimiser, update
from attar.types import AttarError, Problem, Task
from attar.views import View

__all__ = ["CharacteristicMatch", "FrequencyNetwork"]


@dataclass(frozen=True)
class FrequencyNetwork:
    """Frequencies ``t = psi(z) * n``, z and n standard normal: a mixture of normals whose scales a small network gives.

    psi has three linear layers, a batch norm after each, leaky ReLUs between them and a hyperbolic tangent at the end. It
    goes **up** the distance that the rows go down.

    Args:
        width: of the two hidden layers.
        repeat: frequencies that share one vector of scales.
        optimiser: of psi.
    """

    width: int = 256
    repeat: int = 16
    optimiser: Optimiser = SGD(1e-3, momentum=0.5)

    def start(self, size: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Weights for features of `size` numbers."""
        sizes = (size, self.width, self.width, size)
        weights: dict[str, Tensor] = {}
        with rng.seeded(rng.draw_seed(generator)):
            for index, (inward, outward) in enumerate(pairwise(sizes)):
                layer = nn.Linear(inward, outward)
                weights |= {f"{index}.weight": layer.weight.detach(), f"{index}.bias": layer.bias.detach()}
                weights |= {f"{index}.scale": torch.ones(outward), f"{index}.shift": torch.zeros(outward)}
        return weights

    def frequencies(self, weights: dict[str, Tensor], count: int, generator: torch.Generator) -> Tensor:
        """Frequencies ``(count, size)``, differentiable in the weights."""
        like = weights["0.weight"]
        size = like.shape[1]
        z = torch.randn(max(-(-count // self.repeat), 2), size, generator=generator).to(like)
        for index in range(3):
            z = F.linear(z, weights[f"{index}.weight"], weights[f"{index}.bias"])
            z = F.batch_norm(z, None, None, weights[f"{index}.scale"], weights[f"{index}.shift"], training=True)
            z = z.tanh() if index == 2 else F.leaky_relu(z, 0.2)
        return z.repeat(self.repeat, 1)[:count] * torch.randn(count, size, generator=generator).to(like)


@dataclass(frozen=True)
class CharacteristicMatch:
    """``scale sum_c mean_t D( Phi_real,c(t), Phi_synthetic,c(t) ) + calibration CE(synthetic)``

    Phi are characteristic functions of a network's last features, each row's divided by its length, and D weighs their
    difference in amplitude and in phase (see `attar.distances.characteristic`). The cross-entropy is that of the trained
    network that the surrogate brings.

    Args:
        frequencies: number of t, drawn anew each step.
        network: what draws them; None for standard normal ones.
        amplitude, phase: weights within D.
        scale: of the first term.
        calibration: weight of the second; 0 for surrogates without a trained network.

    Reference:
        Wang et al.: Dataset Distillation with Neural Characteristic Function: A Minmax Perspective, CVPR 2025.
    """

    frequencies: int = 1024
    network: FrequencyNetwork | None = field(default_factory=FrequencyNetwork)
    amplitude: float = 0.5
    phase: float = 0.5
    scale: float = 300.0
    calibration: float = 1.0

    reads: ClassVar[tuple[type, ...]] = (Weights,)

    def __post_init__(self) -> None:
        if self.frequencies < 1:
            raise AttarError(f"{self.frequencies} frequencies tell nothing apart: give 1 or more.")

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {"seed": rng.draw_seed(generator), "step": 0, "network": {}, "optimiser": None}

    def loss(
        self, task: Task, surrogate: Weights, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        model, params = surrogate.model, surrogate.params
        rows, drawn = real.draw(), synthetic.draw()
        [target] = passes.features(task, model, params, rows)
        [outputs] = passes.features_of(task, model, params, drawn)
        psi = self._weights(state, target.flatten(1).shape[1], target)
        waves = self._waves(psi, state, target.flatten(1))
        there, here = (
            characteristic_function(F.normalize(features.flatten(1), dim=1), passes.shares(task, batch), waves)
            for features, batch in ((target, rows), (outputs, drawn))
        )
        matched = self.scale * characteristic_distance(there, here, self.amplitude, self.phase)
        after = {**state, "step": state["step"] + 1, **self._ascended(psi, matched, state)}
        info = {"matching": matched.detach()}
        if self.calibration == 0:
            return matched, info, after
        if surrogate.teacher is None:
            raise AttarError(
                "CharacteristicMatch calibrates by a trained network, and these surrogates bring none: take Pool, or "
                "calibration=0."
            )
        told = passes.loss_of(task, model, surrogate.teacher, drawn)
        return matched + self.calibration * told, {**info, "calibration": told.detach()}, after

    def _weights(self, state: dict[str, Any], size: int, like: Tensor) -> dict[str, Tensor]:
        """The network's weights as leaves; made in the first step, which is when the features' size is known."""
        if self.network is None:
            return {}
        weights = state["network"] or self.network.start(size, rng.generator(state["seed"], "network"))
        return {name: value.to(like, copy=True).requires_grad_() for name, value in weights.items()}

    def _waves(self, psi: dict[str, Tensor], state: dict[str, Any], like: Tensor) -> Tensor:
        source = rng.generator(state["seed"], "frequencies", state["step"])
        if self.network is None:
            return torch.randn(self.frequencies, like.shape[1], generator=source).to(like)
        return self.network.frequencies(psi, self.frequencies, source)

    def _ascended(self, psi: dict[str, Tensor], matched: Tensor, state: dict[str, Any]) -> dict[str, Any]:
        """The network after one step up the distance."""
        if self.network is None:
            return {}
        slopes = torch.autograd.grad(matched, list(psi.values()), retain_graph=True)
        moved = [value.detach().clone() for value in psi.values()]
        for value, slope in zip(moved, slopes, strict=True):
            value.grad = -slope
        kept = update(self.network.optimiser, moved, state["optimiser"], state["step"])
        return {"network": dict(zip(psi, (value.detach() for value in moved), strict=True)), "optimiser": kept}
