"""Rows that keep mean and covariance, made or real: values, ranks, streams, and what is read from them."""

import math

import pytest
import torch

from attar.errors import AttarError
from attar.tables import Column, Table
from attar.tables.moments import Leaves, Moments, as_numbers, real_row_ids, real_rows, real_rows_of_stream

CITY = Column("city", "categorical", ("Rome", "Oslo", "Bern"))
CURED = Column("cured", "categorical", ("no", "yes"))
GRADE = Column("grade", "ordinal", (1.0, 2.0, 4.0))


def _numbers(values, **fields):
    return Table(values, tuple(Column(f"x{i}") for i in range(values.shape[1])), **fields)


def _linear(n=600, seed=0, weighted=True):
    """x3 = 2 x0 - x1 + noise, and x4 = x2 + x3 + noise."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    x3 = 2 * noise[:, 0] - noise[:, 1] + noise[:, 3]
    values = torch.column_stack([noise[:, :3], x3, noise[:, 2] + x3 + noise[:, 4]])
    return _numbers(values, weight=torch.rand(n, generator=generator) + 0.1 if weighted else None)


def _mixed(n=400, seed=0):
    """A continuous column, whole ones, one constant, and three kinds of categories, which hang together."""
    generator = torch.Generator().manual_seed(seed)
    city = torch.randint(0, 3, (n,), generator=generator).double()
    dose = torch.rand(n, generator=generator, dtype=torch.float64) * (1 + city)
    cured = (torch.rand(n, generator=generator) < 0.2 + 0.2 * dose).double()
    grade = torch.randint(0, 3, (n,), generator=generator).double()
    age = torch.randint(20, 61, (n,), generator=generator).double()
    batch = torch.full((n,), 0.1, dtype=torch.float64)
    columns = (Column("dose"), Column("age", whole=True), Column("batch"), GRADE, CITY, CURED)
    return Table(torch.column_stack([dose, age, batch, grade, city, cured]), columns)


def _direct(table):
    """Mean, covariance and deviations by their definitions."""
    x, share = as_numbers(table).values, table.shares
    mean = x[0] + share @ (x - x[0])
    apart = x - mean
    covariance = (apart * share[:, None]).T @ apart
    return mean, covariance, covariance.diagonal().sqrt()


def _apart(few, full):
    """The largest difference of means and covariances, in deviations of the columns."""
    mean, covariance, deviation = _direct(full)
    its_mean, its_covariance, _ = _direct(few)
    unit = deviation.where(deviation > 0, 1.0)
    off = (its_covariance - covariance) / unit / unit[:, None]
    return max(float(((its_mean - mean) / unit).abs().max()), float(off.abs().max()))


def test_moments_of_weighted_rows_by_hand():
    table = Table(torch.tensor([[0.0, 1], [4, 1], [2, 0]]), (Column("x"), CURED), torch.tensor([1.0, 1, 2]), 100.0)
    moments = Moments.of(table)
    assert moments.mean.tolist() == [2.0, 0.5]
    assert moments.covariance.tolist() == [[2.0, 0.0], [0.0, 0.25]]
    assert (moments.size, moments.rank, moments.names) == (100, 2, ("x", "cured"))
    assert (moments.columns[0].low, moments.columns[0].high) == (0, 4)


def test_numbers_have_a_column_for_each_of_many_categories_and_keep_the_rest():
    numbers = as_numbers(_mixed().take(torch.arange(5)).replace(n_represented=50.0))
    assert numbers.names == ("dose", "age", "batch", "grade", "city=Rome", "city=Oslo", "city=Bern", "cured")
    assert numbers.size == 50
    codes = _mixed().codes("city")[:5]
    assert torch.equal(numbers.values[:, 4:7].argmax(1), codes)
    assert bool((numbers.values[:, 4:7].sum(1) == 1).all())
    assert torch.equal(numbers.values[:, 3], _mixed().numbers(["grade"])[:5, 0])
    assert torch.equal(as_numbers(numbers).values, numbers.values)


def test_synthetic_rows_have_the_moments_in_as_few_rows_as_can_be():
    full = _linear()
    rows = Moments.of(full).rows()
    assert len(rows) == 6
    assert rows.weight is None
    assert rows.size == 600
    assert _apart(rows, full) < 1e-12


def test_real_rows_have_the_moments_in_few_rows_of_the_table():
    full = _linear()
    ids, weight = real_row_ids(full)
    rows = real_rows(full)
    assert len(ids) <= 1 + 5 + 15
    assert torch.equal(rows.values, full.values[ids])
    assert torch.equal(rows.weight, weight)
    assert bool((weight > 0).all())
    assert float(weight.sum()) == pytest.approx(600, rel=1e-13)
    assert rows.size == 600
    assert _apart(rows, full) < 1e-12


@pytest.mark.parametrize("make", [lambda table: Moments.of(table).rows(), real_rows], ids=["synthetic", "real"])
class TestWhatIsReadFromRows:
    def test_regressions_and_partial_correlations_are_those_of_all_rows(self, make):
        full = _linear()
        few = make(full)

        def fits(table):
            share, x = table.shares, table.values
            design = torch.column_stack([torch.ones(len(x)).double(), x[:, :4]])
            slopes = torch.linalg.solve(design.T @ (design * share[:, None]), design.T @ (share * x[:, 4]))
            inverse = torch.linalg.inv(_direct(table)[1])
            return torch.cat(
                [slopes, (inverse / inverse.diagonal().sqrt() / inverse.diagonal().sqrt()[:, None]).ravel()]
            )

        assert fits(few) == pytest.approx(fits(full), abs=1e-10)

    def test_mixed_tables_keep_all_moments_and_their_linear_relations(self, make):
        full = _mixed()
        few = make(full)
        assert _apart(few, full) < 1e-12
        numbers = as_numbers(few).values
        assert bool((numbers[:, 2] == 0.1).all())
        assert numbers[:, 4:7].sum(dim=1) == pytest.approx(torch.ones(len(few)), abs=1e-12)

    def test_columns_of_all_scales_that_depend_on_one_another(self, make):
        base = _linear(weighted=False).values[:, :3]
        full = _numbers(
            torch.column_stack([base, base[:, :2], base[:, 0] * 1e-9 - 3e-9 * base[:, 1], base[:, 2] * 1e12])
        )
        few = make(full)
        x = few.values
        assert Moments.of(full).rank == 3
        assert len(few) <= 1 + 3 + 6
        assert _apart(few, full) < 1e-12
        assert x[:, 3:5] == pytest.approx(x[:, :2], abs=1e-12)
        assert x[:, 5] == pytest.approx(1e-9 * x[:, 0] - 3e-9 * x[:, 1], abs=1e-20)

    def test_a_huge_offset_costs_the_rounding_of_its_values_and_no_more(self, make):
        full = _linear()
        full = full.replace(values=full.values + torch.tensor([1e8, 0, 0, -1e8, 0]))
        assert _apart(make(full), full) < 1e-7  # two values next to one another are 1.5e-8 apart

    def test_one_row_and_rows_alike_are_one_row(self, make):
        for n in (1, 7):
            full = _numbers(torch.tensor([[0.1, 3.0]]).expand(n, 2))
            few = make(full)
            assert torch.equal(few.values, full.values[:1])
            assert few.size == n

    def test_the_same_table_gives_the_same_rows(self, make):
        one, two = make(_mixed()), make(_mixed())
        assert torch.equal(one.values, two.values)
        assert torch.equal(one.shares, two.shares)

    def test_values_that_are_missing_or_probabilities_are_refused(self, make):
        full = _mixed()
        holes = full.values.clone()
        holes[3, 0] = holes[3, 4] = holes[5, 4] = math.nan
        said = r"1 in 'dose', 2 in 'city'.* fill them in, or leave out these 2 of 400 rows"
        with pytest.raises(AttarError, match=said):
            make(full.replace(values=holes))
        with pytest.raises(AttarError, match="'cured' holds probabilities"):
            make(full.replace(soft={"cured": full.probabilities("cured")}))
        with pytest.raises(AttarError, match="no values"):
            make(full.take(torch.empty(0, dtype=torch.int64)))


def test_synthetic_rows_stay_within_a_regular_simplex():
    full = _numbers(torch.randn(2000, 8, generator=torch.Generator().manual_seed(0)).double())
    rows = Moments.of(full).rows().values
    mean, covariance, _ = _direct(full)
    away = rows - mean
    apart = away @ torch.linalg.inv(covariance) @ away.T
    assert apart == pytest.approx(9 * torch.eye(9) - 1, abs=1e-9)  # every corner as far as every other
    corner = torch.linalg.solve(torch.linalg.cholesky(covariance), away.T)
    assert float(corner.abs().max()) <= math.sqrt(2) + 1e-9


def test_moments_of_a_stream_are_those_of_the_whole(monkeypatch):
    full = _mixed().replace(weight=torch.rand(400, generator=torch.Generator().manual_seed(4)) + 0.2)
    blocks = [
        full.take(part).replace(n_represented=float(full.weight[part].sum())) for part in torch.arange(400).split(90)
    ]
    whole, streamed = Moments.of(full), Moments.of_stream(iter(blocks))
    monkeypatch.setattr("attar.tables.moments._CHUNK", 64)
    for other in (streamed, Moments.of(full)):
        assert other.mean == pytest.approx(whole.mean, rel=1e-13)
        assert other.covariance == pytest.approx(whole.covariance, rel=1e-12, abs=1e-14)
        assert other.rank == whole.rank == 6  # of eight numbers one is constant, and three sum to 1
        assert other.columns == whole.columns
    assert streamed.size == pytest.approx(float(full.weight.sum()))
    assert Moments.of(full).size == 400
    assert bool((streamed.rows().values[:, 2] == 0.1).all())


def test_merging_goes_by_size_in_any_order():
    a, b, c = (Moments.of(_linear(n, seed)) for n, seed in ((50, 1), (200, 2), (31, 3)))
    left, right, turned = a.merge(b).merge(c), a.merge(b.merge(c)), c.merge(b).merge(a)
    for other in (right, turned):
        assert other.covariance == pytest.approx(left.covariance, rel=1e-12, abs=1e-13)
        assert other.mean == pytest.approx(left.mean, rel=1e-12, abs=1e-13)
        assert other.columns == left.columns
    small = Moments.of(_numbers(torch.tensor([[0.0], [2.0]])))
    large = Moments.of(_numbers(torch.tensor([[4.0]]), n_represented=6.0))
    both = small.merge(large)
    assert (both.mean.item(), both.size) == (3.25, 8)
    assert both.covariance.item() == pytest.approx((10.5625 + 1.5625 + 6 * 0.5625) / 8)


@pytest.mark.parametrize("chunk", [16_384, 128])
def test_real_rows_of_a_stream_and_of_sets_made_apart_are_those_of_the_union(chunk, monkeypatch):
    monkeypatch.setattr("attar.tables.moments._CHUNK", chunk)
    full = _mixed(900)
    blocks = [full.take(part) for part in torch.arange(900).split(70)]
    bound = 1 + 8 + 36
    apart = real_rows_of_stream([real_rows(full.take(torch.arange(300))), real_rows(full.take(torch.arange(300, 900)))])
    for few in (real_rows_of_stream(iter(blocks)), apart, real_rows(full)):
        assert len(few) <= bound
        assert few.size == 900
        assert float(few.weight.sum()) == pytest.approx(900, rel=1e-12)
        assert _apart(few, full) < 1e-12
        assert bool((few.values[:, None] == full.values).all(-1).any(1).all())
        assert few.column("city") == CITY


def test_ranges_of_the_source_widen_with_a_stream():
    first = Table(torch.tensor([[1.0], [3.0]]), (Column("x", low=0.0, high=3.0, whole=True),))
    then = Table(torch.tensor([[2.5], [7.0]]), (Column("x"),))
    (column,) = Moments.of_stream([first, then]).columns
    assert column == Column("x", low=0.0, high=7.0, whole=False)


def test_rows_say_where_they_leave_ranges_and_types():
    full = _mixed()
    moments = Moments.of(full)
    assert moments.leaves(full) == moments.leaves(real_rows(full)) == Leaves()
    found = moments.leaves(moments.rows())
    assert found.unlike == ("age", "grade", "city", "cured")
    assert "batch" not in found.beyond
    rows = moments.rows()
    values = rows.values.clone()
    values[:, rows.place("dose")] = -1.0
    assert "dose" in moments.leaves(rows.replace(values=values)).beyond
    assert Leaves().sentence == "Values keep to the ranges and types of the source."
    assert Leaves(("dose",), ("age", "city")).sentence == (
        "Values leave the range of the source in dose, and are no whole numbers or categories, as those of the source, in age, city."
    )


def test_other_columns_do_not_merge():
    one = _numbers(torch.tensor([[1.0, 2.0]]))
    other = Table(torch.tensor([[1.0, 0.0]]), (Column("x0"), CURED))
    for merge in (Moments.of_stream, real_rows_of_stream):
        with pytest.raises(AttarError, match="'x1' is another in the second table .*cured"):
            merge([one, other])
        with pytest.raises(AttarError, match="2 columns and the other 1"):
            merge([one, one.only(["x0"])])
        with pytest.raises(AttarError, match="no table"):
            merge([])
