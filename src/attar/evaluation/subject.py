"""What is judged: a set, rows or the full data, checked against the problem that judges it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attar.distilled import Distilled
from attar.distilled.chosen import named
from attar.distilled.tables import DistilledTable
from attar.evaluation.own import AsDistilled
from attar.types import AttarError, Batch, Normalisation, Problem

__all__ = ["Subject", "subject"]


@dataclass(frozen=True, eq=False)
class Subject:
    """What networks are trained on.

    Args:
        name: what results print.
        batch: normalised rows with the labels that are trained on.
        labels: "hard", "soft", "learned" or "regression", which is trained on by the squared loss.
        nbytes: of all that the set stores.
        full: whether it is trained on as the full training data are: these, and of a table as many rows.
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


def subject(
    value: Distilled | DistilledTable | Batch | Literal["full"] | None,
    problem: Problem,
    labels: Literal["hard", "soft"] | None = None,
    strict: bool = False,
    predicts: bool = True,
) -> Subject:
    """What networks are trained on, checked against the problem; arguments and errors as in `evaluate`. Where nothing predicts, a
    table needs no target."""
    if labels not in (None, "hard", "soft"):
        raise AttarError(f"Labels are 'hard', 'soft' or as the set has them, not '{labels}'.")
    if isinstance(value, str) and value != "full":
        raise AttarError(
            f"'{value}' is no set to evaluate: give a distilled set, rows, or 'full' for all training rows."
        )
    if isinstance(value, DistilledTable):
        made = _of_table(value, problem, strict, predicts)
    elif isinstance(value, Distilled):
        _check_shape(tuple(value.data.x.shape[1:]), problem)
        per_view = value.data.views is not None
        made = Subject(
            name=named(value.made_by, "distilled set"),
            batch=value.data.replace(x=_normalisation(value, problem).apply(value.data.x)),
            labels=value.training.labels,
            nbytes=value.nbytes,
            step_size=value.training.step_size,
            augmentation=value.training.augmentation if per_view else None,
            notes=_foreign(value, problem, strict),
            own=AsDistilled.of(value.training),
        )
    elif value is None or isinstance(value, str):
        made = Subject("full data", problem.train, _kind(problem.train, problem), _nbytes(problem.train), full=True)
    else:  # a bootstrap of a table is trained on as the full data are
        whole = problem.spec.schema is not None and len(value) >= len(problem.train)
        made = Subject(f"{len(value)} rows", value, _kind(value, problem), _nbytes(value), full=whole)
    if predicts:
        _check_fit(made, problem)
    return made if None in problem.task.groups else _relabelled(made, labels)


def _of_table(value: DistilledTable, problem: Problem, strict: bool, predicts: bool) -> Subject:
    """A distilled table as encoded rows, as the problem encodes its own; cells of probabilities stay probabilities."""
    schema, name = problem.spec.schema, problem.spec.name
    if schema is None:
        raise AttarError(f"The set is a distilled table and {name} is none: evaluate it on a table of its own columns.")
    if not schema.target and predicts:
        raise AttarError(
            f"{name} has no target, so no model can be trained to predict it: load it with target=... (--target)."
        )
    if schema.target and value.target and value.target != schema.target:
        raise AttarError(
            f"The set was made to predict '{value.target}', and {name} is loaded to predict '{schema.target}': load it with "
            f"target='{value.target}' (--target {value.target})."
        )
    x, y = schema.split(value.data)
    if value.labels == "hard" and schema.classes and y is not None and y.dim() > 1:
        y = y.argmax(dim=1)
    return Subject(
        name=named(value.made_by, "distilled table"),
        batch=problem.test.take(torch.arange(0)).replace(x=x, y=y, weight=value.data.weight),
        labels="soft" if schema.classes and y is not None and y.dim() > 1 else "hard",
        nbytes=value.nbytes,
        notes=_other_source(value, problem, strict),
    )


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
    return (*notes, *_whitening(value, problem), *_other_source(value, problem, strict))


def _other_source(value: Distilled | DistilledTable, problem: Problem, strict: bool) -> tuple[str, ...]:
    """A sentence where a set was distilled from other data than judge it."""
    fingerprint = value.made_by.get("fingerprint")
    if fingerprint is not None and fingerprint != problem.spec.fingerprint:
        source = value.made_by.get("data", "data")
        sentence = (
            f"The set was distilled from {source} ({fingerprint[:19]}), which is not the {problem.spec.name} "
            f"({problem.spec.fingerprint[:19]}) that it was tested on"
        )
        if strict:
            raise AttarError(f"{sentence}: load the data that it was made from, with the same options.")
        return (f"{sentence}.",)
    return ()


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


def _kind(batch: Batch, problem: Problem) -> str:
    return "hard" if batch.y is None or batch.y.dim() == 1 or None in problem.task.groups else "soft"


def _nbytes(batch: Batch) -> int:
    """Bytes of the tensors that hold the rows."""
    fields = [getattr(batch, field.name) for field in dataclasses.fields(batch)]  # type: ignore[arg-type]
    return sum(field.nbytes for field in fields if isinstance(field, Tensor))
