"""What is done with whitened data: methods keep their promises, runs are resumed, sets are judged and compared."""

import dataclasses
import importlib
import json
import subprocess
import sys

import pytest
import torch

import attar
from attar import methods, report, rng
from attar.checks import check_method, check_synthetic
from attar.data import toy
from attar.distilled import Distilled
from attar.evaluation import Protocol, evaluate, subject
from attar.evaluation.saved import evaluate_saved
from attar.jobs import prepare
from attar.methods import random
from attar.synthetic import Bases, Memory, MultiFormation
from attar.types import AttarError, Budget

TINY = Protocol("tiny", models=("mlp-8",), runs=1, epochs=14, plain_epochs=10, updates=15, full_updates=20, lr=0.05)
PLAIN = toy.images()
WHITE = toy.images(zca=True)


def chosen(problem=WHITE) -> Distilled:
    return random().finish(problem, Budget(per_class=2), rng.generator(0, "method"))


# -- methods and parameterisations


@pytest.mark.parametrize("name", ["random", "kmeans", "herding"])
def test_coresets_keep_their_promises(name):
    check_method(methods.find(name)(), problem=WHITE)


@pytest.mark.parametrize("synthetic", [MultiFormation(2), Memory(), Bases(1)], ids=lambda part: type(part).__name__)
def test_parameterisations_keep_theirs(synthetic):
    check_synthetic(synthetic, problem=WHITE)
    result = attar.distill(
        dataclasses.replace(methods.dm("convnet1-4", batch=8), synthetic=synthetic), WHITE, Budget(per_class=4), steps=2
    )
    raw = result.value.data.x
    assert -2 < float(raw.min()) < float(raw.max()) < 3
    torch.testing.assert_close(result.value.normalised().x, WHITE.spec.normalisation.apply(raw))


def test_stored_pixels_stay_within_the_range_of_raw_ones():
    method = dataclasses.replace(methods.dm("convnet1-4", batch=8, lr=1e4), synthetic=MultiFormation(2))
    result = attar.distill(method, WHITE, Budget(per_class=1), steps=2)
    stored = WHITE.spec.normalisation.undo(result.value.stored["x"])
    assert float(stored.min()) == pytest.approx(0, abs=1e-5)
    assert float(stored.max()) == pytest.approx(1, abs=1e-5)


def test_the_estimate_rehearses_a_method_that_clamps():
    method = dataclasses.replace(methods.dm("convnet1-4", batch=8), synthetic=MultiFormation(2))
    job = prepare(method, WHITE, Budget(per_class=1), steps=2)
    assert job.estimate.memory is not None


# -- runs


def test_a_run_that_is_resumed_ends_as_one_that_was_not_stopped(tmp_path):
    method, budget = methods.dm("convnet1-4", batch=8), Budget(per_class=1)
    whole = attar.distill(method, WHITE, budget, steps=5, out=tmp_path / "whole")
    job = prepare(method, WHITE, budget, steps=5, out=tmp_path / "stopped")
    for step in job:
        if step.index == 2:
            break
    job.finish()
    attar.resume(tmp_path / "stopped")  # finds the data again, and whitens them again
    one, other = (tmp_path / name / "distilled" for name in ("whole", "stopped"))
    for file in ("data.safetensors", "whitening.safetensors"):
        assert (one / file).read_bytes() == (other / file).read_bytes()
    assert Distilled.load(other).training == whole.value.training
    assert json.loads((one.parent / "settings.json").read_text())["problem"]["notes"][-1] == WHITE.spec.notes[-1]


# -- evaluation


def test_a_set_and_its_test_rows_are_whitened_alike():
    value = chosen()
    found = evaluate(value, WHITE, protocol=TINY)
    assert not [note for note in found.notes if "whiten" in note]
    assert found[0].whitening == "ZCA, eps 0.1, fitted on 108 training rows"
    assert evaluate(chosen(PLAIN), PLAIN, protocol=TINY)[0].whitening == ""
    torch.testing.assert_close(subject(value, WHITE).batch.x, value.normalised().x)


def test_a_set_is_brought_to_the_rows_that_judge_it_and_that_is_said():
    white, plain = chosen(WHITE), chosen(PLAIN)
    torch.testing.assert_close(white.data.x, plain.data.x, atol=1e-5, rtol=0)
    torch.testing.assert_close(subject(white, PLAIN).batch.x, plain.normalised().x, atol=1e-4, rtol=0)
    torch.testing.assert_close(subject(plain, WHITE).batch.x, white.normalised().x, atol=1e-4, rtol=0)
    [note] = subject(white, PLAIN).notes
    assert "made for rows that are whitened (ZCA, eps 0.1, fitted on 108 training rows)" in note
    assert "load the data with zca=True (--zca)" in note
    [note] = subject(plain, WHITE).notes
    assert "made for rows that are not whitened" in note
    assert "load the data without zca" in note
    other = toy.images(zca=True, validation=0.2)
    assert any("whitened otherwise" in note for note in subject(white, other).notes)
    torch.testing.assert_close(subject(white, other).batch.x, other.spec.normalisation.apply(white.data.x))


def test_a_set_of_another_size_is_refused_as_before():
    with pytest.raises(AttarError, match=r"shape \(1, 8, 8\) and those of toy of \(1, 6, 6\)"):
        subject(chosen(), toy.images(size=6, zca=True))


def test_a_saved_run_finds_its_whitened_data_also_where_they_are_named(tmp_path):
    digits = attar.data.load("digits", zca=True)
    attar.distill(random(), digits, Budget(per_class=2), out=tmp_path / "run")
    for data in (None, "digits"):
        score = evaluate_saved(tmp_path / "run", data, models=["mlp-4"], runs=1, protocol="quick")
        assert score[0].whitening == str(digits.spec.normalisation.whitening)
        assert not [note for note in score.notes if "whiten" in note]
    with pytest.raises(AttarError, match="--zca suits data that are named"):
        evaluate_saved(tmp_path / "run", options={"zca": True})


def test_numbers_of_whitened_data_say_nothing_of_a_file_of_others(tmp_path):
    torch.save([WHITE.train.x[:3], torch.tensor([0, 1, 2])], tmp_path / "set.pt")
    foreign = importlib.import_module("attar.distilled.foreign")
    with pytest.raises(AttarError, match="--normalisation data says nothing where toy is whitened"):
        foreign.read_foreign(tmp_path / "set.pt", WHITE, "data")
    assert foreign.read_foreign(tmp_path / "set.pt", WHITE, "0/1").training.normalisation == WHITE.spec.normalisation


def test_the_command_takes_it(tmp_path):
    command = [sys.executable, "-c", "from attar.cli import main; main()", "distill", "random", "digits", "--ipc", "1"]
    done = subprocess.run(
        [*command, "--zca", "--out", "run"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "whitened (ZCA, eps 0.1, fitted on 1,295 training rows)" in done.stderr
    value = Distilled.load(tmp_path / "run")
    assert value.made_by["source"]["zca"] is True
    assert value.training.normalisation.whitening is not None


# -- comparisons and pages


def compared(problem, out, **options):
    return attar.compare(problem, ["kmeans"], (1,), seeds=2, out=out, protocol=TINY, **{"workers": 1, **options})


@pytest.mark.slow
def test_a_comparison_is_the_same_by_one_process_and_by_two(tmp_path):
    one, two = compared(WHITE, tmp_path / "one"), compared(WHITE, tmp_path / "two", workers=2)
    assert [row.scores for row in one.rows] == [row.scores for row in two.rows]
    assert one.problem["source"]["zca"] is True


def test_a_comparison_of_whitened_rows_is_not_gone_on_with_without(tmp_path):
    compared(WHITE, tmp_path / "white")
    with pytest.raises(AttarError, match=r"another whitening of the rows \(ZCA, eps 0.1, .*, now none given\)"):
        compared(PLAIN, tmp_path / "white")
    compared(PLAIN, tmp_path / "plain")
    with pytest.raises(AttarError, match=r"another whitening of the rows \(none given, now ZCA"):
        compared(WHITE, tmp_path / "plain")
    file = next((tmp_path / "white" / "sets").glob("kmeans-*/distilled/whitening.safetensors"))
    file.write_bytes(b"")
    compared(WHITE, tmp_path / "white")  # makes the set again
    assert len(Distilled.load(file.parent)) == 3


def test_full_data_of_other_rows_are_no_score_of_these(tmp_path):
    """One folder, one fingerprint, and full data whitened and not."""
    for name, problem in (("white", WHITE), ("plain", PLAIN)):
        attar.distill(random(), problem, Budget(per_class=1), out=tmp_path / name)
        report.score_run(tmp_path / name, runs=1, models=["mlp-4"])
    of = {
        name: {s["subject"]: s for s in json.loads((tmp_path / name / "scores.json").read_text())["scores"]}
        for name in ("white", "plain")
    }
    assert of["white"]["full data"]["whitening"] != of["plain"]["full data"]["whitening"] == ""
    assert "whitened (ZCA, eps 0.1" in (tmp_path / "white" / "report.html").read_text()
