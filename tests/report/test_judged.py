"""By which ridge regression the set of a run is judged beside networks."""

from dataclasses import replace

import pytest

import attar
from attar.distances import RBF, FullyConnected
from attar.record import describe
from attar.report.judged import judge_note, ridge_judge
from attar.surrogates import FixedKernel


@pytest.mark.parametrize(
    ("method", "judge", "own"),
    [
        (attar.methods.kip(), "ridge-ntk", True),
        (attar.methods.kip("conv-nngp-2"), "ridge-conv-nngp-2", True),
        (attar.methods.label_solve("ntk-3"), "ridge-ntk-3", True),
        (attar.methods.rfad(), "ridge-ntk", False),
        (attar.methods.frepo(), "ridge-ntk", False),
        (replace(attar.methods.kip(), surrogates=FixedKernel(RBF(2.0))), "ridge-ntk", False),
        (
            replace(attar.methods.kip(), surrogates=FixedKernel(FullyConnected(1, bias_variance=1.0))),
            "ridge-ntk",
            False,
        ),
    ],
)
def test_by_its_own_kernel_where_that_has_a_name(method, judge, own):
    assert ridge_judge(describe(method)) == judge
    assert ("very kernel" in judge_note(describe(method))) is own


@pytest.mark.parametrize("method", [attar.methods.dm(), attar.methods.random(), attar.methods.dd()])
def test_methods_that_learn_by_no_ridge_regression_are_judged_by_networks_alone(method):
    assert ridge_judge(describe(method)) == ""
    assert judge_note(describe(method)) == ""


def test_a_method_of_others_may_call_its_fields_anything():
    assert ridge_judge({"type": "theirs:Method", "fields": {"objective": 3, "surrogates": None}}) == ""
    kernel = {"type": "theirs:Kernel", "fields": {}}
    objective = {"type": "attar.objectives.ridge:RidgeMatch", "fields": {}}
    surrogates = {"type": "attar.surrogates.kernel:FixedKernel", "fields": {"kernel": kernel}}
    record = {"type": "attar.matching:Matching", "fields": {"objective": objective, "surrogates": surrogates}}
    assert ridge_judge(record) == "ridge-ntk"
