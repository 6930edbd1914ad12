"""The command, as a user calls it."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import attar
from attar import report


def call(*words: str, cwd: Path | None = None, code: int = 0, **environment: str) -> subprocess.CompletedProcess:
    """Run ``attar`` in a process of its own."""
    command = [sys.executable, "-c", "from attar.cli import main; main()", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}, timeout=300
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A short run on the digits."""
    path = tmp_path_factory.mktemp("runs") / "digits"
    call(
        "distill",
        "dm",
        "digits",
        "--ipc",
        "1",
        "--model",
        "convnet2-8",
        "--steps",
        "3",
        "--lr",
        "0.5",
        "--out",
        str(path),
    )
    return path


def test_methods_lists_every_method_with_four_fields():
    rows = json.loads(call("methods", "--json").stdout)
    assert [row["name"] for row in rows] == sorted(attar.methods.METHODS)
    assert all(set(row) == {"name", "family", "modality", "paper"} and all(row.values()) for row in rows)


def test_datasets_says_what_is_here():
    rows = json.loads(call("datasets", "--json").stdout)
    names = {row["name"]: row["found"] for row in rows}
    coloured = {"coloured-digits", "coloured-mnist"}
    assert set(names) == {"digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "svhn", "pneumonia", *coloured}
    assert names["digits"]
    assert "10 classes" in call("datasets").stdout


def test_distill_takes_the_options_of_its_method(run):
    settings = json.loads((run / "settings.json").read_text())
    method = settings["method"]["fields"]
    assert method["optimisers"]["data"]["fields"]["lr"] == 0.5
    assert method["surrogates"]["fields"]["model"] == "convnet2-8"
    assert settings["command"].startswith("attar")
    assert (run / "report.html").is_file()
    assert len(attar.Distilled.load(run)) == 10


def test_distill_prints_json_alone(tmp_path):
    done = call("distill", "random", "digits", "--rows", "20", "--out", str(tmp_path / "r"), "--json")
    assert json.loads(done.stdout)["run"] == str(tmp_path / "r")


def test_show_and_its_json(run):
    assert "digits" in call("show", str(run)).stdout
    assert json.loads(call("show", str(run), "--json").stdout)["made_by"]["name"] == "dm"


def test_evaluate_finds_the_recorded_data(run):
    done = call("evaluate", str(run), "--protocol", "quick", "--models", "mlp", "--runs", "1", "--json")
    [score] = json.loads(done.stdout)["scores"]
    assert score["model"] == "mlp"
    assert 0.1 < score["mean"] < 1


def test_resume_of_a_finished_run_says_so(run):
    before = (run / "distilled" / "data.safetensors").stat().st_mtime_ns
    assert "finished" in call("resume", str(run)).stderr
    assert (run / "distilled" / "data.safetensors").stat().st_mtime_ns == before


@pytest.fixture(scope="module")
def page(run) -> dict:
    """What the command says of the run beside random rows and full data."""
    [page] = json.loads(call("report", str(run), "--runs", "1", "--models", "mlp", "--json").stdout)
    return page


def test_report_of_a_run_has_no_table_to_draw_at_equal_bytes(run):
    done = call("report", str(run), "--equal-bytes", code=2)
    assert done.stderr.splitlines() == [
        f"attar: --equal-bytes draws the tables of a comparison, and {run} is a run: leave it out."
    ]


def test_report_compares_with_random_rows_and_full_data(run, page):
    assert {score["subject"] for score in page["scores"]} == {"dm", "random", "full data"}
    assert page["sentence"] in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("distill", "dm", "mnits", "--ipc", "1"), "mnist"),
        (("distill", "dm", "digits"), "--per-class"),
        (("distill", "dm", "digits", "--ipc", "5000"), "fewer than the 5000"),
        (("distill", "dm", "digits", "--ipc", "1", "--model", "convnet9"), "convnet"),
        (("distill", "dm", "digits", "--ipc", "1", "--device", "tpu"), "tpu"),
        (("distill", "dm", "digits", "--ipc", "1", "--memory", "0.01"), "memory"),
        (("distill", "dm", "digits", "--ipc", "1", "--lr", "-1"), "step size"),
        (("distill", "dm", "digits", "--ipc", "1", "--batch", "0"), "batch of 0"),
        (("distill", "random", "digits", "--ipc", "1", "--steps", "5"), "at once"),
        (("distill", "random", "digits", "--ipc", "1", "--out", "/dev/null/x"), "/dev/null"),
        (("resume", "nowhere"), "nowhere"),
        (("show", "nowhere"), "nowhere"),
        (("evaluate", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_gets_one_sentence(words, sentence, tmp_path):
    done = call(*words, cwd=tmp_path, code=2, ATTAR_DATA="", HF_HUB_OFFLINE="1")
    *_, last = done.stderr.splitlines()
    assert sentence in last
    assert last.startswith("attar: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("distill", "dm", "digits", "--per-class", "1.5"),
        ("distill", "dm", "digits", "--per-class", "1", "--batch", "2.5"),
        ("evaluate", "run", "--runs", "0.5"),
    ],
)
def test_what_must_be_whole_is_not_rounded(words, tmp_path):
    done = call(*words, cwd=tmp_path, code=2)
    assert "give a whole number" in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()


def test_what_is_asked_of_a_choice_of_rows(tmp_path):
    words = [
        "herding",
        "digits",
        "--per-class",
        "2",
        "--keep",
        "3",
        "--keep",
        "8",
        "--quotas",
        "3=4,5=1",
        "--weighted",
        "--features",
        "mlp",
        "--epochs",
        "1",
    ]
    call("distill", *words, "--out", str(tmp_path / "run"))
    value = attar.Distilled.load(tmp_path / "run")
    kinds = [record["class"] for record in value.selected]
    assert (kinds.count("3"), kinds.count("5"), len(kinds)) == (4, 1, 21)
    assert {3, 8} == {record["row"] for record in value.selected if record["reason"] == "asked for"}
    assert value.data.weight is not None
    assert (tmp_path / "run" / "distilled" / "selected.csv").is_file()
    wrong = call("distill", "herding", "digits", "--per-class", "2", "--quotas", "3", cwd=tmp_path, code=2)
    assert "name=number" in wrong.stdout + wrong.stderr


def test_a_comparison_prints_its_table_and_writes_its_page(tmp_path):
    out = tmp_path / "table"
    words = f"compare digits --methods herding --per-class 1 --models mlp-8 --seeds 2 --workers 1 --out {out}".split()
    done = call(*words)
    assert "herding" in done.stdout
    rows = json.loads(call(*words, "--json").stdout)["rows"]
    assert {row["method"] for row in rows} == {"full", "random", "herding"}
    assert rows == json.loads((out / "comparison.json").read_text())["rows"]
    assert (out / "report.html").is_file()
    again = json.loads(call("report", str(out), "--json").stdout)
    assert again[0]["report"].endswith("report.html")
    assert "mlp-8, by storage" not in (out / "report.html").read_text()
    call("report", str(out), "--equal-bytes")
    assert "mlp-8, by storage" in (out / "report.html").read_text()


@pytest.mark.parametrize("methods", ["", ",", "herdding"])
def test_a_comparison_of_nothing_is_refused(methods, tmp_path):
    done = call("compare", "digits", "--methods", methods, cwd=tmp_path, code=2)
    assert "attar methods" in done.stderr or "did you mean herding" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_folder_of_ones_own(tmp_path):
    from PIL import Image

    source = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(8):
            pixels = np.clip(source.normal(level, 20, (12, 10, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    done = call("distill", "kmeans", "photos", "--ipc", "2", "--size", "8", "--out", "small", cwd=tmp_path)
    assert "8 x 8" in done.stderr
    value = attar.Distilled.load(tmp_path / "small")
    assert value.training.class_names == ("dark", "light")
    assert value.data.x.shape == (4, 3, 8, 8)


def test_scores_of_an_earlier_state_of_the_set_are_not_shown(run, page, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    value = attar.Distilled.load(copy)
    (copy / "scores.json").write_text((run / "scores.json").read_text())
    report.of_run(copy)
    assert "Not evaluated yet" not in (copy / "report.html").read_text()
    dataclasses.replace(value, data=value.data.replace(x=value.data.x + 0.1)).save(copy / "distilled")
    report.of_run(copy)
    assert "Not evaluated yet" in (copy / "report.html").read_text()


def test_a_run_without_a_result_says_how_to_get_one(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "distilled")
    assert "attar resume" in call("show", str(copy), code=2).stderr


def test_training_data_are_no_test_data(tmp_path):
    np.savez(tmp_path / "own.npz", X=np.random.default_rng(0).random((20, 8, 8)), y=np.arange(20) % 2)
    done = call("distill", "random", "own.npz", "--ipc", "1", "--test", "./own.npz", cwd=tmp_path, code=2)
    assert "training data themselves" in done.stderr


def test_a_time_budget_ends_a_run_and_says_so(tmp_path):
    words = (
        "distill",
        "dm",
        "digits",
        "--ipc",
        "1",
        "--model",
        "convnet2-8",
        "--steps",
        "100000",
        "--time-budget",
        "1",
    )
    done = call(*words, "--out", str(tmp_path / "run"))
    assert "at most 1 s" in done.stderr
    assert "the time budget ended at step" in done.stderr
