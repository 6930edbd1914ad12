# ruff: noqa: E402  (without these libraries there is nothing to import)
"""The sampler of real rows in scikit-learn's and imbalanced-learn's manner."""

import csv
import doctest

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")
imblearn = pytest.importorskip("imblearn", reason="imbalanced-learn's own checks need it")

import pandas as pd
from imblearn.pipeline import Pipeline
from imblearn.under_sampling.base import BaseUnderSampler
from imblearn.utils import estimator_checks
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from attar.selection.clusters import medoids
from attar.selection.geometry import herding, k_center
from attar.selection.submodular import facility_location, graph_cut
from attar.sklearn import CoresetSampler, coreset
from attar.sklearn.coreset import WHOLE
from attar.types import AttarError

METHODS = ("random", "kmeans", "herding", "k_center", "facility_location", "graph_cut")

NOT_RUN = {
    "check_samplers_string": "it is for samplers that take text, between which there is no distance",
    "check_samplers_nan": "it is for samplers that take missing values, between which there is no distance",
    "check_param_validation": "it is for imbalanced-learn's own: it reads a private table of scikit-learn's. Wrong settings "
    "are refused in a test below",
}
"""Checks of imbalanced-learn that are not run, and why."""

# Two of the checks look at under-samplers only, by their class. So they look at this one too.
BaseUnderSampler.register(CoresetSampler)


def counts(y):
    return dict(zip(*(found.tolist() for found in np.unique(y, return_counts=True)), strict=True))


# -- the checks of both libraries


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "check",
    [check for _, check in estimator_checks.estimator_checks_generator(CoresetSampler())],
    ids=lambda c: c.func.__name__,
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_imbalanced_learns_checks(method, check):
    check(CoresetSampler(method))


def test_imbalanced_learns_check_of_column_names():
    estimator_checks.check_dataframe_column_names_consistency("CoresetSampler", CoresetSampler())


def test_no_other_check_for_samplers_is_left_out():
    run = {check.func.__name__ for _, check in estimator_checks.estimator_checks_generator(CoresetSampler())}
    run.add("check_dataframe_column_names_consistency")
    every = {name for name in vars(estimator_checks) if name.startswith("check_") and "classifier" not in name}
    assert every - run == set(NOT_RUN)


@parametrize_with_checks([CoresetSampler()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_the_example_in_its_documentation():
    assert doctest.testmod(coreset) == (0, 5)


# -- which rows


@pytest.mark.parametrize(
    ("method", "pick"),
    [("herding", herding), ("k_center", k_center), ("graph_cut", lambda x, n: graph_cut(x, n, trade_off=0.5))],
)
def test_each_class_is_chosen_from_by_the_rule_on_standardised_rows(data, method, pick):
    X, y = data
    sampler = CoresetSampler(method, per_class=5, options={"trade_off": 0.5} if method == "graph_cut" else None)
    rows, labels = sampler.fit_resample(X, y)
    scaled = torch.from_numpy(StandardScaler().fit_transform(X)).float()
    for number, name in enumerate(("ant", "bee", "cow")):
        ids = np.flatnonzero(y == name)
        expected = pick(scaled[ids], 5)
        part = slice(5 * number, 5 * number + 5)
        assert sampler.sample_indices_[part].tolist() == ids[expected.rows.numpy()].tolist()
        np.testing.assert_allclose(sampler.weights_[part], expected.represents, atol=1e-3)
        np.testing.assert_allclose(sampler.scores_[part], expected.scores, rtol=1e-4, atol=1e-5)
        assert sampler.reasons_[part] == expected.reasons
    np.testing.assert_array_equal(rows, X[sampler.sample_indices_])
    assert labels.tolist() == y[sampler.sample_indices_].tolist()
    assert sampler.sampling_strategy_ == {"ant": 5, "bee": 5, "cow": 5}


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_the_rows_that_each_stands_for(data, method):
    sampler = CoresetSampler(method, per_class=4).fit(*data)
    assert len(set(sampler.sample_indices_.tolist())) == 12
    assert sampler.weights_.reshape(3, 4).sum(1).tolist() == pytest.approx([60, 30, 8], abs=0.01)


def test_columns_are_compared_in_their_own_units_unless_raw_values_are_asked_for(data):
    X, y = data
    other = X * [1e-6, 1e6, 1]
    asked = {"per_class": 5}
    same = CoresetSampler(**asked).fit(X, y).sample_indices_
    assert CoresetSampler(**asked).fit(other, y).sample_indices_.tolist() == same.tolist()
    raw = CoresetSampler(scale=None, **asked).fit(X, y).sample_indices_
    ids = np.flatnonzero(y == "ant")
    assert raw[:5].tolist() == ids[k_center(torch.from_numpy(X[ids]), 5).rows].tolist()
    assert raw.tolist() != same.tolist()


def test_constant_columns_and_large_offsets_do_no_harm(data):
    X, y = data
    same = CoresetSampler(per_class=5).fit(X, y).sample_indices_
    more = np.column_stack([X + 1e9 * np.array([1, 100, 0.01]), np.full(len(X), 0.1)])
    assert CoresetSampler(per_class=5).fit(more, y).sample_indices_.tolist() == same.tolist()


def test_by_all_takes_rows_whatever_their_class(data):
    X, y = data
    sampler = CoresetSampler(size=9, by="all").fit(X, y)
    scaled = torch.from_numpy(StandardScaler().fit_transform(X)).float()
    assert sampler.sample_indices_.tolist() == k_center(scaled, 9).rows.tolist()
    assert sum(sampler.sampling_strategy_.values()) == 9
    assert sampler.sampling_strategy_ != {"ant": 3, "bee": 3, "cow": 3}


def test_random_state_decides_and_none_draws_anew(data):
    def chosen(state):
        return CoresetSampler("random", per_class=5, random_state=state).fit(*data).sample_indices_.tolist()

    assert chosen(1) == chosen(1) != chosen(2)
    assert chosen(np.random.RandomState(1)) == chosen(1)
    np.random.seed(0)
    assert chosen(None) != chosen(None)


# -- how many


def test_without_a_budget_classes_are_balanced_and_the_smallest_is_whole(data):
    X, y = data
    sampler = CoresetSampler()
    _, labels = sampler.fit_resample(X, y)
    assert counts(labels) == {"ant": 8, "bee": 8, "cow": 8}
    assert sampler.sample_indices_[16:].tolist() == np.flatnonzero(y == "cow").tolist()
    assert set(sampler.reasons_[16:]) == {WHOLE}
    assert WHOLE not in sampler.reasons_[:16]
    assert sampler.weights_[16:].tolist() == [1] * 8


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"per_class": 3}, {"ant": 3, "bee": 3, "cow": 3}),
        ({"fraction": 0.5}, {"ant": 30, "bee": 15, "cow": 4}),
        ({"per_class": 3, "quotas": {"cow": 5}}, {"ant": 3, "bee": 3, "cow": 5}),
        ({"per_class": 3, "quotas": {"cow": 0}}, {"ant": 3, "bee": 3, "cow": 0}),
        ({"sampling_strategy": {"ant": 7}}, {"ant": 7, "bee": 30, "cow": 8}),
        ({"sampling_strategy": {}}, {"ant": 60, "bee": 30, "cow": 8}),
        ({"quotas": {"ant": 10}}, {"ant": 10, "bee": 8, "cow": 8}),
        ({"size": 12, "quotas": {"ant": 5}}, {"ant": 5, "bee": 5, "cow": 2}),
        ({"fraction": 0.5, "quotas": {"ant": 36, "cow": 3}}, {"ant": 36, "bee": 10, "cow": 3}),
    ],
)
def test_rows_of_each_class(data, settings, expected):
    sampler = CoresetSampler("random", **settings)
    assert {"ant": 0, "bee": 0, "cow": 0} | counts(sampler.fit_resample(*data)[1]) == expected
    assert sampler.sampling_strategy_ == expected


def test_rows_that_must_stay_come_first_also_in_a_class_that_is_whole(data):
    X, y = data
    ant, cow = np.flatnonzero(y == "ant")[17], np.flatnonzero(y == "cow")[3]
    sampler = CoresetSampler(keep=[ant, cow]).fit(X, y)
    assert sampler.sample_indices_[0] == ant
    assert sampler.reasons_[0] == "asked for"
    assert counts(y[sampler.sample_indices_]) == {"ant": 8, "bee": 8, "cow": 8}


def test_near_duplicates_are_left_out_and_a_class_of_them_is_refused(data):
    X, y = data
    twice, labels = np.concatenate([X, X]), np.concatenate([y, y])
    sampler = CoresetSampler("random", per_class=8, deduplicate=True, prefer_duplicate="last").fit(twice, labels)
    assert sampler.sample_indices_.min() >= len(X)
    with pytest.raises(AttarError, match="class 'cow' has 8 rows after near-duplicates were left out"):
        CoresetSampler(per_class=9, deduplicate=True).fit(twice, labels)


@pytest.mark.parametrize("asked", [{"per_class": 3}, {"by": "all", "size": 9}])
def test_near_duplicates_that_were_left_out_are_listed_with_the_rows_that_stay(data, tmp_path, asked):
    X, y = data
    twice, labels = np.concatenate([X, X[:5]]), np.concatenate([y, y[:5]])
    sampler = CoresetSampler(deduplicate=True, duplicates_within=0, **asked).fit(twice, labels)
    expected = {98 + row: (y[row], row) for row in range(5)}
    assert {left["row"]: (left["class"], left["nearly_repeats"]) for left in sampler.left_out_} == expected
    for name, beside in (("selected.csv", "left_out.csv"), ("mine.csv", "mine_left_out.csv")):
        sampler.write_selected(tmp_path / name)
        with open(tmp_path / beside, newline="") as file:
            lines = list(csv.DictReader(file))
        assert {int(line["row"]): (line["class"], int(line["nearly_repeats"])) for line in lines} == expected


def test_each_choice_has_a_list_of_its_own_and_none_of_an_earlier_one(data, tmp_path):
    X, y = np.concatenate([data[0], data[0][:5]]), np.concatenate([data[1], data[1][:5]])
    sampler = CoresetSampler(per_class=3, deduplicate=True, duplicates_within=0).fit(X, y)
    for name in ("selected.csv", "a.csv", "b.csv"):
        sampler.write_selected(str(tmp_path / name))
    plain = CoresetSampler(per_class=3).fit(X, y)
    for name in ("selected.csv", "a.csv"):
        plain.write_selected(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv", "b_left_out.csv", "selected.csv"]


def test_classes_of_rows_that_were_left_out_are_those_of_y(data):
    X = np.concatenate([data[0][:6]] * 2)
    sampler = CoresetSampler("random", per_class=2, deduplicate=True).fit(X, np.tile([7, 7, 7, -1, -1, -1], 2))
    assert [left["class"] for left in sampler.left_out_] == [-1, -1, -1, 7, 7, 7]


def test_nothing_is_left_out_unasked(data, tmp_path):
    sampler = CoresetSampler(per_class=2).fit(*data)
    assert sampler.left_out_ == CoresetSampler(sampling_strategy={}).fit(*data).left_out_ == ()
    sampler.write_selected(tmp_path / "selected.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["selected.csv"]


# -- what goes in comes out


def test_frames_keep_dtypes_columns_and_index(data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abc"), index=[f"row {i}" for i in range(len(X))])
    frame["whole"] = np.arange(len(X), dtype=np.int16)
    frame["flag"] = X[:, 0] > 0
    target = pd.Series(pd.Categorical(y), index=frame.index, name="animal")
    sampler = CoresetSampler(per_class=2)
    rows, labels = sampler.fit_resample(frame, target)
    pd.testing.assert_frame_equal(rows, frame.iloc[sampler.sample_indices_])
    pd.testing.assert_series_equal(labels, target.iloc[sampler.sample_indices_])
    assert rows.dtypes.tolist() == frame.dtypes.tolist()
    assert sampler.feature_names_in_.tolist() == [*"abc", "whole", "flag"]


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.coo_array, sparse.csc_array])
def test_sparse_rows_stay_sparse_and_are_chosen_alike(data, kind):
    X, y = data
    X = np.where(X > 0, X, 0)
    rows, _ = CoresetSampler(per_class=4).fit_resample(kind(X), y)
    assert sparse.issparse(rows)
    np.testing.assert_allclose(rows.toarray(), CoresetSampler(per_class=4).fit_resample(X, y)[0])


@pytest.mark.parametrize("kind", [list, tuple])
def test_plain_sequences_stay_what_they_are(data, kind):
    X, y = data
    rows, labels = CoresetSampler(per_class=2).fit_resample(kind(X.tolist()), kind(y.tolist()))
    assert type(rows) is type(labels) is kind
    assert rows[0] in X.tolist()


@pytest.mark.parametrize("values", [(0.0, 1.0, 2.0), (True, False), ("a", "b"), (-1, 7)])
def test_labels_of_any_kind(values):
    y = np.repeat(values, 6)
    sampler = CoresetSampler(sampling_strategy={values[0]: 2})
    labels = sampler.fit_resample(np.random.default_rng(0).normal(size=(len(y), 2)), y)[1]
    assert counts(labels)[values[0]] == 2
    assert labels.dtype == y.dtype
    assert sampler.sampling_strategy_[values[0]] == 2


# -- in pipelines


def test_it_samples_in_a_pipeline_while_fitting_only(data):
    X, y = data
    pipe = Pipeline([("scale", StandardScaler()), ("few", CoresetSampler(per_class=5)), ("fit", LogisticRegression())])
    assert pipe.fit(X, y).predict(X).shape == y.shape
    assert len(pipe.named_steps["few"].sample_indices_) == 15
    assert pipe.score(X, y) > 0.5


def test_its_settings_are_searched(data):
    search = GridSearchCV(
        Pipeline([("few", CoresetSampler(per_class=2)), ("fit", LogisticRegression(max_iter=10_000))]),
        {"few__method": ["random", "k_center"], "few__per_class": [2, 4]},
        cv=2,
        error_score="raise",
    ).fit(*data)
    assert set(search.best_params_) == {"few__method", "few__per_class"}


def test_settings_are_got_set_and_cloned():
    sampler = CoresetSampler("herding", quotas={"a": 1}, keep=[3])
    other = clone(sampler).set_params(method="random", scale=None)
    assert other.get_params() == {**sampler.get_params(), "method": "random", "scale": None}
    assert sampler.get_params()["quotas"] == {"a": 1}


# -- what is refused


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "dm"}, "no method 'dm' for rows: give random, kmeans"),
        ({"scale": "minmax"}, "scale='minmax'"),
        ({"by": "row"}, "by='row'"),
        ({"options": {"features": "convnet3"}}, "k_center has no option 'features': it has start"),
        ({"per_class": 3, "size": 9}, "takes one of per_class, size and fraction"),
        ({"per_class": "ten"}, "per_class='ten' is no number"),
        ({"per_class": 0}, "per_class=0 is out of range"),
        ({"per_class": 9}, "class 'cow' has 8 training rows, fewer than the 9"),
        ({"per_class": 3, "sampling_strategy": {"ant": 1}}, "give one of them"),
        ({"sampling_strategy": "majority"}, "sampling_strategy='majority' is not known"),
        ({"sampling_strategy": {"dog": 1}}, "class 'dog' are asked for, which is not in y: 'ant', 'bee', 'cow'"),
        ({"sampling_strategy": {"ant": 61}}, "class 'ant' has 60 rows, fewer than the 61"),
        ({"quotas": {"ant": -1}}, "-1 rows of the class 'ant'"),
        ({"quotas": {"ant": 1}, "by": "all", "size": 3}, "by='all' takes rows whatever their class"),
        ({"keep": [98]}, "row 98 that must stay is not among the rows 0 to 97"),
        ({"keep": ["ant"]}, "row 'ant' that must stay"),
        ({"keep": range(98), "per_class": 8}, "rows of class 'ant' must stay"),
    ],
)
def test_settings_that_do_not_suit_are_refused_in_a_sentence(data, settings, sentence):
    with pytest.raises(AttarError, match=sentence):
        CoresetSampler(**settings).fit(*data)


def test_labels_and_rows_that_cannot_be_chosen_from_are_refused(data):
    X, _ = data
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        CoresetSampler(per_class=1).fit(X, X[:, 0])
    with pytest.raises(AttarError, match="Multilabel and multioutput targets are not supported"):
        CoresetSampler(per_class=1).fit(X[:3], [[1, 1], [0, 1], [1, 0]])
    with pytest.raises(AttarError, match="one class, so there is nothing to balance"):
        CoresetSampler().fit(X[:5], ["a"] * 5)
    assert len(CoresetSampler(per_class=2).fit(X[:5], ["a"] * 5).sample_indices_) == 2


def test_medoids_and_facility_location_are_those_of_the_functions(data):
    X, y = data
    ids = np.flatnonzero(y == "ant")
    scaled = torch.from_numpy(StandardScaler().fit_transform(X)).float()[ids]
    found = CoresetSampler("facility_location", per_class=4).fit(X, y).sample_indices_[:4]
    assert found.tolist() == ids[facility_location(scaled, 4, greedy="exact").rows].tolist()
    near = CoresetSampler("kmeans", per_class=4).fit(X, y)
    spread = medoids(scaled, 4, generator=torch.Generator().manual_seed(0))
    assert np.isin(near.sample_indices_[:4], ids).all()
    assert near.weights_[:4].sum() == float(spread.represents.sum()) == 60


def test_the_choice_is_written_as_a_table(tmp_path):
    x = np.arange(24.0).reshape(12, 2)
    sampler = CoresetSampler("k_center", per_class=2)
    with pytest.raises(NotFittedError):
        sampler.write_selected(tmp_path / "selected.csv")
    sampler.fit(x, ["=cat"] * 6 + ["dog"] * 6).write_selected(tmp_path / "selected.csv")
    with open(tmp_path / "selected.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["row"]) for line in lines] == sampler.sample_indices_.tolist()
    assert [line["class"] for line in lines] == ["'=cat", "'=cat", "dog", "dog"]
    assert [line["reason"] for line in lines] == list(sampler.reasons_)
    assert sum(float(line["represents"]) for line in lines) == 12
