"""Image classification."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from attar import models
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
        """The training loss with class ids ``(n,)``, probabilities or targets ``(n, classes)``, weighted mean over rows."""
        assert batch.y is not None
        logits = self._call(model, params, batch.x)
        if self.training_loss == "squared":
            losses = ((logits - self.targets(batch)) ** 2).mean(1)
        else:
            losses = F.cross_entropy(logits, batch.y, reduction="none")
        if batch.weight is None:
            return losses.mean()
        return (losses * batch.weight).sum() / batch.weight.sum()

    def targets(self, batch: Batch) -> Tensor:
        """Class ids become probabilities; for the squared loss these less their mean, 1 / classes."""
        assert batch.y is not None
        if batch.y.dim() > 1:
            return batch.y
        targets = F.one_hot(batch.y, self.classes).to(batch.x.dtype)
        return targets - 1 / self.classes if self.training_loss == "squared" else targets

    def trained_by(self, training_loss: Literal["cross-entropy", "squared"]) -> Self:
        return replace(self, training_loss=training_loss)

    def features(self, model: nn.Module, params: Params | None, batch: Batch) -> tuple[Tensor, ...]:
        return self._call(model, params, batch.x, features=True)

    def metric(self, model: nn.Module, data: Batch) -> float:
        """Accuracy in [0, 1]; soft labels count by their largest probability."""
        assert data.y is not None
        truth = data.y if data.y.dim() == 1 else data.y.argmax(-1)
        was_training = model.training
        model.eval()
        with torch.no_grad():
            guesses = [self._call(model, None, x).argmax(-1) for x in data.x.split(256)]
        model.train(was_training)
        return float((torch.cat(guesses) == truth).double().mean())

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
        assert batch.y is not None
        labels = batch.y if batch.y.dim() == 1 else batch.y.argmax(-1)
        if labels.dim() == 2:  # per-view targets: the class that most views agree on
            labels = labels.mode(0).values
        return {group: torch.nonzero(labels == group).flatten() for group in range(self.classes)}

    def _call(self, model: nn.Module, params: Params | None, x: Tensor, **options: Any) -> Any:
        return model(x, **options) if params is None else functional_call(model, dict(params), (x,), options)
