"""Weight paths: one network, or several side by side, trained on real rows pass by pass, with the weights after each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from attar import augment, rng
from attar.training import passes
from attar.training.course import Course
from attar.training.flat import Slopes, flat_slopes
from attar.types import AttarError, Batch, Params, Task

__all__ = ["Walked", "batches", "updated", "walk"]


@dataclass(frozen=True)
class Walked:
    """A pass that was done.

    Args:
        index: from 0.
        params: weights ``(k, ...)`` after it, by name.
        losses: mean training loss of each network's updates ``(k,)``, left on the device.
    """

    index: int
    params: dict[str, Tensor]
    losses: Tensor


def walk(
    task: Task,
    model: nn.Module,
    starts: Params,
    train: Batch,
    course: Course,
    seeds: Sequence[int],
    ranked: Sequence[Tensor] | None = None,
) -> Iterator[Walked]:
    """Train k networks side by side, one pass over the rows an iteration.

    Each network has its own shuffles and augmentation, which its seed alone decides: it is the same, up to rounding,
    whichever others are trained with it, and bit for bit in the same company.

    Args:
        task: gives the loss, and the plan by which it is computed.
        model: the network; its own weights are not used.
        starts: weights ``(k, ...)`` by name; left as they are.
        train: real rows, on the plan's device.
        course: how they are trained, its augmentation by name.
        seeds: one a network.
        ranked: row ids of each class, the easiest first, for a staged course.

    Raises:
        AttarError: if a loss or a weight stops being finite.
    """
    params = dict(starts)
    velocity: dict[str, Tensor] = {}
    for index in range(course.epochs):
        losses = []
        for rows in batches(task, model, train, course, seeds, index, ranked):
            params, velocity, loss = updated(task, model, params, velocity, rows, course)
            losses.append(loss)
        mean = torch.stack(losses).mean(0)
        _check_finite(mean, params, index, course.lr)
        yield Walked(index, params, mean)


def _check_finite(losses: Tensor, params: Params, index: int, lr: float) -> None:
    """Refuse losses, and the weights after the last update, which no loss has seen; waits for the device once."""
    values = {"training loss": losses, **{f"weights ({name})": value for name, value in params.items()}}
    finite = torch.stack([torch.isfinite(value).all() for value in values.values()]).tolist()
    if not all(finite):
        name, value = list(values.items())[finite.index(False)]
        raise AttarError(
            f"The {name} of an expert became {float(value[~torch.isfinite(value)][0])} in epoch {index} at lr {lr:g}: the "
            "step size is likely too large for this network and these rows, so lower it."
        )


def batches(
    task: Task,
    model: nn.Module,
    train: Batch,
    course: Course,
    seeds: Sequence[int],
    index: int,
    ranked: Sequence[Tensor] | None = None,
) -> Iterator[list[Batch]]:
    """The updates of a pass: for each the augmented rows of every network. Arguments as in `walk`."""
    transform = augment.named(course.augmentation, shared=False)
    every = torch.arange(len(train)) if course.staged is None or ranked is None else course.staged.rows(ranked, index)
    orders = [every[torch.randperm(len(every), generator=rng.generator(seed, "shuffle", index))] for seed in seeds]
    size = min(course.batch, len(train))
    full = len(seeds) == 1 and task.kernels(model) is not None  # so that one compiled shape serves
    for number, parts in enumerate(zip(*(order.split(size) for order in orders), strict=True)):
        drawn = []
        for seed, rows in zip(seeds, parts, strict=True):
            part = train.take(rows)
            part = part.replace(x=transform(part.x, rng.derive(seed, "augment", index, number)))
            drawn.append(_filled(part, size) if full and len(part) < size else part)
        yield drawn


def updated(
    task: Task, model: nn.Module, params: Params, velocity: Params, rows: Sequence[Batch], course: Course
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """One update of k networks by SGD; what is given is left as it is.

    Args:
        params: weights ``(k, ...)`` by name.
        velocity: of the momentum, likewise; empty before the first update.
        rows: one batch a network, all of one size.

    Returns:
        The weights, the velocity, and the losses before the update ``(k,)``.
    """
    slopes = _alone(task, model, rows[0]) if len(rows) == 1 else _together(task, model, rows)
    change, losses = slopes(params) if course.flat is None else flat_slopes(slopes, params, course.flat)
    moved, kept = {}, {}
    for name, value in params.items():
        step = change[name] + course.weight_decay * value if course.weight_decay else change[name]
        if course.momentum:
            step = kept[name] = step + course.momentum * velocity[name] if velocity else step
        moved[name] = value - course.lr * step
    return moved, kept, losses


def _alone(task: Task, model: nn.Module, rows: Batch) -> Slopes:
    def slopes(params: Params) -> tuple[dict[str, Tensor], Tensor]:
        found, loss = passes.gradient(task, model, {name: value[0] for name, value in params.items()}, rows)
        return {name: slope[None] for name, slope in found.items()}, loss[None]

    return slopes


def _together(task: Task, model: nn.Module, rows: Sequence[Batch]) -> Slopes:
    """Gradients of several networks at once: on a GPU less time than one after the other, on a CPU more."""
    x, y = torch.stack([part.x for part in rows]), torch.stack([_of(part) for part in rows])
    weighted = rows[0].weight is not None
    weight = torch.stack([part.weight if part.weight is not None else part.x.new_ones(len(part)) for part in rows])
    chunk = len(rows[0]) if weighted else task.plan.chunk or len(rows[0])

    def loss(params: dict[str, Tensor], x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        return task.loss(model, params, rows[0].replace(x=x, y=y, weight=weight))

    def slopes(params: Params) -> tuple[dict[str, Tensor], Tensor]:
        total = {name: torch.zeros_like(value) for name, value in params.items()}
        losses = torch.zeros(len(rows), device=x.device)
        for part in zip(x.split(chunk, 1), y.split(chunk, 1), weight.split(chunk, 1), strict=True):
            found, values = vmap(grad_and_value(loss))(dict(params), *part)
            share = part[0].shape[1] / x.shape[1]
            losses += values * share
            for name, slope in found.items():
                total[name] += slope * share
        return total, losses

    return slopes


def _of(rows: Batch) -> Tensor:
    assert rows.y is not None
    return rows.y


def _filled(rows: Batch, size: int) -> Batch:
    """Rows filled up by empty ones that weigh nothing."""
    missing = size - len(rows)
    weight = rows.x.new_ones(len(rows)) if rows.weight is None else rows.weight
    y = _of(rows)
    return rows.replace(
        x=torch.cat([rows.x, rows.x.new_zeros((missing, *rows.x.shape[1:]))]),
        y=torch.cat([y, y.new_zeros((missing, *y.shape[1:]))]),
        weight=torch.cat([weight, weight.new_zeros(missing)]),
        attribute=None,
    )
