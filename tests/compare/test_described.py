"""What a comparison's record says of its methods."""

import json
from dataclasses import asdict

import pytest
from tests.compare.comparing import DM, TINY, Soft

from attar import recipes
from attar.checkpoint import write_json
from attar.compare.described import described
from attar.compare.named import methods_of
from attar.compare.study import Study
from attar.plan import Plan
from attar.record import describe


@pytest.fixture
def study(toy, tmp_path):
    """Makes a study of methods, with the numbers of steps that were settled."""

    def make(named, budgets, steps=()):
        made = Study(tmp_path, TINY, methods_of(named, budgets, toy), 1, None, None, "cpu", True, "")
        (tmp_path / "sets").mkdir()
        for (name, per_class), count in dict(steps).items():
            write_json(made.settled_path(name, per_class), {"steps": count, "plan": asdict(Plan.on("cpu"))})
        return made

    return make


def test_settings_are_those_that_make_the_sets_and_told_apart_from_the_defaults(study):
    found = described(study(["kmeans", ("dm", {"lr": 10}), ("mine", DM), ("soft", Soft())], (1, 2)))
    assert list(found) == ["random", "kmeans", "dm+lr=10", "mine", "soft"]
    assert all([entry["per_class"] for entry in entries] == [[1, 2]] for entries in found.values())
    changed = {name: entry["changed"] for name, [entry] in found.items()}
    assert changed == {
        "random": [],
        "kmeans": [],
        "dm+lr=10": ["optimisers.data.lr"],
        "mine": ["surrogates.model", "real_rows.size"],  # by the name that the method has, not the table
        "soft": None,
    }
    [mine] = found["mine"]
    assert mine["method"] == describe(DM)
    assert json.loads(json.dumps(found)) == found


def test_a_part_of_another_kind_is_named_with_what_it_brings(study):
    found = described(study([("dm", {"initial": "noise"}), ("kmeans", {"centres": "medoids"})], (1,)))
    assert found["dm+initial=noise"][0]["changed"] == ["initial"]
    assert {"type", "rule", "by"} <= set(found["kmeans+centres=medoids"][0]["changed"])


def test_budgets_that_differ_in_settings_or_steps_have_entries_of_their_own(study, monkeypatch):
    tables = [{"per_class": 3, "lr": 5.0}]
    monkeypatch.setattr(recipes, "recipe", lambda name: {"settings": tables} if name == "dm" else {})
    steps = {("dm", 1): 40, ("dm", 2): 20, ("dm", 3): 20, ("dm", 5): 20}
    found = described(study(["dm"], (1, 2, 3, 4, 5), steps))
    told = [(entry["per_class"], entry["steps"], entry["changed"]) for entry in found["dm"]]
    assert told == [
        ([1], 40, []),
        ([2, 5], 20, []),
        ([3], 20, ["optimisers.data.lr"]),
        ([4], None, []),  # not settled yet
    ]
