"""Commands that make sets: distill, resume, demo."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cyclopts import App

from attar.cli.options import DataOptions, Json, RunOptions, command_line, print_json
from attar.errors import AttarError
from attar.signatures import Whole, settings_of

__all__ = ["demo", "distil", "register", "resume"]

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
        source: DataOptions = DataOptions(),
        settings: Any = None,
        json_: bool = False,
    ) -> None:
        given = (
            {}
            if settings is None
            else {key: value for key, value in dataclasses.asdict(settings).items() if value is not None}
        )
        _distil(name, make, given, data, run, source, json_)

    command.__annotations__ = {
        "data": str,
        "run": RunOptions,
        "source": DataOptions,
        "settings": settings_class | None,
        "json_": Json,
        "return": None,
    }
    first = (inspect.getdoc(make) or "").partition("\n\n")[0]
    command.__doc__ = f"{first}\n\nArgs:\n    data: a dataset's name (attar datasets), or a folder or file of your own."
    command.__name__ = name
    return command


def _distil(
    name: str,
    make: Callable[..., Any],
    given: dict[str, Any],
    source: str,
    options: RunOptions,
    where: DataOptions,
    as_json: bool,
) -> None:
    from attar import data, jobs, recipes
    from attar.progress import follow, say

    budget = _budget(options)
    say(f"reading {source}")
    problem = data.find(source, data_dir=where.data_dir, size=where.size, test=where.test, seed=options.seed)
    for note in (problem.spec.split, *problem.spec.notes):
        say(note)
    say(
        f"{len(problem.train):,} training rows, {len(problem.validation):,} for validation, {len(problem.test):,} for tests"
    )
    published = {
        key: value
        for key, value in recipes.settings(name, problem.spec.source.get("load", ""), budget).items()
        if key != "steps"
    }
    method = make(**{**published, **given})
    out = options.out or Path("runs") / f"{problem.spec.name}-{name}-{budget}"
    job = jobs.prepare(
        method,
        problem,
        budget,
        steps=options.steps,
        time_budget=options.time_budget,
        seed=options.seed,
        out=out,
        memory=None if options.memory is None else int(options.memory * 2**30),
        exact=options.exact,
        device=options.device,
        command=command_line(),
    )
    _end(follow(job), job, out, as_json)


def _end(result: Any, job: Any, out: Path, as_json: bool) -> None:
    from attar import report
    from attar.progress import say

    report.of_run(out, job.problem)
    if as_json:
        print_json({"run": str(out), **result.value.card()})
    else:
        say(
            f"{len(result.value)} rows, {result.value.nbytes:,} bytes in {out / 'distilled'}; the page: {out / 'report.html'}"
        )
        say(f"what it is worth beside random rows and full data: attar report {out}")
    if job.stopped == "interrupted":
        say(f"interrupted at step {job.index} of {job.steps}; go on with: attar resume {out}")
        raise SystemExit(130)


def _budget(options: RunOptions) -> Any:
    from attar.types import Budget

    given = (options.per_class, options.rows, options.fraction)
    if given.count(None) != 2:
        raise AttarError("How many rows to keep? Give one of --per-class N, --rows N and --fraction F.")
    return Budget(*given)


def demo(*, out: Path = Path("runs/demo"), seed: Whole = 0, json_: Json = False) -> None:
    """Distil handwritten digits that come with attar, compare with random rows and full data, write a page.

    Args:
        out: folder of the result.
        seed: of everything that is drawn.
    """
    from attar import demo as demonstration

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
    from attar.progress import follow, say

    done = jobs.finished(path)
    if done is not None:
        say(f"{path} is finished; nothing to do")
        if json_:
            print_json({"run": str(path), **done.value.card()})
        return
    job = jobs.reopen(path, data_dir=None if data_dir is None else str(data_dir))
    _end(follow(job), job, path, json_)


def register() -> None:
    """Make a command of every method, with its parameters as options."""
    from attar import methods

    for row in methods.catalogue():
        with contextlib.suppress(AttarError):  # a broken package is named by "attar methods", and stops nothing else
            distil.command(_distill_command(row["name"], methods.find(row["name"])), name=row["name"])
