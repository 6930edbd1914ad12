"""Conditional mean embeddings of columns given their parents: by brute force, and what is kept at the end."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import attar
from attar import rng
from attar.augment import NoAugment
from attar.causal import Graph, independence
from attar.checkpoint import load_tree, save_tree
from attar.objectives import Mechanisms, mechanisms
from attar.objectives.mechanisms import acyclic, joint_rows
from attar.types import AttarError
from attar.views import Everything, View

GRAPH = ("a->b", "a->c", "b->c")


@pytest.fixture(scope="module")
def problem():
    draws = np.random.default_rng(0)
    a = draws.normal(size=300)
    b = np.tanh(2 * a) + 0.4 * draws.normal(size=300)
    c = np.digitize(a * b + 0.3 * draws.normal(size=300), [0.0, 0.6])
    import pandas as pd

    frame = pd.DataFrame({"a": a, "b": b, "c": np.array(["p", "q", "r"])[c]})
    return attar.data.table(frame, target="b")


def test_an_estimate_leaves_the_discovery_to_the_run(problem, monkeypatch, tmp_path):
    """Every column of an estimate's graph has two parents; the run's graph is what the data say."""
    tests = []

    def counted(table, algorithm, **options):  # what it finds is no matter here, and takes seconds
        tests.append(options.get("test"))
        return SimpleNamespace(graph=Graph(table.names, (), ()))

    monkeypatch.setattr(mechanisms, "discover", counted)
    method, budget = attar.methods.causal(features=4, initial="real", moments=False), attar.Budget(size=6)
    job = attar.jobs.prepare(method, problem, budget, steps=1)
    assert tests == []
    said = "before these comes the discovery of the graph by pc, which they do not count"
    assert job.estimate.sentence(1).endswith(said)
    assert job.estimate.record(1)["besides"] == "the discovery of the graph by pc"
    for _ in job:
        pass
    assert tests == [None]
    known = attar.methods.causal(graph=GRAPH, features=4, initial="real", moments=False)
    assert "before these" not in attar.jobs.prepare(known, problem, budget, steps=1).estimate.sentence(1)
    assert tests == [None]
    discrete = attar.methods.causal(features=4, initial="real", test="g2")
    with pytest.raises(AttarError, match="continuous"):  # before there is a folder
        attar.jobs.prepare(discrete, problem, budget, steps=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def _view(batch):
    return View(batch, {None: torch.arange(len(batch))}, Everything(), NoAugment(), NoAugment(), 1, 2)


def _loss(objective, problem, batch, state):
    return objective.loss(problem.task, None, _view(batch), None, state)[0]


def _some(problem, count=12):
    weight = torch.rand(count, generator=rng.generator(1), dtype=torch.float64) + 0.5
    return problem.train.take(torch.arange(count)).replace(weight=weight)


def test_the_loss_is_the_gap_of_regressions_on_the_parents(problem):
    """Features by hand, regressions row by row, the mean over all real rows."""
    objective = Mechanisms(GRAPH, features=5, ridge=0.01, statistics=0.0)
    state = objective.init(problem, rng.generator(0))
    batch = _some(problem)
    numbers = {"a": (0, 1), "b": (4, 5), "c": (1, 4)}  # the target comes last
    parents = {"a": [], "b": ["a"], "c": ["a", "b"]}
    nodes = dict(zip(("a", "b", "c"), state["nodes"], strict=True))
    real, few = (joint_rows(problem.task, rows).numpy() for rows in (problem.train, batch))
    share = (batch.weight / batch.weight.sum()).numpy()
    waves = [math.sqrt(2) * torch.erfinv(torch.tensor(q)).item() / 0.5 for q in (1 / 6, 1 / 2, 5 / 6)]

    def phi(rows, name):
        given = np.concatenate([rows[:, slice(*numbers[p])] for p in parents[name]] or [rows[:, :0]], axis=1)
        node = nodes[name]
        if not parents[name]:
            return np.ones((len(rows), 1))
        angle = given @ node["frequency"].numpy() + node["phase"].numpy()
        return np.concatenate([np.ones((len(rows), 1)), given, np.sqrt(2 / 5) * np.cos(angle)], axis=1)

    def psi(rows, name):
        column = rows[:, slice(*numbers[name])]
        if name == "c":
            return column
        return np.concatenate(
            [column, *(np.sin(column * w) for w in waves), *(np.cos(column * w) for w in waves)], axis=1
        )

    def regression(rows, weight, name):
        features, of = phi(rows, name), psi(rows, name)
        gram = sum(w * np.outer(f, f) for w, f in zip(weight, features, strict=True)) + 0.01 * np.eye(features.shape[1])
        cross = sum(w * np.outer(y, f) for w, y, f in zip(weight, of, features, strict=True))
        return cross @ np.linalg.inv(gram)

    terms = []
    for name in parents:
        gap = regression(real, np.full(len(real), 1 / len(real)), name) - regression(few, share, name)
        errors = [((gap @ row) ** 2).sum() for row in phi(real, name)]
        terms.append(np.mean(errors) / psi(real, name).var(0).sum())
    assert float(_loss(objective, problem, batch, state)) == pytest.approx(np.mean(terms), rel=1e-6)


def test_chosen_pairs_are_counted_alone(problem):
    """Of the pair a--b: what it and each of the two have between their numbers and waves, and their means; c is left out."""
    objective = Mechanisms(GRAPH, features=4, preserve=("b--a",))
    plain = Mechanisms(GRAPH, features=4, statistics=0.0)
    state, batch = objective.init(problem, rng.generator(0)), _some(problem)
    real, few = (joint_rows(problem.task, rows) for rows in (problem.train, batch))
    share = batch.weight / batch.weight.sum()
    counted = state["nodes"][:2]  # a and b

    def read(rows, share):
        psi = mechanisms.psi_of(rows, counted)
        mean = share @ psi
        return mean, ((psi - mean) * share[:, None]).T @ (psi - mean)

    mean, covariance = read(real, torch.full((len(real),), 1 / len(real), dtype=torch.float64))
    own_mean, own_covariance = read(few, share)
    scale = covariance.diagonal().rsqrt()
    gap = ((own_covariance - covariance) * scale[:, None] * scale).square().mean()
    gap += ((own_mean - mean) * scale).square().mean()
    rest = _loss(plain, problem, batch, plain.init(problem, rng.generator(0)))
    assert float(_loss(objective, problem, batch, state) - rest) == pytest.approx(float(gap), rel=1e-6)
    # two pairs that share no column: nothing is counted between them
    two = mechanisms.counted_pairs(["a", "b", "c", "d"], [1, 2, 1, 1], ("a--b", "c--d"))
    assert two.int().tolist() == [[1, 1, 1, 0, 0]] * 3 + [[0, 0, 0, 1, 1]] * 2


def test_pairs_that_cannot_be_counted_are_refused(problem):
    for pair in ("a", "a->b", "a--a"):
        with pytest.raises(AttarError, match=f"'{pair}' is no pair of two columns: give one--other"):
            Mechanisms(GRAPH, preserve=(pair,)).init(problem, rng.generator(0))
    with pytest.raises(AttarError, match="The pair a--z is not of two columns among a, b, c: use their names"):
        Mechanisms(GRAPH, preserve=("a--z",)).init(problem, rng.generator(0))
    with pytest.raises(AttarError, match="statistics=0 counts no correlations, and preserve names some"):
        Mechanisms(GRAPH, statistics=0.0, preserve=("a--b",))
    with pytest.raises(AttarError, match="weight=0 matches neither"):
        attar.methods.causal(weight=0.0, preserve=["a--b"])
    method = attar.methods.causal(preserve=["a--b"])
    assert method.objective.objectives[1].preserve == ("a--b",)


def test_all_rows_have_the_mechanisms_of_all_rows(problem):
    objective = Mechanisms(GRAPH)
    state = objective.init(problem, rng.generator(0))
    assert float(_loss(objective, problem, problem.train, state)) < 1e-18
    assert float(_loss(objective, problem, _some(problem), state)) > 1e-3


def test_the_gradient_reaches_numbers_targets_and_weights(problem):
    objective = Mechanisms(GRAPH, features=4)
    state, batch = objective.init(problem, rng.generator(0)), _some(problem, 6)

    def loss(x, y, weight):
        return _loss(objective, problem, batch.replace(x=x, y=y, weight=weight), state)

    inputs = [value.clone().requires_grad_() for value in (batch.x, batch.y, batch.weight)]
    assert torch.autograd.gradcheck(loss, inputs)


def test_a_state_survives_its_checkpoint_and_is_the_same_for_equal_generators(problem, tmp_path):
    objective, batch = Mechanisms(GRAPH), _some(problem)
    state = objective.init(problem, rng.generator(0))
    save_tree(state, tmp_path / "state")
    once, again = (_loss(objective, problem, batch, s) for s in (state, load_tree(tmp_path / "state")))
    assert torch.equal(once, again)
    assert torch.equal(once, _loss(objective, problem, batch, objective.init(problem, rng.generator(0))))


def test_targets_of_classes_are_read_alike_in_every_form(problem):
    from dataclasses import replace

    task = replace(problem.task, classes=3, target="c")
    ids = problem.train.take(torch.arange(4)).replace(y=torch.tensor([0, 2, 1, 1]))
    ones = torch.nn.functional.one_hot(ids.y, 3).double()
    for y in (ids.y, ones, ones - 1 / 3):
        assert torch.allclose(joint_rows(task, ids.replace(y=y))[:, -3:], ones)


def test_what_weighs_nothing_looks_for_no_graph(problem, monkeypatch):
    """A hundred times as many columns would take hours; the finished rows keep their moments all the same."""
    monkeypatch.setattr(mechanisms, "discover", None)
    method, budget = attar.methods.causal(weight=0.0, features=4, initial="real"), attar.Budget(size=30)
    job = attar.jobs.prepare(method, problem, budget, steps=1)
    assert "discovery" not in job.estimate.sentence(1)
    value = attar.distill(method, problem, budget, steps=1).value
    assert any("means and covariances" in said for said in value.keeps)
    assert not any("Matched" in said for said in value.warnings)
    with pytest.raises(AttarError, match="nope"):
        attar.distill(attar.methods.causal(weight=0.0, graph=["nope->a"]), problem, budget, steps=1)


def test_kernel_tests_of_a_discovery_are_given_two_columns_at_most(problem, monkeypatch):
    asked = []

    def noted(table, algorithm, **options):
        asked.append(options["order"])
        return SimpleNamespace(graph=Graph(table.names, (), ()))

    monkeypatch.setattr(mechanisms, "discover", noted)
    for settings in ({}, {"order": 0}, {"test": "fisher_z"}, {"test": "fisher_z", "order": 1}):
        Mechanisms(**settings).init(problem, rng.generator(0))
    assert asked == [2, 0, None, 1]
    with pytest.raises(AttarError, match="order=-1"):
        Mechanisms(order=-1)


def test_a_long_discovery_is_foreseen(problem, monkeypatch):
    """Of three columns at most 3 pairs given nothing and 3 given the third."""
    monkeypatch.setattr(mechanisms.time, "perf_counter", iter([0.0, 100.0]).__next__)
    _, [said] = Mechanisms().rehearsed(problem)
    assert said == "the discovery of the graph by pc (up to 6 tests, which at the pace of the first take 10 min)"


def test_a_graph_is_discovered_on_training_rows(problem):
    pytest.importorskip("causallearn")
    draws = np.random.default_rng(1)
    a, b = draws.normal(size=(2, 400))
    rows = np.stack([a, b, a + b + 0.5 * draws.normal(size=400)], axis=1)
    found = attar.data.table(rows, target="c", names=["a", "b", "c"])
    state = Mechanisms().init(found, rng.generator(0))
    assert state["discovered"]
    assert state["graph"] == ["a->c", "b->c"]
    assert [len(node["parents"]) for node in state["nodes"]] == [0, 0, 2]


def test_graphs_without_directions_become_dags():
    names = ("a", "b", "c", "d")
    chain = acyclic(Graph(names, (), (("a", "b"), ("b", "c"))))
    assert chain.is_dag
    assert chain.cpdag() == Graph(names, (), (("a", "b"), ("b", "c")))
    torn = Graph(names, (("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")))  # a cycle, as contradictions leave one
    assert acyclic(torn).is_dag
    assert acyclic(torn).skeleton == torn.skeleton


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"features": 0}, "0 features tell nothing"),
        ({"ridge": 0.0}, "give numbers above 0"),
        ({"width": float("inf")}, "give numbers above 0"),
        ({"statistics": -1.0}, "statistics=-1.0 is no weight"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, sentence):
    with pytest.raises(AttarError, match=sentence):
        Mechanisms(**settings)


def test_what_is_no_table_and_graphs_of_other_columns_are_refused(problem, toy):
    with pytest.raises(AttarError, match="is no table, so no column of it has a mechanism"):
        Mechanisms().init(toy, rng.generator(0))
    with pytest.raises(AttarError, match="not of two columns among a, b, c"):
        Mechanisms(("a->z",)).init(problem, rng.generator(0))


# -- the end


def _set(problem, batch):
    from attar.distilled import Distilled, Training

    training = Training(problem.spec.normalisation, labels="regression", class_names=problem.spec.class_names)
    return Distilled(batch, training, {"name": "mine"})


def test_the_finished_rows_have_the_moments_of_the_training_rows(problem):
    from attar.distilled.tables import as_table
    from attar.tables import Moments

    objective = Mechanisms(GRAPH)
    state = objective.init(problem, rng.generator(0))
    found = as_table(objective.settle(problem, state, _set(problem, _some(problem, 40))), problem.spec.schema)
    source = attar.data.table_of(problem)
    assert found.data.n_represented == len(source)
    assert "given its parents in the graph that was given: a->b, a->c, b->c" in found.warnings[0]
    assert found.keeps[0].startswith("means and covariances of all columns, to ")
    assert found.warnings[1].endswith("graphs by LiNGAM, and p-values of kernel tests.")
    assert "table" not in found.made_by
    assert found.made_by["mechanisms"] == {"graph": list(GRAPH)}
    numbers = ["a", "b"]
    mean, covariance = (getattr(Moments.of(source.only(numbers)), what) for what in ("mean", "covariance"))
    kept = Moments.of(found.data.only(numbers))
    assert torch.allclose(kept.mean, mean, atol=1e-12)
    assert torch.allclose(kept.covariance, covariance, atol=1e-12)
    shares = found.data.shares @ found.data.probabilities("c")
    assert torch.allclose(shares, source.shares @ source.probabilities("c"), atol=1e-12)
    tests = [independence(rows.only(numbers), "fisher_z") for rows in (found.data, source)]
    assert torch.allclose(tests[0].statistic, tests[1].statistic, rtol=1e-9)
    low, high = source.values[:, 0].min(), source.values[:, 0].max()
    assert low - 1e-9 <= found.data.values[:, 0].min()
    assert found.data.values[:, 0].max() <= high + 1e-9


def test_rows_too_few_for_moments_say_so_and_stand_for_themselves(problem):
    from attar.distilled.tables import as_table

    objective = Mechanisms(GRAPH)
    state = objective.init(problem, rng.generator(0))
    found = as_table(objective.settle(problem, state, _set(problem, _some(problem, 3))), problem.spec.schema)
    assert found.data.n_represented is None
    assert any("these rows leave no room" in warning for warning in found.warnings)


def test_moments_are_left_as_they_are_where_that_is_asked_for(problem):
    objective, batch = Mechanisms(GRAPH, moments=False), _some(problem)
    value = objective.settle(problem, objective.init(problem, rng.generator(0)), _set(problem, batch))
    assert torch.equal(value.data.x, batch.x)
    assert "n_represented" not in value.made_by["table"]
    assert value.made_by["table"]["warnings"][-1].startswith("No statistic of the source is kept to rounding")


def test_columns_that_hold_steps_have_their_moments_by_the_weights():
    """An ordinal column and a target of class ids stay what they are; what rows weigh is changed for them."""
    from attar.distilled.tables import as_table
    from attar.tables import Moments

    draws = np.random.default_rng(2)
    size = draws.normal(size=400)
    grade = np.clip(np.round(size + draws.normal(size=400)), -1, 1)
    import pandas as pd

    sick = np.array(["no", "yes"])[(size + draws.normal(size=400) > 0).astype(int)]
    frame = pd.DataFrame({"size": size, "grade": grade, "sick": sick})
    problem = attar.data.table(frame, target="sick", types={"grade": "ordinal"})
    objective = Mechanisms(("size->grade", "size->sick"))
    state = objective.init(problem, rng.generator(0))
    batch = _some(problem, 40)
    found = as_table(objective.settle(problem, state, _set(problem, batch)), problem.spec.schema).data
    source = attar.data.table_of(problem)
    assert found.n_represented == len(source)
    assert torch.equal(found.values[:, 1:], source.values[:40, 1:])
    mine, theirs = Moments.of(found), Moments.of(source)
    assert torch.allclose(mine.mean, theirs.mean, atol=1e-10)
    assert torch.allclose(mine.covariance, theirs.covariance, atol=1e-10)
    equal = as_table(objective.settle(problem, state, _set(problem, batch.replace(weight=None))), problem.spec.schema)
    assert equal.data.n_represented is None
    assert equal.data.weight is None
