"""Rows that keep the means of functions: real ones, fewer with moved cells, and what the span of rows is for."""

import pytest
import torch

from attar.errors import AttarError
from attar.tables import Column, Table
from attar.tables.estimating import SOLVED, Equations, adjusted_rows, solving_rows

COLUMNS = (Column("x"), Column("y"), Column("kind", "categorical", ("a", "b")))


def cubes(values):
    """Means, squares and third moments, and the category by x."""
    x, y, kind = values.T
    return torch.stack([x, y, x**2, x * y, y**2, x**3, kind, kind * x], dim=1)


@pytest.fixture(scope="module")
def table():
    draws = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 300, generator=draws, dtype=torch.float64)
    values = torch.stack([x, x * y * 5, (torch.rand(300, generator=draws) < 0.3).double()], dim=1)
    return Table(values, COLUMNS, torch.rand(300, generator=draws) + 0.1, 900.0)


def sums(table, functions=cubes):
    return table.shares @ functions(table.values)


def test_real_rows_keep_the_means_of_functions(table):
    few = solving_rows(table, Equations(cubes))
    assert len(few) <= 9
    assert few.size == 900
    assert sums(few) == pytest.approx(sums(table), abs=1e-12)
    assert bool((few.values[:, None] == table.values).all(-1).any(1).all())


def test_fewer_rows_keep_them_with_moved_cells_in_range_and_categories_as_they_were(table):
    start = table.take(torch.tensor([0, 1, 2, 3, 4]))
    few, left = adjusted_rows(table, start, Equations(cubes), ["x", "y"])
    assert 0 < float(start.values[:, 2].sum()) < 5
    assert left <= SOLVED
    assert sums(few) == pytest.approx(sums(table), abs=1e-11)
    assert (len(few), few.size) == (5, 900)
    assert torch.equal(few.values[:, 2], start.values[:, 2])
    for place in (0, 1):
        assert table.values[:, place].min() <= few.values[:, place].min()
        assert few.values[:, place].max() <= table.values[:, place].max()
    again, _ = adjusted_rows(table, start, Equations(cubes), ["x", "y"])
    assert torch.equal(again.values, few.values)
    assert torch.equal(again.weight, few.weight)


def test_columns_that_are_not_named_stay(table):
    start = table.take(torch.arange(8))
    few, _ = adjusted_rows(table, start, Equations(cubes), ["y"])
    assert torch.equal(few.values[:, [0, 2]], start.values[:, [0, 2]])
    assert not torch.equal(few.values[:, 1], start.values[:, 1])


def test_what_cannot_be_kept_is_told(table):
    """Two rows of one kind have no share of the other."""
    start = table.take((table.values[:, 2] == 0).nonzero()[:2, 0])
    _, left = adjusted_rows(table, start, Equations(cubes), ["x", "y"])
    assert left > 0.1


def test_the_span_of_rows_comes_to_hold_its_target(table):
    """Two rows span (1, 2, 3) in three columns only if they are moved."""
    target = torch.tensor([1.0, 2.0, 3.0]).double()

    def span(values):
        return torch.cat([torch.ones(len(values), 1).double(), values[:, :2]], dim=1)

    start = table.take(torch.tensor([0, 1]))
    few, left = adjusted_rows(table, start, Equations(lambda values: values[:, :1], span, target), ["x", "y"])
    assert left <= SOLVED

    def lacks(rows):
        basis = torch.linalg.qr(span(rows.values).T).Q
        return float((target - basis @ (basis.T @ target)).norm())

    assert lacks(start) > 0.01
    assert lacks(few) < 1e-10


def test_bad_input_is_refused(table):
    with pytest.raises(AttarError, match="'kind' holds categories, which cannot move"):
        adjusted_rows(table, table.take(torch.arange(5)), Equations(cubes), ["kind"])
    with pytest.raises(AttarError, match="not finite"):
        adjusted_rows(table, table.take(torch.arange(5)), Equations(lambda v: v[:, :1] / v[:, 2:]), ["x"])
