"""The ordinary loop."""

import dataclasses
import json

import pytest
import torch
from torch.utils._pytree import tree_leaves

import attar
from attar.method import _check_finite as check_finite
from attar.method import is_iterative, made_by, name_of
from attar.training.optimisers import SGD
from attar.types import AttarError, Budget

BUDGET = Budget(per_class=1)


def _dsa(**settings):
    return attar.methods.dsa("convnet2-8", batch=8, matchings=3, epochs=1, **settings)


def _same(a, b):
    left, right = ([leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)] for tree in (a, b))
    return all(torch.equal(x, y) for x, y in zip(left, right, strict=True))


def test_a_run_is_a_plain_loop(toy):
    steps = list(attar.run(_dsa(), toy, BUDGET, steps=3))
    assert [step.index for step in steps] == [1, 2, 3]
    assert all(isinstance(step.info["loss"], float) for step in steps)
    assert steps[0].seconds < steps[1].seconds < steps[2].seconds


def test_without_a_number_of_steps_it_goes_on_until_left(toy):
    for step in attar.run(_dsa(), toy, BUDGET):
        if step.index == 4:
            break
    assert step.index == 4


def test_left_and_gone_on_with_it_ends_as_if_never_left(toy):
    straight = list(attar.run(_dsa(), toy, BUDGET, steps=6, seed=3))
    for step in attar.run(_dsa(), toy, BUDGET, seed=3):
        if step.index == 2:
            break
    rest = list(
        attar.run(_dsa(), toy, BUDGET, steps=6, seed=3, state=step.state, index=step.index, seconds=step.seconds)
    )
    assert [step.index for step in rest] == [3, 4, 5, 6]
    assert [step.info["loss"] for step in rest] == [step.info["loss"] for step in straight[2:]]
    assert _same(rest[-1].state, straight[-1].state)


def test_every_yielded_state_stays_what_it_was(toy):
    kept = [
        (step.state, [leaf.clone() for leaf in tree_leaves(step.state) if isinstance(leaf, torch.Tensor)])
        for step in attar.run(_dsa(), toy, BUDGET, steps=4)
    ]
    for state, copies in kept:
        assert _same(state, copies)


@pytest.mark.parametrize(
    ("method", "part"),
    [(attar.methods.dm("convnet2-8", lr=1e30, batch=8), "FeatureMatch"), (_dsa(lr=1e30), "GradientMatch")],
)
def test_an_update_that_explodes_stops_with_step_part_and_setting(toy, method, part):
    done = []
    with pytest.raises(AttarError, match=r"updated state of .* became (nan|inf) at step") as caught:
        done.extend(attar.run(method, toy, BUDGET, steps=30))
    said = str(caught.value)
    assert part in said
    assert f"at step {len(done) + 1} of {method.name}" in said
    assert "data lr=1e+30 (try 1e+29)" in said


def test_a_loss_that_is_not_finite_stops_a_run(toy):
    rows = toy.train.replace(x=toy.train.x * float("nan"))
    with pytest.raises(AttarError, match="loss of FeatureMatch became nan at step 1 of dm"):
        list(attar.run(attar.methods.dm("convnet2-8", batch=8), dataclasses.replace(toy, train=rows), BUDGET, steps=2))


def test_a_loss_that_is_nan_before_any_update_is_blamed_on_the_networks_step_size():
    paced = dataclasses.replace(
        attar.methods.dm("convnet2-8"), step_size=1e6, optimisers={"data": SGD(2.0), "step_size": SGD(1e-5)}
    )
    with pytest.raises(AttarError, match=r"too large: that of networks on the rows, step_size=1000000.0; the state"):
        check_finite(paced, {"loss": float("nan")}, 0)
    with pytest.raises(
        AttarError, match=r"too large: data lr=2 \(try 0.2\), step_size .* or that of networks on the rows"
    ):
        check_finite(paced, {"loss": float("nan")}, 5)


def test_a_direct_method_has_no_steps_to_run(toy):
    with pytest.raises(AttarError, match=r"random gives its result at once.*attar\.distill"):
        next(attar.run(attar.methods.random(), toy, BUDGET))


def test_a_plan_is_obeyed(toy):
    """The chunk decides how the real side's sums are made: other bits, the same mathematics."""
    runs = [
        [step.info["loss"] for step in attar.run(attar.methods.dsa("convnet2-8"), toy, BUDGET, steps=2, plan=plan)]
        for plan in (attar.Plan(chunk=None), attar.Plan(chunk=5))
    ]
    assert runs[0] == pytest.approx(runs[1], rel=1e-3)


def test_methods_are_told_apart():
    assert is_iterative(attar.methods.dm())
    assert not is_iterative(attar.methods.kmeans())
    assert name_of(attar.methods.dc()) == "dc"
    assert name_of(type("Mine", (), {})()) == "mine"


def test_the_record_says_where_a_set_comes_from(toy):
    method = attar.methods.dm(lr=0.5)
    stats = attar.method.Stats(7, 1.23456, None)
    record = made_by(method, toy, BUDGET, 5, stats, attar.Plan())
    assert json.loads(json.dumps(record)) == record
    assert (record["name"], record["seed"], record["steps"], record["seconds"]) == ("dm", 5, 7, 1.235)
    assert record["fingerprint"] == toy.spec.fingerprint
    assert record["budget"]["per_class"] == 1
    assert record["method"]["fields"]["optimisers"]["data"]["fields"]["lr"] == 0.5
    assert record["versions"]["torch"] == torch.__version__
    assert attar.record.rebuild(record["method"]) == method


def test_equal_settings_are_equal_methods():
    assert attar.methods.dsa(lr=0.2) == dataclasses.replace(
        attar.methods.dsa(), optimisers=attar.methods.dsa(lr=0.2).optimisers
    )


def test_an_update_that_is_not_finite_is_not_kept(toy):
    method = attar.methods.dm(model="convnet2-8", batch=8, lr=3e38)
    with pytest.raises(AttarError, match="updated state"):
        list(attar.run(method, toy, attar.Budget(per_class=1), steps=1))
