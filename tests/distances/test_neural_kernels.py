"""Kernels against closed forms written out with scalars, finite wide networks, and their own finite differences."""

import math

import pytest
import torch

from attar.distances import RBF, ArcCosine, FullyConnected, blocks, estimated, median_width
from attar.types import AttarError

X = [[1.0, 2.0, -0.5], [0.3, -1.0, 0.8], [-1.0, -2.0, 0.4], [2.0, 4.0, -1.0]]
Y = [[0.5, 0.1, 0.1], [1.0, 2.0, -0.5]]


def _normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _dot(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def _angle(xx, xy, yy):
    return math.acos(max(-1.0, min(1.0, xy / math.sqrt(xx * yy))))


def _table(entry, left, right):
    return torch.tensor([[entry(x, y) for y in right] for x in left], dtype=torch.float64)


def _j(order, angle):
    return math.pi - angle if order == 0 else math.sin(angle) + (math.pi - angle) * math.cos(angle)


def _arc_cosine(x, y, order, depth):
    """Cho and Saul's composition, on the three numbers k(x, x), k(x, y) and k(y, y)."""
    xx, xy, yy = _dot(x, x), _dot(x, y), _dot(y, y)
    for _ in range(depth):
        xy = (xx * yy) ** (order / 2) * _j(order, _angle(xx, xy, yy)) / math.pi
        xx, yy = (k**order * _j(order, 0) / math.pi for k in (xx, yy))
    return xy


def _network_kernel(x, y, depth, kind, w, b):
    """The recursion of Lee et al. and of Jacot et al., on scalars."""
    xx, xy, yy = (w * _dot(left, right) / len(x) + b for left, right in ((x, x), (x, y), (y, y)))
    ntk = xy
    for _ in range(depth):
        angle = _angle(xx, xy, yy)
        derivative = w * (math.pi - angle) / (2 * math.pi)
        xy = w * math.sqrt(xx * yy) * _j(1, angle) / (2 * math.pi) + b
        xx, yy = w * xx / 2 + b, w * yy / 2 + b
        ntk = xy + derivative * ntk
    return ntk if kind == "ntk" else xy


# -- closed forms


def test_arc_cosine_by_hand():
    """Of unit rows at no, a right and a straight angle: J_1 = pi, 1, 0 and J_0 = pi, pi / 2, 0."""
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert ArcCosine(1)(rows[:1], rows)[0].tolist() == pytest.approx([1, 1 / math.pi, 0], abs=1e-7)
    assert ArcCosine(0)(rows[:1], rows)[0].tolist() == pytest.approx([1, 0.5, 0], abs=1e-7)
    assert ArcCosine(1)(2 * rows[:1], 3 * rows)[0].tolist() == pytest.approx([6, 6 / math.pi, 0], abs=1e-6)


def test_networks_by_hand():
    """Rows (1, 0) and (0, 1) have variance 2 / 2 and no covariance; one ReLU makes of that 1 / pi."""
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    nngp = FullyConnected(1, "nngp", bias_variance=0.0)(rows, rows)
    assert nngp.flatten().tolist() == pytest.approx([1, 1 / math.pi, 1 / math.pi, 1])
    ntk = FullyConnected(1, "ntk", bias_variance=0.0)(rows, rows)
    assert ntk.flatten().tolist() == pytest.approx([2, 1 / math.pi, 1 / math.pi, 2])


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_arc_cosine_is_the_scalar_formula(order, depth):
    found = ArcCosine(order, depth)(torch.tensor(X).double(), torch.tensor(Y).double())
    torch.testing.assert_close(found, _table(lambda x, y: _arc_cosine(x, y, order, depth), X, Y), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
@pytest.mark.parametrize(("depth", "w", "b"), [(1, 2.0, 0.01), (1, 2.0, 0.0), (3, 1.3, 0.2), (4, 2.5, 0.0)])
def test_networks_are_the_scalar_recursion(kind, depth, w, b):
    kernel = FullyConnected(depth, kind, w, b)
    wanted = _table(lambda x, y: _network_kernel(x, y, depth, kind, w, b), X, Y)
    torch.testing.assert_close(kernel(torch.tensor(X).double(), torch.tensor(Y).double()), wanted, rtol=1e-7, atol=1e-9)
    single = kernel(torch.tensor(X), torch.tensor(Y))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), wanted, rtol=1e-5, atol=1e-6)


def test_rows_of_any_shape_are_flattened_and_half_precision_is_not_kept():
    images, rows = _normal(3, 2, 4, 4).float(), _normal(3, 2, 4, 4).float().flatten(1)
    for kernel in (FullyConnected(2), ArcCosine(), RBF(2.0)):
        assert torch.equal(kernel(images, images[:2]), kernel(rows, rows[:2]))
        assert kernel(rows.half(), rows.half()).dtype == torch.float32


def test_gaussian_kernel_by_hand():
    a, b = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[3.0, 4.0]])
    assert RBF(5.0)(a, b).flatten().tolist() == pytest.approx([math.exp(-0.5), 1.0])


def test_the_median_width_is_the_median_of_the_distances_between_different_rows():
    assert median_width(torch.tensor([[0.0], [1.0], [4.0]])) == 3.0
    x = torch.arange(101.0)[:, None]
    assert median_width(x, most=3) == 50.0  # rows 0, 50 and 100
    with pytest.raises(AttarError, match="3 rows is 0"):
        median_width(torch.ones(3, 2))


# -- Monte-Carlo estimates

DRAWS = 20_000


def _close_to_the_mean_of(left, right, wanted):
    """``mean_d left[:, d] right[:, d]`` is what is wanted up to 4.5 standard errors of so many draws, which are small."""
    each = left[:, None] * right
    error = each.std(-1) / math.sqrt(DRAWS)
    assert (error < 0.03 * wanted.abs().max()).all()  # so that it says something
    assert ((each.mean(-1) - wanted).abs() <= 4.5 * error + 1e-9).all()


def test_random_fourier_features_estimate_the_gaussian_kernel():
    """Rahimi and Recht: ``k(x, y) = E 2 cos(w x + u) cos(w y + u)``, w normal of variance 1 / width^2, u a uniform phase."""
    width, (x, y) = 1.7, (torch.tensor(rows).double() for rows in (X, Y))
    phases = 2 * math.pi * torch.rand(DRAWS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left, right = (math.sqrt(2) * (rows @ _normal(3, DRAWS) / width + phases).cos() for rows in (x, y))
    _close_to_the_mean_of(left, right, RBF(width)(x, y))


@pytest.mark.parametrize("order", [0, 1])
def test_random_threshold_and_relu_features_estimate_the_arc_cosine_kernel(order):
    """Cho and Saul: ``k_n(x, y) = 2 E step(w x) step(w y) (w x)^n (w y)^n``, w standard normal."""
    x, y = (torch.tensor(rows).double() for rows in (X, Y))
    left, right = (
        math.sqrt(2) * (seen.relu() if order else (seen > 0).double())
        for seen in (x @ _normal(3, DRAWS), y @ _normal(3, DRAWS))
    )
    _close_to_the_mean_of(left, right, ArcCosine(order)(x, y))


# -- finite networks


def _forward(weights, biases, x, w, b):
    """The output ``(n, 1)`` of a finite network in the NTK parameterisation, and what its last layer sees."""
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        features = x if index == 0 else x.relu()
        x = features @ weight.T * math.sqrt(w / weight.shape[1]) + math.sqrt(b) * bias
    return x, features


def _lengths(matrix):
    """What a kernel's entries are at most."""
    return (matrix.diagonal()[:, None] * matrix.diagonal()).sqrt()


def _drawn(generator, *widths):
    layers = list(zip(widths[1:], widths, strict=False))
    weights = [torch.randn(out, fan_in, generator=generator) for out, fan_in in layers]
    return weights, [torch.randn(out, generator=generator) for out, _ in layers]


@pytest.mark.parametrize("depth", [1, 3])
def test_features_of_wide_random_networks_estimate_the_nngp_kernel(depth):
    generator, w, b = torch.Generator().manual_seed(depth), 1.7, 0.3
    a, c = torch.tensor(X), torch.tensor(Y)
    networks = [_drawn(generator, 3, *[1000] * depth, 1) for _ in range(20)]
    left, right = ([_forward(*network, rows, w, b)[1] for network in networks] for rows in (a, c))
    each = torch.stack([estimated([x], [y], w, b) for x, y in zip(left, right, strict=True)])
    together = estimated(left, right, w, b)
    torch.testing.assert_close(together, each.mean(0))
    error = each.std(0) / math.sqrt(len(networks))
    gap = (together - FullyConnected(depth, "nngp", w, b)(a, c)).abs()
    assert (gap < 4.5 * error).all()
    assert (error < 0.02 * together.abs().max()).all()  # so that it says something
    torch.testing.assert_close(estimated(torch.stack(left), torch.stack(right), w, b), together)


@pytest.mark.parametrize("depth", [1, 2])
def test_gradients_of_wide_random_networks_estimate_the_ntk(depth):
    generator, w, b = torch.Generator().manual_seed(depth), 1.7, 0.3
    rows, each = torch.tensor(X + Y), []
    for _ in range(20):
        network = _drawn(generator, 3, *[400] * depth, 1)
        slopes = torch.func.jacrev(lambda p: _forward(*p, rows, w, b)[0][:, 0])(network)
        flat = torch.cat([slope.flatten(1) for part in slopes for slope in part], 1)
        each.append(flat @ flat.T)
    each = torch.stack(each)
    error = each.std(0) / math.sqrt(len(each))
    gap = (each.mean(0) - FullyConnected(depth, "ntk", w, b)(rows, rows)).abs()
    assert (gap < 4.5 * error).all()
    assert (error < 0.05 * _lengths(each.mean(0))).all()


# -- slopes and coincident rows

KERNELS = [
    RBF(1.5),
    ArcCosine(1, 2),
    FullyConnected(1, "ntk"),
    FullyConnected(2, "ntk", bias_variance=0.0),
    FullyConnected(3, "nngp", 1.5),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_gradients_of_different_coincident_and_parallel_rows(kernel):
    """Finite differences look at both sides of a kink alike, which is what its gradient is meant to be.

    Their steps are large enough for the angle of a row and the same row moved to be told from none.
    """
    a, b = _normal(3, 4).requires_grad_(), _normal(2, 4, seed=1).requires_grad_()

    def of(x, y):
        return kernel(torch.cat([x, y, 2 * x[:1]]), torch.cat([y, x, -x[1:2]]))

    assert torch.autograd.gradcheck(of, [a, b], eps=1e-5)
    assert torch.autograd.gradcheck(lambda x: kernel(x, x), [torch.cat([a, a[:1]]).detach().requires_grad_()], eps=1e-5)


@pytest.mark.parametrize("kernel", [ArcCosine(0, 1), ArcCosine(0, 2)], ids=repr)
def test_gradients_of_threshold_networks(kernel):
    assert torch.autograd.gradcheck(kernel, [_normal(3, 4).requires_grad_(), _normal(2, 4, seed=1).requires_grad_()])
    assert torch.autograd.gradcheck(lambda x: kernel(x, x), [_normal(3, 4).requires_grad_()])


@pytest.mark.parametrize("bias", [0.0, 0.01])
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_a_row_of_nought_has_the_gradient_of_both_sides(kind, bias):
    kernel, others = FullyConnected(1, kind, bias_variance=bias), _normal(3, 4)
    nought = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: kernel(x, others), [nought], atol=1e-4)
    together = torch.cat([nought.float(), nought.float(), others.float()])
    (slope,) = torch.autograd.grad(kernel(together, together).sum(), [nought])
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("kernel", [RBF(20.0), *KERNELS[1:], ArcCosine(0)], ids=repr)
def test_coincident_rows_in_float32_have_the_gradients_of_float64(kernel):
    rows = _normal(6, 300).float()
    x = torch.cat([rows, rows]).requires_grad_()
    (single,) = torch.autograd.grad(kernel(x, x).sum(), [x])
    (double,) = torch.autograd.grad(kernel(x.double(), x.double()).sum(), [x])
    torch.testing.assert_close(single, double, rtol=1e-4, atol=1e-4 * double.abs().max().item())
    nearly = torch.cat([rows, rows * (1 + 1e-6), rows + 1e-4 * rows.roll(1, 0)]).requires_grad_()
    (slope,) = torch.autograd.grad(kernel(nearly, nearly).sum(), [nearly])
    assert slope.norm(dim=1).max() < 10 * single.norm(dim=1).max()


@pytest.mark.parametrize("numbers", [10, 784, 3072])
def test_a_row_beside_itself_is_exact(numbers):
    """An angle rounded to 5e-4 instead of nought would cost 1e-4 of the diagonal, a hundred times the usual jitter."""
    x = torch.rand(64, numbers, generator=torch.Generator().manual_seed(numbers))
    variance = 2 * (x.double() ** 2).mean(1) + 0.01
    wanted = 2 * (variance + 0.01) - 0.01  # S_1 + T_0, S_1 = S_0 + b
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-14)):
        rows = x.to(dtype)
        for found in (FullyConnected()(rows, rows), blocks(FullyConnected(), rows, rows.clone(), 7, 5)):
            torch.testing.assert_close(found.diagonal().double(), wanted, rtol=tolerance, atol=0)


@pytest.mark.parametrize("kernel", [*KERNELS, ArcCosine(0, 2)], ids=repr)
def test_kernels_are_symmetric_and_positive_semi_definite(kernel):
    x = torch.cat([_normal(12, 3), _normal(4, 3)])  # with rows that stand twice
    for rows, tolerance in ((x, 1e-12), (x.float(), 1e-5)):
        matrix = kernel(rows, rows)
        torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=tolerance)
        assert torch.linalg.eigvalsh(matrix.double()).min() > -tolerance


# -- what is refused


def test_wrong_settings_are_refused():
    with pytest.raises(AttarError, match="depth of 1 or more"):
        FullyConnected(0)
    with pytest.raises(AttarError, match='"ntk" or "nngp", and got "ntp"'):
        FullyConnected(1, "ntp")  # type: ignore[arg-type]
    with pytest.raises(AttarError, match="make no network"):
        FullyConnected(1, weight_variance=0.0)
    with pytest.raises(AttarError, match="order 0 or 1"):
        ArcCosine(2)
    with pytest.raises(AttarError, match="composed 0 times"):
        ArcCosine(1, 0)
    with pytest.raises(AttarError, match="width -1"):
        RBF(-1.0)


def test_rows_that_cannot_be_compared_are_refused():
    kernel = FullyConnected()
    with pytest.raises(AttarError, match="got 2 x 3 and 2 x 4 numbers"):
        kernel(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(AttarError, match=r"float32 and torch\.float64"):
        kernel(torch.ones(2, 3), torch.ones(2, 3).double())
    with pytest.raises(AttarError, match=r"torch\.int64"):
        RBF(1.0)(torch.ones(2, 3).long(), torch.ones(2, 3).long())
    with pytest.raises(AttarError, match="those of 2 and 1"):
        estimated([torch.ones(2, 3)] * 2, [torch.ones(2, 3)])
