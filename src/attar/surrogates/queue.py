"""Queue: networks of different ages, trained a little each step; one of them judges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from attar import rng
from attar.surrogates.fresh import random_weights, skeleton
from attar.surrogates.kinds import Weights
from attar.surrogates.online import trained
from attar.training.optimisers import SGD
from attar.types import AttarError, Batch, Problem
from attar.views import Uniform, View

__all__ = ["Queue"]

STARTED = 3
"""Networks that the public code begins with."""


@dataclass(frozen=True)
class Queue:
    """Networks in a queue: new ones enter at intervals, the oldest leaves when it is full, and each step one drawn at
    random judges after some drawn at random were trained on real rows.

    A step's network says how accurate it is: the share that it gets right of one more batch of real rows, drawn after its
    last training (0 before any).

    Args:
        model: name of the networks.
        size: most networks in the queue.
        interval: steps from one new network to the next.
        trained: networks trained a step.
        updates: training updates for each of these.
        batch: real rows an update, of all classes, as they are.
        lr: step size of that training.
        momentum: share of the last update that is kept.
        weight_decay: L2 penalty.

    Reference:
        Zhao, Li, Qin, Yu: Improved Distribution Matching for Dataset Condensation, CVPR 2023, section 4.2; the order
        within a step and the first networks are read from its public code.
    """

    model: str = "convnet3"
    size: int = 100
    interval: int = 30
    trained: int = 2
    updates: int = 10
    batch: int = 256
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4

    yields: ClassVar[type] = Weights

    def __post_init__(self) -> None:
        SGD(self.lr, self.momentum)  # refuses step sizes that train nothing
        for name, least in {"size": 1, "interval": 1, "trained": 0, "updates": 0, "batch": 1}.items():
            if getattr(self, name) < least:
                raise AttarError(
                    f"A queue of networks with {name}={getattr(self, name)} does not work: give {least} or more."
                )

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        seed = rng.draw_seed(generator)
        first = min(STARTED, self.size)
        return {
            "seed": seed,
            "step": 0,
            "networks": [self._new(problem, seed, "first", index) for index in range(first)],
        }

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Weights, dict[str, Any]]:
        step, networks = state["step"], list(state["networks"])
        if step:  # trained after each step but the first, which is before each but the first
            for turn, chosen in enumerate(torch.randperm(len(networks), generator=generator)[: self.trained].tolist()):
                networks[chosen] = self._train(problem, networks[chosen], real, turn)
        if step % self.interval == 0:
            networks = [*networks, self._new(problem, state["seed"], "later", step)][-self.size :]
        judge = networks[int(torch.randint(len(networks), (), generator=generator))]
        weights = Weights(skeleton(problem.task, self.model), judge["params"], accuracy=judge["accuracy"])
        return weights, {**state, "step": step + 1, "networks": networks}

    def _new(self, problem: Problem, seed: int, purpose: str, index: int) -> dict[str, Any]:
        params = random_weights(problem.task, self.model, rng.generator(seed, purpose, index))
        nought = torch.zeros((), device=problem.train.x.device)
        return {"params": params, "velocity": {}, "accuracy": nought}

    def _train(self, problem: Problem, network: dict[str, Any], real: View, turn: int) -> dict[str, Any]:
        if self.updates == 0:
            return network
        *batches, unseen = self._batches(real, turn)
        model, settings = skeleton(problem.task, self.model), (self.lr, self.momentum, self.weight_decay)
        params, velocity = trained(problem.task, model, network["params"], network["velocity"], batches, *settings)
        return {"params": params, "velocity": velocity, "accuracy": _accuracy(model, params, unseen)}

    def _batches(self, real: View, turn: int) -> Iterator[Batch]:
        for update in range(self.updates + 1):
            source = rng.generator(real.rows_seed, "queue", turn, update)
            [(_, rows)] = Uniform(self.batch).rows(real.members, None, None, source)
            yield real.batch.take(rows)


@torch.no_grad()
def _accuracy(model: nn.Module, params: dict[str, Tensor], rows: Batch) -> Tensor:
    """Share ``()`` of rows whose class a network gives the largest logit, left on the device."""
    assert rows.y is not None
    truth = rows.y if rows.y.dim() == 1 else rows.y.argmax(-1)
    return (functional_call(model, params, (rows.x,)).argmax(-1) == truth).float().mean()
