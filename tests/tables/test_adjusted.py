"""Rows that are changed until they have given moments."""

import pytest
import torch

from attar.rng import generator
from attar.tables import Column, Encoding, Table
from attar.tables.adjusted import moment_gap, with_means, with_moments
from attar.tables.moments import mean_and_covariance
from attar.tables.ranges import Ranges


def _numbers(width, low=-torch.inf, high=torch.inf):
    no = torch.zeros(width).bool()
    ends = (torch.full((width,), end, dtype=torch.float64) for end in (low, high))
    return Ranges(*ends, torch.zeros(0, width).bool(), no, no)


def _source(width, seed=0):
    draws = torch.randn(500, width, generator=generator(seed), dtype=torch.float64)
    mixed = draws @ (torch.eye(width) + 0.3 * torch.randn(width, width, generator=generator(seed + 1))).double()
    standard = (mixed - mixed.mean(0)) / mixed.std(0)
    return standard, *mean_and_covariance(standard, torch.ones(500).double())


def test_without_bounds_moments_are_exact_and_rows_move_little():
    source, mean, covariance = _source(4)
    rows = source[:30]
    share = torch.rand(30, generator=generator(2), dtype=torch.float64) + 0.1
    share /= share.sum()
    found = with_moments(rows, share, mean, covariance, torch.ones(4).bool(), _numbers(4))
    mass = mean_and_covariance(found, share)
    assert torch.allclose(mass[0], mean, atol=1e-12)
    assert torch.allclose(mass[1], covariance, atol=1e-12)
    # another way to these moments, by Cholesky factors, moves rows further
    here, spread = mean_and_covariance(rows, share)
    factors = torch.linalg.cholesky(torch.stack([spread, covariance]))
    affine = (rows - here) @ torch.linalg.inv(factors[0]).T @ factors[1].T + mean
    assert (share @ (found - rows) ** 2).sum() < (share @ (affine - rows) ** 2).sum()


def test_a_mean_and_a_variance_by_hand():
    """Of two rows the least change is to move both by the mean's gap and to stretch them."""
    rows, share = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([0.5, 0.5]).double()
    wanted = torch.tensor([2.0]).double(), torch.tensor([[4.0]]).double()
    found = with_moments(rows, share, *wanted, torch.tensor([True]), _numbers(1))
    assert torch.allclose(found, torch.tensor([[0.0], [4.0]]).double(), atol=1e-9)


def test_bounds_are_kept_and_moments_too():
    source, mean, covariance = _source(3)
    low, high = float(source.min()), float(source.max())
    rows = source[torch.randperm(500, generator=generator(3))[:60]]
    rows[:5, 0], rows[5:8, 1] = low, high  # at their ends already
    share = torch.full((60,), 1 / 60, dtype=torch.float64)
    ranges = _numbers(3, low, high)
    found = with_moments(rows, share, mean, covariance, torch.ones(3).bool(), ranges)
    assert moment_gap(found, share, mean, covariance, ranges) < 1e-12
    assert low <= float(found.min())
    assert float(found.max()) <= high


def test_fixed_columns_stay_and_covariances_with_them_are_kept():
    source, mean, covariance = _source(4)
    rows, share = source[:50].clone(), torch.full((50,), 1 / 50, dtype=torch.float64)
    free = torch.tensor([True, False, True, False])
    found = with_moments(rows, share, mean, covariance, free, _numbers(4))
    assert torch.equal(found[:, ~free], rows[:, ~free])
    after = mean_and_covariance(found, share)
    assert torch.allclose(after[0][free], mean[free], atol=1e-12)
    assert torch.allclose(after[1][free], covariance[free], atol=1e-12)


def test_probabilities_stay_probabilities_and_have_the_moments():
    draws = generator(5)
    size = torch.randn(400, generator=draws).double()
    colour = torch.bucketize(size + torch.randn(400, generator=draws), torch.tensor([-0.5, 0.7]))
    sick = (size + torch.randn(400, generator=draws) > 0).double()
    columns = (
        Column("size"),
        Column("colour", "categorical", ("r", "g", "b")),
        Column("sick", "categorical", ("n", "y")),
    )
    table = Table(torch.stack([size, colour.double(), sick], 1), columns)
    encoding = Encoding.fit(table)
    joint, ranges = encoding.encode(table), Ranges.of(encoding)
    mean, covariance = mean_and_covariance(joint, torch.ones(400).double())
    share = torch.full((40,), 1 / 40, dtype=torch.float64)
    found = with_moments(joint[:40], share, mean, covariance, torch.ones(5).bool(), ranges)
    assert moment_gap(found, share, mean, covariance, ranges) < 1e-12
    assert float(found[:, 1:].min()) >= 0
    assert float(found[:, 1:].max()) <= 1
    assert torch.allclose(found[:, 1:4].sum(1), torch.ones(40).double())


def test_too_few_rows_leave_a_gap_and_no_error():
    _, mean, covariance = _source(6)
    rows, share = torch.randn(4, 6, generator=generator(7)).double(), torch.full((4,), 0.25, dtype=torch.float64)
    found = with_moments(rows, share, mean, covariance, torch.ones(6).bool(), _numbers(6))
    assert bool(found.isfinite().all())
    assert moment_gap(found, share, mean, covariance, _numbers(6)) > 1e-3


def test_shares_get_the_means_asked_for_or_stay():
    share = torch.tensor([0.25, 0.25, 0.5]).double()
    of = torch.tensor([[0.0], [1.0], [2.0]]).double()
    found = with_means(share, of, torch.tensor([1.0]).double())
    assert float(found.sum()) == pytest.approx(1)
    assert float(found @ of[:, 0]) == pytest.approx(1)
    assert bool((found > 0).all())
    assert torch.equal(with_means(share, of, torch.tensor([2.5]).double()), share)  # beyond all rows


def test_ranges_are_those_of_columns():
    columns = (
        Column("dose", low=-1.0, high=3.0),
        Column("grade", "ordinal", (1.0, 2.0, 5.0)),
        Column("sick", "categorical", ("n", "y")),
        Column("town", "categorical", ("a", "b", "c")),
    )
    encoding = Encoding(columns, (1.0, 2.0, 0.0, 0.0), (2.0, 1.0, 1.0, 1.0))
    ranges = Ranges.of(encoding)
    assert ranges.low.tolist() == [-1, -1, 0, 0, 0, 0]
    assert ranges.high.tolist() == [1, 3, 1, 1, 1, 1]
    assert ranges.stepped.tolist() == [False, True, False, False, False, False]
    assert ranges.blocks.tolist() == [[False] * 3 + [True] * 3]
    rows = ranges.within(torch.tensor([[9.0, 9.0, -1.0, 2.0, 0.0, 0.0]]).double())
    assert rows.tolist() == [[1, 3, 0, 1, 0, 0]]
    both = ranges.join(Ranges.of_classes(2))
    assert both.blocks.shape == (2, 8)
    assert both.within(torch.zeros(1, 8).double())[0, 6:].tolist() == [0.5, 0.5]
