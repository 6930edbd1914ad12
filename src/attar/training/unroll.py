"""Unroll: train a network for a few updates so that its end is differentiable in the rows, the targets and the step size.

SGD, ``v_{i+1} = m v_i + g_i``, ``w_{i+1} = w_i - a_i v_{i+1}``, g_i the gradient and H_i the Hessian of update i at w_i. With
l_i and u_i the gradients of whatever is made of the end with respect to w_i and v_i, going backwards gives, exactly,

    u = u_{i+1} - a_i l_{i+1},    l_i = l_{i+1} + H_i u,    u_i = m u,
    dx = d<g_i, u>/dx,            da_i = -<v_{i+1}, l_{i+1}>.

So nothing of an update has to be kept but the weights that it started from, and its velocity where the step size is learned
and there is momentum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attar.training import passes
from attar.types import AttarError, Batch, Params, Task

__all__ = ["BACKWARD", "Backward", "follow", "unroll"]

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
    momentum: float = 0.0,
    window: int | None = None,
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
            gradient did not depend on the weights (TESLA): the exact gradient for one update, an approximation for more;
            with momentum a row counts in all updates after its own, as it does on the way there.
        momentum: share of the last update that is kept.
        window: updates that are differentiated, the last ones. Those before are made without a graph, and their end, weights
            and velocity, is what the window starts from, as if it had been given. None for all.

    Returns:
        The weights by name, differentiable once in x, y (where they are probabilities) and the step size, and in the start
        where all updates are differentiated.

    Raises:
        AttarError: if there is no update, no such way back, or another number of step sizes than updates.

    Reference:
        The public code of Cui et al.: Scaling Up Dataset Distillation to ImageNet-1K with Constant Memory, ICML 2023, for
        "linear"; Feng, Vedantam, Kempe: Embarrassingly Simple Dataset Distillation, ICLR 2024, for the window.
    """
    _check(step_size, steps, backward, momentum, window)
    pace = step_size.to(x.dtype).expand(steps)
    first = 0 if window is None else max(steps - window, 0)
    walk = _Walk(task, model, tuple(start), rows, range(first, steps), momentum, backward == "linear")
    params, velocity = dict(start), None
    if first:
        before = _Walk(task, model, tuple(start), rows, range(first), momentum)
        *_, (params, velocity) = before.steps(start, x.detach(), y.detach(), pace.detach())
    if backward == "store":
        for index in walk.updates:
            slopes = passes.differentiable_gradient(task, model, params, rows(x, y, index))
            velocity = walk.carried(velocity, slopes)
            params = {name: value - pace[index] * velocity[name] for name, value in params.items()}
        return params
    ends: tuple[Tensor, ...] = _Unrolled.apply(walk, velocity, x, y, pace, *params.values())  # type: ignore[call-arg]
    return dict(zip(walk.names, ends, strict=True))


def follow(
    task: Task,
    model: nn.Module,
    start: Params,
    rows: Rows,
    x: Tensor,
    y: Tensor,
    step_size: Tensor,
    steps: int,
    momentum: float = 0.0,
) -> dict[str, Tensor]:
    """The weights that `unroll` ends at, without a graph; arguments as there."""
    _check(step_size, steps, "checkpoint", momentum, None)
    walk = _Walk(task, model, tuple(start), rows, range(steps), momentum)
    *_, (params, _) = walk.steps(start, x.detach(), y.detach(), step_size.detach().to(x.dtype).expand(steps))
    return params


def _check(step_size: Tensor, steps: int, backward: str, momentum: float, window: int | None) -> None:
    if steps < 1:
        raise AttarError(f"A network unrolled for {steps} updates does not move: give 1 or more.")
    if backward not in BACKWARD:
        raise AttarError(f"There is no way back '{backward}': give {', '.join(BACKWARD[:-1])} or {BACKWARD[-1]}.")
    if not 0 <= momentum < 1:
        raise AttarError(f"A momentum of {momentum} does not settle: give one in [0, 1).")
    if window is not None and window < 1:
        raise AttarError(f"A window of {window} updates lets nothing be learned: give 1 or more, or None for all.")
    if step_size.dim() and len(step_size) != steps:
        raise AttarError(
            f"{len(step_size)} step sizes do not fit {steps} updates: give one for each update, or one number for all."
        )


@dataclass(frozen=True)
class _Walk:
    """What an unrolling is, beside its tensors."""

    task: Task
    model: nn.Module
    names: tuple[str, ...]
    rows: Rows
    updates: range
    momentum: float
    linear: bool = False

    def params(self, values: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return dict(zip(self.names, values, strict=True))

    def carried(self, velocity: Params | None, slopes: Params) -> Mapping[str, Tensor]:
        """The velocity after an update with a gradient."""
        if velocity is None or not self.momentum:
            return slopes
        return {name: self.momentum * velocity[name] + slope for name, slope in slopes.items()}

    def steps(
        self, start: Params, x: Tensor, y: Tensor, pace: Tensor, velocity: Params | None = None
    ) -> Iterator[tuple[dict[str, Tensor], Params]]:
        """Weights and velocity after each update, no graph."""
        params = {name: value.detach() for name, value in start.items()}
        for index in self.updates:
            with torch.enable_grad():
                batch = self.rows(x, y, index)
                slopes, _ = passes.gradient(self.task, self.model, params, batch)
            velocity = self.carried(velocity, slopes)
            params = {name: value - pace[index] * velocity[name] for name, value in params.items()}
            yield params, velocity


class _Unrolled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, walk: _Walk, velocity: Params | None, x: Tensor, y: Tensor, pace: Tensor, *start: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.walk, ctx.shown = walk, (x.detach(), y.detach(), pace.detach())
        keep = bool(walk.momentum) and ctx.needs_input_grad[4]
        params = walk.params(tuple(value.detach() for value in start))
        ctx.path = []  # the weights that each update started from, and the velocity that it made where that is needed
        rows, targets, paces = ctx.shown
        for after, moved in walk.steps(params, rows, targets, paces, velocity):
            ctx.path.append((params, moved if keep else None))
            params = after
        return tuple(params.values())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *ends: Tensor) -> Any:
        walk: _Walk = ctx.walk
        x, y, pace = ctx.shown
        slope: Mapping[str, Tensor] = walk.params(ends)
        later: Mapping[str, Tensor] | None = None  # the gradient with respect to the velocity, from later updates
        shown = [x, y] if y.is_floating_point() else [x]
        of_shown, of_pace = [torch.zeros_like(value) for value in shown], torch.zeros_like(pace)
        for index, (params, velocity) in zip(reversed(walk.updates), reversed(ctx.path), strict=True):
            with torch.enable_grad():
                leaves = [value.clone().requires_grad_() for value in shown]
                batch = walk.rows(leaves[0], leaves[1] if len(leaves) > 1 else y, index)
                push, scale = _pushed(walk, slope, later, pace[index])
                back = passes.gradient_pullback(
                    walk.task, walk.model, params, batch.detach(), push, hessian=not walk.linear
                )
            of_pace[index] = -(back.value if velocity is None else _inner(velocity, slope))
            drawn: list[Any] = [batch.x, batch.y][: len(leaves)]
            given: list[Any] = [back.x, back.y][: len(leaves)]
            parts = torch.autograd.grad(drawn, leaves, [scale * value for value in given])
            of_shown = [total + part for total, part in zip(of_shown, parts, strict=True)]
            if not walk.linear:
                slope = {name: value + scale * back.params[name] for name, value in slope.items()}
            later = {name: walk.momentum * value for name, value in push.items()} if walk.momentum else None
        of_y = of_shown[1] if len(of_shown) > 1 else None
        return None, None, of_shown[0], of_y, of_pace, *(slope[name] for name in walk.names)


def _pushed(
    walk: _Walk, slope: Mapping[str, Tensor], later: Mapping[str, Tensor] | None, pace: Tensor
) -> tuple[Mapping[str, Tensor], Tensor]:
    """What an update's gradient is multiplied by on the way back, and what is left to multiply it by after: plain SGD has the
    step size in front of all."""
    if not walk.momentum:
        return slope, -pace
    now = {name: -pace * value for name, value in slope.items()}
    return now if later is None else {name: value + later[name] for name, value in now.items()}, torch.ones_like(pace)


def _inner(one: Params, other: Params) -> Tensor:
    return torch.stack([(value * other[name]).sum() for name, value in one.items()]).sum()
