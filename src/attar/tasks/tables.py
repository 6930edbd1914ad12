"""Rows of a table: a class or a number to predict, or none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from attar import models
from attar.distances.classes import answers, class_accuracy, class_loss, class_members, class_targets, weighted_mean
from attar.plan import Plan
from attar.types import AttarError, Batch, Params

__all__ = ["TableTask"]

NETWORK = "mlp"


@dataclass(frozen=True)
class TableTask:
    """Predict the target of a table's rows by networks of float64, which look at no neighbourhoods ("mlp", "mlp-256").

    Args:
        width: numbers in an encoded row.
        classes: of the target; 0 where it is a number.
        target: its name, "" where there is none, so that nothing is predicted.
        plan: how networks are computed.
        training_loss: "cross-entropy", or "squared": the squared gap between answers and targets, mean over the outputs, which a
            target of numbers has always.
    """

    width: int
    classes: int
    target: str
    plan: Plan = field(default_factory=Plan)
    training_loss: Literal["cross-entropy", "squared"] = "cross-entropy"

    models: ClassVar[tuple[str, ...]] = ("mlp", "trees", "linear", "knn")
    """What judges a set of its rows where nothing else is asked for."""

    @property
    def groups(self) -> tuple[int | None, ...]:
        """The classes; of a target of numbers, and of none, one group."""
        return tuple(range(self.classes)) if self.classes else (None,)

    def build(self, name: str) -> nn.Module:
        if not re.fullmatch(rf"{NETWORK}(-[1-9]\d*)?", name):
            if ":" not in name:
                with torch.device("meta"):  # a name of none is refused as such
                    models.build(name, (3, 1024, 1024), 10)
            raise AttarError(
                f"'{name}' is no network for rows of a table: give '{NETWORK}' or one of another width, as '{NETWORK}-256'; others "
                "look at neighbouring pixels, and columns have no neighbours."
            )
        outputs = self.classes or 1
        return models.build(name, (self.width, 1, 1), outputs).to(self.plan.device, torch.float64)

    def loss(self, model: nn.Module, params: Params | None, batch: Batch) -> Tensor:
        targets = self.targets(batch)
        found = self._call(model, params, batch.x)
        if self.classes:
            return class_loss(found, batch, self.training_loss == "squared")
        return weighted_mean(((found - targets) ** 2).mean(1), batch.weight)

    def targets(self, batch: Batch) -> Tensor:
        if not self.target:  # random networks have features all the same, which rows can be matched by
            raise AttarError(
                "This table has no target, so there is nothing for a model to learn: say which column is predicted by target=..."
            )
        if self.classes:
            return class_targets(batch, self.classes, self.training_loss == "squared")
        assert batch.y is not None
        return batch.y

    def trained_by(self, training_loss: Literal["cross-entropy", "squared"]) -> Self:
        return replace(self, training_loss=training_loss)

    def features(self, model: nn.Module, params: Params | None, batch: Batch) -> tuple[Tensor, ...]:
        return self._call(model, params, batch.x, features=True)

    def metric(self, model: nn.Module, data: Batch) -> float:
        """Accuracy in [0, 1]; of a target of numbers R squared, which is 1 at best and below 0 where the mean would do better."""

        def call(x: Tensor) -> Tensor:
            return self._call(model, None, x)

        if self.classes:
            return class_accuracy(model, call, data)
        assert data.y is not None
        return determination(answers(model, call, data.x), data.y)

    def independent(self, model: nn.Module) -> bool:
        return models.rows_are_independent(model)

    def kernels(self, model: nn.Module) -> None:
        """There are none: networks of tables are small."""
        return None

    def members(self, batch: Batch) -> dict[int | None, Tensor]:
        if self.classes:
            return class_members(batch, self.classes)
        return {None: torch.arange(len(batch), device=batch.x.device)}

    def _call(self, model: nn.Module, params: Params | None, x: Tensor, **options: Any) -> Any:
        return model(x, **options) if params is None else functional_call(model, dict(params), (x,), options)


def determination(found: Tensor, truth: Tensor) -> float:
    """R squared of predictions ``(n, 1)``: 1 less the mean squared error over the variance of the truth."""
    spread = float(((truth - truth.mean(0)) ** 2).mean())
    if not spread > 0:
        raise AttarError(
            f"The {len(truth):,} rows to score on all have the same target, so they tell no prediction from another: set more aside."
        )
    return 1 - float(((found - truth) ** 2).mean()) / spread
