"""The synthetic problems that tests and the conformance suite run on."""

import pytest
import torch

from attar import data
from attar.types import AttarError


def nearest(problem, prototypes, labels):
    """Accuracy on test of the nearest prototype."""
    guesses = labels[torch.cdist(problem.test.x.flatten(1), prototypes.flatten(1)).argmin(1)]
    return float((guesses == problem.test.y).float().mean())


def test_shapes_counts_and_the_recorded_source():
    problem = data.toy.images(classes=4, per_class=20, size=10, channels=3, validation=0.2, seed=5)
    assert problem.task.shape == (3, 10, 10)
    assert torch.bincount(problem.train.y).tolist() == [16] * 4
    assert torch.bincount(problem.validation.y).tolist() == [4] * 4
    assert torch.bincount(problem.test.y).tolist() == [20] * 4
    data.check_fingerprint(data.reopen(problem.spec.source), problem.spec.fingerprint)


def test_one_seed_one_toy():
    first, again, other = (data.toy.images(seed=s).spec.fingerprint for s in (0, 0, 1))
    assert first == again != other


def test_imbalance_falls_geometrically():
    problem = data.toy.images(classes=3, per_class=100, imbalance=25, validation=0)
    assert torch.bincount(problem.train.y).tolist() == [100, 20, 4]
    assert torch.bincount(problem.test.y).tolist() == [100] * 3


def test_learnable_but_not_trivial_so_that_good_rows_beat_random_ones():
    means, rows = [], []
    for seed in range(5):
        problem = data.toy.images(seed=seed)
        x, y = problem.train.x, problem.train.y
        labels = torch.arange(3)
        means.append(nearest(problem, torch.stack([x[y == k].mean(0) for k in labels]), labels))
        rows.append(nearest(problem, torch.stack([x[y == k][0] for k in labels]), labels))
    assert 0.75 < sum(means) / 5 < 1
    assert sum(rows) / 5 < sum(means) / 5 - 0.1


def test_impossible_toys_are_refused():
    for wrong in ({"classes": 1}, {"per_class": 1}, {"imbalance": 0.5}):
        with pytest.raises(AttarError, match="A toy needs 2 or more classes"):
            data.toy.images(**wrong)
