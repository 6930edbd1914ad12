"""Image classification."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from attar import models
from attar.distances.classes import class_accuracy, class_loss, class_members, class_targets
from attar.models import fused
from attar.models.kernels import Kernels
from attar.plan import Plan
from attar.types import Batch, Params

__all__ = ["ImageClassification"]


@dataclass(frozen=True)
class ImageClassification:
    """Classify images of one shape.

    Args:
        shape: ``(c, h, w)`` of an image.
        classes: number of classes.
        plan: how networks are computed.
        training_loss: "cross-entropy", or "squared": the squared gap between logits and targets, mean over the classes.
    """

    shape: tuple[int, int, int]
    classes: int
    plan: Plan = field(default_factory=Plan)
    training_loss: Literal["cross-entropy", "squared"] = "cross-entropy"

    @property
    def groups(self) -> tuple[int | None, ...]:
        return tuple(range(self.classes))

    def build(self, name: str) -> nn.Module:
        return models.build(name, self.shape, self.classes).to(self.plan.device)

    def loss(self, model: nn.Module, params: Params | None, batch: Batch) -> Tensor:
        return class_loss(self._call(model, params, batch.x), batch, self.training_loss == "squared")

    def targets(self, batch: Batch) -> Tensor:
        return class_targets(batch, self.classes, self.training_loss == "squared")

    def trained_by(self, training_loss: Literal["cross-entropy", "squared"]) -> Self:
        return replace(self, training_loss=training_loss)

    def features(self, model: nn.Module, params: Params | None, batch: Batch) -> tuple[Tensor, ...]:
        return self._call(model, params, batch.x, features=True)

    def metric(self, model: nn.Module, data: Batch) -> float:
        """Accuracy in [0, 1]; soft labels count by their largest probability."""
        return class_accuracy(model, lambda x: self._call(model, None, x), data)

    def independent(self, model: nn.Module) -> bool:
        """False with batch norm."""
        return models.rows_are_independent(model)

    def kernels(self, model: nn.Module) -> Kernels | None:
        """Those of ConvNet with instance norm on the CPU, where the plan asks for bf16 or compiling."""
        plan = self.plan
        fast = plan.compiled or plan.precision == "bf16"
        if not fast or plan.device != "cpu" or not fused.supports(model, self.shape):
            return None
        dtype = torch.bfloat16 if plan.precision == "bf16" else torch.float32
        squared = self.training_loss == "squared"
        return Kernels(fused.padding(self.shape), dtype, plan.compiled, plan.chunk or 64, squared)

    def members(self, batch: Batch) -> dict[int | None, Tensor]:
        return class_members(batch, self.classes)

    def _call(self, model: nn.Module, params: Params | None, x: Tensor, **options: Any) -> Any:
        return model(x, **options) if params is None else functional_call(model, dict(params), (x,), options)
