"""Runs are scored beside random rows and full data: soft labels beside random rows with the same, kernels' sets by their kernel."""

import sys

import pytest

import attar
from attar.evaluation import Protocol
from attar.report import of_run, score_run
from attar.types import AttarError

TINY = Protocol("tiny", models=("mlp-8",), runs=2, epochs=14, plain_epochs=10, updates=15, full_updates=20, lr=0.05)


@pytest.fixture
def scored(toy, tmp_path):
    """The scores of a run of a method, 2 rows a class, as (subject, model, labels); its sentence; its page."""

    def scored(method, steps=None, problem=toy, models=None):
        attar.distill(method, problem, attar.Budget(per_class=2), steps=steps, seed=0, out=tmp_path / "run")
        found = score_run(tmp_path / "run", protocol=TINY, problem=problem, models=models)
        rows = [(score["subject"], score["model"], score["labels"]) for score in found["scores"]]
        return rows, found["sentence"], of_run(tmp_path / "run", problem)

    return scored


def test_a_set_made_by_a_kernel_is_judged_by_it_beside_the_network(scored):
    rows, said, page = scored(attar.methods.kip("nngp", batch=32), steps=2)
    subjects = ("kip", "random", "full data")
    assert rows == [(name, model, "hard") for name in subjects for model in ("mlp-8", "ridge-nngp")]
    assert "By ridge regression (ridge-nngp)" in said
    assert any("very kernel" in note for note in page.notes)


def test_models_that_are_asked_for_are_all(scored):
    rows, _, page = scored(attar.methods.kip(batch=32), steps=2, models=["mlp-4"])
    assert {model for _, model, _ in rows} == {"mlp-4"}
    assert not any("kernel" in note for note in page.notes)


def test_other_methods_are_judged_by_networks_alone(scored):
    rows, _, _ = scored(attar.methods.random())
    assert {model for _, model, _ in rows} == {"mlp-8"}


def test_random_rows_with_the_set_s_own_labels_stand_beside_it(scored):
    rows, said, page = scored(attar.methods.label_solve(), models=["mlp-8"])
    kinds = [(name, labels) for name, _, labels in rows]
    assert kinds == [("label_solve", "regression"), ("random", "regression"), ("random", "hard"), ("full data", "hard")]
    assert "not evaluated" not in said
    assert "random rows with the same labels" in said
    assert [score.labels for score in page.scores] == [labels for _, labels in kinds], "one word for one thing"


def test_where_a_class_has_too_few_rows_for_the_labels_that_was_not_evaluated(scored, monkeypatch):
    def few(*words):
        raise AttarError("Class 'a' has 1 row, and 2 were asked for.")

    monkeypatch.setattr(sys.modules[score_run.__module__], "random_rows_with_labels", few)
    rows, said, _ = scored(attar.methods.label_solve(), models=["mlp-8"])
    assert ("random", "mlp-8", "regression") not in rows
    assert "with the same labels were not evaluated" in said
