# ruff: noqa: E402  (without these libraries there is nothing to import)
"""The sampler that makes rows, in scikit-learn's and imbalanced-learn's manner."""

import dataclasses
import doctest
import subprocess
import sys
import warnings

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
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import attar
from attar import methods, recipes
from attar.augment import Siamese
from attar.selection import Coreset, Noise
from attar.sklearn import CoresetSampler, DistilledSampler, distilled
from attar.surrogates import Fresh
from attar.synthetic import Bases, Codes, MultiFormation, Pixels
from attar.types import AttarError

NOT_RUN = {
    "check_samplers_string": "it is for samplers that take text, from which nothing is learned",
    "check_samplers_nan": "it is for samplers that take missing values, from which nothing is learned",
    "check_samplers_sampling_strategy_fit_resample": "it leaves a class as it is, where the rows of a distilled set are made "
    "together",
    "check_param_validation": "it is for imbalanced-learn's own: it reads a private table of scikit-learn's. Wrong settings "
    "are refused in a test below",
}
"""Checks of imbalanced-learn that are not run, and why."""

ON_ROWS = {
    "idc": {"factor": 1, "augmentation": "", "cutmix": 0.0, "updates": 1},
    "idm": {"factor": 1, "updates": 1},
    "m3d": {"factor": 1, "augmentation": "", "updates": 1},
    "ncfm": {"factor": 1, "augmentation": "", "updates": 1, "frequencies": 16},
    "linba": {"expand": 1, "inner_steps": 3},
    "cafe": {"epochs": 1},
    "dd": {"inner_steps": 3},
}
"""What methods that are set for images need on rows, and what makes the tests short."""

FOLLOWING = ("mtt", "tesla", "ftd", "datm", "pad")
CHOOSING = tuple(
    name for name in methods.METHODS if name not in FOLLOWING and isinstance(methods.METHODS[name](), Coreset)
)
STRUCTURED = tuple(name for name in methods.METHODS if recipes.recipe(name)["modality"] == "tables")
MAKING = tuple(name for name in methods.METHODS if name not in (*FOLLOWING, *CHOOSING, *STRUCTURED))

# One of the checks looks at under-samplers only, by their class. So it looks at this one too.
BaseUnderSampler.register(DistilledSampler)


def short(method="dm", per_class=None, **settings):
    return DistilledSampler(method, per_class, **{"steps": 2, **settings})


def counts(y):
    return dict(zip(*(found.tolist() for found in np.unique(y, return_counts=True)), strict=True))


def checks():
    found = [check for _, check in estimator_checks.estimator_checks_generator(short())]
    return [check for check in found if check.func.__name__ not in NOT_RUN]


# -- the checks of both libraries


SLOW = pytest.mark.slow


@pytest.mark.parametrize("method", ["dm", pytest.param("dc", marks=SLOW), pytest.param("kip", marks=SLOW)])
@pytest.mark.parametrize("check", checks(), ids=lambda check: check.func.__name__)
def test_imbalanced_learns_checks(method, check):
    check(short(method, options={"epochs": 1} if method == "dc" else None))


def test_imbalanced_learns_check_of_column_names():
    estimator_checks.check_dataframe_column_names_consistency("DistilledSampler", short(per_class=2))


def test_no_other_check_for_samplers_is_left_out():
    run = {check.func.__name__ for check in checks()} | {"check_dataframe_column_names_consistency"}
    every = {name for name in vars(estimator_checks) if name.startswith("check_") and "classifier" not in name}
    assert every - run == set(NOT_RUN)


def test_the_documents_name_the_checks_that_are_not_run():
    assert all(f"`{name}`" in DistilledSampler.__doc__ for name in NOT_RUN)


@parametrize_with_checks([short()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_the_example_in_its_documentation():
    assert doctest.testmod(distilled) == (0, 4)


# -- what is made


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer])
def test_a_classifier_learns_more_from_distilled_rows_than_from_random_ones(load):
    X, y = load(return_X_y=True)
    gains = []
    for seed in range(3):
        train, test, y_train, y_test = train_test_split(X, y, random_state=seed, stratify=y)
        scores = []
        for sampler in (short("dm", 1, steps=100), CoresetSampler("random", per_class=1)):
            rows, labels = sampler.set_params(random_state=seed).fit_resample(train, y_train)
            scaler = StandardScaler().fit(train)
            model = LogisticRegression(max_iter=1000).fit(scaler.transform(rows), labels)
            scores.append(model.score(scaler.transform(test), y_test))
        gains.append(scores[0] - scores[1])
    assert np.mean(gains) > np.std(gains, ddof=1)
    assert min(gains) > 0


@pytest.mark.parametrize("name", STRUCTURED)
def test_methods_that_keep_columns_are_refused(data, name):
    with pytest.raises(ValueError, match=f"'{name}' keeps the structure of a table"):
        short(name, 2).fit_resample(*data)


@pytest.mark.parametrize("name", MAKING)
def test_methods_that_make_rows_make_them_of_tables(data, name):
    X, y = data
    sampler = short(name, 2, options=ON_ROWS.get(name))
    rows, labels = sampler.fit_resample(X, y)
    assert rows.shape == (6, 3)
    assert np.isfinite(rows).all()
    assert sampler.labels_.shape == (6, 3)
    assert labels.tolist() == sampler.classes_[sampler.labels_.argmax(1)].tolist()
    assert counts(labels) == {name: count for name, count in sampler.sampling_strategy_.items() if count}
    assert sampler.distilled_.made_by["name"] == name
    assert sampler.n_steps_ == (2 if hasattr(methods.find(name)(), "step") else 0)


def test_it_is_the_method_on_standardised_rows_in_the_units_of_the_columns(data):
    X, y = data
    method = methods.dm("mlp", batch=8, initial="noise")
    sampler = short(method, 2, random_state=7)
    rows, _ = sampler.fit_resample(X, y)
    scaler = StandardScaler().fit(X)
    x = torch.from_numpy(scaler.transform(X)).float()[..., None, None]
    ids = torch.from_numpy(np.unique(y, return_inverse=True)[1])
    width, none = 3, attar.batches.Images(x[:0], ids[:0])
    spec = attar.types.Spec("rows", "", ("ant", "bee", "cow"), attar.types.Normalisation((0.0,) * 3, (1.0,) * 3))
    problem = attar.Problem(
        attar.data.images.ImageClassification((width, 1, 1), 3), attar.batches.Images(x, ids), none, none, spec
    )
    seed = int(np.random.RandomState(7).randint(2**31 - 1))
    method = dataclasses.replace(method, augmentation="")
    expected = attar.distill(method, problem, attar.Budget(per_class=2), steps=2, seed=seed, exact=True).value
    np.testing.assert_allclose(rows, scaler.inverse_transform(expected.data.x.flatten(1).numpy()), rtol=1e-5)
    by_name = short("dm", 2, random_state=7, options={"batch": 8, "initial": "noise"}).fit_resample(X, y)[0]
    np.testing.assert_array_equal(by_name, rows)


def test_units_of_measurement_do_not_matter_unless_raw_values_are_asked_for(data):
    X, y = data
    units = np.array([1e-6, 1e6, 1])
    rows = short(per_class=2).fit_resample(X, y)[0]
    np.testing.assert_allclose(short(per_class=2).fit_resample(X * units, y)[0], rows * units, rtol=1e-4)
    scaled = StandardScaler().fit_transform(X)
    noise = {"steps": 0, "options": {"initial": "noise"}}
    raw, known = (
        short(per_class=2, scale=scale, **noise).fit_resample(scaled + 9, y)[0] for scale in (None, "standard")
    )
    np.testing.assert_allclose(raw + 9, known, rtol=1e-5)  # noise about nought, and about where the columns lie


def test_constant_columns_stay_and_change_nothing(data):
    X, y = data
    rows = short(per_class=2, steps=5).fit_resample(X, y)[0]
    constant = 0.1 + np.zeros((len(X), 1))
    for scale in ("standard", None):
        wider = short(per_class=2, steps=5, scale=scale).fit_resample(np.hstack([constant, X, 1e9 * constant]), y)[0]
        assert set(wider[:, 0]) == {0.1}
        assert set(wider[:, -1]) == {0.1 * 1e9}
        if scale:
            np.testing.assert_allclose(wider[:, 1:-1], rows, rtol=1e-6)


def test_digits_survive_large_offsets(data):
    X, y = data
    far = X / X.std(0) + 1e9
    rows = short(per_class=2).fit_resample(far, y)[0]
    assert len(np.unique(rows[:, 0])) == 6
    assert np.abs(rows - far.mean(0)).max() < 10


def test_the_set_is_saved_with_its_units_and_opens_again(data, tmp_path):
    X, y = np.column_stack([data[0], np.full(98, 7.0)]), data[1]
    sampler = short(per_class=2)
    rows, labels = sampler.fit_resample(X, y)
    sampler.distilled_.save(tmp_path / "small")
    loaded = attar.Distilled.load(tmp_path / "small")
    np.testing.assert_allclose(loaded.data.x.flatten(1), rows, rtol=1e-6)
    assert [loaded.class_names[label] for label in loaded.labels] == labels.tolist()
    expected = (rows[:, :3] - X[:, :3].mean(0)) / X[:, :3].std(0)
    np.testing.assert_allclose(loaded.normalised().x.flatten(1)[:, :3], expected, rtol=1e-4, atol=1e-5)
    assert not loaded.normalised().x[:, 3].any()
    other = short(per_class=2).fit(X[::-1], y[::-1]).distilled_
    assert loaded.made_by["steps"] == 2
    assert loaded.made_by["fingerprint"].startswith("sha256:")
    assert loaded.made_by["fingerprint"] != other.made_by["fingerprint"]


def test_learned_labels_are_given_beside_the_classes(data):
    sampler = short("kip", 2, options={"labels": "learned"}, steps=3).fit(*data)
    assert not np.isin(sampler.labels_, (0, 1)).all()
    hard = short("dm", 2).fit(*data)
    assert hard.labels_.tolist() == np.repeat(np.eye(3), 2, axis=0).tolist()
    assert hard.weights_ is None


def test_weights_of_a_method_are_those_of_the_sampler(data):
    @dataclasses.dataclass(frozen=True)
    class Weighted:
        name: str = "weighted"

        def finish(self, problem, budget, generator):
            rows = Noise()(problem, budget, generator)
            rows = rows.replace(weight=torch.arange(1.0, len(rows) + 1))
            return attar.Distilled(rows, attar.distilled.Training(problem.spec.normalisation))

    sampler = DistilledSampler(Weighted(), 2).fit(*data)
    assert sampler.weights_.tolist() == [1, 2, 3, 4, 5, 6]
    assert sampler.n_steps_ == 0


def test_random_state_decides_and_none_draws_anew(data):
    def made(state, **settings):
        return short(per_class=2, random_state=state, **settings).fit_resample(*data)[0].tolist()

    assert made(1) == made(1) != made(2)
    assert made(np.random.RandomState(1)) == made(1)
    np.random.seed(0)
    assert made(None) != made(None)
    before = torch.random.get_rng_state()
    made(1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_steps_and_options_are_taken(data):
    started = short(per_class=2, steps=0).fit_resample(*data)[0]
    assert all(any(np.allclose(row, real) for real in data[0]) for row in started), "dm starts at real rows"
    assert not np.allclose(short(per_class=2, steps=3).fit_resample(*data)[0], started)
    slow = short(per_class=2, steps=3, options={"lr": 1e-9}).fit_resample(*data)[0]
    np.testing.assert_allclose(slow, started, rtol=1e-4)
    wide = short(per_class=2, network="mlp-16").fit(*data)
    assert wide.distilled_.made_by["method"]["fields"]["surrogates"]["fields"]["model"] == "mlp-16"


# -- how many


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"ant": 8, "bee": 8, "cow": 8}),
        ({"per_class": np.int64(3)}, {"ant": 3, "bee": 3, "cow": 3}),
        ({"size": 12.0}, {"ant": 6, "bee": 4, "cow": 2}),
        ({"fraction": np.float32(0.5)}, {"ant": 30, "bee": 15, "cow": 4}),
    ],
)
def test_rows_of_each_class(data, tmp_path, settings, expected):
    sampler = short(**settings)
    assert counts(sampler.fit_resample(*data)[1]) == expected
    assert sampler.sampling_strategy_ == expected
    sampler.distilled_.save(tmp_path / "set")  # of plain numbers, as JSON has no others


# -- what goes in comes out


def test_frames_have_their_columns_and_are_numbered_anew(data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abc"), index=[f"row {i}" for i in range(len(X))])
    frame = frame.astype({"b": np.float32, "c": "Float64"})
    frame["whole"] = np.arange(len(X), dtype=np.int16)
    frame["flag"] = X[:, 0] > 0
    target = pd.Series(pd.Categorical(y), index=frame.index, name="animal")
    sampler = short(per_class=2)
    rows, labels = sampler.fit_resample(frame, target)
    assert rows.columns.tolist() == [*"abc", "whole", "flag"] == sampler.feature_names_in_.tolist()
    assert [str(kind) for kind in rows.dtypes] == ["float64", "float32", "Float64", "float64", "float64"]
    assert rows.index.equals(pd.RangeIndex(6))
    expected = pd.Series(pd.Categorical(np.repeat(["ant", "bee", "cow"], 2)), name="animal")
    pd.testing.assert_series_equal(labels, expected)


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.coo_array, sparse.csc_array])
def test_sparse_rows_stay_sparse_and_are_made_alike(data, kind):
    X, y = data
    X = np.where(X > 0, X, 0)
    rows, _ = short(per_class=2).fit_resample(kind(X), y)
    assert type(rows) is kind
    np.testing.assert_allclose(rows.toarray(), short(per_class=2).fit_resample(X, y)[0])


@pytest.mark.parametrize("kind", [list, tuple])
def test_plain_sequences_stay_what_they_are(data, kind):
    X, y = data
    rows, labels = short(per_class=2).fit_resample(kind(X.tolist()), kind(y.tolist()))
    assert type(rows) is type(labels) is kind
    assert labels == kind(["ant", "ant", "bee", "bee", "cow", "cow"])
    assert len(rows[0]) == 3


@pytest.mark.parametrize("values", [(0.0, 1.0, 2.0), (True, False), ("a", "b"), (-1, 7)])
def test_labels_of_any_kind(values):
    y = np.repeat(values, 6)
    sampler = short(per_class=2)
    labels = sampler.fit_resample(np.random.default_rng(0).normal(size=(len(y), 2)), y)[1]
    assert counts(labels) == dict.fromkeys(values, 2)
    assert labels.dtype == y.dtype
    assert sampler.sampling_strategy_ == counts(labels)


def test_indicators_and_whole_numbers_come_out_as_indicators_and_floats(data):
    X, y = data
    indicators = (y[:, None] == ["ant", "bee", "cow"]).astype(np.int8)
    rows, labels = short(per_class=1).fit_resample(np.rint(10 * X).astype(int), indicators)
    assert rows.dtype == np.float64
    assert labels.dtype == np.int8
    assert labels.tolist() == np.eye(3).tolist()


# -- in pipelines


def test_it_samples_in_a_pipeline_while_fitting_only(data):
    X, y = data
    pipe = Pipeline([("scale", StandardScaler()), ("few", short(per_class=5)), ("fit", LogisticRegression())])
    assert pipe.fit(X, y).predict(X).shape == y.shape
    assert len(pipe.named_steps["few"].distilled_) == 15
    assert pipe.score(X, y) > 0.5


def test_its_settings_are_searched(data):
    search = GridSearchCV(
        Pipeline([("few", short(per_class=2)), ("fit", make_pipeline(StandardScaler(), LogisticRegression()))]),
        {"few__method": ["dm", "datadam"], "few__per_class": np.arange(1, 3)},
        cv=2,
        error_score="raise",
    ).fit(*data)
    assert set(search.best_params_) == {"few__method", "few__per_class"}


def test_settings_are_got_set_and_cloned(data):
    sampler = DistilledSampler(methods.dm("mlp"), 3, random_state=5)
    other = clone(sampler).set_params(steps=2, scale=None)
    assert other.get_params() == {**sampler.get_params(), "steps": 2, "scale": None}
    assert other.fit(*data).n_steps_ == 2


@pytest.mark.parametrize(
    "sampler", [DistilledSampler("dm", per_class=1, steps=1), CoresetSampler("kmeans", per_class=1)]
)
def test_text_dates_and_missing_values_are_named(data, sampler):
    X, y = data
    frame = pd.DataFrame(X, columns=["size", "city", "date"])
    dates = frame.assign(city="Rome", date=pd.Timestamp("2020-01-01"))
    with pytest.raises(AttarError, match=r"columns that are no numbers \(city, date\): encode them"):
        sampler.fit(dates, y)
    with pytest.raises(AttarError, match=r"X has text \('Rome'\): encode it"):
        sampler.fit(dates[["size", "city"]].to_numpy(), y)
    X = X.copy()
    X[4, 1], X[7, 0] = np.nan, np.inf
    with pytest.raises(
        AttarError, match=r"NaN or inf in 2 places, the first in row 4: \w+Sampler takes finite numbers"
    ):
        sampler.fit(X, y)
    with pytest.raises(AttarError, match="NaN or inf in 2 places: "):
        sampler.fit(sparse.csr_matrix(X), y)


def test_what_learning_takes_is_said_where_that_is_asked_for(data, capfd):
    short("dm", 2, verbose=True).fit(*data)
    out, said = capfd.readouterr()
    assert out == ""
    assert "dm: about" in said
    assert "step" in said


def test_it_says_nothing(data, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        short("dm", 2).fit(*data)
    assert capfd.readouterr() == ("", "")


def test_without_scikit_learn_it_is_said_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import attar.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "needs scikit-learn 1.6 or later: pip install 'attar[selection]'" in done.stderr


# -- what is refused


@pytest.mark.parametrize("name", CHOOSING)
def test_methods_that_choose_are_sent_elsewhere(data, name):
    with pytest.raises(AttarError, match="chooses real rows and makes none: that is what CoresetSampler is for"):
        short(name, 2).fit(*data)
    with pytest.raises(AttarError, match="that is what CoresetSampler is for"):
        short(methods.METHODS[name](), 2).fit(*data)


@pytest.mark.parametrize("name", FOLLOWING)
def test_methods_that_follow_experts_are_refused(data, name):
    with pytest.raises(AttarError, match="follows recorded experts, which tables have none of"):
        short(name, 2).fit(*data)


def test_all_that_a_method_for_images_needs_is_said_at_once(data):
    with pytest.raises(AttarError, match="give options={'lr': 0.5, 'factor': 1, 'augmentation': '', 'cutmix': 0.0}"):
        short("idc", 2, options={"lr": 0.5}).fit(*data)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "dmm"}, "no method 'dmm': did you mean dm"),
        ({"method": 3}, "3 is no method"),
        ({"options": {"lrr": 1}}, "dm has no option 'lrr': did you mean lr. It has lr, momentum"),
        ({"options": {"steps": 3}}, "dm has no option 'steps': it has lr"),
        ({"options": {"model": "mlp"}}, "give network='mlp'"),
        ({"options": {"augmentation": "flip"}}, "give options={'augmentation': ''}"),
        (
            {"network": "convnet3"},
            "'convnet3' is no network for rows: give 'mlp' or one of another width, as 'mlp-256'",
        ),
        ({"network": "resnet18"}, "'resnet18' is no network for rows"),
        ({"network": "mlp-wide"}, "'mlp-wide' is no network for rows"),
        ({"method": "kip", "network": "mlp"}, "'kip' learns by no network of a name: leave network= out"),
        ({"method": "kip", "options": {"kernel": "conv-ntk"}}, "kernel of convolutions"),
        ({"method": methods.dm()}, "'convnet3' is no network for rows"),
        ({"method": methods.dm("mlp"), "network": "mlp"}, "network= is for methods by name"),
        ({"method": methods.dm("mlp"), "options": {}}, "options= is for methods by name"),
        ({"method": dataclasses.replace(methods.dm("mlp"), synthetic=MultiFormation(2))}, "MultiFormation makes other"),
        ({"method": dataclasses.replace(methods.dm("mlp"), synthetic=Bases())}, "Bases makes other rows"),
        ({"method": dataclasses.replace(methods.dm("mlp"), synthetic=Codes())}, "Codes makes other rows"),
        ({"method": dataclasses.replace(methods.dm("mlp"), augmentation=Siamese("flip"))}, "changes images"),
        ({"method": dataclasses.replace(methods.dm(), surrogates=Fresh("lenet"))}, "'lenet' is no network for rows"),
        ({"scale": "minmax"}, "scale='minmax'"),
        ({"steps": -1}, "steps=-1 is no number of steps"),
        ({"steps": "many"}, "steps='many' is no number of steps"),
        ({"device": "tpu"}, "Unknown device 'tpu'"),
        ({"per_class": 3, "size": 9}, "takes one of per_class, size and fraction"),
        ({"per_class": "ten"}, "per_class='ten' is no number"),
        ({"per_class": 2.5}, "per_class=2.5 is out of range"),
        ({"per_class": 9}, "class 'cow' has 8 training rows, fewer than the 9"),
        ({"sampling_strategy": {"ant": 3}}, "rows of a distilled set are made together"),
    ],
)
def test_settings_that_do_not_suit_are_refused_in_a_sentence(data, settings, sentence, monkeypatch):
    monkeypatch.setattr(attar.Matching, "step", None)  # before any work
    with pytest.raises(AttarError, match=sentence):
        short(**settings).fit(*data)


def test_labels_and_rows_that_nothing_is_learned_from_are_refused(data):
    X, _ = data
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        short(per_class=1).fit(X, X[:, 0])
    with pytest.raises(AttarError, match="Multilabel and multioutput targets are not supported"):
        short(per_class=1).fit(X[:3], [[1, 1], [0, 1], [1, 0]])
    with pytest.raises(AttarError, match="one class, and a set is learned that tells classes apart"):
        short(per_class=1).fit(X[:5], ["a"] * 5)
    with pytest.raises(AttarError, match="All rows of X are alike"):
        short(per_class=1).fit(np.ones((4, 2)), [0, 0, 1, 1])


def test_one_part_of_an_image_is_the_row_itself(data):
    one = short(dataclasses.replace(methods.dm("mlp"), synthetic=MultiFormation(1)), 2).fit_resample(*data)[0]
    same = short(dataclasses.replace(methods.dm("mlp"), synthetic=Pixels()), 2).fit_resample(*data)[0]
    np.testing.assert_array_equal(one, same)
