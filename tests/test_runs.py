"""The files of a run."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from attar.batches import Images
from attar.distilled import Distilled, Training
from attar.runs import RunDirectory
from attar.types import AttarError, Normalisation


@pytest.fixture
def directory(tmp_path):
    return RunDirectory.create(tmp_path / "run", {"name": "dm"})


def _set(value=0.5):
    images = Images(torch.full((4, 1, 8, 8), value), torch.tensor([0, 1, 1, 2]))
    images.x[:, 0, 0, 0] = torch.arange(4.0)
    return Distilled(images, Training(Normalisation((0.5,), (0.2,)), class_names=("a", "b", "c")))


def test_a_folder_appears_with_its_settings(tmp_path):
    RunDirectory.create(tmp_path / "deep" / "run", {"name": "dm", "seed": 3})
    assert RunDirectory(tmp_path / "deep" / "run").settings == {"format": 1, "name": "dm", "seed": 3}
    assert [item.name for item in (tmp_path / "deep").iterdir()] == ["run"]


def test_an_empty_folder_may_be_named(tmp_path):
    (tmp_path / "run").mkdir()
    assert RunDirectory.create(tmp_path / "run", {}).settings["format"] == 1


def test_what_is_there_already_is_refused(tmp_path, directory):
    with pytest.raises(AttarError, match="exists already and is not overwritten .go on with it by .attar resume"):
        RunDirectory.create(directory.path, {})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.jpg").touch()
    with pytest.raises(AttarError, match="holds other files.: choose another --out"):
        RunDirectory.create(tmp_path / "other", {})
    (tmp_path / "file").touch()
    with pytest.raises(AttarError, match="exists already"):
        RunDirectory.create(tmp_path / "file", {})


def test_a_folder_that_is_no_run_is_said(tmp_path):
    with pytest.raises(AttarError, match=r"is not a run \(it has no settings\.json\)"):
        RunDirectory(tmp_path)


def test_a_run_of_a_newer_attar_is_refused(tmp_path, directory):
    (directory.path / "settings.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(AttarError, match="newer attar: update"):
        RunDirectory(directory.path)


def test_settings_that_cannot_be_read_are_one_sentence(directory):
    (directory.path / "settings.json").write_text("{")
    with pytest.raises(AttarError, match=r"settings\.json cannot be read"):
        RunDirectory(directory.path)


def test_a_state_comes_back_with_its_step_and_seconds(directory):
    assert directory.load("cpu") is None
    directory.save(3, 1.5, {"x": torch.arange(3)})
    index, seconds, state = directory.load("cpu")
    assert (index, seconds, state["x"].tolist()) == (3, 1.5, [0, 1, 2])


def test_a_damaged_checkpoint_is_one_sentence(directory):
    (directory.path / "checkpoint").write_bytes(b"\x00" * 100)
    with pytest.raises(AttarError, match="not a readable checkpoint"):
        directory.load("cpu")


def test_metrics_are_a_line_a_step(directory):
    for index in (1, 2):
        directory.log(index, 0.1 * index, {"loss": 1.0 / index})
    assert directory.metrics() == [{"step": 1, "seconds": 0.1, "loss": 1.0}, {"step": 2, "seconds": 0.2, "loss": 0.5}]


@pytest.mark.parametrize("torn", ['{"step": 4, "los', '{"step": 4, "seconds": 0.1, "loss": 1.', "\x00\x00\x00"])
def test_rewinding_drops_later_and_torn_lines(directory, torn):
    for index in (1, 2, 3):
        directory.log(index, 0.1, {"loss": 1.0})
    with open(directory.path / "metrics.jsonl", "a") as file:
        file.write(torn)
    directory.rewind(2)
    directory.log(3, 0.1, {"loss": 1.0})
    assert [line["step"] for line in directory.metrics()] == [1, 2, 3]


def test_snapshots_keep_a_row_of_each_class(directory):
    directory.snapshot(4, _set())
    directory.snapshot(0, _set())
    assert [index for index, *_ in directory.snapshots()] == [0, 4]
    _, rows, classes = directory.snapshots()[0]
    assert classes.tolist() == [0, 1, 2]
    assert rows.shape == (3, 1, 8, 8)
    assert rows[:, 0, 0, 0].tolist() == [0, 1, 3]


def test_snapshots_follow_their_rows_where_labels_are_learned(directory):
    first = _set()
    for step, y in enumerate(([0, 1, 1, 2], [2, 2, 1, 0], [0, 0, 0, 0])):
        soft = torch.nn.functional.one_hot(torch.tensor(y), 3).float()
        directory.snapshot(step, dataclasses.replace(first, data=first.data.replace(x=first.data.x + step, y=soft)))
    for step, rows, classes in directory.snapshots():
        assert rows[:, 0, 0, 0].tolist() == [step, 1 + step, 3 + step]
        assert classes.tolist() == [0, 1, 2]


def test_snapshots_of_earlier_versions_that_lost_a_class_are_left_out(directory):
    folder = directory.path / "snapshots"
    folder.mkdir()
    for step, count in ((0, 3), (1, 2), (2, 2)):
        save_file({"x": torch.rand(count, 1, 8, 8)}, folder / f"{step:08d}.safetensors")
    assert [step for step, *_ in directory.snapshots()] == [1, 2]


def test_the_result_of_a_run_that_went_on_replaces_the_earlier_one(directory):
    assert directory.result is None
    directory.finish(_set(0.1), {"steps": 2}, finished=False)
    directory.finish(_set(0.9), {"steps": 5}, finished=True)
    assert directory.result == {"steps": 5, "finished": True}
    assert Distilled.load(directory.path).data.x[0, 0, 1, 1].item() == pytest.approx(0.9)


def test_a_run_that_is_held_is_refused_and_named(directory):
    with (
        directory.locked(),
        pytest.raises(AttarError, match=f"worked on by process {os.getpid()}: wait"),
        directory.locked(),
    ):
        pass


def test_a_hold_ends_with_its_block(directory):
    for _ in range(2):
        with directory.locked():
            pass


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_hold_that_has_ended_names_no_process(directory, error):
    with contextlib.suppress(KeyboardInterrupt), directory.locked():
        assert (directory.path / "lock").read_text() == str(os.getpid())
        if error is not None:
            raise error
    assert (directory.path / "lock").read_text() == ""


def test_the_hold_of_a_dead_process_is_taken_over(directory):
    code = (
        "import sys, time; from attar.runs import RunDirectory\n"
        "with RunDirectory(sys.argv[1]).locked():\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(directory.path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(AttarError, match=f"worked on by process {process.pid}"), directory.locked():
            pass
    finally:
        process.kill()
        process.wait()
    with directory.locked():
        assert (directory.path / "lock").read_text() == str(os.getpid())
