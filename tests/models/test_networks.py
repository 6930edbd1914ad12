"""Networks by name: sizes, features, names, and what is refused."""

import subprocess
import sys

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from attar import models, rng
from attar.types import AttarError

COLOUR, GREY, DIGITS = (3, 32, 32), (1, 28, 28), (1, 8, 8)


def build(name, shape=COLOUR, classes=10):
    with rng.seeded(0):
        return models.build(name, shape, classes)


def images(shape, rows=3):
    return torch.randn(rows, *shape, generator=rng.generator(0, "images"))


def size(model):
    return sum(p.numel() for p in model.parameters())


# Counts of the DC family's networks, by hand: a convolution has k*k*in*out + out (ResNet-18's no bias), a norm 2*out,
# a linear layer in*out + out.
@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("convnet3", COLOUR, 320_010),
        ("convnet3", GREY, 317_706),
        ("convnet3-bn", COLOUR, 320_010),
        ("convnet3-none", COLOUR, 320_010 - 3 * 256),
        ("convnet3-ln", COLOUR, 320_010 - 3 * 256 + 2 * 128 * (32**2 + 16**2 + 8**2)),
        ("convnet3-32", COLOUR, (27 + 1 + 2) * 32 + 2 * (9 * 32 + 1 + 2) * 32 + (32 * 16 + 1) * 10),
        ("mlp", GREY, 785 * 128 + 129 * 128 + 1_290),
        ("mlp-256", GREY, 785 * 256 + 257 * 256 + 2_570),
        ("lenet", GREY, 61_706),
        ("lenet", COLOUR, 62_006),
        ("alexnet", COLOUR, 1_872_202),
        ("vgg11", COLOUR, 9_231_114),
        ("resnet18", COLOUR, 11_173_962),
    ],
)
def test_parameter_counts(name, shape, count):
    assert size(build(name, shape)) == count


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("convnet3", COLOUR, [(128, 16, 16), (128, 8, 8), (128, 4, 4)]),
        ("convnet3", GREY, [(128, 16, 16), (128, 8, 8), (128, 4, 4)]),
        ("convnet4-32-gn", (3, 64, 48), [(32, 32, 24), (32, 16, 12), (32, 8, 6), (32, 4, 3)]),
        ("convnet3", DIGITS, [(128, 4, 4), (128, 2, 2), (128, 1, 1)]),
        ("mlp", DIGITS, [(128,), (128,)]),
        ("lenet", GREY, [(6, 14, 14), (16, 5, 5), (120,), (84,)]),
        ("alexnet", GREY, [(128, 16, 16), (192, 8, 8), (256, 8, 8), (192, 8, 8), (192, 4, 4)]),
        ("vgg11", GREY, [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2), (512, 1, 1)]),
        ("resnet18", GREY, [(64, 28, 28), (64, 28, 28), (128, 14, 14), (256, 7, 7), (512, 4, 4), (512, 1, 1)]),
        ("resnet18-bn", DIGITS, [(64, 8, 8), (64, 8, 8), (128, 4, 4), (256, 2, 2), (512, 1, 1), (512, 1, 1)]),
    ],
)
def test_features_are_the_outputs_of_the_blocks(name, shape, expected):
    model, x = build(name, shape), images(shape)
    features = model(x, features=True)
    assert [tuple(f.shape[1:]) for f in features] == expected
    assert torch.equal(model.head(features[-1].flatten(1)), model(x))


CONVNETS = ["convnet3", "convnet3-bn", "convnet3-ln", "convnet3-gn", "convnet3-none", "convnet2-32"]
TAKE_ANY = [*CONVNETS, "mlp", "alexnet", "resnet18-bn"]
NEED_MORE_THAN_DIGITS = ["lenet", "vgg11", "vgg11-bn", "resnet18"]


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name in TAKE_ANY + NEED_MORE_THAN_DIGITS for shape in (COLOUR, GREY)]
    + [(name, DIGITS) for name in TAKE_ANY],
)
def test_every_network_learns_in_all_its_parameters(name, shape):
    model = build(name, shape)
    loss = F.cross_entropy(model(images(shape)), torch.tensor([0, 1, 2]))
    grads = torch.autograd.grad(loss, list(model.parameters()))
    weights = [grad for grad in grads if grad.dim() > 1]
    assert all(grad.isfinite().all() for grad in grads)
    assert all(grad.abs().sum() > 0 for grad in weights)


def test_convnet_block_by_hand():
    model, x = build("convnet1-4", (2, 6, 6)), images((2, 6, 6))
    convolution, norm = model.blocks[0][0], model.blocks[0][1]
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        norm.bias.copy_(torch.tensor([0.0, 0.1, 0.2, 0.3]))
        z = F.conv2d(x, convolution.weight, convolution.bias, padding=1)
        mean, variance = z.mean((2, 3), keepdim=True), z.var((2, 3), keepdim=True, unbiased=False)
        z = (z - mean) / (variance + 1e-5).sqrt() * norm.weight.view(1, 4, 1, 1) + norm.bias.view(1, 4, 1, 1)
        pooled = z.clamp(min=0).view(3, 4, 3, 2, 3, 2).mean((3, 5))
        expected = pooled.flatten(1) @ model.head.weight.T + model.head.bias
        torch.testing.assert_close(model(x), expected)


def test_second_derivatives_through_functional_parameters():
    model, x = build("convnet2-4", (1, 8, 8)).double(), images((1, 8, 8)).double().requires_grad_()
    params = {name: p.detach().requires_grad_() for name, p in model.named_parameters()}

    def gradient_norm(x):
        loss = F.cross_entropy(functional_call(model, params, (x,)), torch.tensor([0, 1, 2]))
        return sum(g.square().sum() for g in torch.autograd.grad(loss, list(params.values()), create_graph=True))

    (slope,) = torch.autograd.grad(gradient_norm(x), x)
    step = torch.zeros_like(x)
    step[1, 0, 3, 4] = 1e-6
    numeric = (gradient_norm(x + step) - gradient_norm(x - step)) / 2e-6
    torch.testing.assert_close(slope[1, 0, 3, 4], numeric.detach(), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "independent"), [("convnet3", True), ("convnet3-bn", False), ("resnet18", True), ("resnet18-bn", False)]
)
def test_rows_are_independent_as_said(name, independent):
    model, x = build(name, GREY), images(GREY, 4)
    assert models.rows_are_independent(model) is independent
    with torch.no_grad():
        assert torch.allclose(model(x)[:2], model(x[:2]), atol=1e-4) is independent


def test_equal_seeds_give_equal_weights():
    first, second = build("resnet18").state_dict(), build("resnet18").state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_every_listed_name_builds():
    for name, line in models.names().items():
        assert line
        if name != "timm:NAME":
            assert build(name, COLOUR)(images(COLOUR, 2)).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "near"),
    [("convent3", "convnet3"), ("ResNet18", "resnet18"), ("convnet3-in-64", "convnet3"), ("vgg-11", "vgg11")],
)
def test_an_unknown_name_gets_near_ones_and_the_grammar(name, near):
    with pytest.raises(AttarError, match=f"'{name}': did you mean .*{near}.*convnetDEPTH"):
        build(name)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("convnet5", DIGITS, "use convnet3 or less"),
        ("convnet6", GREY, "use convnet5 or less"),
        ("convnet2", (3, 64, 1), "use mlp"),
        ("convnet3-30-gn", COLOUR, "30 channels"),
        ("lenet", DIGITS, "at least 16 x 16"),
        ("vgg11", (3, 31, 40), "at least 32 x 32"),
        ("resnet18", DIGITS, "at least 9 x 9"),
    ],
)
def test_what_does_not_fit_is_refused(name, shape, message):
    with pytest.raises(AttarError, match=message):
        build(name, shape)


def test_the_least_sizes_are_enough_and_keep_the_image_in_view():
    for name, side in [("lenet", 16), ("alexnet", 8), ("vgg11", 32), ("resnet18", 9), ("convnet3", 8)]:
        model = build(name, (1, side, side))
        with torch.no_grad():  # an instance norm of one pixel would give every image the same logits
            logits = model(images((1, side, side)))
        assert logits.std(0).max() > 1e-3, name


def test_models_import_neither_timm_nor_torchvision():
    code = "import sys; import attar.models; assert not {'timm', 'torchvision'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
