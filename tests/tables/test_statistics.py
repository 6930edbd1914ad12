"""What rows say that they keep, and that it is lost where rows are taken from them."""

import pytest
import torch

from attar.tables import (
    Column,
    Margins,
    Moments,
    Statistics,
    Table,
    as_numbers,
    contingency_rows,
    counted,
    drawn,
    hard_rows,
    real_rows,
    reweighted,
    rounded,
    soft_rows,
    vertex_rows,
)
from attar.tables.statistics import KeptEffect


@pytest.fixture(scope="module")
def table():
    """400 rows of four columns of three categories, of which most combinations occur."""
    draws = torch.Generator().manual_seed(0)
    values = torch.randint(3, (400, 4), generator=draws).double()
    values[:, 1] = (values[:, 0] + values[:, 1].clamp(max=1)) % 3
    return Table(values, tuple(Column(name, "categorical", ("x", "y", "z")) for name in "abcd"))


def test_contingency_tables_keep_those_of_fewer_columns():
    kept = Statistics(families=(("a", "b", "c"), ("c", "d")))
    assert kept.counts(("c", "a"))
    assert kept.counts(("a", "b", "c"))
    assert not kept.counts(("a", "d"))
    assert kept.covariances(("a", "b", "c"))
    assert not kept.covariances(("b", "c", "d"))  # b and d are in no family
    every = Statistics(columns=2)
    assert every.counts(("a", "d"))
    assert not every.counts(("a", "b", "d"))
    assert every.covariances(("a", "b", "c", "d"))  # pair by pair
    assert not Statistics().covariances(("a",))


def test_moments_keep_regression_and_kept_effects_all_three_estimators():
    asked = ("t", "y", ("x", "z"))
    moments = Statistics(moments=True)
    assert moments.estimates(*asked, "regression", 0.01)
    assert not moments.estimates(*asked, "ipw", 0.01)
    assert Statistics(columns=4).estimates(*asked, "aipw", 0.01)
    assert not Statistics(columns=3).estimates(*asked, "aipw", 0.01)
    own = Statistics(effects=(KeptEffect("t", "y", ("z", "x"), 0.01),))
    assert all(own.estimates(*asked, name, 0.01) for name in ("regression", "ipw", "aipw"))
    assert own.estimates(*asked, "regression", 0.1)  # which clips nothing
    assert not own.estimates(*asked, "ipw", 0.1)
    assert not own.estimates("t", "y", ("x",), "regression", 0.01)


def test_a_record_comes_back(table):
    for kept in (
        Statistics(moments=True, effects=(KeptEffect("t", "y", ("x",), 0.01),)),
        Margins.of_families({"a": ["b"], "c": []}).kept,
    ):
        assert Statistics.from_json(kept.to_json()) == kept


def test_what_is_made_says_what_it_keeps(table):
    every, families = Margins.of_order(table.names, 2), Margins.of_families({"a": ["b"], "c": ["d"]})
    assert every.kept == Statistics(columns=2)
    assert families.kept == Statistics(families=(("a", "b"), ("c", "d")))
    assert counted(table).kept is None  # all of it
    assert vertex_rows(table, every).kept == Statistics(columns=2)
    assert contingency_rows(table, every, 40)[0].kept == Statistics(columns=2)
    assert Moments.of(table).rows().kept == real_rows(table).kept == Statistics(moments=True)
    assert as_numbers(vertex_rows(table, every)).kept == Statistics(moments=True)
    assert as_numbers(table).kept is None


def test_the_nearest_hard_rows_keep_nothing_and_soft_ones_what_they_were_fitted_to(table):
    margins = Margins.of_order(table.names, 2)
    soft = soft_rows(table, margins, 5, steps=5)
    assert soft.kept == Statistics(columns=2)
    assert soft_rows(table, margins, 5, steps=0).kept == Statistics()
    for made in (hard_rows(table, margins, 8, steps=5), rounded(soft), reweighted(soft, margins, table, steps=5)):
        assert made.kept == Statistics()
    assert drawn(soft, 20, torch.Generator().manual_seed(0)).kept == Statistics()
    assert drawn(table, 20, torch.Generator().manual_seed(0)).kept is None  # real rows


def test_rows_taken_or_drawn_keep_nothing_and_columns_what_they_kept(table):
    rows = vertex_rows(table, Margins.of_order(table.names, 2))
    assert rows.take(torch.arange(3)).kept == Statistics()
    assert rows.resampled(9, torch.Generator().manual_seed(0)).kept == Statistics()
    assert rows.only(["a", "b"]).kept == Statistics(columns=2)
    assert table.take(torch.arange(3)).kept is None
