"""Match the features of synthetic and real rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attar.distances import mean_distance
from attar.surrogates import Weights
from attar.training import passes
from attar.types import Batch, Problem, Task
from attar.views import View

__all__ = ["FeatureMatch"]


@dataclass(frozen=True)
class FeatureMatch:
    """``sum_c distance( f(real_c), f(synthetic_c) )`` for features f of a network.

    Args:
        distance: called as ``distance(real, y_real, synthetic, y_synthetic, classes)`` with a list of features ``(n, ...)``
            a side, one a layer (see `attar.distances.features`).
        layers: which of ``task.features``, or "all"; the last alone is the embedding.
        maps: what of the features is compared: called with a list ``(n, ...)``, one a layer, and returns such a list (see
            `attar.distances.attention`); None for the features themselves.
        apart: whether the distance is called for each class on its own, with rows of that class only, as distances need
            that look at pairs of rows. Each class is then drawn and passed through the network by itself.
    """

    distance: Callable[..., Tensor] = mean_distance
    layers: passes.Layers = (-1,)
    maps: Callable[[Sequence[Tensor]], list[Tensor]] | None = None
    apart: bool = False

    reads: ClassVar[tuple[type, ...]] = (Weights,)

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {}

    def loss(
        self, task: Task, surrogate: Weights, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        if not self.apart:
            rows, drawn = real.draw(), synthetic.draw()
            ys = passes.shares(task, rows), passes.shares(task, drawn)
            return self._between(task, surrogate, rows, drawn, ys), {}, state
        losses = []
        for group in synthetic.groups:
            rows, drawn = real.draw(group), synthetic.draw(group)
            losses.append(self._between(task, surrogate, rows, drawn, (_counts(rows), _counts(drawn))))
        return torch.stack(losses).sum(), {}, state

    def _between(self, task: Task, surrogate: Weights, rows: Batch, drawn: Batch, ys: tuple[Tensor, Tensor]) -> Tensor:
        reduce = None if self.maps is None else _Maps(self.maps)
        target = passes.features(task, surrogate.model, surrogate.params, rows, self.layers, reduce, ys[0])
        outputs = passes.features_of(task, surrogate.model, surrogate.params, drawn, self.layers)
        if self.maps is not None:
            outputs = self.maps(outputs)
        return self.distance(target, ys[0], outputs, ys[1], ys[0].shape[1])


@dataclass(frozen=True)
class _Maps:
    """Maps as what is kept of a chunk: the rows' shares do not matter to them."""

    maps: Callable[[Sequence[Tensor]], list[Tensor]]

    def __call__(self, features: list[Tensor], share: Tensor) -> tuple[list[Tensor], tuple[()]]:
        return self.maps(features), ()


def _counts(batch: Batch) -> Tensor:
    """What each row of one class counts ``(n, 1)``."""
    return (batch.x.new_ones(len(batch)) if batch.weight is None else batch.weight).unsqueeze(1)
