"""ZCA whitening: against numbers worked out by hand and by numpy, undone, refused, and a part of the normalisation."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch

from attar.errors import AttarError
from attar.types import Normalisation
from attar.whitening import EPS, LARGEST, Whitening, fit


def rows(count: int = 200, seed: int = 0) -> torch.Tensor:
    """Images ``(n, 1, 6, 5)`` in [0, 1] whose neighbours are alike, black at the border as MNIST's are."""
    generator = torch.Generator().manual_seed(seed)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(count, 1, 6, 5, generator=generator), 3, 1, 1)
    smooth[:, :, [0, -1]] = 0
    return smooth


def by_numpy(x: torch.Tensor, eps: float) -> np.ndarray:
    flat = x.flatten(1).double().numpy()
    variances, directions = np.linalg.eigh(np.cov(flat, rowvar=False))
    return (flat - flat.mean(0)) @ (directions / np.sqrt(variances + eps)) @ directions.T


def test_two_pixels_by_hand():
    # mean (3, 1); the deviations (2, 1), (-2, -1), (1, 2), (-1, -2) have the covariance [[10, 8], [8, 10]] / 3, with the
    # eigenvalues 6 and 2/3 along (1, 1) and (1, -1)
    x = torch.tensor([[5.0, 2.0], [1.0, 0.0], [4.0, 3.0], [2.0, -1.0]])
    a, b = 1 / math.sqrt(6 + 0.1), 1 / math.sqrt(2 / 3 + 0.1)
    matrix = torch.tensor([[a + b, a - b], [a - b, a + b]]) / 2
    fitted = fit(x)
    assert (fitted.eps, fitted.rows) == (0.1, 4) == (EPS, len(x))
    torch.testing.assert_close(fitted.mean, torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(fitted.triangle, matrix.flatten()[[0, 1, 3]])
    torch.testing.assert_close(fitted.apply(x)[0], matrix @ torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(fitted.change(x[:1]), x[:1] @ matrix)


@pytest.mark.parametrize("count", [200, 12], ids=["many", "fewer than pixels"])
def test_numpy_gives_the_same(count):
    x = rows(count)
    np.testing.assert_allclose(fit(x, 1e-3).apply(x).flatten(1), by_numpy(x, 1e-3), atol=2e-5)


def test_more_columns_and_rows_than_are_taken_at_a_time():
    x = torch.rand(1100, 2, 20, 20, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(fit(x).apply(x).flatten(1), by_numpy(x, EPS), atol=2e-5)


def test_whitened_rows_do_not_vary_together():
    """Their covariance is the identity where variances are far above eps."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 8, generator=generator) @ torch.randn(8, 8, generator=generator) + 3
    white = fit(x, eps=1e-6).apply(x)
    torch.testing.assert_close(torch.cov(white.T), torch.eye(8), atol=1e-3, rtol=0)
    torch.testing.assert_close(white.mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    assert (torch.cov(x.T) - torch.eye(8)).abs().max() > 1


@pytest.mark.parametrize("count", [200, 12, 2])
def test_undone_it_is_gone_also_of_constant_pixels(count):
    x = rows(count)
    fitted = fit(x)
    torch.testing.assert_close(fitted.undo(fitted.apply(x)), x, atol=1e-5, rtol=0)
    others = rows(50, seed=1) + 0.5  # border and all, which never varied in what it was fitted on
    torch.testing.assert_close(fitted.undo(fitted.apply(others)), others, atol=1e-5, rtol=0)


def test_a_row_is_whitened_alike_in_every_batch():
    x = rows()
    fitted = fit(x)
    assert torch.equal(torch.cat([fitted.apply(row[None]) for row in x]), fitted.apply(x))
    assert torch.equal(fitted.apply(x[:0]), x[:0])
    assert fitted.apply(x.double()).dtype == torch.float64


def test_equal_ones_are_equal_and_survive_a_journey():
    fitted, again = fit(rows()), fit(rows())
    read = Whitening.read(fitted.content(), fitted.eps, fitted.rows)
    sent = pickle.loads(pickle.dumps(fitted))
    for other in (again, read, sent, copy.deepcopy(fitted)):
        assert other == fitted
        assert hash(other) == hash(fitted)
        assert other.checksum == fitted.checksum
        assert torch.equal(other.apply(rows()), fitted.apply(rows()))
    one = Normalisation((0.0,), (1.0,), fitted)
    assert one == Normalisation((0.0,), (1.0,), again)
    for other in (fit(rows(seed=1)), fit(rows(), 0.2), None):
        assert Normalisation((0.0,), (1.0,), other) != one


@pytest.mark.parametrize(
    ("x", "eps", "message"),
    [
        (
            torch.zeros(5, 3, 224, 224),
            EPS,
            "Rows of 3 x 224 x 224 are too large .* 150,528 x 150,528 would take 168.8 GiB",
        ),
        (torch.zeros(1, 4), EPS, "two rows or more, and was given 1"),
        (torch.zeros(5, 4), 0.0, "eps=0.0 is none"),
        (torch.eye(4), 1e-12, "eps=1e-12 is too small .* variance in a direction is 0.333: give 3e-09 or more"),
        (torch.full((5, 4), math.nan), EPS, "not finite"),
    ],
)
def test_what_cannot_be_whitened_is_refused_in_a_sentence(x, eps, message):
    with pytest.raises(AttarError, match=message):
        fit(x, eps)
    assert LARGEST == 3 * 64 * 64


def test_rows_of_another_shape_are_refused():
    with pytest.raises(AttarError, match="of rows of 30 numbers and these have 20"):
        fit(rows()).apply(torch.zeros(2, 1, 4, 5))


# -- as a part of the normalisation


def whitened(x: torch.Tensor) -> Normalisation:
    plain = Normalisation((0.2,), (0.5,))
    return Normalisation(plain.mean, plain.std, fit(plain.apply(x)))


def test_rows_are_standardised_and_then_whitened_and_back():
    x = rows()
    scale = whitened(x)
    assert scale.whitening is not None
    assert torch.equal(scale.apply(x), scale.whitening.apply((x - 0.2) / 0.5))
    torch.testing.assert_close(scale.undo(scale.apply(x)), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("white", [True, False])
def test_rows_are_brought_to_the_pixels_range_and_those_within_stay(white):
    x = rows()[:3] * 0.9 + 0.05
    x[0, 0, 2, 2], x[1, 0, 3, 3] = 1.7, -0.4
    scale = whitened(rows()) if white else Normalisation((0.2,), (0.5,))
    before = scale.apply(x)
    after = scale.clamp(before)
    torch.testing.assert_close(scale.undo(after), x.clamp(0, 1), atol=1e-5, rtol=0)
    assert torch.equal(after[2], before[2])
    assert scale.clamp(before.to("meta")).shape == before.shape
