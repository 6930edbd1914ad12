"""Pool: networks that were trained on real rows, each step one of them on its way from its start to its end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import torch

from attar import rng
from attar.surrogates.fresh import random_weights, skeleton
from attar.surrogates.kinds import Weights
from attar.surrogates.online import trained
from attar.training.optimisers import SGD
from attar.types import AttarError, Problem
from attar.views import View

__all__ = ["Pool"]

REHEARSED = 2
"""Updates where there are no numbers: the third takes no other memory than the second."""


@dataclass(frozen=True)
class Pool:
    """A step's network is ``(1 - u) start + u end``, start and end those of a pool's member drawn at random, u uniform in
    [0, 1]; the end goes with it as its teacher.

    The pool grows: a network joins it, trained at once, every few steps until there are all. So a run begins after the
    training of one, and a short run trains no more than it has steps for. Trained networks are part of the state (1.3 MB
    each for ConvNet-3-128); starts are drawn again from the seed. A network costs `updates` times `batch` real rows through
    a forward and a backward pass.

    Args:
        model: name of the networks.
        count: networks in the pool.
        interval: steps from one new network to the next.
        epochs: passes of each over the real rows.
        updates: at most so many updates of each; None for whole passes.
        batch: real rows an update, of all classes.
        lr: step size of that training.
        momentum: share of the last update that is kept.
        weight_decay: L2 penalty.
    """

    model: str = "convnet3"
    count: int = 20
    interval: int = 10
    epochs: int = 60
    updates: int | None = None
    batch: int = 256
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4

    yields: ClassVar[type] = Weights

    def __post_init__(self) -> None:
        SGD(self.lr, self.momentum)  # refuses step sizes that train nothing
        least = {"count": 1, "interval": 1, "epochs": 1, "batch": 1} | ({} if self.updates is None else {"updates": 1})
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise AttarError(
                    f"A pool of networks with {name}={getattr(self, name)} does not work: give {bound} or more."
                )

    def trains(self, steps: int) -> int:
        """How many networks join the pool in so many steps."""
        return min(self.count, -(-steps // self.interval))

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {"seed": rng.draw_seed(generator), "step": 0, "ends": []}

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Weights, dict[str, Any]]:
        step, ends = state["step"], list(state["ends"])
        if len(ends) < self.count and step == len(ends) * self.interval:
            ends.append(self._trained(problem, real, state["seed"], len(ends)))
        drawn = int(torch.randint(len(ends), (), generator=generator))
        mixed = float(torch.rand((), generator=generator))
        start, end = self._start(problem, state["seed"], drawn), ends[drawn]
        params = {name: value.lerp(end[name], mixed) for name, value in start.items()}
        weights = Weights(skeleton(problem.task, self.model), params, teacher=end)
        return weights, {**state, "step": step + 1, "ends": ends}

    def _start(self, problem: Problem, seed: int, index: int) -> dict[str, torch.Tensor]:
        return random_weights(problem.task, self.model, rng.generator(seed, "start", index))

    def _trained(self, problem: Problem, real: View, seed: int, index: int) -> dict[str, torch.Tensor]:
        model, start = skeleton(problem.task, self.model), self._start(problem, seed, index)
        updates = REHEARSED if real.batch.x.is_meta else self.updates
        batches = islice(real.minibatches(self.batch, self.epochs), updates)
        params, _ = trained(problem.task, model, start, {}, batches, self.lr, self.momentum, self.weight_decay)
        return params
