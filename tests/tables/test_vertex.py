"""The vertex: few rows, positive weights, the same sums."""

import itertools

import pytest
import torch

from attar.errors import AttarError
from attar.tables.vertex import vertex


def _error(statistics, weight, rows, kept):
    """The largest error of a sum, of what its statistic weighs about its mean."""
    statistics = statistics.double()
    apart = statistics - (weight[:, None] * (statistics - statistics[0])).sum(0) / weight.sum() - statistics[0]
    off = (apart * weight[:, None]).sum(0) - (apart[rows] * kept[:, None]).sum(0)
    return float((off.abs() / (apart.abs() * weight[:, None]).sum(0).clamp(min=1e-300)).max())


def _with_ones(statistics):
    return torch.cat([torch.ones(len(statistics), 1, dtype=torch.float64), statistics.double()], dim=1)


def _drawn(n, m, seed=0):
    generator = torch.Generator().manual_seed(seed)
    statistics = torch.randn(n, m, generator=generator, dtype=torch.float64)
    return statistics, torch.rand(n, generator=generator, dtype=torch.float64) + 0.01


def test_two_of_four_points_keep_the_mean_and_the_total():
    rows, weight = vertex(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.ones(4))
    assert len(rows) == 2
    assert weight.sum() == pytest.approx(4, rel=1e-15)
    assert (weight * rows).sum() == pytest.approx(6, rel=1e-15)


@pytest.mark.parametrize(("n", "m"), [(60, 4), (3000, 9), (70_000, 2)])  # walked at once, by clusters, by chunks
def test_sums_are_those_of_all_rows_and_no_more_rows_than_sums_and_a_total(n, m):
    statistics, weight = _drawn(n, m)
    rows, kept = vertex(statistics, weight)
    assert len(rows) == m + 1
    assert rows.dtype == torch.int64
    assert bool((rows[1:] > rows[:-1]).all())
    assert bool((kept > 0).all())
    assert float(kept.sum() / weight.sum()) == pytest.approx(1, abs=1e-13)
    assert _error(statistics, weight, rows, kept) < 1e-13


def test_weights_are_the_only_ones_on_their_rows():
    statistics, weight = _drawn(40, 5)
    rows, kept = vertex(statistics, weight)
    independent = _with_ones(statistics[rows])
    assert torch.linalg.matrix_rank(independent) == len(rows)
    sums = _with_ones(statistics).T @ weight
    assert torch.linalg.solve(independent.T, sums) == pytest.approx(kept, rel=1e-9)


def test_statistics_that_depend_on_others_take_no_rows():
    statistics, weight = _drawn(500, 3)
    more = [statistics, statistics[:, :2] * 1e6, statistics @ torch.ones(3, 1).double() + 4, torch.full((500, 1), 7.0)]
    statistics = torch.cat(more, dim=1)
    rows, kept = vertex(statistics, weight)
    assert len(rows) == 4
    assert _error(statistics, weight, rows, kept) < 1e-12


def test_counts_of_every_pair_stay_and_cells_without_rows_stay_empty():
    codes = torch.randint(0, 2, (400, 6), generator=torch.Generator().manual_seed(1)).double()
    codes[codes[:, 0] * codes[:, 1] > 0, 2] = 1.0  # so 1 1 0 is a cell without rows
    pairs = [codes[:, i] * codes[:, j] for i, j in itertools.combinations(range(6), 2)]
    statistics = torch.cat([codes, torch.stack(pairs, dim=1)], dim=1)
    rows, kept = vertex(statistics, torch.ones(400))
    assert len(rows) <= 1 + 6 + 15
    assert (statistics[rows].T @ kept) == pytest.approx(statistics.sum(0), rel=1e-12)
    assert not bool(((codes[rows, 0] * codes[rows, 1] == 1) & (codes[rows, 2] == 0)).any())


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 1e8), (1e-12, 0.0), (1e12, -1e15)])
def test_units_cost_no_digits(scale, offset):
    statistics, weight = _drawn(800, 5)
    statistics[:, 1:] = statistics[:, 1:] * scale + offset
    rows, kept = vertex(statistics, weight)
    assert len(rows) == 6
    assert _error(statistics, weight, rows, kept) < 1e-12


def test_rows_that_are_alike_become_one():
    rows, weight = vertex(torch.full((50, 3), 2.5), torch.full((50,), 0.5))
    assert len(rows) == 1
    assert weight.tolist() == [25.0]
    rows, weight = vertex(torch.tensor([[1.0], [4.0]]).repeat(30, 1), torch.ones(60))
    assert weight == pytest.approx(torch.tensor([30.0, 30.0]), rel=1e-14)


def test_independent_rows_keep_their_weights():
    statistics, weight = _drawn(6, 20)
    rows, kept = vertex(statistics, weight)
    assert rows.tolist() == list(range(6))
    assert kept == pytest.approx(weight, rel=1e-12)


def test_no_row_is_kept_for_a_weight_that_rounding_swallows():
    statistics = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    rows, kept = vertex(statistics, torch.tensor([1.0, 1.0, 1e-20], dtype=torch.float64))
    assert rows.tolist() == [0, 1]
    assert kept.tolist() == [1.0, 1.0]


def test_the_same_input_gives_the_same_rows_and_is_left_as_it_was():
    statistics, weight = _drawn(900, 7)
    before = statistics.clone(), weight.clone()
    first, second = vertex(statistics, weight), vertex(statistics, weight)
    assert all(map(torch.equal, first, second))
    assert torch.equal(statistics, before[0])
    assert torch.equal(weight, before[1])


@pytest.mark.parametrize(
    ("statistics", "weight", "said"),
    [
        (torch.zeros(3, 2), torch.ones(2), r"shape \(3, 2\) and weights of shape \(2,\)"),
        (torch.zeros(0, 2), torch.ones(0), "one row at least"),
        (torch.tensor([[1.0], [float("nan")]]), torch.ones(2), "not finite"),
        (torch.zeros(2, 1), torch.tensor([1.0, 0.0]), "not positive"),
    ],
)
def test_what_has_no_vertex_is_refused(statistics, weight, said):
    with pytest.raises(AttarError, match=said):
        vertex(statistics, weight)
