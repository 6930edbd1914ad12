"""Learners that judge a table, beside answers by hand."""

import sys

import numpy as np
import pytest
import torch

from attar import models
from attar.batches import Images
from attar.evaluation import learners
from attar.evaluation.learners import Learner, fitted, guesses, score
from attar.types import AttarError

ALL = ["trees", "forest", "linear", "knn"]
EXACT = ["trees", "linear", "knn"]
"""Those that draw nothing."""

STATED = {"trees": (1, 5e-3), "linear": (0.01, 1e-5), "knn": (1, 1e-9)}
"""A value of each one's setting, and how near answers are; trees are grown no further where little is left to gain in all."""


def _rows(x, y, weight=None):
    x = torch.tensor(x, dtype=torch.float64)
    y = torch.tensor(y)
    return Images(
        x if x.dim() > 1 else x[:, None],
        y if y.dtype == torch.int64 else y.double(),
        None if weight is None else torch.tensor(weight, dtype=torch.float64),
    )


def _drawn(count, seed=0, numbers=False):
    """Rows of two columns; the first tells the class, or the number, but for noise."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 2, generator=draw, dtype=torch.float64)
    noisy = x[:, 0] + 0.3 * torch.randn(count, generator=draw, dtype=torch.float64)
    return Images(x, noisy[:, None] if numbers else (noisy > 0).long())


def _ids(learner, *x):
    return guesses(learner, torch.tensor(x, dtype=torch.float64)[:, None]).tolist()


def _with(name, batch, classes, value, seed=0):
    """A learner with one value of its setting."""
    family = learners._FAMILIES[name]
    answers = family.fit(learners._rows(batch, classes), value, seed)
    return Learner(name, classes, answers, family.setting, value)


# -- neighbours


def test_neighbours_vote_by_hand():
    batch = _rows([0.0, 1.0, 2.0, 10.0, 11.0], [0, 1, 1, 2, 2])
    assert _ids(_with("knn", batch, 3, 1), -1.0, 0.6, 9.0) == [0, 1, 2]
    assert _ids(_with("knn", batch, 3, 3), -1.0, 0.4) == [1, 1], "of the nearest three two are of class 1"
    assert _ids(_with("knn", batch, 3, 5), 100.0) == [1], "two, two and one: the lowest class of those"
    heavy = _rows([0.0, 1.0, 2.0, 10.0, 11.0], [0, 1, 1, 2, 2], [2.5, 1, 1, 1, 1])
    assert _ids(_with("knn", heavy, 3, 3), 0.4) == [0], "2.5 to 2"


def test_rows_as_near_as_the_last_neighbour_vote_in_any_order():
    x, y, weight = [0.0, 2.0, 2.0, 9.0], [0, 1, 1, 0], [3.0, 2.0, 2.0, 9.0]
    learner = _with("knn", _rows(x, y, weight), 2, 1)
    assert _ids(learner, 1.0) == [1], "all three are at a distance of 1: four to three"
    assert _ids(_with("knn", _rows(x[::-1], y[::-1], weight[::-1]), 2, 1), 1.0) == [1]
    np.testing.assert_allclose(learner.answers(torch.tensor([[1.0]]).double()), [[3 / 7, 4 / 7]])


@pytest.mark.parametrize("count", [1, 3, 5])
def test_neighbours_without_weights_are_those_of_scikit_learn(count):
    from sklearn.neighbors import KNeighborsClassifier

    batch, test = _drawn(60), _drawn(200, seed=1)
    theirs = KNeighborsClassifier(count).fit(batch.x.numpy(), batch.y.numpy()).predict(test.x.numpy())
    assert guesses(_with("knn", batch, 2, count), test.x).tolist() == theirs.tolist()


def test_neighbours_of_numbers_are_their_weighted_mean():
    batch = _rows([0.0, 1.0, 5.0], [[1.0], [4.0], [100.0]], [2.0, 1.0, 7.0])
    learner = _with("knn", batch, 0, 3)
    assert guesses(learner, torch.zeros(1, 1)).item() == pytest.approx((2 + 4 + 700) / 10)
    assert guesses(_with("knn", batch, 0, 1), torch.zeros(1, 1)).item() == 1


# -- linear


def test_ridge_regression_by_hand():
    draw = np.random.default_rng(0)
    x, y, weight = draw.normal(size=(7, 2)), draw.normal(size=7), draw.uniform(0.1, 3, 7)
    share = weight / weight.sum()
    centred, gap = x - share @ x, y - share @ y
    slope = np.linalg.solve((centred.T * share) @ centred + 0.1 * np.eye(2), (centred.T * share) @ gap)
    new = draw.normal(size=(4, 2))
    learner = _with("linear", _rows(x, y[:, None], weight), 0, 0.1)
    found = guesses(learner, torch.from_numpy(new))
    np.testing.assert_allclose(found[:, 0], (new - share @ x) @ slope + share @ y)


def test_logistic_regression_is_at_its_optimum():
    draw = np.random.default_rng(1)
    x, y, weight = draw.normal(size=(12, 2)), draw.integers(0, 2, 12), draw.uniform(0.1, 3, 12)
    learner = _with("linear", _rows(x, y, weight), 2, 0.1)
    asked = torch.tensor(np.r_[np.zeros((1, 2)), np.eye(2), x])
    p = learner.answers(asked)[:, 1].numpy()
    logit = np.log(p / (1 - p))
    slope = logit[1:3] - logit[0]
    share = weight / weight.sum()
    np.testing.assert_allclose((share * (p[3:] - y)) @ x + 0.1 * slope, 0, atol=1e-5)
    assert share @ (p[3:] - y) == pytest.approx(0, abs=1e-5), "the intercept is not penalised"


# -- weights and soft labels


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("numbers", [False, True])
def test_a_weight_is_as_many_rows(name, numbers):
    batch, test = _drawn(30, numbers=numbers), _drawn(40, seed=1)
    batch, test = (rows.replace(x=rows.x[:, :1]) for rows in (batch, test))  # of two columns equal splits tie
    times = torch.arange(30) % 3  # some of them none
    repeated = batch.take(torch.arange(30).repeat_interleave(times))
    weighted = batch.replace(weight=times.double() * 1000)  # only their proportions count
    value, near = STATED[name]
    one, other = (_with(name, each, 0 if numbers else 2, value).answers(test.x) for each in (repeated, weighted))
    torch.testing.assert_close(one, other, rtol=0, atol=near)


@pytest.mark.parametrize("name", ALL)
def test_of_contrary_rows_the_heavier_wins(name):
    x, y = [0.0, 0.0, 5.0, 5.0] * 3, [0, 1, 0, 1] * 3
    learner = fitted(name, _rows(x, y, [3.0, 1, 1, 3] * 3), 2)
    assert _ids(learner, 0.0, 5.0) == [0, 1]
    assert _ids(fitted(name, _rows(x, y, [1.0, 3, 3, 1] * 3), 2), 0.0, 5.0) == [1, 0]


@pytest.mark.parametrize("name", EXACT)
def test_a_row_of_probabilities_is_a_row_of_each_class(name):
    batch, test = (_drawn(20, seed).replace(x=_drawn(20, seed).x[:, :1]) for seed in (0, 1))
    p = torch.rand(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if name != "trees":  # whose smallest leaf is as many copies as rows have in the mean
        p[:5, 2] = 0
    p /= p.sum(1, keepdim=True)
    weight = torch.arange(1.0, 21).double()
    expanded = batch.take(torch.arange(20).repeat_interleave(3)).replace(
        y=torch.arange(3).repeat(20), weight=(weight[:, None] * p).flatten()
    )
    soft = batch.replace(y=p, weight=weight)
    value, near = STATED[name]
    one, other = (_with(name, each, 3, value).answers(test.x) for each in (soft, expanded))
    torch.testing.assert_close(one, other, rtol=0, atol=near)


@pytest.mark.parametrize("name", ALL)
def test_soft_labels_that_are_sure_are_hard_ones(name):
    batch, test = _drawn(30), _drawn(40, seed=1)
    sure = batch.replace(y=torch.nn.functional.one_hot(batch.y, 2).float())
    torch.testing.assert_close(fitted(name, batch, 2).answers(test.x), fitted(name, sure, 2).answers(test.x))


def test_the_smallest_leaf_counts_rows_and_not_their_classes():
    """Of four rows a leaf of three leaves no split."""
    batch = _rows([0.0, 1.0, 2.0, 3.0], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8]])
    for name in ("trees", "forest"):
        assert len(_with(name, batch, 2, 3).answers(batch.x).unique(dim=0)) == 1
        assert len(_with(name, batch, 2, 1).answers(batch.x).unique(dim=0)) > 1


# -- what any set may bring


@pytest.mark.parametrize("name", ALL)
def test_all_learn_what_is_plain(name):
    learner = fitted(name, _drawn(200), 2, _drawn(100, seed=1))
    assert score(learner, _drawn(300, seed=2)) > 0.85
    assert score(fitted(name, _drawn(200, numbers=True), 0), _drawn(300, seed=2, numbers=True)) > 0.75


@pytest.mark.parametrize("name", ["trees", "forest"])
def test_trees_part_what_no_line_does(name):
    batch = _rows([-2.0, -1.9, -0.1, 0.0, 0.1, 1.9, 2.0], [1, 1, 0, 0, 0, 1, 1])
    assert score(fitted(name, batch, 2), batch) == 1


@pytest.mark.parametrize("name", ALL)
def test_a_class_without_rows_is_never_guessed(name):
    learner = fitted(name, _rows([0.0, 1.0, 8.0, 9.0], [0, 0, 2, 2]), 4)
    assert _ids(learner, 0.5, 8.5) == [0, 2]
    found = learner.answers(torch.tensor([[0.5], [8.5]]).double())
    assert found.shape == (2, 4)
    assert found[:, [1, 3]].abs().max() == 0
    np.testing.assert_allclose(found.sum(1), 1)


@pytest.mark.parametrize("name", ALL)
def test_rows_of_one_class_and_one_row_give_a_constant(name):
    assert _ids(fitted(name, _rows([0.0, 1.0, 2.0], [1, 1, 1]), 3), -5.0, 5.0) == [1, 1]
    assert _ids(fitted(name, _rows([0.0, 1.0], [0, 2], [0.0, 1.0]), 3), 0.0) == [2], "no weight, no row"
    one = fitted(name, _rows([3.0], [[7.0]]), 0, _rows([1.0, 2.0], [[1.0], [2.0]]))
    np.testing.assert_allclose(guesses(one, torch.tensor([[0.0], [9.0]])), 7)


@pytest.mark.parametrize("name", ALL)
def test_targets_that_are_no_probabilities_are_regressed(name):
    """As kernel methods learn them; the largest is the guess."""
    batch, test = _drawn(40), _drawn(100, seed=1)
    targets = 2 * torch.nn.functional.one_hot(batch.y, 2).double() - 1.5
    assert score(fitted(name, batch.replace(y=targets), 2), test) > 0.8


def test_images_are_flattened_and_single_precision_is_taken():
    x = torch.arange(24.0).reshape(4, 1, 2, 3)
    learner = fitted("knn", Images(x, torch.tensor([0, 0, 1, 1])), 2)
    assert guesses(learner, x).tolist() == [0, 0, 1, 1]


def test_r_squared_by_hand():
    learner = Learner("knn", 0, lambda x: x + 1, "neighbours", 1)
    data = _rows([0.0, 1.0, 4.0], [[1.0], [3.0], [5.0]], [1.0, 100.0, 1.0])
    assert score(learner, data) == pytest.approx(1 - 1 / 8), (
        "one residual of 1, squares about the mean 4 + 0 + 4; weights are not read"
    )
    with pytest.raises(AttarError, match="more than one value"):
        score(learner, _rows([0.0, 1.0], [[2.0], [2.0]]))


# -- what validation rows choose


def test_validation_rows_choose_and_the_learner_tells():
    batch = _rows([0.0, 1.0, -1.0, 9.0, 10.0, 11.0], [1, 0, 0, 1, 1, 1])  # the first is a mistake
    learner = fitted("knn", batch, 2, _rows([0.1, -0.1, 10.1], [0, 0, 1]))
    assert learner.tried == ((1, pytest.approx(1 / 3)), (3, 1), (5, pytest.approx(1 / 3)))
    assert learner.value == 3
    assert learner.describe() == "knn: neighbours 3, the best of 1, 3, 5 on 3 validation rows (accuracy 100.0 %)"
    assert _ids(learner, 0.0) == [0]
    alike = fitted("knn", batch, 2, _rows([10.0], [1]))
    assert (alike.value, alike.validation) == (1, 1), "of equals the first"


@pytest.mark.parametrize("name", ALL)
def test_without_validation_rows_the_setting_is_stated(name):
    batch = _drawn(20, numbers=True)
    learner = fitted(name, batch, 0)
    assert learner.validation is None
    assert "no validation rows" in learner.describe()
    for nothing in (batch.take(torch.arange(0)), batch.take(torch.tensor([0]))):  # one number has no R squared
        assert fitted(name, batch, 0, nothing).value == learner.value
    assert "R squared" in fitted(name, batch, 0, _drawn(20, 1, True)).describe()


# -- draws and names


@pytest.mark.parametrize("name", ALL)
def test_equal_seeds_give_equal_learners(name):
    batch, test = _drawn(50), _drawn(100, seed=1)
    one, same, other = (fitted(name, batch, 2, seed=seed).answers(test.x) for seed in (2**40 + 3, 2**40 + 3, 4))
    assert torch.equal(one, same)
    assert torch.equal(one, other) == (not learners.draws(name))


def test_names_are_those_of_no_network():
    assert list(learners.names()) == ALL
    for name in ALL:
        assert learners.is_named(name)
        with pytest.raises(AttarError, match="no network"):
            models.build(name, (4, 1, 1), 2)
    assert not any(map(learners.is_named, [*models.names(), "ridge-ntk", "tree"]))


def test_readers_are_told_once_of_each_learner():
    assert learners.notes(["mlp"]) == []
    told = learners.notes(name for name in ["knn", "mlp", "trees", "knn"])
    assert [note.partition(":")[0] for note in told] == ["trees", "knn"]
    assert "smallest leaf 1, 3, 5," in told[0]


# -- refusals


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"y": None}, "no targets"),
        ({"x": torch.full((3, 1), torch.nan)}, "finite"),
        ({"weight": torch.tensor([1.0, -1.0, 1.0])}, "0 or more"),
        ({"weight": torch.zeros(3)}, "above 0"),
        ({"weight": torch.tensor([1.0, torch.inf, 1.0])}, "0 or more"),
        ({"y": torch.tensor([0, 1, 2])}, "from 0 to 1"),
        ({"y": torch.tensor([0.0, 1.0, 0.0])}, "whole numbers"),
        ({"y": torch.rand(3, 3)}, "3 numbers a row"),
        ({"y": torch.rand(2, 3, 2), "views": torch.arange(2)}, "several views"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused(change, match):
    batch = _rows([0.0, 1.0, 2.0], [0, 1, 1])
    with pytest.raises(AttarError, match=match):
        fitted("knn", batch.replace(**change), 2)
    with pytest.raises(AttarError, match="no rows"):
        fitted("knn", batch.take(torch.arange(0)), 2)


def test_what_is_missing_is_said(monkeypatch):
    with pytest.raises(AttarError, match="no learner 'tree': give trees, forest, linear, knn"):
        fitted("tree", _drawn(5), 2)
    monkeypatch.setitem(sys.modules, "sklearn", None)  # then importing it fails, wherever it is installed
    with pytest.raises(AttarError, match=r"pip install 'attar\[selection\]'"):
        fitted("trees", _drawn(5), 2)
    learners.check("knn")
