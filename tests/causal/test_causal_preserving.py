"""Rows that keep effects: all three estimators and their errors, at several budgets; types and ranges; what is refused."""

import numpy as np
import pytest
import torch

from attar.causal import effect
from attar.causal.effects import ESTIMATORS
from attar.causal.moments import moments
from attar.causal.preserving import effect_rows
from attar.errors import AttarError
from attar.tables import Column, Table

COLUMNS = (
    Column("treated", "categorical", ("no", "yes")),
    Column("outcome"),
    Column("age"),
    Column("weight"),
    Column("smokes", "categorical", ("no", "yes")),
    Column("city", "categorical", ("Rome", "Oslo", "Bern")),
    Column("visits", whole=True),
)
ADJUST = ("age", "weight", "smokes", "city", "visits")


def study(rows=500, seed=0, steep=1.0):
    """The effect differs by age, so that the three estimates differ."""
    rng = np.random.default_rng(seed)
    age, weight = rng.normal(50, 10, rows), rng.gamma(9, 8, rows)
    smokes, city, visits = rng.random(rows) < 0.4, rng.integers(0, 3, rows), rng.poisson(3, rows)
    score = steep * ((age - 50) / 10 + smokes - 0.5 + np.array([-0.5, 0, 0.6])[city])
    treated = rng.random(rows) < 1 / (1 + np.exp(-score))
    outcome = treated * (2 + age / 20) + age**2 / 500 + weight / 30 - smokes + 0.2 * visits + rng.normal(size=rows)
    values = np.stack([treated, outcome, age, weight, smokes, city, visits], axis=1).astype(float)
    return Table(torch.from_numpy(values), COLUMNS)


def same(few, full, errors=True, **options):
    """Whether all estimates, and errors, are those of the full table, to 1e-8."""
    for name in ESTIMATORS:
        one, other = (effect(t, "treated", "outcome", ADJUST, name, **options) for t in (few, full))
        assert one.estimate == pytest.approx(other.estimate, abs=1e-8), name
        if errors:
            assert one.error == pytest.approx(other.error, rel=1e-8), name
            assert one.effective == pytest.approx(other.effective, rel=1e-8), name


@pytest.fixture(scope="module")
def table():
    return study()


def test_real_rows_keep_all_estimates_and_errors(table):
    few, gap = effect_rows(table, "treated", "outcome", ADJUST)
    assert gap.real
    assert max(gap.estimate, gap.error) < 1e-8
    assert len(few) < 100
    assert few.size == 500
    assert bool((few.values[:, None] == table.values).all(-1).any(1).all())
    same(few, table)
    assert len({round(effect(table, "treated", "outcome", ADJUST, name).estimate, 6) for name in ESTIMATORS}) == 3


def test_few_rows_keep_them_with_types_and_ranges(table):
    few, gap = effect_rows(table, "treated", "outcome", ADJUST, rows=24, generator=torch.Generator().manual_seed(1))
    assert not gap.real
    assert max(gap.estimate, gap.error) < 1e-8
    assert len(few) <= 24
    assert few.size == 500
    same(few, table)
    assert few.columns == table.columns
    for place, column in enumerate(table.columns):
        own, every = few.values[:, place], table.values[:, place]
        assert every.min() <= own.min()
        assert own.max() <= every.max()
        if column.discrete or column.whole:
            assert set(own.tolist()) <= set(every.tolist())


def test_weights_and_size_of_the_table_are_read():
    full = study(300).replace(
        weight=torch.rand(300, generator=torch.Generator().manual_seed(2)) + 0.2, n_represented=999.0
    )
    for rows in (None, 40):
        few, gap = effect_rows(full, "treated", "outcome", ADJUST, rows)
        assert few.size == 999
        assert gap.estimate < 1e-8
        same(few, full, errors=gap.error < 1e-8)


def test_clipped_propensities_are_clipped_alike():
    full = study(steep=2.0)
    told = effect(full, "treated", "outcome", ADJUST, "ipw", clip=0.1)
    assert told.clipped > 0.1
    for rows in (None, 40):
        few, gap = effect_rows(full, "treated", "outcome", ADJUST, rows, clip=0.1)
        assert gap.estimate < 1e-8
        same(few, full, errors=gap.error < 1e-8, clip=0.1)


def test_moments_are_kept_where_they_are_asked_for(table):
    few, gap = effect_rows(table, "treated", "outcome", ADJUST, moments=True)
    assert gap.real
    same(few, table)
    names = table.names
    assert moments(few, names).covariance == pytest.approx(moments(table, names).covariance, abs=1e-8)
    less = effect_rows(table, "treated", "outcome", ADJUST)[0]
    assert len(less) < len(few)


def test_an_outcome_of_two_categories_and_no_adjustment():
    full = study()
    binary = (full.values[:, 1] > full.values[:, 1].median()).double()
    full = full.replace(values=torch.cat([full.values[:, :1], binary[:, None], full.values[:, 2:]], 1), columns=(
        COLUMNS[0], Column("outcome", "categorical", ("low", "high")), *COLUMNS[2:]
    ))  # fmt: skip
    few, gap = effect_rows(full, "treated", "outcome", ADJUST)
    same(few, full)
    assert set(few.values[:, 1].tolist()) == {0.0, 1.0}
    bare, gap = effect_rows(full, "treated", "outcome")
    assert len(bare) <= 4
    assert gap.estimate < 1e-8


def test_the_same_generator_gives_the_same_rows(table):
    one, two = (
        effect_rows(table, "treated", "outcome", ADJUST, 40, generator=torch.Generator().manual_seed(1), tries=1)[0]
        for _ in range(2)
    )
    assert torch.equal(one.values, two.values)
    assert torch.equal(one.weight, two.weight)


def test_what_cannot_be_kept_is_refused_or_told(table):
    with pytest.raises(AttarError, match="6 rows are too few .* 5 treated and 5 untreated .* give 10 or more"):
        effect_rows(table, "treated", "outcome", ADJUST, 6)
    few, gap = effect_rows(table, "treated", "outcome", ADJUST, 10, tries=1)
    assert len(few) == 10
    assert gap.estimate > 1e-8
    with pytest.raises(AttarError, match="other values than two"):
        effect_rows(table, "age", "outcome", ["weight"])
    with pytest.raises(AttarError, match="is named twice"):
        effect_rows(table, "treated", "outcome", ["treated"])
    apart = table.values.clone()
    apart[:, 2] = apart[:, 0] * 10 + apart[:, 3] / 1000
    with pytest.raises(AttarError, match="do not overlap"):
        effect_rows(table.replace(values=apart), "treated", "outcome", ["age"])
    with pytest.raises(AttarError, match="'smokes' holds probabilities"):
        effect_rows(table.replace(soft={"smokes": table.probabilities("smokes")}), "treated", "outcome", ADJUST)
    with pytest.raises(AttarError, match="0 tries"):
        effect_rows(table, "treated", "outcome", ADJUST, 20, tries=0)
