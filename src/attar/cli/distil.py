"""Commands that make sets: distill, resume, demo."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from attar.cli import ahead, wording
from attar.cli.options import DataOptions, Json, RunOptions, StepOptions, command_line, print_json, speaks_of_columns
from attar.errors import AttarError
from attar.signatures import Whole, settings_of, takes_steps

if TYPE_CHECKING:
    from attar.jobs import Job

__all__ = ["demo", "distil", "register", "resume"]

SHOWN = 10
"""Edges of a graph that are named at the end of a run; the others are counted."""

distil = App(
    name="distill",
    help="Distil a dataset: attar distill METHOD DATA --per-class 10. Options of each method: attar distill METHOD --help",
)


def _distill_command(name: str, make: Callable[..., Any]) -> Callable[..., None]:
    settings_class = settings_of(name, make)

    def command(
        data: str,
        /,
        *,
        run: RunOptions = RunOptions(),
        length: StepOptions = StepOptions(),
        source: DataOptions = DataOptions(),
        settings: Any = None,
        json_: bool = False,
    ) -> None:
        given = {} if settings is None else dataclasses.asdict(settings)
        given = {key: value for key, value in given.items() if value is not None}
        job, out = _job(name, given, data, run, length, source)
        _follow(job, out, json_)

    # what a direct method cannot be told is known to the parser, so that it is refused in a sentence, but not offered
    offered: Any = StepOptions if takes_steps(make) else Annotated[StepOptions, Parameter(show=False)]
    command.__annotations__ = {
        "data": str,
        "run": RunOptions,
        "length": offered,
        "source": DataOptions,
        "settings": settings_class | None,
        "json_": Json,
        "return": None,
    }
    first = (inspect.getdoc(make) or "").partition("\n\n")[0]
    command.__doc__ = f"{first}\n\nArgs:\n    data: a dataset's name (attar datasets), or a folder or file of your own."
    command.__name__ = name
    return command


def _job(
    name: str,
    given: dict[str, Any],
    source: str,
    options: RunOptions,
    length: StepOptions,
    where: DataOptions,
) -> tuple[Job, Path]:
    """The job that the words ask for, and its folder. What needs no data is refused before they are read."""
    from attar import data, jobs
    from attar.plan import Plan
    from attar.progress import say

    budget = _budget(options)
    Plan.on(options.device)
    ahead.check_data_options(source, dataclasses.asdict(where))
    method = ahead.made(name, given, source, budget, columns=speaks_of_columns(where))
    _check_length(name, method, length)
    ahead.check_validation(options.validation)
    if length.candidates is not None and options.validation == 0:
        raise AttarError(
            "--candidates are chosen among on validation rows, and --validation 0 leaves none: give a share."
        )
    out = ahead.run_folder(options.out, source, f"{name}-{budget}")
    say(f"reading {source}")
    problem = data.find(source, **dataclasses.asdict(where), **_split(method, options))
    for note in (problem.spec.split, *problem.spec.notes):
        say(wording.in_options(note))
    parts = f"{len(problem.train):,} training rows, {len(problem.validation):,} for validation"
    say(f"{parts}, {len(problem.test):,} for tests")
    job = jobs.prepare(
        method,
        problem,
        budget,
        steps=length.steps,
        time_budget=length.time_budget,
        seed=options.seed,
        out=out,
        memory=None if length.memory is None else int(length.memory * 2**30),
        exact=options.exact,
        device=options.device,
        candidates=length.candidates,
        command=command_line(),
    )
    return job, out


def _split(method: Any, options: RunOptions) -> dict[str, Any]:
    """How the data are split: by the run's seed, or as the experts saw them that the method learns from."""
    experts = getattr(getattr(method, "surrogates", None), "experts", None)
    if experts is None:
        return {"seed": options.seed, "validation": options.validation}
    recorded = experts.settings["problem"]["source"]
    if options.validation not in (None, recorded.get("validation")):
        seen = recorded.get("validation", 0)
        raise AttarError(
            f"--validation {options.validation:g} is not the share that the experts left out ({seen:g}), so they have seen other rows: "
            f"leave it out, or record experts by attar experts ... --validation {options.validation:g}."
        )
    return {name: recorded[name] for name in ("seed", "validation") if name in recorded}


def _check_length(name: str, method: Any, length: StepOptions) -> None:
    from attar.method import is_iterative

    asked = next((key for key, value in dataclasses.asdict(length).items() if value is not None), None)
    if asked and not is_iterative(method):
        raise AttarError(f"{name} gives its result at once and takes no steps: leave --{asked.replace('_', '-')} out.")
    if length.steps is not None and length.steps < 0:
        raise AttarError(f"--steps {length.steps} is negative: give the number of steps.")
    if length.candidates == 1:
        raise AttarError("--candidates 1 leaves nothing to choose among: give 2 or more.")


def _follow(job: Job, out: Path, as_json: bool) -> None:
    """Do a job, write its page and say what came of it."""
    from attar import report
    from attar.distilled.card import without_rows
    from attar.progress import follow, say
    from attar.record import describe
    from attar.report.judged import ridge_judge

    result = follow(job)
    report.of_run(out, job.problem)
    card = result.value.card()
    lacking = without_rows(card)
    if lacking:
        say(lacking)
    for warning in card.get("warnings", ()):
        say(warning)
    if graph := _discovered(card["made_by"]):
        say(graph)
    if as_json:
        print_json({"run": str(out), **card})
    else:
        made = f"{len(result.value)} row{'' if len(result.value) == 1 else 's'}, {result.value.nbytes:,} bytes"
        say(f"{made} in {out / 'distilled'}; the page: {out / 'report.html'}")
        own = ridge_judge(describe(job.method))
        judges = f", judged by networks and by {own}" if own else ""
        say(f"what it is worth beside random rows and full data{judges}: attar report {out}")
    if job.stopped == "interrupted":
        say(f"interrupted at step {job.index} of {job.steps}; go on with: attar resume {out}")
        raise SystemExit(130)


def _discovered(made_by: Mapping[str, Any]) -> str:
    """The graph that a method discovered and keeps the families of; "" where there is none, or it was given."""
    families = made_by.get("families", {})
    if not families.get("discovered"):
        return ""
    edges, more = families["graph"], len(families["graph"]) - SHOWN
    rest = f" (and {more:,} more edge{'' if more == 1 else 's'})" if more > 0 else ""
    return f"graph discovered: {', '.join(edges[:SHOWN]) or 'no edges'}{rest}"


def _budget(options: RunOptions) -> Any:
    from attar.types import Budget

    amounts = {"--per-class": options.per_class, "--rows": options.rows, "--fraction": options.fraction}
    given = [f"{name} {amount}" for name, amount in amounts.items() if amount is not None]
    if not given:
        raise AttarError("How many rows to keep? Give one of --per-class N, --rows N and --fraction F.")
    if len(given) > 1:
        asked = f"{', '.join(given[:-1])} and {given[-1]} {'both' if len(given) == 2 else 'all'}"
        raise AttarError(f"{asked} say how many rows to keep: give one of them.")
    return Budget(options.per_class, options.rows, options.fraction)


def demo(*, out: Path = Path("runs/demo"), seed: Whole = 0, json_: Json = False) -> None:
    """Distil handwritten digits that come with attar, compare with random rows and full data, write a page.

    Args:
        out: folder of the result.
        seed: of everything that is drawn.
    """
    from attar import demo as demonstration

    ahead.check_writable(out / "digits")
    result = demonstration.demo(out, seed, command_line())
    if json_:
        print_json(result)


def resume(path: Path, *, data_dir: Path | None = None, json_: Json = False) -> None:
    """Go on with a run from where it was stopped.

    Args:
        path: folder of the run.
        data_dir: folder to look in first for the recorded dataset.
    """
    from attar import jobs
    from attar.progress import say

    done = jobs.finished(path)
    if done is not None:
        say(f"{path} is finished; nothing to do")
        if json_:
            print_json({"run": str(path), **done.value.card()})
        return
    job = jobs.reopen(path, data_dir=None if data_dir is None else str(data_dir))
    _follow(job, path, json_)


@cache
def register() -> None:
    """Make a command of every method, with its parameters as options; once."""
    from attar import methods

    for row in methods.catalogue():
        with contextlib.suppress(Exception):  # a broken package is named by "attar methods", and stops nothing else
            distil.command(_distill_command(row["name"], methods.find(row["name"])), name=row["name"])
