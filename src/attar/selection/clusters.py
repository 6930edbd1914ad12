"""Clusters: centres of the rows of each class, by k-means or merged one by one, and the real rows that stand nearest to centres."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from attar import rng
from attar.selection.picked import ASKED_FOR, Picked
from attar.selection.random_rows import budget_counts
from attar.selection.rows import Rows, asked_for, represented
from attar.types import AttarError, Budget, Problem

__all__ = ["centroids", "class_centroids", "cluster_sizes", "medoids", "ward"]

LLOYD_UP_TO = 1_000_000
"""Rows times centres up to which Lloyd's algorithm takes seconds (6,000 rows of 784 values, 50 centres: 3 s of a core)."""


def centroids(x: Tensor, count: int, generator: torch.Generator, name: str = "the data") -> Tensor:
    """k-means: Lloyd's algorithm, or on large data in mini-batches; the best of three starts.

    Args:
        x: rows ``(n, d)``.
        count: number of centres.
        generator: a seed is drawn from it.
        name: what errors call the rows.

    Returns:
        Centres ``(count, d)``, all different.

    Raises:
        AttarError: if scikit-learn is not installed, or there are fewer distinct rows than centres.

    Reference:
        Lloyd: Least squares quantization in PCM, 1982; Sculley: Web-Scale K-Means Clustering, WWW 2010 (mini-batches).
    """
    try:
        from sklearn.cluster import KMeans, MiniBatchKMeans
        from threadpoolctl import threadpool_limits  # comes with scikit-learn
    except ImportError as error:
        raise AttarError("k-means needs scikit-learn: pip install 'attar[selection]'.") from error
    seed = rng.draw_seed(generator) % 2**32
    points = x.double().numpy()
    distinct = len(np.unique(points, axis=0))
    if distinct < count:
        raise AttarError(
            f"{name} has {distinct} distinct rows and k-means was asked for {count} centres: lower the budget."
        )
    small = len(points) * count <= LLOYD_UP_TO
    with threadpool_limits(1):  # threads add up partial sums in the order in which they end
        if not small:
            batch = max(1024, 3 * count)
            fitted = MiniBatchKMeans(n_clusters=count, random_state=seed, n_init=3, batch_size=batch).fit(points)
            small = len(np.unique(fitted.cluster_centers_, axis=0)) < count  # it may leave centres without rows
        if small:
            fitted = KMeans(n_clusters=count, random_state=seed, n_init=3).fit(points)
    return torch.from_numpy(fitted.cluster_centers_).to(x.dtype)


WARD_UP_TO = 10_000
"""Rows that are merged one by one: their distances take 0.4 GB."""


def ward(x: Tensor, count: int, generator: torch.Generator, name: str = "the data") -> Tensor:
    """Agglomerative clustering by Ward's criterion: the two clusters are merged whose merging adds least to the squared distances
    from the means, until there are `count`.

    Of more than 10,000 rows so many, drawn at random, are clustered; each mean is then that of all rows nearest to it.

    Args:
        x: rows ``(n, d)``.
        count: number of centres.
        generator: draws these rows.
        name: what errors call the rows.

    Returns:
        The clusters' means ``(count, d)``.

    Raises:
        AttarError: if scikit-learn is not installed, or there are fewer distinct rows than centres.

    Reference:
        Ward: Hierarchical grouping to optimize an objective function, JASA 1963.
    """
    try:
        from sklearn.cluster import AgglomerativeClustering
    except ImportError as error:
        raise AttarError("Agglomerative clustering needs scikit-learn: pip install 'attar[selection]'.") from error
    points = x.double()
    drawn = points[torch.randperm(len(points), generator=generator)[:WARD_UP_TO]] if len(x) > WARD_UP_TO else points
    distinct = len(np.unique(drawn.numpy(), axis=0))
    if distinct < count:
        raise AttarError(
            f"{name} has {distinct} distinct rows and {count} clusters were asked for: lower the budget to that."
        )
    if count == 1:
        return points.mean(0, keepdim=True).to(x.dtype)
    found = torch.from_numpy(AgglomerativeClustering(count, linkage="ward").fit_predict(drawn.numpy()))
    centres = _means(drawn, found, count)
    if len(drawn) < len(points):
        nearest = _nearest(points, centres)
        held = torch.bincount(nearest, minlength=count) > 0
        centres = torch.where(held[:, None], _means(points, nearest, count), centres)
    return centres.to(x.dtype)


def _means(x: Tensor, cluster: Tensor, count: int) -> Tensor:
    """The mean of the rows of each cluster ``(count, d)``; not a number of one without rows."""
    total = torch.zeros(count, x.shape[1], dtype=x.dtype).index_add_(0, cluster, x)
    return total / torch.bincount(cluster, minlength=count)[:, None]


def _nearest(x: Tensor, centres: Tensor) -> Tensor:
    """Of each row the nearest centre ``(n,)``."""
    return torch.cat([torch.cdist(block, centres).argmin(1) for block in x.split(4096)])


def cluster_sizes(x: Tensor, centres: Tensor) -> Tensor:
    """How many rows ``(n, d)`` are nearest to each of the centres ``(count, d)``: ``(count,)``, float64."""
    return torch.bincount(_nearest(x.double(), centres.double()), minlength=len(centres)).double()


def class_centroids(
    problem: Problem,
    budget: Budget,
    generator: torch.Generator,
    each: int = 1,
    clusters: Callable[[Tensor, int, torch.Generator, str], Tensor] = centroids,
    sizes: list[Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Centres of clusters of each class on normalised values.

    Args:
        problem: its training rows are clustered.
        budget: how many centroids.
        generator: of the clusters.
        each: centroids for each of the budget's.
        clusters: `centroids` (k-means) or `ward`.
        sizes: gets how many rows are nearest to each centre of a class, class by class.

    Returns:
        Centroids ``(n, ...)`` in the rows' shape and their class ids ``(n,)``, class by class; of a target of numbers, which is
        clustered with the rows as a column more, its means ``(n, 1)``.

    Raises:
        AttarError: as `centroids`.
    """
    centres, labels = [], []
    for group, count in budget_counts(problem, budget).items():
        name = "the data" if group is None else f"Class '{problem.spec.class_names[group]}'"
        rows = problem.train.take(problem.members[group])
        values = rows.x.flatten(1).cpu()
        width = values.shape[1]
        if group is None and rows.y is not None:  # a target of numbers is a column more
            values = torch.cat([values, rows.y.cpu().to(values.dtype)], dim=1)
        found = clusters(values, count * each, generator, name)
        if sizes is not None:
            sizes.append(cluster_sizes(values, found))
        centres.append(found[:, :width])
        numbers = found.shape[1] > width
        labels.append(found[:, width:] if numbers else torch.full((count * each,), -1 if group is None else group))
    shape = (-1, *problem.train.x.shape[1:])
    return torch.cat(centres).reshape(shape), torch.cat(labels)


def medoids(x: Tensor, count: int, *, fixed: Tensor | None = None, generator: torch.Generator) -> Picked:
    """The rows nearest to the centres of k-means, all different; `fixed` rows take the place of the centres nearest to them.

    Args:
        x: ``(n, d)``.
        count: rows to choose.
        fixed: ids that are chosen first.
        generator: of k-means.

    Returns:
        The choice. Scores are distances from the centres; each represents the rows to which it is the nearest.

    Raises:
        AttarError: as `centroids`, and on `fixed` ids that repeat or do not exist.
    """
    rows = Rows(x)
    chosen = asked_for(fixed, count, len(rows))
    x = rows.values  # about their mean: far from the origin, distances of raw values cancel
    centres = centroids(x, count, generator)
    free = list(range(count))
    scores = []
    for row in chosen:
        gaps = (centres[free] - x[row]).double().norm(dim=1)
        scores.append(float(gaps.min()))
        del free[int(gaps.argmin())]
    for centre in free:
        gaps = (x - centres[centre]).double().norm(dim=1)
        gaps[chosen] = float("inf")
        scores.append(float(gaps.min()))
        chosen.append(int(gaps.argmin()))
    ids = torch.tensor(chosen)
    stands_for = represented(rows, ids)
    asked = len(chosen) - len(free)
    near = [f"nearest to {size:.0f} row{'' if size == 1 else 's'}" for size in stands_for]
    why = [ASKED_FOR if place < asked else text for place, text in enumerate(near)]
    return Picked(ids, torch.tensor(scores), stands_for, tuple(why))
