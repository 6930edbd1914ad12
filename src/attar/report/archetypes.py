"""What are the archetypal images of each class? Distilled ones beside what k-means makes of the real rows of the class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attar import rng
from attar.distilled import Distilled
from attar.report.pictures import Strip, classes_that_fit, embed, is_small
from attar.selection.clusters import centroids, cluster_sizes
from attar.types import AttarError, Problem

if TYPE_CHECKING:
    from attar.report.page import Pictures

__all__ = ["Archetypes", "Centres", "archetypes", "centres"]

HEADS = ("distilled", "k-means centres", "medoids")

MOST = 5
"""Centres of a class, and distilled images beside them: a line of pictures holds no more."""

CLUSTERED = 1_000
"""Real rows of a class that k-means is made of, at most: a quarter of a second of a core for 784 values."""


@dataclass(frozen=True, eq=False)
class Centres:
    """Of one class: the centres of k-means on its real rows, those of the most rows first, and the row nearest to each.

    Args:
        label: class id.
        total: distilled images of the class.
        places: of the distilled images shown: the first, of learned labels those with the largest for the class.
        means: images ``(k, c, h, w)`` in raw units, k = min(total, 5), or 1 where k-means cannot be made of the rows.
        medoids: likewise.
    """

    label: int
    total: int
    places: tuple[int, ...]
    means: np.ndarray
    medoids: np.ndarray


@dataclass(frozen=True)
class Archetypes:
    """Pictures of the first classes.

    Args:
        rows: class id, and a strip of pictures for each of `heads`.
        columns: pictures in the longest strip.
        small: whether pictures are shown larger than they are.
        heads: what the strips show.
        sentences: what is shown, in words.
    """

    rows: tuple[tuple[int, tuple[Strip, ...]], ...]
    columns: int
    small: bool
    heads: tuple[str, str, str]
    sentences: tuple[str, ...]


def centres(problem: Problem, value: Distilled) -> list[Centres]:
    """The centres of classes that have real rows, for the distilled images of a set made of these."""
    found, y = [], value.data.y
    known = [label for label in sorted(set(value.labels.tolist())) if len(problem.members.get(label, ()))]
    most = min(max((int((value.labels == label).sum()) for label in known), default=1), MOST)
    for label in known[: classes_that_fit(value.data.x.shape[1:], 3 * most)]:
        places = torch.nonzero(value.labels == label).flatten()
        if y is not None and y.dim() == 2:
            places = places[y[places, label].argsort(descending=True, stable=True)]
        rows = problem.spec.normalisation.undo(problem.train.x[problem.members[label]]).cpu()
        flat = rows.flatten(1)
        means = _centres(flat, min(len(places), MOST))
        nearest = [int(torch.linalg.vector_norm(flat - mean, dim=1).argmin()) for mean in means]
        shown = means.unflatten(1, rows.shape[1:]).numpy()
        found.append(Centres(label, len(places), tuple(places[:MOST].tolist()), shown, rows[nearest].numpy()))
    return found


def _centres(flat: Tensor, count: int) -> Tensor:
    """Centres ``(count, d)`` of k-means on at most `CLUSTERED` of the rows ``(n, d)``, those of the most rows first; one of them, the
    mean of all, without scikit-learn or where fewer rows differ."""
    if count > 1:
        generator = rng.generator(0, "archetypes")
        drawn = flat[torch.randperm(len(flat), generator=generator)[:CLUSTERED]]
        try:
            found = centroids(drawn, count, generator)
        except AttarError:
            pass
        else:
            return found[cluster_sizes(flat, found).argsort(descending=True, stable=True)]
    return flat.mean(0, keepdim=True)


def archetypes(distilled: Pictures, known: Sequence[Centres]) -> Archetypes | None:
    """Distilled images of each class, beside the centres and the medoids; None without any."""
    shape = distilled.x.shape[1:]
    shown = [one for one in known if one.means.shape[1:] == shape]
    if not shown:
        return None
    rows = []
    for one in shown:
        kinds = (distilled.x[list(one.places)], one.means, one.medoids)
        strips = (Strip(one.label, tuple(map(embed, images)), len(images), ()) for images in kinds)
        rows.append((one.label, tuple(strips)))
    columns = max(len(one.places) for one in shown)
    heads = HEADS if columns > 1 else ("distilled", "mean", "medoid")
    return Archetypes(tuple(rows), columns, is_small(shape), heads, tuple(_sentences(shown, distilled)))


def _sentences(shown: Sequence[Centres], distilled: Pictures) -> Iterator[str]:
    """What the pictures show."""
    if all(one.total == 1 for one in shown):
        yield (
            "The distilled image of each class beside the mean of all its real images, which k-means with one centre would keep, "
            "and the medoid, the real image nearest to that."
        )
    else:
        several = "The distilled images of each class"
        if any(one.total > MOST for one in shown):
            several += f", the first {MOST} where there are more,"
        yield (
            f"{several} beside as many centres of k-means on its real images ({CLUSTERED:,} drawn at random where there are more), the "
            "largest cluster first, and the medoids, the real image nearest to each."
        )
    if any(len(one.means) < len(one.places) for one in shown):
        yield (
            "Where one centre stands beside several distilled images it is the mean: k-means needs as many different rows, and "
            "scikit-learn (pip install 'attar[selection]')."
        )
    classes = len(np.unique(distilled.labels))
    if len(shown) < classes:
        yield f"{len(shown)} of {classes} classes are shown."
