"""A table as a problem: what is predicted, what is set aside, and the columns back."""

import numpy as np
import pandas as pd
import pytest
import torch

import attar
from attar.data import table, table_of, toy
from attar.errors import AttarError


@pytest.fixture
def frame():
    draws = np.random.default_rng(0)
    city = draws.choice(["Bern", "Oslo", "Rome"], 200)
    age = draws.normal(50, 10, 200)
    return pd.DataFrame(
        {"age": age, "city": city, "grade": draws.integers(1, 4, 200), "ill": np.where(age > 50, "yes", "no")}
    )


def test_a_target_of_words_is_classes_and_the_rows_are_encoded_by_the_training_rows(frame):
    problem = table(frame, target="ill", validation=0.1)
    assert problem.spec.class_names == ("no", "yes")
    assert problem.task.groups == (0, 1)
    assert [len(part) for part in (problem.train, problem.validation, problem.test)] == [144, 16, 40]
    assert problem.train.x.shape == (144, 5)
    assert problem.train.x.dtype == torch.float64
    assert problem.train.x[:, 0].mean().abs() < 1e-12
    assert abs(problem.train.x[:, 0].std(correction=0) - 1) < 1e-12
    # a stratified fifth: as many of each class as there are, to a row
    share = (frame["ill"] == "yes").mean()
    assert abs(problem.test.y.double().mean() - share) < 1 / 40


def test_a_target_of_numbers_is_regression_in_one_group(frame):
    problem = table(frame, target="age")
    assert problem.task.groups == (None,)
    assert problem.spec.class_names == ()
    assert problem.train.y.shape == (160, 1)
    assert abs(problem.train.y.std(correction=0) - 1) < 1e-12
    network = problem.task.build("mlp-8")
    guess = float(problem.task.metric(network, problem.test))
    assert guess < 1  # R squared of a network that knows nothing


def test_without_a_target_every_row_is_kept_and_nothing_is_predicted(frame):
    problem = table(frame, validation=0.1)
    assert len(problem.train) == 200
    assert len(problem.test) == 0
    assert problem.train.y is None
    with pytest.raises(AttarError, match="no target, so there is nothing for a model to learn"):
        problem.task.loss(problem.task.build("mlp"), None, problem.train)


def test_the_columns_come_back_as_they_were(frame):
    problem = table(frame, target="ill", treatment="grade")
    rows = table_of(problem)
    source = frame.iloc[list(problem.origins)]
    assert rows.names == ("age", "city", "grade", "ill")
    np.testing.assert_allclose(rows.values[:, 0], source["age"], rtol=1e-14)
    assert [rows.column("city").categories[int(code)] for code in rows.codes("city")] == source["city"].tolist()
    assert problem.spec.schema.treatment == "grade"
    # none of the rows that were set aside is among those to train on
    assert not set(problem.origins) & set(problem.set_aside["test"])


def test_equal_tables_have_equal_fingerprints_and_another_split_has_another(frame):
    first, again, other = (
        table(frame, target="ill"),
        table(frame.copy(), target="ill"),
        table(frame, target="ill", seed=1),
    )
    assert first.spec.fingerprint == again.spec.fingerprint != other.spec.fingerprint


def test_a_file_is_found_by_its_path_and_opened_again_as_it_was(frame, tmp_path):
    path = tmp_path / "trial.csv"
    frame.to_csv(path, index=False)
    problem = attar.data.find(path, target="ill", types="grade=categorical", seed=3)
    again = attar.data.reopen(problem.spec.source)
    assert problem.spec.name == "trial"
    assert again.spec.fingerprint == problem.spec.fingerprint
    assert again.spec.schema == problem.spec.schema
    assert problem.spec.schema.inputs.columns[2].kind == "categorical"


def test_test_rows_of_their_own_are_read_like_the_others(frame, tmp_path):
    frame[:150].to_csv(tmp_path / "train.csv", index=False)
    frame[150:].to_csv(tmp_path / "test.csv", index=False)
    problem = table(tmp_path / "train.csv", target="ill", test=tmp_path / "test.csv")
    assert len(problem.train) == 150
    assert len(problem.test) == 50
    assert "rows of their own" in problem.spec.split


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "sick"}, "There is no column 'sick'"),
        ({"target": "ill", "treatment": "dose"}, "There is no column 'dose'"),
        (
            {"target": "ill", "types": {"ill": "drop"}},
            "The target 'ill' was dropped by types={'ill': 'drop'}: leave it in",
        ),
        ({"target": "ill", "treatment": "city", "types": "city=drop"}, "The treatment 'city' was dropped by types"),
        ({"target": "ill", "validation": 1.0}, "validation=1.0 is no share"),
        ({"target": "ill", "types": "age"}, "'age' is no kind of column"),
        ({"target": "ill", "types": "age=continuous,city"}, "'city' says no kind of a column"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(frame, options, said):
    with pytest.raises(AttarError, match=said):
        table(frame, **options)


def test_networks_for_images_are_refused_by_name():
    with pytest.raises(AttarError, match="'convnet3' is no network for rows of a table: give 'mlp'"):
        toy.table().task.build("convnet3")
    with pytest.raises(AttarError, match="There is no network named 'convnte'"):
        toy.table().task.build("convnte")


def test_moment_rows_of_numbers_are_read_by_the_columns_of_their_source():
    """Rows that keep moments hold fractions of categories: x and y are those of the numbers, and means are kept."""
    problem = toy.table()
    schema, rows = problem.spec.schema, attar.tables.Moments.of(table_of(problem)).rows()
    x, y = schema.split(rows)
    torch.testing.assert_close(x.mean(0), problem.train.x.mean(0), atol=1e-9, rtol=0)
    assert y.shape == (len(rows), 2)
    assert bool((y >= 0).all())
