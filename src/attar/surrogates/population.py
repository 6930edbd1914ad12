"""Population: networks of different ages that are trained on the synthetic rows by regression; one of them judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from attar import rng
from attar.surrogates.fresh import random_weights, skeleton
from attar.surrogates.kinds import Weights
from attar.training import passes
from attar.training.optimisers import Adam, Optimiser, update
from attar.types import AttarError, Problem
from attar.views import View

__all__ = ["Population"]


@dataclass(frozen=True)
class Population:
    """Each step a network drawn at random judges, and is trained for one update on the synthetic rows before it judges again.
    After its last update it begins anew with other random weights.

    The networks begin with ages that are spread evenly, so that they do not all begin anew at once.

    Args:
        model: name of the networks.
        count: networks.
        updates: of a network until it begins anew.
        batch: synthetic rows an update, at most.
        optimiser: of the networks; the loss is the squared one.

    Reference:
        Zhou, Nezhadarya, Ba: Dataset Distillation using Neural Feature Regression, NeurIPS 2022; the spread ages are read
        from its public code.
    """

    model: str = "convnet3"
    count: int = 10
    updates: int = 100
    batch: int = 500
    optimiser: Optimiser = Adam(3e-4)

    yields: ClassVar[type] = Weights

    def __post_init__(self) -> None:
        for name in ("count", "updates", "batch"):
            if getattr(self, name) < 1:
                raise AttarError(
                    f"A population of networks with {name}={getattr(self, name)} does not work: give 1 or more."
                )

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        seed = rng.draw_seed(generator)
        ages = [index * self.updates // self.count for index in range(self.count)]
        return {
            "seed": seed,
            "born": self.count,
            "networks": [{**self._new(problem, seed, index), "age": age} for index, age in enumerate(ages)],
        }

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Weights, dict[str, Any]]:
        networks, born = list(state["networks"]), state["born"]
        chosen = int(torch.randint(len(networks), (), generator=generator))
        network = networks[chosen]
        if network["served"]:  # trained after it judged, which is before it judges again
            network = self._trained(problem, network, synthetic)
        if network["age"] >= self.updates:
            network, born = self._new(problem, state["seed"], born), born + 1
        networks[chosen] = {**network, "served": True}
        weights = Weights(skeleton(problem.task, self.model), network["params"], age=network["age"])
        return weights, {**state, "networks": networks, "born": born}

    def underway(self, state: dict[str, Any]) -> dict[str, Any]:
        """A state whose networks have all judged, as after many steps: every step then trains one."""
        return {**state, "networks": [{**network, "served": True} for network in state["networks"]]}

    def _new(self, problem: Problem, seed: int, index: int) -> dict[str, Any]:
        params = random_weights(problem.task, self.model, rng.generator(seed, "network", index))
        return {"params": params, "optimiser": None, "age": 0, "served": False}

    def _trained(self, problem: Problem, network: dict[str, Any], synthetic: View) -> dict[str, Any]:
        """The network after one update on rows as they are now."""
        task, model = problem.task.trained_by("squared"), skeleton(problem.task, self.model)
        rows = synthetic.minibatch(self.batch, 0).detach()
        slopes, _ = passes.gradient(task, model, network["params"], rows)
        moved = {name: value.clone() for name, value in network["params"].items()}
        for name, value in moved.items():
            value.grad = slopes[name]
        kept = update(self.optimiser, list(moved.values()), network["optimiser"], network["age"])
        params = {name: value.detach() for name, value in moved.items()}
        return {**network, "params": params, "optimiser": kept, "age": network["age"] + 1}
