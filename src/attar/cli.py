"""The command: words to calls. Options of a method are its function's parameters; no mathematics lives here."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from attar.errors import AttarError
from attar.signatures import settings_of

__all__ = ["app", "main"]

app = App(
    name="attar", help="Turn a dataset into a tiny one that trains as well, and prove it.", help_format="plaintext"
)
distil = App(
    name="distill",
    help="Distil a dataset: attar distill METHOD DATA --per-class 10. Options of each method: attar distill METHOD --help",
)
app.command(distil)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON alone on standard output.")]


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How the data is found.

    Args:
        data_dir: folder to look in first for a dataset by name.
        test: held-out images, a folder or file like the data's.
        size: side that images are resized to; the median side, at most 64, where none is given.
    """

    data_dir: Path | None = None
    test: Path | None = None
    size: int | None = None


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How long, where and by which seed.

    Args:
        per_class: rows to keep of each class.
        rows: rows to keep in all, instead.
        fraction: share of the training rows to keep, instead.
        steps: steps in all; what the recipe says for this data, else as many as fit ten minutes here.
        time_budget: seconds after which the run ends early.
        seed: of everything that is drawn.
        device: auto, cpu or cuda.
        out: folder of the run; runs/DATA-METHOD-BUDGET where none is given.
        memory: gigabytes that may be used; what is free where none is given.
        exact: compute by the plain fp32 reference.
    """

    per_class: Annotated[int | None, Parameter(name=["--per-class", "--ipc"])] = None
    rows: int | None = None
    fraction: float | None = None
    steps: int | None = None
    time_budget: float | None = None
    seed: int = 0
    device: str = "auto"
    out: Path | None = None
    memory: float | None = None
    exact: Annotated[bool, Parameter(negative="")] = False


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
        command=_command_line(),
    )
    _end(follow(job), job, out, as_json)


def _end(result: Any, job: Any, out: Path, as_json: bool) -> None:
    from attar import report
    from attar.progress import say

    report.of_run(out, job.problem)
    if as_json:
        _print_json({"run": str(out), **result.value.card()})
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


@app.command
def demo(*, out: Path = Path("runs/demo"), seed: int = 0, json_: Json = False) -> None:
    """Distil handwritten digits that come with attar, compare with random rows and full data, write a page.

    Args:
        out: folder of the result.
        seed: of everything that is drawn.
    """
    from attar import demo as demonstration

    result = demonstration.demo(out, seed, _command_line())
    if json_:
        _print_json(result)


@app.command
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
            _print_json({"run": str(path), **done.value.card()})
        return
    job = jobs.reopen(path, data_dir=None if data_dir is None else str(data_dir))
    _end(follow(job), job, path, json_)


@app.command
def evaluate(
    path: Path,
    data: str | None = None,
    *,
    models: str | None = None,
    runs: int | None = None,
    protocol: Literal["paper", "quick"] = "paper",
    labels: Literal["hard", "soft"] | None = None,
    augmentation: str | None = None,
    seed: int = 0,
    device: str = "auto",
    exact: Annotated[bool, Parameter(negative="")] = False,
    source: DataOptions | None = None,
    json_: Json = False,
) -> None:
    """Train networks from scratch on a distilled set and score them on real test data.

    Args:
        path: a run, or a folder with a distilled set.
        data: the dataset to test on; the recorded one where none is given.
        models: names of networks, separated by commas; the protocol's where none are given.
        runs: networks trained a model, each from its own seed.
        protocol: paper is the field's; quick a short one for first looks.
        labels: what to train on, where the set has soft labels.
        augmentation: of training, instead of the protocol's; "dc" is DC's own for MNIST.
        seed: of the evaluation.
        device: auto, cpu or cuda.
        exact: compute by the plain fp32 reference.
    """
    from attar.evaluation.saved import evaluate_saved

    scores = evaluate_saved(
        path,
        data,
        models=_names(models),
        runs=runs,
        protocol=protocol,
        labels=labels,
        augmentation=augmentation,
        seed=seed,
        device=device,
        exact=exact,
        options=None if source is None else dataclasses.asdict(source),
    )
    if json_:
        _print_json(scores.to_json())
    else:
        print(scores.table())


@app.command
def report(
    paths: Annotated[list[Path], Parameter(negative="")],
    *,
    protocol: Literal["paper", "quick"] = "quick",
    models: str | None = None,
    runs: int | None = None,
    device: str = "auto",
    json_: Json = False,
) -> None:
    """Score runs beside random rows and full data, and write the page of each.

    Args:
        paths: folders of runs.
        protocol: paper is the field's; quick a short one for first looks.
        models: names of networks, separated by commas; the protocol's where none are given.
        runs: networks trained for each score.
        device: auto, cpu or cuda.
    """
    from attar import report as pages

    names = _names(models)
    written = [pages.score_run(path, protocol=protocol, models=names, runs=runs, device=device) for path in paths]
    if json_:
        _print_json(written)
    else:
        for page in written:
            print(page["sentence"], f"({page['report']})")


@app.command
def show(path: Path, *, json_: Json = False) -> None:
    """Print what a distilled set is and where it comes from.

    Args:
        path: a run, or a folder with a distilled set.
    """
    from attar.distilled import Distilled

    value = Distilled.load(path)
    if json_:
        _print_json(value.card())
    else:
        print(value.summary())


@app.command
def methods(*, json_: Json = False) -> None:
    """List the methods."""
    from attar.methods import catalogue

    rows = catalogue()
    if json_:
        _print_json(rows)
        return
    for row in rows:
        print(f"{row['name']:10} {row['family']:24} {row['modality']:8} {row['paper']}")


@app.command
def datasets(*, data_dir: Path | None = None, json_: Json = False) -> None:
    """List the datasets that attar knows by name, and where they are.

    Args:
        data_dir: folder to look in first.
    """
    from attar.data import listing

    rows = listing(data_dir)
    if json_:
        _print_json(rows)
        return
    for row in rows:
        shape = " x ".join(str(side) for side in row["shape"])
        print(
            f"{row['name']:14} {row['classes']:>4} classes  {row['train']:>6} + {row['test']:<6} {shape:12} {row['found'] or 'not here'}"
        )


def _names(text: str | None) -> list[str] | None:
    """Names separated by commas."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _command_line() -> str:
    return shlex.join(["attar", *sys.argv[1:]])


def _register() -> None:
    from attar import methods

    for row in methods.catalogue():
        with contextlib.suppress(AttarError):  # a broken package is named by "attar methods", and stops nothing else
            distil.command(_distill_command(row["name"], methods.find(row["name"])), name=row["name"])


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the command ``attar``."""
    from attar.plan import keep_freed_memory

    keep_freed_memory()
    try:
        _register()
        app(arguments)
    except AttarError as error:
        print(f"attar: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("attar: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has left, as in "attar show run | head"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None
        where = f" {error.filename}" if error.filename else ""
        print(f"attar: cannot read or write{where}: {error.strerror or error}.", file=sys.stderr)
        raise SystemExit(2) from None
    except MemoryError as error:
        print(
            f"attar: there is not enough memory ({error}): lower the budget, or the size of the images.",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
