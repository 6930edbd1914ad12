"""Networks trained on real rows: Online as IDC has it, and the queue."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from attar import augment, rng
from attar.augment import CutMix, NoAugment, Siamese
from attar.checkpoint import load_tree, save_tree
from attar.selection import RandomReal
from attar.surrogates import Online, Queue
from attar.surrogates.fresh import random_weights, skeleton
from attar.types import AttarError, Budget
from attar.views import Everything, PerClass, View

MODEL = "convnet2-4"
IDC = Online(MODEL, ((1, 4, 3),), 0.05, 16, "real", momentum=0.9, weight_decay=0.1, updates=3)


def _views(toy, step=0, change=None):
    rows = RandomReal()(toy, Budget(per_class=1), rng.generator(0, "rows"))
    members = {group: ids.cpu() for group, ids in toy.task.members(rows).items()}
    change = change or augment.NoAugment()
    return (
        View(rows, members, Everything(), change, change, rng.derive(1, step), 3),
        View(toy.train, toy.members, PerClass(8), change, change, rng.derive(2, step), 3),
    )


def _walk(source, toy, steps, state=None, start=0):
    state = source.init(toy, rng.generator(0, "source")) if state is None else state
    found = []
    for step in range(start, start + steps):
        surrogate, state = source.next(state, toy, *_views(toy, step), rng.generator(0, "network", step))
        found.append(surrogate)
    return found, state


def _by_torch(toy, params, batches, **settings):
    """The same training by torch's own optimiser, one set of momenta for all batches."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    optimiser = torch.optim.SGD(leaves.values(), **settings)
    for batch in batches:
        optimiser.zero_grad()
        toy.task.loss(skeleton(toy.task, MODEL), leaves, batch).backward()
        optimiser.step()
    return leaves


def _close(a, b):
    return all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


def _same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_training_on_real_rows_is_torchs_sgd_with_the_momentum_kept_between_matchings(toy):
    walk, _ = _walk(IDC, toy, 3)
    batches = [batch for step in (1, 2) for batch in list(_views(toy, step)[1].minibatches(16, 1))[:3]]
    wanted = _by_torch(toy, walk[0].params, batches, lr=0.05, momentum=0.9, weight_decay=0.1)
    assert _close(walk[2].params, wanted)
    forgetful = _by_torch(toy, walk[1].params, batches[3:], lr=0.05, momentum=0.9, weight_decay=0.1)
    assert not _close(walk[2].params, forgetful)


def test_a_new_network_starts_without_momentum(toy):
    walk, state = _walk(IDC, toy, 5)
    assert [surrogate.age for surrogate in walk] == [0, 1, 2, 3, 0]
    assert _same(walk[4].params, random_weights(toy.task, MODEL, rng.generator(0, "network", 4)))
    assert state["velocity"] == {}


def test_rows_are_changed_and_mixed_before_a_network_sees_them(toy):
    source = replace(IDC, augment=Siamese("crop", shared=False), mixing=CutMix(1.0))
    walk, _ = _walk(source, toy, 2)
    real = _views(toy, 1)[1]
    shown = list(replace(real, training_augment=source.augment).minibatches(16, 1))[:3]
    batches = []
    for index, batch in enumerate(shown):
        x, y = CutMix(1.0)(batch.x, F.one_hot(batch.y, 3).float(), rng.derive(real.rows_seed, "mix", index))
        batches.append(batch.replace(x=x, y=y))
    wanted = _by_torch(toy, walk[0].params, batches, lr=0.05, momentum=0.9, weight_decay=0.1)
    assert _close(walk[1].params, wanted)


def test_the_training_augmentation_is_the_views_unless_given(toy):
    def after(source, change):
        state = source.init(toy, rng.generator(0))
        _, state = source.next(state, toy, *_views(toy, 0, change), rng.generator(0, "network", 0))
        return source.next(state, toy, *_views(toy, 1, change), rng.generator(0, "network", 1))[0].params

    plain, seen = NoAugment(), Siamese("color", shared=False)
    assert not _same(after(IDC, plain), after(IDC, seen))
    assert _same(after(replace(IDC, augment=plain), seen), after(IDC, plain))


@pytest.mark.parametrize("source", [replace(IDC, mixing=CutMix(0.5)), Queue(MODEL, 4, 2, 2, 2, 16)])
def test_a_walk_that_was_saved_on_the_way_goes_on_as_it_would_have(toy, tmp_path, source):
    whole, _ = _walk(source, toy, 6)
    _, state = _walk(source, toy, 3)
    save_tree(state, tmp_path / "state")
    rest, _ = _walk(source, toy, 3, load_tree(tmp_path / "state"), 3)
    for a, b in zip(whole[3:], rest, strict=True):
        assert _same(a.params, b.params)
        assert (a.accuracy is None and b.accuracy is None) or torch.equal(a.accuracy, b.accuracy)


def test_updates_that_cannot_be_are_refused():
    with pytest.raises(AttarError, match="cannot be trained for -1 updates"):
        Online(updates=-1)


# -- the queue


def test_networks_enter_at_intervals_and_the_oldest_leaves(toy):
    source = Queue(MODEL, size=5, interval=2, trained=0, updates=0)
    state, lengths, firsts = source.init(toy, rng.generator(0)), [], []
    for step in range(8):
        _, state = source.next(state, toy, *_views(toy, step), rng.generator(0, step))
        lengths.append(len(state["networks"]))
        firsts.append(state["networks"][0]["params"]["head.bias"])
    assert lengths == [4, 4, 5, 5, 5, 5, 5, 5]  # three to begin with
    assert [torch.equal(a, b) for a, b in pairwise(firsts)] == [
        True,
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_as_many_networks_are_trained_as_asked_and_none_before_the_first_step(toy):
    source = Queue(MODEL, size=5, interval=100, trained=2, updates=2, batch=16)
    state = source.init(toy, rng.generator(0))
    _, first = source.next(state, toy, *_views(toy, 0), rng.generator(0, 0))
    _, second = source.next(first, toy, *_views(toy, 1), rng.generator(0, 1))
    assert all(_same(a["params"], b["params"]) for a, b in zip(state["networks"], first["networks"], strict=False))
    moved = [not _same(a["params"], b["params"]) for a, b in zip(first["networks"], second["networks"], strict=True)]
    assert sum(moved) == 2
    assert all(bool(network["velocity"]) == was for network, was in zip(second["networks"], moved, strict=True))


def test_the_queue_trains_as_torchs_sgd_does(toy):
    source = Queue(MODEL, size=1, interval=100, trained=1, updates=2, batch=16, lr=0.05, momentum=0.9, weight_decay=0.1)
    state = source.init(toy, rng.generator(0))
    _, first = source.next(state, toy, *_views(toy, 0), rng.generator(0, 0))
    surrogate, _ = source.next(first, toy, *_views(toy, 1), rng.generator(0, 1))
    *batches, unseen = source._batches(_views(toy, 1)[1], 0)
    wanted = _by_torch(toy, first["networks"][0]["params"], batches, lr=0.05, momentum=0.9, weight_decay=0.1)
    assert _close(surrogate.params, wanted)
    guesses = torch.func.functional_call(skeleton(toy.task, MODEL), surrogate.params, (unseen.x,)).argmax(1)
    assert surrogate.accuracy.item() == pytest.approx((guesses == unseen.y).float().mean().item())


def test_networks_of_a_queue_learn_and_say_so(toy):
    walk, _ = _walk(Queue("convnet2-8", size=2, interval=100, trained=2, updates=20, batch=64, lr=0.05), toy, 6)
    assert walk[0].accuracy == 0
    assert walk[-1].accuracy > 0.6


def test_one_of_the_queue_judges_each_step(toy):
    source = Queue(MODEL, size=3, interval=100, trained=0)
    walk, state = _walk(source, toy, 20)
    judges = {next(i for i, n in enumerate(state["networks"]) if _same(n["params"], w.params)) for w in walk}
    assert judges == {0, 1, 2}


def test_a_step_leaves_the_given_state_alone(toy):
    source = Queue(MODEL, size=4, interval=1, updates=2, batch=16)
    _, state = _walk(source, toy, 2)
    kept = [{name: value.clone() for name, value in network["params"].items()} for network in state["networks"]]
    source.next(state, toy, *_views(toy, 2), rng.generator(0, 2))
    assert state["step"] == 2
    assert all(_same(a, b["params"]) for a, b in zip(kept, state["networks"], strict=True))


def test_a_queue_of_nothing_is_refused():
    with pytest.raises(AttarError, match="size=0 does not work: give 1 or more"):
        Queue(size=0)
