"""Evaluate: train networks from scratch on a set, and score them on the real test data."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from attar import augment, rng
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.evaluation import judges, learners, ridge
from attar.evaluation.decided import check as check_columns
from attar.evaluation.decided import decided
from attar.evaluation.decisions import DECISIONS
from attar.evaluation.groups import answers_by_group, groups_of
from attar.evaluation.measure import guesses, measure
from attar.evaluation.own import own_protocol
from attar.evaluation.protocol import Protocol, protocol_named
from attar.evaluation.scores import Score, Scores, mean_known, near_chance, spread, worst_groups
from attar.evaluation.subject import Subject, subject
from attar.training import Schedule, fit
from attar.types import AttarError, Batch, Problem

__all__ = ["Run", "Subject", "check_models", "default_models", "evaluate", "run_once", "subject"]


@dataclass(frozen=True)
class Run:
    """One network, trained once.

    Args:
        test: final accuracy on the test data.
        validation: on the validation set, None where there is none.
        seconds: of training.
        answers: how often test rows of each group are taken for each class (see `attar.evaluation.groups`), where they have
            an attribute.
        lost: share of dependences that are not found, of a judge of decisions.
        invented: share of independences that are rejected, likewise.
    """

    test: float
    validation: float | None
    seconds: float
    answers: Tensor | None = field(default=None, compare=False)
    lost: float | None = None
    invented: float | None = None


def evaluate(
    value: Distilled | DistilledTable | Batch | Literal["full"] | None,
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
            `attar.evaluation.ridge`), which draws nothing and so is done once. For tables names of learners, too (see
            `attar.evaluation.learners`), and "decisions", which judges by the share of decisions on independence that are those of
            all training rows (see `attar.evaluation.decided`); without a target it alone does, by default.
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
    names = [models] if isinstance(models, str) else models or default_models(problem, protocol)
    predicts = any(map(judges.learns, names))
    trained_on = subject(value, problem, labels, strict, predicts)
    if protocol.as_distilled:
        protocol = own_protocol(trained_on.own, trained_on.name, models, labels)
        names = models or default_models(problem, protocol)
        names = [names] if isinstance(names, str) else names
    runs = protocol.runs if runs is None else runs
    if runs < 1:
        raise AttarError(f"An evaluation of {runs} runs scores nothing: give 1 or more.")
    if predicts and len(problem.test) == 0:
        raise AttarError(f"{problem.spec.name} has no test rows to score networks on.")
    strategy, schedule = _training(trained_on, problem, protocol)
    seeds = tuple(rng.derive(seed, "evaluation", run) % 2**31 for run in range(runs))
    # the first network is built at once
    check_models(problem, [name for place, name in enumerate(names) if place or not judges.is_network(name)])
    items = []
    for model in names:
        with problem.task.plan.applied():
            own = seeds if judges.draws(model) else seeds[:1]
            if judges.learns(model):
                done = [run_once(trained_on, problem, model, protocol, run_seed) for run_seed in own]
            else:
                done = [_by_decisions(value, trained_on, problem)]
        items.append(
            _score(trained_on, problem, model, protocol, own, done, _trained(trained_on, strategy, schedule, model))
        )
    notes = [*trained_on.notes, *judges.notes(names), *near_chance(items), *worst_groups(items, problem.spec)]
    if trained_on.step_size is not None and not protocol.as_distilled and any(map(judges.is_network, names)):
        size = f"{trained_on.step_size:.4g}"
        notes.append(f"Networks learn from this set at its own step size, {size}, in place of the protocol's.")
    return Scores(tuple(items), tuple(notes))


def _score(
    trained_on: Subject,
    problem: Problem,
    model: str,
    protocol: Protocol,
    seeds: tuple[int, ...],
    done: Sequence[Run],
    trained: Mapping[str, Any],
) -> Score:
    """What the runs of one model say, with how it was `trained` as fields of a score."""
    learns, white = judges.learns(model), problem.spec.normalisation.whitening
    scores = tuple(run.test for run in done)
    answers = [run.answers for run in done if run.answers is not None]
    return Score(
        subject=trained_on.name,
        data=problem.spec.name,
        fingerprint=problem.spec.fingerprint,
        model=model,
        labels=trained_on.labels,
        mean=statistics.mean(scores),
        std=spread(scores),
        scores=scores,
        validation=mean_known(run.validation for run in done),
        runs=len(done),
        seeds=seeds,
        rows=len(trained_on.batch),
        bytes=trained_on.nbytes,
        seconds=sum(run.seconds for run in done),
        **trained,
        plan=dataclasses.asdict(problem.task.plan) if learns else {},
        protocol=protocol,
        guess=_guess(problem) if learns else None,
        tested=len(problem.test) if learns else None,
        whitening="" if white is None else str(white),
        groups=groups_of(answers) if answers else None,
        lost=done[0].lost,
        invented=done[0].invented,
    )


def default_models(problem: Problem, protocol: Protocol) -> tuple[str, ...]:
    """The models that judge where none are asked for: the protocol's, and of tables the task's; of a table without a target, of
    which nothing is predicted, what it decides."""
    if problem.spec.schema is not None and not problem.spec.schema.target:
        return (DECISIONS,)
    return getattr(problem.task, "models", protocol.models)


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
    if learners.is_named(model):
        return _by_learner(trained_on, problem, model, seed)
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
    validation = measure(problem.task, network, problem.validation) if _validates(problem) else None
    if problem.test.attribute is None:
        return Run(measure(problem.task, network, problem.test), validation, seconds)
    return _by_group(guesses(problem.task, network, problem.test), problem, validation, seconds)


def _validates(problem: Problem) -> bool:
    """Whether there are validation rows that tell one prediction from another."""
    y = problem.validation.y
    return len(problem.validation) > 0 and (None not in problem.task.groups or (y is not None and len(y.unique()) > 1))


def _guess(problem: Problem) -> float | None:
    """What guessing the largest class of the test rows scores; None of a target of numbers."""
    if None in problem.task.groups:
        return None
    return max(map(len, problem.task.members(problem.test).values())) / len(problem.test)


def _by_group(found: Tensor, problem: Problem, validation: float | None, seconds: float) -> Run:
    """A run by what a model takes the test rows for, so that they pass through it once."""
    y, attribute = problem.test.y, problem.test.attribute
    assert y is not None and attribute is not None
    answers = answers_by_group(found, y, attribute, len(problem.task.groups))
    return Run(float((found == y).double().mean()), validation, seconds, answers)


def _trained(trained_on: Subject, strategy: str, schedule: Schedule, model: str) -> dict[str, Any]:
    """How, in the fields of a score; only networks make updates."""
    if not judges.is_network(model):
        return {"epochs": 0, "updates": 0, "lr": 0.0, "augmentation": ""}
    updates = schedule.total(len(trained_on.batch))
    return {"epochs": schedule.epochs, "updates": updates, "lr": schedule.lr, "augmentation": strategy}


def _by_ridge(trained_on: Subject, problem: Problem, model: str) -> Run:
    """Ridge regression on the rows, without augmentation."""
    kernel, started = ridge.named(model), time.perf_counter()
    batch = trained_on.batch.to(problem.task.plan.device)
    found = ridge.solved(kernel, batch, problem.task, trained_on.labels != "regression")
    seconds = time.perf_counter() - started
    validation = ridge.accuracy(kernel, batch, found, problem.validation) if _validates(problem) else None
    if problem.test.attribute is None:
        return Run(ridge.accuracy(kernel, batch, found, problem.test), validation, seconds)
    return _by_group(ridge.guesses(kernel, batch, found, problem.test), problem, validation, seconds)


def _by_learner(trained_on: Subject, problem: Problem, model: str, seed: int) -> Run:
    """A learner of tables on the rows, without augmentation; its setting is chosen on validation rows."""
    started, classes = time.perf_counter(), 0 if None in problem.task.groups else len(problem.task.groups)
    found = learners.fitted(model, trained_on.batch, classes, problem.validation, seed)
    seconds = time.perf_counter() - started
    validation = learners.score(found, problem.validation) if _validates(problem) else None
    if problem.test.attribute is None:
        return Run(learners.score(found, problem.test), validation, seconds)
    return _by_group(learners.guesses(found, problem.test.x), problem, validation, seconds)


def _by_decisions(value: object, trained_on: Subject, problem: Problem) -> Run:
    """A table by what it decides, of which nothing is drawn; a distilled one is read as it is, for how many rows it stands included."""
    started, schema = time.perf_counter(), problem.spec.schema
    assert schema is not None
    batch = trained_on.batch
    rows = value.data if isinstance(value, DistilledTable) else schema.table(batch.x, batch.y, batch.weight)
    found = decided(rows, problem)
    seconds = time.perf_counter() - started
    return Run(found["equal"], None, seconds, lost=found.get("lost"), invented=found.get("invented"))


def check_models(problem: Problem, models: Sequence[str]) -> None:
    """Refuse networks that do not take the problem's rows, and names of none.

    Raises:
        AttarError: says which.
    """
    for model in models:
        if not judges.learns(model):
            check_columns(problem)
        if judges.check(model):
            continue
        with rng.seeded(0):
            problem.task.build(model)


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
