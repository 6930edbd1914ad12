"""Work that jobs ask for alike: done once where that is wanted, counted by each."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import attar
from attar import memory, reuse
from attar.reuse import Shared
from attar.selection import features, rules

METHODS = {
    "el2n": {"epochs": 1},
    "grand": {},
    "forgetting": {"epochs": 2},
    "craig": {"epochs": 1},
    "glister": {"epochs": 1},
    "k_center": {"features": "convnet2-4", "epochs": 1},
}


@pytest.fixture
def trainings(monkeypatch):
    """The networks that were trained, and the rows that were scored."""
    done = []
    train = features._trained
    monkeypatch.setattr(features, "_trained", lambda *given: done.append("trained") or train(*given))
    for name, score in rules.SCORES.items():
        monkeypatch.setitem(
            rules.SCORES, name, lambda *given, name=name, score=score: done.append(name) or score(*given)
        )
    return done


def chosen(problem, name="el2n", per_class=1, seed=0, **settings):
    given = METHODS[name] | settings
    if "features" not in given:
        given.setdefault("model", "convnet2-4")
    return attar.distill(getattr(attar.methods, name)(**given), problem, attar.Budget(per_class=per_class), seed=seed)


@pytest.mark.parametrize("name", METHODS)
def test_networks_are_trained_once_for_all_budgets_and_choose_the_same_rows(toy, trainings, name):
    alone = [chosen(toy, name, per_class).value for per_class in (1, 2)]
    each = len(trainings) // 2
    trainings.clear()
    shared = Shared()
    together = []
    for per_class in (1, 2):
        with shared:  # as a comparison, cell by cell
            together.append(chosen(toy, name, per_class).value)
    assert len(trainings) == each
    for one, other in zip(alone, together, strict=True):
        assert [row["row"] for row in one.selected] == [row["row"] for row in other.selected]


def test_a_job_by_itself_does_all_of_its_work(toy, trainings):
    chosen(toy)
    chosen(toy)
    assert trainings.count("trained") == 2


def test_each_set_counts_the_training_that_it_needs(toy, monkeypatch):
    shared = Shared()
    with shared:
        chosen(toy)
    for key, piece in shared._pieces.items():  # as if the scores had taken an hour and a terabyte
        if "el2n" in key:
            shared._pieces[key] = dataclasses.replace(piece, seconds=3600.0, peak=10**12)
    monkeypatch.setattr(memory.Meter, "peak", lambda self: 0)
    with shared:
        later = chosen(toy, per_class=2).stats
    assert 3600 < later.seconds < 3660
    assert later.own_memory == 10**12


def test_work_within_work_is_counted_once_by_each(toy):
    with Shared():
        with reuse.counted(None) as first:
            reuse.once(toy, ("outer",), lambda: reuse.once(toy, ("inner",), lambda: torch.zeros(1)))
        assert first.seconds == 0
        with reuse.counted(None) as inner:
            reuse.once(toy, ("inner",), lambda: torch.ones(1))
        with reuse.counted(None) as outer, reuse.counted(None) as nested:
            assert reuse.once(toy, ("outer",), lambda: torch.ones(1)) == 0
        assert outer.seconds == nested.seconds >= inner.seconds > 0
        with reuse.counted(None) as again:
            reuse.once(toy, ("another",), lambda: reuse.once(toy, ("inner",), lambda: torch.ones(1)))
            own = again.seconds
        with reuse.counted(None) as last:
            reuse.once(toy, ("another",), lambda: torch.ones(1))
        assert last.seconds > own == inner.seconds


def test_other_rows_weights_seeds_settings_and_plans_are_worked_on_anew(toy, trainings):
    weighted = toy.train.replace(weight=torch.rand(len(toy.train)))
    fewer = dataclasses.replace(toy, train=toy.train.take(torch.arange(len(toy.train) - 1)), origins=None)
    with Shared():
        chosen(toy)
        chosen(toy, seed=1)
        chosen(toy, networks=2)  # one of them is the first's
        chosen(fewer)
        chosen(dataclasses.replace(toy, train=weighted))
        assert trainings.count("trained") == trainings.count("el2n") == 5
        planned = [toy.planned(attar.plan.Plan(chunk=chunk)) for chunk in (8, 16)]
        found = [reuse.once(problem, ("work",), lambda problem=problem: problem.task.plan.chunk) for problem in planned]
        assert found == [8, 16]


def test_the_same_rows_are_hashed_once_however_they_are_planned(toy, monkeypatch):
    hashed = []
    digest = reuse._digest
    monkeypatch.setattr(reuse, "_digest", lambda fields: hashed.append(fields) or digest(fields))
    with Shared():
        for number in range(3):
            reuse.once(toy.planned(attar.plan.Plan()), (number,), lambda: torch.zeros(1))
    assert len(hashed) == 1


def test_what_was_not_asked_for_longest_goes_when_there_is_too_much(toy):
    shared = Shared(limit=100)
    with shared:
        for value in (1.0, 2.0):
            reuse.once(toy, (value,), lambda value=value: torch.full((10,), value))  # 40 bytes
        reuse.once(toy, (1.0,), lambda: pytest.fail("done twice"))
        reuse.once(toy, (3.0,), lambda: torch.full((10,), 3.0))
        assert float(reuse.once(toy, (1.0,), lambda: pytest.fail("done twice"))[0]) == 1
        assert reuse.once(toy, (2.0,), lambda: "done again") == "done again"
