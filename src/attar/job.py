"""One distillation under way: its steps, what it keeps of them in its folder, and its result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from attar import rng
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable, as_table
from attar.estimate import Estimate
from attar.memory import Meter, resident
from attar.method import Direct, Method, Result, Stats, Step, is_iterative, made_by, run
from attar.plan import Plan
from attar.reuse import counted
from attar.runs import RunDirectory
from attar.types import AttarError, Budget, Problem, Tree

__all__ = ["Job"]

CHECKPOINT_SECONDS = 30


@dataclass
class Job:
    """A distillation that is ready to go: iterate over it for its steps, then call `finish`.

    ``for step in job: ...`` may be left or interrupted at any point; `finish` then gives what there is. Of `candidates` sets along
    the way, which validation rows may choose among, the last is the result; the others are kept as steps come to them.
    """

    method: Method
    problem: Problem
    budget: Budget
    steps: int
    seed: int
    plan: Plan
    time_budget: float | None = None
    directory: RunDirectory | None = None
    estimate: Estimate | None = None
    candidates: int | None = None
    index: int = 0
    seconds: float = 0.0
    state: Tree = None
    stopped: str | None = None
    ended: Result | None = None
    _holding: bool = False

    def __post_init__(self) -> None:
        self._meter = Meter(self.plan.device)

    def __iter__(self) -> Iterator[Step]:
        if self.ended is not None or not is_iterative(self.method):
            return
        with self._held(), self.plan.applied():
            self._restore()
            yield from self._steps()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the run's folder for this job, however often it is asked."""
        if self.directory is None or self._holding:
            yield
            return
        with self.directory.locked():
            self._holding = True
            try:
                yield
            finally:
                self._holding = False

    def _restore(self) -> None:
        """Go to the folder's last checkpoint, where there is one."""
        if self.directory is None:
            return
        found = self.directory.load(self.plan.device)
        if found is not None:
            self.index, self.seconds, self.state = found
        self.directory.rewind(self.index)

    def _steps(self) -> Iterator[Step]:
        assert is_iterative(self.method)
        if self.state is None:
            start = time.perf_counter()
            self.state = self.method.init(self.problem, self.budget, rng.generator(self.seed, "method"))
            self.seconds = time.perf_counter() - start  # k-means and the like are part of the cost
            self._keep()
        saved = time.monotonic()
        self.stopped = "interrupted"
        over = self.time_budget is not None and self.index > 0 and self.seconds >= self.time_budget
        try:
            for step in (
                ()
                if over
                else run(
                    self.method,
                    self.problem,
                    self.budget,
                    steps=self.steps,
                    seed=self.seed,
                    state=self.state,
                    index=self.index,
                    seconds=self.seconds,
                )
            ):
                # before the job moves on, so that a checkpoint never stands behind a lost one
                self._keep_candidate(step)
                self.index, self.seconds, self.state = step.index, step.seconds, step.state
                if self.directory is not None:
                    self.directory.log(step.index, step.seconds, step.info)
                    if time.monotonic() - saved > CHECKPOINT_SECONDS or step.index & (step.index - 1) == 0:
                        self._keep()
                        saved = time.monotonic()
                yield step
                if self.time_budget is not None and self.seconds >= self.time_budget:
                    break
            self.stopped = None if self.index >= self.steps else "time budget"
        finally:
            self._keep()

    def _keep(self) -> None:
        """Checkpoint; at steps 0, 1, 2, 4, ... a picture of the way as well."""
        if self.directory is None or not is_iterative(self.method):
            return
        self.directory.save(self.index, self.seconds, self.state)
        if self.problem.spec.schema is None and (self.index & (self.index - 1) == 0 or self.index == self.steps):
            self.directory.snapshot(self.index, self.method.finish(self.problem, self.state))

    def _keep_candidate(self, step: Step) -> None:
        """Keep the whole set where a step ends one of the equal parts of the way; the last part ends with the result."""
        if self.directory is None or self.candidates is None or not is_iterative(self.method):
            return
        if self._parts(self.index, self.seconds) < self._parts(step.index, step.seconds) < self.candidates:
            value = self._as_rows(self.method.finish(self.problem, step.state))
            self.directory.keep_candidate(step.index, self._recorded(value, Stats(step.index, step.seconds)))

    def _parts(self, index: int, seconds: float) -> int:
        """How many of the parts between candidates are behind, by steps or by the clock, whichever is further."""
        parts = self.candidates or 0
        by_clock = 0 if self.time_budget is None else int(parts * seconds / self.time_budget)
        return max(parts * index // max(self.steps, 1), by_clock)

    def _as_rows(self, value: Distilled | DistilledTable) -> Distilled:
        """The set as its modality saves it: of a table with columns."""
        schema = self.problem.spec.schema
        return value if schema is None else as_table(value, schema)  # type: ignore[return-value]

    def finish(self) -> Result:
        """The result of what has been done; written to the directory where there is one.

        Raises:
            AttarError: if not even the first state was made.
        """
        if self.ended is not None:
            return self.ended
        with self._held(), self.plan.applied():
            return self._finish()

    def _finish(self) -> Result:
        earlier = 0
        if is_iterative(self.method):
            if self.state is None:
                self._restore()
            if self.state is None and self.steps > 0:
                raise AttarError(
                    "This run was stopped before its first state: there is nothing to keep yet; resume it, or start anew."
                )
            if self.index < self.steps and self.stopped is None:
                self.stopped = "interrupted"
            state = self.state
            if state is None:
                state = self.method.init(self.problem, self.budget, rng.generator(self.seed, "method"))
            value = self._as_rows(self.method.finish(self.problem, state))
        else:
            start = time.perf_counter()
            direct: Direct = self.method  # type: ignore[assignment]
            try:
                with counted(self._meter) as found:  # alone it would have had to do that work
                    value = self._as_rows(direct.finish(self.problem, self.budget, rng.generator(self.seed, "method")))
            except AttarError:
                if self.directory is not None:  # so that a corrected command may use the same folder
                    self.directory.discard()
                raise
            state, self.seconds = None, time.perf_counter() - start + found.seconds
            earlier = found.peak
        own = self._meter.peak()
        own = None if own is None else max(own, earlier)
        stats = Stats(self.index, self.seconds, self.stopped, resident(), own)
        result = Result(self._recorded(value, stats), state, stats)
        if self.directory is not None:
            finished = self.stopped in (None, "time budget")
            self.directory.finish(result.value, asdict(stats), finished)
        if self.stopped != "interrupted":
            self.ended = result
        return result

    def _recorded(self, value: Distilled, stats: Stats) -> Distilled:
        """The set, or table, with the record of where it comes from."""
        prepared = value.made_by.get("prepared", {})
        record = made_by(self.method, self.problem, self.budget, self.seed, stats, self.plan, prepared)
        return replace(value, made_by={**record, **value.made_by})
