"""What mtt, tesla, ftd, datm and pad are made of, and that their parts work together."""

import pytest
import torch

import attar
from attar import methods, recipes, rng
from attar.estimate import rehearse
from attar.experts import Course, record
from attar.objectives import TrajectoryMatch
from attar.plan import Plan
from attar.selection import Noise, RandomReal, RightlyClassified
from attar.surrogates import Expert
from attar.synthetic import Pixels
from attar.training.optimisers import SGD
from attar.types import AttarError, Budget

EASY = {"inner_steps": 2, "start_before": 3, "lr": 1.0, "step_size": 0.05}
SMALL = {
    "mtt": EASY,
    "tesla": EASY,
    "ftd": {**EASY, "average": 0.5},
    "datm": {**EASY, "early_before": 1, "rising": 2},
    "pad": {**EASY, "early_before": 1, "rising": 2},
}


def _after(method, problem, steps, budget=Budget(per_class=2)):
    """The state after so many steps, and the loss of the last."""
    state, info = method.init(problem, budget, rng.generator(0, "method")), {}
    for _ in range(steps):
        state, info = method.step(problem, state)
    return state, info


# -- parts


def test_mtt_is_an_experts_path_matched_by_a_student_at_a_learned_step_size(toy_experts):
    method = methods.mtt(toy_experts)
    assert method.objective == TrajectoryMatch(30, None, "checkpoint")
    assert method.surrogates == Expert(toy_experts, 2, bound=20)
    assert (method.synthetic, method.initial, method.augmentation) == (Pixels(), RandomReal(), "default")
    assert (method.labels, method.step_size, method.average) == ("hard", 0.01, None)
    assert method.optimisers["data"] == SGD(100.0, momentum=0.5)
    assert set(method.optimisers) == {"data", "step_size"}


def test_settings_of_mtt_reach_their_parts(toy_experts):
    method = methods.mtt(
        toy_experts, 7, 3, 4, 2.0, 0.25, 0.1, 1e-3, 5, backward="store", augmentation="flip", initial="noise"
    )
    assert method.objective == TrajectoryMatch(7, 5, "store")
    assert method.surrogates == Expert(toy_experts, 3, bound=4)
    assert method.optimisers["data"] == SGD(2.0, momentum=0.25)
    assert method.optimisers["step_size"].momentum == 0.25
    assert (method.step_size, method.augmentation, method.initial) == (0.1, "flip", Noise())


def test_a_folder_stands_for_the_experts_in_it(toy_experts):
    assert methods.datm(toy_experts.path) == methods.datm(toy_experts)


def test_tesla_is_mtt_whose_way_back_is_linear(toy_experts):
    method, plain = methods.tesla(toy_experts, batch=5), methods.mtt(toy_experts, batch=5)
    assert method.objective == TrajectoryMatch(30, 5, "linear")
    for part in ("surrogates", "optimisers", "initial", "labels", "step_size"):
        assert getattr(method, part) == getattr(plain, part)


def test_soft_labels_of_tesla_are_the_experts(toy_experts):
    method = methods.tesla(toy_experts, labels="soft")
    assert (method.labels, method.initial) == ("soft", RightlyClassified(toy_experts))
    assert "labels" not in method.optimisers, "they stay"


def test_ftd_is_mtt_with_a_running_mean(toy_experts):
    method, plain = methods.ftd(toy_experts), methods.mtt(toy_experts)
    assert (method.average, methods.ftd(toy_experts, average=0.9).average) == (0.9995, 0.9)
    for part in ("objective", "surrogates", "optimisers", "initial", "labels", "step_size"):
        assert getattr(method, part) == getattr(plain, part)


def test_datm_learns_labels_from_rows_that_experts_have_right(toy_experts):
    method = methods.datm(toy_experts)
    assert method.objective == TrajectoryMatch(80, None, "checkpoint", threshold=1.0)
    assert method.surrogates == Expert(toy_experts, 2, 0, 20, 10, 1000)
    assert (method.labels, method.initial) == ("logits", RightlyClassified(toy_experts))
    assert method.optimisers["labels"] == SGD(2.0, momentum=0.9)
    assert (method.optimisers["data"], method.average) == (SGD(100.0, momentum=0.5), None)


def test_settings_of_datm_reach_their_parts(toy_experts):
    method = methods.datm(
        toy_experts, 4, 1, 1, 5, 2, 30, lr_labels=3.0, batch=6, threshold=1.5, average=0.9, backward="store"
    )
    assert method.objective == TrajectoryMatch(4, 6, "store", threshold=1.5)
    assert method.surrogates == Expert(toy_experts, 1, 1, 5, 2, 30)
    assert (method.optimisers["labels"].lr, method.average) == (3.0, 0.9)


def test_the_first_bound_of_datm_is_never_above_the_last(toy_experts):
    assert methods.datm(toy_experts, start_before=3).surrogates.early_bound == 3
    assert methods.pad(toy_experts, start_before=3, early_before=None).surrogates.early_bound is None


def test_pad_is_datm_without_the_shallow_weights(toy_experts):
    method, plain = methods.pad(toy_experts), methods.datm(toy_experts)
    assert method.objective == TrajectoryMatch(80, None, "checkpoint", 0.5, 1.0)
    for part in ("surrogates", "optimisers", "initial", "labels", "step_size", "average", "augmentation"):
        assert getattr(method, part) == getattr(plain, part)
    other = methods.pad(toy_experts, batch=6, threshold=1.5, shallow=0.25, backward="linear", augmentation="flip")
    assert other.objective == TrajectoryMatch(80, 6, "linear", 0.25, 1.5)
    assert other.augmentation == "flip"


@pytest.mark.parametrize("name", SMALL)
def test_every_published_setting_makes_the_method(name, toy_experts):
    tables = [table for table in recipes.recipe(name)["settings"] if "per_class" in table]
    assert {table["data"] for table in tables} == {"cifar10", "cifar100"}
    for table in tables:
        budget = Budget(per_class=table["per_class"])
        method = methods.published(name, table["data"], budget, {"experts": toy_experts})
        assert method.objective.inner_steps == table["inner_steps"]
        assert method.surrogates.bound == table["start_before"]


# -- what they do


@pytest.mark.parametrize("step_size", [0.02, 0.08])
def test_the_first_update_of_the_step_size_is_that_of_its_raw_value(toy, toy_experts, step_size):
    """As in the public code: the raw value less lr_step times the slope of the loss, here a difference quotient."""

    def start(at):
        return methods.mtt(toy_experts, 1, start_before=3, lr=1.0, step_size=at, lr_step=1e-6)  # L is a parabola in it

    around = [float(_after(start(step_size + gap), toy, 1)[1]["loss"]) for gap in (-1e-3, 1e-3)]
    slope = (around[1] - around[0]) / 2e-3
    state, _ = _after(start(step_size), toy, 1)
    moved = start(step_size).finish(toy, state).training.step_size - step_size
    assert abs(slope) > 1
    assert moved == pytest.approx(-1e-6 * slope, rel=0.01)


def test_the_result_of_ftd_is_the_mean_that_its_rows_leave_behind(toy, toy_experts):
    plain = methods.mtt(toy_experts, **EASY)
    state = plain.init(toy, Budget(per_class=2), rng.generator(0, "method"))
    mean = plain.finish(toy, state).data.x
    for _ in range(3):
        state, _ = plain.step(toy, state)
        mean = 0.5 * mean + 0.5 * plain.finish(toy, state).data.x
    method = methods.ftd(toy_experts, **SMALL["ftd"])
    averaged, _ = _after(method, toy, 3)
    value, last = method.finish(toy, averaged), plain.finish(toy, state)
    torch.testing.assert_close(value.data.x, mean)
    assert not torch.allclose(value.data.x, last.data.x)
    assert value.training.step_size == last.training.step_size


def test_a_loss_above_the_threshold_changes_nothing(toy, toy_experts):
    method = methods.datm(toy_experts, **SMALL["datm"], threshold=1e-9)
    before, _ = _after(method, toy, 0)
    after, info = _after(method, toy, 3)
    assert info["loss"] > 1e-9
    for name, value in before["synthetic"].items():
        assert torch.equal(after["synthetic"][name], value), name
    assert (after["step"], after["surrogates"]["step"]) == (3, 3), "it counts all the same"


def test_ways_back_are_told_apart_by_the_gradient_alone(toy, toy_experts):
    rows = {
        backward: _after(methods.mtt(toy_experts, **EASY, backward=backward), toy, 1)[0]["synthetic"]["rows.x"]
        for backward in ("store", "checkpoint", "linear")
    }
    torch.testing.assert_close(rows["store"], rows["checkpoint"])
    assert not torch.allclose(rows["linear"], rows["checkpoint"]), "an approximation for two updates"


@pytest.mark.parametrize(
    ("name", "settings", "labels"),
    [
        ("mtt", {}, "hard"),
        ("tesla", {}, "hard"),
        ("tesla", {"labels": "soft"}, "soft"),
        ("ftd", {}, "hard"),
        ("datm", {}, "learned"),
        ("pad", {}, "learned"),
    ],
)
def test_a_set_says_what_labels_it_has_and_at_which_step_size_it_is_trained(
    toy, made, tmp_path, name, settings, labels
):
    method = made(name, **SMALL[name], **settings, lr_step=1e-4)
    method.finish(toy, _after(method, toy, 2)[0]).save(tmp_path / "set")
    value = attar.Distilled.load(tmp_path / "set")
    assert value.training.labels == labels
    assert value.training.step_size not in (None, 0.05)
    if labels == "hard":
        assert value.data.y.tolist() == [0, 0, 1, 1, 2, 2]
    else:
        torch.testing.assert_close(value.data.y.sum(1), torch.ones(6))
        assert value.data.y.argmax(1).tolist() == [0, 0, 1, 1, 2, 2], "experts had these rows right"


@pytest.mark.parametrize("name", SMALL)
def test_a_step_can_be_rehearsed_without_numbers(toy, made, name):
    method, plan = made(name, **SMALL[name]), Plan.on("cpu")
    state = method.init(toy.planned(plan), Budget(per_class=2), rng.generator(0, "method"))
    assert rehearse(method, toy, state, plan) > 0


def test_uneven_budgets_work(tmp_path):
    uneven, budget = attar.data.toy.images(per_class=40, imbalance=8), Budget(size=9)
    experts = record(uneven, Course("convnet2-4", epochs=5, lr=0.05, batch=16), 1, out=tmp_path / "experts")
    counts = list(budget.counts([len(rows) for rows in uneven.members.values()]))
    for name, settings in SMALL.items():
        method = methods.find(name)(experts, **settings, batch=4)
        value = method.finish(uneven, _after(method, uneven, 2, budget)[0])
        y = value.data.y if value.data.y.dim() == 1 else value.data.y.argmax(1)
        if name in ("mtt", "tesla", "ftd"):
            assert torch.bincount(y).tolist() == counts
        assert len(value) == sum(counts)


# -- what is refused


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("mtt", {"inner_steps": 0}, "student of inner_steps=0 updates"),
        ("mtt", {"batch": 0}, "batch=0 rows each does not move"),
        ("mtt", {"backward": "stored"}, "no way back 'stored': give store, checkpoint or linear"),
        ("mtt", {"span": 0}, "0 epochs long"),
        ("mtt", {"start_before": 0}, "from epoch 0 to before 0"),
        ("mtt", {"step_size": 0.0}, "at step size 0.0: give more than 0"),
        ("mtt", {"step_size": float("nan")}, "at step size nan"),
        ("mtt", {"lr_step": 0.0}, "step size of 0.0 goes nowhere"),
        ("mtt", {"lr": -1.0}, "step size of -1.0 goes nowhere"),
        ("mtt", {"momentum": 1.0}, "momentum of 1.0 does not settle"),
        ("tesla", {"labels": "warm"}, "give hard labels, or soft ones of real rows"),
        (
            "tesla",
            {"labels": "soft", "initial": "noise"},
            "initial='noise': give hard labels, or soft ones of real rows",
        ),
        ("ftd", {"average": 1.0}, "running mean that keeps 1.0 of itself"),
        ("datm", {"average": 0.0}, "running mean that keeps 0.0 of itself"),
        ("datm", {"start_before": 2, "start_from": 2}, "bounds above the first epoch that do not fall"),
        ("datm", {"start_from": 10}, "bounds above the first epoch"),
        ("datm", {"rising": 0}, "bounds above the first epoch"),
        ("datm", {"lr_labels": 0.0}, "step size of 0.0 goes nowhere"),
        ("pad", {"shallow": 1.0}, "shallow=1.0 leaves no weights to match"),
        ("pad", {"shallow": -0.1}, "shallow=-0.1 leaves no weights"),
    ],
)
def test_settings_that_make_no_sense_are_refused(made, name, settings, sentence):
    with pytest.raises(AttarError) as refused:
        made(name, **settings)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("name", SMALL)
def test_a_method_without_experts_is_refused(name, tmp_path):
    with pytest.raises(AttarError, match=f"The method '{name}' cannot be made without experts="):
        methods.published(name, "mnist", Budget(per_class=1), {})
    with pytest.raises(AttarError, match=r"nowhere: give the folder that 'attar experts DATA --out FOLDER' named"):
        methods.find(name)(str(tmp_path / "nowhere"))


def test_experts_of_other_rows_are_refused(toy_experts):
    other = attar.data.toy.images(seed=1)
    with pytest.raises(AttarError, match="were recorded on other data"):
        methods.mtt(toy_experts, **EASY).init(other, Budget(per_class=1), rng.generator(0, "method"))


def test_pieces_that_end_after_the_experts_are_refused(toy, toy_experts):
    with pytest.raises(
        AttarError, match=r"start before epoch 6 end at 7, and the experts .* for 6: start before 5, or"
    ):
        methods.mtt(toy_experts, start_before=6).init(toy, Budget(per_class=1), rng.generator(0, "method"))
    methods.mtt(toy_experts, start_before=5).init(toy, Budget(per_class=1), rng.generator(0, "method"))
