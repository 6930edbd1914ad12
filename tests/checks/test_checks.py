"""The public checks pass what keeps its promises and say what does not."""

from dataclasses import dataclass, field, replace

import pytest
import torch

import attar
from attar import rng
from attar.checks import check_method, check_objective, check_synthetic
from attar.method import is_iterative
from attar.methods import METHODS
from attar.methods.coresets import Centroids
from attar.objectives import FeatureMatch
from attar.selection import Coreset
from attar.surrogates import Fresh
from attar.synthetic import MultiFormation, Pixels
from attar.synthetic.pixels import PixelRows
from attar.training.optimisers import SGD

TRAJECTORY = {"inner_steps": 3, "start_before": 4, "lr": 10.0, "step_size": 0.03}

SETTINGS = {
    "dm": {"model": "convnet2-16", "batch": 64},
    "dc": {"model": "convnet2-16"},
    "dsa": {"model": "convnet2-16"},
    "dcc": {"model": "convnet2-16", "warm_up": 0},
    "idc": {"model": "convnet2-16"},
    "idm": {"model": "convnet2-16", "updates": 2},
    "cafe": {"model": "convnet2-16", "batch": 64, "epochs": 4},
    "datadam": {"model": "convnet2-16", "batch": 64},
    "m3d": {"model": "convnet2-16", "batch": 64},
    "ncfm": {"model": "convnet2-16", "batch": 64, "frequencies": 256, "networks": 3, "updates": 20},
    "kip": {"batch": 64},
    "rfad": {"model": "convnet2-16-none", "networks": 2, "batch": 64, "lr": 0.02},
    "frepo": {"model": "convnet2-16", "batch": 64, "lr": 0.02},
    "mtt": TRAJECTORY,
    "tesla": TRAJECTORY,
    "ftd": {**TRAJECTORY, "average": 0.9},
    "datm": {**TRAJECTORY, "early_before": 2, "rising": 20},
    "pad": {**TRAJECTORY, "early_before": 2, "rising": 20},
    "dd": {
        "model": "convnet2-16",
        "inner_steps": 6,
        "lr": 0.05,
        "step_size": 0.05,
        "lr_step": 1e-3,
        "batch": 64,
        "initial": "real",
    },
    "ld": {
        "model": "convnet2-16",
        "matchings": 10,
        "inner_batch": 9,
        "lr_inner": 0.1,
        "lr_labels": 0.2,
        "lr_model": 0.03,
        "batch": 128,
    },
    "causal": {"features": 16, "kernel": "ntk", "lr": 0.02},
    "linba": {"model": "convnet2-16", "inner_steps": 5, "lr": 1.0, "lr_inner": 0.05, "batch": 32},
}


def _mislabelled(problem):
    """The problem with two in five training rows labelled wrongly: where learning labels of rows that stay is worth something."""
    source = torch.Generator().manual_seed(0)
    y = problem.train.y
    wrong = torch.rand(len(y), generator=source) < 0.4
    y = torch.where(wrong, (y + torch.randint(1, 3, y.shape, generator=source)) % 3, y)
    spec = replace(problem.spec, fingerprint="sha256:mislabelled")
    return replace(problem, train=problem.train.replace(y=y), spec=spec)


def _trial():
    """Whether a dose was given depends on age, and recovery on both."""
    source = torch.Generator().manual_seed(0)
    age, noise = torch.randn(2, 200, generator=source, dtype=torch.float64)
    dose = (torch.rand(200, generator=source, dtype=torch.float64) < age.sigmoid()).double()
    values = torch.stack([age, dose, age + 2 * dose + noise], dim=1).numpy()
    return attar.data.table(values, "recovery", "dose", names=["age", "dose", "recovery"])


ELSEWHERE = {
    "ld": {"problem": _mislabelled(attar.data.toy.images()), "per_class": 3},
    "causal": {"per_class": 4},
    "effects": {"problem": _trial()},
    "contingency": {"problem": attar.data.toy.table(discrete=True)},
}
"""Methods that are checked on other data than three rows of three classes, or than a table of mixed columns."""


ONE_A_FAMILY = ("dm", "dsa", "mtt", "ld", "kip")
"""Methods whose gain over random rows is checked with every run of the tests; that of the others in the second step of CI."""


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_its_promises(name, made):
    gain = name in ONE_A_FAMILY
    check_method(made(name, **SETTINGS.get(name, {})), steps=40, **ELSEWHERE.get(name, {}), gain=gain)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - set(ONE_A_FAMILY)))
def test_every_method_that_learns_gains_over_random_rows(name, made):
    check_method(made(name, **SETTINGS[name]), steps=40, **ELSEWHERE.get(name, {}))


def test_no_method_that_learns_is_left_out(made):
    learning = {name for name in METHODS if is_iterative(made(name, **SETTINGS.get(name, {})))}
    assert learning == set(SETTINGS)


def test_the_variants_of_k_means_do(toy):
    check_method(attar.methods.kmeans("medoids"), problem=toy)


def _dm():
    return attar.methods.dm("convnet2-8", batch=8)


@dataclass(frozen=True)
class Wrapped:
    """A method with one promise broken by each subclass."""

    inner: attar.Matching = field(default_factory=_dm)

    def init(self, problem, budget, generator):
        return self.inner.init(problem, budget, generator)

    def step(self, problem, state):
        return self.inner.step(problem, state)

    def finish(self, problem, state):
        return self.inner.finish(problem, state)


class Forgetful(Wrapped):
    """Draws from torch's own generator."""

    def init(self, problem, budget, generator):
        return self.inner.init(problem, budget, torch.Generator().manual_seed(int(torch.randint(10**9, ()))))


class Deaf(Wrapped):
    """Draws the same whatever the seed."""

    def init(self, problem, budget, generator):
        return self.inner.init(problem, budget, rng.generator(0))


class Greedy(Wrapped):
    """Keeps a row too many of a class."""

    def finish(self, problem, state):
        value = self.inner.finish(problem, state)
        return replace(value, data=value.data.join([value.data.take(torch.tensor([0]))]))


class Careless(Wrapped):
    """Writes into the training rows."""

    def step(self, problem, state):
        problem.train.x.mul_(1.001)
        return self.inner.step(problem, state)


class Overwriting(Wrapped):
    """Changes the state that it is given."""

    def step(self, problem, state):
        after, info = self.inner.step(problem, state)
        state["synthetic"]["rows.x"].add_(1.0)
        return after, info


class Remembering(Wrapped):
    """Keeps something beside its state, which a checkpoint does not hold."""

    def step(self, problem, state):
        after, info = self.inner.step(problem, state)
        count = getattr(state, "count", 0) + 1
        moved = {**after["synthetic"], "rows.x": after["synthetic"]["rows.x"] + 0.01 * count}
        kept = Counted({**after, "synthetic": moved})
        kept.count = count
        return kept, info


class Counted(dict):
    count = 0


class Broken(Wrapped):
    """Gives values that are not finite."""

    def finish(self, problem, state):
        value = self.inner.finish(problem, state)
        return replace(value, data=value.data.replace(x=value.data.x / 0))


class Bytes(Wrapped):
    """Gives rows in 0..255."""

    def finish(self, problem, state):
        value = self.inner.finish(problem, state)
        return replace(value, data=value.data.replace(x=value.data.x * 255))


class Silent(Wrapped):
    """Does not say its loss."""

    def step(self, problem, state):
        after, _ = self.inner.step(problem, state)
        return after, {}


class Unrecorded(Wrapped):
    """Forgets how the data were normalised."""

    def finish(self, problem, state):
        value = self.inner.finish(problem, state)
        other = replace(value.training.normalisation, mean=(0.0,))
        return replace(value, training=replace(value.training, normalisation=other))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Forgetful, "equal seeds gave different sets"),
        (Deaf, "different seeds gave the same set"),
        (Greedy, r"the budget gives \[2, 2, 2\] rows a class, and the set has \[3, 2, 2\]"),
        (Careless, "the method changed its input"),
        (Overwriting, "a step changed the state that it was given"),
        (Remembering, "saved and loaded goes on to another set"),
        (Broken, "not finite"),
        (Bytes, "not in raw units"),
        (Silent, "has no loss"),
        (Unrecorded, "does not record the data's normalisation"),
    ],
)
def test_a_broken_promise_is_named(kind, said):
    with pytest.raises(AssertionError, match=said):
        check_method(kind(), problem=attar.data.toy.images(), steps=1)


def test_a_method_that_does_no_better_than_random_rows_is_refused():
    still = replace(_dm(), optimisers={"data": SGD(1e-12)}, name="still")
    with pytest.raises(
        AssertionError, match=r"still scores .* and random rows .* the paired gain of .* is less than its spread"
    ):
        check_method(still, steps=1)


class Twice(Coreset):
    """Picks a row twice."""

    def finish(self, problem, budget, generator):
        value = super().finish(problem, budget, generator)
        rows = torch.tensor([0, 0, *range(2, 6)])
        return replace(value, data=value.data.take(rows), selected=[value.selected[row] for row in rows])


class Mislabelled(Coreset):
    """Gives rows the ids of others."""

    def finish(self, problem, budget, generator):
        value = super().finish(problem, budget, generator)
        return replace(value, selected=value.selected[::-1])


class Coincident(Centroids):
    """Gives one centre twice."""

    def finish(self, problem, budget, generator):
        value = super().finish(problem, budget, generator)
        return replace(value, data=value.data.take(torch.tensor([0, 0, *range(2, 6)])))


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (Twice(), "the same row twice"),
        (Mislabelled(), "not those that their ids name"),
        (Coincident(), "the same row twice"),
    ],
)
def test_a_broken_promise_of_a_direct_method_is_named(method, said):
    with pytest.raises(AssertionError, match=said):
        check_method(method)


# -- parts


class Half(FeatureMatch):
    """Forgets a factor of the gradient."""

    def loss(self, *given):
        loss, info, state = super().loss(*given)
        return loss.detach() + 0.5 * (loss - loss.detach()), info, state


class Constant(FeatureMatch):
    """Does not look at the synthetic rows."""

    def loss(self, task, surrogate, synthetic, real, state):
        return 0 * synthetic.whole().x.sum() + 1, {}, state


class Vector(FeatureMatch):
    def loss(self, *given):
        loss, info, state = super().loss(*given)
        return loss.expand(2), info, state


class Untidy(FeatureMatch):
    def loss(self, *given):
        loss, info, _ = super().loss(*given)
        return loss, info, {"network": object()}


class Noisy(FeatureMatch):
    def loss(self, *given):
        loss, info, state = super().loss(*given)
        return loss * (1 + torch.rand(())), info, state


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (Half(), "the gradient says .* along itself, difference quotients say"),
        (Constant(), "does not depend on the synthetic rows"),
        (Vector(), r"the loss has the shape \(2,\)"),
        (Untidy(), "the state cannot be checkpointed: a state holds a object"),
        (Noisy(), "the same draw gave another loss"),
    ],
)
def test_a_broken_objective_is_named(objective, said):
    with pytest.raises(AssertionError, match=said):
        check_objective(objective, Fresh("convnet2-8"))


def test_an_objective_is_not_checked_with_surrogates_that_it_does_not_read():
    reads_nothing = type("ReadsNothing", (FeatureMatch,), {"reads": ()})
    with pytest.raises(AssertionError, match="ReadsNothing does not read Weights"):
        check_objective(reads_nothing(), Fresh("convnet2-8"))


class HalfGrouped(Pixels):
    """Its rows are a parameter that no group names."""

    def build(self, batch, problem, generator):
        rows = PixelRows(batch)
        rows.groups = lambda: {"data": []}
        return rows


class Lossy(Pixels):
    """Is restored to something else."""

    def restore(self, tensors, like):
        return super().restore({**tensors, "x": tensors["x"] * 2}, like)


class InPlace(Pixels):
    """Changes the rows that it starts from."""

    def build(self, batch, problem, generator):
        batch.x.mul_(0.5)
        return PixelRows(batch)


class Nameless(Pixels):
    """Its rows are a group that no method has an optimiser for."""

    def build(self, batch, problem, generator):
        rows = PixelRows(batch)
        rows.groups = lambda: {"pixels": [rows.x]}
        return rows


class Unrepeatable(Pixels):
    """Draws from nobody's generator."""

    def build(self, batch, problem, generator):
        return PixelRows(batch.replace(x=batch.x + torch.rand_like(batch.x)))


class Shuffled(MultiFormation):
    """Gives labels in another order than rows."""

    def build(self, batch, problem, generator):
        rows = super().build(batch, problem, generator)
        forward = rows.forward
        rows.forward = lambda y: forward(y).replace(y=y.repeat(4, 1))
        return rows


@pytest.mark.parametrize(
    ("parameterisation", "said"),
    [
        (HalfGrouped(), "groups and parameters differ"),
        (Nameless(), "there is no group 'data'"),
        (Unrepeatable(), "equal generators built modules that give other rows"),
        (Shuffled(), "rows do not have the labels of their stored rows"),
        (Lossy(), "restored from its tensors, the rows differ"),
        (InPlace(), "changed the rows"),
    ],
)
def test_a_broken_parameterisation_is_named(parameterisation, said):
    with pytest.raises(AssertionError, match=said):
        check_synthetic(parameterisation)
