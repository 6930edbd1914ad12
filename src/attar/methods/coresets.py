"""Coresets: rows of the data itself, or centres of them. Direct methods, and the baseline that every other owes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from attar.distilled import Distilled, Training
from attar.selection import class_centroids, nearest_rows, random_rows
from attar.types import Batch, Budget, Problem

__all__ = ["KMeansRows", "RandomRows", "kmeans", "random"]


@dataclass(frozen=True)
class RandomRows:
    """See `random`."""

    name: str = "random"

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> Distilled:
        return real_rows(problem, random_rows(problem, budget, generator))


@dataclass(frozen=True)
class KMeansRows:
    """See `kmeans`."""

    keep: Literal["centroids", "nearest"] = "centroids"
    name: str = "kmeans"

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> Distilled:
        centres, labels = class_centroids(problem, budget, generator)
        if self.keep == "nearest":
            return real_rows(problem, nearest_rows(problem, centres, labels))
        blank = {"weight": None, "attribute": None, "views": None}
        return _as_distilled(problem, problem.train.take(labels[:0]).to("cpu").replace(x=centres, y=labels, **blank))


def random() -> RandomRows:
    """Real rows, drawn uniformly without replacement within each class.

    Returns:
        The method.

    Example:
        >>> value = attar.distill(attar.methods.random(), problem, attar.Budget(per_class=2)).value
        >>> value.stored["row"].shape
        torch.Size([6])
    """
    return RandomRows()


def kmeans(keep: Literal["centroids", "nearest"] = "centroids") -> KMeansRows:
    """k-means within each class, on normalised values.

    Args:
        keep: "centroids" are means of real rows; "nearest" are the real rows nearest to them, all different.

    Returns:
        The method.

    Reference:
        Sculley: Web-Scale K-Means Clustering, WWW 2010 (mini-batch k-means).
    """
    return KMeansRows(keep)


def real_rows(problem: Problem, rows: torch.Tensor) -> Distilled:
    """Training rows as a distilled set, their ids stored as "row" ``(n,)``."""
    value = _as_distilled(problem, problem.train.take(rows).to("cpu"))
    return Distilled(value.data, value.training, stored={"row": rows})


def _as_distilled(problem: Problem, batch: Batch) -> Distilled:
    spec = problem.spec
    training = Training(spec.normalisation, class_names=spec.class_names, augmentation=spec.augmentation)
    return Distilled(batch.replace(x=spec.normalisation.undo(batch.x)), training)
