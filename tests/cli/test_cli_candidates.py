"""Candidates from the command line: distil with some, choose among them on validation rows, and what is refused."""

import json

import pytest

import attar
from attar.cli import main
from attar.data import load
from attar.experts import Course, record
from attar.plan import Plan

MADE = "distill dm digits --ipc 1 --model convnet1-4 --batch 8 --steps 4"


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Run ``attar`` in an empty folder; gives what it wrote, once its exit code is the expected one."""
    monkeypatch.chdir(tmp_path)

    def call(words, code=0):
        with pytest.raises(SystemExit) as ended:
            main(words.split())
        assert (ended.value.code or 0) == code
        return capsys.readouterr()

    return call


def test_one_is_chosen_and_scored_beside_the_last(said, tmp_path):
    said(f"{MADE} --candidates 2 --validation 0.2 --out run")
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    assert settings["candidates"] == 2
    assert settings["problem"]["source"]["validation"] == 0.2
    assert [path.name for path in (tmp_path / "run/candidates").iterdir()] == ["00000002"]
    words = "evaluate run --select --models ridge-ntk,mlp-4 --protocol quick --runs 1"
    assert "candidates      2, of steps 2 to 4; none chosen yet (attar evaluate run --select)" in said("show run").out
    written = said(f"{words} --json")
    told = json.loads(written.out)
    lines = written.err.splitlines()
    scored = {one["step"]: one["mean"] for one in told["selection"]["candidates"]}
    rows = told["selection"]["rows"]
    assert lines[-4] == f"attar: choosing among 2 candidates (steps 2 to 4) by ridge-ntk, on {rows} validation rows"
    assert lines[-3] == f"attar: step 2: {100 * scored[2]:.1f} % on validation rows (1 to do)"
    assert f"attar: step {told['selection']['step']} was chosen; scoring it" in lines[-1]
    step = told["selection"]["step"]
    named = f"dm, chosen on validation rows (step {step} of 4)"
    assert [(score["subject"], score["model"]) for score in told["scores"]] == [
        *(("dm", "ridge-ntk"), (named, "ridge-ntk"), ("dm", "mlp-4"), (named, "mlp-4"))
    ]
    assert [one["step"] for one in told["selection"]["candidates"]] == [2, 4]
    assert told["selection"]["rows"] == len(load("digits", validation=0.2).validation)
    assert attar.Distilled.load("run/selected").made_by["selection"]["step"] == step
    printed = said(words).out
    assert named in printed
    assert "Note: Of 2 candidates along the run (steps 2 to 4)" in printed
    assert "The chosen set: run/selected" in printed
    assert "chosen on validation rows" in said("show run/selected").out
    kept = f"candidates      2, of steps 2 to 4; step {step}, chosen on {rows} validation rows by ridge-ntk, is in run/selected"
    assert kept in said("show run").out


def test_more_candidates_than_steps_are_told(said, tmp_path):
    err = said(f"{MADE} --candidates 10 --out run").err
    assert "attar: 4 sets are kept of the 10 candidates asked for, one after each step; the last is the result" in err
    assert len(list((tmp_path / "run/candidates").iterdir())) == 3  # and the result
    assert "candidates      4, of steps 1 to 4; none chosen yet" in said("show run").out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (f"{MADE} --candidates 1", "--candidates 1 leaves nothing to choose among: give 2 or more."),
        ("distill herding digits --ipc 1 --candidates 3", "takes no steps: leave --candidates out."),
        (f"{MADE} --validation 2", "--validation 2 is no share of the training rows"),
        (f"{MADE} --candidates 3 --validation 0", "--validation 0 leaves none: give a share."),
        ("compare digits --methods dm --candidates 1", "--candidates 1 leaves nothing to choose among"),
        ("evaluate nothing --select", "nothing at nothing"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_data_are_read(said, words, sentence, monkeypatch):
    for reader in ("find", "load", "reopen"):
        monkeypatch.setattr(f"attar.data.{reader}", lambda *_, **__: pytest.fail("the data were read"))
    [told] = said(words, 2).err.splitlines()
    assert sentence in told


def test_a_run_without_candidates_says_how_to_get_some(said, monkeypatch):
    said(f"{MADE} --out plain")
    monkeypatch.setattr("attar.data.reopen", lambda *_, **__: pytest.fail("the data were read"))
    told = said("evaluate plain --select", 2).err
    assert "plain kept no candidates to choose among: distil again with candidates=10 (--candidates 10)" in told
    assert "distilled is not a run" in said("evaluate plain/distilled --select", 2).err


def test_data_without_validation_rows_say_how_to_get_some(said, tmp_path, monkeypatch):
    bare = load("digits", validation=0.0)
    monkeypatch.setattr("attar.data.find", lambda *_, **__: bare)
    told = said(f"{MADE} --candidates 3 --out run", 2).err
    assert "digits has no validation rows, so nothing can choose among candidates" in told
    assert "(--validation 0.1)" in told
    assert not (tmp_path / "run").exists()


def test_rows_of_another_split_choose_nothing(said):
    said(f"{MADE} --candidates 2 --validation 0.2 --out run")
    assert "which is not the digits" in said("evaluate run digits --select --models ridge-ntk", 2).err


def test_experts_say_which_rows_are_left_for_validation(said, tmp_path):
    course = Course("convnet2-8", epochs=3, batch=512)
    record(load("digits", validation=0.3), course, 1, out=tmp_path / "experts", plan=Plan(threads=1))
    words = "distill mtt digits --ipc 1 --experts experts --start-before 1 --inner-steps 2 --steps 2"
    told = said(f"{words} --validation 0.1 --out run", 2).err
    assert "--validation 0.1 is not the share that the experts left out (0.3)" in told
    said(f"{words} --validation 0.3 --candidates 2 --out run")
    assert list((tmp_path / "run/candidates").iterdir())
