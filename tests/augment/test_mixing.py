"""CutMix: what is replaced, by what, and what becomes of the targets."""

import pytest
import torch
from torch.nn import functional as F

from attar import record, rng
from attar.augment import CutMix
from attar.types import AttarError

N, CLASSES, SIDES = 6, 6, (12, 16)


def _numbered():
    """Image i is i everywhere and its class is i, so that a pixel says where it is from."""
    x = torch.arange(float(N)).view(N, 1, 1, 1).expand(N, 2, *SIDES).clone()
    return x, torch.eye(CLASSES)


def test_targets_are_the_shares_of_the_pixels():
    x, targets = _numbered()
    areas = []
    for seed in range(40):
        mixed, shares = CutMix(1.0)(x, targets, seed)
        counted = F.one_hot(mixed[:, 0].long(), CLASSES).double().mean((1, 2))
        torch.testing.assert_close(shares.double(), counted, rtol=0, atol=1e-6)
        assert torch.equal(mixed[:, 0], mixed[:, 1])
        areas.append(float((mixed != x).any(0).float().mean()))
    assert min(areas) < 0.05
    assert 0.15 < sum(areas) / len(areas) < 0.4  # half of the image on average, less what the border cuts off
    assert max(areas) > 0.5


def test_what_is_replaced_is_one_rectangle_of_all_rows():
    x, targets = _numbered()
    for seed in range(20):
        mixed, _ = CutMix(1.0)(x, targets, seed)
        changed = (mixed != x)[:, 0].any(0)
        if not changed.any():
            continue
        rows, columns = torch.nonzero(changed.any(1)).flatten(), torch.nonzero(changed.any(0)).flatten()
        assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_it_mixes_as_often_as_asked():
    x, targets = _numbered()
    assert all(CutMix(0.0)(x, targets, seed)[0] is x for seed in range(20))
    untouched = sum(CutMix(0.3)(x, targets, seed)[0] is x for seed in range(400)) / 400
    assert untouched == pytest.approx(0.7, abs=0.07)


def test_seeds_decide_and_nothing_else():
    x, targets = _numbered()
    before, state = x.clone(), torch.get_rng_state()
    first, second, other = (CutMix(1.0)(x, targets, seed) for seed in (3, 3, 4))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert record.rebuild(record.describe(CutMix(0.25))) == CutMix(0.25)


def test_soft_targets_mix_as_well():
    x, _ = _numbered()
    targets = torch.softmax(torch.randn(N, 3, generator=rng.generator(0)), 1)
    _, mixed = CutMix(1.0)(x, targets, 1)
    torch.testing.assert_close(mixed.sum(1), torch.ones(N))


def test_a_probability_that_is_none_is_refused():
    with pytest.raises(AttarError, match=r"1.5 to mix a batch is none"):
        CutMix(1.5)
