"""The labels that sets of tables are measured with: what the table says of them is what `evaluate` trains on."""

import pytest
import torch

import attar
from attar import methods, rng
from attar.compare import compare
from attar.compare.cells import random_rows_with_labels
from attar.data import table_of, toy
from attar.distilled import Distilled
from attar.evaluation.subject import subject
from attar.types import Budget


@pytest.fixture(scope="module", params=["recovery", "city"])
def problem(request):
    """A target of two classes, and one of three, which is three numbers where categories are numbers."""
    frame = table_of(toy.table(200, validation=0.0)).frame()
    return attar.data.table(frame, target=request.param)


def test_rows_of_numbers_say_that_their_labels_are_soft(problem, tmp_path):
    made = {
        form: attar.distill(methods.moments(form), problem, Budget(size=120)).value for form in ("synthetic", "real")
    }
    assert {form: value.labels for form, value in made.items()} == {"synthetic": "soft", "real": "hard"}
    for form, value in made.items():
        assert subject(value, problem).labels == value.labels
        value.save(tmp_path / form)
        assert Distilled.load(tmp_path / form).labels == value.card()["labels"] == value.labels


def test_a_comparison_measures_rows_of_numbers_with_soft_labels_and_with_hard_ones(problem, tmp_path):
    options = {"seeds": 1, "out": tmp_path / "out", "workers": 1}
    found = compare(problem, ["moments"], (10,), ["linear"], **options)
    assert not found.failed
    rows = {(row.method, row.labels, row.labels_from): row for row in found.rows}
    assert set(rows) == {
        ("full", "hard", None), ("bootstrap", "hard", None), ("random", "hard", None), ("moments", "hard", None), ("moments", "soft", None),
        ("random", "soft", "moments"),
    }  # fmt: skip
    value = Distilled.load(next((tmp_path / "out/sets").glob("moments-*-0")))
    for labels in ("hard", "soft"):
        [score] = attar.evaluate(value, problem, ["linear"], protocol="quick", runs=1, labels=labels)
        assert rows["moments", labels, None].mean == score.mean


def test_random_rows_take_the_probabilities_that_numbers_stand_for(problem):
    value = attar.distill(methods.moments(), problem, Budget(per_class=10)).value
    drawn = random_rows_with_labels(value, problem, rng.generator(0, "method"))
    schema = problem.spec.schema
    wanted = schema.split(value.data)[1]
    torch.testing.assert_close(drawn.data.soft[schema.target], wanted)
    shown, real = schema.split(drawn.data)[0], problem.train.x.double()
    assert float(torch.cdist(shown, real).min(dim=1).values.max()) < 1e-6


def test_a_target_of_numbers_is_compared_where_rows_do_worse_than_its_mean(tmp_path):
    """R² below 0 is no fraction, of which DD-Ranking's scores are."""
    found = compare(
        toy.table(80, numbers=True), ["kmeans"], (2,), ["linear", "trees"], seeds=2, out=tmp_path / "out", workers=1,
        ranking=True,
    )  # fmt: skip
    assert not found.failed
    assert min(row.mean for row in found.rows) < 0
    assert all(row.label_robust is row.augmentation_robust is None for row in found.rows)
