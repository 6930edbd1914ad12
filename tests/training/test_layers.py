"""Features of all layers by the fast passes of ConvNet, against the plain network."""

import shutil

import pytest
import torch

from attar import rng
from attar.batches import Images
from attar.distances import SpatialAttention
from attar.models import fused
from attar.models.kernels import Kernels, joined
from attar.plan import Plan
from attar.surrogates.fresh import random_weights, skeleton
from attar.tasks import ImageClassification
from attar.training import passes

SHAPE, MODEL, CLASSES = (1, 28, 28), "convnet3-8", 4
CHOICES = ["all", (0, 1, 2), (2, 0), (1,), (0,), (-1, -3)]


class Sums:
    """Class sums of the lowest layer and the last features, as `LayerwiseMatch` keeps them."""

    def __call__(self, features, share):
        return [features[-1].flatten(1)], [share.T @ features[0].flatten(1)]


@pytest.fixture
def sides(monkeypatch):
    """A task that uses kernels in fp32, in chunks of 5, and one that does not; a network, its weights and rows."""
    plain, fast = (ImageClassification(SHAPE, CLASSES, Plan(chunk=chunk)) for chunk in (None, 5))
    made = Kernels(fused.padding(SHAPE), torch.float32, False, 5)
    monkeypatch.setattr(ImageClassification, "kernels", lambda task, model: made if task.plan.chunk == 5 else None)
    params = random_weights(plain, MODEL, rng.generator(0, "weights"))
    source = torch.Generator().manual_seed(1)
    for value in params.values():  # norms start at 1 and 0 and biases small: make them count
        value.add_(0.1 * torch.randn(value.shape, generator=source))
    batch = Images(torch.randn(13, *SHAPE, generator=source), torch.randint(CLASSES, (13,), generator=source))
    return fast, plain, skeleton(plain, MODEL), params, batch


def _close(found, wanted, tolerance=2e-5):
    found, wanted = found.detach(), wanted.detach()
    return float((found - wanted).norm()) <= tolerance * float(wanted.norm()) + 1e-7


@pytest.mark.parametrize("layers", CHOICES, ids=str)
def test_layers(sides, layers):
    fast, plain, model, params, batch = sides
    found, wanted = (passes.features(task, model, params, batch, layers) for task in (fast, plain))
    assert [value.shape for value in found] == [value.shape for value in wanted]
    assert all(_close(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("layers", CHOICES, ids=str)
def test_gradients_of_the_images_through_layers(sides, layers):
    fast, plain, model, params, batch = sides
    slopes = []
    for task in (fast, plain):
        x = batch.x.clone().requires_grad_()
        outputs = passes.features_of(task, model, params, batch.replace(x=x), layers)
        source = torch.Generator().manual_seed(3)
        loss = sum(((value - torch.randn(value.shape, generator=source)) ** 2).sum() for value in outputs)
        slopes.append(torch.autograd.grad(loss, [x])[0])
    assert _close(*slopes, 3e-5)


def test_a_layer_that_the_loss_does_not_use_adds_no_gradient(sides):
    fast, plain, model, params, batch = sides
    slopes = []
    for task in (fast, plain):
        x = batch.x.clone().requires_grad_()
        outputs = passes.features_of(task, model, params, batch.replace(x=x), "all")
        slopes.append(torch.autograd.grad((outputs[1] ** 2).sum(), [x])[0])
    assert _close(*slopes, 3e-5)


@pytest.mark.parametrize("chunk", [3, 5, 13, None])
def test_what_is_kept_of_chunks_does_not_see_the_rows_that_fill_them(sides, chunk):
    """13 rows in chunks of 5 are filled up to 15, which is no reason to cut the sums of 15 classes."""
    fast, plain, model, params, batch = sides
    [wide] = passes.features(
        fast, model, params, batch, "all", lambda f, w: ((), [w.T @ f[0].flatten(1)]), torch.ones(13, 15)
    )
    assert len(wide) == 15
    cut = ImageClassification(SHAPE, CLASSES, Plan(chunk=chunk))
    [wanted] = passes.features(plain, model, params, batch, (0,))
    wanted_sums = torch.nn.functional.one_hot(batch.y, CLASSES).float().T @ wanted.flatten(1)
    for task in (fast, cut):
        last, sums = passes.features(task, model, params, batch, "all", Sums())
        assert _close(sums, wanted_sums)
        assert len(last) == 13


def test_shares_are_labels_times_weights(sides):
    task, batch = sides[1], sides[4]
    weight = torch.arange(13.0)
    share = passes.shares(task, batch.replace(weight=weight))
    assert torch.equal(share.sum(1), weight)
    assert torch.equal(share.argmax(1)[1:], batch.y[1:])
    soft = torch.softmax(torch.randn(13, CLASSES), 1)
    assert torch.equal(passes.shares(task, batch.replace(y=soft)), soft)


@pytest.mark.parametrize("soft", [False, True])
def test_the_loss_of_rows_is_that_of_the_plain_network(sides, soft):
    fast, plain, model, params, batch = sides
    y = torch.softmax(torch.randn(13, CLASSES, generator=torch.Generator().manual_seed(2)), 1) if soft else batch.y
    weight = torch.arange(13.0)
    found = []
    for task in (fast, plain):
        x = batch.x.clone().requires_grad_()
        value = passes.loss_of(task, model, params, batch.replace(x=x, y=y, weight=weight))
        found.append((value.detach(), torch.autograd.grad(value, [x])[0]))
    assert found[0][0].item() == pytest.approx(found[1][0].item(), rel=1e-5)
    assert _close(found[0][1], found[1][1], 3e-5)


def test_accuracy_is_that_of_the_plain_network(sides):
    fast, plain, model, params, batch = sides
    logits = torch.func.functional_call(model, params, (batch.x,))
    wanted = float((logits.argmax(1) == batch.y).float().mean())
    for task in (fast, plain, ImageClassification(SHAPE, CLASSES, Plan(chunk=4))):
        assert passes.accuracy(task, model, params, batch) == pytest.approx(wanted)


def test_chunks_are_joined_as_they_come():
    parts = [([torch.full((3, 2), 1.0)], [torch.ones(4)]), ([torch.full((2, 2), 2.0)], [2 * torch.ones(4)])]
    [rows], [sums] = joined(iter(parts), 2)
    assert rows[:, 0].tolist() == [1, 1, 1, 2, 2]
    assert sums.tolist() == [3, 3, 3, 3]
    assert parts[0][1][0].tolist() == [1, 1, 1, 1]


def test_bf16_layers_point_the_same_way():
    tasks = [ImageClassification(SHAPE, CLASSES, plan) for plan in (Plan(precision="bf16"), Plan())]
    model = skeleton(tasks[1], "convnet3-16")
    params = random_weights(tasks[1], "convnet3-16", rng.generator(0))
    batch = Images(torch.randn(9, *SHAPE, generator=torch.Generator().manual_seed(0)), torch.arange(9) % CLASSES)
    maps, slopes = [], []
    for task in tasks:
        x = batch.x.clone().requires_grad_()
        outputs = SpatialAttention()(passes.features_of(task, model, params, batch.replace(x=x), "all"))
        maps.append(outputs)
        slopes.append(
            torch.autograd.grad(sum(value.square().sum() * (i + 1) for i, value in enumerate(outputs)), [x])[0]
        )
    assert all(value.dtype == torch.float32 for value in maps[0])
    assert all(_close(a, b, 0.03) for a, b in zip(*maps, strict=True))
    assert torch.nn.functional.cosine_similarity(*(slope.flatten() for slope in slopes), dim=0) > 0.98


@pytest.mark.slow
def test_compiled_layers_are_the_plain_ones(sides):
    if not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("needs a C++ compiler")
    _, plain, model, params, batch = sides
    kernels = Kernels(fused.padding(SHAPE), torch.float32, True, 5)
    share = passes.shares(plain, batch)
    for reduce in (lambda features, share: (SpatialAttention()(features), ()), Sums()):
        found = kernels.layers(params, batch.x, share, (0, 1, 2), reduce)
        wanted = passes.features(plain, model, params, batch, "all", reduce)
        assert all(_close(a.sum(0), b.sum(0)) for a, b in zip(found, wanted, strict=True))
    slopes = []
    for through in ("compiled", "plain"):
        x = batch.x.clone().requires_grad_()
        rows = batch.replace(x=x)
        outputs = (
            kernels.layers_of(params, x, (0, 1, 2))
            if through == "compiled"
            else passes.features_of(plain, model, params, rows, "all")
        )
        slopes.append(torch.autograd.grad(sum((value**2).sum() for value in outputs), [x])[0])
    assert _close(*slopes, 3e-5)
