"""The page of a run: what its directory holds, and its scores beside random rows and full data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from attar import recipes, rng
from attar.compare.described import REDRAWN, full_note
from attar.compare.study import RANDOM
from attar.distilled import Distilled
from attar.distilled.card import prepared_text
from attar.distilled.dataset import LEFT_OUT
from attar.distilled.tables import DistilledTable
from attar.evaluation import Score as Measured
from attar.evaluation import amplification, comparable, judges
from attar.evaluation.scores import Scores, near_chance
from attar.methods import random
from attar.methods.kernel_ridge import LabelSolve
from attar.report.archetypes import centres
from attar.report.judged import judge_note, ridge_judge
from attar.report.of_table import of_directory, table_page
from attar.report.page import Page, Pictures, Score
from attar.report.render import write
from attar.report.sets import reopened
from attar.report.verdict import sentence
from attar.report.words import DRAWN_AGAIN, FULL_DATA, WHOLE_DATA, counts_in_words, in_words
from attar.runs import RunDirectory
from attar.types import Budget, Problem

__all__ = ["of_run", "scores_of"]

SHOWN_REAL = 10


def of_run(path: str | Path, problem: Problem | None = None, beside: Sequence[str | Path] = ()) -> Page:
    """Write report.html of a run from what its directory holds.

    Args:
        path: the run's directory.
        beside: other runs on the same data, whose scores under the same protocol stand in the same table.
        problem: its data, for the real pictures; found again by its record where none is given, and left out if it is
            not there.
    """
    directory = RunDirectory(path)
    settings, value = directory.settings, Distilled.load(path)
    scores = scores_of(directory, value.card()["checksum"])
    budget = Budget(**settings["budget"])
    reported = recipes.reported(settings["name"], settings["problem"]["name"], budget)
    shown = [_row(score, value, reported) for score in scores]
    for other in beside:
        more, theirs = RunDirectory(other), Distilled.load(other)
        alike = [
            score
            for score in scores_of(more)
            if scores and comparable(score, scores[0]) and score.subject not in WHOLE_DATA
        ]
        theirs_reported = recipes.reported(
            more.settings["name"], more.settings["problem"]["name"], Budget(**more.settings["budget"])
        )
        shown += [_row(score, theirs, theirs_reported) for score in alike]
    if isinstance(value, DistilledTable):
        told = f"{settings['problem']['name']}, {_made(settings['name'], value)}"
        notes = [*_notes(scores, settings["method"]), *near_chance(scores), *settings["problem"].get("notes", ())]
        metric = Scores(tuple(scores)).metric
        page = table_page(directory, value, told, shown, metric, _protocol(scores), notes)
    else:
        page = _of_images(directory, value, scores, shown, problem)
    write(page, directory.path / "report.html")
    return page


def _of_images(
    directory: RunDirectory, value: Distilled, scores: list[Measured], shown: Sequence[Score], problem: Problem | None
) -> Page:
    """The page of a set of images."""
    settings, budget = directory.settings, Budget(**directory.settings["budget"])
    kept, snapshots = _in_words(budget, value), directory.snapshots()
    labels_only = _labels_only(settings["method"])
    shown_data = problem or _reopened(settings)
    return Page(
        title=f"{settings['problem']['name']}, {_made(settings['name'], value)}",
        sentence=sentence(shown, settings["name"], kept),
        budget=kept,
        class_names=value.training.class_names,
        distilled=_pictures(value),
        real=_real(shown_data, value),
        evolution=[(step, x.numpy()) for step, x, _ in snapshots],
        evolution_labels=snapshots[-1][2].tolist() if snapshots else None,
        scores=shown,
        protocol=_protocol(scores),
        **of_directory(directory, value),
        notes=[
            *_notes(scores, settings["method"]),
            *near_chance(scores),
            *_repeats(value),
            *_prepared(value),
            *_skipped(value),
            *settings["problem"].get("notes", ()),
        ],
        chosen=value.selected,
        of_choice=_left_out(value, directory.path / "distilled" / LEFT_OUT),
        centres=[] if shown_data is None or value.selected or labels_only else centres(shown_data, value),
        labels_only=labels_only,
    )


def scores_of(directory: RunDirectory, checksum: str | None = None) -> list[Measured]:
    """The scores that `attar.report.score_run` measured; none where they are of an earlier state of the set than `checksum` names."""
    path = directory.path / "scores.json"
    if not path.is_file():
        return []
    record = json.loads(path.read_text())
    stale = checksum is not None and record["checksum"] != checksum
    return [] if stale else [Measured.from_json(score) for score in record["scores"]]


def _protocol(scores: Sequence[Measured]) -> dict[str, Any]:
    """The protocol, with the networks and runs that were measured."""
    if not scores:
        return {}
    runs = max(score.runs for score in scores)  # of networks: ridge regression draws nothing, and is done once
    measured = {"models": list(dict.fromkeys(score.model for score in scores)), "runs": runs}
    return {**asdict(scores[0].protocol), **measured, "in words": scores[0].protocol.describe()}


def _row(score: Measured, value: Distilled, reported: list[dict[str, Any]]) -> Score:
    mine = score.subject not in (RANDOM, *WHOLE_DATA)
    published = next((entry["score"] / 100 for entry in reported if mine and entry["model"] == score.model), None)
    seconds = value.made_by.get("seconds") if mine else None
    return Score(
        score.subject,
        score.model,
        score.mean,
        score.std or 0.0,
        score.runs,
        score.labels,
        score.rows,
        score.bytes,
        seconds,
        published,
        score.worst_group,
    )


def _in_words(budget: Budget, value: Distilled) -> str:
    """What the set holds; of soft labels what was asked for, as they name no class."""
    if value.data.y is not None and value.data.y.dim() > 1 and budget.per_class is not None:
        return in_words(budget.per_class)
    names = value.class_names
    return counts_in_words(torch.bincount(value.labels, minlength=len(names)).tolist(), names)


def _made(method: str, value: Distilled | DistilledTable) -> str:
    if not (value.made_by.get("selected") if isinstance(value, DistilledTable) else value.selected):
        return f"distilled by {method}"
    return "rows drawn at random" if method == RANDOM else f"rows chosen by {method}"


def _labels_only(method: Mapping[str, Any]) -> bool:
    """Whether a recorded method leaves real images as they are and learns their labels."""
    synthetic = method.get("fields", {}).get("synthetic")  # somebody else's method may call anything so
    fixed = isinstance(synthetic, Mapping) and synthetic.get("fields", {}).get("learned") is False
    return fixed or method.get("type") == f"{LabelSolve.__module__}:{LabelSolve.__qualname__}"


def _left_out(value: Distilled, file: Path) -> list[str]:
    """How many near-duplicates were left out before rows were chosen, and where they are listed."""
    count = value.made_by.get("near_duplicates_left_out")
    if not isinstance(count, int):
        return []
    if not count:
        return ["No near-duplicates were found to leave out before rows were chosen."]
    found = "1 near-duplicate was" if count == 1 else f"{count:,} near-duplicates were"
    listed = f", listed in {file.parent.name}/{file.name}" if file.is_file() else ""
    return [f"{found} left out before rows were chosen{listed}."]


def _repeats(value: Distilled) -> list[str]:
    """That chosen rows stand among the test rows as well, where they were looked for."""
    count = value.made_by.get("near_duplicates_of_test_rows")
    if not isinstance(count, int) or not count:
        return []
    found = "1 chosen row nearly repeats a test row" if count == 1 else f"{count:,} chosen rows nearly repeat test rows"
    return [f"{found} of the same class, so the set's scores may be too high."]


def _prepared(value: Distilled) -> list[str]:
    """What the time to distil holds beside the run itself."""
    before = prepared_text(value.made_by)
    return [f"The time to distil counts {before}, which serve other runs as well."] if before else []


def _skipped(value: Distilled) -> list[str]:
    """That steps changed nothing, as their loss was above the method's threshold."""
    skipped, steps = value.made_by.get("skipped", 0), value.made_by.get("steps", 0)
    if not skipped:
        return []
    return [
        f"{skipped:,} of {steps:,} steps changed nothing, as their loss was above the threshold"
        + (": the set is what the run started from, so raise the threshold." if skipped == steps else ".")
    ]


def _pictures(value: Distilled) -> Pictures:
    return Pictures(value.data.x.numpy(), value.labels.numpy())


def _real(problem: Problem | None, value: Distilled) -> Pictures | None:
    if problem is None:
        return None
    per_class = max(1, min(SHOWN_REAL, len(value) // max(len(value.training.class_names), 1)))
    smallest = min(len(rows) for rows in problem.members.values())
    rows = random().finish(problem, Budget(per_class=min(per_class, smallest)), rng.generator(0, "shown"))
    return _pictures(rows)


def _reopened(settings: dict[str, Any]) -> Problem | None:
    recorded = settings["problem"]
    return reopened(recorded["source"], recorded["fingerprint"]) if recorded["source"] else None


def _notes(scores: list[Measured], method: Mapping[str, Any]) -> list[str]:
    notes = judges.notes(score.model for score in scores)
    if any(score.model == ridge_judge(method) for score in scores):
        notes.append(judge_note(method))
    for score in scores:
        if score.subject == FULL_DATA and score.updates:
            notes.append(full_note(score))
    if any(score.subject == DRAWN_AGAIN for score in scores):
        notes.append(REDRAWN)
    full = {score.model: score.groups for score in scores if score.subject == FULL_DATA}
    for score in scores:
        ratio = amplification(score.groups, full.get(score.model)) if score.subject != FULL_DATA else None
        if ratio is not None:
            notes.append(
                f"{score.subject}: within a class, accuracies of {score.model} differ between groups {ratio:.2f} times as much as "
                "on full data."
            )
    if len({json.dumps(dict(score.plan), sort_keys=True) for score in scores if score.plan}) > 1:
        notes.append(
            "Short evaluations were computed in fp32, long ones by the fast plan; benchmarks/ has what sets them apart."
        )
    return notes
