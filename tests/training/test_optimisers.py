"""Optimisers as settings, and step sizes that fall."""

import pytest
import torch

from attar.record import describe, rebuild
from attar.training import Cosine
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


def test_a_step_size_falls_by_half_a_cosine_and_stays_at_its_end():
    assert [Cosine(4).at(step) for step in range(6)] == pytest.approx([1, 0.8535534, 0.5, 0.1464466, 0, 0])
    assert [Cosine(2, least=0.1).at(step) for step in range(4)] == pytest.approx([1, 0.55, 0.1, 0.1])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "over 0 steps"),
        ({"steps": 5, "least": 1.0}, "share of 1.0"),
        ({"steps": 5, "least": -0.1}, "share"),
    ],
)
def test_a_cosine_that_does_not_fall_is_refused(settings, said):
    with pytest.raises(AttarError, match=said):
        Cosine(**settings)


@pytest.mark.parametrize("make", [SGD, Adam])
def test_updates_by_a_cosine_are_those_of_torch_and_go_on_from_any_step(make):
    mine, theirs = torch.ones(3), torch.nn.Parameter(torch.ones(3))
    optimiser = make(0.1).make([theirs])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=5, eta_min=0.01)
    state = None
    for step in range(5):
        slope = torch.tensor([1.0, -2.0, 0.5]) * (step + 1)
        mine.grad, theirs.grad = slope.clone(), slope.clone()
        state = update(
            make(0.1, decay=Cosine(5, least=0.1)), [mine], state, step
        )  # as after a resume: nothing else is kept
        optimiser.step()
        schedule.step()
        assert torch.allclose(mine, theirs.detach(), atol=1e-6)


def test_how_a_step_size_falls_is_kept_in_a_runs_settings():
    setting = Adam(1e-3, decay=Cosine(100, least=0.1))
    assert rebuild(describe(setting)) == setting


def test_what_an_optimiser_keeps_is_left_as_it_was():
    x = torch.zeros(2)
    x.grad = torch.ones(2)
    before = update(SGD(0.1, momentum=0.5), [x], None, 0)
    kept = before["0"]["momentum_buffer"].clone()
    after = update(SGD(0.1, momentum=0.5), [x], before, 1)
    assert torch.equal(before["0"]["momentum_buffer"], kept)
    assert torch.equal(after["0"]["momentum_buffer"], 1.5 * torch.ones(2))
