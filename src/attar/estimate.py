"""What a job will take: memory by a rehearsal without numbers, time by a few timed steps, disk by counting.

The rehearsal runs one or two steps of the method on torch's "meta" device, where tensors have shapes and no content, and
adds up what lives at the same time; it takes no memory, so it comes before the first real step. The timed steps go on a
copy of the first state: a state is left as it is by a step and the randomness of a step does not depend on the others, so
trying them changes nothing.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
import os
import resource
import shutil
import time
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from attar import rng
from attar.memory import resident
from attar.method import Iterative
from attar.plan import Plan
from attar.types import AttarError, Batch, Budget, Problem

__all__ = ["Estimate", "estimate", "require", "roughly"]

FAST_FROM_SECONDS = 240
"""Runs that the plain plan would take longer for are worth compiling."""

_COMPILER_BYTES = 250 * 2**20


@dataclass(frozen=True)
class Estimate:
    """What a job will take on this machine.

    Args:
        plan: the plan that it was made for.
        seconds_per_step: by a few timed steps.
        memory: peak bytes of the process (of the device, for CUDA); None where the method cannot be rehearsed.
        memory_limit: bytes that it may use.
        state: bytes of one checkpoint.
        disk_free: bytes free where the run is written, None where nothing is.
        seconds_per_network: to train one of the networks that the method's source of surrogates trains now and then.
        trains: how many of them it trains in so many steps; None of a source that trains none, or some in every step.
        besides: what the run does before its first step that is not foreseen, in words; empty where there is nothing.
        candidates: sets that are kept along the way, the last of them the result.
    """

    plan: Plan
    seconds_per_step: float
    memory: int | None
    memory_limit: int
    state: int
    disk_free: int | None
    seconds_per_network: float = 0.0
    trains: Callable[[int], int] | None = None
    besides: str = ""
    candidates: int = 1

    def seconds(self, steps: int) -> float:
        """Of so many steps, the networks trained on the way included."""
        networks = 0 if self.trains is None else self.trains(steps)
        return self.seconds_per_step * steps + self.seconds_per_network * networks

    def steps(self, seconds: float) -> int:
        """As many steps as fit a time, at least one."""
        return max(1, bisect.bisect_right(range(1, 10**9), seconds, key=self.seconds))

    def disk(self, steps: int) -> int:
        """Bytes that a run writes: a checkpoint beside its successor, the result twice, other candidates once, a line a step."""
        return (3 + self.candidates) * self.state + 150 * steps + 2**20

    def record(self, steps: int) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds(steps), 1),
            "seconds_per_step": round(self.seconds_per_step, 5),
            "memory": self.memory,
            "disk": self.disk(steps),
            **({"besides": self.besides} if self.besides else {}),
        }

    def sentence(self, steps: int) -> str:
        """One line for people."""
        each = self.seconds_per_step
        step = f"{_short(each)} s" if each >= 1 else f"{_short(1000 * each)} ms"
        memory = "unknown" if self.memory is None else f"{_short(self.memory / 2**30)} GB"
        networks = 0 if self.trains is None else self.trains(steps)
        trained = f" and {networks} network{'' if networks == 1 else 's'} to train" if networks else ""
        before = f"; before these comes {self.besides}, which they do not count" if self.besides else ""
        spent = roughly(self.seconds(steps))
        many = "" if steps == 1 else "s"
        return f"about {spent} for {steps:,} step{many} of {step}{trained}, {memory} of memory on this machine{before}"


def estimate(
    method: Iterative,
    problem: Problem,
    budget: Budget,
    seed: int,
    steps: int | None,
    plan: Plan | None,
    *,
    device: str = "auto",
    exact: bool = False,
    limit: int | None = None,
    out: str | Path | None = None,
    time_budget: float | None = None,
    candidates: int | None = None,
) -> Estimate:
    """Foresee a job; where no plan is given, choose one.

    Args:
        steps: of the job, None where they follow from the time.
        time_budget: seconds after which the job ends.
        candidates: sets that it keeps along the way; None for the result alone.

    Raises:
        AttarError: if the memory does not suffice, before any step.
    """
    chosen = plan or Plan.on(device)
    method, besides = _rehearsed(method, problem)
    state = _underway(method, method.init(problem.planned(chosen), budget, rng.generator(seed, "method")))
    need = _memory(method, problem, state, chosen)
    allowed = limit if limit is not None else _free(chosen)
    if need is not None and need > allowed:
        raise AttarError(
            f"This run needs about {_short(need / 2**30)} GB of memory and {_short(allowed / 2**30)} GB may be used: "
            "lower the budget, the real rows a step or the network's width, or raise the limit."
        )
    seconds, first = _timed(method, problem.planned(chosen), state)
    trains = getattr(getattr(method, "surrogates", None), "trains", None)
    # of a plan that compiles the first step has that, too, and does not tell
    each = 0.0 if trains is None or chosen.compiled else max(first - seconds, 0.0)
    length = math.inf if steps is None else steps * seconds
    if plan is None and not exact and min(length, time_budget or math.inf) > FAST_FROM_SECONDS:
        faster = _try_fast(method, problem, budget, seed, Plan.fast(device))
        enough = need is None or need + _COMPILER_BYTES <= allowed
        if faster is not None and enough and faster < 0.9 * seconds:
            chosen, each, seconds = Plan.fast(device), each * faster / seconds, faster
            need = None if need is None else need + _COMPILER_BYTES
    size = sum(leaf.nbytes for leaf in tree_leaves(state) if isinstance(leaf, Tensor))
    free = None if out is None else _disk_free(Path(out))
    return Estimate(chosen, seconds, need, allowed, size, free, each, trains, ", ".join(besides), candidates or 1)


def _try_fast(method: Iterative, problem: Problem, budget: Budget, seed: int, fast: Plan) -> float | None:
    """Seconds a step of the fast plan; None where there is none or it does not compile here."""
    if not fast.compiled:
        return None
    staged = problem.planned(fast)
    try:
        state = method.init(staged, budget, rng.generator(seed, "method"))
        return _timed(method, staged, _underway(method, state))[0]
    except Exception as error:  # a compiler has many ways to fail, and the plain plan needs none
        warnings.warn(
            f"the fast plan does not work here ({type(error).__name__}), so the plain one is used", stacklevel=2
        )
        return None


def require(expected: Estimate, steps: int) -> None:
    """Refuse a run whose files do not fit.

    Raises:
        AttarError: if they do not.
    """
    if expected.disk_free is not None and expected.disk(steps) > expected.disk_free:
        raise AttarError(
            f"This run writes about {expected.disk(steps) / 2**20:.0f} MB and {expected.disk_free / 2**20:.0f} MB are free: make room, or "
            "choose another --out."
        )


def _rehearsed(method: Iterative, problem: Problem) -> tuple[Iterative, tuple[str, ...]]:
    """The method, with less to do before its first step where its objective allows that; and what is left out, in words."""
    shorter = getattr(getattr(method, "objective", None), "rehearsed", None)
    if shorter is None:
        return method, ()
    objective, left_out = shorter(problem)
    return replace(method, objective=objective), left_out  # type: ignore[type-var]


def _underway(method: Iterative, state: Any) -> Any:
    """The state, as far as its source of surrogates can tell as after many steps: the first may do less than those."""
    later = getattr(getattr(method, "surrogates", None), "underway", None)
    return state if later is None else {**state, "surrogates": later(state["surrogates"])}


def _timed(method: Iterative, problem: Problem, state: Any) -> tuple[float, float]:
    """Seconds a step, of the two after a first one that also warms up; and those of that first one."""
    with problem.task.plan.applied():
        begun = time.perf_counter()
        state, info = method.step(problem, state)
        float(info["loss"])
        start = time.perf_counter()
        for _ in range(2):
            state, info = method.step(problem, state)
            float(info["loss"])  # waits for the device
        return (time.perf_counter() - start) / 2, start - begun


class _Live(TorchDispatchMode):
    """Adds up the bytes of all storages that live at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        size = storage.nbytes()
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


class _Rehearsed:
    """A task whose groups are known already: without content, labels cannot be looked at."""

    def __init__(self, task: Any, members: dict[int, dict[int | None, Tensor]]) -> None:
        self._task, self._members = task, members

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def members(self, batch: Batch) -> dict[int | None, Tensor]:
        return self._members[len(batch)]


def _memory(method: Iterative, problem: Problem, state: Any, plan: Plan) -> int | None:
    """Peak bytes of the process, or of the device."""
    base = 0 if plan.device.startswith("cuda") else resident()
    try:
        return base + int(1.1 * rehearse(method, problem, state, plan))
    except (RuntimeError, NotImplementedError, KeyError):  # a method of somebody else may need numbers to run at all
        return None


def rehearse(method: Iterative, problem: Problem, state: Any, plan: Plan) -> int:
    """Peak bytes of the tensors of two steps, data and network included on CUDA, data left out on the CPU (where it is
    resident already)."""
    meta = dataclasses.replace(plan, device="meta", compiled=False, precision="fp32")
    value = method.finish(problem, state).data
    stage = problem.planned(meta)
    task = _Rehearsed(stage.task, {len(value): problem.task.members(value), len(problem.train): problem.members})
    stage = dataclasses.replace(stage, task=task)  # type: ignore[arg-type]
    stage.__dict__["members"] = problem.members
    moved = tree_map(lambda leaf: leaf.to("meta") if isinstance(leaf, Tensor) else leaf, state)
    with _Live() as live:
        for _ in range(2):
            moved, _ = method.step(stage, moved)
    data = sum(part.x.nbytes for part in (stage.train, stage.validation, stage.test))
    return live.peak + (data if plan.device.startswith("cuda") else 0)


def _free(plan: Plan) -> int:
    """Bytes that the process may come to use."""
    if plan.device.startswith("cuda"):
        return torch.cuda.mem_get_info(plan.device)[0]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):
        free = 2**62
    total = resident() + free
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.path.isfile(name) and (text := Path(name).read_text().strip()).isdigit():
            total = min(total, int(text))
    return total if soft == resource.RLIM_INFINITY else min(total, soft)


def _disk_free(out: Path) -> int:
    there = next(folder for folder in [out, *out.absolute().parents] if folder.exists())
    return shutil.disk_usage(there).free


def roughly(seconds: float) -> str:
    """In words: "50 s", "8 min", "13.9 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _short(number: float) -> str:
    """Two digits, or all before the point; never an exponent."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
