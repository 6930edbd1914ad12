"""Near-duplicates beside brute force."""

import numpy as np
import pytest
import torch

from attar.selection.deduplicate import near_duplicates, typical_distance
from attar.types import AttarError


def _rows(n, d, seed=0):
    """Rows of which about half are repeated with a little noise."""
    source = torch.Generator().manual_seed(seed)
    once = torch.randn((n // 2, d), generator=source)
    again = once[torch.randint(n // 2, (n - n // 2,), generator=source)]
    again = again + 0.02 * torch.randn(again.shape, generator=source)
    return torch.cat([once, again])[torch.randperm(n, generator=source)]


def _kept(x, distance, order):
    """One row at a time, in order of preference."""
    x = x.double().numpy()
    kept = []
    for row in order:
        if all(np.linalg.norm(x[row] - x[other]) > distance for other in kept):
            kept.append(row)
    return sorted(kept)


@pytest.mark.parametrize("prefer", ["first", "last", "central", "scores"])
@pytest.mark.parametrize("distance", [0.0, 0.1, 0.5, 3.0])
@pytest.mark.parametrize("d", [1, 6, 50])
def test_kept_rows_are_those_of_going_through_one_by_one(prefer, distance, d):
    x = _rows(600, d)
    scores = torch.randn(600, generator=torch.Generator().manual_seed(9))
    near = (torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist") <= distance).sum(1)
    order = {
        "first": range(600),
        "last": range(599, -1, -1),
        "central": near.argsort(descending=True, stable=True).tolist(),
        "scores": scores.argsort(descending=True).tolist(),
    }[prefer]
    found = near_duplicates(x, distance, scores if prefer == "scores" else prefer, absolute=True)
    assert found.kept.tolist() == _kept(x, distance, order)


def test_every_row_dropped_is_near_the_row_that_stands_for_it():
    x = _rows(500, 8)
    found = near_duplicates(x, 0.3, absolute=True)
    assert 200 < len(found.kept) < 300
    gaps = (x - x[found.stands_for]).norm(dim=1)
    assert float(gaps.max()) <= 0.3
    among = torch.cdist(x[found.kept], x[found.kept]).fill_diagonal_(9)
    assert float(among.min()) > 0.3
    assert found.stands_for[~found.kept_mask].tolist() == [
        int(found.kept[(x[found.kept] - x[row]).norm(dim=1).argmin()]) for row in torch.nonzero(~found.kept_mask)[:, 0]
    ]


def test_groups_name_the_row_that_stays_and_then_those_that_go():
    x = torch.tensor([[0.0, 0], [5, 5], [0, 0.1], [9, 9], [5, 5], [0.1, 0]])
    found = near_duplicates(x, 0.2, absolute=True)
    assert found.kept.tolist() == [0, 1, 3]
    assert [group.tolist() for group in found.groups] == [[0, 2, 5], [1, 4]]
    assert found.stands_for.tolist() == [0, 1, 0, 3, 1, 0]
    last = near_duplicates(x, 0.2, "last", absolute=True)
    assert [group.tolist() for group in last.groups] == [[4, 1], [5, 0, 2]]


def test_chains_do_not_merge():
    x = torch.arange(7.0)[:, None]
    assert near_duplicates(x, 1.0, absolute=True).kept.tolist() == [0, 2, 4, 6]
    x = torch.tensor([[0.0], [1.0], [2.0]])
    assert near_duplicates(x, 1.0, "central", absolute=True).kept.tolist() == [1]


def test_the_threshold_is_a_share_of_the_typical_distance():
    grid = torch.cartesian_prod(torch.arange(12.0), torch.arange(12.0)) * 7
    assert typical_distance(grid) == pytest.approx(7)
    near = torch.cat([grid, grid[:5] + 0.6])
    assert len(near_duplicates(near, 0.1).kept) == 149  # 0.85 away of a typical 7
    found = near_duplicates(near, 0.15)
    assert found.distance == pytest.approx(1.05)
    assert found.kept.tolist() == list(range(144))


def test_equal_rows_do_not_count_for_the_typical_distance():
    x = torch.tensor([[0.0], [3.0], [6.0]]).repeat(4, 1)
    assert typical_distance(x) == 3
    assert near_duplicates(x).kept.tolist() == [0, 1, 2]
    constant = torch.ones(50, 3)
    assert typical_distance(constant) == 0
    assert near_duplicates(constant, prefer="last").kept.tolist() == [49]


def test_one_row_and_rows_that_differ_are_kept():
    assert near_duplicates(torch.ones(1, 4)).kept.tolist() == [0]
    x = torch.randn((300, 40), generator=torch.Generator().manual_seed(0))
    found = near_duplicates(x)
    assert found.kept.tolist() == list(range(300))
    assert found.groups == []
    assert bool(found.kept_mask.all())


def test_far_from_the_origin_too():
    x = _rows(400, 6)
    assert (
        near_duplicates(x.double() + 1e4, 0.2, absolute=True).kept.tolist()
        == near_duplicates(x.double(), 0.2, absolute=True).kept.tolist()
    )


@pytest.mark.parametrize(
    ("x", "options", "said"),
    [
        (torch.tensor([[1.0], [float("nan")]]), {}, "1 of 2 rows hold values that are not finite"),
        (torch.zeros(4, 1), {"threshold": -1}, "threshold for near-duplicates is -1"),
        (torch.zeros(4, 1), {"threshold": float("nan")}, "threshold for near-duplicates is nan"),
        (torch.zeros(4, 1), {"prefer": "best"}, "no preference 'best'"),
        (torch.zeros(4, 1), {"prefer": torch.zeros(3)}, "given for 4 rows"),
        (torch.zeros(4, 1), {"prefer": torch.full((4,), float("nan"))}, "some are NaN"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(x, options, said):
    with pytest.raises(AttarError, match=said):
        near_duplicates(x, **options)
