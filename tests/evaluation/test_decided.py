"""A table is judged by what it decides: shares by hand, whose rows, and what has no columns."""

import pandas as pd
import pytest
import torch

import attar
from attar.data import toy as toys
from attar.evaluation.decided import suits
from attar.tables import counted


@pytest.fixture(scope="module")
def chain():
    """a -> b -> c and d apart, so that of 24 tests (6 pairs given none, one or both others) 11 are of dependences."""
    draws = torch.Generator().manual_seed(0)
    a = torch.rand(4_000, generator=draws) < 0.5
    b = a ^ (torch.rand(4_000, generator=draws) < 0.2)
    c = b ^ (torch.rand(4_000, generator=draws) < 0.1)
    d = torch.rand(4_000, generator=draws) < 0.5
    return pd.DataFrame({name: column.int() for name, column in zip("abcd", (a, b, c, d), strict=True)}).astype(str)


def test_of_counted_rows_every_decision_is_alike_and_of_rows_that_say_nothing_the_dependences_are_lost(chain):
    problem = attar.data.table(chain)
    value = attar.distill(attar.methods.contingency(), problem, attar.Budget(size=16)).value
    assert len(value) == len(counted(attar.data.table_of(problem)))
    [score] = attar.evaluate(value, problem)  # a table without a target is judged by nothing else
    assert (score.model, score.mean, score.lost, score.invented, score.runs) == ("decisions", 1.0, 0.0, 0.0, 1)
    few = problem.train.take(torch.arange(4))  # read as four rows, which tell nothing of anything
    [score] = attar.evaluate(few, problem, "decisions")
    truth = attar.causal.independence(problem).reject
    assert score.lost == 1.0
    assert score.invented == 0.0
    assert score.mean == pytest.approx(1 - truth.double().mean())


def test_it_stands_beside_models_that_learn_and_is_no_accuracy(chain):
    problem = attar.data.table(chain, target="c", validation=0.1)
    scores = attar.evaluate("full", problem, ["linear", "decisions"], runs=2)
    assert scores.metric == "score"
    assert scores[1].mean == 1.0
    assert scores[1].validation is None
    assert scores[1].guess is None
    line = next(line for line in scores.table().splitlines() if " decisions " in line)
    assert "100.0" in line
    assert " hard " not in line
    assert any(note.startswith("decisions: the share of decisions on independence") for note in scores.notes)
    again = type(scores).from_json(scores.to_json())
    assert (again[1].lost, again[1].invented, again.metric) == (0.0, 0.0, "score")
    assert attar.evaluate("full", problem, "decisions").metric == "decisions alike"


def test_images_and_tables_of_slow_tests_are_not_judged_by_it_unasked(chain):
    number = torch.randn(4_000, generator=torch.Generator().manual_seed(1)).numpy()
    mixed = chain.assign(e=number, f=["red", "green", "blue", "green"] * 1_000)
    assert suits(attar.data.table(chain))
    assert not suits(attar.data.table(mixed))
    assert not suits(toys.images())
    with pytest.raises(attar.AttarError, match="'decisions' judges the columns of a table"):
        attar.evaluate("full", toys.images(), "decisions")


def test_without_a_target_no_model_learns(chain):
    problem = attar.data.table(chain)
    value = attar.distill(attar.methods.kmeans(), problem, attar.Budget(size=3)).value
    with pytest.raises(attar.AttarError, match="has no target, so no model"):
        attar.evaluate(value, problem, ["linear", "decisions"])
