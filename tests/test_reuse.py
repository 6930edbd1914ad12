"""Work that jobs ask for alike: done once, counted by each."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict

import pytest
import torch

import attar
from attar import reuse
from attar.selection import rules


@pytest.fixture
def trainings(monkeypatch):
    """How often rows were scored, from a process that has not scored any yet."""
    monkeypatch.setattr(reuse, "_kept", OrderedDict())
    done = []
    score = rules.SCORES["el2n"]
    monkeypatch.setitem(rules.SCORES, "el2n", lambda *given: done.append(given) or score(*given))
    return done


def sets(problem, per_class, seed=0, **settings):
    method = attar.methods.el2n("convnet2-4", epochs=1, **settings)
    return attar.distill(method, problem, attar.Budget(per_class=per_class), seed=seed)


def test_rows_are_scored_once_for_all_budgets_and_preferences(toy, trainings, monkeypatch):
    alone = {}
    for per_class in (1, 2):
        monkeypatch.setattr(reuse, "_kept", OrderedDict())
        alone[per_class] = sets(toy, per_class).value
    trainings.clear()
    monkeypatch.setattr(reuse, "_kept", OrderedDict())
    together = {per_class: sets(toy, per_class).value for per_class in (1, 2)}
    sets(toy, 1, prefer="easy")
    assert len(trainings) == 1
    for per_class, value in together.items():
        assert torch.equal(value.data.x, alone[per_class].data.x)


def test_each_set_counts_the_training_that_it_needs(toy, trainings, monkeypatch):
    sets(toy, 1)
    [(key, (value, _, _))] = reuse._kept.items()
    reuse._kept[key] = value, 3600.0, 10**12  # as if it had taken an hour
    later = sets(toy, 2).stats
    assert 3600 < later.seconds < 3660
    assert later.own_memory in (None, 10**12)


def test_other_rows_seeds_settings_and_plans_are_scored_anew(toy, trainings):
    sets(toy, 1)
    sets(toy, 1, seed=1)
    sets(toy, 1, networks=2)
    fewer = dataclasses.replace(toy, train=toy.train.take(torch.arange(len(toy.train) - 1)), origins=None)
    sets(fewer, 1)
    assert len(trainings) == 4
    first, second = (reuse.training_rows(toy.planned(attar.plan.Plan(chunk=chunk))) for chunk in (8, 16))
    assert first != second


def test_only_so_many_pieces_are_kept(monkeypatch):
    monkeypatch.setattr(reuse, "_kept", OrderedDict())
    for key in range(reuse.LIMIT + 1):
        reuse.once(key, lambda key=key: key)
    assert reuse.once(reuse.LIMIT, lambda: "done again") == reuse.LIMIT
    assert reuse.once(0, lambda: "done again") == "done again"
