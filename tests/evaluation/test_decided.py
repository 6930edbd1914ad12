"""A table is judged by what it decides: shares by hand, whose rows, and what has no columns."""

import sys
from dataclasses import replace

import pandas as pd
import pytest
import torch

import attar
from attar.data import toy as toys
from attar.evaluation.decided import suits
from attar.evaluation.subject import subject
from attar.tables import counted


@pytest.fixture(scope="module")
def chain():
    """a -> b -> c and d apart: of 24 tests, 6 pairs given none, one or both others, dependences are a - b and b - c whatever is given,
    and a - c but given b."""
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
    assert (score.lost, score.invented) == (1.0, 0.0)
    assert score.mean == pytest.approx(1 - (4 + 4 + 2) / 24)


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
    with pytest.raises(attar.AttarError, match="'decisions' judges pairs of columns of a table, and toy is no table"):
        attar.evaluate("full", toys.images(), "decisions")


def test_without_a_target_no_model_learns(chain):
    problem = attar.data.table(chain)
    value = attar.distill(attar.methods.kmeans(), problem, attar.Budget(size=3)).value
    with pytest.raises(attar.AttarError, match="has no target, so no model"):
        attar.evaluate(value, problem, ["linear", "decisions"])


def test_what_the_training_rows_decide_is_not_remembered_of_other_rows(chain):
    problem = attar.data.table(chain, target="c")
    assert attar.evaluate("full", problem, "decisions")[0].mean == 1.0
    mixed = problem.train.replace(y=problem.train.y[torch.randperm(3_200, generator=torch.Generator().manual_seed(2))])
    other = replace(problem, train=mixed)
    assert attar.evaluate("full", other, "decisions")[0].mean == 1.0
    assert attar.evaluate(problem.train, other, "decisions")[0].lost == 0
    assert attar.evaluate(problem.train, other, "decisions")[0].invented > 0


def test_rows_of_numbers_and_rows_of_categories_stand_beside_the_training_rows_read_alike():
    """Grades stay what they are among numbers, and a column of three colours becomes three: neither is judged by the other's reading."""
    draws = torch.Generator().manual_seed(0)
    grade, colour = torch.randint(4, (600,), generator=draws), torch.randint(3, (600,), generator=draws)
    other = (grade + torch.randint(2, (600,), generator=draws)).tolist()
    frame = pd.DataFrame(
        {"grade": grade.tolist(), "colour": [("red", "green", "blue")[k] for k in colour], "other": other}
    )
    problem = attar.data.table(frame)
    made = [
        attar.distill(method, problem, attar.Budget(size=70)).value
        for method in (attar.methods.moments(), attar.methods.contingency())
    ]
    for value in (*made, *reversed(made)):
        assert attar.evaluate(value, problem)[0].mean == 1.0


def test_it_is_asked_for_unasked_only_where_its_test_is_quick():
    draws = torch.Generator().manual_seed(0)
    codes = {name: torch.randint(60, (600,), generator=draws).tolist() for name in "abcd"}
    wide = pd.DataFrame({name: [f"kind {code}" for code in found] for name, found in codes.items()})
    assert not suits(attar.data.table(wide))
    assert not suits(attar.data.table(wide[["a"]]))
    with pytest.raises(attar.AttarError, match="is a table of one column"):
        attar.evaluate("full", attar.data.table(wide[["a"]]))


def test_images_are_refused_before_any_of_their_networks_is_trained(monkeypatch):
    monkeypatch.setattr(sys.modules["attar.evaluation.evaluate"], "run_once", None)
    with pytest.raises(attar.AttarError, match="is no table"):
        attar.evaluate("full", toys.images(), ["mlp-8", "decisions"])


def test_a_bootstrap_of_a_table_is_trained_on_as_its_full_data_are_and_images_as_ever(chain):
    table, images = attar.data.table(chain, target="c"), toys.images()
    assert subject(table.train.take(torch.arange(3_200)), table).full
    assert not subject(table.train.take(torch.arange(3_199)), table).full
    assert not subject(images.train, images).full


def test_weighted_rows_that_state_no_size_are_read_at_that_of_all_rows(chain):
    problem = attar.data.table(chain, target="c")
    method = attar.methods.facility_location(weighted=True)
    value = attar.distill(method, problem, attar.Budget(size=16)).value
    assert value.data.n_represented is None
    weighted, alone = (attar.evaluate(rows, problem, "decisions")[0] for rows in (value, bare(value)))
    assert alone.lost == 1.0
    assert weighted.lost == 0.0
    assert weighted.mean > alone.mean


def bare(value):
    """The same rows without their weights."""
    return replace(value, data=value.data.replace(weight=None))
