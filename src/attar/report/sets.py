"""The sets of a comparison as pictures: a row a method, a column a class, real rows first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attar import data as datasets
from attar import rng
from attar.distilled import Distilled
from attar.distilled.card import names_of
from attar.distilled.tables import DistilledTable
from attar.methods import random
from attar.report.page import Pictures
from attar.report.pictures import columns_that_fit, embed, is_small
from attar.runs import RunDirectory
from attar.types import AttarError, Budget, Problem

__all__ = ["Matrix", "SetOnDisk", "matrix", "real_rows", "reopened", "sets_in"]

CLASSES = 10  # a row of a page shows no more
EACH = 4  # pictures of one class in one set
ROOM = 3_500_000  # bytes of a page that all pictures may take


@dataclass(frozen=True, eq=False)
class SetOnDisk:
    """A set that a comparison made: of which method, with how many rows a class, its images, and the data it is from."""

    method: str
    per_class: int
    pictures: Pictures
    class_names: tuple[str, ...]
    source: Mapping[str, Any] | None
    fingerprint: str = ""


@dataclass(frozen=True)
class Matrix:
    """Pictures of one budget.

    Args:
        names: of the classes shown.
        rows: a name and, for each class, its pictures as data URIs.
        classes: how many there are.
        small: whether pictures are shown larger than they are.
        across: pictures side by side in one class.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    classes: int
    small: bool
    across: int


def sets_in(folder: Path, methods: Sequence[str], budgets: Sequence[int]) -> list[SetOnDisk]:
    """The first set (by name, so the lowest seed) of each method and budget, by its folder ``<method>-<budget>-<seed>``; what
    cannot be read is left out."""
    found: dict[tuple[str, int], SetOnDisk] = {}
    for path in sorted(folder.glob("*/settings.json")):
        try:
            directory = RunDirectory(path.parent)
            per_class = directory.settings["budget"]["per_class"]
            if per_class not in budgets:
                continue
            # not by the name that the run records, which all settings of a method share
            method = path.parent.name.rpartition(f"-{Budget(per_class=per_class)}-")[0]
            if method not in methods or (method, per_class) in found:
                continue
            value = Distilled.load(path.parent)
        except (AttarError, KeyError, TypeError):
            continue  # not finished, or not a run: the table says what became of it
        if isinstance(value, DistilledTable):
            continue  # rows of numbers are no pictures
        pictures = Pictures(value.data.x.numpy(), value.labels.numpy())
        problem = directory.settings.get("problem", {})
        recorded = problem.get("source"), str(problem.get("fingerprint", ""))
        found[method, per_class] = SetOnDisk(method, per_class, pictures, value.training.class_names, *recorded)
    return list(found.values())


def real_rows(sets: Sequence[SetOnDisk]) -> Pictures | None:
    """A few real rows of each class, found again by what a set records of its source; None where they are not there."""
    one = next((one for one in sets if one.source), None)
    problem = None if one is None or one.source is None else reopened(one.source, one.fingerprint)
    if problem is None:
        return None
    smallest = min(len(rows) for rows in problem.members.values())
    rows = random().finish(problem, Budget(per_class=min(EACH, smallest)), rng.generator(0, "shown"))
    return Pictures(rows.data.x.numpy(), rows.labels.numpy())


def reopened(source: Mapping[str, Any], fingerprint: str) -> Problem | None:
    """The data that a run records, to be shown; None where they are not there, or are others than the recorded ones.

    They are not whitened, which may take a minute and would be undone.

    A folder may come from a stranger, and its record name any file: nothing is shown of one whose content the stranger
    did not know.
    """
    try:
        problem = datasets.reopen({name: value for name, value in source.items() if name != "zca"})
        datasets.check_fingerprint(problem, fingerprint)
    except (OSError, KeyError, TypeError, ValueError):  # an AttarError is a ValueError
        return None
    return problem


def matrix(sets: Sequence[SetOnDisk], real: Pictures | None, order: Sequence[str], budgets: int) -> Matrix | None:
    """Arrange the sets of one budget; None without any.

    Args:
        sets: of one budget.
        real: real rows, shown first.
        order: of the methods.
        budgets: how many such matrices share the page.
    """
    if not sets:
        return None
    shape = sets[0].pictures.x.shape[1:]
    alike = sorted((one for one in sets if one.pictures.x.shape[1:] == shape), key=lambda one: order.index(one.method))
    shown = [("real", real)] if real is not None and real.x.shape[1:] == shape else []
    shown += [(one.method, one.pictures) for one in alike]
    labels = sorted({int(label) for one in alike for label in one.pictures.labels})
    names = names_of(sets[0].class_names, max(labels) + 1)
    most = max(int(np.bincount(one.pictures.labels.astype(int)).max()) for one in alike)
    rows = len(shown) * budgets
    classes, each = columns_that_fit(shape, min(len(labels), CLASSES) * rows, min(most, EACH), ROOM)
    kept = labels[: max(1, min(len(labels), CLASSES, classes // rows))]
    each = each if each != EACH - 1 else EACH - 2  # pairs, or four in a square
    return Matrix(
        names=tuple(names[label] for label in kept),
        rows=tuple((name, tuple(_first(found, label, each) for label in kept)) for name, found in shown),
        classes=len(labels),
        small=is_small(shape),
        across=1 if each == 1 else 2,
    )


def _first(found: Pictures, label: int, count: int) -> tuple[str, ...]:
    return tuple(embed(found.x[row]) for row in np.flatnonzero(found.labels == label)[:count])
