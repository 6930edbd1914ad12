"""Jobs: a distillation made ready with its directory, its limits and its estimate, done, and gone on with."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from attar import data, recipes
from attar.distilled import Distilled
from attar.estimate import estimate, require
from attar.evaluation.selection import without_validation
from attar.job import Job
from attar.method import Method, Result, Stats, is_iterative, name_of
from attar.plan import WORTH_COMPILING, Plan
from attar.record import describe, inputs, rebuild
from attar.runs import RunDirectory, refuse_taken
from attar.types import AttarError, Budget, Problem

__all__ = ["Job", "distill", "finished", "prepare", "reopen", "resume"]

DEFAULT_SECONDS = 600
"""What a run of unknown length may take on this machine."""


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
    candidates: int | None = None,
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
        candidates: whole sets to keep along the way, the result the last of them, at equal parts of the steps or of the time;
            validation rows may choose among them (see `attar.evaluation.select`). None keeps the result alone.
        command: the command line, for the report.

    Raises:
        AttarError: if the budget does not fit the data, the estimate does not fit memory or disk, or candidates are asked for
            where there is no way, no folder or no validation row to choose on.
    """
    _check(method, problem, budget, steps, time_budget)
    if candidates is not None:
        _check_candidates(candidates, method, problem, out)
    budget.counts([len(rows) for rows in problem.members.values()], problem.spec.class_names)
    if out is not None:
        refuse_taken(Path(out))
    wanted = steps if steps is not None else published_steps(method, problem, budget)
    expected = None
    if is_iterative(method):
        asked: dict[str, Any] = {"device": device, "exact": exact, "limit": memory, "out": out}
        limits: dict[str, Any] = {"time_budget": time_budget, "candidates": candidates}
        expected = estimate(method, problem, budget, seed, wanted, plan, **asked, **limits)
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
        "candidates": candidates,
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
    staged = problem.planned(plan)
    return Job(method, staged, budget, wanted or 0, seed, plan, time_budget, directory, expected, candidates)


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


def _check_candidates(candidates: int, method: Method, problem: Problem, out: str | Path | None) -> None:
    """Refuse candidates that nobody could choose among."""
    if not is_iterative(method):
        raise AttarError(f"{name_of(method)} gives its result at once and has no candidates on a way: leave them out.")
    if candidates < 2:
        raise AttarError(f"candidates={candidates} leaves nothing to choose among: give 2 or more.")
    if out is None:
        raise AttarError("Candidates are kept in the folder of a run: give out=..., too, or leave candidates out.")
    if len(problem.validation) == 0:
        raise AttarError(without_validation(problem.spec.name))


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
        candidates=settings.get("candidates"),  # of which earlier versions knew nothing
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
    candidates: int | None = None,
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
        candidates=candidates,
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
