"""An objective and, beside it, that the network of the step knows the synthetic rows' classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from attar.objectives.features import FeatureMatch
from attar.objectives.objective import Objective
from attar.surrogates import Weights
from attar.training import passes
from attar.types import Problem, Task
from attar.views import View

__all__ = ["ClassAware"]


@dataclass(frozen=True)
class ClassAware:
    """``objective + weight a sum_c CE(synthetic_c)``, CE the mean cross-entropy of the step's network on the rows of class c.

    The network's accuracy a, in per cent of real rows, keeps the word of those that know nothing small. Networks whose
    source does not say how accurate they are count as 100.

    Args:
        objective: what is regularised.
        weight: of the cross-entropy.

    Reference:
        Zhao, Li, Qin, Yu: Improved Distribution Matching for Dataset Condensation, CVPR 2023, section 4.3; the factor a
        is read from its public code.
    """

    objective: Objective = field(default_factory=FeatureMatch)
    weight: float = 0.5

    reads: ClassVar[tuple[type, ...]] = (Weights,)

    def init(self, problem: Problem, generator: torch.Generator) -> Any:
        return self.objective.init(problem, generator)

    def loss(
        self, task: Task, surrogate: Weights, synthetic: View, real: View, state: Any
    ) -> tuple[Tensor, dict[str, Tensor], Any]:
        matched, info, after = self.objective.loss(task, surrogate, synthetic, real, state)
        share = 1.0 if surrogate.accuracy is None else surrogate.accuracy
        loss = matched
        for group in synthetic.groups:
            rows = synthetic.draw(group)
            told = passes.loss_of(task, surrogate.model, surrogate.params, rows)
            loss = loss + 100 * self.weight * share * told
        return loss, {**info, "matching": matched.detach()}, after
