"""Recordings of experts that are stopped, killed, gone on with, added to, foreseen and refused."""

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
import torch

import attar
from attar import experts
from attar.experts import Course, Flat, Recording, Staged, prepare, record
from attar.experts.foreseen import fastest
from attar.experts.recording import refuse_others
from attar.plan import Plan
from attar.runs import RunDirectory, held
from attar.training.experts import Experts
from attar.types import AttarError

MODEL = "convnet2-8"
COURSE = Course(MODEL, epochs=2, lr=0.1, batch=40)
PLAN = Plan(threads=1)
FAST_OFF = 0.05
"""Of the way of an expert, how far bf16 may lead it off."""


def _shards(path):
    return {file.name: file.read_bytes() for file in sorted(Path(path).glob("*.safetensors"))}


def _movement(found):
    """From the random start to the end of the first expert, all weights in one row."""
    start, end = found.weights(0, 0), found.weights(0, found.epochs)
    return torch.cat([(end[name] - start[name]).flatten() for name in start])


def _follow(recording, epochs):
    """Do so many epochs and leave."""
    for number, _ in enumerate(recording, 1):
        if number == epochs:
            return


@pytest.fixture(scope="module")
def straight(toy, tmp_path_factory):
    path = tmp_path_factory.mktemp("straight") / "toy"
    record(toy, COURSE, 4, out=path, plan=PLAN)
    return path


# -- stopped at any moment


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_a_recording_that_was_left_ends_as_if_it_had_not_been(toy, straight, tmp_path, epochs):
    path = tmp_path / "left"
    recording = prepare(toy, COURSE, 4, out=path, plan=PLAN)
    _follow(recording, epochs)
    assert len(recording.finish()) == epochs // 2
    before = {name: os.stat(path / name).st_mtime_ns for name in _shards(path)}
    found = record(toy, COURSE, 4, out=path)
    assert _shards(path) == _shards(straight)
    assert found.checksum == Experts.load(straight).checksum
    assert all(os.stat(path / name).st_mtime_ns == moment for name, moment in before.items())  # not done again


KILLED = """
import sys, torch, attar
from attar.experts import Course, record
torch.set_num_threads(1)
course = Course("convnet2-8", epochs=2, lr=0.1, batch=2)
record(attar.data.toy.images(), course, 60, out=sys.argv[1], plan=attar.Plan(threads=1))
"""


def test_a_killed_recording_loses_the_expert_under_way_at_most(toy, tmp_path):
    path = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stderr=subprocess.PIPE)
    while not (path / "expert-0002.json").is_file():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = len(Experts.load(path))
    assert 3 <= there < 60
    course = dataclasses.replace(COURSE, batch=2)
    record(toy, course, there + 1, out=path)
    record(toy, course, there + 1, out=tmp_path / "straight", plan=PLAN)
    assert _shards(path) == _shards(tmp_path / "straight")
    assert not list(path.glob(".*"))


def test_a_shard_without_its_record_is_recorded_again(toy, straight, tmp_path):
    path = shutil.copytree(straight, tmp_path / "half")
    (path / "expert-0001.json").unlink()
    (path / "expert-0001.safetensors").write_bytes(b"half")
    record(toy, COURSE, 4, out=path)
    assert _shards(path) == _shards(straight)


def test_nothing_is_done_where_all_are_there(toy, straight):
    before = {path.name: path.stat().st_mtime_ns for path in straight.iterdir()}
    recording = prepare(toy, COURSE, 3, out=straight)
    assert recording.foreseen.experts == 0
    assert list(recording) == []
    assert len(recording.finish()) == 4
    assert {path.name: path.stat().st_mtime_ns for path in straight.iterdir()} == before


def test_more_experts_are_added_to_those_there(toy, straight, tmp_path):
    path = tmp_path / "grown"
    record(toy, COURSE, 1, out=path, plan=PLAN)
    assert prepare(toy, COURSE, 4, out=path).foreseen.experts == 3
    record(toy, COURSE, 4, out=path)
    assert _shards(path) == _shards(straight)
    assert json.loads((path / "experts.json").read_text())["count"] == 4


def test_it_can_be_read_while_it_is_written(toy, tmp_path):
    recording = prepare(toy, COURSE, 2, out=tmp_path / "read", plan=PLAN)
    counts = [(passed.numbers, passed.epoch, len(Experts.load(tmp_path / "read"))) for passed in recording]
    assert counts == [((0,), 1, 0), ((0,), 2, 1), ((1,), 1, 1), ((1,), 2, 2)]


def test_one_process_at_a_time(toy, straight, tmp_path):
    path = shutil.copytree(straight, tmp_path / "held")
    with held(path), pytest.raises(AttarError, match="is being worked on by process"):
        record(toy, COURSE, 5, out=path)


# -- together


def test_experts_together_are_those_alone(toy, straight, tmp_path):
    together = record(toy, COURSE, 3, out=tmp_path / "together", plan=PLAN, together=2)
    alone = Experts.load(straight)
    for index in range(3):
        for name, value in together.weights(index, 2).items():
            torch.testing.assert_close(value, alone.weights(index, 2)[name], rtol=1e-4, atol=1e-5)


def test_a_block_that_was_half_written_ends_as_if_it_had_not_been(toy, tmp_path):
    whole, half = tmp_path / "whole", tmp_path / "half"
    record(toy, COURSE, 4, out=whole, plan=PLAN, together=2)
    record(toy, COURSE, 4, out=half, plan=PLAN, together=2)
    (half / "expert-0003.json").unlink()
    before = os.stat(half / "expert-0002.safetensors").st_mtime_ns
    recording = prepare(toy, COURSE, 4, out=half)
    assert {passed.numbers for passed in recording} == {(2, 3)}
    assert _shards(half) == _shards(whole)
    assert os.stat(half / "expert-0002.safetensors").st_mtime_ns == before


def test_as_many_together_as_are_fastest():
    asked = []

    def measure(count):
        asked.append(count)
        return {1: 1.0, 2: 1.2, 4: 1.6, 8: 3.1, 16: float("inf")}[count]

    assert fastest(measure, 16) == 4  # each takes 1, 0.6, 0.4, 0.39
    assert asked == [1, 2, 4, 8]
    assert fastest(measure, 3) == 2
    assert fastest(lambda count: float(count), 16) == 1


def test_batch_norm_is_trained_alone(toy, tmp_path):
    course = dataclasses.replace(COURSE, model="convnet2-8-bn", epochs=6)
    with pytest.raises(AttarError, match="convnet2-8-bn has batch norm, .* one expert at a time"):
        record(toy, course, 2, out=tmp_path / "bn", together=2)
    found = record(toy, course, 2, out=tmp_path / "bn", plan=PLAN)
    assert all(score > 0.5 for index in range(2) for score in found.accuracy(index))  # by its own running means


# -- staged


def test_difficulty_is_scored_once_and_decides_the_rows(toy, tmp_path, monkeypatch):
    asked = []

    def scored(problem, model, epochs, networks, seed):
        asked.append((model, epochs, networks))
        return -problem.train.x.flatten(1).mean(1)  # the brightest are the easiest

    monkeypatch.setitem(experts.recording.SCORES, "el2n", scored)
    seen = {}
    drawn = experts.recording.paths.batches

    def watched(task, model, train, course, seeds, index, ranked=None):
        plain = dataclasses.replace(course, augmentation="")
        found = list(drawn(task, model, train, plain, seeds, index, ranked))
        if ranked is not None:  # no timed update
            seen[seeds[0], index] = torch.cat([rows.x for (rows,) in found]).flatten(1).mean(1)
        return iter(found)

    monkeypatch.setattr(experts.recording.paths, "batches", watched)
    staged = Staged("el2n", start=0.5, full_at=2, removals=((2, 0.25),), model="mlp-8", epochs=1)
    course = dataclasses.replace(COURSE, epochs=4, staged=staged)
    _follow(prepare(toy, course, 2, out=tmp_path / "staged", plan=PLAN), 4)
    record(toy, course, 2, out=tmp_path / "staged")
    assert asked == [("mlp-8", 1, 1)]
    bright = [toy.train.x[rows].flatten(1).mean(1).sort(descending=True).values for rows in toy.members.values()]
    assert len(seen) == 2 * 4
    for (_, epoch), found in seen.items():
        first, last = [(0, 0.5), (0, 0.75), (0, 1), (0.25, 1)][epoch]
        expected = torch.cat([each[int(first * len(each)) : int(last * len(each))] for each in bright])
        torch.testing.assert_close(found.sort().values, expected.sort().values)
    assert Experts.load(tmp_path / "staged").seconds > 0


@pytest.mark.parametrize("score", ["el2n", "grand"])
def test_staged_experts_go_on_as_if_not_stopped(toy, tmp_path, score):
    course = dataclasses.replace(COURSE, staged=Staged(score, full_at=1, removals=(), model="mlp-8", epochs=1))
    record(toy, course, 2, out=tmp_path / "straight", plan=PLAN)
    _follow(prepare(toy, course, 2, out=tmp_path / "left", plan=PLAN), 3)
    record(toy, course, 2, out=tmp_path / "left")
    assert _shards(tmp_path / "left") == _shards(tmp_path / "straight")


def test_scores_of_other_rows_are_refused(toy, tmp_path):
    course = dataclasses.replace(COURSE, staged=Staged("el2n", full_at=1, removals=(), model="mlp-8", epochs=1))
    record(toy, course, 1, out=tmp_path / "one", plan=PLAN)
    few = attar.data.toy.images(per_class=20)
    record(few, course, 1, out=tmp_path / "few", plan=PLAN)
    shutil.copy(tmp_path / "few" / "difficulty", tmp_path / "one")
    with pytest.raises(AttarError, match="difficulty scores other rows"):
        record(toy, course, 2, out=tmp_path / "one")


# -- foreseen


def test_disk_and_epochs_are_foreseen_to_the_byte(toy, tmp_path):
    recording = prepare(toy, COURSE, 3, out=tmp_path / "new", plan=PLAN, precision="bf16")
    assert not (tmp_path / "new").exists()
    *_, last = recording
    assert last.done == last.total == 3 * 2
    assert recording.finish().nbytes == recording.foreseen.disk
    said = f"for 3 experts of 2 epochs on this machine, {recording.foreseen.disk:,} bytes on disk"
    assert said in recording.foreseen.sentence()


def test_a_disk_without_room_is_refused_before_anything_is_written(toy, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 5000, 5000))
    with pytest.raises(AttarError, match=r"These experts take [\d,]+ bytes and 5,000 are free .* in bf16"):
        prepare(toy, COURSE, 3, out=tmp_path / "full")
    assert not (tmp_path / "full").exists()


def test_a_disk_that_fills_up_is_one_sentence_and_the_whole_experts_stay(toy, straight, tmp_path, monkeypatch):
    path, write = tmp_path / "filling", experts.recording.write_expert

    def written(folder, number, *rest):
        if number == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(folder, number, *rest)

    monkeypatch.setattr(experts.recording, "write_expert", written)
    with pytest.raises(AttarError, match=r"The disk of .*filling is full after 2 experts, which stay: make room"):
        record(toy, COURSE, 4, out=path, plan=PLAN)
    monkeypatch.undo()
    record(toy, COURSE, 4, out=path)
    assert _shards(path) == _shards(straight)


# -- the plan


def test_the_plan_is_recorded_and_kept_to(toy, tmp_path):
    plan = Plan(precision="bf16", threads=1)  # the kernels' passes
    fast = record(toy, COURSE, 1, out=tmp_path / "fast", plan=plan)
    assert Plan(**fast.settings["plan"]) == plan
    assert prepare(toy, COURSE, 2, out=tmp_path / "fast").problem.task.plan == plan
    plain = record(toy, COURSE, 1, out=tmp_path / "plain", plan=PLAN)
    moved, expected = (_movement(found) for found in (fast, plain))
    assert 0 < (moved - expected).norm() < FAST_OFF * expected.norm()
    with pytest.raises(AttarError, match="not computed by the plain reference: give another folder for exact ones"):
        record(toy, COURSE, 2, out=tmp_path / "fast", exact=True)
    with pytest.raises(AttarError, match="these by the fast plan: train one at a time"):
        record(toy, COURSE, 2, out=tmp_path / "fast", together=2)


def test_flat_experts_are_computed_in_fp32_as_bf16_rounds_their_perturbation_away(toy, tmp_path, monkeypatch):
    fast = Plan("cpu", "bf16", True, 64, 1)
    monkeypatch.setattr(Plan, "fast", classmethod(lambda cls, device="auto": fast))
    monkeypatch.setattr(experts.preparing, "WORTH_COMPILING", 1)
    monkeypatch.setattr(experts.foreseen, "_update", lambda problem, course, count: 0.1)
    flat = dataclasses.replace(COURSE, flat=Flat())
    assert prepare(toy, COURSE, 1, out=tmp_path / "plain").problem.task.plan == fast
    chosen = prepare(toy, flat, 1, out=tmp_path / "flat").problem.task.plan
    assert chosen == dataclasses.replace(fast, precision="fp32")
    asked = Plan(precision="bf16", threads=1)
    record(toy, flat, 1, out=tmp_path / "asked", plan=asked)
    assert prepare(toy, flat, 2, out=tmp_path / "asked").problem.task.plan == asked


def test_a_fast_recording_is_not_gone_on_with_where_its_compiler_is_gone(toy, straight, tmp_path, monkeypatch):
    path = shutil.copytree(straight, tmp_path / "compiled")
    settings = json.loads((path / "experts.json").read_text())
    settings["plan"]["compiled"] = True
    for file in path.glob("expert-*"):
        file.unlink()
    (path / "experts.json").write_text(json.dumps(settings))

    def broken(problem, course, count):
        raise RuntimeError("no compiler\nand a long story")

    monkeypatch.setattr(experts.foreseen, "_update", broken)
    with pytest.raises(
        AttarError, match=r"fast plan, which does not work here \(RuntimeError: no compiler\): make its"
    ):
        prepare(toy, COURSE, 4, out=path)
    settings["plan"] = {"speed": 3}
    (path / "experts.json").write_text(json.dumps(settings))
    with pytest.raises(AttarError, match=r"experts.json is damaged \(its plan cannot be made"):
        prepare(toy, COURSE, 4, out=path)


def test_the_fast_plan_is_chosen_where_it_is_worth_it_and_left_where_it_fails(toy, tmp_path, monkeypatch):
    fast = Plan("cpu", "bf16", True, 64, 1)
    monkeypatch.setattr(Plan, "fast", classmethod(lambda cls, device="auto": fast))
    assert prepare(toy, COURSE, 1, out=tmp_path / "short").problem.task.plan.compiled is False
    monkeypatch.setattr(experts.preparing, "WORTH_COMPILING", 1)
    assert prepare(toy, COURSE, 1, out=tmp_path / "exact", exact=True).problem.task.plan.compiled is False
    other = dataclasses.replace(COURSE, model="mlp-8")  # has no kernels
    assert prepare(toy, other, 1, out=tmp_path / "other").problem.task.plan.compiled is False
    update = experts.foreseen._update

    def broken(problem, course, count):
        if problem.task.plan.compiled:
            raise RuntimeError("no compiler")
        return update(problem, course, count)

    monkeypatch.setattr(experts.foreseen, "_update", broken)
    with pytest.warns(UserWarning, match="the fast plan does not work here"):
        recording = prepare(toy, COURSE, 1, out=tmp_path / "broken")
    assert recording.problem.task.plan.compiled is False
    monkeypatch.setattr(experts.foreseen, "_update", lambda problem, course, count: 0.1)
    assert prepare(toy, COURSE, 1, out=tmp_path / "fast").problem.task.plan == fast


# -- refused


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"course": dataclasses.replace(COURSE, epochs=3)}, r"\(epochs is 2 there, and 3 was asked for\)"),
        ({"course": dataclasses.replace(COURSE, flat=Flat())}, r"\(flat is None there, and Flat was asked for\)"),
        ({"course": dataclasses.replace(COURSE, augmentation="")}, r"\(augmentation is color_\w+ there, and  was"),
        ({"seed": 1}, r"\(seed is 0 there, and 1 was asked for\)"),
        ({"precision": "bf16"}, r"\(precision is fp32 there, and bf16 was asked for\)"),
        ({"plan": Plan(chunk=8, threads=1)}, r"\(plan.chunk is 64 there, and 8 was asked for\)"),
        (
            {"problem": attar.data.toy.images(seed=1)},
            r"holds experts of toy as loaded with seed 0, and these rows were loaded with seed 1: give seed 0",
        ),
    ],
)
def test_other_settings_in_one_folder_are_refused_by_the_first_that_differs(toy, straight, other, said):
    settings = {"problem": toy, "course": COURSE, **other}
    with pytest.raises(AttarError, match=said):
        prepare(settings.pop("problem"), settings.pop("course"), 4, out=straight, **settings)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"count": 0}, "0 experts are none"),
        ({"together": 0}, "0 experts at a time are none"),
        ({"precision": "fp16"}, "give fp32 or bf16"),
        ({"course": Course("convnet99")}, "There is no network named 'convnet99'"),
        ({"course": dataclasses.replace(COURSE, staged=Staged(model="nosuch"))}, "There is no network named 'nosuch'"),
        ({"course": "convnet3"}, "'convnet3' is no course"),
        ({"problem": "mnist"}, "'mnist' is no problem"),
        ({"device": "tpu"}, "Unknown device 'tpu'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(toy, tmp_path, wrong, said):
    settings = {"problem": toy, "course": COURSE, "count": 1, "out": tmp_path / "new", **wrong}
    with pytest.raises(AttarError, match=said):
        prepare(settings.pop("problem"), settings.pop("course"), settings.pop("count"), **settings)
    assert not (tmp_path / "new").exists()


def test_folders_of_other_things_are_refused(toy, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(AttarError, match="exists already and holds other files"):
        prepare(toy, COURSE, 1, out=tmp_path / "other")
    with pytest.raises(AttarError, match=r"letter.txt is no folder"):
        prepare(toy, COURSE, 1, out=tmp_path / "other" / "letter.txt" / "deeper")
    RunDirectory.create(tmp_path / "run", {"steps": 1})
    with pytest.raises(AttarError, match="is a run, not a folder of experts"):
        prepare(toy, COURSE, 1, out=tmp_path / "run")


def test_rows_that_are_whitened_are_other_rows(tmp_path):
    plain, whitened = attar.data.toy.images(), attar.data.toy.images(zca=True)
    assert plain.spec.fingerprint == whitened.spec.fingerprint
    found = record(whitened, COURSE, 1, out=tmp_path / "zca", plan=PLAN)
    found.check(whitened)
    with pytest.raises(AttarError, match="learned from rows whitened by ZCA, and these are not: open the data as they"):
        found.check(plain)
    with pytest.raises(AttarError, match="zca holds experts that learned from rows whitened by ZCA, and these are not"):
        record(plain, COURSE, 2, out=tmp_path / "zca")


def test_default_augmentation_is_recorded_by_the_datas_own_name(toy, straight):
    assert Experts.load(straight).course.augmentation == toy.spec.augmentation


def test_without_validation_rows_there_is_no_accuracy(tmp_path):
    bare = attar.data.toy.images(validation=0)
    assert record(bare, COURSE, 1, out=tmp_path / "bare", plan=PLAN).accuracy(0) == []


def test_a_recording_is_iterated_anew(toy, tmp_path):
    recording = prepare(toy, COURSE, 2, out=tmp_path / "twice", plan=PLAN)
    assert isinstance(recording, Recording)
    _follow(recording, 3)
    assert [passed.numbers for passed in recording] == [(1,), (1,)]


def test_other_data_are_told_from_the_same_data_at_another_seed(toy, straight):
    before = Experts(str(straight)).settings
    other = {**before, "problem": {**before["problem"], "fingerprint": "sha256:0"}}
    with pytest.raises(AttarError, match=r"holds experts of other data \(toy, fingerprint sha256:\w+; these"):
        refuse_others(straight, before, other)
