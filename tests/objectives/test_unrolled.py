"""Training on the synthetic rows, differentiated: its loss by hand, its gradient, its rows, and where its window lies."""

from dataclasses import replace

import pytest
import torch

import attar
from attar import rng
from attar.augment import NoAugment
from attar.batches import Images
from attar.checks import check_objective
from attar.distilled import FixedStart, Own
from attar.objectives import Unrolled
from attar.surrogates import Expert, Fresh, Weights
from attar.surrogates.fresh import random_weights, skeleton
from attar.training import unroll as unrolling
from attar.types import AttarError
from attar.views import Everything, Uniform, View


def _scene(toy, rows=6, dtype=torch.float64, seed=1, pace=0.1):
    """The task, a network of random weights, the synthetic side, the real one, the rows and the step size."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(rows, *toy.train.x.shape[1:], generator=source, dtype=dtype, requires_grad=True)
    y = torch.arange(rows) * 3 // rows  # class by class, as sets are stored
    weights = {name: value.to(dtype) for name, value in random_weights(toy.task, "convnet2-8", source).items()}
    network = Weights(skeleton(toy.task, "convnet2-8"), weights)
    pace = torch.tensor(pace, dtype=dtype, requires_grad=True)
    members = {group: torch.nonzero(y == group)[:, 0] for group in range(3)}
    plain = NoAugment(), NoAugment()
    side = View(Images(x, y), members, Everything(), *plain, seed, 2, {"step_size": pace})
    train = toy.train.replace(x=toy.train.x.to(dtype))
    real = View(train, toy.members, Uniform(20), *plain, 3, 2)
    return toy.task, network, side, real, x, pace


def _again(side, **fields):
    """The view before it was drawn from."""
    return replace(side, _draws=type(side._draws)(), **fields)


def _by_hand(task, network, batches, paces, momentum, shown):
    """SGD written out, and the loss of the real rows at its end."""
    params = {name: value.clone() for name, value in network.params.items()}
    velocity = {name: torch.zeros_like(value) for name, value in params.items()}
    for batch, pace in zip(batches, paces, strict=True):
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
        slopes = torch.autograd.grad(task.loss(network.model, leaves, batch.detach()), list(leaves.values()))
        for (name, value), slope in zip(list(params.items()), slopes, strict=True):
            velocity[name] = momentum * velocity[name] + slope
            params[name] = value - pace * velocity[name]
    return float(task.loss(network.model, params, shown))


def test_the_loss_is_that_of_real_rows_after_training_on_the_synthetic_ones(toy):
    task, network, side, real, _, _ = _scene(toy)
    shown = _again(real).draw()
    found, info, _ = Unrolled(4, batch=2).loss(task, network, side, _again(real), {})
    batches = [side.minibatch(2, index) for index in range(4)]
    assert found.item() == pytest.approx(_by_hand(task, network, batches, [0.1] * 4, 0, shown), rel=1e-9)
    assert info["student step size"].item() == pytest.approx(0.1)
    found, info, _ = Unrolled(4, lr=0.3, momentum=0.9).loss(task, network, side, _again(real), {})
    batches = [side.minibatch(6, index) for index in range(4)]
    assert found.item() == pytest.approx(_by_hand(task, network, batches, [0.3] * 4, 0.9, shown), rel=1e-6)
    assert info["student step size"].item() == pytest.approx(0.3)


def test_rows_in_order_come_in_the_same_batches_each_at_its_own_step_size(toy):
    """Six rows, class by class, one of each class an update: rows 0, 2, 4, then 1, 3, 5, and so on."""
    paces = [0.1, 0.2, 0.3, 0.05, 0.15]
    task, network, side, real, x, _ = _scene(toy, pace=paces)
    y = side.batch.y
    found, info, _ = Unrolled(5, in_order=1).loss(task, network, side, _again(real), {})
    batches = [Images(x[index % 2 :: 2], y[index % 2 :: 2]) for index in range(5)]
    assert [batch.y.tolist() for batch in batches[:2]] == [[0, 1, 2]] * 2
    assert found.item() == pytest.approx(_by_hand(task, network, batches, paces, 0, _again(real).draw()), rel=1e-9)
    assert info["student step size"].item() == pytest.approx(sum(paces) / 5)


@pytest.mark.parametrize("backward", ["store", "checkpoint"])
@pytest.mark.parametrize("in_order", [None, 1])
def test_the_gradient_is_that_of_finite_differences(backward, in_order, toy):
    task, network, side, real, x, pace = _scene(toy, pace=[0.1, 0.2, 0.3])
    objective = Unrolled(3, in_order=in_order, momentum=0.5, backward=backward)
    slopes = torch.autograd.grad(objective.loss(task, network, side, _again(real), {})[0], [x, pace])
    source = torch.Generator().manual_seed(3)
    for place, (value, slope) in enumerate(zip((x, pace), slopes, strict=True)):
        aim = torch.randn(value.shape, generator=source, dtype=value.dtype)
        ends = []
        for sign in (1e-6, -1e-6):
            moved = value.detach() + sign * aim
            batch = side.batch.replace(x=moved if place == 0 else x.detach())
            learned = {"step_size": moved if place == 1 else pace.detach()}
            at = _again(side, batch=batch, learned=learned)
            ends.append(objective.loss(task, network, at, _again(real), {})[0].item())
        assert (slope * aim).sum().item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)


def test_real_rows_in_chunks_change_nothing(toy):
    task, network, side, real, x, _ = _scene(toy)
    parts = replace(task, plan=replace(task.plan, chunk=7))
    slopes = [
        torch.autograd.grad(Unrolled(2).loss(each, network, side, _again(real), {})[0], [x])[0]
        for each in (task, parts)
    ]
    assert torch.allclose(*slopes, rtol=1e-8, atol=1e-14)


def test_a_random_end_lies_anywhere_and_takes_the_first_step_sizes(toy, monkeypatch):
    made = []

    def watched(*arguments, **options):
        made.append((arguments[7], arguments[6].tolist(), arguments[10]))
        return unrolling.unroll(*arguments, **options)

    monkeypatch.setattr("attar.objectives.unrolled.unroll", watched)
    paces = [0.1, 0.2, 0.3, 0.05]
    task, network, side, real, x, _ = _scene(toy, pace=paces)
    objective = Unrolled(4, in_order=1, window=2, random_end=True)
    for seed in range(24):
        loss = objective.loss(task, network, _again(side, rows_seed=seed), _again(real), {})[0]
        again = objective.loss(task, network, _again(side, rows_seed=seed), _again(real), {})[0]
        assert torch.equal(loss, again)
    assert {steps for steps, _, _ in made} == {2, 3, 4}
    assert all(given == pytest.approx(paces[:steps]) and window == 2 for steps, given, window in made)
    assert torch.autograd.grad(loss, [x])[0].any()


def test_it_keeps_what_every_objective_promises():
    """At a setting where no ReLU opens nearby: a network's gradient jumps there, and with it where its training ends."""
    check_objective(Unrolled(4, in_order=1, lr=0.1, momentum=0.9), Fresh("convnet2-8"))


def test_what_it_records_is_what_it_does(toy):
    fixed = FixedStart(7, "sha256:0")
    assert Unrolled(30, in_order=2, lr=0.1).own(toy.task, "mlp", 21, fixed) == Own(
        "mlp", 30, 6, "stored", 0.0, 0.1, fixed
    )
    assert Unrolled(9, batch=50, momentum=0.5).own(toy.task, "mlp", 20, None) == Own("mlp", 9, 20, "shuffled", 0.5)
    # twenty rows in batches of at most twelve are two of ten
    assert Unrolled(9, in_order=4).own(toy.task, "mlp", 20, None).batch == 10


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"inner_steps": 0}, "does not move"),
        ({"batch": 0}, "does not move"),
        ({"batch": 3, "in_order": 1}, "not both"),
        ({"lr": 0}, "step size 0"),
        ({"momentum": 1}, "does not settle"),
        ({"backward": "none"}, "no way back 'none'"),
        ({"inner_steps": 4, "window": 5}, "does not lie within 4"),
        ({"random_end": True}, "give window="),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, sentence):
    with pytest.raises(AttarError, match=sentence):
        Unrolled(**settings)


def test_wrong_pairings_are_refused(toy, toy_experts):
    with pytest.raises(AttarError, match="Unrolled reads Weights, but Expert yields Segment"):
        attar.Matching(Unrolled(), Expert(toy_experts))
    task, network, side, real, _, _ = _scene(toy)
    with pytest.raises(AttarError, match="give the method a step_size, or Unrolled an lr"):
        Unrolled(2).loss(task, network, replace(side, learned={}), real, {})
    with pytest.raises(AttarError, match="2 step sizes do not fit 3 updates"):
        Unrolled(3).loss(task, network, replace(side, learned={"step_size": torch.ones(2)}), real, {})


def test_a_fixed_start_is_the_same_at_every_step_and_another_for_another_seed(toy):
    def starts(fixed, seed):
        source = Fresh("convnet2-8", fixed=fixed)
        state, found = source.init(toy, rng.generator(seed)), []
        for _ in range(3):
            network, state = source.next(state, toy, None, None, rng.generator(0))
            found.append(torch.cat([value.flatten() for value in network.params.values()]))
        return found, source.fixed_start(toy, state)

    (one, two, three), start = starts(True, 0)
    assert torch.equal(one, two)
    assert torch.equal(one, three)
    (other, *_), other_start = starts(True, 1)
    assert not torch.equal(one, other)
    assert start.seed != other_start.seed
    assert start.checksum != other_start.checksum
    (one, two, _), start = starts(False, 0)
    assert not torch.equal(one, two)
    assert start is None
