"""Sets judged by kernel ridge regression, and networks trained by the squared loss."""

from dataclasses import replace

import pytest
import torch

import attar
from attar.distances import FullyConnected
from attar.distilled import Training
from attar.evaluation import Protocol, ridge
from attar.types import AttarError, Budget


@pytest.fixture(scope="module")
def rows(toy):
    return attar.distill(attar.methods.random(), toy, Budget(per_class=4), seed=0).value


def _of_targets(value, toy):
    """The same rows with targets of regression."""
    y = toy.task.trained_by("squared").targets(value.data)
    training = Training(value.training.normalisation, "regression", value.training.class_names)
    return replace(value, data=value.data.replace(y=y), training=training)


def test_ridge_regression_by_hand(rows, toy):
    [score] = attar.evaluate(rows, toy, ["ridge-nngp-2"], runs=5)
    x, kernel = rows.normalised().x.double(), FullyConnected(2, "nngp")
    k_ss = kernel(x, x)
    y = torch.nn.functional.one_hot(rows.data.y, 3).double() - 1 / 3
    found = torch.linalg.solve(k_ss + 1e-6 * k_ss.trace() / 12 * torch.eye(12), y)
    guesses = (kernel(toy.test.x.double(), x) @ found).argmax(1)
    assert score.mean == pytest.approx(float((guesses == toy.test.y).double().mean()), abs=1.1 / len(toy.test))
    assert (score.runs, score.std, score.updates) == (1, None, 0), "it draws nothing"
    assert score.mean > 0.5


def test_ridge_and_networks_stand_side_by_side(rows, toy):
    scores = attar.evaluate(rows, toy, ["ridge-ntk", "convnet2-8"], runs=2, protocol="quick")
    assert [score.model for score in scores] == ["ridge-ntk", "convnet2-8"]
    assert [score.runs for score in scores] == [1, 2]


def test_a_protocol_of_networks_is_told_of_networks_alone(rows, toy):
    by_ridge = attar.evaluate(rows, toy, ["ridge-ntk"]).table()
    assert "Protocol" not in by_ridge
    assert "protocol" not in by_ridge
    head, line, *_ = by_ridge.splitlines()
    assert line[head.index("updates") :].split()[0] == "-"
    both = attar.evaluate(rows, toy, ["ridge-ntk", "convnet2-8"], 1, Protocol("short", epochs=1, updates=2)).table()
    assert both.count("Protocol short") == 1


def test_readers_are_told_that_no_protocol_stands_behind_a_ridge_score(rows, toy):
    short = replace(Protocol.quick, epochs=1, plain_epochs=1)
    both = attar.evaluate(rows, toy, ["ridge-ntk", "convnet2-8"], 1, short).notes
    assert sum("solved in closed form" in note for note in both) == 1
    assert not any("solved" in note for note in attar.evaluate(rows, toy, ["convnet2-8"], 1, short).notes)
    of_nothing = rows.data.replace(x=torch.zeros_like(rows.data.x))
    [told] = [note for note in attar.evaluate(of_nothing, toy, ["ridge-ntk"]).notes if "guessing" in note]
    assert told.endswith("120 test rows do not tell these apart.")
    assert "updates" not in told


def test_rows_are_judged_where_the_test_rows_are(rows, toy, monkeypatch):
    """On a GPU test rows lie there, and a set comes from a file."""
    asked = []
    monkeypatch.setattr(type(rows.data), "to", lambda batch, device: asked.append(device) or batch)
    attar.evaluate(rows, toy, ["ridge-ntk"])
    assert asked == [toy.task.plan.device]


def test_class_ids_probabilities_and_targets_are_one(rows, toy):
    targets = _of_targets(rows, toy)
    soft = replace(
        targets,
        data=targets.data.replace(y=targets.data.y + 1 / 3),
        training=replace(targets.training, labels="soft"),
    )
    means = {attar.evaluate(value, toy, ["ridge-ntk"])[0].mean for value in (rows, targets, soft)}
    assert len(means) == 1


def test_weights_count_as_rows_would(rows, toy):
    batch = rows.normalised()
    twice = batch.take(torch.cat([torch.arange(12), torch.tensor([0, 0])]))
    weight = torch.ones(12)
    weight[0] = 3.0
    kernel, jitter = FullyConnected(1), ridge.JITTER
    found = ridge.solved(kernel, batch.replace(weight=weight), toy.task, True)
    # a row three times: its coefficients add up, and the penalty stays that of the weighted system in the rows' own units
    k = kernel(twice.x.double(), twice.x.double())
    y = torch.nn.functional.one_hot(twice.y, 3).double() - 1 / 3
    mean = weight.mean().double()
    weighted = (weight / mean).double() * kernel(batch.x.double(), batch.x.double()).diagonal()
    plain = torch.linalg.solve(k + jitter * weighted.mean() * mean * torch.eye(14), y)
    summed = plain[:12].clone()
    summed[0] += plain[12] + plain[13]
    assert torch.allclose(found, summed, rtol=1e-4, atol=1e-5)


def test_networks_train_on_targets_by_the_squared_loss(rows, toy):
    value = _of_targets(rows, toy)
    [learned], [hard] = (attar.evaluate(value, toy, ["convnet2-8"], 2, "quick", labels=kind) for kind in (None, "hard"))
    assert (learned.labels, hard.labels) == ("regression", "hard")
    assert learned.mean > 0.6
    assert learned.mean != hard.mean


def test_targets_are_saved_with_their_loss(rows, toy, tmp_path):
    _of_targets(rows, toy).save(tmp_path / "set")
    loaded = attar.Distilled.load(tmp_path / "set")
    assert loaded.training.labels == "regression"
    assert torch.equal(loaded.labels, rows.data.y)
    assert loaded.card()["format_version"] == 4
    assert "squared gap" in loaded.card()["training"]["loss"]
    assert "targets of regression" in (tmp_path / "set" / "README.md").read_text()
    loaded.to_folder(tmp_path / "folder")
    assert '"targets"' in (tmp_path / "folder" / "labels.json").read_text()


def test_what_ridge_regression_cannot_do_is_refused(rows, toy):
    with pytest.raises(AttarError, match="no ridge regression 'ridge-ntx': give ridge-ntk"):
        attar.evaluate(rows, toy, ["convnet2-8", "ridge-ntx"])
    with pytest.raises(AttarError, match="no ridge regression 'ridge_ntk'"):
        attar.evaluate(rows, toy, ["ridge_ntk"])
    with pytest.raises(AttarError, match="targets of regression: leave out"):
        attar.evaluate(_of_targets(rows, toy), toy, ["ridge-ntk"], labels="soft")
    many = toy.train.take(torch.zeros(ridge.MOST + 1, dtype=torch.long))
    with pytest.raises(AttarError, match="10,001 are more than the 10,000"):
        ridge.solved(FullyConnected(1), many, toy.task, True)
    views = rows.normalised().replace(y=torch.zeros(2, 12, 3), views=torch.tensor([1, 2]))
    with pytest.raises(AttarError, match="several views"):
        ridge.solved(FullyConnected(1), views, toy.task, True)
