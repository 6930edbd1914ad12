"""Online: a network that is trained between steps, and replaced after some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar import rng
from attar.augment import Augment, CutMix
from attar.surrogates.fresh import random_weights, skeleton
from attar.surrogates.kinds import Weights
from attar.synthetic.synthetic import OF_CLASSES, LabelForm
from attar.training import passes
from attar.training.optimisers import SGD
from attar.types import AttarError, Batch, Params, Problem, Task
from attar.views import View

__all__ = ["DCC_LOOPS", "DC_LOOPS", "Online", "trained"]

DC_LOOPS = ((1, 1, 1), (10, 10, 50), (20, 20, 25), (30, 30, 20), (40, 40, 15), (50, 50, 10))
"""Published loops of DC and DSA: (rows a class, matchings a network, training epochs between them)."""

DCC_LOOPS = ((1, 10, 5), *DC_LOOPS[1:])
"""Those of DCC."""


@dataclass(frozen=True)
class Online:
    """A network starts at random weights, is matched, trained, matched again, and after some matchings replaced.

    Args:
        model: name of the network.
        loops: (rows a class, matchings a network, training epochs between two matchings), ascending; the last entry
            whose rows a class do not exceed the synthetic data's is used.
        lr: step size of the network's SGD.
        batch: rows a training step.
        data: which side it is trained on.
        momentum: share of the last update that is kept, from matching to matching.
        weight_decay: L2 penalty.
        updates: at most so many training steps between two matchings; None for whole epochs.
        augment: transform of the rows it is trained on; None for that of the view, one transform a row.
        mixing: what mixes its rows and their targets; None for nothing.
    """

    model: str = "convnet3"
    loops: tuple[tuple[int, int, int], ...] = DC_LOOPS
    lr: float = 0.01
    batch: int = 256
    data: Literal["synthetic", "real"] = "synthetic"
    momentum: float = 0.0
    weight_decay: float = 0.0
    updates: int | None = None
    augment: Augment | None = None
    mixing: CutMix | None = None

    yields: ClassVar[type] = Weights

    def __post_init__(self) -> None:
        SGD(self.lr, self.momentum)  # refuses step sizes that train nothing
        if self.updates is not None and self.updates < 0:
            raise AttarError(f"A network cannot be trained for {self.updates} updates: give 0 or more, or None.")
        if self.batch < 1 or any(matchings < 1 or epochs < 0 for _, matchings, epochs in self.loops):
            raise AttarError(
                "A network is matched once or more (matchings), and trained for 0 epochs or more between by batches of 1 or more."
            )

    @property
    def labels(self) -> tuple[LabelForm, ...]:
        """Forms of labels that the synthetic rows may have: it is trained by the cross-entropy."""
        return OF_CLASSES if self.data == "synthetic" else (*OF_CLASSES, "regression")

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {"position": 0, "params": {}, "velocity": {}}

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Weights, dict[str, Any]]:
        matchings, epochs = self._loop(len(synthetic.batch) / len(problem.task.groups))
        model, age = skeleton(problem.task, self.model), state["position"]
        velocity: Params = {}
        if age == 0:
            params = random_weights(problem.task, self.model, generator)
        else:
            batches = self._batches(synthetic if self.data == "synthetic" else real, problem.task, epochs)
            params, velocity = trained(
                problem.task,
                model,
                state["params"],
                state.get("velocity", {}),  # states of versions before momentum have none
                batches,
                self.lr,
                self.momentum,
                self.weight_decay,
            )
        after = {"position": (age + 1) % matchings, "params": params, "velocity": velocity}
        return Weights(model, params, age), after

    def _loop(self, per_class: float) -> tuple[int, int]:
        fitting = [loop for loop in self.loops if loop[0] <= per_class] or [self.loops[0]]
        return fitting[-1][1], fitting[-1][2]

    def _batches(self, side: View, task: Task, epochs: int) -> Iterator[Batch]:
        side = side if self.augment is None else replace(side, training_augment=self.augment)
        for index, batch in enumerate(islice(side.minibatches(self.batch, epochs), self.updates)):
            yield batch if self.mixing is None else self._mixed(batch, task, rng.derive(side.rows_seed, "mix", index))

    def _mixed(self, batch: Batch, task: Task, seed: int) -> Batch:
        assert self.mixing is not None and batch.y is not None
        targets = F.one_hot(batch.y, len(task.groups)).to(batch.x.dtype) if batch.y.dim() == 1 else batch.y
        x, y = self.mixing(batch.x, targets, seed)
        return batch.replace(x=x, y=y)


def trained(
    task: Task,
    model: nn.Module,
    params: Params,
    velocity: Params,
    batches: Iterable[Batch],
    lr: float,
    momentum: float,
    weight_decay: float,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Update a network's weights by SGD, once a batch; what is given is left as it is.

    ``v <- momentum v + (gradient + weight_decay w)``, ``w <- w - lr v``, v nought where there is none yet.

    Returns:
        The weights and, where there is momentum, their velocity.
    """
    params, velocity = dict(params), dict(velocity)
    for batch in batches:
        slopes, _ = passes.gradient(task, model, params, batch.detach())
        for name, value in params.items():
            change = slopes[name] if weight_decay == 0 else slopes[name] + weight_decay * value
            if momentum:
                change = change + momentum * velocity[name] if name in velocity else change
                velocity[name] = change
            params[name] = value - lr * change
    return params, velocity
