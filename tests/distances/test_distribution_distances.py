"""Attention, kernels and characteristic functions against values by hand and by loops."""

import cmath
import math

import pytest
import torch

from attar.distances import (
    GaussianMMD,
    MeanDistance,
    SpatialAttention,
    characteristic_distance,
    characteristic_function,
    gaussian_mmd,
    mean_distance,
    spatial_attention,
)
from attar.types import AttarError

WIDTHS = (0.5, 2.0)


def _normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- attention


def test_attention_by_hand():
    """Channels (1, -2) and (2, 0) at two places: fourth powers 1 + 16 and 16 + 0."""
    features = torch.tensor([[[[1.0, 2.0]], [[-2.0, 0.0]]]])
    length = math.hypot(17, 16)
    assert spatial_attention(features)[0].tolist() == pytest.approx([17 / length, 16 / length])
    assert spatial_attention(features, 1)[0].tolist() == pytest.approx([3 / math.hypot(3, 2), 2 / math.hypot(3, 2)])


@pytest.mark.parametrize("exponent", [1, 2, 3, 4])
def test_attention_is_the_loop_over_rows_places_and_channels(exponent):
    features = _normal(3, 4, 2, 5)
    for row, found in zip(features, spatial_attention(features, exponent), strict=True):
        places = [sum(abs(float(v)) ** exponent for v in row[:, i, j]) for i in range(2) for j in range(5)]
        length = math.sqrt(sum(value**2 for value in places))
        assert found.tolist() == pytest.approx([value / length for value in places])


def test_attention_of_dead_features_is_nought_and_has_a_gradient():
    features = torch.zeros(2, 3, 2, 2, requires_grad=True)
    maps = spatial_attention(features)
    assert maps.abs().sum() == 0
    assert torch.isfinite(torch.autograd.grad(maps.sum(), [features])[0]).all()


@pytest.mark.parametrize("exponent", [1, 2, 3, 4])
def test_gradients_of_attention(exponent):
    assert torch.autograd.gradcheck(lambda x: spatial_attention(x, exponent), [_normal(2, 3, 2, 2).requires_grad_()])


def test_the_last_layer_is_not_turned_into_a_map():
    below, last = SpatialAttention(2.0)([_normal(3, 4, 2, 2), _normal(3, 4, 1, 2)])
    assert below.shape == (3, 4)
    assert torch.equal(last, _normal(3, 4, 1, 2).flatten(1))


def test_an_exponent_without_a_slope_at_nought_is_refused():
    with pytest.raises(AttarError, match="exponent of 1 or more, and got 0.5"):
        SpatialAttention(0.5)


# -- weighted means


def test_layers_are_weighed_as_asked():
    sides = [[_normal(6, 4, seed=seed), _normal(6, 3, seed=seed + 1)] for seed in (0, 2)]
    y = torch.tensor([0, 0, 1, 1, 2, 2])
    each = [mean_distance([a], y, [b], y, 3).item() for a, b in zip(*sides, strict=True)]
    assert MeanDistance(2.0, 0.5)(sides[0], y, sides[1], y, 3).item() == pytest.approx(2 * each[0] + 0.5 * each[1])
    assert MeanDistance()(sides[0], y, sides[1], y, 3).item() == pytest.approx(sum(each))
    with pytest.raises(AttarError, match="compare nothing"):
        MeanDistance(0.0, 0.0)


# -- kernels


def _by_loops(real, p, synthetic, q):
    rows = [*real, *synthetic]
    weights = [*(p / p.sum()).tolist(), *(-q / q.sum()).tolist()]
    pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows))]
    squares = {(i, j): float(((rows[i] - rows[j]) ** 2).sum()) for i, j in pairs}
    bandwidth = sum(squares[i, j] for i, j in pairs if i != j) / (len(rows) * (len(rows) - 1))
    value = sum(
        weights[i] * weights[j] * math.exp(-squares[i, j] / (width * bandwidth)) for i, j in pairs for width in WIDTHS
    )
    return value, bandwidth


def test_the_discrepancy_is_the_loop_over_all_pairs():
    real, synthetic = _normal(5, 3), 0.5 * _normal(4, 3, seed=1)
    p, q = torch.tensor([1.0, 2.0, 1.0, 1.0, 0.5]).double(), torch.tensor([1.0, 1.0, 3.0, 1.0]).double()
    wanted, bandwidth = _by_loops(real, p, synthetic, q)
    found = [gaussian_mmd(real, p, synthetic, q, WIDTHS, scaled).item() for scaled in (False, True)]
    assert found == pytest.approx([wanted, wanted * bandwidth / (2 * (2 + 0.5))], rel=1e-9)


def test_equal_sets_have_no_discrepancy_and_sets_of_equal_means_have_one():
    rows = _normal(8, 3)
    rows = torch.cat([rows, -rows])
    ones = torch.ones(16).double()
    assert gaussian_mmd(rows, ones, rows, ones, WIDTHS, True).item() == pytest.approx(0, abs=1e-12)
    assert mean_distance([rows], ones[:, None], [2 * rows], ones[:, None], 1).item() == pytest.approx(0, abs=1e-20)
    assert gaussian_mmd(rows, ones, 2 * rows, ones, WIDTHS, True).item() > 0.1


def test_under_wide_kernels_it_is_the_squared_gap_of_the_means():
    real, synthetic = _normal(30, 3), _normal(20, 3, seed=1) + 0.3
    ones = torch.ones(30).double(), torch.ones(20).double()
    gap = float(((real.mean(0) - synthetic.mean(0)) ** 2).sum())
    assert gaussian_mmd(real, ones[0], synthetic, ones[1], (1e4,), True).item() == pytest.approx(gap, rel=1e-2)


def test_its_gradient_is_that_of_the_loop_with_a_constant_bandwidth():
    real, synthetic = _normal(5, 3), _normal(4, 3, seed=1).requires_grad_()
    ones = torch.ones(5).double(), torch.ones(4).double()
    [slope] = torch.autograd.grad(gaussian_mmd(real, ones[0], synthetic, ones[1], WIDTHS, False), [synthetic])
    _, b = _by_loops(real, ones[0], synthetic.detach(), ones[1])
    wanted = torch.zeros(4, 3).double()
    with torch.no_grad():
        for j in range(4):
            for other, sign, count in ((real, -1, 5), (synthetic, 1, 4)):
                for row in other:
                    gap = synthetic[j] - row
                    for width in WIDTHS:
                        kernel = math.exp(-float(gap @ gap) / (width * b))
                        wanted[j] += sign * 2 / (4 * count) * kernel * (-2 * gap / (width * b))
    assert torch.allclose(slope, wanted, atol=1e-10)


def test_classes_and_layers_add_up():
    real, synthetic = _normal(6, 3), _normal(4, 3, seed=1)
    y, z = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 0, 1, 1])
    distance = GaussianMMD(WIDTHS)
    whole = distance([real, 2 * real], y, [synthetic, 2 * synthetic], z, 2)
    alone = [
        gaussian_mmd(k * real, (y == c).double(), k * synthetic, (z == c).double(), WIDTHS, True).item()
        for k in (1, 2)
        for c in (0, 1)
    ]
    assert whole.item() == pytest.approx(sum(alone))
    soft = distance([real], torch.nn.functional.one_hot(y).double(), [synthetic], z, 2)
    assert soft.item() == pytest.approx(distance([real], y, [synthetic], z, 2).item())


@pytest.mark.parametrize("widths", [(), (1.0, 0.0)])
def test_kernels_without_width_are_refused(widths):
    with pytest.raises(AttarError, match="measure nothing"):
        GaussianMMD(widths)


# -- characteristic functions


def _wave(rows, shares, t):
    return sum(w * cmath.exp(1j * float(row @ t)) for row, w in zip(rows, shares.tolist(), strict=True)) / float(
        shares.sum()
    )


def test_a_characteristic_function_is_the_mean_of_waves_of_each_class():
    rows, frequencies = _normal(6, 3), _normal(5, 3, seed=1)
    share = torch.rand(6, 2, generator=torch.Generator().manual_seed(2)).double()
    real, imaginary = characteristic_function(rows, share, frequencies)
    for group in range(2):
        for index, t in enumerate(frequencies):
            wanted = _wave(rows, share[:, group], t)
            assert (real[group, index].item(), imaginary[group, index].item()) == pytest.approx(
                (wanted.real, wanted.imag)
            )


def test_many_rows_pass_in_chunks(monkeypatch):
    rows, frequencies, share = _normal(7, 3), _normal(4, 3, seed=1), torch.ones(7, 2).double()
    whole = characteristic_function(rows, share, frequencies)
    monkeypatch.setattr("attar.distances.characteristic._CHUNK", 3)
    for a, b in zip(whole, characteristic_function(rows, share, frequencies), strict=True):
        assert torch.allclose(a, b)


def test_the_distance_weighs_amplitude_and_phase():
    """|R| = 1 and |S| = 1/2 at a right angle: amplitude 1/4, phase 2 (1/2 - 0) = 1."""
    real, synthetic = (torch.tensor([[1.0]]), torch.tensor([[0.0]])), (torch.tensor([[0.0]]), torch.tensor([[0.5]]))
    assert characteristic_distance(real, synthetic, 1.0, 0.0).item() == pytest.approx(0.5)
    assert characteristic_distance(real, synthetic, 0.0, 1.0).item() == pytest.approx(1.0)
    assert characteristic_distance(real, synthetic).item() == pytest.approx(math.sqrt(1.25) / math.sqrt(2))


def test_weighed_alike_it_is_the_length_of_the_difference():
    sides = [characteristic_function(_normal(6, 3, seed=s), torch.ones(6, 1).double(), _normal(9, 3)) for s in (1, 2)]
    gaps = [
        abs(complex(a, b) - complex(c, d))
        for a, b, c, d in zip(*(part[0].tolist() for side in sides for part in side), strict=True)
    ]
    assert characteristic_distance(*sides, 1.0, 1.0).item() == pytest.approx(sum(gaps) / len(gaps), rel=1e-5)


def test_gradients_of_the_characteristic_distance_reach_rows_and_frequencies():
    target = characteristic_function(_normal(6, 3), torch.ones(6, 2).double(), _normal(4, 3, seed=1))
    share = torch.rand(5, 2, generator=torch.Generator().manual_seed(2)).double()
    leaves = [_normal(5, 3, seed=3).requires_grad_(), _normal(4, 3, seed=1).requires_grad_()]
    assert torch.autograd.gradcheck(
        lambda x, t: characteristic_distance(target, characteristic_function(x, share, t)), leaves
    )


def test_equal_sides_have_a_finite_gradient():
    rows, share, t = _normal(5, 3).requires_grad_(), torch.ones(5, 1).double(), _normal(4, 3, seed=1)
    here = characteristic_function(rows, share, t)
    value = characteristic_distance(tuple(part.detach() for part in here), here)
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert torch.isfinite(torch.autograd.grad(value, [rows])[0]).all()
