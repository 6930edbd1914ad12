"""The fast passes of ConvNet against the plain network."""

import shutil
from dataclasses import replace

import pytest
import torch

from attar import rng
from attar.batches import Images
from attar.distances import cosine_distance, layerwise_cosine, mean_distance, squared_distance
from attar.models import fused
from attar.models.kernels import Kernels
from attar.plan import Plan
from attar.surrogates.fresh import random_weights, skeleton
from attar.tasks import ImageClassification
from attar.training import passes
from attar.training.unroll import unroll

SHAPES = [
    ((1, 8, 8), "convnet3-16"),
    ((3, 16, 16), "convnet3-12"),
    ((1, 28, 28), "convnet3-8"),
    ((2, 8, 16), "convnet2-6"),
]
CLASSES = 4


class Scene:
    """One network under two plans: the plain one, and one whose kernels are used in eager mode."""

    def __init__(self, shape, name, dtype="fp32", chunk=8, compiled=False, monkeypatch=None):
        self.plain = ImageClassification(shape, CLASSES, Plan(chunk=None))
        if (
            dtype == "fp32" and not compiled
        ):  # a plan of plain fp32 uses no kernels, so they are handed out for the test
            made = Kernels(fused.padding(shape), torch.float32, False, chunk)
            monkeypatch.setattr(
                ImageClassification,
                "kernels",
                lambda task, model: (
                    replace(made, squared=task.training_loss == "squared") if task.plan.chunk == chunk else None
                ),
            )
            self.fast = ImageClassification(shape, CLASSES, Plan(chunk=chunk))
        else:
            self.fast = ImageClassification(shape, CLASSES, Plan(precision=dtype, compiled=compiled, chunk=chunk))
        self.model = skeleton(self.plain, name)
        self.params = random_weights(self.plain, name, rng.generator(0, "weights"))
        source = torch.Generator().manual_seed(1)
        for value in self.params.values():  # norms start at 1 and 0 and biases small: make them count
            value.add_(0.1 * torch.randn(value.shape, generator=source))
        self.shape = shape

    def batch(self, count=13, soft=False, weighted=False, seed=2):
        source = torch.Generator().manual_seed(seed)
        x = torch.randn(count, *self.shape, generator=source)
        y = torch.randint(CLASSES, (count,), generator=source)
        if soft:
            y = torch.softmax(torch.randn(count, CLASSES, generator=source), 1)
        return Images(x, y, torch.rand(count, generator=source) if weighted else None)


def _joined(params):
    """As one vector: alone, the bias before an instance norm has no gradient but rounding."""
    return torch.cat([value.flatten() for value in params.values()])


def _close(found, wanted, tolerance):
    """Relative in the norm: what a step of gradient descent would feel."""
    return float((found - wanted).norm()) <= tolerance * float(wanted.norm()) + 1e-7


@pytest.fixture(params=SHAPES, ids=lambda value: f"{'x'.join(map(str, value[0]))}-{value[1]}")
def scene(request, monkeypatch):
    found = Scene(*request.param, monkeypatch=monkeypatch)
    assert fused.supports(found.model, found.shape)
    assert found.fast.kernels(found.model) is not None
    return found


def test_features(scene):
    batch = scene.batch()
    [found] = passes.features(scene.fast, scene.model, scene.params, batch)
    [wanted] = passes.features(scene.plain, scene.model, scene.params, batch)
    assert _close(found, wanted.flatten(1), 1e-5)


def test_gradients_of_the_images_through_the_features(scene):
    slopes = []
    for task in (scene.fast, scene.plain):
        batch = scene.batch()
        x = batch.x.clone().requires_grad_()
        [features] = passes.features_of(task, scene.model, scene.params, batch.replace(x=x))
        target = torch.randn(features.flatten(1).shape, generator=torch.Generator().manual_seed(3))
        slopes.append(torch.autograd.grad(((features.flatten(1) - target) ** 2).sum(), [x])[0])
    assert _close(*slopes, 3e-5)


@pytest.mark.parametrize(("soft", "weighted"), [(False, False), (True, False), (False, True), (True, True)])
def test_gradients_of_the_weights(scene, soft, weighted):
    batch = scene.batch(soft=soft, weighted=weighted)
    found, loss = passes.gradient(scene.fast, scene.model, scene.params, batch)
    wanted, value = passes.gradient(scene.plain, scene.model, scene.params, batch)
    assert loss.item() == pytest.approx(value.item(), rel=1e-5)
    assert list(found) == list(wanted)
    largest = max(float(slope.norm()) for slope in wanted.values())
    for name, slope in wanted.items():
        assert float((found[name] - slope).norm()) <= 2e-5 * float(slope.norm()) + 2e-6 * largest, name


@pytest.mark.parametrize(("targets", "weighted"), [(False, False), (True, True)])
def test_gradients_of_the_squared_loss(scene, targets, weighted):
    """By the weights; by what goes back through that gradient; and by its distance to another."""
    batch = scene.batch(weighted=weighted)
    if targets:
        y = torch.randn(len(batch), CLASSES, generator=torch.Generator().manual_seed(8)).requires_grad_()
        batch = batch.replace(y=y)
    plain, fast = (task.trained_by("squared") for task in (scene.plain, scene.fast))
    assert fast.kernels(scene.model).squared
    (found, loss), (wanted, value) = (
        passes.gradient(task, scene.model, scene.params, batch.detach()) for task in (fast, plain)
    )
    assert loss.item() == pytest.approx(value.item(), rel=1e-5)
    assert _close(_joined(found), _joined(wanted), 2e-5)
    by_entropy = passes.gradient(scene.plain, scene.model, scene.params, scene.batch(weighted=weighted))[0]
    assert not _close(_joined(by_entropy), _joined(wanted), 0.1)
    back = [
        passes.gradient_pullback(task, scene.model, scene.params, batch.detach(), by_entropy) for task in (fast, plain)
    ]
    assert back[0].value.item() == pytest.approx(back[1].value.item(), rel=1e-4)
    assert _close(back[0].x, back[1].x, 1e-4)
    assert _close(_joined(back[0].params), _joined(back[1].params), 1e-4)
    if targets:
        assert _close(back[0].y, back[1].y, 1e-4)
    slopes = []
    for task in (fast, plain):
        x = batch.x.clone().requires_grad_()
        gap = passes.gradient_distance(
            task, scene.model, scene.params, batch.detach().replace(x=x), by_entropy, layerwise_cosine
        )
        slopes.append(torch.autograd.grad(gap, [x])[0])
    assert _close(*slopes, 2e-4)


@pytest.mark.parametrize("distance", [layerwise_cosine, squared_distance, cosine_distance])
def test_matched_gradients(scene, distance):
    """The distance, and its gradient to images and soft labels: a derivative of a derivative."""
    real = scene.batch(20, seed=5)
    target, _ = passes.gradient(scene.plain, scene.model, scene.params, real)
    found = []
    for task in (scene.fast, scene.plain):
        batch = scene.batch(6, soft=True, weighted=True)
        x, y = batch.x.clone().requires_grad_(), batch.y.clone().requires_grad_()
        value = passes.gradient_distance(task, scene.model, scene.params, batch.replace(x=x, y=y), target, distance)
        found.append((value, *torch.autograd.grad(value, [x, y])))
    (value, x, y), (wanted, wanted_x, wanted_y) = found
    assert value.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert _close(x, wanted_x, 1e-4)
    assert _close(y, wanted_y, 1e-4)


def test_matched_gradients_of_hard_labels(scene):
    target, _ = passes.gradient(scene.plain, scene.model, scene.params, scene.batch(20, seed=5))
    slopes = []
    for task in (scene.fast, scene.plain):
        batch = scene.batch(3)
        x = batch.x.clone().requires_grad_()
        value = passes.gradient_distance(task, scene.model, scene.params, batch.replace(x=x), target, layerwise_cosine)
        slopes.append(torch.autograd.grad(value, [x])[0])
    assert _close(*slopes, 1e-4)


@pytest.mark.parametrize(("shape", "name"), [((1, 28, 28), "convnet3-32"), ((3, 16, 16), "convnet3-16")])
def test_bf16_points_the_same_way(shape, name):
    """Eight bits of mantissa: directions agree to a few per cent."""
    scene = Scene(shape, name, "bf16")
    batch = scene.batch(40)
    [found] = passes.features(scene.fast, scene.model, scene.params, batch)
    [wanted] = passes.features(scene.plain, scene.model, scene.params, batch)
    assert found.dtype == torch.float32
    assert _close(found, wanted.flatten(1), 0.02)
    slopes, _ = passes.gradient(scene.fast, scene.model, scene.params, batch)
    plain, _ = passes.gradient(scene.plain, scene.model, scene.params, batch)
    assert cosine_distance(slopes, plain) < 0.01
    assert all(slope.dtype == torch.float32 for slope in slopes.values())
    found_x = []
    for task in (scene.fast, scene.plain):
        x = batch.x.clone().requires_grad_()
        [features] = passes.features_of(task, scene.model, scene.params, batch.replace(x=x))
        real = torch.zeros(CLASSES, features.flatten(1).shape[1])
        loss = mean_distance([real], torch.arange(CLASSES), [features], batch.y, CLASSES)
        found_x.append(torch.autograd.grad(loss, [x])[0])
    assert torch.nn.functional.cosine_similarity(*(slope.flatten() for slope in found_x), dim=0) > 0.98


def test_chunks_of_any_size_give_the_same(monkeypatch):
    scene = Scene((1, 8, 8), "convnet3-16", chunk=5, monkeypatch=monkeypatch)
    batch = scene.batch(13, weighted=True)
    kernels = scene.fast.kernels(scene.model)
    targets = torch.nn.functional.one_hot(batch.y, CLASSES).float()
    reference = None
    for chunk in (1, 5, 13, 64):
        sized = type(kernels)(kernels.pad, kernels.dtype, False, chunk)
        slopes, loss = sized.gradient(scene.params, batch.x, targets, batch.weight)
        features = sized.embedding(scene.params, batch.x)
        assert len(features) == 13
        if reference is None:
            reference = slopes, loss, features
        assert loss.item() == pytest.approx(reference[1].item(), rel=1e-5)
        assert torch.allclose(features, reference[2], atol=1e-5)
        assert all(torch.allclose(slope, reference[0][name], atol=1e-5) for name, slope in slopes.items())


@pytest.mark.parametrize(("shape", "name"), SHAPES)
@pytest.mark.parametrize("soft", [False, True])
def test_a_gradient_is_gone_back_through_as_on_the_plain_way(shape, name, soft, monkeypatch):
    scene = Scene(shape, name, monkeypatch=monkeypatch)
    batch = scene.batch(soft=soft, weighted=True)
    source = torch.Generator().manual_seed(7)
    aim = {key: torch.randn(value.shape, generator=source) for key, value in scene.params.items()}
    found, wanted = (
        passes.gradient_pullback(task, scene.model, scene.params, batch, aim) for task in (scene.fast, scene.plain)
    )
    assert found.value.item() == pytest.approx(wanted.value.item(), rel=1e-4)
    assert _close(found.x, wanted.x, 1e-4)
    assert _close(found.y, wanted.y, 1e-4) if soft else found.y is wanted.y is None
    assert _close(_joined(found.params), _joined(wanted.params), 1e-4)


@pytest.mark.parametrize("memory", ["store", "checkpoint"])
def test_an_unrolled_network_learns_by_kernels_as_on_the_plain_way(memory, monkeypatch):
    scene = Scene((1, 8, 8), "convnet3-16", monkeypatch=monkeypatch)
    batch, slopes = scene.batch(12), []
    for task in (scene.fast, scene.plain):
        x, pace = batch.x.clone().requires_grad_(), torch.tensor(0.1, requires_grad=True)
        end = unroll(
            task,
            scene.model,
            scene.params,
            lambda x, y, i: Images(x, y).take(torch.arange(12).roll(i)[:7]),
            x,
            batch.y,
            pace,
            3,
            memory,
        )
        loss = torch.stack([((end[key] - value + 0.1) ** 2).sum() for key, value in scene.params.items()]).sum()
        slopes.append(torch.autograd.grad(loss, [x, pace]))
    for a, b in zip(*slopes, strict=True):
        assert _close(a, b, 1e-3)


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ((1, 8, 8), "convnet3-16-bn"),
        ((1, 8, 8), "mlp-16"),
        ((1, 20, 20), "convnet3-16"),
        ((8, 8, 8), "convnet2-8"),
        ((1, 8, 8), "convnet1-8"),
    ],
)
def test_what_the_kernels_do_not_support_goes_the_plain_way(shape, name):
    task = ImageClassification(shape, CLASSES, Plan(precision="bf16"))
    model = skeleton(task, name)
    assert task.kernels(model) is None
    params = random_weights(task, name, rng.generator(0, "weights"))
    batch = Images(torch.randn(5, *shape), torch.arange(5) % CLASSES)
    found, _ = passes.gradient(task, model, params, batch)
    assert all(torch.isfinite(slope).all() for slope in found.values())


def test_the_plain_plan_uses_the_plain_network():
    task = ImageClassification((1, 8, 8), CLASSES, Plan())
    assert task.kernels(skeleton(task, "convnet3-16")) is None


@pytest.mark.slow
def test_compiled_passes_are_the_plain_ones():
    if not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("needs a C++ compiler")
    scene = Scene((1, 28, 28), "convnet3-16", compiled=True)
    batch = scene.batch(20)
    [found] = passes.features(scene.fast, scene.model, scene.params, batch)
    [wanted] = passes.features(scene.plain, scene.model, scene.params, batch)
    assert _close(found, wanted.flatten(1), 1e-5)
    target, _ = passes.gradient(scene.plain, scene.model, scene.params, scene.batch(30, seed=5))
    again, _ = passes.gradient(scene.fast, scene.model, scene.params, scene.batch(30, seed=5))
    assert cosine_distance(again, target) < 1e-5
    slopes = []
    for task in (scene.fast, scene.plain):
        x = batch.x.clone().requires_grad_()
        value = passes.gradient_distance(task, scene.model, scene.params, batch.replace(x=x), target, layerwise_cosine)
        slopes.append(torch.autograd.grad(value, [x])[0])
    assert _close(*slopes, 1e-4)
    slopes = []
    for task in (scene.fast, scene.plain):
        x = batch.x.clone().requires_grad_()
        [features] = passes.features_of(task, scene.model, scene.params, batch.replace(x=x))
        slopes.append(torch.autograd.grad((features**2).sum(), [x])[0])
    assert _close(*slopes, 3e-5)
    backs = [
        passes.gradient_pullback(task, scene.model, scene.params, batch, target) for task in (scene.fast, scene.plain)
    ]
    assert _close(backs[0].x, backs[1].x, 1e-4)
    assert _close(_joined(backs[0].params), _joined(backs[1].params), 1e-4)
    ends = []
    for memory in ("store", "checkpoint"):
        x = batch.x.clone().requires_grad_()
        rows = lambda x, y, index: Images(x, y)  # noqa: E731
        pace = torch.tensor(0.1)
        end = unroll(scene.fast, scene.model, scene.params, rows, x, batch.y, pace, 3, memory)
        loss = torch.stack([((end[key] - value) ** 2).sum() for key, value in scene.params.items()]).sum()
        ends.append(torch.autograd.grad(loss, [x])[0])
    assert _close(*ends, 1e-3)
