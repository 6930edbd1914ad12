"""Unroll: train a network for a few updates so that its end is differentiable in the rows, the targets and the step size.

Plain SGD, ``w_{i+1} = w_i - a grad L(w_i; batch_i)``. With l_i the gradient of whatever is made of the end with respect to
w_i, going backwards gives, exactly,

    l_i = l_{i+1} - a H_i l_{i+1},    dx = -a d<g_i, l_{i+1}>/dx,    da = -<g_i, l_{i+1}>,

g_i and H_i the gradient and Hessian of update i. So nothing of an update has to be kept but the weights that it started from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attar.training import passes
from attar.types import AttarError, Batch, Params, Task

__all__ = ["BACKWARD", "Backward", "unroll"]

Backward = Literal["store", "checkpoint", "linear"]
BACKWARD: tuple[Backward, ...] = ("store", "checkpoint", "linear")

Rows = Callable[[Tensor, Tensor, int], Batch]
"""From all rows ``(n, ...)`` and their targets: the batch of an update, differentiable in both, the same each time that it is
called."""


def unroll(
    task: Task,
    model: nn.Module,
    start: Params,
    rows: Rows,
    x: Tensor,
    y: Tensor,
    step_size: Tensor,
    steps: int,
    backward: Backward = "checkpoint",
) -> dict[str, Tensor]:
    """The weights after some updates.

    Args:
        task: gives the loss.
        model: the network.
        start: its weights before the first update.
        rows: gives each update its batch.
        x: all rows ``(n, ...)``.
        y: their class ids ``(n,)`` or probabilities ``(n, classes)``.
        step_size: of the updates: one number ``()``, or one an update ``(steps,)``.
        steps: updates.
        backward: "store" keeps each update's graph, so memory grows with the updates. "checkpoint" keeps the weights that each
            started from and computes an update again on the way back: a third more work, and beside those copies memory is
            flat. Both give the same gradient, up to rounding: under a plan of bf16 the updates of "checkpoint" are computed in
            it, and what goes backwards, as all of "store", in float32. "linear" takes the way back as if each update's
            gradient did not depend on the weights (TESLA): the exact gradient for one update, an approximation for more.

    Returns:
        The weights by name, differentiable once in x, y (where they are probabilities), the step size and the start.

    Reference:
        The public code of Cui et al.: Scaling Up Dataset Distillation to ImageNet-1K with Constant Memory, ICML 2023, for
        "linear".
    """
    if steps < 1:
        raise AttarError(f"A network unrolled for {steps} updates does not move: give 1 or more.")
    if backward not in BACKWARD:
        raise AttarError(f"There is no way back '{backward}': give {', '.join(BACKWARD[:-1])} or {BACKWARD[-1]}.")
    pace = step_size.to(x.dtype).expand(steps)
    names = tuple(start)
    if backward == "store":
        params = dict(start)
        for index in range(steps):
            slopes = passes.differentiable_gradient(task, model, params, rows(x, y, index))
            params = {name: value - pace[index] * slopes[name] for name, value in params.items()}
        return params
    walk = _Walk(task, model, names, rows, steps, backward == "linear")
    ends: tuple[Tensor, ...] = _Unrolled.apply(walk, x, y, pace, *start.values())  # type: ignore[call-arg]
    return dict(zip(names, ends, strict=True))


@dataclass(frozen=True)
class _Walk:
    """What an unrolling is, beside its tensors."""

    task: Task
    model: nn.Module
    names: tuple[str, ...]
    rows: Rows
    steps: int
    linear: bool

    def params(self, values: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return dict(zip(self.names, values, strict=True))


class _Unrolled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, walk: _Walk, x: Tensor, y: Tensor, pace: Tensor, *start: Tensor) -> tuple[Tensor, ...]:
        ctx.walk, ctx.shown = walk, (x.detach(), y.detach(), pace.detach())
        params = walk.params(tuple(value.detach() for value in start))
        ctx.path = []  # the weights that each update started from
        for index in range(walk.steps):
            ctx.path.append(params)
            with torch.enable_grad():
                batch = walk.rows(x.detach(), y.detach(), index)
                slopes, _ = passes.gradient(walk.task, walk.model, params, batch)
            params = {name: value - pace[index] * slopes[name] for name, value in params.items()}
        return tuple(params.values())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *ends: Tensor) -> Any:
        walk: _Walk = ctx.walk
        x, y, pace = ctx.shown
        slope: Mapping[str, Tensor] = walk.params(ends)
        shown = [x, y] if y.is_floating_point() else [x]
        of_shown, of_pace = [torch.zeros_like(value) for value in shown], torch.zeros_like(pace)
        for index in reversed(range(walk.steps)):
            with torch.enable_grad():
                leaves = [value.clone().requires_grad_() for value in shown]
                batch = walk.rows(leaves[0], leaves[1] if len(leaves) > 1 else y, index)
                back = passes.gradient_pullback(
                    walk.task, walk.model, ctx.path[index], batch.detach(), slope, hessian=not walk.linear
                )
            of_pace[index] = -back.value
            drawn: list[Any] = [batch.x, batch.y][: len(leaves)]
            given: list[Any] = [back.x, back.y][: len(leaves)]
            parts = torch.autograd.grad(drawn, leaves, [-pace[index] * value for value in given])
            of_shown = [total + part for total, part in zip(of_shown, parts, strict=True)]
            if not walk.linear:
                slope = {name: value - pace[index] * back.params[name] for name, value in slope.items()}
        of_y = of_shown[1] if len(of_shown) > 1 else None
        return None, of_shown[0], of_y, of_pace, *(slope[name] for name in walk.names)
