"""Herding and k-center beside brute force in numpy."""

import numpy as np
import pytest
import torch

from attar.selection import geometry
from attar.selection.geometry import herding, k_center
from attar.selection.gradients import craig, glister
from attar.selection.rows import Rows, squared_distances
from attar.selection.submodular import facility_location, graph_cut
from attar.types import AttarError


def _glister(x, count, fixed=None):
    return glister(x, count, torch.ones(x.shape[1]), fixed=fixed)


RULES = [herding, k_center, facility_location, graph_cut, craig, _glister]


def _rows(n, d, seed=0, offset=0.0):
    return torch.randn((n, d), generator=torch.Generator().manual_seed(seed)) + offset


def _herding(x, count, fixed=()):
    x = x.double().numpy()
    chosen = list(fixed)
    while len(chosen) < count:
        gaps = [np.inf if i in chosen else np.linalg.norm(x.mean(0) - x[[*chosen, i]].mean(0)) for i in range(len(x))]
        chosen.append(int(np.argmin(gaps)))
    return chosen


def _k_center(x, count, fixed=()):
    x = x.double().numpy()
    chosen = list(fixed) or [int(np.argmin(((x - x.mean(0)) ** 2).sum(1)))]
    while len(chosen) < count:
        gaps = np.linalg.norm(x[:, None] - x[chosen][None], axis=2).min(1)
        gaps[chosen] = -1
        chosen.append(int(np.argmax(gaps)))
    return chosen


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("fixed", [(), (7, 3, 50)])
def test_herding_is_the_greedy_matching_of_the_mean(offset, fixed):
    x = _rows(150, 6, offset=offset)
    picked = herding(x, 40, fixed=torch.tensor(fixed, dtype=torch.long))
    assert picked.rows.tolist() == _herding(x, 40, fixed)
    mean = x.double().mean(0)
    gap = (x[picked.rows[:13]].double().mean(0) - mean).norm()
    assert picked.scores[12].item() == pytest.approx(float(gap), rel=1e-3)


def test_herding_says_how_much_nearer_the_mean_comes():
    x = torch.tensor([[0.0], [1.0], [4.0], [-3.0]])  # mean 0.5
    picked = herding(x, 3)
    assert picked.rows.tolist()[:2] == [0, 1]
    assert picked.reasons[:2] == ("nearest to the mean", "brings the mean 100% nearer")
    assert picked.represents.tolist() == pytest.approx([4 / 3] * 3)


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("fixed", [(), (7, 3, 50)])
@pytest.mark.parametrize("d", [1, 5, 40])
def test_k_center_is_farthest_first(offset, fixed, d):
    x = _rows(700, d, offset=offset)
    assert k_center(x, 60, fixed=torch.tensor(fixed, dtype=torch.long)).rows.tolist() == _k_center(x, 60, fixed)


def test_k_center_scores_are_distances_and_its_parts_are_nearest_rows():
    x = torch.tensor([[0.0, 0], [1, 0], [2, 0], [10, 0], [2, 7]])  # mean (3, 1.4)
    picked = k_center(x, 3)
    assert picked.rows.tolist() == [2, 3, 4]
    assert picked.scores.tolist() == pytest.approx([8, 8, 7])
    assert picked.represents.tolist() == [3, 1, 1]
    assert picked.reasons[1:] == (
        "farthest: 8 from the first",
        "farthest: 7 from those chosen before",
    )


def test_k_center_starts_where_its_generator_says():
    x = _rows(200, 3)
    starts = {int(k_center(x, 2, generator=torch.Generator().manual_seed(seed)).rows[0]) for seed in range(8)}
    assert len(starts) > 3
    first = next(iter(starts))
    again = k_center(x, 5, fixed=torch.tensor([first])).rows.tolist()
    assert again == _k_center(x, 5, [first])


@pytest.mark.parametrize("rule", RULES)
def test_every_row_can_be_chosen_and_none_twice(rule):
    x = _rows(30, 3)
    x = torch.cat([x, x[:10], x[:10]])  # equal rows
    picked = rule(x, 50)
    assert sorted(picked.rows.tolist()) == list(range(50))
    assert picked.represents.tolist() == [1.0] * 50
    assert bool(picked.scores.isfinite().all())


@pytest.mark.parametrize("rule", RULES)
def test_one_row_and_constant_rows(rule):
    assert rule(torch.ones(1, 4), 1).rows.tolist() == [0]
    picked = rule(torch.full((20, 4), 0.3), 3)
    assert len(set(picked.rows.tolist())) == 3
    assert picked.represents.sum().item() == pytest.approx(20)


@pytest.mark.parametrize("rule", RULES)
def test_rows_that_must_be_chosen_come_first_and_say_so(rule):
    picked = rule(_rows(40, 3), 6, fixed=torch.tensor([31, 4]))
    assert picked.rows.tolist()[:2] == [31, 4]
    assert picked.reasons[:2] == (geometry.ASKED_FOR,) * 2
    assert geometry.ASKED_FOR not in picked.reasons[2:]
    assert len(set(picked.rows.tolist())) == 6
    assert rule(_rows(40, 3), 2, fixed=torch.tensor([31, 4])).rows.tolist() == [31, 4]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": 11}, "11 rows were asked for and there are 10"),
        ({"count": 0}, "0 rows were asked for"),
        ({"fixed": torch.tensor([1, 1])}, "named twice"),
        ({"fixed": torch.tensor([10])}, "Row 10 must be in the choice"),
        ({"fixed": torch.tensor([-1])}, "Row -1 must be in the choice"),
        ({"fixed": torch.arange(4)}, "4 rows must be in a choice of 3"),
        ({"x": torch.tensor([[1.0], [float("nan")], *[[0.0]] * 8])}, "1 of 10 rows hold values that are not finite"),
        ({"x": torch.tensor([[float("inf")], [float("-inf")], *[[0.0]] * 8])}, "2 of 10 rows hold"),
        ({"x": torch.zeros(10)}, "a matrix"),
        ({"x": torch.zeros(0, 2)}, "a matrix"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(rule, change, said):
    settings = {"x": _rows(10, 1), "count": 3, "fixed": None} | change
    if rule is _glister and settings["x"].ndim == 1:
        rule = k_center  # its gradient has the width of a row, which such rows have not
    with pytest.raises(AttarError, match=said):
        rule(settings["x"], settings["count"], fixed=settings["fixed"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8])
def test_other_number_types_choose_the_same_rows(dtype):
    x = torch.randint(0, 200, (120, 9), generator=torch.Generator().manual_seed(1)).float()
    for rule in (herding, k_center, facility_location):
        assert rule(x.to(dtype), 12).rows.tolist() == rule(x, 12).rows.tolist()


def test_distances_far_from_the_origin_and_between_equal_rows_are_right():
    x = _rows(60, 8, offset=1e3)
    x[1] = x[0]
    x[2] = x[0] + 1e-3  # far below what inner products in fp32 could show
    wanted = ((x.double()[:, None] - x.double()[None]) ** 2).sum(2)
    rows = Rows(x)
    found = squared_distances(rows, rows)
    assert found[0, 1] == 0
    torch.testing.assert_close(found.double(), wanted, rtol=2e-3, atol=0)
