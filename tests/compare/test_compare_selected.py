"""The row of the sets that validation rows choose along each run of an iterative method."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from tests.compare.comparing import DM, TINY, compare_small, row_of, without_costs

from attar import report
from attar.cli.named import methods_named
from attar.compare.named import methods_of
from attar.compare.selected import Selected
from attar.distilled import Distilled
from attar.evaluation import candidates_of, evaluate, select
from attar.plan import Plan
from attar.runs import RunDirectory
from attar.types import AttarError

NAMED = ["kmeans", ("dm", DM)]


@pytest.fixture(scope="module")
def table(toy, tmp_path_factory):
    """A comparison with candidates, and its folder."""
    out = tmp_path_factory.mktemp("selected") / "out"
    return compare_small(toy, out, NAMED, steps=6, candidates=3, models=["mlp-8", "mlp-4"]), out


def written(out):
    return {path: path.stat().st_mtime_ns for name in ("sets", "scores") for path in (out / name).rglob("*.*")}


def test_the_chosen_set_has_a_row_beside_the_last(table, toy):
    found, out = table
    assert not found.failed
    assert [row.method for row in found.rows if row.model == "mlp-8"] == [
        "full",
        "random",
        "kmeans",
        "dm",
        "dm-selected",
    ]
    planned = toy.planned(Plan(threads=1))
    for seed in (0, 1):
        source, chosen = (out / f"sets/{name}-1-per-class-{seed}" for name in ("dm", "dm-selected"))
        candidates = candidates_of(source)
        assert list(candidates) == [2, 4, 6]
        by_hand = select(candidates, planned, "mlp-8", 1, TINY, seed)
        value = Distilled.load(chosen)
        assert torch.equal(value.data.x, candidates[by_hand.step].data.x)
        assert value.made_by["selection"]["step"] == value.made_by["steps"] == by_hand.step
        for model in ("mlp-8", "mlp-4"):  # chosen by the first, whatever judges
            [row] = [row for row in found.rows if (row.method, row.model) == ("dm-selected", model)]
            assert row.scores[seed] == evaluate(value, planned, [model], 1, TINY, seed)[0].mean


def test_its_seconds_are_those_of_the_run_and_of_the_choice(table):
    found, out = table
    rows = [row for row in found.rows if row.model == "mlp-8"]
    last, chosen = (next(row for row in rows if row.method == name) for name in ("dm", "dm-selected"))
    spent = [
        Distilled.load(out / f"sets/dm-selected-1-per-class-{seed}").made_by["selection"]["seconds"] for seed in (0, 1)
    ]
    assert chosen.seconds == pytest.approx(last.seconds + sum(spent) / 2, abs=0.01)
    assert chosen.bytes == last.bytes
    [note] = [note for note in found.notes if note.startswith("dm-selected: of up to 3 sets along each run")]
    assert "mlp-8 learns best by the validation rows" in note


def test_a_chosen_set_is_no_coreset(table):
    found, _ = table
    assert {row.method for row in found.rows if row.coreset} == {"random", "kmeans"}
    assert {row.best_coreset for row in found.rows if row.method == "dm-selected"} <= {"random", "kmeans"}


def test_what_is_done_is_not_done_again_and_the_first_model_goes_on_choosing(table, toy, tmp_path):
    first, made = table
    out = tmp_path / "out"
    shutil.copytree(made, out)
    before = written(out)
    again = compare_small(toy, out, NAMED, steps=6, candidates=3, models=["mlp-6"], seeds=3)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not again.failed
    settings = RunDirectory(out / "sets/dm-selected-1-per-class-2").settings
    assert settings["method"]["fields"]["model"] == "mlp-8"
    assert {row.runs for row in again.rows if row.method == "dm-selected" and row.model == "mlp-6"} == {3}
    assert [row for row in again.rows if row.model == "mlp-8" and row.method == "dm-selected"][0].scores[:2] == [
        row for row in first.rows if row.method == "dm-selected"
    ][0].scores
    later = compare_small(toy, out, ["herding"], seeds=1)
    assert any(note.startswith("dm-selected: of up to 3") for note in later.notes)


@pytest.mark.parametrize("lost", ["result.json", "distilled/data.safetensors", None])
def test_a_choice_that_was_stopped_is_made_again(table, toy, tmp_path, lost):
    _, made = table
    out = tmp_path / "out"
    shutil.copytree(made, out)
    chosen = out / "sets/dm-selected-1-per-class-1"
    data = (chosen / "distilled/data.safetensors").read_bytes()
    if lost is None:
        shutil.rmtree(chosen)
    else:
        (chosen / lost).unlink()
    compare_small(toy, out, NAMED, steps=6, candidates=3, models=["mlp-8", "mlp-4"])
    assert (chosen / "distilled/data.safetensors").read_bytes() == data
    assert without_costs(out)["rows"] == without_costs(made)["rows"]


def test_a_run_that_fails_leaves_nothing_to_choose_and_both_rows_say_so(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(type(DM), "step", lambda *given: 1 / 0)
    found = compare_small(toy, tmp_path / "out", NAMED, steps=2, candidates=2, seeds=1)
    assert {row.method: row.failed for row in found.failed} == dict.fromkeys(
        ("dm", "dm-selected"), "ZeroDivisionError: division by zero"
    )
    assert found.left == 0


def test_candidates_under_a_time_budget_are_chosen_among_too(toy, tmp_path):
    found = compare_small(toy, tmp_path / "out", [("dm", DM)], time_budget=0.05, candidates=3)
    assert not found.failed
    assert row_of(found, "dm-selected", 1).runs == 2


def test_the_count_of_cells_holds_what_will_be_chosen(toy, tmp_path, capsys):
    compare_small(toy, tmp_path / "out", [("dm", DM)], steps=2, candidates=2)
    lines = [line for line in capsys.readouterr().err.splitlines() if "to do" in line]
    left = [int(line.rpartition("(")[2].split()[0]) for line in lines[1:]]
    # full data twice, random rows and dm with a set and a score of each seed, dm's steps, and as many chosen sets
    assert "15 cells to do" in lines[0]
    assert left == list(range(14, -1, -1))


def test_the_page_shows_the_chosen_sets(table):
    _, out = table
    report.of_comparison(out)
    page = (out / "report.html").read_text()
    assert "dm-selected" in page.replace("<wbr>", "")


# -- names, refused


def test_names_stand_beside_those_of_the_methods(toy):
    found = methods_of(
        ["kmeans", ("dm", {"lr": 3.0}), ("mine", DM)], [1], toy, starts=True, candidates=5, model="mlp-8"
    )
    assert [name for name, _ in found] == [
        *("random", "kmeans", "dm+lr=3", "dm-selected+lr=3", "dm-start+lr=3", "mine", "mine-selected", "mine-start")
    ]
    assert found["mine-selected", 1] == Selected(DM, "mine", 5, "mlp-8")
    assert methods_named("kmeans,dm+lr=3") == ["kmeans", ("dm", {"lr": 3.0})]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"candidates": 1}, "candidates=1 leaves nothing to choose among"),
        ({"named": ["kmeans"]}, "None of these methods goes step by step, so there are no candidates on a way"),
        ({"named": [("dm-selected", DM), "dm"]}, "Two different methods are called 'dm-selected'"),
        ({"rows": 0}, r"toy has no validation rows, so nothing can choose among candidates: .*--validation 0\.1"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(toy, tmp_path, change, sentence):
    kept = torch.arange(change.pop("rows", 12))
    problem = replace(toy, validation=toy.validation.take(kept))
    with pytest.raises(AttarError, match=sentence):
        compare_small(problem, tmp_path / "out", **{"named": [("dm", DM)], "candidates": 3, "steps": 2, **change})
    assert not (tmp_path / "out").exists()


def test_runs_that_kept_no_candidates_are_not_taken_for_such(toy, tmp_path):
    out = tmp_path / "out"
    compare_small(toy, out, [("dm", DM)], steps=2, seeds=1)
    with pytest.raises(
        AttarError, match=r"dm-1-per-class-0 kept no candidates along its way, among which validation rows could choose"
    ):
        compare_small(toy, out, [("dm", DM)], steps=2, seeds=1, candidates=2)
    shutil.rmtree(out / "sets/dm-1-per-class-0")  # as the sentence says
    before = json.loads((out / "comparison.json").read_text())["rows"]
    found = compare_small(toy, out, [("dm", DM)], steps=2, seeds=1, candidates=2)
    assert row_of(found, "dm-selected", 1).mean is not None
    assert row_of(found, "dm", 1).scores == tuple(next(row["scores"] for row in before if row["method"] == "dm"))
    with pytest.raises(AttarError, match="kept 2 candidates along its way, and 3 are asked for: give 2, or"):
        compare_small(toy, out, [("dm", DM)], steps=2, seeds=1, candidates=3)
