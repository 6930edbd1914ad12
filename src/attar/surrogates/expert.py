"""Expert: a piece of the weight path of a network that was trained on real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from attar.surrogates.fresh import skeleton
from attar.surrogates.kinds import Segment
from attar.training.experts import Experts
from attar.types import AttarError, Problem
from attar.views import View

__all__ = ["Expert"]


_verified: set[tuple[str, str]] = set()
"""Experts that this process has found as a run has them, by path and checksum."""


@dataclass(frozen=True)
class Expert:
    """Each step another of the recorded experts, from an epoch drawn at random to the one `span` later.

    Of experts that are still being recorded those count that are whole when a run begins.

    Args:
        experts: recorded weight paths (see `attar.experts`).
        span: epochs of a piece.
        first: the first epoch that a piece may start after (0: at random weights).
        bound: pieces start before this epoch.
        early_bound: bound of the first step; it rises evenly to `bound`. None for `bound` from the start.
        rising: steps that this takes.

    Reference:
        Cazenavette et al.: Dataset Distillation by Matching Training Trajectories, CVPR 2022; Guo et al.: Towards Lossless
        Dataset Distillation via Difficulty-Aligned Trajectory Matching, ICLR 2024, and its public code, for the rise.
    """

    experts: Experts
    span: int = 2
    first: int = 0
    bound: int = 20
    early_bound: int | None = None
    rising: int = 1000

    yields: ClassVar[type] = Segment

    def __post_init__(self) -> None:
        early = self.bound if self.early_bound is None else self.early_bound
        if self.span < 1 or self.rising < 1 or not 0 <= self.first < early <= self.bound:
            raise AttarError(
                f"No piece of an expert is {self.span} epochs long and starts from epoch {self.first} to before "
                f"{early}, later {self.bound}: give a span of 1 or more, and bounds above the first epoch that do not fall."
            )

    @property
    def prepared(self) -> dict[str, Any]:
        """What is there before a run, for the record of its set (see `Matching.finish`)."""
        return self.experts.prepared

    def cautions(self, steps: int) -> list[str]:
        """A sentence where a run of so many steps ends before all epochs had their turn."""
        if self.early_bound is None or steps >= self.rising or self._bound(steps) == self.bound:
            return []
        return [
            f"pieces of experts start before epoch {self.early_bound} at first and before epoch {self.bound} from step {self.rising:,} on, "
            f"which {steps:,} steps do not reach: a shorter rise (rising) suits them"
        ]

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        self.experts.check(problem)
        needed, there = self.bound - 1 + self.span, self.experts.epochs
        if needed > there:
            latest = there - self.span + 1
            shorter = f"start before {latest}" if latest > self.first else "give a shorter span"
            span = f"{self.span} epoch{'' if self.span == 1 else 's'}"
            raise AttarError(
                f"Pieces of {span} that start before epoch {self.bound} end at {needed}, and the experts in "
                f"{self.experts.path} were trained for {there}: {shorter}, or record longer ones."
            )
        numbers = self.experts.numbers
        return {"step": 0, "numbers": numbers, "checksum": self.experts.checksum_of(numbers)}

    def next(
        self, state: dict[str, Any], problem: Problem, synthetic: View, real: View, generator: torch.Generator
    ) -> tuple[Segment, dict[str, Any]]:
        self._verify(state)
        number = state["numbers"][int(torch.randint(len(state["numbers"]), (), generator=generator))]
        start = int(torch.randint(self.first, self._bound(state["step"]), (), generator=generator))
        device = str(problem.train.x.device)
        ends = (self.experts.weights(number, epoch, device) for epoch in (start, start + self.span))
        return Segment(skeleton(problem.task, self.experts.course.model), *ends), {**state, "step": state["step"] + 1}

    def _verify(self, state: dict[str, Any]) -> None:
        """Refuse experts that are others than when the run began; once a process."""
        key = (self.experts.path, state["checksum"])
        if key not in _verified and self.experts.checksum_of(state["numbers"]) != state["checksum"]:
            raise AttarError(
                f"The experts in {self.experts.path} are others than those that this run began with: put those back, or "
                "start a new run."
            )
        _verified.add(key)

    def _bound(self, step: int) -> int:
        if self.early_bound is None:
            return self.bound
        risen = (self.bound - self.early_bound) * step // self.rising
        return min(self.bound, self.early_bound + risen)
