"""The Method protocol and `run`, an ordinary loop. Knows no method.

A method is a frozen part. **Iterative**: ``init(problem, budget, generator) -> state``, ``step(problem, state) -> (state,
info)`` and ``finish(problem, state) -> Distilled``; a state is a `Tree` and a step leaves the given one as it is.
**Direct**: ``finish(problem, budget, generator) -> Distilled``.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, TypeGuard

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from attar import rng
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.plan import Plan
from attar.record import describe
from attar.types import AttarError, Budget, Problem, Tree

__all__ = ["Direct", "Iterative", "Method", "Result", "Start", "Stats", "Step", "is_iterative", "made_by", "run"]


class Iterative(Protocol):
    """A method that improves its synthetic data step by step.

    One with settings that do not suit every length of a run says so by ``cautions(steps) -> list[str]``, a sentence each.
    """

    def init(self, problem: Problem, budget: Budget, generator: torch.Generator) -> Any: ...
    def step(self, problem: Problem, state: Any) -> tuple[Any, dict[str, Tensor]]: ...
    def finish(self, problem: Problem, state: Any) -> Distilled: ...


class Direct(Protocol):
    """A method that gives its result at once, of a table with its columns.

    One whose result may take long says so beforehand by ``foreseen(problem, budget) -> str``: a line for people, empty where there
    is nothing to say.
    """

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> Distilled | DistilledTable: ...


Method: TypeAlias = Iterative | Direct


@dataclass(frozen=True)
class Step:
    """What `run` yields.

    Args:
        index: steps done, from 1.
        state: after the step.
        info: numbers of the step, "loss" among them.
        seconds: spent on steps so far.
    """

    index: int
    state: Tree
    info: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Stats:
    """What a job cost.

    Args:
        steps: steps done.
        seconds: spent on them (or on the direct method), earlier parts of a resumed run included.
        stopped: why it ended before its last step ("interrupted", "time budget"), or None.
        memory: peak resident bytes of the process that ended it, None where the system does not say.
        own_memory: those beyond what the process held when the job was made ready, rows and network among that; of the
            device for CUDA. None where the system does not say.
    """

    steps: int
    seconds: float
    stopped: str | None = None
    memory: int | None = None
    own_memory: int | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """What a job gives: the distilled set, the last state (None for direct methods) and the cost."""

    value: Distilled
    state: Tree = field(repr=False)
    stats: Stats


@dataclass(frozen=True)
class Start:
    """What an iterative method begins with, as a set of its own: the line that the method's gain is to be measured from.

    For rows that are stored as they are it is random rows, say; several rows in one, or a decoder's, may train better than
    random rows before any step.
    """

    method: Iterative

    @property
    def name(self) -> str:
        return f"{name_of(self.method)}-start"

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> Distilled:
        return self.method.finish(problem, self.method.init(problem, budget, generator))


def is_iterative(method: Method) -> TypeGuard[Iterative]:
    """Whether a method works step by step."""
    return hasattr(method, "step") and hasattr(method, "init")


def name_of(method: Method) -> str:
    """The published name of a method, or its class's."""
    return str(getattr(method, "name", type(method).__name__.lower()))


def run(
    method: Iterative,
    problem: Problem,
    budget: Budget,
    *,
    steps: int | None = None,
    seed: int = 0,
    plan: Plan | None = None,
    state: Tree = None,
    index: int = 0,
    seconds: float = 0.0,
) -> Iterator[Step]:
    """Distil, one step at a time: an ordinary loop, to be left whenever enough is enough.

    Args:
        method: an iterative method.
        problem: the data.
        budget: how many rows to keep.
        steps: how many in all; None goes on without end.
        seed: the run's seed.
        plan: how it is computed; None keeps the problem's.
        state: where to go on from, with its `index` and `seconds`; None starts anew.

    Yields:
        A `Step` after each step.

    Raises:
        AttarError: if a loss is not finite (the state before that step is the last one yielded).

    Example:
        >>> for step in attar.run(attar.methods.dm(), problem, attar.Budget(per_class=1), steps=3):
        ...     loss = step.info["loss"]
    """
    if not is_iterative(method):
        raise AttarError(f"{name_of(method)} gives its result at once and has no steps to run: use attar.distill.")
    problem = problem if plan is None else problem.planned(plan)
    if state is None:
        state = method.init(problem, budget, rng.generator(seed, "method"))
    while steps is None or index < steps:
        start = time.perf_counter()
        with problem.task.plan.applied():
            after, info = method.step(problem, state)
        numbers = {name: float(value) for name, value in info.items()}
        _check_finite(method, {**numbers, "updated state": _largest(after)}, index)
        state = after
        index += 1
        seconds += time.perf_counter() - start
        yield Step(index, state, numbers, seconds)


TOO_LARGE = 1e18
"""Beyond this the square of a number is no longer a float32."""


def _largest(state: Tree) -> float:
    """The largest number of a state, infinite where one is beyond `TOO_LARGE`, NaN where one is."""
    leaves = [leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    peaks = [float(leaf.abs().max()) for leaf in leaves if leaf.numel()]
    if any(peak != peak for peak in peaks):
        return float("nan")
    return max((float("inf") if peak > TOO_LARGE else peak for peak in peaks), default=0.0)


def _check_finite(method: Method, numbers: dict[str, float], index: int) -> None:
    bad = [name for name, value in numbers.items() if value != value or value in (float("inf"), float("-inf"))]
    if not bad:
        return
    part = type(getattr(method, "objective", method)).__name__
    rates = {
        name: optimiser.lr for name, optimiser in getattr(method, "optimisers", {}).items() if hasattr(optimiser, "lr")
    }
    paces = getattr(method, "step_size", None)
    if index == 0 and paces and bad[0] != "updated state":  # no optimiser has acted yet
        rates = {}
    hint = ", ".join(f"{name} lr={rate:g} (try {rate / 10:g})" for name, rate in rates.items())
    if paces:
        hint += f"{', or ' if hint else ''}that of networks on the rows, step_size={paces}"
    raise AttarError(
        f"The {bad[0]} of {part} became {numbers[bad[0]]} at step {index + 1} of {name_of(method)}: the likely setting is a "
        f"step size that is too large{': ' + hint if hint else ''}; the state before this step is kept."
    )


def made_by(
    method: Method,
    problem: Problem,
    budget: Budget,
    seed: int,
    stats: Stats,
    plan: Plan,
    prepared: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The record of where a distilled set comes from; JSON values only. Its seconds count what was `prepared` before the run,
    such as experts."""
    seconds = stats.seconds + sum(part["seconds"] for part in prepared.values())
    return {
        "name": name_of(method),
        "method": describe(method),
        "budget": describe(budget)["fields"],
        "seed": seed,
        "steps": stats.steps,
        "seconds": round(seconds, 3),
        "stopped": stats.stopped,
        "plan": describe(plan)["fields"],
        "data": problem.spec.name,
        "fingerprint": problem.spec.fingerprint,
        "licence": problem.spec.licence,
        "source": describe(dict(problem.spec.source)),
        "versions": {"attar": version("attar"), "torch": torch.__version__, "python": platform.python_version()},
    }
