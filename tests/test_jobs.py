"""Runs that are killed, interrupted, resumed, limited and refused."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

import attar
from attar.jobs import prepare, resume
from attar.matching import Matching
from attar.runs import RunDirectory
from attar.types import AttarError, Budget

PLAN = attar.Plan(threads=1)
FAST = replace(attar.Plan.fast("cpu"), threads=1)
BUDGET = Budget(per_class=1)


def _dm(**settings):
    return attar.methods.dm("convnet2-8", batch=8, **settings)


def _bytes(run):
    return (Path(run) / "distilled" / "data.safetensors").read_bytes()


def _files(run):
    return {
        str(path.relative_to(run)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in Path(run).rglob("*")
        if path.is_file()
    }


def _steps(run):
    lines = (Path(run) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


# -- killed at any moment

START = """
import sys, torch, attar
torch.set_num_threads(1)
data, method, plan, out = sys.argv[1:]
problem = attar.data.toy.images() if data == "toy" else attar.data.load(data)
method = eval(method, {"methods": attar.methods})
plan = eval(plan, {"Plan": attar.Plan})
attar.distill(method, problem, attar.Budget(per_class=1), steps=60, seed=4, plan=plan, out=out)
"""
RESUME = "import sys, torch, attar; torch.set_num_threads(1); attar.resume(sys.argv[1])"


def _kill_when(code, arguments, ready):
    """Start a process of its own and kill it as soon as `ready()`; fails if it ends before."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE)
    try:
        while not ready():
            assert process.poll() is None, f"ended before it was killed: {process.stderr.read().decode()}"
            time.sleep(0.0005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _lines(run):
    path = Path(run) / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


@pytest.mark.parametrize(
    ("data", "method", "plan"),
    [
        pytest.param("digits", "methods.dm('convnet3-16', batch=16)", PLAN, marks=pytest.mark.slow),
        # its network and momentum live across steps
        ("toy", "methods.dsa('convnet3-16', batch=16, matchings=7, epochs=2)", PLAN),
        pytest.param("digits", "methods.dm('convnet3-16', batch=16)", FAST, marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_moment_and_resumed_it_ends_as_if_never_killed(tmp_path, data, method, plan):
    chance = random.Random(method)
    problem = attar.data.toy.images() if data == "toy" else attar.data.load(data)
    straight = tmp_path / "straight"
    made = eval(method, {"methods": attar.methods})
    attar.distill(made, problem, BUDGET, steps=60, seed=4, plan=plan, out=straight)
    killed = tmp_path / "killed"
    _kill_when(START, [data, method, repr(plan), str(killed)], lambda: (killed / "settings.json").is_file())
    assert RunDirectory(killed).settings["steps"] == 60
    moments = [chance.randint(1, 25), chance.randint(26, 45)]
    for moment in moments:
        _kill_when(RESUME, [str(killed)], lambda moment=moment: _lines(killed) >= moment)
        assert not (killed / "result.json").exists()
    result = attar.resume(killed)
    assert result.stats.steps == 60
    assert _bytes(killed) == _bytes(straight)
    assert _steps(killed) == list(range(1, 61))
    losses = [
        [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (straight, killed)
    ]
    assert losses[0] == losses[1]
    assert sorted(os.listdir(killed / "snapshots")) == sorted(os.listdir(straight / "snapshots"))


@pytest.mark.parametrize("moment", ["settings", "checkpoint", "distilled"])
def test_a_run_killed_between_two_files_is_resumed(tmp_path, toy, moment):
    """Each file in turn is the last that was written."""
    run, straight = tmp_path / "run", tmp_path / "straight"
    for out in (run, straight):
        attar.distill(_dm(), toy, BUDGET, steps=5, plan=PLAN, out=out)
    later = {
        "settings": ["checkpoint", "metrics.jsonl", "result.json", "lock"],
        "checkpoint": ["result.json"],
        "distilled": ["result.json"],
    }
    for name in later[moment]:
        (run / name).unlink()
    if moment != "distilled":
        for path in (run / "distilled").iterdir():
            path.unlink()
        (run / "distilled").rmdir()
    assert attar.resume(run).stats.steps == 5
    assert _bytes(run) == _bytes(straight)
    assert _steps(run) == [1, 2, 3, 4, 5]
    assert RunDirectory(run).result["finished"]


# -- resumed


def test_resuming_a_finished_run_changes_nothing_and_succeeds(tmp_path, toy):
    first = attar.distill(_dm(), toy, BUDGET, steps=3, plan=PLAN, out=tmp_path / "run")
    before = _files(tmp_path / "run")
    again = attar.resume(tmp_path / "run")
    assert _files(tmp_path / "run") == before
    assert torch.equal(again.value.data.x, first.value.data.x)
    assert again.stats == first.stats
    assert torch.equal(again.state["synthetic"]["rows.x"], first.state["synthetic"]["rows.x"])


def test_resuming_a_finished_direct_run_changes_nothing_either(tmp_path, toy):
    first = attar.distill(attar.methods.random(), toy, BUDGET, out=tmp_path / "run")
    before = _files(tmp_path / "run")
    again = attar.resume(tmp_path / "run")
    assert _files(tmp_path / "run") == before
    assert torch.equal(again.value.data.x, first.value.data.x)


def test_a_direct_run_that_never_got_to_its_result_is_done_again(tmp_path, toy):
    attar.distill(attar.methods.random(), toy, BUDGET, out=tmp_path / "one")
    RunDirectory.create(tmp_path / "two", RunDirectory(tmp_path / "one").settings)
    attar.resume(tmp_path / "two")
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")


def test_a_run_can_be_resumed_as_soon_as_it_exists(tmp_path, toy):
    job = attar.jobs.prepare(_dm(), toy, BUDGET, steps=4, plan=PLAN, out=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["settings.json"]
    del job
    attar.resume(tmp_path / "run")
    attar.distill(_dm(), toy, BUDGET, steps=4, plan=PLAN, out=tmp_path / "straight")
    assert _bytes(tmp_path / "run") == _bytes(tmp_path / "straight")


def test_a_run_that_another_process_works_on_is_refused(tmp_path, toy):
    attar.jobs.prepare(_dm(), toy, BUDGET, steps=4, plan=PLAN, out=tmp_path / "run")
    with RunDirectory(tmp_path / "run").locked(), pytest.raises(AttarError, match="is being worked on by process"):
        attar.resume(tmp_path / "run")
    attar.resume(tmp_path / "run")


def test_a_corrupt_checkpoint_is_one_sentence(tmp_path, toy):
    attar.distill(_dm(), toy, BUDGET, steps=2, plan=PLAN, out=tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "checkpoint").write_bytes(b"not a checkpoint")
    with pytest.raises(
        AttarError, match=r"checkpoint is not a readable checkpoint .*: start the run again in a new folder"
    ):
        attar.resume(tmp_path / "run")


def test_other_data_than_the_recorded_are_refused(tmp_path, toy):
    attar.jobs.prepare(_dm(), toy, BUDGET, steps=2, plan=PLAN, out=tmp_path / "run")
    with pytest.raises(AttarError, match="is not the data of this run"):
        attar.resume(tmp_path / "run", problem=attar.data.toy.images(seed=1))


def test_arrays_in_memory_are_passed_again(tmp_path):
    source = torch.Generator().manual_seed(0)
    x, y = torch.rand(40, 8, 8, generator=source).numpy(), torch.arange(40).remainder(2).numpy()
    problem = attar.data.arrays(x, y)
    attar.jobs.prepare(_dm(), problem, BUDGET, steps=2, plan=PLAN, out=tmp_path / "run")
    with pytest.raises(AttarError, match="arrays in memory"):
        attar.resume(tmp_path / "run")
    assert attar.resume(tmp_path / "run", problem=problem).stats.steps == 2


@dataclass(frozen=True)
class Foreign(Matching):
    """A method of a user's own script."""


def test_a_class_that_is_not_attars_is_refused_by_name_and_taken_by_hand(tmp_path, toy):
    method = Foreign(**{name: getattr(_dm(), name) for name in Matching.__dataclass_fields__})
    attar.jobs.prepare(method, toy, BUDGET, steps=2, plan=PLAN, out=tmp_path / "run")
    with pytest.raises(AttarError, match=r"settings name .*Foreign, which is neither a part of attar nor"):
        attar.resume(tmp_path / "run")
    assert attar.resume(tmp_path / "run", method=method).stats.steps == 2


def test_settings_cannot_make_attar_run_anything(tmp_path, toy):
    attar.jobs.prepare(_dm(), toy, BUDGET, steps=2, plan=PLAN, out=tmp_path / "run")
    path = tmp_path / "run" / "settings.json"
    settings = json.loads(path.read_text())
    settings["method"] = {"type": "pathlib:Path", "fields": {}}
    path.write_text(json.dumps(settings))
    with pytest.raises(AttarError, match="pathlib:Path"):
        attar.resume(tmp_path / "run")


def test_the_plan_of_the_start_is_obeyed(tmp_path, toy):
    plan = attar.Plan(chunk=3, threads=1)
    attar.jobs.prepare(_dm(), toy, BUDGET, steps=2, plan=plan, out=tmp_path / "run")
    assert attar.jobs.reopen(tmp_path / "run").plan == plan
    assert attar.jobs.reopen(tmp_path / "run").problem.task.plan == plan


def test_the_threads_of_the_plan_are_those_of_the_steps(toy, monkeypatch):
    """Sums over more threads round otherwise: a run goes on with the threads that it started with."""
    seen, step = set(), Matching.step

    def watched(method, problem, state):
        if problem.train.x.device.type != "meta":  # a rehearsal computes nothing
            seen.add(torch.get_num_threads())
        return step(method, problem, state)

    monkeypatch.setattr(Matching, "step", watched)
    attar.distill(_dm(), toy, BUDGET, steps=2, plan=attar.Plan(threads=2))
    assert seen == {2}
    assert torch.get_num_threads() == 1


# -- ended early


def _interrupt_at(monkeypatch, index):
    step = Matching.step

    def interrupted(method, problem, state):
        if state["step"] == index:
            raise KeyboardInterrupt
        return step(method, problem, state)

    monkeypatch.setattr(Matching, "step", interrupted)


def test_ctrl_c_gives_what_there_is_and_can_be_resumed(tmp_path, toy, monkeypatch, capsys):
    attar.distill(_dm(), toy, BUDGET, steps=9, plan=PLAN, out=tmp_path / "straight")
    with monkeypatch.context() as patch:
        _interrupt_at(patch, 6)
        result = attar.distill(_dm(), toy, BUDGET, steps=9, plan=PLAN, out=tmp_path / "run")
    assert (result.stats.steps, result.stats.stopped) == (6, "interrupted")
    assert "interrupted" in capsys.readouterr().err
    assert torch.equal(attar.Distilled.load(tmp_path / "run").data.x, result.value.data.x)
    assert not RunDirectory(tmp_path / "run").result["finished"]
    assert attar.resume(tmp_path / "run").stats.stopped is None
    assert _bytes(tmp_path / "run") == _bytes(tmp_path / "straight")
    assert _steps(tmp_path / "run") == list(range(1, 10))


def test_a_loop_that_is_left_keeps_its_last_step(tmp_path, toy):
    job = attar.jobs.prepare(_dm(), toy, BUDGET, steps=9, plan=PLAN, out=tmp_path / "run")
    for step in job:
        if step.index == 5:
            break
    result = job.finish()
    assert result.stats.steps == 5
    assert RunDirectory(tmp_path / "run").load("cpu")[0] == 5
    assert attar.resume(tmp_path / "run").stats.steps == 9


def test_a_time_budget_ends_a_run_early_and_counts_as_finished(tmp_path, toy):
    result = attar.distill(_dm(), toy, BUDGET, steps=10**6, time_budget=0.2, plan=PLAN, out=tmp_path / "run")
    assert 0 < result.stats.steps < 10**6
    assert result.stats.stopped == "time budget"
    assert RunDirectory(tmp_path / "run").result["finished"]
    before = _files(tmp_path / "run")
    assert attar.resume(tmp_path / "run").stats == result.stats
    assert _files(tmp_path / "run") == before


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(tmp_path, toy):
    with pytest.raises(AttarError, match=r"became .* at step .* lr=1e\+30"):
        attar.distill(_dm(lr=1e30), toy, BUDGET, steps=50, plan=PLAN, out=tmp_path / "run")
    index, _, state = RunDirectory(tmp_path / "run").load("cpu")
    assert index == len(_steps(tmp_path / "run"))
    assert torch.isfinite(state["synthetic"]["rows.x"]).all()
    assert not (tmp_path / "run" / "distilled").exists()


# -- started


def test_an_existing_run_is_not_overwritten(tmp_path, toy):
    attar.distill(_dm(), toy, BUDGET, steps=1, plan=PLAN, out=tmp_path / "run")
    before = _files(tmp_path / "run")
    for method, steps in ((_dm(), 1), (attar.methods.random(), None)):
        with pytest.raises(AttarError, match="exists already and is not overwritten .the run is finished; look at it"):
            attar.distill(method, toy, BUDGET, steps=steps, plan=PLAN, out=tmp_path / "run")
    assert _files(tmp_path / "run") == before


def test_a_choice_that_turns_out_to_be_impossible_leaves_no_run_behind(tmp_path, toy):
    with pytest.raises(AttarError, match="must stay"):
        attar.distill(attar.methods.random(keep=("none",)), toy, BUDGET, out=tmp_path / "run")
    attar.distill(attar.methods.random(), toy, BUDGET, out=tmp_path / "run")
    assert _bytes(tmp_path / "run")


def test_a_folder_with_other_files_is_not_written_to(tmp_path, toy):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(AttarError, match="exists already and is not overwritten .it holds other files"):
        attar.distill(_dm(), toy, BUDGET, steps=1, plan=PLAN, out=tmp_path)


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, toy):
    with pytest.raises(AttarError, match="class 'template 0' has 36 training rows"):
        attar.distill(_dm(), toy, Budget(per_class=99), steps=1, out=tmp_path / "run")
    with pytest.raises(AttarError, match="steps=-1 is negative"):
        attar.distill(_dm(), toy, BUDGET, steps=-1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_steps_give_the_start(tmp_path, toy):
    result = attar.distill(_dm(), toy, BUDGET, steps=0, plan=PLAN, out=tmp_path / "run")
    assert result.stats.steps == 0
    raw = toy.spec.normalisation.undo(toy.train.x)
    assert all((row - raw).flatten(1).norm(dim=1).min() < 1e-5 for row in result.value.data.x)


def test_with_and_without_a_folder_the_set_is_the_same(tmp_path, toy):
    kept = attar.distill(_dm(), toy, BUDGET, steps=4, seed=2, plan=PLAN, out=tmp_path / "run").value
    lost = attar.distill(_dm(), toy, BUDGET, steps=4, seed=2, plan=PLAN).value
    assert torch.equal(kept.data.x, lost.data.x)
    last = [step.state for step in attar.run(_dm(), toy, BUDGET, steps=4, seed=2, plan=PLAN)][-1]
    assert torch.equal(_dm().finish(toy, last).data.x, lost.data.x)


def test_the_time_of_trials_does_not_change_the_numbers(toy):
    """A run of unknown length is timed first; its first steps are those of a run of known length."""
    timed = attar.distill(_dm(), toy, BUDGET, time_budget=0.05, plan=PLAN)
    assert timed.stats.steps >= 1
    known = attar.distill(_dm(), toy, BUDGET, steps=timed.stats.steps, plan=PLAN)
    assert torch.equal(timed.value.data.x, known.value.data.x)


def test_steps_come_from_the_recipe_where_there_is_one(tmp_path, toy, monkeypatch):
    monkeypatch.setattr(attar.recipes, "settings", lambda *given: {"steps": 3})
    assert attar.distill(_dm(), toy, BUDGET, plan=PLAN).stats.steps == 3


def test_the_record_is_in_the_set_and_the_settings(tmp_path, toy):
    result = attar.distill(_dm(lr=0.5), toy, BUDGET, steps=2, seed=7, plan=PLAN, out=tmp_path / "run")
    made_by = attar.Distilled.load(tmp_path / "run").made_by
    assert (made_by["name"], made_by["seed"], made_by["steps"], made_by["data"]) == ("dm", 7, 2, "toy")
    assert attar.record.rebuild(made_by["method"]) == _dm(lr=0.5)
    settings = RunDirectory(tmp_path / "run").settings
    assert (settings["name"], settings["seed"], settings["steps"]) == ("dm", 7, 2)
    assert settings["estimate"]["memory"] > 0
    assert result.value.made_by["seed"] == 7


def test_snapshots_are_at_powers_of_two_and_the_end(tmp_path, toy):
    attar.distill(_dm(), toy, BUDGET, steps=6, plan=PLAN, out=tmp_path / "run")
    shots = RunDirectory(tmp_path / "run").snapshots()
    assert [index for index, *_ in shots] == [0, 1, 2, 4, 6]
    assert not torch.equal(shots[0][1], shots[-1][1])


def test_exact_asks_for_the_plain_plan(toy):
    job = attar.jobs.prepare(_dm(), toy, BUDGET, steps=10**9, exact=True, device="cpu")
    assert (job.plan.precision, job.plan.compiled) == ("fp32", False)


def test_a_method_of_ones_own_is_run_like_any_other(tmp_path, toy):
    method = replace(_dm(), name="mine", objective=attar.objectives.GradientMatch())
    assert attar.distill(method, toy, BUDGET, steps=2, plan=PLAN, out=tmp_path / "run").stats.steps == 2
    assert RunDirectory(tmp_path / "run").settings["name"] == "mine"


@pytest.mark.parametrize(
    ("method", "problem", "budget", "sentence"),
    [
        ("dm", "toy", attar.Budget(per_class=1), "no method"),
        (attar.methods.dm, "toy", attar.Budget(per_class=1), "call it"),
        (attar.methods.random(), "digits", attar.Budget(per_class=1), "no problem"),
        (attar.methods.random(), "toy", 10, "no budget"),
    ],
)
def test_what_is_no_method_problem_or_budget_is_refused(toy, method, problem, budget, sentence):
    with pytest.raises(attar.AttarError, match=sentence):
        attar.distill(method, toy if problem == "toy" else problem, budget)


def test_a_run_that_was_stopped_before_its_first_state_can_still_be_resumed(tmp_path, toy):
    job = prepare(_dm(), toy, BUDGET, steps=3, plan=PLAN, out=tmp_path / "run")
    with pytest.raises(AttarError, match="before its first state"):
        job.finish()
    assert not (tmp_path / "run" / "distilled").exists()
    assert resume(tmp_path / "run", problem=toy).stats.steps == 3


def test_a_finished_run_is_given_back_without_its_data(tmp_path, toy):
    arrays = attar.data.arrays(toy.train.x[:, 0].clamp(0, 1).numpy(), toy.train.y.numpy())
    done = attar.distill(_dm(), arrays, BUDGET, steps=2, plan=PLAN, out=tmp_path / "run")
    again = resume(tmp_path / "run")
    assert torch.equal(done.value.data.x, again.value.data.x)


def test_a_job_that_is_left_half_way_is_not_finished(tmp_path, toy):
    job = prepare(_dm(), toy, BUDGET, steps=5, plan=PLAN, out=tmp_path / "run")
    for step in job:
        if step.index == 2:
            break
    assert job.finish().stats.stopped == "interrupted"
    assert resume(tmp_path / "run", problem=toy).stats.steps == 5
