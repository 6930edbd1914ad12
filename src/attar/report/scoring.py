"""Score a run's set beside random rows and full data, under one protocol."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from attar import data as datasets
from attar import rng
from attar.checkpoint import write_json
from attar.compare.cells import drawn_again, random_rows_with_labels
from attar.compare.study import RANDOM
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.evaluation import Protocol, Scores, evaluate, judges
from attar.evaluation import Score as Measured
from attar.evaluation.evaluate import default_models
from attar.evaluation.groups import over_runs
from attar.evaluation.protocol import protocol_named
from attar.evaluation.saved import plan_for
from attar.evaluation.scores import mean_known, spread
from attar.methods import random
from attar.report.judged import ridge_judge
from attar.report.of_run import of_run, scores_of
from attar.report.of_table import score_causal
from attar.report.page import Page
from attar.report.words import DRAWN_AGAIN, FULL_DATA
from attar.runs import RunDirectory
from attar.types import AttarError, Budget, Problem

__all__ = ["score_run"]

DRAWS = 3
"""Draws of all rows of a table with replacement, at most: its noise floor."""


def score_run(
    path: str | Path,
    *,
    protocol: str = "quick",
    runs: int | None = None,
    device: str = "auto",
    problem: Problem | None = None,
    models: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Score a run's set, as many random rows and the full data under one protocol; write scores.json and the page.

    Random rows are drawn anew for each of their runs, and where the set has soft labels they are scored with these as well; full
    data's score is taken from a run beside this one where it was measured under the same protocol. Of a table so are all rows, drawn
    again with replacement: what they change is chance. Where no models are asked
    for, a set that was learned by ridge regression is judged by that, too, beside the protocol's networks.

    Returns:
        ``run``, ``sentence``, ``report`` (path of the page) and ``scores``; JSON values.
    """
    directory = RunDirectory(path)
    chosen = protocol_named(protocol)
    value = Distilled.load(path)
    recorded = directory.settings["problem"]
    if problem is None:
        problem = datasets.reopen(recorded["source"])
    datasets.check_fingerprint(problem, recorded["fingerprint"])
    untold = problem.spec.schema is not None and not problem.spec.schema.target  # nothing that could be predicted
    planned = problem if untold else problem.planned(plan_for(value, problem, chosen, runs, device))
    budget = Budget(**directory.settings["budget"])
    count = runs or chosen.runs
    if not models and not untold:
        models = _models(directory, planned, chosen, len(value))
    mine = [] if untold else list(evaluate(value, planned, models, count, chosen))
    quotas = directory.settings["method"].get("fields", {}).get("quotas", {})  # as many of each class as were asked for
    if isinstance(value, DistilledTable):
        score_causal(value, problem, directory.path, value.card()["checksum"])
        if untold:
            return _written(directory, of_run(path, problem), [])
        if len(value) < sum(budget.counts([len(rows) for rows in problem.members.values()])):
            budget = Budget(size=max(len(value), len(problem.members)))  # as of rows that keep moments
    draws = [
        random(quotas=quotas).finish(problem, budget, rng.generator(directory.settings["seed"], "random rows", run))
        for run in range(count)
    ]
    soft = any(score.labels != "hard" for score in mine)
    labelled = _labelled(value, problem, directory.settings["seed"], count) if soft else []
    drawn = [
        score
        for rows in (labelled, draws)
        for score in _over_draws([evaluate(each, planned, models, 1, chosen, run) for run, each in enumerate(rows)])
    ]
    asked = [score for score in mine if judges.fits(score.model, len(problem.train))]
    whole = _known(directory.path, asked, FULL_DATA) if asked else []
    planned = problem.planned(plan_for(None, problem, chosen, runs, device))
    judging = [score.model for score in asked]
    if whole is None:
        whole = list(evaluate("full", planned, judging, runs, chosen))
    again: list[Measured] = []
    if isinstance(value, DistilledTable) and asked:
        seeds = range(min(count, DRAWS))
        again = _known(directory.path, asked, DRAWN_AGAIN, len(seeds)) or _over_draws(
            [evaluate(drawn_again(problem, seed), planned, judging, 1, chosen, seed) for seed in seeds], DRAWN_AGAIN
        )
    scores = [*mine, *drawn, *whole, *again]
    record = {"checksum": value.card()["checksum"], "scores": [score.to_json() for score in scores]}
    write_json(directory.path / "scores.json", record)
    return _written(directory, of_run(path, problem), scores)


def _models(directory: RunDirectory, problem: Problem, protocol: Protocol, rows: int) -> list[str]:
    """The models that judge where none are asked for."""
    own = ridge_judge(directory.settings["method"])
    names = list(default_models(problem, protocol))
    return [*names, own] if own and own not in names and judges.fits(own, rows) else names


def _labelled(value: Distilled, problem: Problem, seed: int, count: int) -> list[Distilled]:
    """Draws of random rows with the set's own labels, none where a class has too few rows for them."""
    try:
        return [
            random_rows_with_labels(value, problem, rng.generator(seed, "random rows", run)) for run in range(count)
        ]
    except AttarError:
        return []


def _written(directory: RunDirectory, page: Page, scores: Sequence[Measured]) -> dict[str, Any]:
    """What is said of a page that was written."""
    return {
        "run": str(directory.path),
        "sentence": page.sentence,
        "report": str(directory.path / "report.html"),
        "scores": [score.to_json() for score in scores],
    }


def _over_draws(found: Sequence[Scores], subject: str = RANDOM) -> list[Measured]:
    """One score a network from single runs on several draws of rows: the spread is that of draws and training."""
    merged = []
    for runs in zip(*found, strict=True):
        means = tuple(run.mean for run in runs)
        together = {"scores": means, "runs": len(runs), "seeds": tuple(seed for run in runs for seed in run.seeds)}
        validation = None if runs[0].validation is None else statistics.mean(run.validation or 0.0 for run in runs)
        merged.append(
            replace(
                runs[0],
                subject=subject,
                mean=statistics.mean(means),
                std=spread(means),
                validation=validation,
                groups=None
                if runs[0].groups is None
                else over_runs([run.groups for run in runs if run.groups is not None]),
                seconds=sum(run.seconds for run in runs),
                **{name: mean_known(getattr(run, name) for run in runs) for name in ("lost", "invented")},
                **together,
            )
        )
    return merged


def _known(path: Path, scores: list[Measured], subject: str, runs: int | None = None) -> list[Measured] | None:
    """The scores of full data, or what is drawn of it, of a run beside this one, one for each of this run's scores; None where they
    are not all known. They are of as many runs as this run's, or of `runs`."""

    def alike(there: Measured, score: Measured) -> bool:
        same = ("model", "protocol", "fingerprint", "whitening")
        return all(getattr(there, name) == getattr(score, name) for name in same) and there.runs == (runs or score.runs)

    for other in sorted(path.absolute().parent.glob("*/scores.json")):
        if not (other.parent / "settings.json").is_file():
            continue
        full = [score for score in scores_of(RunDirectory(other.parent)) if score.subject == subject]
        found = [next((there for there in full if alike(there, score)), None) for score in scores]
        known = [score for score in found if score is not None]
        if len(known) == len(scores):
            return known
    return None
