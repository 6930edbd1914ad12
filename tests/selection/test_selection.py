"""Picking real rows, and where synthetic rows start."""

import builtins

import pytest
import torch

import attar
from attar import rng
from attar.selection import INITIALS, Herding, KMeans, Noise, RandomReal, class_centroids, random_rows
from attar.selection.clusters import medoids
from attar.types import AttarError, Budget


def _source(seed=0):
    return rng.generator(seed, "test")


@pytest.fixture(scope="module")
def uneven():
    return attar.data.toy.images(classes=3, per_class=40, imbalance=8)


@pytest.mark.parametrize("budget", [Budget(per_class=2), Budget(size=11), Budget(fraction=0.2)])
def test_random_rows_keep_the_budget_class_by_class(uneven, budget):
    rows = random_rows(uneven, budget, _source())
    wanted = budget.counts([len(ids) for ids in uneven.members.values()])
    assert len(set(rows.tolist())) == len(rows)
    labels = uneven.train.y[rows]
    assert torch.bincount(labels, minlength=3).tolist() == list(wanted)
    assert labels.tolist() == sorted(labels.tolist())


def test_random_rows_reach_every_row(toy):
    seen = set()
    for seed in range(40):
        seen |= set(random_rows(toy, Budget(per_class=12), _source(seed)).tolist())
    assert len(seen) == len(toy.train)


def test_a_class_that_is_too_small_is_named(uneven):
    with pytest.raises(AttarError, match="class 'template 1' has"):
        random_rows(uneven, Budget(per_class=20), _source())


def test_one_centroid_a_class_is_its_mean(toy):
    centres, labels = class_centroids(toy, Budget(per_class=1), _source())
    assert labels.tolist() == [0, 1, 2]
    for group, rows in toy.members.items():
        assert torch.allclose(centres[group], toy.train.x[rows].mean(0), atol=0.15)


def test_centroids_explain_more_than_random_rows(toy):
    def spread(points, labels):
        total = 0.0
        for group, rows in toy.members.items():
            gaps = torch.cdist(toy.train.x[rows].flatten(1), points[labels == group].flatten(1))
            total += float((gaps.min(1).values ** 2).sum())
        return total

    centres, labels = class_centroids(toy, Budget(per_class=4), _source())
    drawn = random_rows(toy, Budget(per_class=4), _source())
    assert spread(centres, labels) < 0.8 * spread(toy.train.x[drawn], toy.train.y[drawn])


def test_as_many_centroids_as_rows_are_the_rows():
    small = attar.data.toy.images(per_class=40, validation=0.0)
    centres, labels = class_centroids(small, Budget(per_class=40), _source())
    gaps = torch.cdist(centres.flatten(1), small.train.x.flatten(1))
    assert sorted(gaps.argmin(1).tolist()) == list(range(120))
    assert torch.equal(labels, small.train.y[gaps.argmin(1)])


def test_a_class_with_fewer_distinct_rows_than_centroids_is_named():
    x = torch.rand(20, 8, 8, generator=torch.Generator().manual_seed(0))
    x[10:] = x[10]
    problem = attar.data.arrays(x.numpy(), [0] * 10 + [1] * 10, class_names=["cat", "dog"])
    with pytest.raises(AttarError, match="Class 'dog' has 1 distinct rows and k-means was asked for 2 centres: lower"):
        class_centroids(problem, Budget(per_class=2), _source())


def test_medoids_are_distinct_even_where_centres_coincide_and_take_what_is_asked_for():
    x = torch.tensor([[0.0], [0.1], [0.2], [5.0], [5.1], [9.0]])
    picked = medoids(x, 3, generator=_source())
    assert {1, 5} < set(picked.rows.tolist())
    assert len(set(picked.rows.tolist())) == 3
    assert sorted(picked.represents.tolist()) == [1, 2, 3]
    asked = medoids(x, 3, fixed=torch.tensor([0]), generator=_source())
    assert asked.rows[0] == 0
    assert {1, 2}.isdisjoint(asked.rows.tolist())  # row 0 stands in the place of their centre
    assert asked.reasons[0] == "asked for"
    everything = medoids(x, 6, generator=_source())
    assert sorted(everything.rows.tolist()) == list(range(6))


def test_k_means_without_scikit_learn_says_what_to_install(toy, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AttarError, match=r"pip install 'attar\[selection\]'"):
        class_centroids(toy, Budget(per_class=1), _source())


@pytest.mark.parametrize("name", INITIALS)
@pytest.mark.parametrize("budget", [Budget(per_class=2), Budget(size=9)])
def test_every_start_keeps_the_budget_repeats_with_its_generator_and_leaves_the_data_alone(uneven, name, budget):
    before = uneven.train.x.clone()
    rows, again, other = (INITIALS[name](uneven, budget, _source(seed)) for seed in (0, 0, 1))
    wanted = budget.counts([len(ids) for ids in uneven.members.values()])
    assert torch.bincount(rows.y, minlength=3).tolist() == list(wanted)
    assert rows.x.shape[1:] == uneven.train.x.shape[1:]
    assert torch.equal(rows.x, again.x)
    assert name in ("kmeans", "herding") or not torch.equal(rows.x, other.x)
    assert torch.equal(uneven.train.x, before)


def test_noise_is_standard_gaussian(toy):
    x = Noise()(toy, Budget(per_class=30), _source()).x
    assert abs(float(x.mean())) < 0.05
    assert abs(float(x.std()) - 1) < 0.05


def test_real_rows_are_rows_of_their_class(toy):
    rows = RandomReal()(toy, Budget(per_class=3), _source())
    for x, y in zip(rows.x, rows.y, strict=True):
        assert any(torch.equal(x, candidate) for candidate in toy.train.x[toy.members[int(y)]])


def test_k_means_starts_at_the_centroids(toy):
    centres, labels = class_centroids(toy, Budget(per_class=2), _source())
    rows = KMeans()(toy, Budget(per_class=2), _source())
    assert torch.equal(rows.x, centres)
    assert torch.equal(rows.y, labels)


def test_herding_starts_at_the_rows_that_herding_chooses(toy):
    rows = Herding()(toy, Budget(per_class=2), _source())
    chosen = attar.methods.herding().choose(toy, Budget(per_class=2), _source()).rows
    assert torch.equal(rows.x, toy.train.x[chosen])
    assert torch.equal(rows.y, toy.train.y[chosen])
