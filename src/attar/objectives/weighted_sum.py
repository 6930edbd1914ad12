"""A weighted sum of objectives, all of which the same surrogate serves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attar.distilled import Distilled
from attar.objectives.objective import Objective
from attar.synthetic.synthetic import OF_CLASSES, LabelForm
from attar.types import AttarError, Problem, Task
from attar.views import View

__all__ = ["WeightedSum"]


@dataclass(frozen=True)
class WeightedSum:
    """``sum_k weight_k objective_k``, each objective with a state of its own.

    It reads those kinds of surrogates, and takes those labels, that all of them do. An objective of weight 0 is not worked out, and
    where it has ``idle(problem)`` begins by that in place of `init`; what it has to say of the finished rows is still heard.

    Args:
        objectives: one or more.
        weights: one of each, 0 or more, and one of them above 0.

    Example:
        >>> import attar
        >>> both = WeightedSum((attar.objectives.RidgeMatch(), attar.objectives.Mechanisms()), (1.0, 0.5))
        >>> [kind.__name__ for kind in both.reads]
        ['Kernel', 'Weights']
    """

    objectives: tuple[Objective, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.objectives or len(self.objectives) != len(self.weights):
            raise AttarError(
                f"{len(self.objectives)} objectives and {len(self.weights)} weights make no sum: give one weight of each."
            )
        if not all(0 <= weight < math.inf for weight in self.weights) or not any(self.weights):
            raise AttarError(f"Weights of {self.weights} make no sum: give numbers of 0 or more, one of them above 0.")
        if not self.reads:
            kinds = ", ".join(type(part).__name__ for part in self.objectives)
            raise AttarError(f"No kind of surrogate is read by all of {kinds}: choose others.")

    @property
    def reads(self) -> tuple[type, ...]:
        """The kinds of surrogates that all of them read."""
        first, *others = self.objectives
        return tuple(kind for kind in first.reads if all(kind in other.reads for other in others))

    @property
    def labels(self) -> tuple[LabelForm, ...]:
        """The forms of labels that all of them take."""
        first, *others = (getattr(part, "labels", OF_CLASSES) for part in self.objectives)
        return tuple(form for form in first if all(form in other for other in others))

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        parts = zip(self.objectives, self.weights, strict=True)
        return {
            "parts": [
                part.idle(problem) if not weight and hasattr(part, "idle") else part.init(problem, generator)
                for part, weight in parts
            ]
        }

    def loss(
        self, task: Task, surrogate: Any, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        info, after, terms = dict[str, Tensor](), list(state["parts"]), list[Tensor]()
        for place, (part, weight) in enumerate(zip(self.objectives, self.weights, strict=True)):
            if weight:
                loss, told, after[place] = part.loss(task, surrogate, synthetic, real, after[place])
                terms.append(weight * loss)
                info |= {**told, type(part).__name__: loss.detach()}
        return torch.stack(terms).sum(), info, {"parts": after}

    def rehearsed(self, problem: Problem) -> tuple[WeightedSum, tuple[str, ...]]:
        """Each objective as a run is foreseen by it (see `attar.objectives`)."""
        found = [
            part.rehearsed(problem) if weight and hasattr(part, "rehearsed") else (part, ())
            for part, weight in zip(self.objectives, self.weights, strict=True)
        ]
        parts = tuple(part for part, _ in found)
        return replace(self, objectives=parts), tuple(said for _, left_out in found for said in left_out)

    def settle(self, problem: Problem, state: dict[str, Any], value: Distilled) -> Distilled:
        """The finished set after each objective that has something to do or to say at the end (see `attar.objectives`)."""
        for part, known, weight in zip(self.objectives, state["parts"], self.weights, strict=True):
            if hasattr(part, "settle"):
                value = part.settle(problem, {**known, "matched": weight > 0}, value)
        return value
