"""The protocol of an objective."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from attar.types import Problem, Task
from attar.views import View

__all__ = ["Objective"]


class Objective(Protocol):
    """What is minimised over the synthetic data (see `attar.objectives`).

    `loss` is given a surrogate of one of the kinds in `reads`.
    """

    @property
    def reads(self) -> tuple[type, ...]: ...
    def init(self, problem: Problem, generator: torch.Generator) -> Any: ...
    def loss(
        self, task: Task, surrogate: Any, synthetic: View, real: View, state: Any
    ) -> tuple[Tensor, dict[str, Tensor], Any]: ...
