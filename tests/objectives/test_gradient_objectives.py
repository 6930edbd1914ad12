"""Objectives on gradients that sum over classes, and the regulariser by cross-entropy, against loops written out."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from attar import augment, checks, rng
from attar.batches import Images
from attar.distances import hidden_l1, hidden_squared, layerwise_cosine
from attar.objectives import ClassAware, ContrastiveGradientMatch, FeatureMatch, GradientMatch
from attar.plan import Plan
from attar.surrogates import Fresh, Online, Queue
from attar.surrogates.fresh import random_weights, skeleton
from attar.tasks import ImageClassification
from attar.training import passes
from attar.views import Everything, View

CLASSES = 3


def _view(task, batch, seed, change=None):
    change = change or augment.NoAugment()
    return View(batch, task.members(batch), Everything(), change, change, seed, 3)


def _loss(objective, scene, surrogate=None, x=None, state=None, change=None):
    task, weights, synthetic, real = scene
    rows = synthetic if x is None else synthetic.replace(x=x)
    views = _view(task, rows, 1, change), _view(task, real, 2, change)
    return objective.loss(task, surrogate or weights, *views, state or {"networks": 0})


def _gradient(weights, rows, scale):
    """Of the sum of the cross-entropies of rows, each times its scale."""
    leaves = {name: value.clone().requires_grad_() for name, value in weights.params.items()}
    losses = F.cross_entropy(torch.func.functional_call(weights.model, leaves, (rows.x,)), rows.y, reduction="none")
    return dict(zip(leaves, torch.autograd.grad((losses * scale).sum(), list(leaves.values())), strict=True))


@pytest.mark.parametrize("distance", [layerwise_cosine, hidden_l1, hidden_squared])
def test_contrastive_matching_is_the_distance_of_one_gradient_of_all_classes(scene, distance):
    _, weights, synthetic, real = scene
    share = torch.tensor([2.0, 1.0, 2.0]).double() / 5  # of the synthetic rows, on both sides
    here = _gradient(weights, synthetic, torch.full((5,), 1 / 5).double())
    there = _gradient(weights, real, (share / torch.tensor([9.0, 4.0, 1.0]))[real.y])
    loss, _, _ = _loss(ContrastiveGradientMatch(distance, warm_up=0), scene)
    assert loss.item() == pytest.approx(distance(here, there).item(), rel=1e-6)
    assert loss.item() != pytest.approx(_loss(GradientMatch(distance), scene)[0].item(), rel=1e-2)


def test_contrastive_matching_shows_both_sides_of_a_class_through_one_transform(scene):
    task, weights, synthetic, real = scene
    change = augment.Siamese("color")
    loss, _, _ = _loss(ContrastiveGradientMatch(warm_up=0), scene, change=change)
    views = [_view(task, rows, seed, change) for rows, seed in ((synthetic, 1), (real, 2))]
    seen = [[view.draw(group) for group in range(CLASSES)] for view in views]
    together = [parts[0].join(parts[1:]) for parts in seen]
    share = (torch.tensor([2.0, 1.0, 2.0]).double() / 5) / torch.tensor([9.0, 4.0, 1.0])
    here = _gradient(weights, together[0], torch.full((5,), 1 / 5).double())
    there = _gradient(weights, together[1], share[together[1].y])
    assert loss.item() == pytest.approx(layerwise_cosine(here, there).item(), rel=1e-6)


def test_the_warm_up_goes_class_by_class_in_the_first_steps_of_the_first_networks(scene):
    weights = scene[1]
    objective = ContrastiveGradientMatch(warm_up=2, young=2)
    by_class = _loss(GradientMatch(), scene)[0].item()
    state, found = objective.init(None, rng.generator(0)), []
    for age in (0, 1, 2, 0, 1, 0, 1):  # three networks, of which two warm up
        loss, _, state = _loss(objective, scene, replace(weights, age=age), state=state)
        found.append(loss.item() == pytest.approx(by_class, rel=1e-9))
    assert found == [True, True, False, True, True, False, False]
    assert state == {"networks": 3}


def test_the_warm_up_counts_what_online_replaces(toy):
    ages = []
    source = Online("convnet2-4", loops=((1, 3, 1),))
    state = source.init(toy, rng.generator(0))
    rows = toy.train.take(torch.tensor([0, 40, 80]))
    for step in range(5):
        views = _view(toy.task, rows, step), _view(toy.task, toy.train, step)
        surrogate, state = source.next(state, toy, *views, rng.generator(0, step))
        ages.append(surrogate.age)
    assert ages == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("accuracy", [None, 0.25, 0.0])
def test_class_aware_adds_each_classs_mean_cross_entropy_times_the_accuracy_in_per_cent(scene, accuracy):
    task, weights, synthetic, _ = scene
    known = None if accuracy is None else torch.tensor(accuracy)
    entropy = sum(
        task.loss(weights.model, weights.params, synthetic.take(torch.nonzero(synthetic.y == group).flatten())).item()
        for group in range(CLASSES)
    )
    plain = _loss(FeatureMatch(), scene)[0].item()
    loss, info, _ = _loss(ClassAware(weight=0.5), scene, replace(weights, accuracy=known))
    assert loss.item() == pytest.approx(plain + 0.5 * 100 * (1 if accuracy is None else accuracy) * entropy, rel=1e-6)
    assert info["matching"].item() == pytest.approx(plain, rel=1e-6)


def test_class_aware_looks_at_the_rows_that_were_matched(scene):
    """Its draws have the transform of the matching's, so one augmented row serves both."""
    task, _, synthetic, _ = scene
    change = augment.Siamese("color")
    seen = _view(task, synthetic, 1, change)
    matched, again = seen.draw(), [seen.draw(group) for group in range(CLASSES)]
    assert torch.equal(matched.x, torch.cat([batch.x for batch in again]))


@pytest.mark.parametrize(
    "objective",
    [ContrastiveGradientMatch(warm_up=0), GradientMatch(hidden_l1), GradientMatch(hidden_squared), ClassAware()],
)
def test_the_gradient_is_that_of_finite_differences(scene, objective):
    x = scene[2].x.clone().requires_grad_()
    [slope] = torch.autograd.grad(_loss(objective, scene, x=x)[0], [x])
    source = torch.Generator().manual_seed(3)
    for _ in range(2):
        direction = torch.randn(x.shape, generator=source, dtype=torch.float64)
        with torch.no_grad():
            up, down = x + 1e-6 * direction, x - 1e-6 * direction
        quotient = (_loss(objective, scene, x=up)[0] - _loss(objective, scene, x=down)[0]).item() / 2e-6
        assert (slope * direction).sum().item() == pytest.approx(quotient, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(
    ("objective", "source"),
    [
        (ContrastiveGradientMatch(), Fresh("convnet3-16")),
        (ContrastiveGradientMatch(warm_up=0), Fresh("convnet3-16")),
        (GradientMatch(hidden_squared), Online("convnet3-16", data="real")),
        (ClassAware(), Queue("convnet3-16", updates=1)),
        (ClassAware(GradientMatch()), Fresh("convnet3-16")),
    ],
)
def test_the_objectives_pass_the_public_checks(objective, source):
    checks.check_objective(objective, source)


@pytest.mark.parametrize("distance", [hidden_l1, hidden_squared])
def test_the_fast_plan_has_the_same_distance_and_gradient(distance):
    plain = ImageClassification((1, 8, 8), CLASSES)
    fast = replace(plain, plan=Plan(precision="bf16"))
    model = skeleton(plain, "convnet2-8")
    params = random_weights(plain, "convnet2-8", rng.generator(0, "weights"))
    source = torch.Generator().manual_seed(0)
    rows, others = (Images(torch.randn(6, 1, 8, 8, generator=source), torch.arange(6) % CLASSES) for _ in range(2))
    target, _ = passes.gradient(plain, model, params, others)
    found = []
    for task in (plain, fast):
        x = rows.x.clone().requires_grad_()
        value = passes.gradient_distance(task, model, params, rows.replace(x=x), target, distance)
        found.append((value.detach(), *torch.autograd.grad(value, [x])))
    assert fast.kernels(model) is not None
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-6)
    assert torch.nn.functional.cosine_similarity(found[0][1].flatten(), found[1][1].flatten(), dim=0) > 0.999
