"""Watched: a network that is trained on the synthetic rows for as long as its accuracy on real ones moves too little, and
replaced when matching no longer moves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor

from attar.surrogates.fresh import random_weights, skeleton
from attar.surrogates.kinds import Weights
from attar.surrogates.online import trained
from attar.synthetic.synthetic import OF_CLASSES, LabelForm
from attar.training import passes
from attar.training.optimisers import SGD
from attar.types import AttarError, Params, Problem
from attar.views import PerClass, View

__all__ = ["Watched"]


@dataclass(frozen=True)
class Watched:
    """The dynamic loops of CAFE.

    After every matching the network's accuracy on real rows is measured. Where the last `window` of these differ by less
    than `outer`, the network has nothing left to teach and another takes its place. Else it is trained on the synthetic
    rows, an epoch at a time with the accuracy measured after each, until the last `window` of *these* differ by more than
    `inner`: it is then another network enough to be matched again.

    Args:
        model: name of the network.
        lr: step size of the network's plain SGD.
        batch: synthetic rows a training step.
        watch: real rows a class that an accuracy is measured on, drawn anew each time, as they are.
        window: accuracies that are compared.
        outer: difference below which the network is replaced.
        inner: difference above which its training ends.
        epochs: most epochs between two matchings. A network that has learned all that it can would else be trained for
            ever.
        matchings: most matchings of a network.

    Reference:
        Wang et al.: CAFE: Learning to Condense Dataset by Aligning Features, CVPR 2022; what is compared is read from its
        public code, which has no bounds on epochs and matchings.
    """

    model: str = "convnet3"
    lr: float = 0.01
    batch: int = 256
    watch: int = 128
    window: int = 10
    outer: float = 0.04
    inner: float = 0.03
    epochs: int = 30
    matchings: int = 50

    yields: ClassVar[type] = Weights
    labels: ClassVar[tuple[LabelForm, ...]] = OF_CLASSES

    def __post_init__(self) -> None:
        SGD(self.lr)  # refuses step sizes that train nothing
        for name, least in {"batch": 1, "watch": 1, "window": 2, "matchings": 1, "epochs": 0}.items():
            if getattr(self, name) < least:
                raise AttarError(
                    f"A watched network with {name}={getattr(self, name)} does not work: give {least} or more."
                )

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {"params": {}, "matchings": 0, "accuracies": []}

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Weights, dict[str, Any]]:
        params, age, seen = state["params"], state["matchings"], list(state["accuracies"])
        if params:
            seen = [*seen, self._accuracy(problem, params, real, generator)][-self.window :]
        if not params or age >= self.matchings or (len(seen) == self.window and _spread(seen) < self.outer):
            params, age, seen = random_weights(problem.task, self.model, generator), 0, []
        else:
            params = self._trained(problem, params, synthetic, real, generator)
        after = {"params": params, "matchings": age + 1, "accuracies": seen}
        return Weights(skeleton(problem.task, self.model), params, age), after

    def _trained(
        self, problem: Problem, params: Params, synthetic: View, real: View, generator: torch.Generator
    ) -> dict[str, Tensor]:
        model, params = skeleton(problem.task, self.model), dict(params)
        batches = synthetic.minibatches(self.batch, self.epochs)
        an_epoch = -(-len(synthetic.batch) // self.batch)
        seen: list[float] = []
        for _ in range(self.epochs):
            rows = islice(batches, an_epoch)
            params, _ = trained(problem.task, model, params, {}, rows, self.lr, momentum=0.0, weight_decay=0.0)
            seen = [*seen, self._accuracy(problem, params, real, generator)][-self.window :]
            if len(seen) == self.window and _spread(seen) > self.inner:
                break
        return params

    def _accuracy(self, problem: Problem, params: Params, real: View, generator: torch.Generator) -> float:
        if real.batch.x.is_meta:  # a rehearsal has no numbers to watch, and trains for as long as it may
            return 0.0
        rows = torch.cat([ids for _, ids in PerClass(self.watch).rows(real.members, None, None, generator)])
        return passes.accuracy(problem.task, skeleton(problem.task, self.model), params, real.batch.take(rows))


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)
