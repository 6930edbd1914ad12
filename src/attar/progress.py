"""What the command tells people while a job runs: a bar on a terminal, plain lines elsewhere; all on standard error."""

from __future__ import annotations

import contextlib
import sys
import time

from attar.jobs import Job
from attar.method import Result, Step, name_of

__all__ = ["follow", "say", "watch"]

LINE_SECONDS = 15


def say(text: str) -> None:
    """One line to standard error."""
    print(f"attar: {text}", file=sys.stderr, flush=True)


def follow(job: Job) -> Result:
    """Do all steps of a job and say how it goes; Ctrl-C stops it with what there is."""
    if (foreseen := getattr(job.method, "foreseen", None)) is not None:
        with job.plan.applied():
            told = foreseen(job.problem, job.budget)
        if told:
            say(f"{name_of(job.method)}: {told}")
    with contextlib.suppress(
        KeyboardInterrupt
    ):  # the job has kept its state; `finish` gives the result of the steps done
        watch(job)
    if job.stopped == "time budget":
        say(f"the time budget ended at step {job.index} of {job.steps}")
    return job.finish()


def watch(job: Job) -> None:
    """Do all steps of a job, and say what they are expected to take and how it goes."""
    if job.estimate is not None:
        plan = job.plan
        how = f"{plan.precision}{', compiled' if plan.compiled else ''} on {plan.device}"
        limit = f", at most {job.time_budget:g} s" if job.time_budget is not None else ""
        say(f"{name_of(job.method)}: {job.estimate.sentence(job.steps)}{limit} ({how})")
    if (cautions := getattr(job.method, "cautions", None)) is not None:
        for caution in cautions(job.steps):
            say(f"{name_of(job.method)}: {caution}")
    if (asked := job.candidates) is not None and asked > job.steps > 0:
        kept = "1 set is" if job.steps == 1 else f"{job.steps:,} sets are"
        say(f"{kept} kept of the {asked:,} candidates asked for, one after each step; the last is the result")
    if sys.stderr.isatty():
        _bar(job)
    else:
        _lines(job)


def _bar(job: Job) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps  loss {task.fields[loss]:.4g}  {task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(name_of(job.method), total=job.steps, loss=float("nan"), speed="")
        for step in job:
            progress.update(bar, completed=step.index, loss=step.info["loss"], speed=_speed(step))


def _lines(job: Job) -> None:
    told = time.monotonic()
    for step in job:
        if time.monotonic() - told > LINE_SECONDS or step.index == job.steps:
            told = time.monotonic()
            left = (job.steps - step.index) * step.seconds / step.index
            say(f"step {step.index}/{job.steps}  loss {step.info['loss']:.4g}  {_speed(step)}  {left:.0f} s left")


def _speed(step: Step) -> str:
    rate = step.index / max(step.seconds, 1e-9)
    return f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step"
