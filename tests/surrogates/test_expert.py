"""Pieces of recorded weight paths."""

import collections

import pytest
import torch

import attar
from attar import rng
from attar.surrogates import Expert, Segment
from attar.types import AttarError


def _draw(source, problem, count, state=None):
    state = source.init(problem, rng.generator(0, "s")) if state is None else state
    found = []
    for step in range(count):
        piece, state = source.next(state, problem, None, None, rng.generator(0, "network", step))
        found.append(piece)
    return found, state


def _place(experts, params):
    """The expert and epoch that weights are of."""
    name = next(iter(params))
    for index in range(len(experts)):
        for epoch in range(experts.epochs + 1):
            if torch.equal(experts.weights(index, epoch)[name], params[name]):
                return index, epoch
    return None


def test_pieces_are_of_one_expert_and_span_the_epochs_asked_for(toy, toy_experts):
    pieces, _ = _draw(Expert(toy_experts, span=2, first=1, bound=4), toy, 40)
    assert all(isinstance(piece, Segment) for piece in pieces)
    starts, ends = (
        [_place(toy_experts, part) for part in parts]
        for parts in ([piece.start for piece in pieces], [piece.target for piece in pieces])
    )
    assert all(index == other and end == start + 2 for (index, start), (other, end) in zip(starts, ends, strict=True))
    assert {start for _, start in starts} == {1, 2, 3}  # the bound itself is left out
    assert {index for index, _ in starts} == {0, 1}


def test_the_bound_rises_step_by_step(toy, toy_experts):
    source = Expert(toy_experts, span=1, bound=5, early_bound=1, rising=40)
    seen = collections.defaultdict(set)
    for step, piece in enumerate(_draw(source, toy, 120)[0]):
        seen[min(step // 10, 4)].add(_place(toy_experts, piece.start)[1])
    assert [max(seen[part]) for part in range(5)] == [0, 1, 2, 3, 4]


def test_experts_that_come_later_do_not_change_a_run(toy, tmp_path):
    from attar.experts import Course, record

    course = Course("convnet2-6", epochs=2, batch=32)
    few = record(toy, course, 1, out=tmp_path / "experts")
    source = Expert(few, span=1, bound=2)
    state = source.init(toy, rng.generator(0, "s"))
    record(toy, course, 3, out=tmp_path / "experts")
    assert len(few) == 3
    pieces, _ = _draw(source, toy, 12, state)
    assert {_place(few, piece.start)[0] for piece in pieces} == {0}


def test_what_the_experts_cannot_give_is_said_before_any_work(toy, toy_experts):
    with pytest.raises(AttarError, match=r"end at 7, and the experts in .* were trained for 6: start before 5"):
        Expert(toy_experts, span=2, bound=6).init(toy, rng.generator(0, "s"))
    with pytest.raises(AttarError, match="recorded on other data"):
        Expert(toy_experts, bound=2).init(attar.data.load("digits"), rng.generator(0, "s"))
    for settings in ({"span": 0}, {"first": 20}, {"early_bound": 0}, {"early_bound": 30}, {"rising": 0}):
        with pytest.raises(AttarError, match="No piece of an expert"):
            Expert(toy_experts, **settings)


def test_a_set_says_which_experts_it_learned_from_and_counts_their_seconds(toy, toy_experts):
    method = attar.methods.mtt(toy_experts, inner_steps=2, start_before=4)
    result = attar.distill(method, toy, attar.Budget(per_class=1), steps=2)
    record = result.value.card()["made_by"]
    assert record["prepared"]["experts"]["count"] == 2
    assert record["prepared"]["experts"]["course"]["fields"]["epochs"] == 6
    assert record["seconds"] == pytest.approx(result.stats.seconds + toy_experts.seconds, abs=0.01)
    assert (
        "prepared"
        not in attar.distill(attar.methods.dm("convnet2-8"), toy, attar.Budget(per_class=1), steps=1).value.made_by
    )
