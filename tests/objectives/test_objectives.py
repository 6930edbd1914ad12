"""Objectives against loops written out on a tiny network."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import attar
from attar import augment, checks, rng
from attar.distances import cosine_distance, layerwise_cosine, mean_distance, squared_distance
from attar.objectives import FeatureMatch, GradientMatch
from attar.plan import Plan
from attar.surrogates import Fresh, Online, Weights
from attar.surrogates.fresh import random_weights, skeleton
from attar.training import passes
from attar.views import Everything, PerClass, View

CLASSES = 3


def _view(task, batch, seed, learned=None):
    nothing = augment.NoAugment()
    return View(batch, task.members(batch), Everything(), nothing, nothing, seed, 3, learned or {})


def _loss(objective, scene, x=None, **fields):
    task, surrogate, synthetic, real = scene
    rows = synthetic.replace(**({} if x is None else {"x": x}), **fields)
    loss, _, _ = objective.loss(task, surrogate, _view(task, rows, 1), _view(task, real, 2), {})
    return loss


def _network(model, params, x):
    return torch.func.functional_call(model, params, (x,))


def test_feature_match_is_the_squared_gap_of_class_means(scene):
    _, surrogate, synthetic, real = scene
    total = 0.0
    for group in range(CLASSES):
        means = []
        for batch in (real, synthetic):
            rows = batch.x[batch.y == group]
            embedded = [
                torch.func.functional_call(surrogate.model, dict(surrogate.params), (x[None],), {"features": True})[-1]
                for x in rows
            ]
            means.append(torch.cat(embedded).flatten(1).mean(0))
        total += float(((means[0] - means[1]) ** 2).sum())
    assert _loss(FeatureMatch(), scene).item() == pytest.approx(total, rel=1e-6)


def test_feature_match_adds_up_over_the_layers_asked_for(scene):
    each = [_loss(FeatureMatch(layers=(layer,)), scene).item() for layer in (0, 1)]
    assert each[0] != pytest.approx(each[1])
    assert _loss(FeatureMatch(layers=(0, 1)), scene).item() == pytest.approx(sum(each), rel=1e-6)


@pytest.mark.parametrize("distance", [layerwise_cosine, squared_distance, cosine_distance])
def test_gradient_match_is_the_sum_over_classes_of_the_gap_of_mean_gradients(scene, distance):
    _, surrogate, synthetic, real = scene
    total = 0.0
    for group in range(CLASSES):
        gradients = []
        for batch in (real, synthetic):
            sums = {name: torch.zeros_like(value) for name, value in surrogate.params.items()}
            rows = batch.x[batch.y == group]
            for x in rows:
                leaves = {name: value.clone().requires_grad_() for name, value in surrogate.params.items()}
                loss = -torch.log_softmax(_network(surrogate.model, leaves, x[None]), 1)[0, group]
                for name, slope in zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True):
                    sums[name] += slope / len(rows)
            gradients.append(sums)
        total += float(distance(gradients[1], gradients[0]))
    assert _loss(GradientMatch(distance), scene).item() == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize(
    "objective",
    [
        FeatureMatch(),
        FeatureMatch(layers=(0, 1)),
        GradientMatch(),
        GradientMatch(squared_distance),
        GradientMatch(cosine_distance),
    ],
)
def test_the_gradient_reaches_the_rows_and_is_that_of_finite_differences(scene, objective):
    x = scene[2].x.clone().requires_grad_()
    [slope] = torch.autograd.grad(_loss(objective, scene, x), [x])
    source = torch.Generator().manual_seed(3)
    for _ in range(3):
        direction = torch.randn(x.shape, generator=source, dtype=torch.float64)
        step = 1e-6
        with torch.no_grad():
            up, down = x + step * direction, x - step * direction
        quotient = (_loss(objective, scene, up) - _loss(objective, scene, down)).item() / (2 * step)
        assert (slope * direction).sum().item() == pytest.approx(quotient, rel=1e-4, abs=1e-7)


def test_the_gradient_of_gradient_match_reaches_soft_labels(scene):
    targets = torch.softmax(torch.randn(5, CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(4)), 1)
    hard = torch.nn.functional.one_hot(scene[2].y, CLASSES).double()
    y = (0.9 * hard + 0.1 * targets).requires_grad_()
    [slope] = torch.autograd.grad(_loss(GradientMatch(), scene, y=y), [y])
    direction = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        up, down = y + 1e-6 * direction, y - 1e-6 * direction
    quotient = (_loss(GradientMatch(), scene, y=up) - _loss(GradientMatch(), scene, y=down)).item() / 2e-6
    assert (slope * direction).sum().item() == pytest.approx(quotient, rel=1e-4)


@pytest.mark.parametrize("objective", [FeatureMatch(), GradientMatch()])
def test_the_real_side_in_chunks_is_the_real_side_at_once(scene, objective):
    task, *rest = scene
    at_once = (replace(task, plan=Plan(chunk=None)), *rest)
    assert _loss(objective, scene).item() == pytest.approx(_loss(objective, at_once).item(), rel=1e-6)


def test_batch_norm_sees_all_rows_of_a_side_together(toy):
    """In chunks a network with batch norm would be another network."""
    small = toy.planned(Plan(chunk=5))
    found = []
    for problem in (small, toy.planned(Plan(chunk=None))):
        model = skeleton(problem.task, "convnet2-4-bn")
        params = random_weights(problem.task, "convnet2-4-bn", rng.generator(0, "w"))
        rows = View(problem.train, problem.members, PerClass(20), augment.NoAugment(), augment.NoAugment(), 1, 2)
        found.append(passes.features(problem.task, model, params, rows.draw())[0])
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize(
    "objective", [FeatureMatch(), FeatureMatch(layers=(0, 1, 2)), GradientMatch(), GradientMatch(squared_distance)]
)
@pytest.mark.parametrize("source", [Fresh("convnet3-16"), Online("convnet3-16")])
def test_objectives_pass_the_public_checks(objective, source):
    checks.check_objective(objective, source)


def test_a_distance_of_ones_own_is_a_part_like_any_other(scene):
    def twice(*args):
        return 2 * mean_distance(*args)

    assert _loss(FeatureMatch(twice), scene).item() == pytest.approx(2 * _loss(FeatureMatch(), scene).item())


def test_an_objective_reads_any_network(scene):
    task, _, synthetic, real = scene
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double().requires_grad_(False)
    weights = Weights(linear, dict(linear.named_parameters()))
    assert _loss(GradientMatch(), (task, weights, synthetic, real)).item() > 0


def test_layers_that_the_network_does_not_have_are_refused(toy):
    method = replace(attar.methods.dm("convnet2-8", batch=8), objective=FeatureMatch(layers=(0, 5)))
    state = method.init(toy, attar.Budget(per_class=1), rng.generator(0))
    with pytest.raises(attar.AttarError, match="has 2 layers of features"):
        method.step(toy, state)
