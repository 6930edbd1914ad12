"""Networks trained on real rows for a pool, and one that is trained for as long as its accuracy says."""

import pytest
import torch

from attar import augment, rng
from attar.selection import RandomReal
from attar.surrogates import Pool, Watched
from attar.surrogates.fresh import random_weights, skeleton
from attar.training import passes
from attar.types import AttarError, Budget
from attar.views import Everything, PerClass, View

MODEL = "convnet2-4"


def _views(toy, step=0):
    rows = RandomReal()(toy, Budget(per_class=1), rng.generator(0, "rows"))
    members = {group: ids.cpu() for group, ids in toy.task.members(rows).items()}
    nothing = augment.NoAugment()
    return (
        View(rows, members, Everything(), nothing, nothing, rng.derive(1, step), 3),
        View(toy.train, toy.members, PerClass(8), nothing, nothing, rng.derive(2, step), 3),
    )


def _walk(source, toy, steps):
    state = source.init(toy, rng.generator(0, "source"))
    found, states = [], [state]
    for step in range(steps):
        surrogate, state = source.next(state, toy, *_views(toy, step), rng.generator(0, "network", step))
        found.append(surrogate)
        states.append(state)
    return found, states


def _same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


# -- the pool


def test_a_pool_grows_a_network_at_a_time(toy):
    _, states = _walk(Pool(MODEL, count=3, interval=2, updates=1), toy, 7)
    assert [len(state["ends"]) for state in states] == [0, 1, 1, 2, 2, 3, 3, 3]
    assert states[1]["ends"][0] is states[-1]["ends"][0], "a trained network is trained no further"


def test_a_pools_network_lies_between_its_start_and_its_end(toy):
    source = Pool(MODEL, count=1, updates=3)
    found, states = _walk(source, toy, 4)
    start = random_weights(toy.task, MODEL, rng.generator(states[0]["seed"], "start", 0))
    [end] = states[-1]["ends"]
    shares = []
    for surrogate in found:
        assert _same(surrogate.teacher, end)
        gaps = {name: value - start[name] for name, value in end.items()}
        moved = {name: value - start[name] for name, value in surrogate.params.items()}
        name = "head.weight"
        share = float((moved[name] * gaps[name]).sum() / (gaps[name] ** 2).sum())
        assert all(torch.allclose(moved[key], share * gaps[key], atol=1e-5) for key in gaps)
        shares.append(share)
    assert all(0 <= share <= 1 for share in shares)
    assert len(set(shares)) == 4


def test_a_pools_networks_learn_the_real_rows(toy):
    found, _ = _walk(Pool(MODEL, count=1, updates=60, lr=0.05), toy, 1)
    model = skeleton(toy.task, MODEL)
    started = random_weights(toy.task, MODEL, rng.generator(0))
    known, guessed = (passes.accuracy(toy.task, model, params, toy.test) for params in (found[0].teacher, started))
    assert known > max(0.8, guessed)


def test_a_pools_training_stops_at_its_updates_or_its_epochs(toy):
    long, epoch, few = (
        _walk(Pool(MODEL, count=1, epochs=1, updates=updates, batch=27), toy, 1)[0][0].teacher
        for updates in (None, 4, 2)
    )
    assert len(toy.train) == 4 * 27
    assert _same(long, epoch)
    assert not _same(long, few)


def test_pools_that_train_nothing_are_refused():
    with pytest.raises(AttarError, match="A pool of networks with updates=0"):
        Pool(updates=0)
    with pytest.raises(AttarError, match="count=0"):
        Pool(count=0)


# -- the watched network


def _watched(monkeypatch, accuracies, **settings):
    """A source whose network is as accurate as a list says, and the number of times that it looked."""
    left = iter(accuracies)
    seen = []
    monkeypatch.setattr(passes, "accuracy", lambda *args: seen.append(next(left)) or seen[-1])
    return Watched(MODEL, window=3, outer=0.05, inner=0.2, **settings), seen


def test_training_goes_on_until_the_accuracy_has_moved(toy, monkeypatch):
    """After the matching 0.1; epochs 0.1, 0.1, 0.15 (spread too small) and 0.35 (large enough)."""
    source, seen = _watched(monkeypatch, [0.1, 0.1, 0.1, 0.15, 0.35, 9.0], epochs=20)
    found, states = _walk(source, toy, 2)
    assert seen == [0.1, 0.1, 0.1, 0.15, 0.35]
    assert states[-1]["matchings"] == 2
    assert [surrogate.age for surrogate in found] == [0, 1]
    assert not _same(found[0].params, found[1].params)


def test_the_first_epochs_fill_the_window(toy, monkeypatch):
    source, seen = _watched(monkeypatch, [0.1, 0.1, 0.9, 0.2, 9.0], epochs=20)
    _walk(source, toy, 2)
    assert seen == [0.1, 0.1, 0.9, 0.2], "two epochs that differ are not yet a window of three"


def test_a_network_that_matching_no_longer_moves_is_replaced(toy, monkeypatch):
    """Accuracies after matchings 0.50, 0.51, 0.52, each followed by one epoch."""
    source, _ = _watched(monkeypatch, [0.50, 0.0, 0.51, 0.0, 0.52], epochs=1)
    found, states = _walk(source, toy, 4)
    assert [state["matchings"] for state in states] == [0, 1, 2, 3, 1]
    assert states[-1]["accuracies"] == []
    assert _same(found[3].params, random_weights(toy.task, MODEL, rng.generator(0, "network", 3)))
    assert found[3].age == 0


def test_a_network_that_matching_still_moves_is_kept(toy, monkeypatch):
    source, _ = _watched(monkeypatch, [0.3, 0.0, 0.4, 0.0, 0.5, 0.0], epochs=1)
    _, states = _walk(source, toy, 4)
    assert states[-1]["matchings"] == 4
    assert states[-1]["accuracies"] == [0.3, 0.4, 0.5]


def test_neither_loop_goes_on_for_ever(toy, monkeypatch):
    source, seen = _watched(monkeypatch, [0.1, *[0.5] * 4, 0.9, *[0.5] * 4], epochs=4, matchings=2)
    _, states = _walk(source, toy, 3)
    assert [state["matchings"] for state in states] == [0, 1, 2, 1]
    assert len(seen) == 6


def test_its_accuracy_is_that_of_real_rows(toy):
    views = _views(toy)
    params = random_weights(toy.task, MODEL, rng.generator(0))
    whole = Watched(MODEL, watch=1000)._accuracy(toy, params, views[1], rng.generator(0))
    module = toy.task.build(MODEL)
    module.load_state_dict(params)
    assert whole == pytest.approx(toy.task.metric(module, toy.train))


def test_watching_leaves_the_pairing_of_the_views_alone(toy):
    """A draw of the real view would shift which augmentation the two sides share."""
    source = Watched(MODEL, watch=4, epochs=2)
    state = source.init(toy, rng.generator(0))
    for step in range(2):
        views = _views(toy, step)
        _, state = source.next(state, toy, *views, rng.generator(0, "network", step))
    assert not views[0]._draws
    assert not views[1]._draws
