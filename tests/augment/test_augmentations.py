"""Seeds, siamese draws, ranges and names."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from attar import augment, methods, record, rng
from attar.augment import DCAugment, NoAugment, Siamese, all_of, operations, slight
from attar.augment.siamese import OPERATIONS
from attar.types import AttarError

SEEDS = range(40)
EVERY = [
    Siamese(),
    Siamese(shared=False),
    Siamese(mode="multiple"),
    DCAugment(),
    *(Siamese(name) for name in OPERATIONS),
]


def images(n=4, c=3, h=16, w=16, dtype=torch.float32):
    return torch.randn(n, c, h, w, generator=rng.generator(1, "images"), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("change", [NoAugment(), *EVERY], ids=repr)
def test_protocol(change):
    for dtype in (torch.float32, torch.float64):
        x = images(dtype=dtype).requires_grad_()
        before, state = x.detach().clone(), torch.get_rng_state()
        first, second = change(x, 5), change(x, 5)
        assert torch.equal(first, second)
        assert first.shape == x.shape
        assert first.dtype == dtype
        assert torch.equal(x, before)
        assert torch.equal(torch.get_rng_state(), state)
        (slope,) = torch.autograd.grad(first.square().sum(), x)
        assert slope.isfinite().all()
        assert slope.abs().sum() > 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        change.strategy = "flip"
    assert record.rebuild(record.describe(change)) == change


@pytest.mark.parametrize("change", EVERY, ids=repr)
def test_seeds_differ(change):
    x = images()
    assert len({tuple(change(x, seed).flatten().tolist()) for seed in range(12)}) > 1


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_shared_seed_is_the_same_transform_of_any_batch(name):
    """Row by row the result is that of the row alone, whichever rows stand beside it and however many."""
    change, x = Siamese(name), images()
    for seed in range(5):
        alone = torch.cat([change(row, seed) for row in x.split(1)])
        torch.testing.assert_close(change(x, seed), alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OPERATIONS)
def test_row_wise_parameters_differ_by_row(name):
    x = images(1).expand(8, -1, -1, -1)
    shared, own = Siamese(name)(x, 3), Siamese(name, shared=False)(x, 3)
    torch.testing.assert_close(shared, shared[:1].expand_as(shared), rtol=1e-6, atol=1e-6)
    assert (own - own[:1]).abs().amax((1, 2, 3)).max() > 0.1


def test_single_does_one_operation_and_multiple_does_all_in_order():
    x, strategy = images(), "crop_flip_cutout"
    seen = set()
    for seed in SEEDS:
        result = Siamese(strategy)(x, seed)
        source = rng.generator(seed, "siamese")
        name = strategy.split("_")[int(torch.randint(3, (), generator=source))]
        assert torch.equal(result, Siamese()._apply(name, x, source))
        seen.add(name)
        source = rng.generator(seed, "siamese")
        expected = x
        for name in strategy.split("_"):
            expected = Siamese()._apply(name, expected, source)
        assert torch.equal(Siamese(strategy, mode="multiple")(x, seed), expected)
    assert seen == {"crop", "flip", "cutout"}


def test_crop_shifts_by_up_to_an_eighth():
    position = torch.arange(256.0).view(1, 1, 16, 16) + 1
    corners = set()
    for seed in range(200):
        moved = Siamese("crop")(position, seed)[0, 0]
        value = int(moved[8, 8]) - 1
        down, right = value // 16 - 8, value % 16 - 8
        corners.add((down, right))
        assert torch.equal(moved[None, None], operations.shift(position, torch.tensor([down]), torch.tensor([right])))
    reach = range(-2, 3)
    assert corners == {(down, right) for down in reach for right in reach}


@pytest.mark.parametrize(("side", "ratio"), [(8, 0.5), (5, 0.6), (4, 0.25)])
def test_cutout_zeroes_a_square_centred_anywhere(side, ratio):
    """As in the authors' code an even square of s starts at -s/2 to side - s/2, an odd one ends one pixel before."""
    size, x, seen = round(side * ratio), torch.ones(1, 1, side, side), set()
    for seed in range(400):
        mask = Siamese("cutout", cutout=ratio)(x, seed)[0, 0] == 0
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns[None])
        seen.add(tuple(torch.nonzero(rows).flatten().tolist()))
    starts = range(-(size // 2), side - size // 2 + (1 - size % 2))
    assert seen == {tuple(range(max(start, 0), min(start + size, side))) for start in starts}


def test_flip_has_its_probability():
    x = images(400, 1, 2, 2)
    flipped = (Siamese("flip", shared=False, flip=0.25)(x, 0) != x).any((1, 2, 3)).float().mean()
    assert 0.18 < float(flipped) < 0.32
    shared = [not torch.equal(Siamese("flip")(x, seed), x) for seed in SEEDS]
    assert 8 < sum(shared) < 32


def test_ranges_of_the_drawn_parameters(monkeypatch):
    """Uniform over the stated ranges: both ends come near and neither is passed."""
    drawn = {name: [] for name in ("recolour", "rescale", "rotate")}
    for name, rows in drawn.items():
        monkeypatch.setattr(operations, name, lambda x, *values, rows=rows: rows.append(torch.stack(values)) or x)
    x = images(2000, 1, 2, 2)
    for name in ("color", "scale", "rotate"):
        Siamese(name, shared=False)(x, 0)
    expected = {
        "recolour": [(-0.5, 0.5), (0.0, 2.0), (0.5, 1.5)],
        "rescale": [(1 / 1.2, 1.2)] * 2,
        "rotate": [(-15.0, 15.0)],
    }
    for name, ranges in expected.items():
        for values, (low, high) in zip(drawn[name][0], ranges, strict=True):
            span = high - low
            assert low <= values.min() < low + 0.01 * span
            assert high - 0.01 * span < values.max() <= high
            assert abs(values.mean() - (low + high) / 2) < 0.05 * span
    assert not torch.equal(*drawn["rescale"][0])  # the axes scale independently


@pytest.mark.parametrize(
    "change",
    [
        Siamese("crop", crop=0),
        Siamese("cutout", cutout=0),
        Siamese("flip", flip=0),
        Siamese("scale", scale=1),
        Siamese("rotate", rotate=0),
        DCAugment(crop=0, scale=0, rotate=0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shared", [True, False])
def test_zero_magnitude_is_the_identity(change, shared):
    if isinstance(change, Siamese):
        change = dataclasses.replace(change, shared=shared)
    for seed in range(5):
        torch.testing.assert_close(change(images(), seed), images(), rtol=1e-5, atol=1e-5)


def test_dc_does_one_of_three_to_each_row():
    x = images(300, 1, 12, 12)
    only = {
        "crop": DCAugment(scale=0, rotate=0),
        "scale": DCAugment(crop=0, rotate=0),
        "rotate": DCAugment(crop=0, scale=0),
    }
    whole = DCAugment()(x, 2)
    alike = torch.stack([(part(x, 2) - whole).abs().amax((1, 2, 3)) < 1e-5 for part in only.values()])
    assert (alike.sum(0) == 1).float().mean() > 0.95  # a draw of no shift or no turn leaves a row as it is
    assert (alike.float().mean(1) - 1 / 3).abs().max() < 0.12


def test_dc_scale_is_nearest_interpolation_about_the_centre():
    x, change, seen = images(60, 2, 10, 10), DCAugment(crop=0, rotate=0), set()
    for before, after in zip(x, change(x, 4), strict=True):
        candidates = {}
        for h in range(8, 13):
            for w in range(8, 13):
                side = max(h, w, 10)
                frame = np.zeros((2, side, side), dtype=np.float32)
                top, left = (side - h) // 2, (side - w) // 2
                frame[:, top : top + h, left : left + w] = F.interpolate(before[None], (h, w))[0].numpy()
                cut = (side - 10) // 2
                candidates[h, w] = frame[:, cut : cut + 10, cut : cut + 10]
        found = {size for size, frame in candidates.items() if np.allclose(frame, after.numpy(), atol=1e-5)}
        assert found
        seen |= found
    assert {h for h, _ in seen} >= {8, 9, 10, 11}


def test_dc_fills_with_the_mean_when_it_crops_or_turns():
    x = torch.ones(30, 2, 12, 12) * torch.tensor([3.0, 5.0]).view(1, 2, 1, 1)
    cropped = DCAugment(scale=0, rotate=0)(x, 0)
    torch.testing.assert_close(cropped, x)  # the mean of a constant channel is that constant
    turned = DCAugment(crop=0, scale=0)(x, 0)
    corners = turned[:, :, 0, 0]
    torch.testing.assert_close(corners[(corners != x[:, :, 0, 0]).any(1)].mean(), torch.tensor(4.0), rtol=0.01, atol=0)


@pytest.mark.parametrize("rows", [1, 2])
def test_dc_takes_few_rows(rows):
    for seed in range(6):
        assert DCAugment()(images(rows), seed).shape == (rows, 3, 16, 16)


def test_named():
    assert augment.named("") == NoAugment()
    assert augment.named("dc") == DCAugment()
    assert augment.named("color_crop", shared=False) == Siamese("color_crop", shared=False)
    assert torch.equal(NoAugment()(images(), 0), images())


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("color_crp", "no augmentation 'crp'.*did you mean crop"),
        ("blur", "'blur'.*color, crop"),
        ("flip_", "no augmentation ''"),
    ],
)
def test_unknown_operations_are_refused(strategy, message):
    with pytest.raises(AttarError, match=message):
        augment.named(strategy)


def test_an_unknown_mode_is_refused():
    with pytest.raises(AttarError, match="'single' or 'multiple', not 'both'"):
        Siamese(mode="both")


def test_all_operations_of_a_strategy():
    assert all_of("color_crop") == Siamese("color_crop", mode="multiple")
    assert all_of("color", shared=False) == Siamese("color", mode="multiple", shared=False)
    assert all_of("") == NoAugment()
    for name in ("default", "dc"):
        with pytest.raises(AttarError, match=f"^The augmentation '{name}' draws one operation at a time"):
            methods.m3d(augmentation=name)


def test_slight_changes_move_an_edge_by_two_pixels_at_most():
    """A bar across the middle of 28 pixels stays within two rows of where it was, whatever is drawn."""
    bar = torch.zeros(200, 1, 28, 28)
    bar[:, :, 14, 8:20] = 1
    changed = slight("crop_scale_rotate")(bar, 3)
    assert changed[:, :, 11:18].sum() == pytest.approx(float(changed.sum()))
    assert len(changed.unique(dim=0)) == 200


def test_slight_changes_are_of_four_kinds():
    assert slight("") == NoAugment()
    for name in ("color", "cutout", "dc", "default"):
        with pytest.raises(AttarError, match=f"^There is no slight augmentation '{name}' .*crop, flip, scale, rotate"):
            slight(f"crop_{name}")
