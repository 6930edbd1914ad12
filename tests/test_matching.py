"""The one iterative method: its parts together."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch.utils._pytree import tree_leaves

import attar
from attar import jobs, progress, rng
from attar.checkpoint import load_tree, save_tree
from attar.distances import squared_distance
from attar.objectives import ContrastiveGradientMatch, FeatureMatch, GradientMatch
from attar.selection import INITIALS, Noise
from attar.surrogates import Fresh, Online, Segment, Weights
from attar.surrogates.online import DC_LOOPS
from attar.synthetic import Bases, Codes, Latents, Memory, MultiFormation, Pixels
from attar.synthetic.synthetic import GROUPS
from attar.training import passes
from attar.training.optimisers import SGD, Adam
from attar.types import AttarError, Budget
from attar.views import Everything, PerClass, Uniform, View

MODEL = "convnet2-8"
DM = attar.Matching(FeatureMatch(), Fresh(MODEL), real_rows=PerClass(8))
DSA = attar.Matching(GradientMatch(), Online(MODEL), {"data": SGD(0.1, momentum=0.5)}, real_rows=PerClass(8))


def _walk(method, problem, budget, steps, seed=0):
    return [step.state for step in attar.run(method, problem, budget, steps=steps, seed=seed)][-1]


def _tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _same(a, b):
    return all(torch.equal(x, y) for x, y in zip(_tensors(a), _tensors(b), strict=True))


@dataclass(frozen=True)
class Paths:
    """A source of pieces of weight paths, for wrong pairings."""

    yields: ClassVar[type] = Segment


@dataclass(frozen=True)
class ReadsPaths:
    reads: ClassVar[tuple[type, ...]] = (Segment,)


def test_an_objective_refuses_surrogates_that_it_cannot_read():
    with pytest.raises(AttarError, match=r"^FeatureMatch reads Weights, but Paths yields Segment: choose another"):
        attar.Matching(FeatureMatch(), Paths())
    with pytest.raises(AttarError, match="ReadsPaths reads Segment, but Fresh yields Weights"):
        attar.Matching(ReadsPaths(), Fresh())


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("objective", "mse", "objective='mse' is no part of a method: give one of attar.objectives"),
        ("surrogates", None, "surrogates=None is no part of a method: give one of attar.surrogates"),
        ("synthetic", attar.synthetic.Memory, "is no part of a method: make it, as Memory\\(\\)"),
        ("synthetic", None, "synthetic=None is no part"),
        (
            "initial",
            "kmeans",
            "initial='kmeans' is no part of a method: give one of attar.selection, such as RandomReal",
        ),
    ],
)
def test_what_is_no_part_is_refused_when_the_method_is_made(part, value, said):
    with pytest.raises(AttarError, match=said):
        replace(attar.methods.dm(), **{part: value})


def test_several_kinds_that_an_objective_reads_are_all_named():
    both = type("Both", (), {"reads": (Weights, int)})
    with pytest.raises(AttarError, match="Both reads Weights or int"):
        attar.Matching(both(), Paths())


@pytest.mark.parametrize(
    ("settings", "said"), [({"labels": "learned"}, "Learned labels"), ({"step_size": 0.01}, "Learned step_size")]
)
def test_what_is_learned_needs_an_optimiser(settings, said):
    with pytest.raises(AttarError, match=f"{said} need an optimiser"):
        replace(DM, **settings)


def test_the_data_need_an_optimiser(toy):
    method = replace(DM, optimisers={})
    with pytest.raises(AttarError, match=r"Pixels learns \['data'\], for which there is no optimiser"):
        method.init(toy, Budget(per_class=1), rng.generator(0))


def test_an_optimiser_of_a_group_that_there_is_not_is_refused(toy):
    method = replace(DM, synthetic=Memory(rows=2), optimisers={"data": SGD(1.0), "adresses": SGD(1.0)})
    with pytest.raises(
        AttarError, match=r"no group of parameters 'adresses' .* did you mean addresses\? Memory has data"
    ):
        method.init(toy, Budget(per_class=1), rng.generator(0))


def test_one_set_of_optimisers_serves_all_parts_of_attar(toy):
    """Those of groups that a part does not have are passed over; weights are those of tables alone."""
    names, found = ("data", "hallucinators", "addresses", "decoders"), {"labels", "step_size", "weights"}
    optimisers = {name: SGD(0.1) for name in names}
    for part in (Pixels(), MultiFormation(2), Memory(rows=2), Bases(2), Codes(2, 2, 2), Latents(2, 4, fit=0)):
        method = replace(DM, synthetic=part, optimisers=optimisers)
        state = _walk(method, toy, Budget(per_class=2), 1)
        found |= state["optimisers"].keys()
    assert found == set(GROUPS)


class Cut:
    """The first row of the class 0, and two of every other."""

    def rows(self, members, group, size, source):
        chosen = members if group is None else {group: members[group]}
        return [(g, rows[: 1 if g == 0 else 2]) for g, rows in chosen.items()]


@pytest.mark.parametrize("soft", [False, True])
def test_contrastive_matching_weighs_classes_by_the_rows_that_are_drawn(toy, soft):
    """Of four rows a class the sampler gives 1, 2 and 2: real gradients of each class at 1/5, 2/5 and 2/5."""
    model = toy.task.build("mlp-8").requires_grad_(False)
    params = dict(model.named_parameters())
    rows = toy.train.take(torch.cat([ids[:4] for ids in toy.members.values()]))
    shares = torch.tensor([1.0, 2.0, 2.0]) / 5
    if soft:
        rows = rows.replace(y=0.7 * torch.eye(3)[rows.y] + 0.1)
        shares = 0.7 * shares + 0.1
    seen = []

    def distance(here, there):
        seen.append(there)
        return squared_distance(here, there)

    none = attar.augment.NoAugment()
    sides = [
        View(batch, toy.task.members(batch), sampler, none, none, seed, 3)
        for seed, (batch, sampler) in enumerate(((rows, Cut()), (toy.train, Everything())))
    ]
    ContrastiveGradientMatch(distance, warm_up=0).loss(toy.task, Weights(model, params), *sides, {"networks": 0})
    slopes = [passes.gradient(toy.task, model, params, toy.train.take(ids))[0] for ids in toy.members.values()]
    for name, value in seen[0].items():
        wanted = sum(share * slope[name] for share, slope in zip(shares, slopes, strict=True))
        assert torch.allclose(value, wanted, atol=1e-6), name


def test_a_part_augments_both_sides_alike_and_each_row_that_networks_are_trained_on_by_itself(toy):
    seen = {}

    @dataclass(frozen=True)
    class Watching(Fresh):
        def next(self, state, problem, synthetic, real, generator):
            alike = real.batch.x[:1].expand(8, -1, -1, -1)
            seen["matched"] = real.augment(alike, 5), synthetic.augment(alike, 5)
            seen["trained"] = real.training_augment(alike, 5)
            return super().next(state, problem, synthetic, real, generator)

    method = replace(DM, surrogates=Watching(MODEL), augmentation=attar.augment.all_of("color_cutout"))
    method.step(toy, method.init(toy, Budget(per_class=1), rng.generator(0)))
    for side in seen["matched"]:
        assert torch.equal(side, seen["matched"][0])
        assert len(side.unique(dim=0)) == 1
    assert len(seen["trained"].unique(dim=0)) == 8


def test_what_is_no_image_is_not_augmented():
    """From Python, where no command has looked at the settings before."""
    table = attar.data.toy.table(200)
    for method in (attar.methods.kip(augmentation="rotate"), attar.methods.dm("mlp", augmentation="flip")):
        with pytest.raises(AttarError, match="An augmentation changes images, and rows of .* are none"):
            method.init(table, Budget(per_class=1), rng.generator(0))


def test_real_rows_may_be_augmented_alone_and_each_by_its_own_draw(toy):
    seen = {}

    @dataclass(frozen=True)
    class Watching(Fresh):
        def next(self, state, problem, synthetic, real, generator):
            alike = real.batch.x[:1].expand(8, -1, -1, -1)
            seen["real"], seen["synthetic"] = real.augment(alike, 5), synthetic.augment(alike, 5)
            return super().next(state, problem, synthetic, real, generator)

    parts = {"surrogates": Watching(MODEL), "augmentation": ""}
    method = replace(DM, **parts, real_augmentation=attar.augment.slight("crop_rotate"))
    method.step(toy, method.init(toy, Budget(per_class=1), rng.generator(0)))
    assert len(seen["real"].unique(dim=0)) == 8
    assert torch.equal(seen["synthetic"], toy.train.x[:1].expand(8, -1, -1, -1))


def test_an_objective_that_does_not_read_a_group_says_so(toy):
    """Mean features by class do depend on labels; the step size nothing here reads."""
    method = replace(DSA, step_size=0.01, optimisers={"data": SGD(0.1), "step_size": SGD(0.1)})
    with pytest.raises(
        AttarError, match="GradientMatch does not depend on the group 'step_size', so it cannot learn it"
    ):
        _walk(method, toy, Budget(per_class=1), 1)


@pytest.mark.parametrize("objective", [GradientMatch(), FeatureMatch()])
def test_learned_labels_change_and_are_saved(toy, tmp_path, objective):
    method = replace(DSA, objective=objective, labels="learned", optimisers={"data": SGD(0.1), "labels": SGD(1.0)})
    budget = Budget(per_class=1)
    start = method.finish(toy, method.init(toy, budget, rng.generator(0, "method")))
    value = method.finish(toy, _walk(method, toy, budget, 3))
    assert torch.equal(start.data.y, torch.eye(3))
    assert value.data.y.shape == (3, 3)
    assert not torch.equal(value.data.y, start.data.y)
    value.save(tmp_path / "set")
    again = attar.Distilled.load(tmp_path / "set")
    assert torch.equal(again.data.y, value.data.y)
    assert again.training.labels == "learned"


def test_soft_labels_stay_as_they_are(toy):
    method = replace(DSA, labels="soft")
    value = method.finish(toy, _walk(method, toy, Budget(per_class=2), 2))
    assert torch.equal(value.data.y, torch.eye(3).repeat_interleave(2, 0))


@dataclass(frozen=True)
class StepObjective:
    """Reads the learned step size: one SGD step of that size on synthetic rows should fit real ones."""

    reads: ClassVar[tuple[type, ...]] = (Weights,)

    def init(self, problem, generator):
        return {}

    def loss(self, task, surrogate, synthetic, real, state):
        params = {name: value.clone().requires_grad_() for name, value in surrogate.params.items()}
        slopes = torch.autograd.grad(
            task.loss(surrogate.model, params, synthetic.draw()), list(params.values()), create_graph=True
        )
        size = synthetic.learned["step_size"].float()
        moved = {name: value - size * slope for (name, value), slope in zip(params.items(), slopes, strict=True)}
        return task.loss(surrogate.model, moved, real.draw()), {}, state


def test_a_learned_step_size_changes_and_is_saved(toy, tmp_path):
    optimisers = {"data": SGD(0.1), "step_size": SGD(5.0, momentum=0.5)}
    method = replace(DM, objective=StepObjective(), step_size=0.01, optimisers=optimisers)
    value = method.finish(toy, _walk(method, toy, Budget(per_class=1), 4))
    assert value.training.step_size != pytest.approx(0.01, rel=1e-3)
    assert value.training.step_size > 0
    value.save(tmp_path / "set")
    assert attar.Distilled.load(tmp_path / "set").training.step_size == pytest.approx(value.training.step_size)


@pytest.mark.parametrize("method", [DM, DSA], ids=["features", "gradients"])
def test_a_step_leaves_the_given_state_and_the_data_alone(toy, method):
    state = _walk(method, toy, Budget(per_class=1), 2)
    kept, data = [leaf.clone() for leaf in _tensors(state)], toy.train.x.clone()
    method.step(toy, state)
    assert all(torch.equal(a, b) for a, b in zip(kept, _tensors(state), strict=True))
    assert torch.equal(toy.train.x, data)


@pytest.mark.parametrize(
    "method", [DM, DSA, replace(DM, optimisers={"data": Adam(0.01)})], ids=["features", "gradients", "adam"]
)
def test_a_saved_state_goes_on_as_if_nothing_had_been(toy, tmp_path, method):
    """Momentum and Adam's counts included."""
    budget = Budget(per_class=1)
    straight = _walk(method, toy, budget, 5)
    save_tree(_walk(method, toy, budget, 2), tmp_path / "state")
    state = load_tree(tmp_path / "state")
    for _ in range(3):
        state, _ = method.step(toy, state)
    assert _same(state, straight)


def test_two_runs_of_one_seed_are_equal_and_of_two_seeds_differ(toy):
    budget = Budget(per_class=2)
    first, again, other = (_walk(DSA, toy, budget, 3, seed) for seed in (0, 0, 1))
    assert _same(first, again)
    assert not _same(first, other)


def test_randomness_of_the_caller_does_not_matter(toy):
    torch.manual_seed(1)
    first = _walk(DM, toy, Budget(per_class=1), 2)
    torch.manual_seed(2)
    torch.rand(7)
    assert _same(first, _walk(DM, toy, Budget(per_class=1), 2))


@pytest.mark.parametrize("name", INITIALS)
def test_the_state_starts_at_the_initial_rows(toy, name):
    method = replace(DM, initial=INITIALS[name])
    state = method.init(toy, Budget(per_class=2), rng.generator(0, "method"))
    wanted = INITIALS[name](toy, Budget(per_class=2), rng.generator(state["seed"], "initial"))
    assert torch.equal(state["synthetic"]["rows.x"], wanted.x)
    assert not torch.equal(_walk(method, toy, Budget(per_class=2), 1)["synthetic"]["rows.x"], wanted.x)


def test_the_first_step_is_plain_gradient_descent(toy):
    """Without momentum a step subtracts lr times the gradient; twice the lr moves twice as far."""
    moves = []
    for lr in (0.1, 0.2):
        method = replace(DM, optimisers={"data": SGD(lr)})
        start = method.init(toy, Budget(per_class=1), rng.generator(0, "method"))
        after, _ = method.step(toy, start)
        moves.append(after["synthetic"]["rows.x"] - start["synthetic"]["rows.x"])
    assert moves[0].abs().max() > 0
    assert torch.allclose(2 * moves[0], moves[1], atol=1e-6)


def test_steps_make_the_loss_smaller(toy):
    method = replace(DM, initial=Noise(), augmentation="", real_rows=PerClass(36))
    losses = [step.info["loss"] for step in attar.run(method, toy, Budget(per_class=1), steps=60)]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


@pytest.mark.parametrize("method", [DM, DSA], ids=["features", "gradients"])
@pytest.mark.parametrize("rows", [PerClass(8), PerClass(64)], ids=["few", "all"])
def test_imbalanced_classes_and_a_size_in_all(method, rows):
    uneven = attar.data.toy.images(classes=3, per_class=40, imbalance=8)
    budget = Budget(size=8)
    wanted = budget.counts([len(ids) for ids in uneven.members.values()])
    method = replace(method, real_rows=rows)
    value = method.finish(uneven, _walk(method, uneven, budget, 2))
    assert torch.bincount(value.data.y, minlength=3).tolist() == list(wanted)
    assert len(set(wanted)) > 1


def test_uniform_real_rows_serve_features(toy):
    method = replace(DM, real_rows=Uniform(30))
    assert torch.isfinite(method.finish(toy, _walk(method, toy, Budget(per_class=1), 2)).data.x).all()


def test_rows_come_out_in_raw_units(toy):
    state = DM.init(toy, Budget(per_class=2), rng.generator(0, "method"))
    value = DM.finish(toy, state)
    assert torch.allclose(toy.spec.normalisation.apply(value.data.x), state["synthetic"]["rows.x"], atol=1e-6)
    assert value.data.x.min() >= -1e-6
    assert value.data.x.max() <= 1 + 1e-6
    assert value.training.class_names == toy.spec.class_names


def test_the_augmentation_that_a_set_is_trained_with_is_that_of_its_matching(toy):
    for given, recorded in (("default", toy.spec.augmentation), ("", ""), ("flip_crop", "flip_crop")):
        method = replace(DM, augmentation=given)
        state = method.init(toy, Budget(per_class=1), rng.generator(0, "method"))
        assert method.finish(toy, state).training.augmentation == recorded


def test_an_augmentation_that_is_a_part_is_recorded_by_its_own_strategy(toy):
    parts = ((attar.methods.idc("convnet2-8", augmentation="color"), "color"), (attar.methods.idc(augmentation=""), ""))
    for method, recorded in (*parts, (replace(DM, augmentation=attar.augment.DCAugment()), "dc")):
        state = method.init(toy, Budget(per_class=1), rng.generator(0, "method"))
        assert method.finish(toy, state).training.augmentation == recorded


def test_an_augmentation_changes_what_is_learned(toy):
    plain, augmented = (
        _walk(replace(DM, augmentation=name), toy, Budget(per_class=1), 2) for name in ("", "crop_scale")
    )
    assert not torch.equal(plain["synthetic"]["rows.x"], augmented["synthetic"]["rows.x"])


def test_an_augmentation_may_be_a_part(toy):
    part = replace(DM, augmentation=attar.augment.Siamese("crop_scale"))
    named = replace(DM, augmentation="crop_scale")
    assert _same(_walk(part, toy, Budget(per_class=1), 2), _walk(named, toy, Budget(per_class=1), 2))


@pytest.mark.parametrize(("per_class", "renewed"), [(1, [True, True, True]), (10, [True, False, False])])
def test_the_published_loops_follow_the_rows_a_class(toy, per_class, renewed):
    """At one row a class every step has a new network; at ten the network is trained and kept."""
    method = replace(DSA, surrogates=Online(MODEL, tuple((n, m, min(e, 1)) for n, m, e in DC_LOOPS)))
    found = []
    for step in attar.run(method, toy, Budget(per_class=per_class), steps=3):
        # position 0 after the step means that the next network is new; the first of a round stands at 1 after it
        found.append(step.state["surrogates"]["position"] in (0, 1))
    assert found == renewed


def test_swapping_one_part_is_one_replace(toy):
    method = replace(DSA, objective=GradientMatch(squared_distance))
    assert not _same(_walk(method, toy, Budget(per_class=1), 1), _walk(DSA, toy, Budget(per_class=1), 1))


def test_learned_labels_may_leave_a_class_without_rows(toy):
    method = replace(
        attar.methods.dc(model="mlp-8", initial="real"),
        labels="learned",
        optimisers={"data": SGD(0.1), "labels": SGD(1e3)},
    )
    state = method.init(toy, attar.Budget(per_class=1), rng.generator(0))
    for _ in range(3):
        state, info = method.step(toy, state)
    assert torch.isfinite(info["loss"])


def test_a_running_mean_of_the_rows_is_the_result(toy):
    """By hand: it starts at the starting rows and keeps its share of itself at each step."""
    method = replace(DM, average=0.75, labels="learned", optimisers={"data": SGD(1.0), "labels": SGD(0.1)})
    state = method.init(toy, Budget(per_class=1), rng.generator(0, "method"))
    mean = {name: value.clone() for name, value in state["synthetic"].items()}
    for _ in range(3):
        state, _ = method.step(toy, state)
        mean = {name: 0.75 * value + 0.25 * state["synthetic"][name] for name, value in mean.items()}
    found = method.finish(toy, state).normalised()
    assert torch.allclose(found.x, mean["rows.x"], atol=1e-5)
    assert torch.allclose(found.y, mean["y"], atol=1e-6)
    assert not torch.allclose(found.x, state["synthetic"]["rows.x"], atol=1e-3)
    for share in (0.0, 1.0):
        with pytest.raises(AttarError, match="running mean"):
            replace(DM, average=share)


def test_a_running_mean_that_keeps_much_of_its_start_is_cautioned_before_the_first_step(toy, capsys):
    method = replace(DM, average=0.999)
    [said] = method.cautions(100)
    assert "its start still has 90 % after 100" in said
    assert "(average 0.977)" in said
    for average, steps in ((0.999, 100), (0.9999, 5_000), (0.999, 2_000), (0.99, 3), (0.5, 1)):
        [said] = replace(DM, average=average).cautions(steps)
        advised = float(said.rpartition("average ")[2].partition(")")[0])
        assert replace(DM, average=advised).cautions(steps) == [], "what is advised suits"
    assert DM.cautions(1) == method.cautions(5000) == []
    progress.watch(jobs.prepare(method, toy, Budget(per_class=1), steps=1))
    assert "attar: matching: the set is a running mean" in capsys.readouterr().err


def test_labels_learned_as_logits_are_saved_as_probabilities(toy, tmp_path):
    method = replace(DM, labels="logits", optimisers={"data": SGD(1.0), "labels": SGD(50.0)})
    state = method.init(toy, Budget(per_class=2), rng.generator(0, "method"))
    before = method.finish(toy, state).data.y
    assert torch.allclose(before, torch.eye(3)[[0, 0, 1, 1, 2, 2]], atol=1e-4)  # class ids, all but certain
    value = method.finish(toy, _walk(method, toy, Budget(per_class=2), 3))
    assert torch.allclose(value.data.y.sum(-1), torch.ones(6))
    assert not torch.equal(value.data.y, before)
    assert value.training.labels == "learned"
    value.save(tmp_path / "set")
    assert torch.equal(attar.Distilled.load(tmp_path / "set").data.y, value.data.y)
    with pytest.raises(AttarError, match="Learned labels need an optimiser"):
        replace(DM, labels="logits")


def test_logits_of_decoded_rows_are_stored_as_probabilities(toy, tmp_path):
    method = replace(
        DM, labels="logits", synthetic=MultiFormation(2), optimisers={"data": SGD(1.0), "labels": SGD(1.0)}
    )
    value = method.finish(toy, _walk(method, toy, Budget(per_class=1), 2))
    value.save(tmp_path / "set")
    again = attar.Distilled.load(tmp_path / "set")
    assert torch.equal(again.data.y, value.data.y)
    assert torch.allclose(again.stored["y"].sum(-1), torch.ones(3))
