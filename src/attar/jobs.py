"""A job: one distillation from start to result, with its directory, its limits and its estimate."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from attar import data, recipes, rng
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable, as_table
from attar.estimate import Estimate, estimate, require
from attar.memory import Meter, resident
from attar.method import Direct, Method, Result, Stats, Step, is_iterative, made_by, name_of, run
from attar.plan import WORTH_COMPILING, Plan
from attar.record import describe, inputs, rebuild
from attar.reuse import counted
from attar.runs import RunDirectory, refuse_taken
from attar.types import AttarError, Budget, Problem, Tree

__all__ = ["Job", "distill", "finished", "prepare", "reopen", "resume"]

DEFAULT_SECONDS = 600
"""What a run of unknown length may take on this machine."""

CHECKPOINT_SECONDS = 30


@dataclass
class Job:
    """A distillation that is ready to go: iterate over it for its steps, then call `finish`.

    ``for step in job: ...`` may be left or interrupted at any point; `finish` then gives what there is.
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
        prepared = value.made_by.get("prepared", {})
        record = made_by(self.method, self.problem, self.budget, self.seed, stats, self.plan, prepared)
        result = Result(_with_record(value, record), state, stats)
        if self.directory is not None:
            finished = self.stopped in (None, "time budget")
            self.directory.finish(result.value, asdict(stats), finished)
        if self.stopped != "interrupted":
            self.ended = result
        return result


def prepare(
    method: Method,
    problem: Problem,
    budget: Budget,
    *,
    steps: int | None = None,
    time_budget: float | None = None,
    seed: int = 0,
    plan: Plan | None = None,
    out: str | Path | None = None,
    memory: int | None = None,
    exact: bool = False,
    device: str = "auto",
    command: str = "",
) -> Job:
    """Make a job ready: settle its plan and its length, foresee its memory, make its directory.

    Args:
        method: what distils.
        problem: the data.
        budget: how many rows to keep.
        steps: steps in all; None takes what the recipe says for this data and budget, else as many as fit ten minutes
            on this machine.
        time_budget: seconds after which the run ends early; such a run is not repeatable bit by bit.
        seed: of everything that is drawn.
        plan: how it is computed; None chooses (see `attar.plan`).
        out: directory of the run; None keeps nothing.
        memory: bytes that may be used; None takes what is free.
        exact: compute by the plain fp32 reference.
        device: "auto", "cpu" or "cuda".
        command: the command line, for the report.

    Raises:
        AttarError: if the budget does not fit the data, or the estimate does not fit memory or disk.
    """
    _check(method, problem, budget, steps, time_budget)
    budget.counts([len(rows) for rows in problem.members.values()], problem.spec.class_names)
    if out is not None:
        refuse_taken(Path(out))
    wanted = steps if steps is not None else published_steps(method, problem, budget)
    expected = None
    if is_iterative(method):
        asked: dict[str, Any] = {"device": device, "exact": exact, "limit": memory, "out": out}
        expected = estimate(method, problem, budget, seed, wanted, plan, **asked, time_budget=time_budget)
        plan = expected.plan
        if wanted is None:
            wanted = expected.steps(time_budget or DEFAULT_SECONDS)
        require(expected, wanted)
    if plan is None:  # a coreset may train networks
        shown = getattr(method, "passes", 0) * problem.train.x[:, 0].numel()
        plan = Plan.fast(device) if shown >= WORTH_COMPILING and not exact else Plan.on(device)
    if plan.threads is None and plan.device == "cpu":  # recorded, so that a resumed run rounds alike
        plan = replace(plan, threads=torch.get_num_threads())
    directory = None
    settings = {
        "method": describe(method),
        "inputs": inputs(method),
        "name": name_of(method),
        "budget": describe(budget)["fields"],
        "steps": wanted or 0,
        "time_budget": time_budget,
        "seed": seed,
        "plan": describe(plan)["fields"],
        "problem": {
            "name": problem.spec.name,
            "fingerprint": problem.spec.fingerprint,
            "source": describe(dict(problem.spec.source)),
            "notes": [problem.spec.split, *problem.spec.notes],
        },
        "estimate": None if expected is None else expected.record(wanted or 0),
        "command": command,
    }
    if out is not None:
        directory = RunDirectory.create(out, settings)
    return Job(method, problem.planned(plan), budget, wanted or 0, seed, plan, time_budget, directory, expected)


def published_steps(method: Method, problem: Problem, budget: Budget) -> int | None:
    """The steps that a method's recipe says for this data and budget, None where it says nothing."""
    return recipes.settings(name_of(method), problem.spec.source.get("load", ""), budget).get("steps")


def _check(method: Any, problem: Any, budget: Any, steps: int | None, time_budget: float | None) -> None:
    """Refuse what is no method, no problem or no budget, and limits that make no sense."""
    if isinstance(method, type) or not hasattr(method, "finish"):
        made = "call it, as in attar.methods.dm()" if callable(method) else "give one, as attar.methods.dm()"
        raise AttarError(f"{method!r} is no method: {made}.")
    if not isinstance(problem, Problem):
        raise AttarError(f"{problem!r} is no problem: load the data first, as in attar.data.load('mnist').")
    if not isinstance(budget, Budget):
        raise AttarError(f"{budget!r} is no budget: give one, as attar.Budget(per_class=10).")
    if steps is not None and steps < 0:
        raise AttarError(f"steps={steps} is negative: give the number of steps.")
    if time_budget is not None and not time_budget > 0:
        raise AttarError(f"A time budget of {time_budget} seconds leaves no time: give more than 0.")
    if not is_iterative(method) and (steps is not None or time_budget is not None):
        raise AttarError(f"{name_of(method)} gives its result at once: leave steps and the time budget out.")


def reopen(
    path: str | Path, method: Method | None = None, problem: Problem | None = None, data_dir: str | None = None
) -> Job:
    """The job of a run's directory, to go on with; its method, data and plan as recorded.

    Raises:
        AttarError: if the settings name a class that is not attar's (pass `method`), or the data cannot be found or has
            changed (pass `problem`).
    """
    directory = RunDirectory(path)
    settings = directory.settings
    Plan.on(settings["plan"]["device"])  # refused in a sentence where it is not there
    method = method if method is not None else rebuild(settings["method"])
    recorded = settings["problem"]
    if problem is None:
        problem = data.reopen(recorded["source"], data_dir=data_dir)
    data.check_fingerprint(problem, recorded["fingerprint"])
    plan = Plan(**settings["plan"])
    return Job(
        method,
        problem.planned(plan),
        Budget(**settings["budget"]),
        settings["steps"],
        settings["seed"],
        plan,
        settings["time_budget"],
        directory,
    )


def finished(path: str | Path) -> Result | None:
    """The result of a run whose steps are all done, from its folder alone; None where there are steps to do."""
    directory = RunDirectory(path)
    result = directory.result
    if result is None or not result["finished"]:
        return None
    found = directory.load("cpu")
    stats = Stats(**{field.name: result[field.name] for field in fields(Stats) if field.name in result})
    return Result(Distilled.load(directory.path / "distilled"), found[2] if found else None, stats)


def distill(
    method: Method,
    problem: Problem,
    budget: Budget,
    *,
    steps: int | None = None,
    time_budget: float | None = None,
    seed: int = 0,
    plan: Plan | None = None,
    out: str | Path | None = None,
    memory: int | None = None,
    exact: bool = False,
    device: str = "auto",
) -> Result:
    """Distil a dataset. Arguments are those of `prepare`; Ctrl-C gives what there is.

    Returns:
        The distilled set, the last state and the cost.

    Example:
        >>> result = attar.distill(attar.methods.dm(), problem, attar.Budget(per_class=1), steps=3)
        >>> len(result.value)
        3
    """
    job = prepare(
        method,
        problem,
        budget,
        steps=steps,
        time_budget=time_budget,
        seed=seed,
        plan=plan,
        out=out,
        memory=memory,
        exact=exact,
        device=device,
    )
    return work(job)


def resume(path: str | Path, *, method: Method | None = None, problem: Problem | None = None) -> Result:
    """Go on with a run from its last checkpoint; a finished run is given back as it is.

    Args:
        path: the run's directory.
        method: instead of the recorded one, for methods that attar cannot rebuild by name.
        problem: instead of finding the recorded data again.
    """
    done = finished(path)
    return done if done is not None else work(reopen(path, method, problem))


def work(job: Job) -> Result:
    """All steps of a job, then its result."""
    try:
        for _ in job:
            pass
    except KeyboardInterrupt:
        print("attar: interrupted; the result is of the steps done so far", file=sys.stderr)
    return job.finish()


def _with_record(value: Distilled, record: Mapping[str, Any]) -> Distilled:
    return replace(value, made_by={**record, **value.made_by})  # of a table likewise
