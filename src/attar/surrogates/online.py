"""Online: a network that is trained between steps, and replaced after some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from attar.surrogates.fresh import random_weights, skeleton
from attar.surrogates.kinds import Weights
from attar.training import passes
from attar.types import Problem
from attar.views import View

__all__ = ["DC_LOOPS", "Online"]

DC_LOOPS = ((1, 1, 1), (10, 10, 50), (20, 20, 25), (30, 30, 20), (40, 40, 15), (50, 50, 10))
"""Published loops of DC and DSA: (rows a class, matchings a network, training epochs between them)."""


@dataclass(frozen=True)
class Online:
    """A network starts at random weights, is matched, trained, matched again, and after some matchings replaced.

    Args:
        model: name of the network.
        loops: (rows a class, matchings a network, training epochs between two matchings), ascending; the last entry
            whose rows a class do not exceed the synthetic data's is used.
        lr: step size of the network's plain SGD.
        batch: rows a training step.
        data: which side it is trained on.
    """

    model: str = "convnet3"
    loops: tuple[tuple[int, int, int], ...] = DC_LOOPS
    lr: float = 0.01
    batch: int = 256
    data: Literal["synthetic", "real"] = "synthetic"

    yields: ClassVar[type] = Weights

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {"position": 0, "params": {}}

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Weights, dict[str, Any]]:
        matchings, epochs = self._loop(len(synthetic.batch) / len(problem.task.groups))
        model = skeleton(problem.task, self.model)
        if state["position"] == 0:
            params = random_weights(problem.task, self.model, generator)
        else:
            side = synthetic if self.data == "synthetic" else real
            params = dict(state["params"])
            for batch in side.minibatches(self.batch, epochs):
                slope, _ = passes.gradient(problem.task, model, params, batch.detach())
                params = {name: value - self.lr * slope[name] for name, value in params.items()}
        return Weights(model, params), {"position": (state["position"] + 1) % matchings, "params": params}

    def _loop(self, per_class: float) -> tuple[int, int]:
        fitting = [loop for loop in self.loops if loop[0] <= per_class] or [self.loops[0]]
        return fitting[-1][1], fitting[-1][2]
