"""Commands that judge sets: evaluate, compare, report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from attar.cli import ahead, wording
from attar.cli.named import methods_named
from attar.cli.options import DataOptions, Flag, Json, command_line, names, numbers, print_json, speaks_of_columns
from attar.errors import AttarError
from attar.signatures import Amount, Count, Real, Whole

__all__ = ["compare", "evaluate", "report"]


def evaluate(
    path: Path,
    data: str | None = None,
    *,
    models: str | None = None,
    runs: Count | None = None,
    protocol: Literal["paper", "quick", "own"] = "paper",
    labels: Literal["hard", "soft"] | None = None,
    augmentation: str | None = None,
    normalisation: str | None = None,
    experiment: Whole | None = None,
    select: Flag = False,
    seed: Whole = 0,
    device: str = "auto",
    exact: Flag = False,
    source: DataOptions | None = None,
    json_: Json = False,
) -> None:
    """Train networks from scratch on a distilled set and score them on real test data.

    Args:
        path: a run, a folder with a distilled set, or a .pt or .npz file that others saved.
        data: the dataset to test on; the recorded one where none is given.
        models: names of networks, separated by commas; the protocol's where none are given. ridge-ntk and the like are ridge regression;
            tables are judged by mlp, trees, forest, linear, knn and decisions (on independence).
        runs: networks trained a model, each from its own seed.
        protocol: paper is the field's; quick a short one for first looks; own the very updates that the set was distilled
            for, where it says them.
        labels: what to train on, where the set has soft labels.
        augmentation: of training, instead of the protocol's; "dc" is DC's own for MNIST.
        normalisation: what was done to the images of a .pt or .npz file: data, none, or MEAN/STD by channel.
        experiment: which set of such a file, from 0; the last where none is given.
        select: of a run with --candidates, let validation rows choose one, by the first of the models, and score that beside the run's
            result; it is saved as selected/ in the run's folder.
        seed: of the evaluation.
        device: auto, cpu or cuda.
        exact: compute by the plain fp32 reference.
    """
    from attar.data.paths import existing
    from attar.evaluation.saved import evaluate_saved
    from attar.plan import Plan
    from attar.progress import say
    from attar.runs import SELECTED_FOLDER, SELECTION

    existing(path)
    Plan.on(device)
    ahead.check_networks(names(models))
    ahead.check_augmentation(augmentation)
    if data is not None:
        ahead.check_data_options(data, {} if source is None else dataclasses.asdict(source))
    scores = evaluate_saved(
        path,
        data,
        models=names(models),
        runs=runs,
        protocol=protocol,
        labels=labels,
        augmentation=augmentation,
        seed=seed,
        device=device,
        exact=exact,
        options=None if source is None else dataclasses.asdict(source),
        normalisation=normalisation,
        experiment=experiment,
        select=select,
        tell=say,
    )
    if json_:
        chosen = {"selection": json.loads((path / SELECTION).read_text())["selection"]} if select else {}
        print_json({**scores.to_json(), **chosen})
    else:
        print(scores.table())
        if select:
            print(f"\nThe chosen set: {path / SELECTED_FOLDER}")
        if (path / "settings.json").is_file():
            print(
                f"\nThe page of the run keeps scores of its own, beside random rows and full data: attar report {path}"
            )


def compare(
    data: str,
    /,
    *,
    methods: str,
    per_class: Annotated[str | None, Parameter(name=["--per-class", "--ipc"])] = None,
    rows: str | None = None,
    models: str | None = None,
    seeds: Count = 3,
    runs: Count = 1,
    protocol: Literal["quick", "paper"] = "quick",
    out: Path | None = None,
    steps: Whole | None = None,
    time_budget: Amount | None = None,
    initial: str | None = None,
    starts: Flag = False,
    candidates: Count | None = None,
    ranking: Flag = False,
    equal_bytes: Flag = False,
    validation: Real | None = None,
    workers: Count | None = None,
    device: str = "auto",
    exact: Flag = False,
    source: DataOptions = DataOptions(),
    json_: Json = False,
) -> None:
    """Compare methods and coresets with random rows and full data under one protocol: the honest table, and its page.

    Stopped at any moment, the same command goes on from there; more methods, budgets, networks and seeds may be added by
    naming them alone: the table keeps what the folder held.

    Settings follow a name, each behind a + (no shell asks for quotes): kmeans+centres=medoids,dm+lr=10+batch=64.
    They are those that attar distill METHOD --help lists, in place of the recipe's, and part of the row's name.

    Args:
        data: a dataset's name (attar datasets), or a folder or file of your own.
        methods: names of methods (attar methods), separated by commas; full data and random rows are always there, and
            of tables all rows, drawn again.
        per_class: budgets, rows of each class, or where there are no classes in all, separated by commas; 1,10,50 where none are
            given.
        rows: budgets of data without classes: rows in all, separated by commas.
        models: names of networks, separated by commas; the protocol's where none are given. ridge-ntk and the like are ridge regression;
            tables are judged by mlp, trees, forest, linear, knn and decisions (on independence).
        seeds: draws of everything: of each set and of the networks trained on it.
        runs: networks trained on each set.
        protocol: quick is a short one for first looks; paper the field's.
        out: folder of the comparison; runs/DATA-comparison where none is given.
        steps: of every iterative method; what its recipe says, else as many as fit ten minutes here.
        time_budget: seconds that distilling one set may take; the first seed's set settles how many steps that are, for all seeds.
        initial: starting values, separated by commas (noise, real, kmeans, herding), with each of which every method that has any is
            taken.
        starts: measure what every iterative method begins with, too, as dm-start; its steps add what is gained over that.
        candidates: sets to keep along the way of every iterative method; the one that validation rows choose is measured, too, as
            dm-selected, beside the last, dm.
        ranking: measure every set without augmentation, too, for DD-Ranking's augmentation-robust score.
        equal_bytes: draw the table by storage in place of images a class, printed and on the page.
        validation: share of the training rows cut for choosing the best coreset, a tenth where none is given; 0 for none.
        workers: processes side by side; as many as there are cores where none are given.
        device: auto, cpu or cuda.
        exact: compute by the plain fp32 reference.
    """
    from attar import report as pages
    from attar.compare import compare as compared
    from attar.compare.given import BUDGETS
    from attar.plan import Plan
    from attar.progress import say

    wanted, options = methods_named(methods), dataclasses.asdict(source)
    each = None if per_class is None else numbers(per_class, "--per-class")
    total = None if rows is None else numbers(rows, "--rows")
    Plan.on(device)
    ahead.check_methods(wanted, each or total or BUDGETS, data, speaks_of_columns(source))
    ahead.check_networks(names(models))
    ahead.check_data_options(data, options)
    ahead.check_validation(validation)
    if candidates == 1:
        raise AttarError("--candidates 1 leaves nothing to choose among: give 2 or more.")
    folder = ahead.comparison_folder(out, data)
    try:
        found = compared(
            data,
            wanted,
            each,
            names(models),
            seeds,
            rows=total,
            out=folder,
            protocol=protocol,
            runs=runs,
            steps=steps,
            time_budget=time_budget,
            initial=names(initial) or (),
            starts=starts,
            candidates=candidates,
            ranking=ranking,
            workers=workers,
            device=device,
            exact=exact,
            validation=validation,
            command=command_line(),
            **options,
        )
    except KeyboardInterrupt:
        if (folder / "comparison.json").is_file():
            pages.of_comparison(folder, equal_bytes)
            say(f"interrupted; {folder / 'report.html'} has what there is, and the same command goes on from there")
        raise
    pages.of_comparison(folder, equal_bytes)
    if json_:
        print_json(found.to_json())
    else:
        print(wording.in_options(found.table(equal_bytes)))
        print(f"\nThe page: {folder / 'report.html'}; the table: {folder / 'comparison.json'}, .csv and .tex")
    if found.failed:
        lines = "1 row has" if len(found.failed) == 1 else f"{len(found.failed)} rows have"
        raise AttarError(f"{lines} cells that failed (see the table); the same command tries them again.")


def report(
    paths: Annotated[list[Path], Parameter(negative="")],
    *,
    protocol: Literal["paper", "quick"] = "quick",
    models: str | None = None,
    runs: Count | None = None,
    equal_bytes: Flag = False,
    device: str = "auto",
    json_: Json = False,
) -> None:
    """Score runs beside random rows and full data, and write the page of each; of a comparison, write its page anew.

    Args:
        paths: folders of runs or comparisons.
        protocol: paper is the field's; quick a short one for first looks.
        models: names of networks, separated by commas; the protocol's where none are given. ridge-ntk and the like are ridge regression;
            tables are judged by mlp, trees, forest, linear, knn and decisions (on independence).
        runs: networks trained for each score.
        equal_bytes: of a comparison, draw the tables by storage in place of images a class.
        device: auto, cpu or cuda.
    """
    from attar import report as pages
    from attar.plan import Plan
    from attar.runs import RunDirectory

    Plan.on(device)
    ahead.check_networks(names(models))
    for path in paths:  # all, before the first is scored
        if not (path / "comparison.json").is_file():
            if (path / "protocol.json").is_file():
                raise AttarError(
                    f"{path} is a comparison without a score yet: the same 'attar compare' goes on with it and writes its page."
                )
            RunDirectory(path)
            if equal_bytes:
                raise AttarError(f"--equal-bytes draws the tables of a comparison, and {path} is a run: leave it out.")
    written = []
    for path in paths:
        if (path / "comparison.json").is_file():
            sentence = pages.sentence_of(pages.of_comparison(path, equal_bytes))
            written.append({"comparison": str(path), "sentence": sentence, "report": str(path / "report.html")})
        else:
            written.append(pages.score_run(path, protocol=protocol, models=names(models), runs=runs, device=device))
    if json_:
        print_json(written)
    else:
        for page in written:
            print(page["sentence"], f"({page['report']})")
