"""Candidates: the whole sets that a run keeps along its way, and that they are the same however it came to its end."""

import json
import shutil
import time
from dataclasses import replace

import pytest

import attar
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.estimate import Estimate
from attar.jobs import prepare, resume
from attar.runs import RunDirectory
from attar.synthetic import MultiFormation
from attar.types import AttarError, Budget

PLAN = attar.Plan(threads=1)
BUDGET = Budget(per_class=1)
DM = attar.methods.dm("convnet1-4", batch=8)


def distilled(toy, out, method=DM, **options):
    return attar.distill(method, toy, BUDGET, **{"steps": 11, "candidates": 4, "plan": PLAN, "out": out, **options})


def contents(run):
    """The rows of each candidate and of the result, as bytes by folder."""
    return {path.parent.relative_to(run): path.read_bytes() for path in run.rglob("data.safetensors")}


@pytest.fixture(scope="module")
def straight(toy, tmp_path_factory):
    run = tmp_path_factory.mktemp("straight") / "run"
    distilled(toy, run)
    return run


def test_candidates_are_the_sets_of_shorter_runs(straight, toy, tmp_path):
    found = RunDirectory(straight).candidates()
    assert list(found) == [3, 6, 9]  # the first steps behind 2.75, 5.5 and 8.25; the last is the result
    assert RunDirectory(straight).settings["candidates"] == 4
    distilled(toy, tmp_path / "shorter", steps=6, candidates=None)
    shorter, sixth = Distilled.load(tmp_path / "shorter"), Distilled.load(found[6])
    rows = [path / "data.safetensors" for path in (tmp_path / "shorter/distilled", found[6])]
    assert rows[0].read_bytes() == rows[1].read_bytes()
    assert (sixth.made_by["steps"], sixth.made_by["name"], sixth.made_by["stopped"]) == (6, "dm", None)
    assert sixth.made_by["method"] == shorter.made_by["method"]
    assert 0 < sixth.made_by["seconds"] < Distilled.load(straight).made_by["seconds"]
    assert not (tmp_path / "shorter/candidates").exists()


def test_a_run_of_fewer_steps_keeps_each_once(toy, tmp_path):
    distilled(toy, tmp_path / "run", steps=3, candidates=10)
    assert list(RunDirectory(tmp_path / "run").candidates()) == [1, 2]


def test_candidates_change_no_result(straight, toy, tmp_path):
    distilled(toy, tmp_path / "run", candidates=None)
    rows = [run / "distilled/data.safetensors" for run in (straight, tmp_path / "run")]
    assert rows[0].read_bytes() == rows[1].read_bytes()


def test_under_a_time_budget_they_are_spread_over_the_time(toy, tmp_path, monkeypatch):
    ticks = iter(range(10**6))
    monkeypatch.setattr(
        time, "perf_counter", lambda: next(ticks) / 2
    )  # the start takes half a second, as each step does
    distilled(toy, tmp_path / "run", steps=10**6, time_budget=10)
    assert list(RunDirectory(tmp_path / "run").candidates()) == [4, 9, 14]  # after 2.5, 5 and 7.5 seconds
    assert RunDirectory(tmp_path / "run").result["steps"] == 19


# -- stopped and gone on with


@pytest.mark.parametrize("moment", [2, 3, 7, 9])
def test_a_run_that_was_left_and_goes_on_ends_with_the_same_candidates(straight, toy, tmp_path, moment):
    run = tmp_path / "run"
    job = prepare(DM, toy, BUDGET, steps=11, candidates=4, plan=PLAN, out=run)
    for step in job:
        if step.index == moment:
            break
    job.finish()
    assert list(RunDirectory(run).candidates()) == [step for step in (3, 6, 9) if step <= moment]
    resume(run, problem=toy)
    assert contents(run) == contents(straight)


def test_candidates_behind_the_last_checkpoint_are_dropped_and_come_again(straight, toy, tmp_path):
    """As where the power fails after a candidate is there and before the next checkpoint is."""
    run = tmp_path / "run"
    for step in prepare(DM, toy, BUDGET, steps=11, candidates=4, plan=PLAN, out=run):
        if step.index == 4:
            shutil.copy(run / "checkpoint", tmp_path / "fourth")
        if step.index == 7:
            break
    shutil.copy(tmp_path / "fourth", run / "checkpoint")
    half = run / "candidates" / ".00000009.0123456789ab.new"
    half.mkdir()
    (half / "data.safetensors").write_bytes(b"half")
    attar.Distilled.load(run / "candidates/00000003").save(run / "candidates/00000009")  # no such set at this step
    RunDirectory(run).rewind(4)
    assert [path.name for path in (run / "candidates").iterdir()] == ["00000003"]
    resume(run, problem=toy)
    assert contents(run) == contents(straight)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_candidate_is_there_whole_or_not_at_all(straight, toy, tmp_path, monkeypatch, error):
    run = tmp_path / "run"
    job = prepare(DM, toy, BUDGET, steps=11, candidates=4, plan=PLAN, out=run)
    with monkeypatch.context() as once:

        def torn(image, path, *rest):  # the last file of a set
            if "00000006" in str(path):
                raise error

        once.setattr("PIL.Image.Image.save", torn)
        with pytest.raises((KeyboardInterrupt, AttarError)):
            for _ in job:
                pass
    assert [path.name for path in (run / "candidates").iterdir()] == ["00000003"]
    assert RunDirectory(run).load("cpu")[0] == 5  # so that the sixth step is done again, and its candidate with it
    resume(run, problem=toy)
    assert contents(run) == contents(straight)


def test_a_run_of_an_earlier_version_is_gone_on_with(toy, tmp_path):
    run = tmp_path / "run"
    prepare(DM, toy, BUDGET, steps=3, plan=PLAN, out=run)
    settings = json.loads((run / "settings.json").read_text())
    del settings["candidates"]
    (run / "settings.json").write_text(json.dumps(settings))
    assert resume(run, problem=toy).stats.steps == 3
    assert not (run / "candidates").exists()


# -- of every kind


def test_candidates_of_decoded_rows_and_of_tables_open_as_results_do(toy, tmp_path):
    distilled(toy, tmp_path / "tiles", replace(DM, synthetic=MultiFormation(2)), steps=2, candidates=2)
    first = Distilled.load(tmp_path / "tiles/candidates/00000001")
    assert first.decoder == Distilled.load(tmp_path / "tiles").decoder is not None
    table = attar.data.toy.table()
    distilled(table, tmp_path / "table", attar.methods.rows.of_tables("dm", BUDGET, {}), steps=2, candidates=2)
    first = Distilled.load(tmp_path / "table/candidates/00000001")
    assert isinstance(first, DistilledTable)
    assert (first.target, first.made_by["steps"]) == (table.spec.schema.target, 1)


# -- refused, foreseen


def test_candidates_that_nobody_could_choose_among_are_refused(toy, tmp_path):
    bare = replace(toy, validation=toy.validation.take(toy.members[0][:0]))
    for method, problem, change, sentence in (
        (DM, toy, {"candidates": 1}, "candidates=1 leaves nothing to choose among: give 2 or more"),
        (DM, toy, {"out": None}, r"kept in the folder of a run: give out=\.\.\., too"),
        (DM, bare, {}, r"toy has no validation rows, .* by validation=0\.1 \(--validation 0\.1\)"),
        (attar.methods.random(), toy, {"steps": None}, "random gives its result at once and has no candidates"),
    ):
        with pytest.raises(AttarError, match=sentence):
            distilled(problem, **{"out": tmp_path / "run", "method": method, **change})
    assert not (tmp_path / "run").exists()


def test_the_estimate_counts_them(straight):
    one, ten = (Estimate(PLAN, 0.1, None, 10, state=1000, disk_free=None, candidates=count) for count in (1, 10))
    assert ten.disk(5) == one.disk(5) + 9 * 1000
    estimate = RunDirectory(straight).settings["estimate"]
    assert estimate["disk"] > 7 * (straight / "distilled/data.safetensors").stat().st_size
