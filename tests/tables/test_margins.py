"""Margins: which there are, how many numbers they hold, what their cells have, and how far two tables differ."""

import itertools
import math

import pytest
import torch

from attar.errors import AttarError
from attar.tables import Column, Table
from attar.tables.margins import Cells, Margins

LEVELS = (2, 3, 4, 2)
COLUMNS = tuple(Column(name, "categorical", tuple(range(levels))) for name, levels in zip("abcd", LEVELS, strict=True))


def made(rows, seed=0):
    source = torch.Generator().manual_seed(seed)
    codes = [torch.randint(levels, (rows,), generator=source) for levels in LEVELS]
    codes[1] = (codes[0] + codes[1] * torch.randint(2, (rows,), generator=source)) % 3
    return Table(torch.stack(codes, dim=1), COLUMNS)


def softened(rows, seed=0):
    source = torch.Generator().manual_seed(seed)
    soft = {column.name: torch.rand(rows, column.levels, generator=source).double() for column in COLUMNS}
    soft = {name: part / part.sum(1, keepdim=True) for name, part in soft.items()}
    values = torch.stack([part.argmax(1) for part in soft.values()], dim=1)
    return Table(values, COLUMNS, torch.rand(rows, generator=source) + 0.1, 50.0, soft)


def test_margins_of_an_order_are_all_sets_of_so_many_columns():
    margins = Margins.of_order("abcd", 3)
    assert set(margins.families) == set(itertools.combinations("abcd", 3))
    assert len(margins.closure) == 4 + 6 + 4
    assert margins.closure[0] == ("a",)


def test_margins_of_a_graph_are_its_nodes_with_their_parents():
    margins = Margins.of_families({"a": [], "b": ["a"], "c": ["a", "b"], "d": ["c"]})
    assert [set(family) for family in margins.families] == [{"a", "b", "c"}, {"c", "d"}]
    assert {frozenset(part) for part in margins.closure} == {
        frozenset(part) for part in ("a", "b", "c", "d", "ab", "ac", "bc", "abc", "cd")
    }


def test_families_that_are_alike_are_kept_once():
    assert Margins.of_families({"a": ["b"], "b": ["a"]}).families == (("a", "b"),)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_independent_cells_are_counted_in_closed_form_and_are_the_rank_of_all_cells(order):
    every = Table(torch.tensor(list(itertools.product(*map(range, LEVELS)))), COLUMNS)
    margins = Margins.of_order("abcd", order)
    wanted = sum(
        math.prod(levels - 1 for levels in part)
        for size in range(1, order + 1)
        for part in itertools.combinations(LEVELS, size)
    )
    assert margins.independent(every) == wanted == margins.rank(every)
    cells = torch.stack(
        [
            torch.cat([one.counts(family).flatten() for family in margins.families])
            for one in (every.take(torch.tensor([row])) for row in range(len(every)))
        ]
    )
    assert int(torch.linalg.matrix_rank(cells)) == wanted + 1


def test_indicators_tell_all_margins_and_leave_out_what_no_row_has():
    table = made(30)
    margins = Margins.of_order("abcd", 2)
    found = margins.indicators(table)
    assert found.dtype == torch.bool
    assert found.any(0).all()
    assert found.shape[1] <= margins.independent(table)
    cells = torch.stack(
        [
            torch.cat([table.take(torch.tensor([row])).counts(f).flatten() for f in margins.families])
            for row in range(30)
        ]
    )
    told = torch.cat([torch.ones(30, 1), found], dim=1).double()
    assert int(torch.linalg.matrix_rank(torch.cat([told, cells], dim=1))) == int(torch.linalg.matrix_rank(told))


@pytest.mark.parametrize("made_of", [made, softened])
def test_cells_are_those_of_contingency_tables(made_of):
    table = made_of(20)
    families = [("a",), ("c", "b"), ("a", "b", "d"), ("d", "c", "b", "a"), ("b", "c")]
    cells = Cells.of(table, families)
    shares = cells.shares(table)
    for place, family in enumerate(families):
        found = shares[cells.family == place]
        wanted = (table.counts(family) / table.size).flatten()
        assert torch.allclose(found, wanted, atol=1e-12)
    entropy = cells.entropies(shares)
    first = table.counts(["a"]) / table.size
    assert entropy[0].item() == pytest.approx(-(first * first.log()).sum().item())


def test_the_gradient_of_cells_is_that_of_small_differences():
    table = softened(3)
    cells = Cells.of(table, Margins.of_order("abcd", 3).closure)
    probabilities = cells.probabilities(table).requires_grad_()
    share = table.shares.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p, s: cells.counted(p, s).square(), (probabilities, share))


def test_the_gap_is_the_largest_difference_of_cells_and_of_margins():
    one, other = made(40, seed=1), softened(7, seed=2)
    margins = Margins.of_order("abcd", 2)
    found = margins.gap(other, one)
    apart = {f: (one.counts(f) / one.size - other.counts(f) / other.size).abs() for f in margins.families}
    assert found.cell == pytest.approx(max(float(part.max()) for part in apart.values()))
    assert found.variation == pytest.approx(max(float(part.sum()) / 2 for part in apart.values()))
    assert found.variation == pytest.approx(float(apart[found.family].sum()) / 2)
    assert found.mean_variation == pytest.approx(sum(float(part.sum()) / 2 for part in apart.values()) / 6)
    assert ", ".join(found.family) in str(found)
    assert margins.gap(one, one.replace(n_represented=1e6)).cell == 0


def test_what_has_no_margins_is_refused_in_a_sentence():
    table = made(5)
    with pytest.raises(AttarError, match="order 5 of 4 columns: the order is 1 to 4"):
        Margins.of_order("abcd", 5)
    with pytest.raises(AttarError, match="names a column twice"):
        Margins((("a", "a"),))
    with pytest.raises(AttarError, match="no family of columns"):
        Margins(())
    with pytest.raises(AttarError, match="no column 'z' among a, b, c, d"):
        Margins((("z",),)).independent(table)
    dose = Table(torch.ones(5, 1), (Column("a"),))
    with pytest.raises(AttarError, match="'a' is continuous"):
        Margins((("a",),)).gap(dose, dose)
    with pytest.raises(AttarError, match="'b' is soft"):
        Margins((("a", "b"),)).indicators(table.replace(soft={"b": torch.full((5, 3), 1 / 3)}))
    with pytest.raises(AttarError, match="'a' has other categories"):
        Margins((("a",),)).gap(table, table.replace(columns=(Column("a", "categorical", ("no", "yes")), *COLUMNS[1:])))
    wide = Table(torch.zeros(5, 2), tuple(Column(name, "categorical", tuple(range(8000))) for name in "ab"))
    with pytest.raises(AttarError, match="have 64,000,000 cells"):
        Cells.of(wide, [("a", "b")])
