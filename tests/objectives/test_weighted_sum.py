"""Weighted sums of objectives."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from attar import rng
from attar.data import toy
from attar.objectives import FeatureMatch, Mechanisms, RidgeMatch, TrajectoryMatch, WeightedSum
from attar.surrogates import Kernel, Weights
from attar.types import AttarError


@dataclass(frozen=True)
class Fixed:
    """A loss of ``factor sum x`` that counts how often it was asked."""

    factor: float = 1.0
    reads: ClassVar[tuple[type, ...]] = (Kernel, Weights)

    def init(self, problem, generator):
        return {"asked": 0}

    def loss(self, task, surrogate, synthetic, real, state):
        return self.factor * synthetic, {"told": torch.tensor(self.factor)}, {"asked": state["asked"] + 1}

    def settle(self, problem, state, value):
        return [*value, (self.factor, state["asked"])]


def test_the_sum_by_hand_and_a_state_of_each():
    both = WeightedSum((Fixed(2.0), Fixed(3.0), Fixed(100.0)), (1.0, 0.5, 0.0))
    state = both.init(None, rng.generator(0))
    x = torch.tensor(7.0, requires_grad=True)
    loss, info, after = both.loss(None, None, x, None, state)
    assert loss.item() == 2 * 7 + 0.5 * 3 * 7
    assert float(torch.autograd.grad(loss, x)[0]) == 3.5
    assert float(info["Fixed"]) == 21
    assert [part["asked"] for part in after["parts"]] == [1, 1, 0]
    assert [part["asked"] for part in state["parts"]] == [0, 0, 0]
    assert both.settle(None, after, []) == [(2.0, 1), (3.0, 1), (100.0, 0)]


def test_it_reads_and_takes_what_all_do():
    both = WeightedSum((RidgeMatch(), Mechanisms()), (1.0, 1.0))
    assert both.reads == (Kernel, Weights)
    assert both.labels == ("hard", "regression")
    assert WeightedSum((FeatureMatch(), Mechanisms()), (1.0, 0.0)).labels == ("hard", "soft", "learned", "logits")


@pytest.mark.parametrize(
    ("parts", "weights", "sentence"),
    [
        ((), (), "0 objectives and 0 weights make no sum"),
        ((Fixed(),), (1.0, 2.0), "give one weight of each"),
        ((Fixed(),), (0.0,), "one of them above 0"),
        ((Fixed(), Fixed()), (1.0, -1.0), "numbers of 0 or more"),
        (
            (RidgeMatch(), TrajectoryMatch()),
            (1.0, 1.0),
            "No kind of surrogate is read by all of RidgeMatch, TrajectoryMatch",
        ),
    ],
)
def test_sums_that_make_no_sense_are_refused(parts, weights, sentence):
    with pytest.raises(AttarError) as refused:
        WeightedSum(parts, weights)
    assert sentence in str(refused.value)


def test_a_method_is_made_of_it():
    from attar import methods

    problem = toy.images()
    method = methods.kip(batch=32)
    summed = replace(method, objective=WeightedSum((method.objective,), (2.0,)))
    from attar.types import Budget

    def loss(one):
        state = one.init(problem, Budget(per_class=1), rng.generator(0))
        return float(one.step(problem, state)[1]["loss"])

    assert loss(summed) == pytest.approx(2 * loss(method))
