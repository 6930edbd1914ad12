"""k-means beside brute force, and plain Lloyd from the same start."""

import itertools

import numpy as np
import pytest
import sklearn.cluster
import torch

from attar import rng
from attar.selection.clusters import centroids, medoids


def _best_partition(x, count):
    """The centres ``(count, d)`` of the partition with the least squared distances, of all that there are."""
    best, kept = np.inf, None
    for parts in itertools.product(range(count), repeat=len(x)):
        parts = np.array(parts)
        if len(np.unique(parts)) < count:
            continue
        centres = np.stack([x[parts == part].mean(0) for part in range(count)])
        cost = ((x - centres[parts]) ** 2).sum()
        if cost < best:
            best, kept = cost, centres
    return kept


def _lloyd(x, centres):
    """Rows go to their nearest centre and centres to the mean of their rows, until nothing moves."""
    while True:
        nearest = ((x[:, None] - centres[None]) ** 2).sum(2).argmin(1)
        moved = np.stack([x[nearest == part].mean(0) for part in range(len(centres))])
        if np.array_equal(moved, centres):
            return centres
        centres = moved


def _ordered(centres):
    return centres[np.lexsort(centres.T[::-1])]


@pytest.mark.parametrize("seed", range(3))
def test_well_separated_rows_are_parted_as_the_best_of_all_partitions_does(seed):
    draw = np.random.default_rng(seed)
    x = np.array([[0.0, 0], [9, 0], [0, 9]])[[0, 0, 0, 0, 1, 1, 1, 2]] + draw.normal(size=(8, 2))
    wanted = _ordered(_best_partition(x, 3))
    found = centroids(torch.from_numpy(x), 3, rng.generator(seed, "test"))
    np.testing.assert_allclose(_ordered(found.numpy()), wanted)
    nearest = {int(((x - centre) ** 2).sum(1).argmin()) for centre in wanted}
    assert set(medoids(torch.from_numpy(x), 3, generator=rng.generator(seed, "test")).rows.tolist()) == nearest


@pytest.mark.parametrize("seed", range(4))
def test_random_rows_are_parted_as_by_plain_lloyd_from_the_same_start(seed, monkeypatch):
    x = np.random.default_rng(seed).normal(size=(60, 3))
    begin = x[np.random.default_rng(seed).choice(60, 5, replace=False)]
    from_here = {"init": begin, "n_init": 1}
    theirs = sklearn.cluster.KMeans
    monkeypatch.setattr(sklearn.cluster, "KMeans", lambda **options: theirs(**options | from_here))
    found = centroids(torch.from_numpy(x), 5, rng.generator(seed, "test"))
    wanted = _lloyd(x, begin)
    assert np.abs(wanted - begin).max() > 0.1
    np.testing.assert_allclose(found.numpy(), wanted)
