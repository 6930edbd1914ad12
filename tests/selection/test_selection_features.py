"""What rows are compared by."""

import dataclasses

import numpy as np
import pytest
import torch

import attar
from attar.selection.features import features_of
from attar.types import AttarError


def test_values_are_the_normalised_rows(toy):
    assert torch.equal(features_of(toy, "values", 1, 0), toy.train.x.flatten(1))


def test_a_networks_features_tell_classes_apart_better_than_values(toy):
    """Classes lie farther apart, in units of their own spread, in the features of a network that was trained on them."""

    def apart(x):
        parts = [x[rows] for rows in toy.members.values()]
        means = torch.stack([part.mean(0) for part in parts])
        within = sum(((part - part.mean(0)) ** 2).sum() for part in parts) / len(x)
        return (means - means.mean(0)).square().sum(1).mean() / within

    found = features_of(toy, "convnet3-16", 20, 0)
    assert found.shape[0] == len(toy.train)
    assert apart(found) > 1.5 * apart(toy.train.x.flatten(1))
    assert torch.equal(found, features_of(toy, "convnet3-16", 20, 0))
    assert not torch.equal(found, features_of(toy, "convnet3-16", 20, 1))


def test_a_function_or_network_of_the_users(toy):
    found = features_of(toy, lambda rows: rows.mean((2, 3)), 1, 0)
    assert torch.allclose(found, toy.train.x.mean((2, 3)))
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5))
    assert features_of(toy, network, 1, 0).shape == (len(toy.train), 5)


def test_a_file_of_features_by_training_row_or_by_row_of_the_source(tmp_path):
    problem = attar.data.load("digits")
    whole = np.arange(1797, dtype=np.float32)[:, None] * [1.0, 2.0]
    np.save(tmp_path / "all.npy", whole)
    assert features_of(problem, str(tmp_path / "all.npy"), 1, 0)[:, 0].tolist() == list(problem.origins)
    np.save(tmp_path / "mine.npy", whole[: len(problem.train)])
    assert features_of(problem, str(tmp_path / "mine.npy"), 1, 0)[:3, 1].tolist() == [0, 2, 4]


def test_bad_features_are_refused(toy, tmp_path):
    np.save(tmp_path / "few.npy", np.zeros((3, 2)))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    for features, words in {
        str(tmp_path / "few.npy"): "one row of features",
        str(tmp_path / "objects.npy"): "cannot be read",
        str(tmp_path / "none.npy"): "cannot be read",
        "valuess": "no network named 'valuess'",
    }.items():
        with pytest.raises(AttarError, match=words):
            features_of(toy, features, 1, 0)
    with pytest.raises(AttarError, match="says nothing"):
        features_of(toy, 3, 1, 0)
    with pytest.raises(AttarError, match="tensor"):
        features_of(toy, lambda rows: rows.mean(), 1, 0)
    with pytest.raises(AttarError, match="row 0 are not finite"):
        features_of(toy, lambda rows: rows / 0, 1, 0)


def test_features_in_a_file_may_go_by_the_names_of_rows(tmp_path, toy):
    named = dataclasses.replace(toy, origins=tuple(f"cat/{row}.jpg" for row in range(len(toy.train))))
    whole = torch.rand(len(toy.train) + 5, 3)
    rows = [*(f"cat/{row}.jpg" for row in range(len(toy.train))), *(f"test/{row}.jpg" for row in range(5))]
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
    path = tmp_path / "seen.npz"
    np.savez(path, features=whole[order].numpy(), rows=np.array(rows)[order.numpy()])
    assert torch.equal(features_of(named, str(path), 1, 0), whole[: len(toy.train)])
    np.savez(path, features=whole[:4].numpy(), rows=np.array(rows[:4]))
    with pytest.raises(AttarError, match=r"no features of 104 of 108 training rows, 'cat/4.jpg' among them"):
        features_of(named, str(path), 1, 0)
    np.savez(path, other=whole.numpy())
    with pytest.raises(AttarError, match="cannot be read as features"):
        features_of(named, str(path), 1, 0)
