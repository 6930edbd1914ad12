"""The candidates of a run on disk: read, chosen among, and the chosen set scored beside the run's result."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from attar.checkpoint import write_json
from attar.distilled import Distilled
from attar.evaluation.evaluate import evaluate
from attar.evaluation.protocol import Protocol, protocol_named
from attar.evaluation.scores import Score, Scores
from attar.evaluation.selection import Selection, chosen_of, select
from attar.evaluation.subject import subject
from attar.runs import SELECTED_FOLDER, SELECTION, RunDirectory
from attar.types import AttarError, Problem

__all__ = ["candidates_of", "evaluate_selected", "selection_in"]


def candidates_of(path: str | Path) -> dict[int, Distilled]:
    """The candidates that a run has kept, by step; the last is its result.

    Args:
        path: the run's directory.

    Raises:
        AttarError: if it is no run, has no result yet, or kept no candidates.

    Example:
        >>> sorted(candidates_of("runs/mtt10"))  # doctest: +SKIP
        [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]
    """
    directory = RunDirectory(path)
    if directory.settings.get("candidates") is None:
        raise AttarError(
            f"{path} kept no candidates to choose among: distil again with candidates=10 (--candidates 10), which methods that take steps "
            "allow."
        )
    final, steps = Distilled.load(directory.path), (directory.result or {}).get("steps", 0)
    along = {step: Distilled.load(folder) for step, folder in directory.candidates().items() if step < steps}
    return {**along, steps: final}


def evaluate_selected(
    path: str | Path,
    problem: Problem,
    models: Sequence[str] | str | None = None,
    runs: int | None = None,
    protocol: Protocol | Literal["paper", "quick", "own"] = Protocol.paper,
    seed: int = 0,
    labels: Literal["hard", "soft"] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Scores:
    """Choose among the candidates of a run on validation rows, then score its result and the chosen set on test rows.

    The chosen set is saved as ``selected/`` in the run's folder, and how it was chosen, with the scores, as ``selection.json``.

    Args:
        path: the run's directory.
        problem: the data of the run, split as it was for the run.
        models: as in `evaluate`; the first chooses, and all are scored.
        runs: as in `evaluate`, for the choice and for each score.
        protocol: likewise.
        seed: likewise; the networks that choose have other seeds than those that are scored.
        labels: as in `evaluate`.
        tell: takes a line for people on what is about to be done, and after each candidate; None says nothing.

    Returns:
        For each model the score of the result and that of the chosen set; the best score on test rows is neither looked for nor
        told.

    Raises:
        AttarError: before any training, as `candidates_of` and `select`.
    """
    candidates, protocol = candidates_of(path), protocol_named(protocol)
    selection = select(candidates, problem, models, runs, protocol, seed, labels, tell)
    final, chosen = candidates[selection.final.step], chosen_of(selection, candidates)
    if tell is not None:
        beside = "" if selection.step == selection.final.step else " and the last, which is the run's result,"
        tell(f"step {selection.step:,} was chosen; scoring it{beside} on {len(problem.test):,} test rows")
    of_final = evaluate(final, problem, models, runs, protocol, seed, labels)
    if selection.step == selection.final.step:  # the same rows, so the same networks
        named = subject(chosen, problem, labels).name
        of_chosen = replace(of_final, items=tuple(replace(score, subject=named) for score in of_final))
    else:
        of_chosen = evaluate(chosen, problem, models, runs, protocol, seed, labels)
    items = tuple(score for pair in zip(of_final, of_chosen, strict=True) for score in pair)
    notes = dict.fromkeys([selection.sentence(), *of_final.notes, *of_chosen.notes])
    scores = Scores(items, tuple(notes))
    record = {
        "checksum": final.card()["checksum"],
        "selection": selection.to_json(),
        "scores": [score.to_json() for score in items],
    }
    directory = RunDirectory(path)
    directory.forget_selection()  # so that no record stands beside another set
    chosen.save(directory.path / SELECTED_FOLDER)
    write_json(directory.path / SELECTION, record)
    return scores


def selection_in(folder: Path, checksum: str) -> tuple[Selection, list[Score]] | None:
    """How a set was chosen among a run's candidates, and the scores of the result and of the chosen set; None where nothing was
    chosen, or among those of an earlier state of the run.

    Args:
        folder: the run's directory.
        checksum: of its result.
    """
    try:
        record = json.loads((folder / SELECTION).read_text(encoding="utf-8"))
        if record["checksum"] != checksum:
            return None
        return Selection.from_json(record["selection"]), [Score.from_json(score) for score in record["scores"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
