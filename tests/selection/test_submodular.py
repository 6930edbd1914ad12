"""Facility location and graph cut beside brute force and submodlib."""

import numpy as np
import pytest
import torch

from attar.selection.rows import Rows
from attar.selection.submodular import (
    Cover,
    facility_location,
    facility_value,
    graph_cut,
    graph_cut_value,
)
from attar.types import AttarError


def _rows(n, d, seed=0):
    source = torch.Generator().manual_seed(seed)
    centres = 3 * torch.randn((8, d), generator=source)
    return centres[torch.randint(8, (n,), generator=source)] + torch.randn((n, d), generator=source)


def _similarity(x):
    x = x.double().numpy()
    gaps = ((x[:, None] - x[None]) ** 2).sum(2)
    spread = np.sort(np.linalg.norm(x - x.mean(0), axis=1))
    return (spread[-1] + spread[-2]) ** 2 - gaps  # the constant that attar takes


def _greedy(value, n, count, fixed=()):
    """Compares all rows at each step, ties to the lower id."""
    chosen, gains = [], []
    while len(chosen) < count:
        found = np.array([-np.inf if i in chosen else value([*chosen, i]) for i in range(n)])
        best = fixed[len(chosen)] if len(chosen) < len(fixed) else int(np.flatnonzero(found > max(found) - 1e-9)[0])
        gains.append(found[best] - (value(chosen) if chosen else 0))
        chosen.append(best)
    return chosen, gains


@pytest.mark.parametrize("fixed", [(), (9, 2)])
@pytest.mark.parametrize("d", [2, 12])
def test_facility_location_is_the_greedy_choice(fixed, d):
    x = _rows(120, d)
    similar = _similarity(x)
    chosen, gains = _greedy(lambda s: similar[:, s].max(1).sum(), 120, 30, fixed)
    picked = facility_location(x, 30, greedy="exact", fixed=torch.tensor(fixed, dtype=torch.long))
    assert picked.rows.tolist() == chosen
    assert picked.scores.tolist() == pytest.approx(gains, rel=1e-4, abs=1e-2)
    assert facility_value(x, picked.rows) == pytest.approx(similar[:, chosen].max(1).sum(), rel=1e-5)
    assert picked.scores.sum().item() == pytest.approx(facility_value(x, picked.rows), rel=1e-5)


def test_equal_gains_go_to_the_lower_id():
    x = _rows(40, 3)[torch.randperm(120, generator=torch.Generator().manual_seed(3)) % 40]  # each row three times
    picked = facility_location(x, 40, greedy="exact")
    for row in picked.rows.tolist():
        assert row == int((x == x[row]).all(1).nonzero()[0])


def test_facility_location_equals_submodlib():
    submodlib = pytest.importorskip("submodlib")
    x = _rows(300, 10)
    function = submodlib.FacilityLocationFunction(
        n=300, mode="dense", sijs=_similarity(x).astype("float32"), separate_rep=False
    )
    theirs = function.maximize(budget=25, optimizer="NaiveGreedy", show_progress=False)
    picked = facility_location(x, 25, greedy="exact")
    assert picked.rows.tolist() == [row for row, _ in theirs]
    assert picked.scores.tolist() == pytest.approx([gain for _, gain in theirs], rel=1e-3)


def test_each_row_stands_for_those_nearest_to_it():
    x = torch.tensor([[0.0], [0.1], [0.2], [9.0], [9.1]])
    picked = facility_location(x, 2)
    assert picked.rows.tolist() == [2, 3]
    assert picked.represents.tolist() == [3, 2]
    assert picked.reasons == ("covers 3 rows", "covers 2 rows")


def test_the_stochastic_choice_is_nearly_as_good_and_exact_with_all_rows():
    x = _rows(1500, 80)
    exact = facility_location(x, 20, greedy="exact")
    assert facility_location(x, 20, sample=1500, greedy="stochastic").rows.tolist() == exact.rows.tolist()
    sampled = facility_location(x, 20, sample=500, greedy="stochastic")
    assert sampled.rows.tolist() != exact.rows.tolist()
    assert facility_value(x, sampled.rows) > 0.995 * facility_value(x, exact.rows)
    assert sampled.scores.sum().item() == pytest.approx(facility_value(x, sampled.rows), rel=1e-5)


def test_the_sample_follows_the_generator():
    x = _rows(600, 5)
    first, again, other = (
        facility_location(
            x, 10, greedy="stochastic", sample=40, candidates=2, generator=torch.Generator().manual_seed(seed)
        ).rows.tolist()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("sketched", [False, True])
def test_old_gains_are_bounds_on_new_ones(sketched):
    rows = Rows(_rows(200, 90))
    stand_in = rows.sketch(64, torch.Generator().manual_seed(0)) if sketched else rows
    cover = Cover(stand_in, stand_in.take(slice(0, 50)), 1e4, squared=True)
    everyone = torch.arange(200)
    before = cover.first_bounds()
    torch.testing.assert_close(before, cover.gains(everyone), rtol=1e-4, atol=0)
    for row in (3, 80, 150):
        cover.add(row)
        now = cover.gains(everyone)
        assert bool((now <= before + 1e-2).all())
        before = now


def test_gains_are_the_same_in_float64():
    rows = Rows(_rows(200, 7))
    cover = Cover(rows, rows, 1e3, squared=False)
    cover.add(5)
    ids = torch.arange(0, 200, 9)
    torch.testing.assert_close(cover.gains(ids), cover.precise_gains(ids), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("fixed", [(), (9, 2)])
@pytest.mark.parametrize("trade_off", [0.3, 5.0, None])
def test_graph_cut_is_the_greedy_choice(trade_off, fixed):
    x = _rows(90, 4)
    similar = _similarity(x)
    weight = 90 / (2 * 12) if trade_off is None else trade_off
    chosen, gains = _greedy(lambda s: similar[:, s].sum() - weight * similar[np.ix_(s, s)].sum(), 90, 12, fixed)
    picked = graph_cut(x, 12, trade_off=trade_off, fixed=torch.tensor(fixed, dtype=torch.long))
    assert picked.rows.tolist() == chosen
    assert picked.scores.tolist() == pytest.approx(gains, rel=1e-4)
    assert graph_cut_value(x, picked.rows, weight) == pytest.approx(sum(gains), rel=1e-4)


def test_graph_cut_equals_submodlib():
    submodlib = pytest.importorskip("submodlib")
    x = _rows(200, 6)
    function = submodlib.GraphCutFunction(
        n=200, mode="dense", lambdaVal=4.0, ggsijs=_similarity(x).astype("float32"), separate_rep=False
    )
    theirs = function.maximize(
        budget=15, optimizer="NaiveGreedy", stopIfZeroGain=False, stopIfNegativeGain=False, show_progress=False
    )
    assert graph_cut(x, 15, trade_off=4.0).rows.tolist() == [row for row, _ in theirs]


def test_what_there_is_not_is_refused():
    x = _rows(20, 2)
    with pytest.raises(AttarError, match="no greedy search 'lazy'"):
        facility_location(x, 3, greedy="lazy")
    with pytest.raises(AttarError, match="A sample of 0 rows"):
        facility_location(x, 3, sample=0, greedy="stochastic")
    with pytest.raises(AttarError, match="0 candidates a step"):
        facility_location(x, 3, greedy="stochastic", candidates=0)
    with pytest.raises(AttarError, match="trade-off of graph cut is -1"):
        graph_cut(x, 3, trade_off=-1)
