"""Protocol "own": a network makes the very updates that a set was distilled for."""

from dataclasses import replace

import pytest
import torch

import attar
from attar import evaluate, rng
from attar.distilled import FixedStart, Own
from attar.distilled.own import weights_checksum
from attar.evaluation import Protocol, comparable
from attar.evaluation.own import AsDistilled
from attar.evaluation.saved import evaluate_saved
from attar.types import AttarError, Budget

MODEL = "convnet2-8"
PACES = (0.1, 0.3, 0.2, 0.05)


@pytest.fixture(scope="module")
def rows(toy):
    """Two real rows of each class as a set, class by class."""
    return attar.methods.random().finish(toy, Budget(per_class=2), rng.generator(0))


def _set(rows, **training):
    return replace(rows, training=replace(rows.training, **training), selected=())


def _fixed(toy, seed=7):
    with rng.seeded(seed):
        network = toy.task.build(MODEL)
    return network, FixedStart(seed, weights_checksum(dict(network.named_parameters())))


def _by_hand(toy, network, value, batches, paces, momentum):
    """SGD of torch on given rows."""
    batch = value.normalised()
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0, momentum=momentum)
    for ids, pace in zip(batches, paces, strict=True):
        optimiser.param_groups[0]["lr"] = pace
        optimiser.zero_grad()
        toy.task.loss(network, None, batch.take(torch.tensor(ids))).backward()
        optimiser.step()
    return network


def test_the_updates_are_those_that_the_set_says(toy, rows):
    """Rows 0 and 1 are of class 0: of two batches the first is rows 0, 2, 4."""
    network, start = _fixed(toy)
    own = Own(MODEL, 4, 3, "stored", 0.5, None, start)
    value = _set(rows, own=own, step_size=sum(PACES) / 4, step_sizes=PACES, augmentation="")
    wanted = _by_hand(toy, network, value, [[0, 2, 4], [1, 3, 5]] * 2, PACES, 0.5)
    found = toy.task.build(MODEL)
    AsDistilled.of(value.training).train(toy.task, found, value.normalised(), seed=3)
    for (name, one), two in zip(wanted.named_parameters(), found.parameters(), strict=True):
        assert torch.allclose(one, two, rtol=1e-5, atol=1e-6), name
    [score] = evaluate(value, toy, protocol="own")
    assert score.mean == toy.task.metric(wanted, toy.test)
    assert (score.model, score.runs, score.updates, score.epochs) == (MODEL, 1, 4, 1)
    assert score.lr == pytest.approx(sum(PACES) / 4)
    assert score.augmentation == ""
    assert "4 updates of SGD, momentum 0.5, 3 rows each in stored order" in score.protocol.describe()
    assert "from their one start" in score.protocol.name


def test_random_starts_and_shuffled_rows_differ_from_run_to_run_and_come_again(toy, rows):
    own = Own(MODEL, 6, 4, lr=0.3, momentum=0.9)
    value = _set(rows, own=own, augmentation="flip")
    [score] = evaluate(value, toy, protocol="own")
    assert (score.runs, score.lr, score.augmentation) == (Protocol.own.runs, 0.3, "flip")
    assert len(set(score.scores)) > 1
    [again] = evaluate(value, toy, protocol="own")
    assert again.scores == score.scores
    [other] = evaluate(value, toy, models="mlp", runs=1, protocol="own")  # random starts may be another network's
    assert other.model == "mlp"


def test_one_start_but_shuffled_or_augmented_rows_are_several_runs(toy, rows):
    _, start = _fixed(toy)
    for own, augmentation, repeats in (
        (Own(MODEL, 4, 3, "stored", 0.0, 0.1, start), "", True),
        (Own(MODEL, 4, 3, "shuffled", 0.0, 0.1, start), "", False),
        (Own(MODEL, 4, 3, "stored", 0.0, 0.1, start), "flip", False),
        (Own(MODEL, 4, 3, "stored", 0.0, 0.1), "", False),
    ):
        assert AsDistilled.of(_set(rows, own=own, augmentation=augmentation).training).repeats is repeats


def test_scores_of_other_updates_are_not_compared(toy, rows):
    scores = []
    for own in (Own(MODEL, 2, 3, lr=0.1), Own(MODEL, 3, 3, lr=0.1), Own(MODEL, 2, 3, lr=0.1)):
        scores += evaluate(_set(rows, own=own), toy, runs=1, protocol="own")
    assert not comparable(scores[0], scores[1])
    assert comparable(scores[0], scores[2])
    assert scores[0] == type(scores[0]).from_json(scores[0].to_json())


def test_a_start_that_cannot_be_built_again_is_refused(toy, rows):
    _, start = _fixed(toy)
    wrong = _set(rows, own=Own(MODEL, 2, 3, lr=0.1, start=replace(start, seed=8)))
    with pytest.raises(AttarError, match="cannot be built here: seed 8 gives convnet2-8 other weights"):
        evaluate(wrong, toy, protocol="own")


def test_what_was_not_distilled_so_has_no_such_protocol(toy, rows):
    for value, name in ((rows, "distilled set"), ("full", "full data"), (toy.train.take(torch.arange(5)), "5 rows")):
        with pytest.raises(AttarError, match=f"and '{name}' was not: give 'paper' or 'quick'"):
            evaluate(value, toy, protocol="own")
    _, start = _fixed(toy)
    value = _set(rows, own=Own(MODEL, 2, 3, lr=0.1, start=start))
    with pytest.raises(AttarError, match="one start of convnet2-8, which no other network has"):
        evaluate(value, toy, models=["mlp"], protocol="own")
    with pytest.raises(AttarError, match="ridge-ntk makes no updates"):
        evaluate(_set(rows, own=Own(MODEL, 2, 3, lr=0.1)), toy, models=[MODEL, "ridge-ntk"], protocol="own")
    with pytest.raises(AttarError, match="leave out labels"):
        evaluate(value, toy, protocol="own", labels="hard")
    with pytest.raises(AttarError, match="4 updates, and has 2 step sizes"):
        evaluate(_set(rows, own=Own(MODEL, 4, 3), step_sizes=(0.1, 0.2)), toy, protocol="own")
    with pytest.raises(AttarError, match="not finite"):
        evaluate(_set(rows, own=Own(MODEL, 40, 3, lr=1e30)), toy, runs=1, protocol="own")


def test_under_other_protocols_the_mean_step_size_is_taken(toy, rows):
    value = _set(rows, own=Own(MODEL, 4, 3, "stored"), step_size=0.125, step_sizes=PACES)
    short = replace(Protocol.quick, epochs=2, plain_epochs=2)
    [score] = evaluate(value, toy, models=MODEL, runs=1, protocol=short)
    assert score.lr == 0.125


def test_a_saved_run_is_evaluated_so(toy, tmp_path):
    digits = attar.data.load("digits")
    method = attar.methods.dd(MODEL, inner_steps=2, fixed=True, batch=32)
    attar.distill(method, digits, Budget(per_class=2), steps=2, out=tmp_path / "run")
    [score] = evaluate_saved(tmp_path / "run", protocol="own")
    assert (score.subject, score.model, score.updates) == ("dd", MODEL, 2)
    with pytest.raises(AttarError, match="leave out --augmentation"):
        evaluate_saved(tmp_path / "run", protocol="own", augmentation="flip")
