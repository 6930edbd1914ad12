"""What dcc, idc and idm are made of, and that their parts work together."""

import pytest
import torch

import attar
from attar import methods, recipes, rng
from attar.augment import CutMix, NoAugment, Siamese
from attar.distances import cosine_distance, hidden_l1, hidden_squared, layerwise_cosine
from attar.estimate import rehearse
from attar.objectives import ClassAware, ContrastiveGradientMatch, FeatureMatch, GradientMatch
from attar.plan import Plan
from attar.selection import RandomReal
from attar.surrogates import Online, Queue
from attar.synthetic import MultiFormation, Pixels
from attar.types import Budget
from attar.views import Everything, PerClass

SMALL = {
    "dcc": {"model": "convnet2-4", "warm_up": 0},
    "idc": {"model": "convnet2-4", "updates": 2},
    "idm": {"model": "convnet2-4", "updates": 2},
}


def test_dcc_is_dc_with_the_classes_in_one_gradient_from_real_rows():
    method, plain = methods.dcc(), methods.dc()
    assert method.objective == ContrastiveGradientMatch(layerwise_cosine, 250, 10)
    assert method.optimisers == plain.optimisers
    assert (method.synthetic, method.initial, method.augmentation) == (Pixels(), RandomReal(), "")
    assert method.real_rows == PerClass(256)
    assert [loop[1:] for loop in method.surrogates.loops] == [(10, 5), (10, 50), (20, 25), (30, 20), (40, 15), (50, 10)]
    assert method.surrogates.loops[1:] == plain.surrogates.loops[1:]
    other = methods.dcc(distance="cosine", matchings=2, epochs=0, warm_up=3, young=4, augmentation="default")
    assert other.objective == ContrastiveGradientMatch(cosine_distance, 3, 4)
    assert {loop[1:] for loop in other.surrogates.loops} == {(2, 0)}
    assert other.augmentation == "default"


def test_idc_is_gradients_of_hidden_layers_of_networks_trained_on_real_rows():
    method = methods.idc()
    assert method.objective == GradientMatch(hidden_squared)
    assert method.synthetic == MultiFormation(2)
    assert method.augmentation == Siamese("color_crop_cutout", mode="multiple")
    assert (method.real_rows, method.synthetic_rows) == (PerClass(64), PerClass(128))
    source = method.surrogates
    assert (source.data, source.lr, source.momentum, source.weight_decay) == ("real", 0.01, 0.9, 5e-4)
    assert (source.batch, source.updates, source.mixing) == (64, 8, CutMix(0.5))
    assert source.augment == Siamese("color_crop", mode="multiple", shared=False), "CutMix is in place of cutouts"
    assert {source._loop(rows)[0] for rows in (1, 40, 200)} == {100}


def test_settings_of_idc_reach_their_parts():
    method = methods.idc("mlp", factor=1, matchings=5, updates=0, distance="l1", augmentation="", cutmix=0.0, lr=0.5)
    assert (method.objective, method.synthetic) == (GradientMatch(hidden_l1), MultiFormation(1))
    assert (method.augmentation, method.surrogates.augment, method.surrogates.mixing) == (
        NoAugment(),
        NoAugment(),
        None,
    )
    assert (method.surrogates.model, method.surrogates.updates) == ("mlp", 0)
    assert method.optimisers["data"].lr == 0.5
    assert methods.idc(cutmix=0.0).surrogates.augment == Siamese("color_crop_cutout", mode="multiple", shared=False)


def test_the_step_size_of_idc_goes_by_its_distance():
    assert methods.idc().optimisers["data"].lr == 0.12
    assert methods.idc(distance="l1").optimisers["data"].lr == 0.001


@pytest.mark.parametrize(
    ("data", "raw", "std"), [("mnist", 1e-4, 0.3081), ("fashion-mnist", 1e-4, 0.3530), ("cifar10", 5e-3, 0.201)]
)
def test_recipes_of_idc_hold_the_published_step_sizes_in_normalised_units(data, raw, std):
    for rows in (1, 10, 50):
        found = recipes.settings("idc", data, Budget(per_class=rows))
        assert found["lr"] == pytest.approx(raw / std**2 * rows / 10, rel=0.01)
        assert found["steps"] == 200_000


def test_idm_is_features_under_a_queue_of_networks_that_have_a_word_on_classes():
    method = methods.idm()
    assert method.objective == ClassAware(FeatureMatch(), 0.5)
    assert method.surrogates == Queue("convnet3", 100, 30, 2, 10, 256, 0.01, 0.9, 5e-4)
    assert method.synthetic == MultiFormation(2)
    assert (method.optimisers["data"].lr, method.optimisers["data"].momentum) == (0.2, 0.5)
    assert (method.real_rows, method.synthetic_rows, method.augmentation) == (PerClass(256), Everything(), "default")
    small = methods.idm("mlp", weight=2.0, networks=5, interval=4, trained=3, updates=1, lr_model=0.5)
    assert small.surrogates == Queue("mlp", 5, 4, 3, 1, lr=0.5)
    assert small.objective.weight == 2.0


@pytest.mark.parametrize("name", SMALL)
def test_a_step_can_be_rehearsed_without_numbers(toy, name):
    method = methods.METHODS[name](**SMALL[name])
    plan = Plan.on("cpu")
    state = method.init(toy.planned(plan), Budget(per_class=2), rng.generator(0, "method"))
    assert rehearse(method, toy, state, plan) > 0


@pytest.mark.parametrize("name", SMALL)
def test_uneven_budgets_work(name):
    uneven = attar.data.toy.images(per_class=40, imbalance=8)
    method, budget = methods.METHODS[name](**SMALL[name]), Budget(size=9)
    *_, last = attar.run(method, uneven, budget, steps=2, seed=0)
    value = method.finish(uneven, last.state)
    each = 1 if name == "dcc" else 4
    counts = budget.counts([len(rows) for rows in uneven.members.values()])
    assert torch.bincount(value.data.y).tolist() == [each * count for count in counts]


@pytest.mark.parametrize("kind", [Online, Queue])
def test_the_network_of_these_methods_learns_from_real_rows(toy, kind):
    """After some steps the last network knows the data, which no synthetic row has taught it."""
    method = methods.idc("convnet2-8", lr_model=0.05) if kind is Online else methods.idm("convnet2-8", lr_model=0.05)
    assert isinstance(method.surrogates, kind)
    *_, last = attar.run(method, toy, Budget(per_class=1), steps=12, seed=0)
    surrogates = last.state["surrogates"]
    params = surrogates["params"] if kind is Online else surrogates["networks"][0]["params"]
    model = toy.task.build("convnet2-8")
    model.load_state_dict(params)
    assert toy.task.metric(model, toy.train) > 0.8
