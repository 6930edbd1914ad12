"""Each operation against loops over pixels, and its gradient."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from attar import rng
from attar.augment import operations


def images(n=3, c=3, h=5, w=5):
    return torch.randn(n, c, h, w, generator=rng.generator(0, "images"), dtype=torch.float64)


def values(*numbers):
    return torch.tensor(numbers)


def pixel(image, i, j):
    """Value of a whole pixel, zero outside."""
    h, w = image.shape
    return image[i, j].item() if 0 <= i < h and 0 <= j < w else 0.0


def bilinear(image, i, j):
    """Value between pixels, zeros outside."""
    top, left = math.floor(i), math.floor(j)
    corners = [(top + a, left + b) for a in (0, 1) for b in (0, 1)]
    return sum(pixel(image, a, b) * (1 - abs(i - a)) * (1 - abs(j - b)) for a, b in corners)


def each_pixel(x, row_parameters, read):
    """The result whose pixel (i, j) is ``read(image, i, j, *parameters)``, with one set of parameters a row."""
    result = torch.empty_like(x)
    for row, parameters in zip(range(len(x)), row_parameters, strict=True):
        for channel in range(x.shape[1]):
            for i in range(x.shape[2]):
                for j in range(x.shape[3]):
                    result[row, channel, i, j] = read(x[row, channel], i, j, *parameters)
    return result


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_recolour_is_brightness_then_saturation_then_contrast(channels):
    x = images(c=channels)
    parameters = [(0.3, 1.7, 0.6), (-0.5, 0.0, 1.5), (0.1, 1.0, 1.0)]
    expected = []
    for image, (brightness, saturation, contrast) in zip(x.numpy(), parameters, strict=True):
        image = image + brightness
        grey = image.mean(0, keepdims=True)
        image = (image - grey) * saturation + grey
        expected.append((image - image.mean()) * contrast + image.mean())
    close(operations.recolour(x, *torch.tensor(parameters).T), torch.from_numpy(np.stack(expected)))


@pytest.mark.parametrize("down", [(2,), (0,), (2, -4, 0)])
def test_shift(down):
    x, right = images(h=6), tuple(1 - d for d in down)
    pairs = list(zip(down, right, strict=True)) * (3 if len(down) == 1 else 1)
    expected = each_pixel(x, pairs, lambda image, i, j, d, r: pixel(image, i + d, j + r))
    assert torch.equal(operations.shift(x, values(*down), values(*right)), expected)


def test_pick_is_zero_outside_and_may_change_the_size():
    x = images(n=2, c=1)
    first, second = operations.pick(x, values([0, 4, 7], [-9, 1, 1]), values([2, -1], [3, 0]))[:, 0].tolist()
    assert first == [[x[0, 0, 0, 2], 0], [x[0, 0, 4, 2], 0], [0, 0]]
    assert second == [[0, 0], [x[1, 0, 1, 3], x[1, 0, 1, 0]], [x[1, 0, 1, 3], x[1, 0, 1, 0]]]


@pytest.mark.parametrize("top", [(1,), (-1, 3, 9)])
def test_cutout(top):
    x, left = images(h=6, w=4), tuple(t - 1 for t in top)
    pairs = list(zip(top, left, strict=True)) * (3 if len(top) == 1 else 1)

    def read(image, i, j, t, le):
        return 0.0 if t <= i < t + 3 and le <= j < le + 2 else pixel(image, i, j)

    assert torch.equal(operations.cutout(x, values(*top), values(*left), (3, 2)), each_pixel(x, pairs, read))


def test_flip():
    x = images()
    mirrored = torch.from_numpy(x.numpy()[..., ::-1].copy())
    assert torch.equal(operations.flip(x, values(True)), mirrored)
    assert torch.equal(operations.flip(x, values(False)), x)
    assert torch.equal(operations.flip(x, values(True, False, True)), torch.stack([mirrored[0], x[1], mirrored[2]]))


@pytest.mark.parametrize("vertical", [(0.8,), (1.2, 1 / 1.2, 1.0)])
def test_rescale(vertical):
    x, horizontal = images(h=6), tuple(2 - v for v in vertical)
    pairs = list(zip(vertical, horizontal, strict=True)) * (3 if len(vertical) == 1 else 1)
    expected = each_pixel(x, pairs, lambda image, i, j, v, h: bilinear(image, 2.5 + v * (i - 2.5), 2 + h * (j - 2)))
    close(operations.rescale(x, values(*vertical), values(*horizontal)), expected)


def test_rescale_is_the_sampling_grid_of_the_authors_code():
    x, factors = images(h=8, w=8), values(0.9, 1.1, 1.2)
    theta = torch.zeros(3, 2, 3, dtype=x.dtype)
    theta[:, 0, 0], theta[:, 1, 1] = factors.flip(0), factors
    sampled = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
    close(operations.rescale(x, factors, factors.flip(0)), sampled)


@pytest.mark.parametrize("degrees", [(15.0,), (-15.0, 7.0, 90.0)])
def test_rotate(degrees):
    x = images(h=6, w=4)

    def read(image, i, j, angle):
        down, right, turn = i - 2.5, j - 1.5, math.radians(angle)
        sin, cos = math.sin(turn), math.cos(turn)
        return bilinear(image, 2.5 + sin * right + cos * down, 1.5 + cos * right - sin * down)

    angles = [(a,) for a in degrees] * (3 if len(degrees) == 1 else 1)
    close(operations.rotate(x, values(*degrees)), each_pixel(x, angles, read))


def test_rotate_turns_counter_clockwise():
    x = images()
    close(operations.rotate(x, values(90.0)), torch.rot90(x, 1, (2, 3)))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        (operations.recolour, [(0.3, -0.2), (1.7, 0.4), (0.6, 1.4)]),
        (operations.shift, [(1, -1), (-2, 1)]),
        (lambda x, top, left: operations.cutout(x, top, left, (2, 3)), [(-1, 2), (3, 1)]),
        (operations.flip, [(True, False)]),
        (operations.rescale, [(0.9, 1.1), (1.2, 0.85)]),
        (operations.rotate, [(12.0, -7.0)]),
    ],
    ids=["recolour", "shift", "cutout", "flip", "rescale", "rotate"],
)
def test_gradients(operation, parameters, count):
    x = images(n=2, c=2).requires_grad_()
    chosen = [torch.tensor(options[:count]) for options in parameters]
    assert torch.autograd.gradcheck(lambda x: operation(x, *chosen), (x,))
