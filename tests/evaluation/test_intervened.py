"""Accuracy before and after an intervention."""

import json

import pytest

from attar.errors import AttarError
from attar.evaluation import Intervened


def test_what_an_intervention_costs_and_how_much_more_than_elsewhere():
    full = Intervened("dose", "trees", (0.90, 0.92), (0.85, 0.89))
    few = Intervened("dose", "trees", [0.88, 0.90], [0.80, 0.83])
    assert full.drops == pytest.approx((0.05, 0.03))
    assert full.drop == pytest.approx(0.04)
    assert full.std == pytest.approx(0.0002**0.5)
    more = few.more_than(full)
    assert more.mean == pytest.approx(0.035)  # 0.03 and 0.04
    assert more.standard_error == pytest.approx(0.005)
    assert Intervened.from_json(json.loads(json.dumps(few.to_json()))) == few
    assert Intervened("dose", "trees", [1.0], [0.5]).std is None


def test_scores_of_other_runs_are_refused():
    one = Intervened("dose", "trees", [0.9], [0.8])
    with pytest.raises(AttarError, match="1 scores before an intervention and 2 after it"):
        Intervened("dose", "trees", [0.9], [0.8, 0.7])
    with pytest.raises(AttarError, match="of the same intervention and learner"):
        one.more_than(Intervened("age", "trees", [0.9], [0.8]))
