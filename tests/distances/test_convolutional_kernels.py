"""The convolutional kernel against loops over positions, fully connected kernels and finite wide networks."""

import itertools
import math
import re

import pytest
import torch

from attar.distances import Convolutional, FullyConnected, blocks
from attar.types import AttarError

SETTINGS = [
    Convolutional(2),
    Convolutional(2, "nngp"),
    Convolutional(2, readout="pool"),
    Convolutional(2, "nngp", "pool"),
    Convolutional(2, pooling=True),
    Convolutional(2, "nngp", pooling=True),
    Convolutional(2, readout="pool", pooling=True),
    Convolutional(2, size=5, weight_variance=1.5, bias_variance=0.3),
]


def _images(n, channels=2, side=4, seed=0, dtype=torch.float64):
    shape = (n, channels, *((side, side) if isinstance(side, int) else side))
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# -- loops over positions


def _places(height, width):
    return list(itertools.product(range(height), range(width)))


def _window(table, kernel):
    """``w / size^2`` times the sum over a window, of a dictionary of pairs of places."""
    reach = range(-(kernel.size // 2), kernel.size // 2 + 1)
    share = kernel.weight_variance / kernel.size**2

    def moved(s, t, i, j):
        return (s[0] + i, s[1] + j), (t[0] + i, t[1] + j)

    return {(s, t): share * sum(table.get(moved(s, t, i, j), 0) for i in reach for j in reach) for s, t in table}


def _halved(table):
    sides = [max(s[axis] for s, _ in table) + 1 for axis in (0, 1)]
    four = list(itertools.product((0, 1), (0, 1)))

    def mean(s, t):
        inner = [[(2 * at[0] + i, 2 * at[1] + j) for i, j in four] for at in (s, t)]
        return sum(table[pair] for pair in itertools.product(*inner)) / 16

    return {pair: mean(*pair) for pair in itertools.product(_places(sides[0] // 2, sides[1] // 2), repeat=2)}


def _looped(kernel, x, y):
    """The kernel of two images ``(c, h, w)``, from all three covariances of all pairs of places."""
    places = list(itertools.product(_places(*x.shape[1:]), repeat=2))

    def start(u, v):
        return {(s, t): float((u[:, s[0], s[1]] * v[:, t[0], t[1]]).mean()) for s, t in places}

    inside = [start(x, x), start(x, y), start(y, y)]
    tangent = dict.fromkeys(inside[1], 0.0)
    for _ in range(kernel.depth):
        outside = [{at: value + kernel.bias_variance for at, value in _window(k, kernel).items()} for k in inside]
        tangent = {at: outside[1][at] + value for at, value in _window(tangent, kernel).items()}
        inside, slopes = [], {}
        for (left, right), covariances in zip(((0, 0), (0, 2), (2, 2)), outside, strict=True):
            found = {}
            for (s, t), value in covariances.items():
                length = math.sqrt(outside[left][s, s] * outside[right][t, t])
                angle = math.acos(max(-1.0, min(1.0, value / length)))
                found[s, t] = length * (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / (2 * math.pi)
                if (left, right) == (0, 2):
                    slopes[s, t] = (math.pi - angle) / (2 * math.pi)
            inside.append(found)
        tangent = {at: slopes[at] * value for at, value in tangent.items()}
        if kernel.pooling:
            inside, tangent = [_halved(k) for k in inside], _halved(tangent)
    total = {at: value + (tangent[at] if kernel.kind == "ntk" else 0) for at, value in inside[1].items()}
    kept = [value for (s, t), value in total.items() if kernel.readout == "pool" or s == t]
    return kernel.weight_variance * sum(kept) / len(kept) + kernel.bias_variance


@pytest.mark.parametrize("kernel", SETTINGS, ids=repr)
@pytest.mark.parametrize("side", [(4, 4), (5, 4)])
def test_it_is_the_loop_over_pairs_of_places(kernel, side):
    a, b = _images(2, side=side), _images(2, side=side, seed=1)
    b[1] = a[0]
    wanted = torch.tensor([[_looped(kernel, x, y) for y in b] for x in a], dtype=torch.float64)
    torch.testing.assert_close(kernel(a, b), wanted, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(kernel(a.float(), b.float()).double(), wanted, rtol=1e-4, atol=1e-4)


# -- fully connected networks


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("readout", ["flatten", "pool"])
def test_images_of_one_pixel_have_the_fully_connected_kernel(kind, depth, readout):
    a, b = _images(3, 5, 1), _images(2, 5, 1, seed=1)
    kernel = Convolutional(depth, kind, readout, size=1, weight_variance=1.6, bias_variance=0.2)
    torch.testing.assert_close(kernel(a, b), FullyConnected(depth, kind, 1.6, 0.2)(a, b))
    # a 3 x 3 filter sees nought in eight of nine places, and without biases every layer is that much smaller
    kernel = Convolutional(depth, kind, readout, bias_variance=0.0)
    torch.testing.assert_close(kernel(a, b) * 9**depth, FullyConnected(depth, kind, bias_variance=0.0)(a, b))


# -- finite networks


def _forward(weights, biases, x, kernel):
    """The output ``(n,)`` of a finite network in the NTK parameterisation, and what its last layer sees ``(n, d)``."""
    *below, last = zip(weights, biases, strict=True)
    for weight, bias in below:
        scale = math.sqrt(kernel.weight_variance / weight[0].numel())
        x = torch.nn.functional.conv2d(x, weight * scale, bias * math.sqrt(kernel.bias_variance), padding="same").relu()
        x = torch.nn.functional.avg_pool2d(x, 2) if kernel.pooling else x
    features = x.flatten(1) if kernel.readout == "flatten" else x.mean((2, 3))
    scale = math.sqrt(kernel.weight_variance / features.shape[1])
    return features @ last[0] * scale + math.sqrt(kernel.bias_variance) * last[1], features


def _drawn(kernel, width, side, generator):
    channels = [2, *[width] * kernel.depth]
    side = side >> kernel.depth if kernel.pooling else side
    last = width if kernel.readout == "pool" else width * side**2
    shapes = [(out, given, kernel.size, kernel.size) for given, out in itertools.pairwise(channels)]
    weights = [torch.randn(shape, generator=generator) for shape in [*shapes, (last,)]]
    return weights, [torch.randn(shape, generator=generator) for shape in [(width,)] * kernel.depth + [()]]


@pytest.mark.parametrize("kernel", [k for k in SETTINGS if k.kind == "nngp"], ids=repr)
def test_features_of_wide_random_networks_estimate_the_nngp_kernel(kernel):
    generator, x = torch.Generator().manual_seed(0), _images(3, dtype=torch.float32)
    features = [_forward(*_drawn(kernel, 256, 4, generator), x, kernel)[1] for _ in range(40)]
    each = torch.stack([kernel.weight_variance * f @ f.T / f.shape[1] + kernel.bias_variance for f in features])
    _close(each, kernel(x, x))


@pytest.mark.parametrize("kernel", [k for k in SETTINGS if k.kind == "ntk"], ids=repr)
def test_gradients_of_wide_random_networks_estimate_the_ntk(kernel):
    generator, x, each = torch.Generator().manual_seed(1), _images(3, dtype=torch.float32), []
    for _ in range(40):
        slopes = torch.func.jacrev(lambda p: _forward(*p, x, kernel)[0])(_drawn(kernel, 64, 4, generator))
        flat = torch.cat([slope.reshape(len(x), -1) for part in slopes for slope in part], 1)
        each.append(flat @ flat.T)
    _close(torch.stack(each), kernel(x, x))


def _close(each, wanted):
    """The mean within four and a half standard errors, which are small beside it."""
    error = each.std(0) / math.sqrt(len(each))
    assert ((each.mean(0) - wanted).abs() < 4.5 * error).all()
    assert (error < 0.05 * (wanted.diagonal()[:, None] * wanted.diagonal()).sqrt()).all()


# -- blocks, slopes, symmetry


@pytest.mark.parametrize("kernel", SETTINGS, ids=repr)
@pytest.mark.parametrize("memory", [50_000, 250_000])
def test_blocks_are_the_whole_and_so_are_their_gradients(kernel, memory):
    whole, parts = (Convolutional(**{**vars(kernel), "memory": given}) for given in (1e12, memory))
    a, b = _images(5), _images(4, seed=1).requires_grad_()
    weights = torch.arange(20.0, dtype=torch.float64).view(5, 4)
    with torch.no_grad():
        torch.testing.assert_close(parts(a, b), whole(a, b))
    found, wanted = (torch.autograd.grad((k(a, b) * weights).sum(), [b]) for k in (parts, whole))
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(blocks(parts, a, b.detach(), 2), whole(a, b.detach()))


@pytest.mark.parametrize("kernel", SETTINGS, ids=repr)
@pytest.mark.parametrize("bias", [0.0, 0.05])
def test_gradients_of_different_and_coincident_images(kernel, bias):
    kernel = Convolutional(**{**vars(kernel), "bias_variance": bias})
    a, b = _images(1, 1).requires_grad_(), _images(1, 1, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: kernel(torch.cat([x, y]), torch.cat([y, 2 * x])), [a, b], eps=1e-5)


def test_a_black_picture_has_a_finite_gradient():
    for kernel in SETTINGS:
        kernel = Convolutional(**{**vars(kernel), "bias_variance": 0.0})
        x = torch.cat([torch.zeros(1, 2, 4, 4), _images(2, dtype=torch.float32)]).requires_grad_()
        value = kernel(x, x)
        assert value[0].abs().max() < 1e-6
        assert torch.isfinite(torch.autograd.grad(value.sum(), [x])[0]).all()


@pytest.mark.parametrize("kernel", SETTINGS, ids=repr)
def test_it_is_symmetric_and_positive_semi_definite(kernel):
    x = torch.cat([_images(6), _images(2)])  # with images that stand twice
    for images, tolerance in ((x, 1e-12), (x.float(), 1e-5)):
        matrix = kernel(images, images)
        torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=tolerance)
        assert torch.linalg.eigvalsh(matrix.double()).min() > -tolerance


def test_it_runs_without_numbers():
    a = torch.ones(3, 1, 8, 8, device="meta")
    b = torch.ones(2, 1, 8, 8, device="meta", requires_grad=True)
    for kernel in SETTINGS:
        value = kernel(a, b)
        assert value.shape == (3, 2)
        assert torch.autograd.grad(value.sum(), [b])[0].shape == b.shape


# -- what is refused


def test_what_does_not_fit_is_told_with_what_would():
    kernel = Convolutional(2, readout="pool", memory=1e6)
    with pytest.raises(AttarError, match=r"A pair of 32 x 32 images takes .* GB .* raise memory, or flatten") as error:
        kernel(*[torch.ones(1, 1, 32, 32)] * 2)
    side = int(re.search(r"images of (\d+) x \1 fit", str(error.value))[1])
    assert kernel(*[torch.ones(1, 1, side, side)] * 2).shape == (1, 1)
    with pytest.raises(AttarError, match=f"images of {side} x {side} fit"):
        kernel(*[torch.ones(1, 1, side + 1, side + 1)] * 2)
    assert Convolutional(2, memory=1e6)(*[torch.ones(1, 1, 32, 32)] * 2).shape == (1, 1)


def test_wrong_settings_are_refused():
    with pytest.raises(AttarError, match='"flatten" or "pool", and got "mean"'):
        Convolutional(readout="mean")  # type: ignore[arg-type]
    with pytest.raises(AttarError, match="give an odd number"):
        Convolutional(size=2)
    with pytest.raises(AttarError, match="depth of 1 or more"):
        Convolutional(0)
    with pytest.raises(AttarError, match="halves 5 x 4 images 3 times.*a depth of 2 or less"):
        Convolutional(3, pooling=True)(*[torch.ones(1, 1, 5, 4)] * 2)
    with pytest.raises(AttarError, match=r"images \(n, c, h, w\), and got \(2, 9\)"):
        Convolutional()(*[torch.ones(2, 9)] * 2)
