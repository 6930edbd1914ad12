"""What is the archetypal image of each class? The distilled one beside what k-means makes of all real rows of the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from attar.distilled import Distilled
from attar.report.pictures import columns_that_fit, embed, is_small
from attar.types import Problem

if TYPE_CHECKING:
    from attar.report.page import Pictures

__all__ = ["Archetypes", "Centre", "archetypes", "centres"]

KINDS = ("distilled", "mean", "medoid")


@dataclass(frozen=True, eq=False)
class Centre:
    """Of one class: the mean of its real rows, the centre of k-means with one centre, and the row nearest to it.

    Args:
        label: class id.
        place: of the class's distilled image: the first, of learned labels that with the largest for the class.
        mean: image ``(c, h, w)`` in raw units.
        medoid: likewise.
    """

    label: int
    place: int
    mean: np.ndarray
    medoid: np.ndarray


@dataclass(frozen=True)
class Archetypes:
    """Pictures of the first classes.

    Args:
        rows: class id, and a data URI a kind.
        classes: how many there are.
        small: whether pictures are shown larger than they are.
        heads: the kinds.
    """

    rows: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]
    classes: int
    small: bool
    heads: tuple[str, ...] = KINDS


def centres(problem: Problem, value: Distilled) -> list[Centre]:
    """The centres of classes that have real rows, for the distilled images of a set made of these."""
    found, y = [], value.data.y
    for label in sorted(set(value.labels.tolist())):
        places = torch.nonzero(value.labels == label).flatten()
        if y is not None and y.dim() == 2:
            places = places[y[places, label].argsort(descending=True, stable=True)]
        ids = problem.members.get(label)
        if ids is None or not len(ids):
            continue
        rows = problem.spec.normalisation.undo(problem.train.x[ids]).cpu()
        mean = rows.mean(0)
        nearest = int(torch.linalg.vector_norm((rows - mean).flatten(1), dim=1).argmin())
        found.append(Centre(label, int(places[0]), mean.numpy(), rows[nearest].numpy()))
    return found


def archetypes(distilled: Pictures, known: list[Centre]) -> Archetypes | None:
    """A distilled image of each class, beside its mean and its medoid; None without any."""
    shape = distilled.x.shape[1:]
    shown = [one for one in known if one.mean.shape == shape]
    if not shown:
        return None
    classes, _ = columns_that_fit(shape, len(shown), len(KINDS))
    rows = []
    for one in shown[:classes]:
        pictures = (embed(image) for image in (distilled.x[one.place], one.mean, one.medoid))
        rows.append((one.label, tuple(zip(KINDS, pictures, strict=True))))
    return Archetypes(tuple(rows), len(shown), is_small(shape))
