"""What a set says of the updates that it was distilled for: kept, covered by its checksum, and told in words."""

import json

import pytest
import torch

from attar.batches import Images
from attar.distilled import Distilled, FixedStart, Own, Training
from attar.distilled.card import facts
from attar.distilled.own import weights_checksum
from attar.types import AttarError, Normalisation

PACES = (0.1, 0.2, 0.6)


def _set(**training):
    data = Images(torch.rand(6, 1, 8, 8), torch.arange(6) // 2)
    return Distilled(data, Training(Normalisation((0.5,), (0.2,)), **training))


@pytest.mark.parametrize(
    "training",
    [
        {"step_size": 0.3, "step_sizes": PACES},
        {"own": Own("mlp", 5, 2, "stored", 0.9, 0.1)},
        {"own": Own("mlp", 3, 2, start=FixedStart(2**62 + 1, "sha256:ab")), "step_sizes": PACES, "step_size": 0.3},
    ],
)
def test_step_sizes_and_updates_come_back(training, tmp_path):
    made = _set(**training)
    made.save(tmp_path / "set")
    assert Distilled.load(tmp_path / "set").training == made.training


def test_a_card_without_any_is_as_it_was(tmp_path):
    made = _set(step_size=0.3)
    assert set(made.card()["training"]) == {
        "normalisation",
        "labels",
        "class_names",
        "step_size",
        "augmentation",
        "modality",
    }
    made.save(tmp_path / "set")
    loaded = Distilled.load(tmp_path / "set").training
    assert (loaded.step_size, loaded.step_sizes, loaded.own) == (0.3, (), None)


@pytest.mark.parametrize(
    "change",
    [
        lambda training: training["step_sizes"].reverse(),
        lambda training: training["own"].update(updates=4),
        lambda training: training["own"]["start"].update(seed=8),
    ],
)
def test_what_was_changed_afterwards_is_refused(change, tmp_path):
    _set(own=Own("mlp", 3, 2, start=FixedStart(7, "sha256:ab")), step_sizes=PACES, step_size=0.3).save(tmp_path / "set")
    card = json.loads((tmp_path / "set" / "card.json").read_text())
    change(card["training"])
    (tmp_path / "set" / "card.json").write_text(json.dumps(card))
    with pytest.raises(AttarError, match="what it says of training is not what was saved"):
        Distilled.load(tmp_path / "set")


def test_a_record_that_is_none_is_damaged(tmp_path):
    from attar.distilled.card import training_checksum

    _set(own=Own("mlp", 3, 2), step_size=0.3).save(tmp_path / "set")
    for wrong in ({"updates": 0}, {"order": "sorted"}, {"start": 3}, {"pace": 1}):
        card = json.loads((tmp_path / "set" / "card.json").read_text())
        card["training"]["own"].update(wrong)
        card["training_checksum"] = training_checksum(card["training"])
        (tmp_path / "set" / "card.json").write_text(json.dumps(card))
        with pytest.raises(AttarError, match="damaged"):
            Distilled.load(tmp_path / "set")
        _set(own=Own("mlp", 3, 2), step_size=0.3).save(tmp_path / "set")


def test_people_are_told_in_words(tmp_path):
    random = _set(own=Own("convnet3", 30, 3, "stored", 0.9, 0.1), step_sizes=PACES, step_size=0.3)
    told = dict(facts(random.card()))
    assert told["step size"] == "0.3, the mean of 3 learned ones, one an update (0.1 to 0.6)"
    assert told["distilled for"] == "30 updates of SGD, momentum 0.9, 3 rows each in stored order"
    assert told["start"] == "random: networks convnet3 with new random weights"
    fixed = _set(own=Own("lenet", 1, 6, start=FixedStart(7, "sha256:abcdef0123456789")), step_size=0.3)
    fixed.save(tmp_path / "set")
    readme = (tmp_path / "set" / "README.md").read_text()
    assert "| start | fixed: one network lenet, always from the same weights (seed 7, sha256:abcdef012345)" in readme
    assert "0.3 (learned, for plain SGD)" in readme
    assert "start" not in dict(facts(_set(step_size=0.3).card()))


def test_a_checksum_of_weights_is_of_names_shapes_and_numbers():
    weights = {"a": torch.arange(4.0), "b": torch.zeros(2)}
    known = weights_checksum(weights)
    assert known == weights_checksum({name: value.clone() for name, value in weights.items()})
    for other in (
        {"a": weights["a"].view(2, 2), "b": weights["b"]},
        {"a": weights["a"] + 1e-6, "b": weights["b"]},
        {"c": weights["a"], "b": weights["b"]},
    ):
        assert weights_checksum(other) != known


@pytest.mark.parametrize("wrong", [{"updates": 0}, {"batch": 0}, {"order": "any"}, {"momentum": 1.0}])
def test_updates_that_there_cannot_be_are_refused(wrong):
    with pytest.raises(AttarError, match="cannot have been distilled for"):
        Own(**{"model": "mlp", "updates": 3, "batch": 2, **wrong})
