"""Rows of the training set: at random, or by k-means."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attar import rng
from attar.types import AttarError, Budget, Problem

__all__ = ["budget_counts", "class_centroids", "nearest_rows", "random_rows"]


def budget_counts(problem: Problem, budget: Budget) -> dict[int | None, int]:
    """Rows that the budget gives each group of the training set."""
    sizes = [len(rows) for rows in problem.members.values()]
    return dict(zip(problem.members, budget.counts(sizes, problem.spec.class_names), strict=True))


def random_rows(problem: Problem, budget: Budget, generator: torch.Generator) -> Tensor:
    """Row ids ``(n,)``, class by class, drawn uniformly without replacement within each class."""
    return torch.cat(
        [
            rows[torch.randperm(len(rows), generator=generator)[:count]]
            for (_, rows), count in zip(problem.members.items(), budget_counts(problem, budget).values(), strict=True)
        ]
    )


def class_centroids(problem: Problem, budget: Budget, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """k-means of each class on normalised values.

    Returns:
        Centroids ``(n, ...)`` in the rows' shape and their class ids ``(n,)``, class by class.

    Raises:
        AttarError: if scikit-learn is not installed, or a class has fewer distinct rows than centroids.
    """
    in_batches, on_all = _k_means()
    centres, labels = [], []
    counts = budget_counts(problem, budget)
    for group, rows in problem.members.items():
        values = problem.train.take(rows).x.flatten(1).cpu()
        seed = rng.draw_seed(generator) % 2**32
        batch = max(1024, 3 * counts[group])
        points = values.double().numpy()
        distinct = len(np.unique(points, axis=0))
        if distinct < counts[group]:
            name = problem.spec.class_names[group or 0]
            raise AttarError(
                f"Class '{name}' has {distinct} distinct rows and k-means was asked for {counts[group]} centres: lower the budget."
            )
        fitted = in_batches(n_clusters=counts[group], random_state=seed, n_init=3, batch_size=batch).fit(points)
        if len(np.unique(fitted.cluster_centers_, axis=0)) < counts[group]:  # it may leave centres without rows
            fitted = on_all(n_clusters=counts[group], random_state=seed, n_init=1).fit(points)
        centres.append(torch.from_numpy(fitted.cluster_centers_).to(problem.train.x.dtype))
        labels.append(torch.full((counts[group],), -1 if group is None else group))
    shape = (-1, *problem.train.x.shape[1:])
    return torch.cat(centres).reshape(shape), torch.cat(labels)


def nearest_rows(problem: Problem, centres: Tensor, labels: Tensor) -> Tensor:
    """For each centre a row of its class: the nearest one that no earlier centre took.

    Args:
        centres: ``(n, ...)`` in the rows' shape.
        labels: class ids ``(n,)``.

    Returns:
        Row ids ``(n,)``, all different.
    """
    taken: list[int] = []
    for group, rows in problem.members.items():
        values = problem.train.take(rows).x.flatten(1).cpu()
        wanted = torch.nonzero(labels == (-1 if group is None else group)).flatten()
        gaps = torch.cdist(centres[wanted].flatten(1).to(values.dtype), values)
        for gap in gaps:
            best = int(gap.argmin())
            gaps[:, best] = float("inf")
            taken.append(int(rows[best]))
    return torch.tensor(taken)


def _k_means():  # type: ignore[no-untyped-def]
    try:
        from sklearn.cluster import KMeans, MiniBatchKMeans
    except ImportError as error:
        raise AttarError("k-means needs scikit-learn: pip install 'attar[selection]'.") from error
    return MiniBatchKMeans, KMeans
