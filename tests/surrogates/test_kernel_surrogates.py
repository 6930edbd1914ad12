"""Kernels as surrogates, and networks that regress on the synthetic rows."""

import pytest
import torch
from torch.func import functional_call

import attar
from attar import rng
from attar.augment import NoAugment
from attar.distances import Convolutional, FullyConnected
from attar.surrogates import FixedKernel, Kernel, Population, RandomFeatures
from attar.surrogates.fresh import skeleton
from attar.training.optimisers import SGD
from attar.types import AttarError
from attar.views import Everything, View


def _side(toy, count=6):
    rows = toy.train.take(torch.arange(count))
    members = {group: ids for group, ids in toy.task.members(rows).items()}
    return View(rows, members, Everything(), NoAugment(), NoAugment(), 1, 2)


def test_a_fixed_kernel_is_of_the_rows(toy):
    side = _side(toy)
    source = FixedKernel(FullyConnected(2))
    kernel, _ = source.next(source.init(toy, rng.generator(0)), toy, side, side, rng.generator(1))
    assert isinstance(kernel, Kernel)
    found = kernel.between(*(kernel.represent(side.batch, learned) for learned in (True, False)))
    assert torch.allclose(found, FullyConnected(2)(side.batch.x, side.batch.x))


def test_random_features_approach_the_infinite_network(toy):
    """Of a ConvNet without norms: convolutions with average pooling, flattened, as the closed form has them."""
    side = _side(toy, 4)
    source = RandomFeatures("convnet2-256-none", networks=40)
    kernel, _ = source.next(source.init(toy, rng.generator(0)), toy, side, side, rng.generator(1))
    rows = kernel.represent(side.batch, False)
    wanted = Convolutional(2, "nngp", pooling=True)(side.batch.x, side.batch.x)
    assert torch.allclose(kernel.between(rows, rows), wanted, rtol=0.05, atol=0.02)
    again, _ = source.next({}, toy, side, side, rng.generator(2))
    assert not torch.equal(again.represent(side.batch, False), rows), "each step draws its networks anew"


def test_random_features_are_differentiable_in_the_rows_that_are_learned(toy):
    side = _side(toy, 2)
    source = RandomFeatures("convnet2-8-none", networks=2)
    kernel, _ = source.next({}, toy, side, side, rng.generator(1))
    x = side.batch.x.clone().requires_grad_()
    [slope] = torch.autograd.grad(kernel.represent(side.batch.replace(x=x), True).sum(), [x])
    assert slope.abs().sum() > 0
    assert not kernel.represent(side.batch.replace(x=x), False).requires_grad


def test_a_population_regresses_on_the_rows_before_a_network_judges_again(toy):
    side = _side(toy)
    source = Population("convnet2-8", count=1, updates=3, optimiser=SGD(0.1))
    state = source.init(toy, rng.generator(0))
    first, state = source.next(state, toy, side, side, rng.generator(1))
    second, state = source.next(state, toy, side, side, rng.generator(2))
    model = skeleton(toy.task, "convnet2-8")
    leaves = {name: value.clone().requires_grad_() for name, value in first.params.items()}
    targets = torch.nn.functional.one_hot(side.batch.y, len(toy.task.groups)) - 1 / len(toy.task.groups)
    loss = ((functional_call(model, leaves, (side.batch.x,)) - targets) ** 2).mean()
    for (name, value), slope in zip(leaves.items(), torch.autograd.grad(loss, list(leaves.values())), strict=True):
        assert torch.allclose(second.params[name], value - 0.1 * slope, atol=1e-6), name
    assert (first.age, second.age) == (0, 1)


def test_a_network_begins_anew_after_its_last_update(toy):
    side = _side(toy)
    source = Population("convnet2-4", count=1, updates=2)
    state, ages = source.init(toy, rng.generator(0)), []
    for step in range(6):
        weights, state = source.next(state, toy, side, side, rng.generator(step))
        ages.append(weights.age)
    assert ages == [0, 1, 0, 1, 0, 1]
    assert state["born"] == 3


def test_a_population_begins_with_spread_ages(toy):
    state = Population("convnet2-4", count=4, updates=100).init(toy, rng.generator(0))
    assert [network["age"] for network in state["networks"]] == [0, 25, 50, 75]


def test_a_population_that_is_under_way_has_judged_and_is_else_the_same(toy):
    source = Population("convnet2-4", count=3, updates=100)
    state = source.init(toy, rng.generator(0))
    later = source.underway(state)
    assert [network["served"] for network in later["networks"]] == [True] * 3
    assert [network["served"] for network in state["networks"]] == [False] * 3, "what is given is left as it is"
    for one, two in zip(state["networks"], later["networks"], strict=True):
        assert {**one, "served": True} == two


def test_settings_that_make_no_sense_are_refused(toy):
    with pytest.raises(AttarError, match="estimate no kernel"):
        RandomFeatures(networks=0)
    with pytest.raises(AttarError, match="make no kernel"):
        RandomFeatures(weight_variance=0)
    with pytest.raises(AttarError, match="count=0"):
        Population(count=0)
    with pytest.raises(AttarError, match="RidgeMatch reads Kernel or Weights"):
        attar.Matching(attar.objectives.RidgeMatch(), attar.surrogates.Expert.__new__(attar.surrogates.Expert))
