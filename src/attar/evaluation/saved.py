"""Evaluate sets that lie on disk, attar's own and those of others: find their data again, choose a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from attar import data as datasets
from attar.distilled import Distilled
from attar.distilled.foreign import is_foreign, read_foreign
from attar.evaluation.evaluate import evaluate, subject
from attar.evaluation.protocol import Protocol, protocol_named
from attar.evaluation.scores import Scores
from attar.evaluation.selected import candidates_of, evaluate_selected
from attar.plan import WORTH_COMPILING, Plan
from attar.types import AttarError, Batch, Problem

__all__ = ["evaluate_saved", "plan_for", "problem_of"]


def problem_of(value: Distilled, data_dir: str | Path | None = None) -> Problem:
    """The data that a set was made from, found by what its card records and checked by its fingerprint.

    Raises:
        AttarError: if the card does not say where the data is, or it is not there, or it has changed.
    """
    source = value.made_by.get("source")
    if not source:
        raise AttarError(
            "This set does not record where its data is: name the data to test on, e.g. attar evaluate PATH mnist."
        )
    problem = datasets.reopen(source, data_dir=data_dir)
    datasets.check_fingerprint(problem, value.made_by["fingerprint"])
    return problem


def plan_for(
    value: Distilled | Batch | None,
    problem: Problem,
    protocol: Protocol,
    runs: int | None = None,
    device: str = "auto",
    exact: bool = False,
) -> Plan:
    """The plan of an evaluation: fast kernels where it is long enough for compiling them."""
    if protocol.as_distilled or problem.spec.schema is not None:  # few updates, or small networks
        return Plan.on(device)
    trained_on = subject("full" if value is None else value, problem)
    augmented = bool(protocol.strategy(problem.spec.augmentation))
    full_epochs = problem.spec.full_epochs
    rows = len(trained_on.batch)
    schedule = protocol.schedule(rows, augmented=augmented, full=trained_on.full, full_epochs=full_epochs)
    height, width = problem.train.x.shape[-2:]
    passed = schedule.total(rows) * min(rows, protocol.batch_size) * height * width * (runs or protocol.runs)
    return Plan.on(device) if exact or passed < WORTH_COMPILING else Plan.fast(device)


def evaluate_saved(
    path: str | Path,
    data: str | None = None,
    *,
    models: Sequence[str] | None = None,
    runs: int | None = None,
    protocol: str = "paper",
    labels: Literal["hard", "soft"] | None = None,
    augmentation: str | None = None,
    seed: int = 0,
    device: str = "auto",
    exact: bool = False,
    options: Mapping[str, Any] | None = None,
    normalisation: str | None = None,
    experiment: int | None = None,
    select: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Scores:
    """Evaluate the set of a run or of a folder, or one that another program saved.

    Args:
        path: a run's directory, that of a distilled set, or a .pt or .npz file of others, for which `data` is needed.
        data: name or path of the data to test on; the recorded one by default.
        models: names of networks; the protocol's by default.
        runs: networks of each kind; the protocol's by default.
        protocol: "paper", "quick" or "own".
        labels: as in `evaluate`.
        augmentation: instead of the protocol's, which gets another name by it.
        seed: of the evaluation.
        device: "auto", "cpu" or "cuda".
        exact: compute by the plain fp32 reference.
        options: for `attar.data.find` (``data_dir``, ``size``, ``test``, ``zca``).
        normalisation: of a file of others: "data", "none" or "MEAN/STD", see `attar.distilled.foreign.read_foreign`.
        experiment: which set of a file of others that holds several, from 0; the last by default.
        select: of a run that kept candidates, choose among them on validation rows and score the chosen set beside the result
            (see `attar.evaluation.evaluate_selected`).
        tell: takes a line for people on what is about to be done, of such a choice.

    Raises:
        AttarError: if the set or its data cannot be read, or they do not fit, or there is nothing to choose among or by.
    """
    chosen = protocol_named(protocol)
    if augmentation is not None and chosen.as_distilled:
        raise AttarError("Protocol 'own' trains as the set was distilled: leave out --augmentation.")
    if augmentation is not None:
        chosen = replace(chosen, name=f"{chosen.name} with augmentation '{augmentation}'", augmentation=augmentation)
    given = {key: item for key, item in (options or {}).items() if item is not None}
    if select:
        candidates_of(path)  # refused before the data are read
    if is_foreign(path):
        if data is None:
            raise AttarError(
                f"{path} does not record its data: name the data to test on, e.g. attar evaluate {path} mnist."
            )
        problem = datasets.find(data, **given)
        value = read_foreign(path, problem, normalisation, experiment)
    else:
        if normalisation is not None or experiment is not None:
            raise AttarError(
                "--normalisation and --experiment are of .pt and .npz files; a distilled set says both itself."
            )
        value = Distilled.load(path)
        problem = _own_problem(value, data, given)
    problem = problem.planned(plan_for(value, problem, chosen, runs, device, exact))
    if select:
        scores = evaluate_selected(path, problem, models, runs, chosen, seed, labels, tell)
    else:
        scores = evaluate(value, problem, models, runs, chosen, seed, labels)
    return replace(scores, notes=(*value.made_by.get("notes", ()), *scores.notes))


def _own_problem(value: Distilled, data: str | None, given: Mapping[str, Any]) -> Problem:
    """The data that a set of attar's is tested on."""
    if data is None:
        loading = sorted(set(given) - {"data_dir"})
        if loading:
            told = ", ".join(f"--{name.replace('_', '-')}" for name in loading)
            suit = "suits" if len(loading) == 1 else "suit"
            raise AttarError(
                f"{told} {suit} data that are named: attar evaluate PATH DATA {told.partition(',')[0]} ..."
            )
        return problem_of(value, given.get("data_dir"))
    # split by the seed of the run, so that rows that were trained on do not come back as test rows; whitened as they were
    recorded = value.made_by.get("source", {})
    return datasets.find(data, **{name: recorded.get(name) for name in ("seed", "zca")} | dict(given))
