"""The closed family of surrogates, and the protocol of a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from attar.types import Batch, Params, Problem
from attar.views import View

__all__ = ["Kernel", "Segment", "Source", "Surrogate", "Weights"]


@dataclass(frozen=True)
class Weights:
    """A network and its weights, used by ``torch.func.functional_call``.

    Args:
        model: the module whose code is run; its own weights are not used.
        params: name to tensor, none requiring a gradient.
        age: steps that this network has served before.
        accuracy: share ``()`` of real rows that it gets right, None where its source does not measure it.
        teacher: weights that the same network ends its training with, None where its source has none.
    """

    model: nn.Module
    params: Params
    age: int = 0
    accuracy: Tensor | None = None
    teacher: Params | None = None


@dataclass(frozen=True)
class Segment:
    """A piece of a recorded weight path.

    Args:
        model: the module whose code is run.
        start: weights where the piece begins.
        target: weights where it ends.
    """

    model: nn.Module
    start: Params
    target: Params


@dataclass(frozen=True)
class Kernel:
    """Which rows are alike.

    Args:
        represent: from rows and whether a gradient with respect to them is needed: what they are compared by ``(n, ...)``.
        between: from two of these: the kernel's values ``(n, m)``, differentiable in both.
    """

    represent: Callable[[Batch, bool], Tensor]
    between: Callable[[Tensor, Tensor], Tensor]


Surrogate: TypeAlias = Weights | Segment | Kernel


class Source(Protocol):
    """Where a step's surrogate comes from."""

    yields: ClassVar[type]

    def init(self, problem: Problem, generator: torch.Generator) -> Any: ...
    def next(
        self, state: Any, problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Surrogate, Any]: ...
