"""Matching weight paths: its loss by hand, its gradient, and what it leaves out."""

from dataclasses import replace

import pytest
import torch

import attar
from attar import rng
from attar.augment import NoAugment
from attar.batches import Images
from attar.objectives import TrajectoryMatch
from attar.surrogates import Expert, Fresh, Segment
from attar.surrogates.fresh import skeleton
from attar.training.optimisers import SGD
from attar.types import AttarError, Budget
from attar.views import Everything, View


def _scene(toy, toy_experts, dtype=torch.float64, rows=6):
    """The task, a piece of an expert's path and a synthetic side of a few rows."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(rows, *toy.train.x.shape[1:], generator=source, dtype=dtype, requires_grad=True)
    y = torch.arange(rows) % 3
    ends = ({name: value.to(dtype) for name, value in toy_experts.weights(0, epoch).items()} for epoch in (1, 3))
    segment = Segment(skeleton(toy.task, toy_experts.course.model), *ends)
    pace = torch.tensor(0.05, dtype=dtype, requires_grad=True)
    members = {group: torch.nonzero(y == group)[:, 0] for group in range(3)}
    side = View(Images(x, y), members, Everything(), NoAugment(), NoAugment(), 1, 2, {"step_size": pace})
    return toy.task, segment, side, x, pace


def _distance(one, other):
    return sum(((one[name] - other[name]) ** 2).sum() for name in one)


def test_the_loss_is_the_way_that_is_left_over_the_way_there_is(toy, toy_experts):
    task, segment, side, _, pace = _scene(toy, toy_experts)
    params = segment.start
    for index in range(4):  # written out: plain SGD on shuffled batches of two
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
        loss = task.loss(segment.model, leaves, side.minibatch(2, index).detach())
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        params = {
            name: value - pace.item() * slope for (name, value), slope in zip(params.items(), slopes, strict=True)
        }
    wanted = _distance(params, segment.target) / _distance(segment.start, segment.target)
    found, info, _ = TrajectoryMatch(4, batch=2).loss(task, segment, side, side, {})
    assert float(found) == pytest.approx(float(wanted), rel=1e-9)
    assert float(info["student step size"]) == pytest.approx(0.05)


def test_a_pass_shows_every_row_once_before_any_twice(toy, toy_experts):
    _, _, side, x, _ = _scene(toy, toy_experts)
    seen = torch.cat([side.minibatch(2, index).x for index in range(3)])
    assert {tuple(row.flatten().tolist()) for row in seen} == {tuple(row.flatten().tolist()) for row in x}
    assert not torch.equal(torch.cat([side.minibatch(2, index).x for index in range(3, 6)]), seen)
    assert torch.equal(side.minibatch(2, 1).x, seen[2:4])


@pytest.mark.parametrize("backward", ["store", "checkpoint"])
def test_the_gradient_is_that_of_finite_differences(backward, toy, toy_experts):
    task, segment, side, x, pace = _scene(toy, toy_experts)
    objective = TrajectoryMatch(3, batch=4, backward=backward)
    slopes = torch.autograd.grad(objective.loss(task, segment, side, side, {})[0], [x, pace])
    source = torch.Generator().manual_seed(3)
    aim = torch.randn(x.shape, generator=source, dtype=x.dtype)
    for place, slope in enumerate(((slopes[0] * aim).sum(), slopes[1])):
        ends = []
        for sign in (1e-6, -1e-6):
            moved = replace(
                side,
                batch=side.batch.replace(x=x.detach() + (sign * aim if place == 0 else 0)),
                learned={"step_size": pace.detach() + (sign if place == 1 else 0)},
            )
            ends.append(float(objective.loss(task, segment, moved, moved, {})[0]))
        assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)


def test_shallow_weights_count_for_nothing(toy, toy_experts):
    task, segment, side, *_ = _scene(toy, toy_experts)
    total = sum(value.numel() for value in segment.start.values())
    sizes = [value.numel() for value in segment.start.values()]
    cut = (sizes[0] + sizes[1] // 2) / total  # in the middle of the second tensor
    found = float(TrajectoryMatch(2, shallow=cut).loss(task, segment, side, side, {})[0])
    flat = {
        key: torch.cat([value.flatten() for value in part.values()])
        for key, part in vars(segment).items()
        if key != "model"
    }
    from attar.training.unroll import unroll

    rows = lambda x, y, index: replace(side, batch=Images(x, y)).minibatch(len(x), index)  # noqa: E731
    end = unroll(task, segment.model, segment.start, rows, side.batch.x, side.batch.y, torch.tensor(0.05), 2)
    left = int(cut * total)
    end = torch.cat([value.flatten() for value in end.values()])[left:]
    wanted = ((end - flat["target"][left:]) ** 2).sum() / ((flat["start"][left:] - flat["target"][left:]) ** 2).sum()
    assert found == pytest.approx(float(wanted), rel=1e-8)
    assert found != pytest.approx(float(TrajectoryMatch(2).loss(task, segment, side, side, {})[0]), rel=1e-3)


def test_a_loss_above_the_threshold_changes_nothing(toy, toy_experts):
    """The state goes on, what is learned does not, and neither do the optimisers' velocities."""

    def after(threshold):
        method = attar.Matching(
            TrajectoryMatch(3, threshold=threshold),
            Expert(toy_experts, bound=4),
            {"data": SGD(1.0, momentum=0.5), "step_size": SGD(0.1)},
            step_size=0.05,
        )
        state = method.init(toy, Budget(per_class=2), rng.generator(0, "method"))
        first, info = method.step(toy, state)
        return state, first, method.step(toy, first)[0], float(info["loss"])

    state, first, second, loss = after(None)
    assert not torch.equal(state["synthetic"]["rows.x"], first["synthetic"]["rows.x"])
    state, first, second, _ = after(loss / 10)
    assert torch.equal(state["synthetic"]["rows.x"], second["synthetic"]["rows.x"])
    assert (first["step"], second["step"], second["optimisers"]) == (1, 2, {})
    assert second["surrogates"]["step"] == 2
    assert second["skipped"] == 2


def test_a_run_that_learned_nothing_says_so(toy, toy_experts, tmp_path):
    from attar import report
    from attar.distilled.card import facts

    method = attar.methods.datm(toy_experts, inner_steps=2, start_before=4, early_before=2, threshold=1e-9)
    result = attar.distill(method, toy, Budget(per_class=1), steps=3, out=tmp_path / "run")
    assert dict(facts(result.value.card()))["steps"] == "3, 3 of which changed nothing"
    report.of_run(tmp_path / "run", toy)
    assert "3 of 3 steps changed nothing" in (tmp_path / "run" / "report.html").read_text()


def test_an_objective_that_forgets_the_rows_is_no_skipped_step(toy, toy_experts):
    class Forgets(TrajectoryMatch):
        def loss(self, *arguments):
            loss, info, state = super().loss(*arguments)
            return loss.detach(), info, state

    settings = {"optimisers": {"data": SGD(1.0), "step_size": SGD(0.1)}, "step_size": 0.05}
    with pytest.raises(AttarError, match="does not depend on the rows"):
        attar.distill(
            attar.Matching(Forgets(2), Expert(toy_experts, bound=4), **settings), toy, Budget(per_class=1), steps=1
        )


def test_wrong_settings_and_pairings_are_refused_before_any_work(toy, toy_experts):
    with pytest.raises(AttarError, match="TrajectoryMatch reads Segment, but Fresh yields Weights"):
        attar.Matching(TrajectoryMatch(), Fresh())
    for settings in ({"inner_steps": 0}, {"batch": 0}, {"backward": "none"}, {"shallow": 1.0}):
        with pytest.raises(AttarError, match="give"):
            TrajectoryMatch(**settings)
    method = attar.Matching(TrajectoryMatch(2), Expert(toy_experts, bound=4))
    with pytest.raises(AttarError, match="learned step size"):
        attar.distill(method, toy, Budget(per_class=1), steps=1)
