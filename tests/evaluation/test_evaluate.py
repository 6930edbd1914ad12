"""Scores of sets on the toy problem: their honesty, their schedules and what is refused."""

import dataclasses
import json
import statistics
import sys

import pytest
import torch

from attar.batches import Images
from attar.distilled import Distilled, Training
from attar.evaluation import Protocol, Score, Scores, comparable, evaluate, run_once, subject
from attar.evaluation.measure import measure
from attar.evaluation.scores import near_chance, spread
from attar.plan import Plan
from attar.types import AttarError

SHORT = Protocol("short", models=("convnet2-8",), runs=2, epochs=30, plain_epochs=20, updates=40, full_updates=60)


def distilled(problem, per_class=3, fingerprint=None, **training):
    """The first rows of each class, in raw units."""
    chosen = torch.cat([rows[:per_class] for rows in problem.members.values()])
    few = problem.train.take(chosen)
    spec = problem.spec
    fields = {"normalisation": spec.normalisation, "class_names": spec.class_names} | training
    made_by = {"name": "first", "data": spec.name, "fingerprint": fingerprint or spec.fingerprint}
    return Distilled(Images(spec.normalisation.undo(few.x), few.y), Training(**fields), made_by)


def softened(value, p=0.8):
    classes = len(value.training.class_names)
    soft = torch.full((len(value), classes), (1 - p) / (classes - 1))
    soft[torch.arange(len(value)), value.data.y] = p
    training = dataclasses.replace(value.training, labels="soft")
    return dataclasses.replace(value, data=value.data.replace(y=soft), training=training)


def test_a_few_rows_beat_chance_and_full_data_beats_them(toy):
    [few] = evaluate(distilled(toy), toy, protocol=SHORT)
    [full] = evaluate("full", toy, protocol=SHORT)
    assert few.mean > 1 / 3 + 0.1
    assert full.mean > few.mean
    assert (few.subject, few.rows, few.data, few.labels) == ("first", 9, "toy", "hard")
    assert (full.subject, full.rows) == ("full data", len(toy.train))
    assert few.bytes == 9 * (8 * 8 * 4 + 8)
    assert 0 <= few.validation <= 1


def test_a_network_that_does_not_fit_is_refused_before_any_is_trained(toy, monkeypatch):
    room = sys.modules["attar.evaluation.evaluate"]  # the function has the same name
    monkeypatch.setattr(room, "fit", lambda *_, **__: pytest.fail("a network was trained"))
    with pytest.raises(AttarError, match="convnet6 halves the image 6 times"):
        evaluate(distilled(toy), toy, ["mlp-8", "convnet6"], protocol=SHORT)


def test_mean_and_spread_are_those_of_the_runs(toy):
    [score] = evaluate(distilled(toy), toy, protocol=SHORT, runs=3)
    assert score.mean == pytest.approx(sum(score.scores) / 3)
    assert score.std == pytest.approx(statistics.stdev(score.scores))
    assert len(set(score.seeds)) == score.runs == 3
    assert spread([0.1, 0.2, 0.6]) == pytest.approx(0.07**0.5)
    assert spread([0.5]) is None


def test_a_run_is_decided_by_its_recorded_seed_alone(toy):
    value = distilled(toy)
    [score] = evaluate(value, toy, protocol=SHORT, seed=4)
    torch.manual_seed(99)
    alone = run_once(subject(value, toy), toy, "convnet2-8", SHORT, score.seeds[1])
    assert alone.test == score.scores[1]
    assert evaluate(value, toy, protocol=SHORT, seed=4)[0].scores == score.scores
    assert evaluate(value, toy, protocol=SHORT, seed=5)[0].scores != score.scores


def test_several_networks_in_one_call(toy):
    scores = evaluate(distilled(toy), toy, models=["mlp-8", "convnet1-4"], runs=1, protocol=SHORT)
    assert [score.model for score in scores] == ["mlp-8", "convnet1-4"]
    assert [score.std for score in scores] == [None, None]
    assert evaluate(distilled(toy), toy, models="mlp-8", runs=1, protocol=SHORT)[0].scores == scores[0].scores


def test_a_protocol_goes_by_its_name_too(toy):
    [score] = evaluate(distilled(toy), toy, "mlp-4", 1, "quick")
    assert score.protocol is Protocol.quick
    for wrong in ("fast", 3):
        with pytest.raises(AttarError, match=f"no protocol {wrong!r}: give 'paper', 'quick', 'own' or"):
            evaluate(distilled(toy), toy, protocol=wrong)


def test_the_set_is_normalised_by_its_own_numbers(toy):
    value = distilled(toy)
    torch.testing.assert_close(
        subject(value, toy).batch.x, toy.train.take(torch.cat([r[:3] for r in toy.members.values()])).x
    )
    other = dataclasses.replace(value.training.normalisation, mean=(0.0,), std=(1.0,))
    raw = dataclasses.replace(value, training=dataclasses.replace(value.training, normalisation=other))
    assert torch.equal(subject(raw, toy).batch.x, value.data.x)


def test_soft_labels_are_used_as_stored_and_hard_ones_on_request(toy):
    hard = distilled(toy)
    soft = softened(hard)
    as_stored = evaluate(soft, toy, protocol=SHORT)[0]
    assert as_stored.labels == "soft"
    assert evaluate(soft, toy, protocol=SHORT, labels="soft")[0].scores == as_stored.scores
    made_hard = evaluate(soft, toy, protocol=SHORT, labels="hard")[0]
    assert made_hard.labels == "hard"
    assert made_hard.scores == evaluate(hard, toy, protocol=SHORT)[0].scores
    with pytest.raises(AttarError, match="no soft labels"):
        evaluate(hard, toy, protocol=SHORT, labels="soft")


def test_per_view_targets_keep_the_augmentation_that_they_were_made_under(toy):
    hard = distilled(toy, augmentation="crop")
    views = torch.stack([softened(hard, p).data.y for p in (0.6, 0.9)])
    value = dataclasses.replace(
        hard,
        data=hard.data.replace(y=views, views=torch.tensor([3, 4])),
        training=dataclasses.replace(hard.training, labels="soft"),
    )
    assert evaluate(value, toy, protocol=SHORT, runs=1)[0].augmentation == "crop"
    made_hard = evaluate(value, toy, protocol=SHORT, runs=1, labels="hard")[0]
    assert made_hard.augmentation == toy.spec.augmentation
    assert made_hard.scores == evaluate(hard, toy, protocol=SHORT, runs=1)[0].scores


def test_a_learned_step_size_replaces_the_protocols(toy):
    learned, plain = (evaluate(distilled(toy, step_size=size), toy, protocol=SHORT)[0] for size in (0.05, None))
    assert (learned.lr, plain.lr) == (0.05, SHORT.lr)
    assert learned.scores == evaluate(distilled(toy), toy, protocol=dataclasses.replace(SHORT, lr=0.05))[0].scores
    assert comparable(learned, plain)
    assert evaluate(distilled(toy, step_size=0.05), toy, protocol=SHORT, runs=1).notes[-1] == (
        "Networks learn from this set at its own step size, 0.05, in place of the protocol's."
    )


def test_the_schedule_that_was_used_is_recorded(toy):
    [few] = evaluate(distilled(toy), toy, protocol=SHORT, runs=1)
    assert (few.epochs, few.updates) == (30, 31)
    [plain] = evaluate(distilled(toy), toy, protocol=dataclasses.replace(SHORT, augmentation=""), runs=1)
    assert (plain.epochs, plain.updates, plain.augmentation) == (20, 21, "")
    small = dataclasses.replace(SHORT, batch_size=10)
    [full] = evaluate(None, toy, protocol=small, runs=1)
    batches = -(-len(toy.train) // 10)
    assert full.epochs == 60 // batches - 1
    assert full.updates == 60 // batches * batches
    stated = dataclasses.replace(toy, spec=dataclasses.replace(toy.spec, full_epochs=2))
    assert evaluate("full", stated, protocol=small, runs=1)[0].epochs == 2
    assert evaluate(toy.train, stated, protocol=small, runs=1)[0].epochs == 40 // batches - 1  # merely many rows


def test_without_validation_rows_there_is_no_validation_score(toy):
    bare = dataclasses.replace(toy, validation=toy.validation.take(torch.arange(0)))
    assert evaluate(distilled(toy), bare, protocol=SHORT, runs=1)[0].validation is None


def test_scores_come_back_from_json_and_print(toy):
    scores = evaluate(distilled(toy, fingerprint="sha256:other"), toy, protocol=SHORT)
    assert Scores.from_json(json.loads(json.dumps(scores.to_json()))) == scores
    table = scores.table()
    assert f"{100 * scores[0].mean:.1f} ± {100 * scores[0].std:.1f}" in table
    assert "convnet2-8" in table
    assert "Protocol short" in table
    assert "Note: The set was distilled from toy" in table


def test_scores_compare_only_under_equal_protocols_on_equal_data(toy):
    [score] = evaluate(distilled(toy), toy, protocol=SHORT, runs=1)
    same = dataclasses.replace(score, protocol=Protocol(**dataclasses.asdict(SHORT)), mean=0.1, model="mlp")
    assert comparable(score, same)
    assert not comparable(score, dataclasses.replace(score, protocol=dataclasses.replace(SHORT, epochs=31)))
    assert not comparable(score, dataclasses.replace(score, fingerprint="sha256:other"))
    assert isinstance(same, Score)


def test_a_set_of_other_data_is_judged_with_a_note_or_refused_if_strict(toy):
    foreign = distilled(toy, fingerprint="sha256:other", class_names=("template 0", "cat", "dog"))
    scores = evaluate(foreign, toy, protocol=SHORT, runs=1)
    assert any("'cat'" in note for note in scores.notes)
    assert any("not the toy" in note for note in scores.notes)
    assert evaluate(distilled(toy), toy, protocol=SHORT, runs=1, strict=True).notes == ()
    with pytest.raises(AttarError, match="distilled from"):
        evaluate(foreign, toy, protocol=SHORT, strict=True)


def test_what_does_not_fit_is_refused_in_a_sentence(toy):
    value = distilled(toy)
    wide = dataclasses.replace(value, data=value.data.replace(x=torch.zeros(9, 1, 10, 10)))
    with pytest.raises(AttarError, match=r"\(1, 10, 10\).*\(1, 8, 8\)"):
        evaluate(wide, toy, protocol=SHORT)
    with pytest.raises(AttarError, match="4 classes"):
        evaluate(distilled(toy, class_names=tuple("abcd")), toy, protocol=SHORT)
    with pytest.raises(AttarError, match="of 5 classes"):
        evaluate(toy.train.replace(y=torch.ones(len(toy.train), 5)), toy, protocol=SHORT)
    with pytest.raises(AttarError, match="from 0 to 3"):
        evaluate(toy.train.replace(y=torch.arange(len(toy.train)) % 4), toy, protocol=SHORT)
    with pytest.raises(AttarError, match="no labels"):
        evaluate(toy.train.replace(y=None), toy, protocol=SHORT)
    with pytest.raises(AttarError, match="0 runs"):
        evaluate(value, toy, protocol=SHORT, runs=0)
    with pytest.raises(AttarError, match="'all' is no set"):
        evaluate("all", toy, protocol=SHORT)


def test_fast_kernels_give_the_plain_accuracy(toy):
    model = toy.task.build("convnet2-8")
    for precision in ("fp32", "bf16"):
        task = dataclasses.replace(toy.task, plan=Plan(precision=precision, chunk=50))
        plain, fast = toy.task.metric(model, toy.test), measure(task, model, toy.test)
        assert fast == pytest.approx(plain, abs=0.01 if precision == "fp32" else 0.03)


def test_a_score_that_is_no_better_than_guessing_is_said_to_be(toy):
    wrong = Images(toy.test.x, (toy.test.y + 1) % 3)
    scores = evaluate(distilled(toy), dataclasses.replace(toy, test=wrong), protocol=SHORT)
    [note] = [note for note in scores.notes if "guessing the largest class 33.3 %" in note]
    assert "updates are too few" in note
    assert not any("guessing" in note for note in evaluate(distilled(toy), toy, protocol=SHORT).notes)
    good = scores[0]
    stuck = dataclasses.replace(good, mean=0.9, guess=0.9, tested=1000)
    assert len(near_chance([stuck])) == 1
    assert not near_chance([dataclasses.replace(stuck, mean=0.93)])
    assert not near_chance([dataclasses.replace(stuck, guess=None)])
