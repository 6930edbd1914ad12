"""Learned rows of tables: within ranges, on the simplex, with weights; and the conformance suite on them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import attar
from attar import methods, rng
from attar.checkpoint import load_tree, save_tree
from attar.checks import check_synthetic
from attar.synthetic import Synthetic, TableRows
from attar.types import AttarError, Budget


@pytest.fixture(scope="module")
def frame():
    import pandas as pd

    draws = np.random.default_rng(0)
    size = draws.normal(size=200)
    town = np.array(["p", "q", "r"])[draws.integers(0, 3, 200)]
    grade = np.clip(np.round(size + draws.normal(size=200)), -1, 1).astype(int)
    sick = np.array(["no", "yes"])[(size + draws.normal(size=200) > 0).astype(int)]
    return pd.DataFrame(
        {"size": size, "town": town, "grade": grade, "sick": sick, "pain": 2 * size + draws.normal(size=200)}
    )


@pytest.fixture(scope="module", params=["sick", "pain"])
def problem(request, frame):
    return attar.data.table(frame, target=request.param, types={"grade": "ordinal"})


def _start(problem, part=None, count=12, labels="regression"):
    part = part or TableRows()
    batch = problem.train.take(torch.arange(count))
    return Synthetic.start(part, batch, problem, rng.generator(0), labels)


@pytest.mark.parametrize("weights", ["learned", "equal"])
def test_it_keeps_the_promises_of_a_parameterisation(frame, weights):
    check_synthetic(TableRows(weights), problem=attar.data.table(frame, target="sick", types={"grade": "ordinal"}))


def test_after_an_update_rows_are_what_columns_can_hold(problem):
    module = _start(problem)
    with torch.no_grad():
        module.rows.x += 10 * torch.randn(module.rows.x.shape, generator=rng.generator(1), dtype=torch.float64)
    module.project(problem.spec.normalisation)
    rows, groups = module().x.detach(), problem.spec.schema.inputs.groups
    table = problem.spec.schema.table(rows, module().y)
    column = table.column("size")
    assert column.low == pytest.approx(float(table.values[:, 0].min()))
    assert column.high == pytest.approx(float(table.values[:, 0].max()))
    low, high = problem.train.x[:, groups["grade"]].min(), problem.train.x[:, groups["grade"]].max()
    assert low <= rows[:, groups["grade"]].min()
    assert rows[:, groups["grade"]].max() <= high
    town = rows[:, groups["town"]]
    assert bool((town >= 0).all())
    assert torch.allclose(town.sum(1), torch.ones(len(town), dtype=torch.float64))
    again = problem.spec.schema.inputs.encode(table)
    kept = [groups["size"], groups["town"]] if "town" in table.soft else [groups["size"]]
    for place in kept:
        assert torch.allclose(again[:, place], rows[:, place])


def test_weights_are_positive_sum_to_the_rows_and_start_where_rows_do(problem):
    batch = problem.train.take(torch.arange(4)).replace(weight=torch.tensor([1.0, 2.0, 3.0, 2.0]).double())
    module = Synthetic.start(TableRows(), batch, problem, rng.generator(0), "regression")
    assert torch.allclose(module().weight, batch.weight / 2)
    with torch.no_grad():
        module.rows.log_weight += torch.tensor([3.0, -9.0, 0.0, 1.0])
    assert module().weight.sum().item() == pytest.approx(4)
    assert bool((module().weight > 0).all())
    assert list(module.groups()) == ["data", "weights", "labels"]
    assert _start(problem, TableRows("equal"))().weight is None


def test_images_and_unknown_weights_are_refused(toy):
    with pytest.raises(AttarError, match="stores rows of a table, and toy is none"):
        TableRows().check(toy, Budget(per_class=1))
    with pytest.raises(AttarError, match="learned or equal, not 'heavy'"):
        TableRows("heavy")


# -- the method


GRAPH = ("size->grade", "size->sick", "size->pain")


def _method(**settings):
    return methods.causal(graph=GRAPH, features=8, batch=64, **settings)


def test_a_run_learns_goes_on_from_a_checkpoint_and_ends_as_a_table(problem, tmp_path):
    method = _method()
    state = method.init(problem, Budget(size=24), rng.generator(0))
    first = None
    for _ in range(15):
        state, info = method.step(problem, state)
        first = first or {name: float(value) for name, value in info.items()}
    assert float(info["loss"]) < first["loss"]
    assert float(info["Mechanisms"]) < first["Mechanisms"]
    save_tree(state, tmp_path / "state")
    ends = [method.step(problem, s)[0] for s in (state, load_tree(tmp_path / "state"))]
    one, other = (method.finish(problem, end).data for end in ends)
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.y, other.y)
    assert torch.equal(one.weight, other.weight)


def test_a_job_gives_a_table_with_its_card(problem, tmp_path):
    value = attar.distill(_method(), problem, Budget(size=24), steps=3, out=tmp_path / "run").value
    assert len(value) == 24
    assert value.data.weight is not None
    assert any("in the graph that was given: size->grade" in warning for warning in value.warnings)
    loaded = attar.Distilled.load(tmp_path / "run" / "distilled")
    assert torch.equal(loaded.data.values, value.data.values)


def test_without_mechanisms_and_moments_it_is_prediction_alone(problem):
    from attar.objectives import RidgeMatch

    assert _method(weight=0.0, moments=False).objective == RidgeMatch(1e-3)
    state = _method(weight=0.0).init(problem, Budget(size=8), rng.generator(0))
    _, info = _method(weight=0.0).step(problem, state)
    assert "Mechanisms" not in info
    assert float(info["loss"]) == float(info["RidgeMatch"])


def test_features_of_random_networks_predict_as_well(frame):
    problem = attar.data.table(frame, target="sick", types={"grade": "ordinal"})
    method = _method(prediction="features", labels="hard", model="mlp-16")
    state = method.init(problem, Budget(size=24), rng.generator(0))
    after, info = method.step(problem, state)
    assert "FeatureMatch" in info
    assert not torch.equal(after["synthetic"]["rows.x"], state["synthetic"]["rows.x"])


def test_the_estimate_foresees_its_memory(problem):
    from attar.estimate import rehearse
    from attar.plan import Plan

    method = _method()
    state = method.init(problem, Budget(size=12), rng.generator(0))
    assert rehearse(method, problem, state, Plan(threads=1)) > 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"weight": -1.0}, "weight=-1.0 is no weight of mechanisms"),
        ({"prediction": "trees"}, "no prediction 'trees': give ridge or features"),
        ({"labels": "soft"}, "Labels are hard or learned"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, sentence):
    with pytest.raises(AttarError, match=sentence):
        replace(methods.causal(**settings))
