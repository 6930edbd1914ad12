"""Evaluate: train networks from scratch on a set, and score them on the real test data."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from attar import augment, rng
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.evaluation import ridge
from attar.evaluation.groups import answers_by_group, groups_of
from attar.evaluation.measure import guesses, measure
from attar.evaluation.own import AsDistilled, own_protocol
from attar.evaluation.protocol import Protocol, protocol_named
from attar.evaluation.scores import Score, Scores, near_chance, spread, worst_groups
from attar.training import Schedule, fit
from attar.types import AttarError, Batch, Normalisation, Problem

__all__ = ["Run", "Subject", "check_models", "evaluate", "run_once", "subject"]


@dataclass(frozen=True, eq=False)
class Subject:
    """What networks are trained on.

    Args:
        name: what results print.
        batch: normalised rows with the labels that are trained on.
        labels: "hard", "soft", "learned" or "regression", which is trained on by the squared loss.
        nbytes: of all that the set stores.
        full: whether it is the full training data.
        step_size: the learned one, where there is one.
        augmentation: the strategy under which per-view targets were made; None where there are none.
        notes: sentences that a reader of the scores should see.
        own: the updates that the set was distilled for, None where there are none.
    """

    name: str
    batch: Batch
    labels: str
    nbytes: int
    full: bool = False
    step_size: float | None = None
    augmentation: str | None = None
    notes: tuple[str, ...] = ()
    own: AsDistilled | None = None


@dataclass(frozen=True)
class Run:
    """One network, trained once.

    Args:
        test: final accuracy on the test data.
        validation: on the validation set, None where there is none.
        seconds: of training.
        answers: how often test rows of each group are taken for each class (see `attar.evaluation.groups`), where they have
            an attribute.
    """

    test: float
    validation: float | None
    seconds: float
    answers: Tensor | None = field(default=None, compare=False)


def evaluate(
    value: Distilled | Batch | Literal["full"] | None,
    problem: Problem,
    models: Sequence[str] | str | None = None,
    runs: int | None = None,
    protocol: Protocol | Literal["paper", "quick", "own"] = Protocol.paper,
    seed: int = 0,
    labels: Literal["hard", "soft"] | None = None,
    strict: bool = False,
) -> Scores:
    """Train networks on a set and score them on the problem's test data after the last epoch.

    No number here was selected on test data.

    Args:
        value: a distilled set, "full" or None for the full training data, or normalised rows (some of `problem.train`).
        problem: whose test data judges; a set that was distilled from other data of the same shape and classes may be
            judged, too, which the notes then say.
        models: names of networks, the protocol's by default; "ridge-ntk" and the like judge by kernel ridge regression (see
            `attar.evaluation.ridge`), which draws nothing and so is done once.
        runs: networks of each kind, the protocol's by default.
        protocol: how they are trained: "paper", "quick", one of yours, or "own": by the very updates that the set was distilled
            for, which not every set has.
        seed: of initial weights, shuffles and augmentation; equal seeds start equal networks on every set.
        labels: "hard" takes the most probable class of soft labels; "soft" insists on soft ones; default as stored.
        strict: refuse a set that was distilled from other data.

    Raises:
        AttarError: before any training, if the set does not fit the problem, has no labels of the kind that was asked for, or
            one of the networks does not take the problem's rows.

    Example:
        >>> evaluate(result.value, problem, models=["convnet3", "resnet18"], runs=5)[0].mean  # doctest: +SKIP
        0.944
    """
    protocol = protocol_named(protocol)
    trained_on = subject(value, problem, labels, strict)
    if protocol.as_distilled:
        protocol = own_protocol(trained_on.own, trained_on.name, models, labels)
    runs = protocol.runs if runs is None else runs
    if runs < 1:
        raise AttarError(f"An evaluation of {runs} runs scores nothing: give 1 or more.")
    if len(problem.test) == 0:
        raise AttarError(f"{problem.spec.name} has no test rows to score networks on.")
    strategy, schedule = _training(trained_on, problem, protocol)
    seeds = tuple(rng.derive(seed, "evaluation", run) % 2**31 for run in range(runs))
    names = [models] if isinstance(models, str) else models or protocol.models
    check_models(problem, names[1:])  # the first is built at once
    items = []
    white = problem.spec.normalisation.whitening
    for model in names:
        with problem.task.plan.applied():
            own = seeds[:1] if ridge.is_named(model) else seeds
            done = [run_once(trained_on, problem, model, protocol, run_seed) for run_seed in own]
        scores = tuple(run.test for run in done)
        validation = [run.validation for run in done if run.validation is not None]
        items.append(
            Score(
                subject=trained_on.name,
                data=problem.spec.name,
                fingerprint=problem.spec.fingerprint,
                model=model,
                labels=trained_on.labels,
                mean=statistics.mean(scores),
                std=spread(scores),
                scores=scores,
                validation=statistics.mean(validation) if validation else None,
                runs=len(done),
                seeds=own,
                rows=len(trained_on.batch),
                bytes=trained_on.nbytes,
                seconds=sum(run.seconds for run in done),
                **_trained(trained_on, strategy, schedule, model),
                plan=dataclasses.asdict(problem.task.plan),
                protocol=protocol,
                guess=max(map(len, problem.task.members(problem.test).values())) / len(problem.test),
                tested=len(problem.test),
                whitening="" if white is None else str(white),
                groups=groups_of(answers)
                if (answers := [run.answers for run in done if run.answers is not None])
                else None,
            )
        )
    notes = (*trained_on.notes, *ridge.notes(names), *near_chance(items), *worst_groups(items, problem.spec))
    return Scores(tuple(items), notes)


def run_once(trained_on: Subject, problem: Problem, model: str, protocol: Protocol, seed: int) -> Run:
    """Train one network and score it; the arguments decide the result, so that runs may go side by side.

    Args:
        trained_on: see `subject`.
        problem: its task gives loss, metric and plan.
        model: name of the network.
        protocol: how it is trained.
        seed: of this run, as `Score.seeds` lists it.
    """
    if ridge.is_named(model):
        return _by_ridge(trained_on, problem, model)
    strategy, schedule = _training(trained_on, problem, protocol)
    task = problem.task.trained_by("squared") if trained_on.labels == "regression" else problem.task
    with rng.seeded(rng.derive(seed, "network")):
        network = problem.task.build(model)
    # targets of a view belong to one transform of all rows; else every row has its own
    transform = augment.named(strategy, shared=trained_on.batch.views is not None)
    started = time.perf_counter()
    if protocol.as_distilled and trained_on.own is not None:
        trained_on.own.train(task, network, trained_on.batch, seed)
    else:
        fit(task, network, trained_on.batch, schedule, augment=transform, seed=seed)
    seconds = time.perf_counter() - started
    validation = measure(problem.task, network, problem.validation) if len(problem.validation) else None
    if problem.test.attribute is None:
        return Run(measure(problem.task, network, problem.test), validation, seconds)
    return _by_group(guesses(problem.task, network, problem.test), problem, validation, seconds)


def _by_group(found: Tensor, problem: Problem, validation: float | None, seconds: float) -> Run:
    """A run by what a model takes the test rows for, so that they pass through it once."""
    y, attribute = problem.test.y, problem.test.attribute
    assert y is not None and attribute is not None
    answers = answers_by_group(found, y, attribute, len(problem.task.groups))
    return Run(float((found == y).double().mean()), validation, seconds, answers)


def _trained(trained_on: Subject, strategy: str, schedule: Schedule, model: str) -> dict[str, Any]:
    """How, in the fields of a score; ridge regression is solved."""
    if ridge.is_named(model):
        return {"epochs": 0, "updates": 0, "lr": 0.0, "augmentation": ""}
    updates = schedule.total(len(trained_on.batch))
    return {"epochs": schedule.epochs, "updates": updates, "lr": schedule.lr, "augmentation": strategy}


def _by_ridge(trained_on: Subject, problem: Problem, model: str) -> Run:
    """Ridge regression on the rows, without augmentation."""
    kernel, started = ridge.named(model), time.perf_counter()
    batch = trained_on.batch.to(problem.task.plan.device)
    found = ridge.solved(kernel, batch, problem.task, trained_on.labels != "regression")
    seconds = time.perf_counter() - started
    validation = ridge.accuracy(kernel, batch, found, problem.validation) if len(problem.validation) else None
    if problem.test.attribute is None:
        return Run(ridge.accuracy(kernel, batch, found, problem.test), validation, seconds)
    return _by_group(ridge.guesses(kernel, batch, found, problem.test), problem, validation, seconds)


def check_models(problem: Problem, models: Sequence[str]) -> None:
    """Refuse networks that do not take the problem's rows, and names of none.

    Raises:
        AttarError: says which.
    """
    for model in models:
        if ridge.is_named(model):
            ridge.named(model)
            continue
        with rng.seeded(0):
            problem.task.build(model)


def subject(
    value: Distilled | Batch | Literal["full"] | None,
    problem: Problem,
    labels: Literal["hard", "soft"] | None = None,
    strict: bool = False,
) -> Subject:
    """What networks are trained on, checked against the problem; arguments and errors as in `evaluate`."""
    if labels not in (None, "hard", "soft"):
        raise AttarError(f"Labels are 'hard', 'soft' or as the set has them, not '{labels}'.")
    if isinstance(value, str) and value != "full":
        raise AttarError(
            f"'{value}' is no set to evaluate: give a distilled set, rows, or 'full' for all training rows."
        )
    if isinstance(value, DistilledTable):
        raise AttarError(
            "A distilled table is not judged by networks on images: read it by attar.causal, or train on its frame() with weights."
        )
    if isinstance(value, Distilled):
        _check_shape(tuple(value.data.x.shape[1:]), problem)
        per_view = value.data.views is not None
        made = Subject(
            name=str(value.made_by.get("name", "distilled set")),
            batch=value.data.replace(x=_normalisation(value, problem).apply(value.data.x)),
            labels=value.training.labels,
            nbytes=value.nbytes,
            step_size=value.training.step_size,
            augmentation=value.training.augmentation if per_view else None,
            notes=_foreign(value, problem, strict),
            own=AsDistilled.of(value.training),
        )
    elif value is None or isinstance(value, str):
        made = Subject("full data", problem.train, _kind(problem.train), _nbytes(problem.train), full=True)
    else:
        made = Subject(f"{len(value)} rows", value, _kind(value), _nbytes(value))
    _check_fit(made, problem)
    return _relabelled(made, labels)


def _training(trained_on: Subject, problem: Problem, protocol: Protocol) -> tuple[str, Schedule]:
    """The strategy of augmentation and the schedule."""
    if protocol.as_distilled and trained_on.own is not None:
        return trained_on.own.augmentation, trained_on.own.schedule(len(trained_on.batch))
    own = trained_on.augmentation
    strategy = protocol.strategy(problem.spec.augmentation) if own is None else own
    schedule = protocol.schedule(
        len(trained_on.batch),
        augmented=bool(strategy),
        full=trained_on.full,
        full_epochs=problem.spec.full_epochs,
        step_size=trained_on.step_size,
    )
    return strategy, schedule


def _foreign(value: Distilled, problem: Problem, strict: bool) -> tuple[str, ...]:
    """Sentences on what sets a distilled set apart from the problem that judges it."""
    notes = []
    names, own = value.training.class_names, problem.spec.class_names
    if names and len(names) != len(own):
        raise AttarError(
            f"The distilled set has {len(names)} classes and {problem.spec.name} has {len(own)}: "
            "evaluate it on data of its own classes."
        )
    if names and names != own:
        first = next(index for index in range(len(own)) if names[index] != own[index])
        notes.append(
            f"Class {first} is '{names[first]}' in the distilled set and '{own[first]}' in {problem.spec.name}: "
            "classes were matched by their order."
        )
    notes += _whitening(value, problem)
    fingerprint = value.made_by.get("fingerprint")
    if fingerprint is not None and fingerprint != problem.spec.fingerprint:
        source = value.made_by.get("data", "data")
        sentence = (
            f"The set was distilled from {source} ({fingerprint[:19]}), which is not the {problem.spec.name} "
            f"({problem.spec.fingerprint[:19]}) that it was tested on"
        )
        if strict:
            raise AttarError(f"{sentence}: load the data that it was made from, with the same options.")
        notes.append(f"{sentence}.")
    return tuple(notes)


def _normalisation(value: Distilled, problem: Problem) -> Normalisation:
    """What a set's rows are normalised by: its own numbers, but where a whitening is in play those of the test rows, for
    networks that were trained on whitened rows know no others, nor the other way about."""
    own, tested = value.training.normalisation, problem.spec.normalisation
    return own if own.whitening is None and tested.whitening is None else tested


def _check_fit(made: Subject, problem: Problem) -> None:
    """Refuse rows that are not like the test data, or labels that are not of its classes."""
    batch, name, classes = made.batch, problem.spec.name, len(problem.task.groups)
    if len(batch) == 0 or batch.y is None:
        raise AttarError(f"The set that is evaluated has no {'labels' if len(batch) else 'rows'}: networks need both.")
    _check_shape(tuple(batch.x.shape[1:]), problem)
    if batch.y.dim() > 1 and batch.y.shape[-1] != classes:
        raise AttarError(f"The soft labels of the set are of {batch.y.shape[-1]} classes and {name} has {classes}.")
    if batch.y.dim() == 1 and not 0 <= int(batch.y.min()) <= int(batch.y.max()) < classes:
        raise AttarError(
            f"The set has class ids from {int(batch.y.min())} to {int(batch.y.max())}, "
            f"and those of {name} are 0 to {classes - 1}."
        )


def _whitening(value: Distilled, problem: Problem) -> list[str]:
    """A sentence where the set was made for rows that are whitened otherwise than those that judge it."""
    own, tested = value.training.normalisation.whitening, problem.spec.normalisation.whitening
    name = problem.spec.name
    if own is not None and tested is None:
        return [
            f"The set was made for rows that are whitened ({own}), and those of {name} are not here: its rows were trained on "
            "as they are without, where they may be worth less; load the data with zca=True (--zca) for the other."
        ]
    if own is None and tested is not None:
        return [
            f"The set was made for rows that are not whitened, and those of {name} are here ({tested}): its rows were whitened "
            "alike; load the data without zca for what it was made for."
        ]
    if str(own) != str(tested):
        return [
            f"The set was made for rows that are whitened otherwise ({own}) than those of {name} here ({tested}): its rows were "
            "whitened as the latter."
        ]
    return []


def _check_shape(here: tuple[int, ...], problem: Problem) -> None:
    there = tuple(problem.test.x.shape[1:])
    if here != there:
        raise AttarError(
            f"The rows of the set are of shape {here} and those of {problem.spec.name} of {there}: "
            "load the data at the size that the set was made for."
        )


def _relabelled(made: Subject, labels: Literal["hard", "soft"] | None) -> Subject:
    """The subject with the kind of labels that was asked for."""
    y = made.batch.y
    assert y is not None
    if labels == "soft" and made.labels == "regression":
        raise AttarError(f"The labels of this set ({made.name}) are targets of regression: leave out labels='soft'.")
    if labels == "soft" and y.dim() == 1:
        raise AttarError(f"There are no soft labels in this set ({made.name}): leave out labels='soft'.")
    if labels != "hard" or y.dim() == 1:
        return made
    ids = y.argmax(-1)
    if ids.dim() == 2:  # per-view targets: the class that most views agree on
        ids = ids.mode(0).values
    return dataclasses.replace(made, batch=made.batch.replace(y=ids, views=None), labels="hard", augmentation=None)


def _kind(batch: Batch) -> str:
    return "hard" if batch.y is None or batch.y.dim() == 1 else "soft"


def _nbytes(batch: Batch) -> int:
    """Bytes of the tensors that hold the rows."""
    fields = [getattr(batch, field.name) for field in dataclasses.fields(batch)]  # type: ignore[arg-type]
    return sum(field.nbytes for field in fields if isinstance(field, Tensor))
