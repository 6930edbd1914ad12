"""Published names compose parts and carry the papers' defaults."""

import inspect
from importlib.metadata import EntryPoint

import pytest
import torch

import attar
from attar import methods, rng
from attar.distances import cosine_distance, layerwise_cosine, squared_distance
from attar.method import is_iterative, name_of
from attar.methods import METHODS
from attar.objectives import FeatureMatch, GradientMatch
from attar.selection import KMeans, Noise, RandomReal
from attar.surrogates import Fresh, Online
from attar.types import AttarError, Budget


@pytest.mark.parametrize("name", METHODS)
def test_a_method_carries_its_published_name(name, made):
    assert name_of(made(name)) == name


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_is_documented_for_the_command_line(name):
    """`--lr` takes its help from the parameter's line in the docstring."""
    text = inspect.getdoc(METHODS[name])
    for parameter in inspect.signature(METHODS[name]).parameters:
        assert f"\n    {parameter}: " in text, f"{name} does not say what {parameter} is"
    assert "Reference:" in text or name == "random"


def test_dm_is_features_of_fresh_networks():
    method = methods.dm()
    assert method.objective == FeatureMatch()
    assert method.surrogates == Fresh("convnet3")
    assert (method.optimisers["data"].lr, method.optimisers["data"].momentum) == (1.0, 0.5)
    assert method.real_rows.size == 256
    assert method.initial == RandomReal()
    assert method.augmentation == "default"


def test_dc_is_gradients_of_a_network_trained_on_the_way():
    method = methods.dc()
    assert method.objective == GradientMatch(layerwise_cosine)
    assert method.surrogates == Online("convnet3", lr=0.01)
    assert (method.optimisers["data"].lr, method.optimisers["data"].momentum) == (0.1, 0.5)
    assert method.initial == Noise()
    assert method.augmentation == ""


def test_dsa_is_dc_through_an_augmentation_from_real_rows():
    method = methods.dsa()
    assert method.objective == methods.dc().objective
    assert method.surrogates == methods.dc().surrogates
    assert method.augmentation == "default"
    assert method.initial == RandomReal()


def test_settings_reach_their_parts():
    method = methods.dsa(
        "mlp", lr=2.0, momentum=0.0, batch=7, lr_model=0.5, distance="squared", augmentation="flip", initial="kmeans"
    )
    assert method.surrogates.model == "mlp"
    assert method.surrogates.lr == 0.5
    assert (method.optimisers["data"].lr, method.optimisers["data"].momentum) == (2.0, 0.0)
    assert method.real_rows.size == 7
    assert method.objective.distance is squared_distance
    assert methods.dc(distance="cosine").objective.distance is cosine_distance
    assert method.augmentation == "flip"
    assert method.initial == KMeans()


def test_loops_are_the_published_ones_unless_given():
    assert [loop[1:] for loop in methods.dc().surrogates.loops] == [
        (1, 1),
        (10, 50),
        (20, 25),
        (30, 20),
        (40, 15),
        (50, 10),
    ]
    assert {loop[1:] for loop in methods.dc(matchings=3, epochs=0).surrogates.loops} == {(3, 0)}
    assert [loop[1:] for loop in methods.dc(epochs=2).surrogates.loops] == [
        (1, 2),
        (10, 2),
        (20, 2),
        (30, 2),
        (40, 2),
        (50, 2),
    ]


def test_finding_a_method_by_name():
    assert methods.find("dsa") is methods.dsa
    with pytest.raises(AttarError, match=r"no method 'dmm': did you mean dm\? Known methods: .*craig, .*dm, dsa"):
        methods.find("dmm")
    with pytest.raises(AttarError, match="no method 'zzzz'"):
        methods.find("zzzz")


def test_installed_packages_add_methods(monkeypatch):
    plug_in = EntryPoint("collections_counter", "collections:Counter", "attar.methods")
    monkeypatch.setattr(methods, "entry_points", lambda group: [plug_in])
    assert methods.find("collections_counter").__name__ == "Counter"
    assert next(row for row in methods.catalogue() if row["name"] == "collections_counter")["family"] == "plug-in"


def test_the_catalogue_says_family_modality_and_paper_of_every_method():
    rows = {row["name"]: row for row in methods.catalogue()}
    assert set(METHODS) <= set(rows)
    for row in rows.values():
        assert set(row) == {"name", "family", "modality", "paper"}
        assert all(row.values())
    assert rows["dm"]["family"] == "distribution matching"


# -- direct methods


def _value(method, problem, budget, seed=0):
    assert not is_iterative(method)
    return method.finish(problem, budget, rng.generator(seed, "method"))


def test_random_rows_are_rows_with_their_labels(toy, train_rows):
    value = _value(methods.random(), toy, Budget(per_class=4))
    ids = train_rows(value, toy)
    assert torch.equal(value.data.x, toy.spec.normalisation.undo(toy.train.x[ids]))
    assert torch.equal(value.data.y, toy.train.y[ids])
    assert len(set(ids.tolist())) == 12


def test_centroids_lie_within_the_data(toy):
    value = _value(methods.kmeans(), toy, Budget(per_class=2))
    assert value.data.y.tolist() == [0, 0, 1, 1, 2, 2]
    assert value.data.x.min() >= 0
    assert value.data.x.max() <= 1
    assert not value.selected


def test_medoids_of_k_means_are_rows(toy, train_rows):
    value = _value(methods.kmeans("medoids"), toy, Budget(per_class=3))
    ids = train_rows(value, toy)
    assert torch.equal(value.data.x, toy.spec.normalisation.undo(toy.train.x[ids]))
    assert len(set(ids.tolist())) == 9
    assert torch.bincount(toy.train.y[ids]).tolist() == [3, 3, 3]


@pytest.mark.parametrize("method", [methods.random(), methods.kmeans(), methods.kmeans("medoids")])
def test_direct_methods_keep_an_uneven_budget(method):
    uneven = attar.data.toy.images(per_class=40, imbalance=8)
    budget = Budget(size=9)
    value = _value(method, uneven, budget)
    assert torch.bincount(value.data.y).tolist() == list(budget.counts([len(rows) for rows in uneven.members.values()]))


def test_a_whole_class_may_be_kept(train_rows):
    uneven = attar.data.toy.images(per_class=40, imbalance=8)
    for method in (methods.random(), methods.kmeans("medoids")):
        value = _value(method, uneven, Budget(fraction=1.0))
        assert sorted(train_rows(value, uneven).tolist()) == list(range(len(uneven.train)))
