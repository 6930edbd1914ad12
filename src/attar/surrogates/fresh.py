"""Fresh: a network with new random weights every step, or with the same ones at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attar import rng
from attar.distilled.own import FixedStart, weights_checksum
from attar.surrogates.kinds import Weights
from attar.types import AttarError, Problem, Task
from attar.views import View

__all__ = ["Fresh", "random_weights", "skeleton"]


def skeleton(task: Task, name: str) -> nn.Module:
    """The module whose code is run for every set of weights of one architecture: one object, so that what is compiled
    for it is compiled once."""
    return _skeleton(task, name)  # type: ignore[arg-type]  # tasks are frozen dataclasses, which hash


@lru_cache(maxsize=16)
def _skeleton(task: Task, name: str) -> nn.Module:
    with rng.seeded(0):
        return task.build(name).requires_grad_(False)


def random_weights(task: Task, name: str, generator: torch.Generator) -> dict[str, Tensor]:
    """Random weights of a network, drawn as its constructor does."""
    with rng.seeded(rng.draw_seed(generator)):
        return {key: value.detach() for key, value in task.build(name).named_parameters()}


@dataclass(frozen=True)
class Fresh:
    """Random weights, drawn anew.

    Args:
        model: name of the network (see ``attar.models.names()``).
        updates: steps for which one set of weights serves.
        fixed: whether one set of weights, drawn once, serves for all steps.
    """

    model: str = "convnet3"
    updates: int = 1
    fixed: bool = False

    yields: ClassVar[type] = Weights

    def __post_init__(self) -> None:
        if self.updates < 1:
            raise AttarError(f"A network that serves for {self.updates} steps serves none: give 1 or more.")

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {"seed": rng.draw_seed(generator), "step": 0}

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Weights, dict[str, Any]]:
        source = self._source(state)
        weights = Weights(skeleton(problem.task, self.model), random_weights(problem.task, self.model, source))
        return weights, {**state, "step": state["step"] + 1}

    def fixed_start(self, problem: Problem, state: dict[str, Any]) -> FixedStart | None:
        """The one start of all steps, for the record of the set; None where there are many."""
        if not self.fixed:
            return None
        weights = random_weights(problem.task, self.model, self._source(state))
        return FixedStart(rng.draw_seed(self._source(state)), weights_checksum(weights))

    def _source(self, state: dict[str, Any]) -> torch.Generator:
        return rng.generator(state["seed"], "fresh", 0 if self.fixed else state["step"] // self.updates)
