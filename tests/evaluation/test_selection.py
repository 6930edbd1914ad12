"""Choosing among the candidates of a run: by validation rows alone, whatever test rows say."""

import json
from dataclasses import replace

import pytest
import torch

import attar
from attar.batches import Images
from attar.data import toy as toys
from attar.distilled import Distilled, Training
from attar.evaluation import Protocol, Selection, candidates_of, evaluate, evaluate_selected, select
from attar.evaluation.selected import selection_in
from attar.evaluation.selection import chosen_of, judged_on_validation
from attar.runs import RunDirectory
from attar.types import AttarError

TINY = Protocol("tiny", models=("mlp-8",), runs=2, epochs=14, plain_epochs=10, updates=15, lr=0.05)
RIDGE = "ridge-ntk"  # draws nothing, so that equal sets have equal scores


def rows(problem, step, turned=0, per_class=4):
    """The first rows of each class in raw units, each class called by the name of one that is `turned` places further."""
    kept = problem.train.take(torch.cat([ids[:per_class] for ids in problem.members.values()]))
    spec = problem.spec
    images = Images(spec.normalisation.undo(kept.x), (kept.y + turned) % len(spec.class_names))
    made_by = {"name": "dm", "steps": step, "seconds": float(step), "data": "toy", "fingerprint": spec.fingerprint}
    return Distilled(images, Training(spec.normalisation, class_names=spec.class_names), made_by)


@pytest.fixture
def torn(toy):
    """Validation rows and test rows that disagree on what the classes are called."""
    return replace(toy, test=toy.test.replace(y=(toy.test.y + 1) % 3))


@pytest.fixture
def run(tmp_path):
    """Makes a run's folder of candidates by step."""

    def of(candidates, settings=None):
        told = {"name": "dm", "candidates": len(candidates), **(settings or {})}
        directory = RunDirectory.create(tmp_path / "run", told)
        *along, last = candidates.items()
        for step, value in along:
            directory.keep_candidate(step, value)
        directory.finish(last[1], {"steps": last[0], "seconds": 9.0}, True)
        return directory.path

    return of


# -- the choice


@pytest.mark.parametrize("model", [RIDGE, "mlp-8"])
def test_validation_rows_choose_where_test_rows_would_choose_another(toy, torn, model):
    candidates = {10: rows(toy, 10), 20: rows(toy, 20, turned=1), 30: rows(toy, 30, turned=2)}
    by_test = {step: evaluate(value, torn, model, 2, TINY)[0].mean for step, value in candidates.items()}
    assert max(by_test, key=by_test.get) == 20
    found = select(candidates, torn, model, protocol=TINY)
    assert found.step == 10
    assert found.chosen.mean == max(one.mean for one in found.candidates) > 0.6
    assert [one.step for one in found.candidates] == [10, 20, 30]
    assert (found.rows, found.tuned, found.model, found.metric) == (len(toy.validation), 0, model, "accuracy")


class Forbidden:
    def __getattr__(self, name):
        raise AssertionError(f"the test rows were asked for {name}")

    __len__ = None


@pytest.mark.parametrize("model", [RIDGE, "mlp-8", "knn"])
def test_test_rows_are_never_read(toy, model):
    candidates = {1: rows(toy, 1, turned=1), 2: rows(toy, 2)}
    blind = replace(toy, test=Forbidden())
    assert select(candidates, blind, model, 1, TINY) == replace(
        select(candidates, toy, model, 1, TINY), seconds=pytest.approx(0, abs=60)
    )


def test_of_equals_the_latest_is_chosen(toy):
    same, worse = rows(toy, 1), rows(toy, 1, turned=1)
    assert select({1: same, 2: same, 3: worse}, toy, RIDGE, protocol=TINY).step == 2
    assert select({3: same, 1: worse, 2: same}, toy, RIDGE, protocol=TINY).step == 3


def test_the_first_model_chooses_by_networks_that_are_not_scored(toy):
    candidates = {1: rows(toy, 1), 2: rows(toy, 2, per_class=2)}
    told = []
    found = select(candidates, toy, ["mlp-8", "mlp-4"], 2, TINY, seed=3, tell=told.append)
    assert told[0].endswith(f"by mlp-8, 2 runs each, on {len(toy.validation)} validation rows")
    assert len(told) == 1 + len(candidates)
    assert found.model == "mlp-8"
    assert len(found.final.scores) == 2
    judged = judged_on_validation(toy, "mlp-8")
    assert evaluate(candidates[2], judged, "mlp-8", 2, TINY, seed=3)[0].scores != found.final.scores
    assert select(candidates, toy, "mlp-8", 2, TINY, seed=3).candidates == found.candidates
    assert select(candidates, toy, "mlp-8", 2, TINY, seed=4).candidates != found.candidates
    assert select(candidates, toy, protocol=TINY).model == TINY.models[0]


def test_a_learner_of_tables_chooses_its_setting_on_other_validation_rows(toy):
    judged = judged_on_validation(toy, "knn")
    assert len(judged.validation) + len(judged.test) == len(toy.validation) == 12
    assert torch.cat([judged.validation.y, judged.test.y]).bincount().tolist() == [4, 4, 4]
    assert all(2 in part.y.bincount().tolist() for part in (judged.validation, judged.test))
    both = torch.cat([judged.validation.x, judged.test.x]).flatten(1)
    assert torch.cdist(both, toy.validation.x.flatten(1)).argmin(1).unique().numel() == 12  # none in both
    found = select({1: rows(toy, 1, turned=1), 2: rows(toy, 2)}, toy, "knn", protocol=TINY)
    assert (found.step, found.rows, found.tuned) == (2, 6, 6)
    assert "(6 others chose its setting)" in found.sentence()


def test_a_record_comes_back_from_json_and_says_what_was_chosen(toy):
    found = select({400: rows(toy, 400), 1000: rows(toy, 1000, turned=1)}, toy, "mlp-8", protocol=TINY)
    assert Selection.from_json(json.loads(json.dumps(found.to_json()))) == found
    first, last = (f"{100 * one.mean:.1f} %" for one in found.candidates)
    assert found.sentence() == (
        f"Of 2 candidates along the run (steps 400 to 1,000), step 400 was chosen, with {first} accuracy of mlp-8 on 12 validation rows "
        f"beside {last} of the last, which is the run's result (protocol tiny, 2 runs each). Test rows had no say; those that are scored "
        "on them are other networks."
    )
    last = select({1: rows(toy, 1, turned=1), 2: rows(toy, 2)}, toy, RIDGE, protocol=TINY).sentence()
    assert "the last, which is the run's result, was chosen" in last
    assert last.endswith("1 run each). Test rows had no say.")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"candidates": {}}, r"no candidates to choose among: distil with candidates=10 \(--candidates 10\)"),
        ({"rows": 0}, r"toy has no validation rows, .* validation=0\.1 \(--validation 0\.1\)"),
        ({"rows": 1, "models": "knn"}, "1 validation rows of toy are too few to choose by: set more of them aside"),
        ({"fingerprint": "sha256:other"}, "which is not the toy .* load the data that it was made from"),
        ({"models": "mpl"}, "no network named 'mpl'"),
    ],
)
def test_what_cannot_choose_is_refused_in_a_sentence(toy, change, sentence):
    candidates = change.get("candidates", {1: rows(toy, 1), 2: rows(toy, 2)})
    problem = replace(
        toy,
        validation=toy.validation.take(torch.arange(change.get("rows", 12))),
        spec=replace(toy.spec, fingerprint=change.get("fingerprint", toy.spec.fingerprint)),
    )
    with pytest.raises(AttarError, match=sentence):
        select(candidates, problem, change.get("models", "mlp-8"), 1, TINY)


def test_numbers_to_predict_are_chosen_by_their_r_squared():
    problem = attar.data.toy.table(120, numbers=True, validation=0.2)
    sets = {
        step: attar.distill(attar.methods.random(), problem, attar.Budget(size=size)).value
        for step, size in ((1, 60), (2, 2))
    }
    found = select(sets, problem, "linear", protocol="quick")
    assert (found.step, found.metric) == (1, "R²")
    assert found.chosen.mean > found.final.mean


# -- on disk


def test_the_chosen_set_is_saved_whole_and_scored_beside_the_last(toy, torn, run):
    path = run({4: rows(toy, 4), 7: rows(toy, 7, turned=1), 10: rows(toy, 10, turned=1)})
    found = evaluate_selected(path, torn, [RIDGE, "mlp-4"], 2, TINY, seed=5)
    assert [(score.subject, score.model) for score in found] == [
        ("dm", RIDGE),
        ("dm, chosen on validation rows (step 4 of 10)", RIDGE),
        ("dm", "mlp-4"),
        ("dm, chosen on validation rows (step 4 of 10)", "mlp-4"),
    ]
    alone = [evaluate(rows(toy, 1, turned), torn, [RIDGE, "mlp-4"], 2, TINY, seed=5) for turned in (1, 0)]
    assert [score.scores for score in found] == [
        alone[0][0].scores,
        alone[1][0].scores,
        alone[0][1].scores,
        alone[1][1].scores,
    ]
    assert found[0].mean > found[1].mean + 0.2  # on test rows the last is better, which changes nothing
    value = Distilled.load(path / "selected")
    assert torch.equal(value.data.y, rows(toy, 4).data.y)
    told = value.made_by["selection"]
    assert (told["step"], told["steps"], told["candidates"], told["seed"]) == (4, 10, [4, 7, 10], 5)
    assert told["by"] == "accuracy of ridge-ntk on 12 validation rows"
    assert value.made_by["seconds"] == pytest.approx(
        10 + told["seconds"], abs=0.01
    )  # of the whole run, and of the choice
    assert value.summary().startswith("toy, distilled by dm, chosen on validation rows (step 4 of 10)")
    assert torch.equal(Distilled.load(path).data.y, rows(toy, 10, turned=1).data.y)
    assert found.notes[0].startswith("Of 3 candidates along the run (steps 4 to 10), step 4 was chosen")
    assert "step 7" not in found.table()  # no score of the others is printed


def test_where_the_last_is_chosen_it_is_not_trained_on_twice(toy, run, monkeypatch):
    path = run({1: rows(toy, 1, turned=1), 2: rows(toy, 2)})
    trained = []
    once = attar.evaluation.selected.evaluate
    monkeypatch.setattr(attar.evaluation.selected, "evaluate", lambda *given: trained.append(1) or once(*given))
    last, chosen = evaluate_selected(path, toy, RIDGE, protocol=TINY)
    assert len(trained) == 1
    assert replace(chosen, subject="dm") == last
    assert chosen.subject == "dm, chosen on validation rows (step 2 of 2)"


def test_what_was_chosen_is_forgotten_once_the_run_has_gone_on(toy, run):
    path = run({1: rows(toy, 1), 2: rows(toy, 2, turned=1)})
    scores = evaluate_selected(path, toy, RIDGE, protocol=TINY)
    selection, kept = selection_in(path, Distilled.load(path).card()["checksum"])
    assert selection.step == 1
    assert tuple(kept) == scores.items
    assert selection_in(path, "sha256:other") is None
    (path / "selection.json").write_text("{")
    assert selection_in(path, Distilled.load(path).card()["checksum"]) is None
    RunDirectory(path).finish(rows(toy, 2), {"steps": 3}, True)
    assert not (path / "selected").exists()
    assert not (path / "selection.json").exists()


def test_candidates_are_those_before_the_result(toy, run, tmp_path):
    path = run({1: rows(toy, 1), 2: rows(toy, 2), 3: rows(toy, 3)})
    RunDirectory(path).keep_candidate(5, rows(toy, 5))  # as of a run that was interrupted between two files
    assert list(candidates_of(path)) == [1, 2, 3]
    assert candidates_of(path)[3].made_by["steps"] == 3
    plain = tmp_path / "plain"
    RunDirectory.create(plain, {"name": "dm"}).finish(rows(toy, 1), {"steps": 1}, True)
    with pytest.raises(AttarError, match=r"kept no candidates .* distil again with candidates=10 \(--candidates 10\)"):
        candidates_of(plain)
    with pytest.raises(AttarError, match="is not a run"):
        candidates_of(tmp_path)


def test_a_chosen_table_says_so_too():
    problem = attar.data.toy.table(120)
    value = attar.distill(attar.methods.random(), problem, attar.Budget(size=20)).value
    found = select({1: value, 2: value}, problem, "linear", protocol="quick")
    made_by = chosen_of(found, {1: value, 2: value}).made_by
    assert made_by["selection"]["step"] == 2
    assert made_by["selected"] == value.made_by["selected"]


def test_nothing_is_chosen_by_a_judge_that_reads_no_validation_rows():
    problem = toys.table(120)
    value = attar.distill(attar.methods.kmeans(), problem, attar.Budget(per_class=2)).value
    with pytest.raises(AttarError, match="chosen by a model that predicts validation rows"):
        select({1: value, 2: value}, problem, ["decisions"])
