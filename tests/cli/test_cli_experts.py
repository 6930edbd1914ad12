"""The command ``attar experts``."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from attar.cli import main
from attar.training.experts import Experts, Flat, Staged

SHORT = ["--model", "convnet1-4", "--epochs", "2", "--lr", "0.1"]


@pytest.fixture
def said(capsys):
    """Call the command in this process; its lines on standard error, and what it printed."""

    def call(*words, code=0):
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        assert ended.value.code == code
        captured = capsys.readouterr()
        return captured.err, captured.out

    return call


def test_it_foresees_records_and_says_where(said, tmp_path):
    out = tmp_path / "experts"
    err, _ = said("experts", "digits", "--count", "2", *SHORT, "--out", str(out))
    found = Experts.load(out)
    assert len(found) == 2
    assert found.epochs == 2
    assert found.course.lr == 0.1
    assert f"for 2 experts of 2 epochs on this machine, {found.nbytes:,} bytes on disk (fp32 on cpu)" in err
    assert f"2 experts of 2 epochs in {out}: {found.nbytes:,} bytes" in err
    assert "% of the validation rows right on average" in err


def test_experts_that_have_not_finished_learning_are_told(said, tmp_path):
    words = ["experts", "digits", "--count", "1", "--model", "mlp-16", "--batch", "32", "--augmentation", ""]
    err, _ = said(*words, "--epochs", "1", "--lr", "0.0001", "--out", str(tmp_path / "short"))
    assert "is their training loss in the last epoch, and guessing gives 2.30: they have not finished learning" in err
    err, _ = said(*words, "--epochs", "10", "--lr", "0.1", "--out", str(tmp_path / "long"))
    assert "finished learning" not in err


def test_json_alone_is_on_standard_output_and_more_are_added(said, tmp_path):
    out = tmp_path / "experts"
    said("experts", "digits", "--count", "1", *SHORT, "--out", str(out))
    err, printed = said("experts", "digits", "--count", "3", *SHORT, "--out", str(out), "--json")
    told = json.loads(printed)
    found = Experts.load(out)
    assert told["count"] == 3
    assert told["bytes"] == found.nbytes
    assert told["checksum"] == found.checksum
    assert told["experts"] == str(out)
    assert 0 <= told["validation_accuracy"] <= 1
    assert "for 2 experts of 2 epochs" in err
    err, printed = said("experts", "digits", "--count", "3", *SHORT, "--out", str(out), "--json")
    assert json.loads(printed) == told
    assert "about" not in err


def test_options_make_the_course(said, tmp_path):
    out = tmp_path / "flat"
    words = ["--flat", "--alpha", "0", "--no-adaptive", "--batch", "64", "--momentum", "0.5", "--augmentation", "crop"]
    said(
        "experts", "digits", "--count", "2", *SHORT, *words, "--precision", "bf16", "--together", "2", "--out", str(out)
    )
    found = Experts.load(out)
    assert found.course.flat == Flat(rho=0.01, alpha=0.0, adaptive=False)
    assert (found.course.batch, found.course.momentum, found.course.augmentation) == (64, 0.5, "crop")
    assert found.settings["precision"] == "bf16"
    assert found.settings["together"] == 2


def test_staged(said, tmp_path):
    words = ["--staged", "el2n", "--start", "0.5", "--full-at", "1", "--removals", "1=0.1,3=0.25"]
    err, _ = said("experts", "digits", "--count", "1", *SHORT, *words, "--out", str(tmp_path / "staged"))
    estimate, begun, done = err.index("to score the rows' difficulty"), err.index("scoring"), err.index("is scored, in")
    assert estimate < begun < done < err.index("epoch 2")
    assert "rows by el2n, with 1 network" in err
    again, _ = said("experts", "digits", "--count", "2", *SHORT, *words, "--out", str(tmp_path / "staged"))
    assert "scor" not in again
    found = Experts.load(tmp_path / "staged").course.staged
    assert found == Staged("el2n", start=0.5, full_at=1, removals=((1, 0.1), (3, 0.25)))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--count", "0"], "--count: give a whole number of 1 or more, not 0."),
        (["--count", "1", "--epochs", "0"], "--epochs: give a whole number of 1 or more, not 0."),
        (["--count", "1", "--model", "nosuch"], "There is no network named 'nosuch'"),
        (["--count", "1", "--rho", "0.1"], "--rho does nothing without --flat: give that, too"),
        (["--count", "1", "--staged", "forgetting"], "--staged: there is no 'forgetting'"),
        (["--count", "1", "--augmentation", "blur"], "There is no augmentation 'blur'"),
        (["--count", "1", "--device", "tpu"], "Unknown device 'tpu'"),
        (["--count", "1", "--flat", "--alpha", "-1"], "The gap cannot count alpha=-1.0 times"),
        (["--count", "1", "--alpha", "0"], "--alpha does nothing without --flat"),
        (["--count", "1", "--adaptive"], "--adaptive does nothing without --flat"),
        (["--count", "1", "--no-adaptive"], "--no-adaptive does nothing without --flat"),
        (["--count", "1", "--full-at", "0"], "--full-at does nothing without --staged"),
        (["--count", "1", "--staged", "el2n", "--start", "0"], "A course cannot start with 0.0 of the rows"),
        (["--count", "1", "--full-at", "5"], "--full-at does nothing without --staged"),
        (["--count", "1", "--staged", "el2n", "--removals", "4"], "--removals 4: give epochs and shares, as in"),
        (["--count", "1", "--staged", "el2n", "--removals", "4=1"], "stay below 1"),
        (["--epochs", "1"], "--count is missing"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_before_the_data_are_read(said, tmp_path, words, sentence):
    err, _ = said("experts", "digits", *words, "--out", str(tmp_path / "new"), code=2)
    assert sentence in err
    assert "reading" not in err
    assert not (tmp_path / "new").exists()


def test_folders_that_hold_something_else_are_refused_before_the_data_are_read(said, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    err, _ = said("experts", "digits", "--count", "1", "--out", str(tmp_path), code=2)
    assert "holds other files" in err
    assert "reading" not in err


def test_interrupted_it_says_what_is_there_and_how_to_go_on(tmp_path):
    out = tmp_path / "experts"
    words = ["experts", "digits", "--count", "500", *SHORT, "--batch", "16", "--out", str(out)]
    # a shell's background jobs ignore the signal, and so would theirs
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from attar.cli import main; main()"
    command = [sys.executable, "-c", code, *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (out / "expert-0001.json").is_file():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert f"interrupted with {len(Experts.load(out))} of 500 experts; the same command goes on from there" in err


def test_stages_that_are_not_reached_are_told_before_the_first_expert(said, tmp_path):
    words = [
        "experts",
        "digits",
        "--count",
        "1",
        "--model",
        "mlp-4",
        "--epochs",
        "1",
        "--staged",
        "el2n",
        "--removals",
        "",
    ]
    err, _ = said(*words, "--out", str(tmp_path / "experts"))
    lines = err.splitlines()
    [told] = [place for place, line in enumerate(lines) if "staged experts: 1 epoch ends before stages" in line]
    assert told < next(place for place, line in enumerate(lines) if "scoring the difficulty" in line)
    assert "1 expert of 1 epoch on this machine" in err
    assert "1 expert of 1 epoch in" in err
    err, _ = said(*words, "--full-at", "0", "--out", str(tmp_path / "reached"))
    assert "before stages" not in err
