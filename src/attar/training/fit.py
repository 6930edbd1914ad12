"""Train a network on rows held in memory, as the DC family evaluates its synthetic sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attar import rng
from attar.augment import Augment, NoAugment
from attar.training import passes
from attar.training.optimisers import SGD
from attar.types import AttarError, Batch, Task

__all__ = ["Epoch", "Schedule", "fit", "fitting"]

CHECK_EVERY = 32  # updates between looks at the loss: each look waits for a GPU


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network is trained.

    The defaults are those of the DC family, and so is the count of passes: `epochs` + 1, for its loop runs from 0 to
    `epochs` with both ends.

    Args:
        epochs: one less than the passes over the rows.
        lr: step size of SGD.
        momentum: share of the last update that is kept.
        weight_decay: L2 penalty.
        batch_size: rows an update; the last batch of a pass has what is left.
        decay_after: passes, counted from 0, after which the step size falls tenfold and the momentum is forgotten; None
            for the family's one, ``epochs // 2 + 1``.
        updates: stop after this many, even within a pass; None for no limit.

    Reference: Zhao et al., Dataset condensation with gradient matching, ICLR 2021, and its code (evaluate_synset).
    """

    epochs: int
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 256
    decay_after: tuple[int, ...] | None = None
    updates: int | None = None

    def __post_init__(self) -> None:
        least = {"epochs": 0, "batch_size": 1} | ({} if self.updates is None else {"updates": 1})
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise AttarError(f"A schedule of {name}={getattr(self, name)} trains nothing: give {bound} or more.")

    @property
    def decays(self) -> tuple[int, ...]:
        """The passes after which the step size falls."""
        return (self.epochs // 2 + 1,) if self.decay_after is None else self.decay_after

    def total(self, rows: int) -> int:
        """Updates that training on so many rows takes."""
        updates = (self.epochs + 1) * -(-rows // self.batch_size)
        return updates if self.updates is None else min(updates, self.updates)


@dataclass(frozen=True)
class Epoch:
    """A pass that was done.

    Args:
        index: from 0.
        updates: so far.
        lr: of this pass.
        loss: mean training loss over the pass's batches ``()``, left on the device.
    """

    index: int
    updates: int
    lr: float
    loss: Tensor


def fit(
    task: Task, model: nn.Module, batch: Batch, schedule: Schedule, *, augment: Augment | None = None, seed: int = 0
) -> Epoch:
    """Train a network in place and return the last pass; arguments and errors as in `fitting`."""
    *_, last = fitting(task, model, batch, schedule, augment=augment, seed=seed)
    return last


def fitting(
    task: Task, model: nn.Module, batch: Batch, schedule: Schedule, *, augment: Augment | None = None, seed: int = 0
) -> Iterator[Epoch]:
    """Train a network in place by SGD, one pass an iteration: between two the network may be measured, or left.

    The rows are shuffled anew each pass, and each batch is augmented anew. Nothing but `seed` decides the draws.

    Args:
        task: gives the loss, and the plan by which it is computed.
        model: starts from the weights that it has.
        batch: normalised rows, whose weights count in the loss; class ids ``(n,)``, probabilities ``(n, classes)``, or
            targets ``(views, n, classes)`` for each of several fixed augmentations, of which each update draws one.
        schedule: how long and how fast.
        augment: transform of each update's rows. For per-view targets it is called with the view's seed, and so must
            give all rows one transform (``Siamese(shared=True)``), whichever rows stand in the batch.
        seed: of the shuffles, the views and the augmentation.

    Raises:
        AttarError: if there are no rows, or the loss stops being finite.

    Example:
        >>> for epoch in fitting(problem.task, model, problem.train, Schedule(epochs=20)):  # doctest: +SKIP
        ...     if epoch.index % 5 == 0:
        ...         print(epoch.index, problem.task.metric(model, problem.validation))
    """
    if len(batch) == 0:
        raise AttarError("There are no rows to train a network on.")
    augment = augment or NoAugment()
    batch = batch.to(task.plan.device)
    lr, done, checked = schedule.lr, 0, 0
    optimiser = _optimiser(model, schedule, lr)
    pending: list[Epoch] = []
    model.train()
    for index in range(schedule.epochs + 1):
        order = torch.randperm(len(batch), generator=rng.generator(seed, "shuffle", index))
        losses = []
        for number, rows in enumerate(order.split(schedule.batch_size)):
            shown = _augmented(batch.take(rows), augment, seed, index, number)
            losses.append(_update(task, model, optimiser, shown))
            done += 1
            if done == schedule.updates:
                break
        epoch = Epoch(index, done, lr, torch.stack(losses).mean())
        pending.append(epoch)
        last = index == schedule.epochs or done == schedule.updates
        if last or done - checked >= CHECK_EVERY:
            _check(pending)
            pending, checked = [], done
        yield epoch
        if last:
            return
        if index in schedule.decays:
            lr *= 0.1
            optimiser = _optimiser(model, schedule, lr)


def _optimiser(model: nn.Module, schedule: Schedule, lr: float) -> torch.optim.Optimizer:
    return SGD(lr, schedule.momentum, schedule.weight_decay).make(list(model.parameters()))


def _update(task: Task, model: nn.Module, optimiser: torch.optim.Optimizer, rows: Batch) -> Tensor:
    """Update the network once and return the loss before it ``()``."""
    params = dict(model.named_parameters())
    slopes, loss = passes.gradient(task, model, {name: param.detach() for name, param in params.items()}, rows)
    for name, param in params.items():
        param.grad = slopes[name]
    optimiser.step()
    return loss


def _augmented(rows: Batch, augment: Augment, seed: int, epoch: int, number: int) -> Batch:
    if rows.views is None:
        return rows.replace(x=augment(rows.x, rng.derive(seed, "augment", epoch, number)))
    assert rows.y is not None
    view = rng.derive(seed, "view", epoch, number) % len(rows.views)
    return rows.replace(x=augment(rows.x, int(rows.views[view])), y=rows.y[view], views=None)


def _check(epochs: list[Epoch]) -> None:
    losses = torch.stack([epoch.loss for epoch in epochs]).tolist()
    for epoch, loss in zip(epochs, losses, strict=True):
        if not abs(loss) < float("inf"):
            raise AttarError(
                f"The training loss became {loss} in epoch {epoch.index} at lr {epoch.lr:g}: the step size is likely "
                "too large for this network and these rows, so lower it, or look for rows far outside the usual range."
            )
