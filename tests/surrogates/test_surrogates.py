"""Where a step's network comes from."""

import pytest
import torch

from attar import augment, rng
from attar.selection import RandomReal
from attar.surrogates import Fresh, Online
from attar.surrogates.fresh import random_weights, skeleton
from attar.surrogates.online import DC_LOOPS
from attar.types import Budget
from attar.views import Everything, PerClass, View

MODEL = "convnet2-4"


def _views(toy, per_class=1, step=0):
    rows = RandomReal()(toy, Budget(per_class=per_class), rng.generator(0, "rows"))
    members = {group: ids.cpu() for group, ids in toy.task.members(rows).items()}
    nothing = augment.NoAugment()
    return (
        View(rows, members, Everything(), nothing, nothing, rng.derive(1, step), 3),
        View(toy.train, toy.members, PerClass(8), nothing, nothing, rng.derive(2, step), 3),
    )


def _walk(source, toy, steps, per_class=1):
    state = source.init(toy, rng.generator(0, "source"))
    found = []
    for step in range(steps):
        surrogate, state = source.next(state, toy, *_views(toy, per_class, step), rng.generator(0, "network", step))
        found.append({name: value.clone() for name, value in surrogate.params.items()})
    return found


def _same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_random_weights_are_those_of_the_constructor(toy):
    source = rng.generator(0, "weights")
    with rng.seeded(rng.draw_seed(rng.generator(0, "weights"))):
        wanted = toy.task.build(MODEL)
    assert _same(random_weights(toy.task, MODEL, source), dict(wanted.named_parameters()))


def test_one_architecture_has_one_skeleton(toy):
    assert skeleton(toy.task, MODEL) is skeleton(toy.task, MODEL)
    assert skeleton(toy.task, MODEL) is not skeleton(toy.task, "mlp-8")
    assert not any(param.requires_grad for param in skeleton(toy.task, MODEL).parameters())


def test_fresh_gives_new_weights_every_step_and_the_same_for_the_same_seed(toy):
    first, again = _walk(Fresh(MODEL), toy, 3), _walk(Fresh(MODEL), toy, 3)
    assert all(_same(a, b) for a, b in zip(first, again, strict=True))
    assert not _same(first[0], first[1])
    assert not _same(first[1], first[2])


def test_fresh_keeps_its_weights_for_the_updates_asked_for(toy):
    walk = _walk(Fresh(MODEL, updates=2), toy, 4)
    assert _same(walk[0], walk[1])
    assert not _same(walk[1], walk[2])
    assert _same(walk[2], walk[3])


def test_online_trains_its_network_between_matchings_and_then_takes_a_new_one(toy):
    walk = _walk(Online(MODEL, loops=((1, 3, 2),)), toy, 4)
    starts = [random_weights(toy.task, MODEL, rng.generator(0, "network", step)) for step in range(4)]
    assert [_same(weights, start) for weights, start in zip(walk, starts, strict=True)] == [True, False, False, True]
    assert not _same(walk[1], walk[2])


def test_onlines_training_is_plain_sgd_on_the_synthetic_rows(toy):
    walk = _walk(Online(MODEL, loops=((1, 2, 3),), lr=0.05), toy, 2)
    synthetic, _ = _views(toy, step=1)
    model = skeleton(toy.task, MODEL)
    params = {name: value.clone().requires_grad_() for name, value in walk[0].items()}
    optimiser = torch.optim.SGD(params.values(), lr=0.05)
    for batch in synthetic.minibatches(256, 3):
        optimiser.zero_grad()
        toy.task.loss(model, params, batch).backward()
        optimiser.step()
    for name, value in walk[1].items():
        assert torch.allclose(value, params[name], atol=1e-6)


def test_online_can_train_on_the_real_rows(toy):
    on_synthetic = _walk(Online(MODEL, loops=((1, 2, 1),)), toy, 2)[1]
    on_real = _walk(Online(MODEL, loops=((1, 2, 1),), data="real"), toy, 2)[1]
    assert not _same(on_synthetic, on_real)
    model = skeleton(toy.task, MODEL)
    started = random_weights(toy.task, MODEL, rng.generator(0, "network", 0))
    long = _walk(Online(MODEL, loops=((1, 2, 30),), data="real", lr=0.05), toy, 2)[1]
    assert toy.task.loss(model, long, toy.train) < toy.task.loss(model, started, toy.train)


@pytest.mark.parametrize(
    ("per_class", "loop"),
    [(0.5, (1, 1)), (1, (1, 1)), (9, (1, 1)), (10, (10, 50)), (19, (10, 50)), (20, (20, 25)), (100, (50, 10))],
)
def test_the_published_loops_go_by_rows_a_class(per_class, loop):
    assert Online(loops=DC_LOOPS)._loop(per_class) == loop


def test_the_network_carries_no_gradient(toy):
    for source in (Fresh(MODEL), Online(MODEL, loops=((1, 3, 1),))):
        assert not any(value.requires_grad for weights in _walk(source, toy, 2) for value in weights.values())


def test_a_step_of_the_source_leaves_the_given_state_alone(toy):
    source = Online(MODEL, loops=((1, 5, 1),))
    _, state = source.next(source.init(toy, rng.generator(0)), toy, *_views(toy), rng.generator(0, "network", 0))
    before = {name: value.clone() for name, value in state["params"].items()}
    source.next(state, toy, *_views(toy, step=1), rng.generator(0, "network", 1))
    assert state["position"] == 1
    assert _same(before, state["params"])
