"""Optimisers as settings, and step sizes that fall."""

import pytest
import torch

from attar.training.optimisers import SGD, Adam, Decay, update
from attar.types import AttarError


def test_a_step_size_falls_at_its_milestones():
    decay = Decay(0.5, (3, 5))
    assert [decay.at(step) for step in range(7)] == [1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_or_again_and_again():
    assert [Decay(0.1, every=2).at(step) for step in (0, 1, 2, 4)] == pytest.approx([1, 1, 0.1, 0.01])


@pytest.mark.parametrize(
    ("settings", "said"), [({"factor": 0.0}, "does not fall"), ({"factor": 0.5, "every": 0}, "1 or more")]
)
def test_what_does_not_fall_is_refused(settings, said):
    with pytest.raises(AttarError, match=said):
        Decay(**settings)


@pytest.mark.parametrize(
    "setting", [SGD(0.1, momentum=0.5, decay=Decay(0.5, (2,))), Adam(0.1, decay=Decay(0.5, every=2))]
)
def test_updates_are_those_of_torch_with_its_schedule(setting):
    mine, theirs = torch.ones(3), torch.nn.Parameter(torch.ones(3))
    optimiser = type(setting)(**{**setting.__dict__, "decay": None}).make([theirs])
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [2], gamma=0.5)
    state = None
    for step in range(4):
        slope = torch.tensor([1.0, -2.0, 0.5]) * (step + 1)
        mine.grad, theirs.grad = slope.clone(), slope.clone()
        state = update(setting, [mine], state, step)
        optimiser.step()
        schedule.step()
        if step == 3:  # until here `every=2` and the milestone are the same
            break
        assert torch.allclose(mine, theirs.detach())


def test_what_an_optimiser_keeps_is_left_as_it_was():
    x = torch.zeros(2)
    x.grad = torch.ones(2)
    before = update(SGD(0.1, momentum=0.5), [x], None, 0)
    kept = before["0"]["momentum_buffer"].clone()
    after = update(SGD(0.1, momentum=0.5), [x], before, 1)
    assert torch.equal(before["0"]["momentum_buffer"], kept)
    assert torch.equal(after["0"]["momentum_buffer"], 1.5 * torch.ones(2))
