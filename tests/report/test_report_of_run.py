"""The page of a run says what the run's directory holds: of chosen rows, how many of each class, and what was left out."""

import dataclasses
import json
import sys

import pytest

from attar import rng
from attar.evaluation import evaluate, ridge
from attar.methods import k_center, label_solve, random
from attar.record import describe
from attar.report import of_run, score_run
from attar.report.folder import Folder
from attar.runs import RunDirectory
from attar.synthetic import Pixels
from attar.types import Budget


@pytest.fixture
def ran(tmp_path, toy):
    """Runs a direct method, 2 rows a class where it has no quotas; gives its directory."""

    def ran(method, problem=toy):
        settings = {
            "name": method.name,
            "method": describe(method),
            "budget": {"per_class": 2, "size": None, "fraction": None},
            "steps": None,
            "seed": 0,
            "plan": {"device": "cpu"},
            "problem": {"name": "toy", "source": None, "fingerprint": problem.spec.fingerprint},
        }
        directory = RunDirectory.create(tmp_path / method.name, settings)
        value = method.finish(problem, Budget(per_class=2), rng.generator(0, "x"))
        value = dataclasses.replace(value, made_by={**value.made_by, "seconds": 1.0})
        directory.finish(value, {"seconds": 1.0, "memory": 640 << 20, "own_memory": 7 << 20}, True)
        return directory.path

    return ran


def test_the_counts_of_a_set_are_told_and_not_those_of_the_budget(ran, toy, reader):
    first, second, third = toy.spec.class_names
    path = ran(k_center(quotas={first: 5, third: 0}))
    held = f"7 images ({first} 5, {second} 2, {third} 0)"
    page = of_run(path, toy)
    text = reader((path / "report.html").read_text()).text
    assert page.budget == held
    assert held in text
    assert "images a class" not in text
    assert page.title == "toy, rows chosen by k_center"
    assert "7 MiB more memory" in text
    assert "rule pick function k_center rule features values" in text
    assert Folder(path.parent).entry("k_center").budget == held
    equal = ran(random())
    assert of_run(equal, toy).budget == Folder(equal.parent).entry("random").budget == "2 images a class"
    assert of_run(equal, toy).title == "toy, rows drawn at random"


def test_random_rows_beside_a_set_with_quotas_are_as_many_of_each_class(ran, toy, monkeypatch):
    asked = []

    class Enough(Exception):
        pass

    def look(subject, *rest):
        asked.append(subject)
        if len(asked) == 2:
            raise Enough
        return []

    monkeypatch.setattr(sys.modules[score_run.__module__], "evaluate", look)
    with pytest.raises(Enough):
        score_run(ran(k_center(quotas={toy.spec.class_names[0]: 5})), runs=1, problem=toy)
    mine, drawn = (subject.labels.bincount().tolist() for subject in asked)
    assert mine == drawn == [5, 2, 2]


def test_images_of_which_labels_alone_were_learned_are_not_called_distilled(ran, toy, reader):
    path = ran(label_solve())
    of_run(path, toy)
    text = reader((path / "report.html").read_text()).text
    assert "The images with learned labels" in text
    assert "their labels alone were learned" in text
    assert "archetypal" not in text
    assert "distilled images" not in text.lower()
    path = ran(dataclasses.replace(label_solve(), name="ld"))
    method = {"type": "attar.matching:Matching", "fields": {"synthetic": describe(Pixels(learned=False))}}
    (path / "settings.json").write_text(json.dumps({**RunDirectory(path).settings, "method": method}))
    assert of_run(path, toy).labels_only


def test_near_duplicates_that_were_left_out_are_counted_and_their_list_is_named(ran, toy, reader):
    x = toy.train.x.clone()
    zeros = [row for row, label in enumerate(toy.train.y.tolist()) if label == 0]
    x[zeros[1]] = x[zeros[0]]
    path = ran(k_center(deduplicate=True), dataclasses.replace(toy, train=toy.train.replace(x=x)))
    of_run(path, toy)
    said = "1 near-duplicate was left out before rows were chosen, listed in distilled/left_out.csv."
    assert said in reader((path / "report.html").read_text()).text
    (path / "distilled" / "left_out.csv").unlink()  # as of older sets
    assert of_run(path, toy).of_choice == ["1 near-duplicate was left out before rows were chosen."]
    assert of_run(ran(random(deduplicate=True)), toy).of_choice == [
        "No near-duplicates were found to leave out before rows were chosen."
    ]


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, []),
        (1, ["1 chosen row nearly repeats a test row of the same class, so the set's scores may be too high."]),
        (1200, ["1,200 chosen rows nearly repeat test rows of the same class, so the set's scores may be too high."]),
    ],
)
def test_chosen_rows_that_repeat_test_rows_are_told_first(ran, toy, count, said):
    path = ran(random())
    value = random().finish(toy, Budget(per_class=2), rng.generator(0, "x"))
    value = dataclasses.replace(value, made_by={"near_duplicates_of_test_rows": count})
    RunDirectory(path).finish(value, {}, True)
    assert list(of_run(path, toy).notes) == said


def test_a_run_is_scored_by_ridge_regression_where_full_data_are_too_many_for_it(ran, toy, monkeypatch, reader):
    monkeypatch.setattr(ridge, "MOST", len(toy.train) - 1)
    path = ran(k_center())
    scores = score_run(path, runs=2, problem=toy, models=["ridge-ntk"])["scores"]
    assert [(score["subject"], score["runs"]) for score in scores] == [("distilled set", 1), ("random", 2)]
    assert "solved in closed form" in reader((path / "report.html").read_text()).text


def test_full_data_s_score_by_ridge_regression_serves_the_next_run(ran, toy, monkeypatch, reader):
    first, second = ran(random()), ran(k_center())
    assert score_run(first, runs=2, problem=toy, models=["ridge-ntk"])["scores"][-1]["subject"] == "full data"
    assert "(0 updates)" not in reader((first / "report.html").read_text()).text
    module = sys.modules[score_run.__module__]
    asked = []
    monkeypatch.setattr(module, "evaluate", lambda value, *rest: asked.append(value) or evaluate(value, *rest))
    scores = score_run(second, runs=2, problem=toy, models=["ridge-ntk"])["scores"]
    assert [score["subject"] for score in scores] == ["distilled set", "random", "full data"]
    assert "full" not in [value for value in asked if isinstance(value, str)]
