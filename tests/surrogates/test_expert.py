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


def test_a_run_that_ends_before_the_bound_has_risen_is_cautioned(toy_experts):
    source = Expert(toy_experts, span=1, bound=5, early_bound=1, rising=40)
    [said] = source.cautions(20)
    assert "before epoch 1 at first and before epoch 5 from step 40 on, which 20 steps do not reach" in said
    assert source.cautions(40) == []
    assert Expert(toy_experts, span=1, bound=5).cautions(1) == []


def test_experts_that_come_later_do_not_change_a_run(toy, tmp_path):
    from attar.experts import Course, record

    course = Course("convnet2-6", epochs=2, batch=32)
    few = record(toy, course, 2, out=tmp_path / "experts")
    method = attar.methods.mtt(few, inner_steps=2, span=1, start_before=2)
    state = method.init(toy, attar.Budget(per_class=1), rng.generator(0, "method"))
    before = few.seconds
    record(toy, course, 3, out=tmp_path / "experts")
    assert len(few) == 3
    pieces, _ = _draw(method.surrogates, toy, 24, state["surrogates"])
    assert {_place(few, piece.start)[0] for piece in pieces} == {0, 1}
    told = method.finish(toy, state).made_by["prepared"]["experts"]
    assert (told["count"], told["seconds"]) == (2, pytest.approx(before, abs=1e-3))


def test_a_run_notices_that_its_experts_are_others_now(toy, tmp_path):
    from attar.experts import Course, record

    first = record(toy, Course("convnet2-6", epochs=2, batch=32), 3, out=tmp_path / "one")
    source = Expert(first, span=1, bound=2)
    state = source.init(toy, rng.generator(0, "s"))
    for file in (tmp_path / "one").glob("expert-0000.*"):
        file.rename(tmp_path / file.name)
    with pytest.raises(AttarError, match=r"no expert 0|cannot be read|are others than those"):
        _draw(source, toy, 24, state)
    other = record(toy, Course("convnet2-6", epochs=2, batch=32, lr=0.1), 3, out=tmp_path / "two")
    with pytest.raises(AttarError, match="others than those that this run began with"):
        _draw(Expert(other, span=1, bound=2), toy, 1, state)


def test_other_experts_under_the_same_name_are_told_apart(toy, tmp_path):
    from attar.experts import Course, record
    from attar.record import inputs

    found = record(toy, Course("convnet2-6", epochs=1, batch=64), 1, out=tmp_path / "experts")
    method = attar.methods.mtt(found, span=1, start_before=1)
    before = inputs(method)
    assert list(before) == ["surrogates.experts"]
    record(toy, Course("convnet2-6", epochs=1, batch=64), 2, out=tmp_path / "experts")
    assert inputs(method) != before


def test_what_a_run_starts_from_counts_the_experts_too(toy, toy_experts):
    from attar.method import Start

    start = Start(attar.methods.datm(toy_experts, inner_steps=2, start_before=4, early_before=2))
    value = attar.distill(start, toy, attar.Budget(per_class=1)).value
    assert value.made_by["seconds"] >= toy_experts.seconds - 0.01
    assert value.made_by["prepared"]["experts"]["count"] == 2


def test_what_the_experts_cannot_give_is_said_before_any_work(toy, toy_experts):
    with pytest.raises(AttarError, match=r"end at 7, and the experts in .* were trained for 6: start before 5"):
        Expert(toy_experts, span=2, bound=6).init(toy, rng.generator(0, "s"))
    with pytest.raises(AttarError, match="were trained for 6: give a shorter span, or record longer"):
        Expert(toy_experts, span=7, bound=1).init(toy, rng.generator(0, "s"))
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


def test_the_card_and_the_page_tell_the_experts_seconds(toy, toy_experts, tmp_path):
    from attar import report
    from attar.distilled.card import facts

    method = attar.methods.mtt(toy_experts, inner_steps=2, start_before=4)
    result = attar.distill(method, toy, attar.Budget(per_class=1), steps=1, out=tmp_path / "run")
    told = f"{toy_experts.seconds:,.0f} s for 2 experts"
    assert dict(facts(result.value.card()))["of which"] == told
    report.of_run(tmp_path / "run", toy)
    assert f"counts {told}" in (tmp_path / "run" / "report.html").read_text()
