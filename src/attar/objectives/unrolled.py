"""Unrolled: networks that are trained on the synthetic rows do well on real ones, and the training is differentiated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attar import rng
from attar.distilled.own import FixedStart, Own
from attar.surrogates import Weights
from attar.training import passes
from attar.training.unroll import BACKWARD, Backward, unroll
from attar.types import AttarError, Batch, Problem, Task
from attar.views import View

__all__ = ["Unrolled"]


@dataclass(frozen=True)
class Unrolled:
    """``L(w_N; real rows)``: w_N is reached from a network's weights by N updates on the synthetic rows.

    ``v_{i+1} = m v_i + grad L(w_i; rows of update i)``, ``w_{i+1} = w_i - a_i v_{i+1}``. Each synthetic row is augmented by
    itself, as where networks are trained; the real rows are one draw.

    Args:
        inner_steps: N.
        batch: synthetic rows an update, the next of shuffled batches; None for all.
        in_order: in place of `batch`, rows of each class an update, in batches that stay the same: of m the k-th is
            ``x[k::m]``, one after the other and again and again. None for shuffled ones.
        lr: a_i, one number that is not learned; None for the learned step size, or ones.
        momentum: m.
        backward: how the way back through the updates is taken: "store", "checkpoint" or "linear" (see
            `attar.training.unroll`).
        window: updates that are differentiated, the last ones; None for all.
        random_end: whether each step draws its own N, from `window` to `inner_steps`, so that the window lies anywhere.

    Reference:
        Wang, Zhu, Torralba, Efros: Dataset Distillation, 2018; Deng, Russakovsky: Remember the Past: Distilling Datasets into
        Addressable Memories for Neural Networks, NeurIPS 2022, for momentum; Feng, Vedantam, Kempe: Embarrassingly Simple
        Dataset Distillation, ICLR 2024, for the window and its random end.
    """

    inner_steps: int = 30
    batch: int | None = None
    in_order: int | None = None
    lr: float | None = None
    momentum: float = 0.0
    backward: Backward = "checkpoint"
    window: int | None = None
    random_end: bool = False

    reads: ClassVar[tuple[type, ...]] = (Weights,)

    def __post_init__(self) -> None:
        if self.inner_steps < 1 or any(size is not None and size < 1 for size in (self.batch, self.in_order)):
            raise AttarError(
                f"A network of {self.inner_steps} updates with {self.batch or self.in_order} rows each does not move: give 1 "
                "or more of both."
            )
        if self.batch is not None and self.in_order is not None:
            raise AttarError("An update takes shuffled rows (batch) or rows in order (in_order), not both: give one.")
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise AttarError(
                f"A network cannot be trained at step size {self.lr}: give more than 0, or None to learn it."
            )
        if not 0 <= self.momentum < 1:
            raise AttarError(f"A momentum of {self.momentum} does not settle: give one in [0, 1).")
        if self.backward not in BACKWARD:
            raise AttarError(
                f"There is no way back '{self.backward}': give {', '.join(BACKWARD[:-1])} or {BACKWARD[-1]}."
            )
        if self.window is not None and not 1 <= self.window <= self.inner_steps:
            raise AttarError(
                f"A window of {self.window} updates does not lie within {self.inner_steps}: give 1 to {self.inner_steps}, or "
                "None for all."
            )
        if self.random_end and self.window is None:
            raise AttarError("A random end moves a window: give window=, the updates that are differentiated.")

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {}

    def loss(
        self, task: Task, surrogate: Weights, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        whole, steps = synthetic.whole(), self._steps(synthetic)
        assert whole.y is not None
        size, pace = self._size(task, len(whole)), self._pace(synthetic, whole)
        self._check_reach(size, len(whole))
        end = unroll(
            task,
            surrogate.model,
            surrogate.params,
            synthetic.updates(size, self.in_order is not None),
            whole.x,
            whole.y,
            pace[:steps] if len(pace.shape) and len(pace) == self.inner_steps else pace,
            steps,
            self.backward,
            self.momentum,
            self.window,
        )
        loss = _loss_at(task, surrogate, end, real.draw())
        return loss, {"student step size": pace.detach().mean()}, state

    def own(self, task: Task, model: str, rows: int, start: FixedStart | None) -> Own:
        """How networks are trained on a set, for its record.

        Args:
            model: name of the network.
            rows: of the set.
            start: the one that all networks have, None for random ones.
        """
        size = self._size(task, rows)
        if self.in_order is None:
            return Own(model, self.inner_steps, size, "shuffled", self.momentum, self.lr, start)
        even = -(-rows // -(-rows // size))  # the batches are as large as each other
        return Own(model, self.inner_steps, even, "stored", self.momentum, self.lr, start)

    def _check_reach(self, size: int, rows: int) -> None:
        """Refuse updates in order that end before all rows had their turn: the others would stay as they start."""
        batches = -(-rows // size)
        differentiated = self.inner_steps if self.window is None or self.random_end else self.window
        if self.in_order is not None and differentiated < batches:
            raise AttarError(
                f"{differentiated} updates of {size} rows each, in order, never take some of the {rows:,} rows: give {batches} updates "
                "or more (inner_steps), or larger batches (in_order, of dd inner_batch)."
            )

    def _size(self, task: Task, rows: int) -> int:
        """Rows an update."""
        size = self.batch if self.in_order is None else self.in_order * len(task.groups)
        return rows if size is None else min(size, rows)

    def _steps(self, synthetic: View) -> int:
        """Updates of this step."""
        if not self.random_end or self.window is None:
            return self.inner_steps
        return self.window + rng.derive(synthetic.rows_seed, "end") % (self.inner_steps - self.window + 1)

    def _pace(self, synthetic: View, whole: Batch) -> Tensor:
        if self.lr is not None:
            return torch.tensor(self.lr, dtype=whole.x.dtype, device=whole.x.device)
        if "step_size" not in synthetic.learned:
            raise AttarError(
                "Unrolled trains its networks by the learned step size: give the method a step_size, or Unrolled an lr."
            )
        return synthetic.learned["step_size"]


def _loss_at(task: Task, surrogate: Weights, end: dict[str, Tensor], batch: Batch) -> Tensor:
    """The loss ``()`` of real rows at the end of the updates, differentiable in it: by its gradient there, which is computed a
    chunk at a time and by the plan's kernels, where differentiating the loss would keep a graph of all rows."""
    slopes, value = passes.gradient(task, surrogate.model, {name: w.detach() for name, w in end.items()}, batch)
    moved = [((w - w.detach()) * slopes[name]).sum() for name, w in end.items()]
    return value + torch.stack(moved).sum()
