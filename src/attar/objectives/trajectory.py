"""Match weight paths: a student trained on synthetic rows ends where an expert ended that was trained on real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attar.surrogates import Segment
from attar.training.unroll import BACKWARD, Backward, unroll
from attar.types import AttarError, Params, Problem, Task
from attar.views import View

__all__ = ["TrajectoryMatch"]


@dataclass(frozen=True)
class TrajectoryMatch:
    """``|w_N - w*_end|^2 / |w*_start - w*_end|^2``: w_N is reached from an expert's w*_start by N updates on the synthetic rows.

    ``w_{i+1} = w_i - a grad L(w_i; rows of update i)``, a the learned step size, or one an update. An update takes the next of
    shuffled batches of the rows, each row augmented by itself.

    Args:
        inner_steps: N.
        batch: synthetic rows an update; None for all.
        backward: how the way back through the updates is taken: "store", "checkpoint" or "linear" (see
            `attar.training.unroll`).
        shallow: share of the weights that does not count in the distance, from the input on (PAD).
        threshold: a loss above it changes nothing (DATM); None to learn from every step.

    Reference:
        Cazenavette et al.: Dataset Distillation by Matching Training Trajectories, CVPR 2022; Guo et al.: Towards Lossless
        Dataset Distillation via Difficulty-Aligned Trajectory Matching, ICLR 2024, for the threshold; Li et al.:
        Prioritize Alignment in Dataset Distillation, 2024, for the shallow weights.
    """

    inner_steps: int = 20
    batch: int | None = None
    backward: Backward = "checkpoint"
    shallow: float = 0.0
    threshold: float | None = None

    reads: ClassVar[tuple[type, ...]] = (Segment,)

    def __post_init__(self) -> None:
        if self.inner_steps < 1 or (self.batch is not None and self.batch < 1):
            raise AttarError(
                f"A student of inner_steps={self.inner_steps} updates with batch={self.batch} rows each does not move: give 1 or "
                "more of both, or None for all rows."
            )
        if self.backward not in BACKWARD:
            raise AttarError(
                f"There is no way back '{self.backward}': give {', '.join(BACKWARD[:-1])} or {BACKWARD[-1]}."
            )
        if self.threshold is not None and not self.threshold > 0:
            raise AttarError(f"A threshold of {self.threshold} lets no loss pass: give more than 0, or None.")
        if not 0 <= self.shallow < 1:
            raise AttarError(f"shallow={self.shallow} leaves no weights to match: give 0 or more, and less than 1.")

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {}

    def loss(
        self, task: Task, surrogate: Segment, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        if "step_size" not in synthetic.learned:
            raise AttarError(
                "TrajectoryMatch trains its student by the learned step size: give the method a step_size."
            )
        pace, whole = synthetic.learned["step_size"], synthetic.whole()
        assert whole.y is not None
        rows = synthetic.updates(self.batch or len(whole))
        end = unroll(
            task, surrogate.model, surrogate.start, rows, whole.x, whole.y, pace, self.inner_steps, self.backward
        )
        loss = self._gap(end, surrogate.target) / self._gap(surrogate.start, surrogate.target)
        info = {"student step size": pace.detach().mean()}
        if self.threshold is None:
            return loss, info, state
        over = not loss.is_meta and float(loss.detach()) > self.threshold
        return loss.detach() if over else loss, {**info, "skipped": torch.tensor(float(over))}, state

    def _gap(self, one: Params, other: Params) -> Tensor:
        """Squared distance of the weights that count, ``()``."""
        return torch.stack(
            [((a - b) ** 2).sum() for a, b in zip(self._deep(one), self._deep(other), strict=True)]
        ).sum()

    def _deep(self, params: Params) -> Iterator[Tensor]:
        """The weights that count, in the network's order; the share is one of numbers and may cut through a tensor."""
        left_out = int(self.shallow * sum(value.numel() for value in params.values()))
        for value in params.values():
            taken = min(left_out, value.numel())
            left_out -= taken
            if taken < value.numel():
                yield value.flatten()[taken:]
