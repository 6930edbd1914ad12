"""Discrete tables in few rows: what is exact, what comes near, and what each form keeps."""

import itertools
import math

import numpy
import pytest
import torch

from attar.errors import AttarError
from attar.tables import Column, Table
from attar.tables.contingency import (
    contingency_rows,
    counted,
    drawn,
    hard_rows,
    reweighted,
    rounded,
    soft_rows,
    vertex_rows,
    vertex_seconds,
)
from attar.tables.latent_classes import fitted
from attar.tables.margin_fit import Aim
from attar.tables.margins import Margins

LEVELS = (2, 3, 2, 3, 2)
COLUMNS = tuple(Column(name, "categorical", tuple(range(levels))) for name, levels in zip("abcde", LEVELS, strict=True))


def chain(rows=2000, seed=0):
    """a -> b -> c -> d, and e by itself."""
    source = torch.Generator().manual_seed(seed)

    def noisy(of, levels):
        other = torch.randint(levels, (rows,), generator=source)
        return torch.where(torch.rand(rows, generator=source) < 0.6, of % levels, other)

    a = torch.randint(2, (rows,), generator=source)
    b = noisy(a + 1, 3)
    c = noisy(b, 2)
    d = noisy(c * 2, 3)
    return Table(torch.stack([a, b, c, d, torch.randint(2, (rows,), generator=source)], dim=1), COLUMNS)


@pytest.fixture(scope="module")
def table():
    return chain()


@pytest.fixture(scope="module")
def soft(table):
    return soft_rows(table, Margins.of_order("abcde", 3), 8, steps=60)


def g_statistics(table, order=2):
    """By the textbook, each test for itself."""
    found = []
    for x, y in itertools.combinations(table.names, 2):
        rest = [name for name in table.names if name not in (x, y)]
        for z in (z for size in range(order + 1) for z in itertools.combinations(rest, size)):
            count = table.counts([x, y, *z]).flatten(2) if z else table.counts([x, y])[..., None]
            expected = count.sum(0, keepdim=True) * count.sum(1, keepdim=True) / count.sum((0, 1)).clamp(min=1e-300)
            found.append(2 * torch.xlogy(count, count / expected.clamp(min=1e-300)).sum())
    return torch.stack(found)


def test_counted_rows_are_distinct_and_count_as_the_table(table):
    found = counted(table)
    assert len(found) == len(set(map(tuple, table.values.tolist()))) < len(table)
    assert found.size == found.weight.sum() == 2000
    assert torch.equal(found.counts("abcde"), table.counts("abcde"))


def test_rows_that_weigh_are_counted_by_weight():
    rows = torch.tensor([[0, 1], [1, 2], [0, 1]])
    found = counted(Table(rows, COLUMNS[:2], torch.tensor([1.0, 4.0, 2.5]), 30.0))
    assert (found.values.tolist(), found.weight.tolist(), found.size) == ([[0, 1], [1, 2]], [3.5, 4.0], 30.0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_vertex_keeps_margins_exactly_in_few_real_rows(table, order):
    margins = Margins.of_order("abcde", order)
    found = vertex_rows(table, margins)
    assert len(found) <= margins.rank(table) + 1 <= margins.independent(table) + 1
    assert margins.gap(found, table).cell < 1e-12
    assert found.size == 2000
    assert {tuple(row) for row in found.values.tolist()} <= {tuple(row) for row in table.values.tolist()}


def test_a_vertex_keeps_what_a_graph_says_and_leaves_out_other_columns(table):
    margins = Margins.of_families({"a": [], "b": ["a"], "c": ["b"], "d": ["c"]})
    found = vertex_rows(table, margins)
    assert found.names == ("a", "b", "c", "d")
    assert len(found) <= 1 + (1 + 2 + 1 + 2) + (2 + 2 + 2)
    for family in margins.families:
        assert torch.allclose(found.counts(family), table.counts(family), atol=1e-9)


def test_a_step_of_em_never_loses_likelihood(table):
    whole = counted(table)
    held = torch.cat([whole.probabilities(name) for name in whole.names], dim=1)
    source = torch.Generator().manual_seed(3)
    found = fitted(held, whole.weight, list(LEVELS), 6, source, steps=40, tolerance=0.0)
    assert len(found.likelihood) > 10
    assert all(after >= before - 1e-12 for before, after in itertools.pairwise(found.likelihood))
    alone = fitted(held, whole.weight, list(LEVELS), 1, source)
    one_way = [table.counts([name]) / 2000 for name in "abcde"]
    assert torch.allclose(alone.probabilities[0], torch.cat(one_way))
    assert alone.likelihood[-1] == pytest.approx(sum(float(torch.xlogy(part, part).sum()) for part in one_way))


def test_em_finds_the_mixture_that_the_rows_are_of():
    # two classes, in which every column is certain: the likeliest mixture is these, or their entropy is not reached
    rows = torch.tensor([[0, 0, 0, 0, 0], [1, 2, 1, 2, 1]])
    whole = Table(rows, COLUMNS, torch.tensor([3.0, 1.0]))
    held = torch.cat([whole.probabilities(name) for name in whole.names], dim=1)
    found = fitted(held, whole.weight, list(LEVELS), 2, torch.Generator().manual_seed(0))
    assert found.likelihood[-1] == pytest.approx(0.75 * math.log(0.75) + 0.25 * math.log(0.25), abs=1e-4)
    assert sorted(found.share.tolist()) == pytest.approx([0.25, 0.75], abs=1e-3)


def test_the_statistics_of_an_aim_are_those_of_the_textbook(table, soft):
    margins = Margins.of_order("abcde", 4)
    for rows in (table, soft):
        aim = Aim.of(rows, margins, 1.0)
        assert torch.allclose(aim.g(aim.target).sort().values, g_statistics(rows).sort().values, atol=1e-6)


def test_the_aim_is_missed_by_what_a_row_of_independent_columns_leaves_out():
    count = torch.tensor([[30.0, 10.0, 10.0], [10.0, 20.0, 20.0]])
    rows = Table(torch.cartesian_prod(torch.arange(2), torch.arange(3)), COLUMNS[:2], count.flatten(), 100.0)
    aim = Aim.of(rows, Margins.of_order("ab", 2), 7.0)
    alone = torch.cat([rows.counts("a"), rows.counts("b")])[None] / 100
    g = 2 * float(torch.xlogy(count, 100 * count / torch.outer(count.sum(1), count.sum(0))).sum())
    wanted = (
        g / 3 + 7 * 2 * math.log((2 + g) / 2) ** 2
    )  # one of three margins is missed, by a test of two degrees of freedom
    assert float(aim.loss(alone, torch.ones(1).double())) == pytest.approx(wanted, rel=1e-4)
    assert float(aim.loss(aim.cells.probabilities(rows), rows.shares)) == pytest.approx(0, abs=1e-9)


def test_soft_rows_come_near_to_margins_and_to_tests(table, soft):
    margins = Margins.of_order("abcde", 3)
    assert len(soft) <= 8
    assert (soft.names, set(soft.soft), soft.size) == (table.names, set("abcde"), 2000)
    assert torch.equal(soft.values[:, 1], soft.soft["b"].argmax(1).double())
    likely = soft_rows(table, margins, 8, steps=0)
    few = table.resampled(60, torch.Generator().manual_seed(0))
    gaps = [margins.gap(rows, table).mean_variation for rows in (soft, likely, few)]
    assert gaps[0] < gaps[1] < gaps[2]
    wanted = g_statistics(table, order=1).sqrt()
    off = [(g_statistics(rows, order=1).sqrt() - wanted).square().mean() for rows in (soft, likely)]
    assert off[0] < off[1] < 1


def test_soft_rows_are_those_of_their_seed(table, soft):
    margins = Margins.of_order("abcde", 3)
    again = soft_rows(table, margins, 8, steps=60)
    assert torch.equal(again.weight, soft.weight)
    assert all(torch.equal(again.soft[name], soft.soft[name]) for name in "abcde")
    assert not torch.equal(
        soft_rows(table, margins, 8, seed=1, steps=0).values, soft_rows(table, margins, 8, steps=0).values
    )


def test_drawn_rows_are_on_average_what_the_soft_ones_are(soft):
    margins = Margins.of_order("abcde", 2)
    found = [drawn(soft, 40, torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert all((rows.weight, rows.soft, rows.size) == (None, {}, 40) for rows in found)
    for family in margins.families:
        mean = torch.stack([rows.counts(family) for rows in found]).mean(0) / 40
        assert torch.allclose(mean, soft.counts(family) / soft.size, atol=0.02)


def test_drawn_rows_keep_one_way_margins_to_within_a_row_of_each(soft):
    spread = []
    for draw in (drawn, lambda table, rows, source: table.resampled(rows, source)):
        rows = draw(soft, 500, torch.Generator().manual_seed(0))
        spread.append(max(float((rows.counts([n]) / 500 - soft.counts([n]) / 2000).abs().max()) for n in "abcde"))
    assert spread[0] <= 2 * len(soft) / 500
    assert spread[0] < spread[1]
    even = drawn(Table(torch.tensor([[0], [1]]), COLUMNS[:1], torch.tensor([3.0, 1.0])), 8, torch.Generator())
    assert even.counts("a").tolist() == [6, 2]


def test_rounded_rows_are_the_most_probable_ones_once_each():
    shares = {"a": torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]])}
    rows = Table(torch.tensor([[0, 1], [0, 1], [1, 1]]), COLUMNS[:2], torch.tensor([1.0, 2.0, 4.0]), 70.0, shares)
    found = rounded(rows)
    assert (found.values.tolist(), found.weight.tolist()) == ([[0, 1], [1, 1]], [3, 4])
    assert (found.soft, found.size) == ({}, 70)


def test_reweighted_rows_find_the_weights_that_margins_came_from(soft):
    margins = Margins.of_order("abcde", 3)
    wrong = soft.replace(weight=torch.ones(len(soft)), n_represented=5.0)
    found = reweighted(wrong, margins, soft, steps=200)
    assert margins.gap(found, soft).cell < 1e-5
    assert found.size == 2000
    one = reweighted(counted(chain(400)), Margins.of_order("abcde", 2), counted(chain(400, seed=1)))
    assert Margins.of_order("abcde", 2).gap(one, chain(400, seed=1)).mean_variation < 0.02


def test_hard_rows_are_so_many_real_ones_and_nearer_than_random_ones(table):
    margins = Margins.of_order("abcde", 3)
    found = hard_rows(table, margins, 24)
    assert len(found) <= 24
    assert (found.soft, found.size) == ({}, 2000)
    assert {tuple(row) for row in found.values.tolist()} <= {tuple(row) for row in table.values.tolist()}
    whole = counted(table)
    some = whole.take(torch.multinomial(whole.weight, 24, generator=torch.Generator().manual_seed(0)))
    aim = Aim.of(whole, margins, 0.0)

    def loss(rows):
        return aim.loss(aim.cells.probabilities(rows), rows.shares)

    assert loss(found) < loss(reweighted(some, margins, table)) < loss(some)


@pytest.mark.parametrize(("rows", "exact"), [(80, True), (27, True), (20, False)])
@pytest.mark.parametrize("form", ["hard", "soft"])
def test_the_budget_says_which_form_it_is(table, rows, exact, form):
    margins = Margins.of_order("abcde", 2)  # 26 independent cells, of 68 distinct rows
    found, gap = contingency_rows(table, margins, rows, form, steps=30)
    assert len(found) <= rows
    told = margins.gap(found, table)
    assert (gap.cell, gap.mean_variation) == pytest.approx((told.cell, told.mean_variation), abs=1e-12)
    assert (gap.cell < 1e-12) == exact
    assert bool(found.soft) == (form == "soft" and not exact)
    assert (len(found) == len(counted(table))) == (rows == 80)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": (Column("a"), *COLUMNS[1:])}, "'a' is continuous"),
        ({"soft": {"b": torch.full((2000, 3), 1 / 3)}}, "'b' is soft"),
        ({"values": torch.full((2000, 5), math.nan)}, "'a' misses 2,000 values"),
    ],
)
@pytest.mark.parametrize("make", [vertex_rows, lambda t, m: soft_rows(t, m, 3), lambda t, m: hard_rows(t, m, 3)])
def test_what_cannot_be_counted_is_refused_in_a_sentence(table, change, said, make):
    with pytest.raises(AttarError, match=said):
        make(table.replace(**change), Margins.of_order("abcde", 2))


def test_budgets_that_are_none_are_refused_in_a_sentence(table):
    margins = Margins.of_order("abcde", 2)
    with pytest.raises(AttarError, match="give 1 to 68"):
        soft_rows(table, margins, 73)
    with pytest.raises(AttarError, match="give 1 to 68"):
        hard_rows(table, margins, 0)
    with pytest.raises(AttarError, match="0 rows cannot hold"):
        contingency_rows(table, margins, 0)
    with pytest.raises(AttarError, match="'hard' or 'soft'"):
        contingency_rows(table, margins, 10, "firm")
    with pytest.raises(AttarError, match="0 rows cannot be drawn"):
        drawn(table, 0, torch.Generator())
    other = table.replace(columns=(Column("a", "categorical", ("no", "yes")), *COLUMNS[1:]))
    with pytest.raises(AttarError, match="'a' has other categories"):
        reweighted(other, margins, table)


def test_asia_is_55_rows_and_52_keep_its_three_way_margins(real_data):
    codes = numpy.loadtxt(real_data / "bnlearn" / "asia.10000.txt", skiprows=1, dtype=int) - 1
    table = Table(torch.tensor(codes), tuple(Column(f"X{i}", "categorical", ("1", "2")) for i in range(1, 9)))
    whole = counted(table)
    assert (len(whole), whole.size) == (55, 10_000)
    margins = Margins.of_order(table.names, 3)
    few = vertex_rows(table, margins)
    assert len(few) <= 52
    assert margins.gap(few, table).cell < 1e-12
    assert len(contingency_rows(table, margins, 52)[0]) == len(few)


def test_a_vertex_is_foreseen_by_the_rows_and_cells_that_there_are(table, monkeypatch):
    whole, margins = counted(table), Margins.of_order("abcde", 2)
    assert vertex_seconds(whole, margins) == 0
    monkeypatch.setattr("attar.tables.contingency._QUICK", 0)
    assert vertex_seconds(whole, margins) > 0
    monkeypatch.setattr("attar.tables.margins._BYTES", 8 * 68 * 26 - 1)
    with pytest.raises(AttarError, match="26 independent cells of 68 rows take more than 2 GiB"):
        vertex_seconds(whole, margins)
