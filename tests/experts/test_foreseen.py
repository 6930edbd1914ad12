"""What scoring the rows' difficulty is foreseen to take, before experts of a staged course."""

import dataclasses
import importlib
from types import SimpleNamespace

import pytest

import attar.experts as experts
from attar.experts import Course, Staged, prepare, record
from attar.experts.foreseen import foresee_scoring
from attar.plan import Plan

PLAN = Plan(threads=1)
STAGED = Staged("el2n", full_at=1, removals=(), model="mlp-8", epochs=1, networks=3)
COURSE = Course("mlp-8", 2, batch=32, augmentation="", staged=STAGED)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes by what is done: a second an update, a hundredth for each row that is scored."""
    now, updates, fit = [0.0], [], importlib.import_module("attar.training.fit")
    done, norms = fit._update, experts.foreseen.gradient_norms

    def update(*words):
        now[0] += 1
        updates.append(now[0])
        return done(*words)

    def scored(model, x, y):
        now[0] += len(x) / 100
        return norms(model, x, y)

    monkeypatch.setattr(experts.foreseen, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(fit, "_update", update)
    monkeypatch.setattr(experts.foreseen, "gradient_norms", scored)
    return updates


def test_it_is_that_of_all_updates_of_all_networks(toy, clock):
    """Of 108 rows in batches of 8 an epoch has 14 updates, and 300 is the least: 22 epochs, 308 updates."""
    assert len(toy.train) == 108
    assert foresee_scoring(toy, STAGED, PLAN) == pytest.approx(3 * 308)
    assert len(clock) == 3, "one that warms up, and two that are timed"
    assert foresee_scoring(toy, dataclasses.replace(STAGED, epochs=30), PLAN) == pytest.approx(3 * 30 * 14)


def test_gradients_of_each_row_are_counted(toy, clock):
    by_gradients = dataclasses.replace(STAGED, score="grand", networks=1)
    assert foresee_scoring(toy, by_gradients, PLAN) == pytest.approx(308 + 1.08)
    untrained = dataclasses.replace(by_gradients, epochs=0)
    assert foresee_scoring(toy, untrained, PLAN) == pytest.approx(1.08)


def test_it_is_a_part_of_its_own_and_of_nothing_once_it_is_done(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(experts.preparing, "foresee_scoring", lambda problem, staged, plan: 200.0)
    recording = prepare(toy, COURSE, 1, out=tmp_path / "staged", plan=PLAN)
    assert recording.foreseen.scoring == 200
    assert recording.foreseen.sentence().endswith("; before that about 3 min to score the rows' difficulty")
    seconds = recording.score()
    assert seconds > 0
    assert recording.score() == seconds, "scored once"
    record(toy, COURSE, 1, out=tmp_path / "staged", plan=PLAN)
    again = prepare(toy, COURSE, 2, out=tmp_path / "staged")
    assert again.foreseen.scoring == 0
    assert "difficulty" not in again.foreseen.sentence()
    plain = prepare(toy, dataclasses.replace(COURSE, staged=None), 1, out=tmp_path / "plain", plan=PLAN)
    assert plain.foreseen.scoring == 0
