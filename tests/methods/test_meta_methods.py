"""Learning by meta-gradients: what the methods are made of, and what of it reaches the set."""

from dataclasses import replace

import pytest
import torch

import attar
from attar import estimate, rng
from attar.augment import NoAugment
from attar.batches import Images
from attar.distilled import Own
from attar.evaluation import evaluate
from attar.objectives import FeatureMatch, Unrolled
from attar.plan import Plan
from attar.selection import Noise, RandomReal, Smoothed
from attar.surrogates import Fresh, Online
from attar.synthetic import Memory, Pixels
from attar.training.optimisers import SGD, Adam
from attar.types import AttarError, Budget
from attar.views import Everything, PerClass, Uniform, View

SMALL = "convnet2-8"


def _set(method, problem, per_class=2, steps=3, seed=0):
    state = method.init(problem, Budget(per_class=per_class), rng.generator(seed, "method"))
    first = method.finish(problem, state)
    for _ in range(steps):
        state, info = method.step(problem, state)
    return first, method.finish(problem, state), info


def test_dd_is_unrolled_updates_each_at_a_step_size_of_its_own():
    method = attar.methods.dd(inner_steps=6, step_size=0.5)
    assert method.objective == Unrolled(6, in_order=1)
    assert method.surrogates == Fresh("convnet3")
    assert method.step_size == (0.5,) * 6
    assert method.initial == Noise()
    assert method.real_rows == Uniform(1024)
    assert [method.optimisers["data"].decay.at(step) for step in (1999, 2000, 4000)] == [1, 0.5, 0.25]
    assert attar.methods.dd(fixed=True).surrogates == Fresh("convnet3", fixed=True)


def test_ld_is_labels_alone_of_rows_that_stay():
    method = attar.methods.ld(matchings=7, inner_batch=5)
    assert method.objective == Unrolled(1, 5, lr=0.01)
    assert method.surrogates == Online("convnet3", ((1, 7, 1),), 0.01, 5, momentum=0.9, updates=1)
    assert method.synthetic == Pixels(learned=False)
    assert list(method.optimisers) == ["labels"]
    assert method.initial == Smoothed(RandomReal(), 0.5)


def test_linba_is_mixtures_of_bases_through_updates_with_momentum():
    method = attar.methods.linba(inner_steps=20, window=5, random_end=True, expand=3, bases=2)
    assert method.objective == Unrolled(20, lr=0.01, momentum=0.9, window=5, random_end=True)
    assert method.surrogates == Fresh("convnet3")
    assert method.synthetic == Memory(3, 2)
    assert method.optimisers["data"] == SGD(0.1, momentum=0.5, clip=2.0)
    assert method.real_rows == PerClass(64)


def test_the_step_sizes_of_dd_are_learned_one_by_one_and_saved(toy, tmp_path):
    first, last, info = _set(attar.methods.dd(SMALL, inner_steps=4, batch=64), toy)
    assert first.training.step_sizes == pytest.approx([0.02] * 4)
    assert len(set(last.training.step_sizes)) == 4
    assert last.training.step_size == pytest.approx(sum(last.training.step_sizes) / 4)
    assert float(info["student step size"]) == pytest.approx(last.training.step_size, rel=0.05)
    assert last.training.own == Own(SMALL, 4, 3, "stored")
    last.save(tmp_path / "set")
    assert attar.Distilled.load(tmp_path / "set").training == last.training


def test_a_set_for_one_start_is_scored_from_it(toy):
    """The very training that the last step differentiated, so its score is what distillation worked for."""
    method = attar.methods.dd(SMALL, inner_steps=3, fixed=True, batch=64)
    _, value, _ = _set(method, toy, steps=2)
    state = method.init(toy, Budget(per_class=2), rng.generator(0, "method"))
    source = method.surrogates
    network, _ = source.next(state["surrogates"], toy, None, None, rng.generator(0))
    batch = value.normalised()
    members = {group: ids for group, ids in toy.task.members(batch).items()}
    pace = torch.tensor(value.training.step_sizes)
    side = View(batch, members, Everything(), NoAugment(), NoAugment(), 1, 2, {"step_size": pace})
    real = View(toy.test, toy.task.members(toy.test), Everything(), NoAugment(), NoAugment(), 3, 2)
    loss, _, _ = method.objective.loss(toy.task, network, side, real, {})
    found = toy.task.build(SMALL)
    attar.evaluation.own.AsDistilled.of(value.training).train(toy.task, found, batch, 0)
    assert toy.task.loss(found, None, toy.test).item() == pytest.approx(loss.item(), rel=1e-5)
    scores = evaluate(value, toy, runs=2, protocol="own")[0].scores
    assert scores[0] == scores[1]


def test_ld_leaves_its_rows_alone_and_learns_their_labels(toy):
    first, last, _ = _set(attar.methods.ld(SMALL, inner_batch=6, batch=64), toy)
    assert torch.equal(first.data.x, last.data.x)
    own = torch.arange(6) // 2
    assert torch.allclose(first.data.y, 0.5 * torch.eye(3)[own] + 0.5 / 3, atol=1e-6)
    assert not torch.equal(first.data.y, last.data.y)
    assert torch.allclose(last.data.y.sum(1), torch.ones(6))
    assert last.training.labels == "learned"
    assert last.training.own is None  # its networks were on their way when they were judged
    origin = toy.spec.normalisation.undo(toy.train.x)
    assert all((origin == row).flatten(1).all(1).any() for row in last.data.x)


def test_smoothed_labels_lie_between_a_row_and_all_classes(toy):
    rows = Smoothed(RandomReal(), 0.3)(toy, Budget(per_class=1), rng.generator(0))
    assert torch.equal(rows.x, RandomReal()(toy, Budget(per_class=1), rng.generator(0)).x)
    assert torch.allclose(rows.y, 0.7 * torch.eye(3) + 0.1)
    for share in (0, 1):
        with pytest.raises(AttarError, match="leaves no soft label"):
            Smoothed(share=share)


def test_rows_that_stay_need_something_else_to_learn(toy):
    still = {"synthetic": Pixels(learned=False)}
    for method in (
        attar.Matching(FeatureMatch(), Fresh(SMALL), **still),
        attar.Matching(FeatureMatch(), Fresh(SMALL), {}, labels="soft", **still),
    ):
        with pytest.raises(AttarError, match="Nothing would be learned: the rows of Pixels stay as they are"):
            method.init(toy, Budget(per_class=1), rng.generator(0))
    with pytest.raises(AttarError, match=r"Pixels learns \['data'\], for which there is no optimiser"):
        attar.Matching(FeatureMatch(), Fresh(SMALL), {}).init(toy, Budget(per_class=1), rng.generator(0))
    paces = {"step_size": Adam(1e-3)}
    method = attar.Matching(Unrolled(2), Fresh(SMALL), paces, step_size=0.1, **still)
    first, last, _ = _set(method, toy)
    assert torch.equal(first.data.x, last.data.x)
    assert first.training.step_size != last.training.step_size


def test_step_sizes_that_train_nothing_are_refused():
    for step_size in (0.0, (), (0.1, -0.1)):
        with pytest.raises(AttarError, match="cannot be trained at step size"):
            attar.Matching(Unrolled(2), Fresh(SMALL), {"data": SGD(1.0), "step_size": SGD(0.1)}, step_size=step_size)


def test_a_schedule_serves_trajectory_matching_too(toy, toy_experts):
    method = replace(attar.methods.mtt(toy_experts, inner_steps=3, start_before=4), step_size=(0.01, 0.02, 0.03))
    _, value, info = _set(method, toy)
    assert len(value.training.step_sizes) == 3
    assert 0.01 < float(info["student step size"]) < 0.03
    assert value.training.own is None  # its students start where experts were


def test_clipped_gradients_move_rows_less():
    from attar.training.optimisers import update

    param = torch.nn.Parameter(torch.zeros(2))
    other = torch.nn.Parameter(torch.zeros(2))
    param.grad, other.grad = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])  # of norm 5 together
    update(SGD(1.0, clip=2.5), [param, other], None, 0)
    assert param.tolist() == pytest.approx([-1.5, 0], abs=1e-5)
    assert other.tolist() == pytest.approx([0, -2], abs=1e-5)
    for make in (SGD, Adam):
        with pytest.raises(AttarError, match="shortened to 0"):
            make(1.0, clip=0)


def test_rows_that_no_update_would_take_are_refused(toy):
    """They would stay the noise that they start from."""
    said = "3 updates of 3 rows each, in order, never take some of the 12 rows: give 4 updates or more"
    with pytest.raises(AttarError, match=said):
        attar.distill(attar.methods.dd("convnet2-8", inner_steps=3, batch=32), toy, Budget(per_class=4), steps=1)
    attar.distill(attar.methods.dd("convnet2-8", inner_steps=4, batch=32), toy, Budget(per_class=4), steps=1)
    attar.distill(
        attar.methods.dd("convnet2-8", inner_steps=2, inner_batch=2, batch=32), toy, Budget(per_class=4), steps=1
    )


def test_batches_in_order_have_as_many_of_each_class():
    batch = Images(torch.arange(12.0).view(12, 1, 1, 1), torch.arange(12) // 4)
    members = {group: torch.nonzero(batch.y == group)[:, 0] for group in range(3)}
    side = View(batch, members, Everything(), NoAugment(), NoAugment(), 1, 2)
    assert [side.in_order(6, index).x.flatten().tolist() for index in range(3)] == [
        [0, 2, 4, 6, 8, 10],
        [1, 3, 5, 7, 9, 11],
        [0, 2, 4, 6, 8, 10],
    ]
    assert side.in_order(3, 5).y.tolist() == [0, 1, 2]
    assert len(side.in_order(12, 1)) == len(side.in_order(100, 1)) == 12


@pytest.mark.parametrize(
    "method",
    [
        attar.methods.dd(SMALL, inner_steps=3, batch=32),
        attar.methods.ld(SMALL, batch=32),
        attar.methods.linba(SMALL, inner_steps=4, window=2, random_end=True, batch=16),
    ],
    ids=["dd", "ld", "linba"],
)
def test_it_is_rehearsed_without_numbers_before_it_runs(method, toy):
    state = method.init(toy, Budget(per_class=2), rng.generator(0))
    assert estimate.rehearse(method, toy, state, Plan()) > 0
