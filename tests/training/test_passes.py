"""Features, gradients and their distances against ordinary autograd."""

import pytest
import torch

from attar import rng
from attar.batches import Images
from attar.distances import layerwise_cosine
from attar.plan import Plan
from attar.surrogates.fresh import random_weights, skeleton
from attar.tasks import ImageClassification
from attar.training import passes

TASK = ImageClassification((2, 8, 8), 3)


def _setting(chunk, name="convnet2-6"):
    task = ImageClassification(TASK.shape, TASK.classes, Plan(chunk=chunk))
    return task, skeleton(task, name), random_weights(task, name, rng.generator(0, "weights"))


def _batch(count=11, soft=False, weight=None):
    source = torch.Generator().manual_seed(0)
    y = torch.randint(3, (count,), generator=source)
    targets = torch.softmax(torch.randn(count, 3, generator=source), 1) if soft else y
    return Images(torch.randn(count, 2, 8, 8, generator=source), targets, weight)


def _reference(task, model, params, batch):
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    loss = task.loss(model, leaves, batch)
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True)), loss


WEIGHTS = torch.tensor([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 0.5, 0])


@pytest.mark.parametrize("chunk", [None, 1, 4, 11, 64])
@pytest.mark.parametrize(("soft", "weight"), [(False, None), (True, None), (False, WEIGHTS), (True, WEIGHTS)])
def test_a_gradient_in_chunks_is_the_gradient(chunk, soft, weight):
    setting, batch = _setting(chunk), _batch(soft=soft, weight=weight)
    if chunk == 1 and weight is not None:
        batch = batch.replace(weight=weight + 0.1)
    found, loss = passes.gradient(*setting, batch)
    wanted, value = _reference(*setting, batch)
    assert loss.item() == pytest.approx(value.item(), rel=1e-5)
    assert list(found) == list(wanted)
    for name, slope in wanted.items():
        assert torch.allclose(found[name], slope, atol=1e-5), name
    assert not loss.requires_grad
    assert not any(slope.requires_grad for slope in found.values())


def test_a_chunk_of_rows_without_weight_counts_for_nothing():
    weight = torch.tensor([1.0] * 4 + [0.0] * 7)
    found, loss = passes.gradient(*_setting(4), _batch(weight=weight))
    wanted, value = passes.gradient(*_setting(None), _batch().take(torch.arange(4)))
    assert loss.item() == pytest.approx(value.item(), rel=1e-5)
    for name, slope in wanted.items():
        assert torch.allclose(found[name], slope, atol=1e-5), name


@pytest.mark.parametrize("layers", [(-1,), (0,), (0, 1)])
def test_features_in_chunks_are_the_features(layers):
    task, model, params = _setting(4)
    found = passes.features(task, model, params, _batch(), layers)
    wanted = task.features(model, params, _batch())
    assert len(found) == len(layers)
    for layer, value in zip(layers, found, strict=True):
        assert torch.allclose(value, wanted[layer], atol=1e-6)
        assert not value.requires_grad


def test_features_of_rows_carry_a_gradient_to_them():
    task, model, params = _setting(4)
    batch = _batch()
    x = batch.x.clone().requires_grad_()
    [value] = passes.features_of(task, model, params, batch.replace(x=x))
    [slope] = torch.autograd.grad((value**2).sum(), [x])
    assert torch.allclose(value, passes.features(task, model, params, batch)[0], atol=1e-6)
    assert (slope.flatten(1).norm(dim=1) > 0).all()


def test_batch_norm_is_never_cut_into_chunks():
    found = [passes.gradient(*_setting(chunk, "convnet2-6-bn"), _batch())[0] for chunk in (4, None)]
    for name, slope in found[1].items():
        assert torch.equal(found[0][name], slope)


@pytest.mark.parametrize("soft", [False, True])
def test_the_distance_of_gradients_is_differentiable_in_the_rows(soft):
    task, model, params = _setting(None)
    target = {
        name: torch.randn(value.shape, generator=torch.Generator().manual_seed(1)) for name, value in params.items()
    }
    batch = _batch(5, soft)
    x = batch.x.clone().requires_grad_()
    value = passes.gradient_distance(task, model, params, batch.replace(x=x), target, layerwise_cosine)
    wanted = layerwise_cosine(_reference(task, model, params, batch)[0], target)
    assert value.item() == pytest.approx(wanted.item(), rel=1e-5)
    [slope] = torch.autograd.grad(value, [x])
    assert (slope.flatten(1).norm(dim=1) > 0).all()


def test_the_weights_are_left_alone():
    task, model, params = _setting(4)
    kept = {name: value.clone() for name, value in params.items()}
    passes.gradient(task, model, params, _batch())
    passes.features(task, model, params, _batch())
    assert all(torch.equal(value, kept[name]) for name, value in params.items())
    assert not any(value.requires_grad for value in params.values())
