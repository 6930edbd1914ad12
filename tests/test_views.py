"""How an objective sees the two sides of a step."""

from dataclasses import dataclass

import pytest
import torch

from attar.augment import NoAugment, Siamese
from attar.batches import Images
from attar.views import Everything, PerClass, Uniform, View

LABELS = torch.tensor([0] * 6 + [1] * 3 + [2] * 1)


def _batch(rows=LABELS, **fields):
    """Row i holds the number i in every pixel, so that drawn rows say who they are."""
    x = torch.arange(float(len(rows))).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).contiguous()
    return Images(x, rows, **fields)


def _members(labels=LABELS):
    return {group: torch.nonzero(labels == group).flatten() for group in range(3)}


def _view(sampler, batch=None, augment=None, rows_seed=1, augment_seed=2, **more):
    augment = augment or NoAugment()
    return View(batch or _batch(), _members(), sampler, augment, augment, rows_seed, augment_seed, **more)


def _ids(batch):
    return batch.x[:, 0, 0, 0].long().tolist()


@dataclass
class Recorder:
    """An augmentation that remembers its seeds and adds them, in small, to the rows."""

    seeds: list

    def __call__(self, x, seed):
        self.seeds.append(seed)
        return x + (seed % 1000) / 1e4


def test_per_class_draws_distinct_rows_of_each_class_and_all_of_a_small_one():
    drawn = _view(PerClass(2)).draw()
    assert drawn.y.tolist() == [0, 0, 1, 1, 2]
    assert len(set(_ids(drawn))) == 5
    assert LABELS[_ids(drawn)].tolist() == drawn.y.tolist()


def test_a_group_and_a_size_narrow_the_draw():
    view = _view(PerClass(2))
    assert view.draw(0).y.tolist() == [0, 0]
    assert view.draw(0, size=4).y.tolist() == [0] * 4
    assert view.draw(0, size=99).y.tolist() == [0] * 6


def test_draws_change_from_one_to_the_next_and_repeat_with_the_seed():
    view, same = _view(PerClass(3)), _view(PerClass(3))
    draws = [_ids(view.draw(0)) for _ in range(8)]
    assert len({tuple(draw) for draw in draws}) > 1
    assert draws == [_ids(same.draw(0)) for _ in range(8)]


def test_what_a_group_draws_does_not_depend_on_the_draws_of_others():
    one, two = _view(PerClass(3)), _view(PerClass(3))
    two.draw(1)
    two.draw()
    assert _ids(one.draw(0)) == _ids(two.draw(0))


def test_everything_keeps_all_rows_in_order():
    assert _ids(_view(Everything()).draw()) == list(range(10))
    assert _ids(_view(Everything()).draw(1)) == [6, 7, 8]
    assert _view(Everything()).draw(size=1).y.tolist() == [0, 1, 2]


def test_uniform_draws_over_all_classes_without_repeats():
    view = _view(Uniform(4))
    draws = [_ids(view.draw()) for _ in range(200)]
    assert all(len(set(draw)) == 4 for draw in draws)
    counts = torch.bincount(torch.tensor(draws).flatten(), minlength=10)
    assert counts.min() > 40  # 80 expected of each of the ten rows
    assert counts.max() < 130


def test_a_uniform_draw_of_one_class_stays_in_it():
    assert _view(Uniform(2)).draw(1).y.tolist() == [1, 1]


@pytest.mark.parametrize("sampler", [PerClass(2), Everything()])
def test_a_draw_of_all_classes_is_augmented_as_the_draw_of_each(sampler):
    """What `draw()` gives in one batch has for each class the transform of `draw(class)`."""
    together, apart = Recorder([]), Recorder([])
    _view(sampler, augment=together).draw()
    view = _view(sampler, augment=apart)
    for group in range(3):
        view.draw(group)
    assert together.seeds == apart.seeds
    assert len(set(together.seeds)) == 3


def test_all_rows_of_a_side_in_one_draw_are_the_draws_of_its_classes_joined():
    batch = Images(torch.rand(10, 1, 8, 8), LABELS)
    augment = Siamese("color_crop_cutout_flip_scale_rotate")
    whole = _view(Everything(), batch, augment).draw()
    parts = _view(Everything(), batch, augment)
    joined = parts.draw(0).join([parts.draw(1), parts.draw(2)])
    assert torch.equal(whole.x, joined.x)
    assert torch.equal(whole.y, joined.y)


def test_both_sides_of_a_step_share_the_transform_of_each_draw():
    left, right = Recorder([]), Recorder([])
    synthetic = _view(Everything(), augment=left, rows_seed=1)
    real = _view(PerClass(2), augment=right, rows_seed=99)
    for view in (synthetic, real):
        for group in (0, 1, 2, 0, None):
            view.draw(group)
    assert left.seeds == right.seeds
    assert len(set(left.seeds[:4])) == 4, "the second draw of a class has a transform of its own"


def test_the_shared_transform_is_the_same_operation_on_the_same_image():
    batch = Images(torch.rand(10, 3, 8, 8), LABELS)
    augment = Siamese("crop_flip_rotate", shared=True)
    synthetic, real = _view(Everything(), batch, augment), _view(Everything(), batch, augment, rows_seed=77)
    draws = [(synthetic.draw(0).x, real.draw(0).x) for _ in range(5)]
    assert all(torch.equal(left, right) for left, right in draws)
    assert any(not torch.equal(left, batch.x[:6]) for left, _ in draws)


def test_a_draw_is_differentiable_in_the_rows():
    x = torch.rand(10, 1, 8, 8, requires_grad=True)
    _view(Everything(), Images(x, LABELS), Siamese("color_crop_scale")).draw().x.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_a_class_without_rows_is_left_out():
    labels = torch.tensor([0, 0, 2])
    view = View(_batch(labels), _members(labels), PerClass(5), NoAugment(), NoAugment(), 1, 2)
    assert view.draw().y.tolist() == [0, 0, 2]


def test_whole_is_the_rows_as_they_are():
    view = _view(PerClass(1), augment=Recorder([]))
    assert _ids(view.whole()) == list(range(10))
    assert view.augment.seeds == []


def test_weights_follow_their_rows():
    drawn = _view(PerClass(2), _batch(weight=torch.arange(10.0))).draw()
    assert drawn.weight.tolist() == [float(i) for i in _ids(drawn)]


def test_minibatches_pass_over_every_row_once_a_pass():
    seen = [_ids(batch) for batch in _view(PerClass(1)).minibatches(4, passes=3)]
    assert [len(part) for part in seen] == [4, 4, 2] * 3
    passes = [[row for part in seen[start : start + 3] for row in part] for start in (0, 3, 6)]
    assert all(sorted(rows) == list(range(10)) for rows in passes)
    assert passes[0] != passes[1]


def test_minibatches_use_the_training_transform_anew_each_time():
    training = Recorder([])
    view = View(_batch(), _members(), PerClass(1), Recorder([]), training, 1, 2)
    list(view.minibatches(5, passes=2))
    assert len(set(training.seeds)) == 4
    assert view.augment.seeds == []


class TestPerViewTargets:
    """Rows whose targets differ from one fixed augmentation to the next."""

    def _batch(self):
        targets = torch.arange(4.0).view(4, 1, 1).expand(4, 10, 3)  # view v has targets v everywhere
        return _batch().replace(y=targets, views=torch.tensor([11, 22, 33, 44]))

    def test_a_draw_takes_one_view_with_its_seed_and_targets(self):
        augment = Recorder([])
        view = _view(Everything(), self._batch(), augment)
        picked = set()
        for _ in range(20):
            drawn = view.draw()
            [target] = set(drawn.y.flatten().tolist())
            assert drawn.y.shape == (10, 3)
            assert drawn.views is None
            assert augment.seeds[-1] == [11, 22, 33, 44][int(target)]
            picked.add(target)
        assert len(picked) > 1

    def test_minibatches_do_so_too(self):
        augment = Recorder([])
        view = _view(Everything(), self._batch(), augment)
        batches = list(view.minibatches(4, passes=4))
        assert set(augment.seeds) <= {11, 22, 33, 44}
        for seed, batch in zip(augment.seeds, batches, strict=True):
            assert set(batch.y.flatten().tolist()) == {[11, 22, 33, 44].index(seed)}
