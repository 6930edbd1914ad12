"""What a recording will take: time by a few timed updates, which do not count; disk by counting."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from attar import rng
from attar.plan import Plan
from attar.selection.features import untrained, whole_schedule
from attar.selection.training_dynamics import gradient_norms, refuse_shared
from attar.surrogates.fresh import random_weights
from attar.training import fitting, paths
from attar.training.experts import Course, Staged
from attar.types import AttarError, Params, Problem, Task

__all__ = ["Foreseen", "disk_free", "fastest", "foresee_scoring", "foresee_time", "networks", "repeatable", "skeleton"]

AT_ONCE = 16
"""Experts trained together on a GPU, at most."""

TIMED_ROWS = 64
"""Rows whose gradients are timed."""

_UNITS = ((3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Foreseen:
    """What a recording will take on this machine.

    Args:
        experts: that are to be trained.
        epochs: of each.
        together: experts at a time.
        seconds: by a few timed updates, which do not count.
        disk: bytes of their shards.
        disk_free: bytes free where they are written.
        scoring: seconds that scoring the rows' difficulty takes before, of a staged course; nought where that was done.
    """

    experts: int
    epochs: int
    together: int
    seconds: float
    disk: int
    disk_free: int
    scoring: float = 0.0

    def sentence(self) -> str:
        """One line for people."""
        at_once = f", {self.together} at a time," if self.together > 1 else ""
        epochs = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        what = f"{self.experts} expert{'' if self.experts == 1 else 's'} of {epochs}{at_once}"
        disk = f"{self.disk:,} bytes on disk"
        before = f"; before that {_about(self.scoring)} to score the rows' difficulty" if self.scoring else ""
        return f"{_about(self.seconds)} for {what} on this machine, {disk}{before}"


def _about(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= 2 * size), _UNITS[-1])
    return f"about {max(seconds / size, 1):,.0f} {unit}"


def foresee_time(
    problem: Problem, course: Course, plan: Plan, together: int | None, missing: int, settled: bool
) -> tuple[Plan, int, float]:
    """The plan, the experts trained together, and the seconds that they take.

    Args:
        together: as asked for; None chooses.
        missing: experts that are to be trained.
        settled: whether the plan is to be kept to, even where it does not work here.

    Raises:
        AttarError: if a fast plan that is to be kept to does not work here.
    """
    try:
        stage = problem.planned(plan)
        with plan.applied(), repeatable():
            if together is None:
                alone = plan.device == "cpu" or not stage.task.independent(skeleton(stage.task, course.model))
                together = 1 if alone else fastest(lambda count: _update(stage, course, count), min(missing, AT_ONCE))
            each = _update(stage, course, min(together, missing))
    except AttarError:
        raise
    except Exception as error:  # a compiler has many ways to fail, and the plain plan needs none
        if not plan.compiled:
            raise
        if settled:
            told = next(iter(str(error).strip().splitlines()), "")
            raise AttarError(
                f"These experts are recorded by the fast plan, which does not work here ({type(error).__name__}: {told}): make "
                "its compiler work, or record all of them in another folder."
            ) from error
        text = f"the fast plan does not work here ({type(error).__name__}), so the plain one is used"
        warnings.warn(text, stacklevel=2)
        return foresee_time(problem, course, Plan.on(plan.device), together, missing, True)
    rows = len(problem.train)
    spans = [(0.0, 1.0) if course.staged is None else course.staged.span(epoch) for epoch in range(course.epochs)]
    updates = sum(-(-round(rows * (high - low)) // course.batch) for low, high in spans)
    return plan, together, updates * each


def _update(problem: Problem, course: Course, count: int) -> float:
    """Seconds of an update of some experts, of the two after a first one that also warms up."""
    task = problem.task
    model, params, seeds = networks(task, course, 0, range(count))
    velocity: Params = {}

    def step() -> None:
        nonlocal params, velocity
        rows = next(paths.batches(task, model, problem.train, course, seeds, 0))
        params, velocity, losses = paths.updated(task, model, params, velocity, rows, course)
        losses.tolist()  # waits for the device

    try:
        step()
        start = time.perf_counter()
        step()
        step()
    except torch.cuda.OutOfMemoryError:
        if count == 1:
            raise
        return float("inf")
    return (time.perf_counter() - start) / 2


def foresee_scoring(problem: Problem, staged: Staged, plan: Plan) -> float:
    """Seconds that scoring the difficulty of all rows takes: two timed updates of the network that scores them, for all its updates,
    and where each row's gradient is taken, those of a few rows, for all rows; that times the networks."""
    stage, seconds = problem.planned(plan), 0.0
    task, rows, network = stage.task, len(stage.train), untrained(stage, staged.model, 0)
    if staged.score == "grand":
        refuse_shared(task, network, staged.model)
    with plan.applied():
        if staged.epochs:
            schedule = whole_schedule(staged.epochs, rows)
            few = stage.train.take(torch.arange(min(schedule.batch_size, rows)))
            passed = fitting(task, network, few, replace(schedule, epochs=2))  # an update each
            next(passed).loss.item()
            start = time.perf_counter()
            for epoch in passed:
                epoch.loss.item()  # waits for the device
            seconds = (time.perf_counter() - start) / 2 * schedule.total(rows)
        if staged.score == "grand":
            few = stage.train.take(torch.arange(min(TIMED_ROWS, rows)))
            assert few.y is not None
            start = time.perf_counter()
            gradient_norms(network, few.x, few.y).tolist()
            seconds += (time.perf_counter() - start) * rows / len(few)
    return seconds * staged.networks


def disk_free(path: Path) -> int:
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def fastest(measure: Callable[[int], float], most: int) -> int:
    """How many experts to train together: twice as many as long as each then takes a tenth less time.

    Args:
        measure: seconds of an update of so many experts; infinite where they do not fit into memory.
        most: at most so many.
    """
    count, each = 1, measure(1)
    while 2 * count <= most and (faster := measure(2 * count) / (2 * count)) < 0.9 * each:
        count, each = 2 * count, faster
    return count


def skeleton(task: Task, name: str) -> nn.Module:
    """A network for its code; the weights travel beside it, running means of a batch norm with it."""
    with rng.seeded(0):
        return task.build(name).requires_grad_(False)


def networks(
    task: Task, course: Course, seed: int, numbers: Sequence[int]
) -> tuple[nn.Module, dict[str, Tensor], list[int]]:
    """The network, its random weights ``(k, ...)`` for each expert, and their seeds."""
    seeds = [rng.derive(seed, "expert", number) for number in numbers]
    starts = [random_weights(task, course.model, rng.generator(each, "start")) for each in seeds]
    stacked = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
    return skeleton(task, course.model), stacked, seeds


@contextmanager
def repeatable() -> Iterator[None]:
    """Inside the block convolutions on a GPU are summed in one order."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before
