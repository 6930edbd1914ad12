"""Causal conclusions of a table beside the full one's, by tables whose graphs, decisions and effects are known by hand."""

import json
import math

import pytest
import torch

from attar import causal
from attar.errors import AttarError
from attar.evaluation import CausalReference, CausalScores, EffectQuery, Questions, causal_evaluation
from attar.tables import Column, Moments, Table, as_numbers

pytest.importorskip("causallearn")

BINARY = tuple(Column(name, "categorical", ("no", "yes")) for name in "abc")
CORNERS = torch.tensor([[a, b, c] for a in (0.0, 1.0) for b in (0.0, 1.0) for c in (0.0, 1.0)])


def together(first, second, rows=80):
    """Rows in which two of three columns are the same in four of five, and the third one is free of both: all counts are whole."""
    alike = CORNERS[:, "abc".index(first)] == CORNERS[:, "abc".index(second)]
    times = torch.where(alike, rows // 10 * 2, rows // 40 * 2)
    return Table(CORNERS.repeat_interleave(times, dim=0), BINARY)


def arms(without, with_treatment):
    """A table of outcomes in both arms."""
    y = torch.tensor([*without, *with_treatment], dtype=torch.float64)
    t = torch.tensor([0.0] * len(without) + [1.0] * len(with_treatment), dtype=torch.float64)
    return Table(torch.stack([t, y], dim=1), (Column("t", "categorical", ("no", "yes")), Column("y")))


AB, AC = together("a", "b"), together("a", "c")
"""a and b are dependent, and c of neither; a and c are, and b of neither."""


@pytest.fixture(scope="module")
def scores():
    """Rows that say a - c where the full data, and the truth, say a - b; fresh are the full data and these rows."""
    truth = causal.Graph.dag("cba", [("a", "b")])
    fresh = AB.replace(values=torch.cat([AB.values, AC.values, AB.values[:7]]))
    return causal_evaluation(AC, AB, truth=truth, order=0, bootstraps=0, fresh=fresh)


def test_edges_are_lost_and_invented_by_name(scores):
    assert scores.graph.undirected == (("a", "c"),)
    assert scores.full_graph.undirected == (("a", "b"),)
    assert scores.edges == causal.Changes(lost=(("a", "b"),), invented=(("a", "c"),))
    assert scores.structure.cpdag_distance == 2
    assert scores.measures["graph.f1"] == 0
    assert scores.measures["truth.skeleton_distance"] == 2
    assert scores.full_measures["truth.skeleton_distance"] == 0


def test_decisions_are_counted_against_the_full_data(scores):
    """Of a b, a c and b c the full data reject the first, and the rows the second: one of three is alike."""
    assert scores.questions.test == "g2"
    assert scores.decisions.equal == pytest.approx(1 / 3)
    assert (scores.decisions.lost, scores.decisions.invented) == (1.0, 0.5)
    assert scores.valid == 1.0


def test_the_floor_is_measured_as_the_table_is(scores):
    """One fresh sample is the full data again, and one the judged rows; the seven rows left over are no sample."""
    (floor,) = scores.noise
    assert (floor.kind, floor.samples) == ("fresh rows", 2)
    assert floor.values["decisions.equal"] == pytest.approx((1.0, 1 / 3))
    assert floor.mean("decisions.equal") == pytest.approx(2 / 3)
    assert floor.std("decisions.equal") == pytest.approx(math.sqrt(2) / 3)
    assert floor.values["graph.cpdag_distance"] == (0, 2)
    assert floor.mean("no such measure") is None


def test_an_effect_is_compared_in_units_and_in_standard_errors():
    """Slopes 3 and 4; of the full data squared residuals of 1, so ``sqrt(4 / 2 / (4 / 4)) = sqrt(2)``."""
    full, rows = arms([0, 2], [3, 5]), arms([0, 2], [4, 6])
    query = EffectQuery("t", "y", estimators=["regression", "ipw"])
    scores = causal_evaluation(rows, full, algorithm=None, order=None, effects=[query], bootstraps=0)
    regression, ipw = scores.effects
    assert (regression.of.estimate, regression.full.estimate) == pytest.approx((4.0, 3.0))
    assert regression.full.error == pytest.approx(math.sqrt(2))
    assert regression.difference == pytest.approx(1.0)
    assert regression.errors == pytest.approx(1 / math.sqrt(2))
    assert scores.measures["t on y (regression)"] == pytest.approx(1 / math.sqrt(2))
    assert ipw.label == "t on y (ipw)"
    assert ipw.difference == pytest.approx(1.0)
    assert (scores.graph, scores.full_graph, scores.decisions, scores.edges, scores.structure) == (None,) * 5


def test_an_effect_of_words_says_which_of_them_counts_as_treated():
    """Codes follow the order of the categories, and not what a reader takes for the treatment."""
    full = arms([0, 2], [1, 1])
    columns = (Column("t", "categorical", ("drug", "placebo")), Column("y", "categorical", ("ill", "well")))
    trial = full.replace(columns=columns, values=full.values.clamp(max=1))
    asked = {"algorithm": None, "order": None, "effects": [EffectQuery("t", "y")], "bootstraps": 0}
    scores = causal_evaluation(trial, trial, **asked)
    (found,) = scores.effects
    assert found.of.estimate == pytest.approx(0.5)  # of placebo, of whom all are well, against one of two
    assert found.unit == "share of y = well, t = placebo against t = drug"
    assert f"t on y (regression), {found.unit}: 0.5" in scores.describe()
    assert CausalScores.from_json(json.loads(json.dumps(scores.to_json()))).effects[0].unit == found.unit
    numbers = causal_evaluation(as_numbers(trial), as_numbers(trial), **asked)
    assert numbers.effects[0].unit == "y a unit of t"
    assert numbers.in_words_of(trial).effects[0].unit == found.unit


def test_an_effect_that_is_refused_is_a_sentence():
    full = arms([0, 2, 1], [3, 5, 4])
    rows = full.replace(values=full.values * torch.tensor([0.0, 1.0]))
    scores = causal_evaluation(rows, full, algorithm=None, order=None, effects=[EffectQuery("t", "y")], bootstraps=0)
    (found,) = scores.effects
    assert found.of == "Column 't' is constant, so there is no effect to estimate."
    assert found.difference is found.errors is None
    assert scores.notes == (f"The judged table does not estimate t on y (regression): {found.of}",)
    assert "t on y (regression)" not in scores.measures
    other = causal_evaluation(full, rows, algorithm=None, order=None, effects=[EffectQuery("t", "y")], bootstraps=0)
    assert other.notes == (f"The full data do not estimate t on y (regression): {found.of}",)


def test_bootstraps_without_the_one_treated_row_are_left_out_and_counted():
    """One row of twelve is treated: a draw of twelve lacks it once in three."""
    full = arms([0, 2, 1, 1, 0, 2, 1, 1, 0, 2, 1], [5])
    made = CausalReference.of(full, Questions(None, order=None, effects=[EffectQuery("t", "y")]), bootstraps=20, seed=1)
    (floor,) = made.noise
    label = "t on y (regression)"
    left_out = len(floor.refused[label])
    assert 0 < left_out < 20
    assert len(floor.values[label]) == 20 - left_out
    assert floor.notes[0].startswith(
        f"{left_out} of 20 samples (bootstrap) are left out of {label}, the last one for this: Column"
    )
    assert floor.notes[0] in made.judge(full).describe()


def test_what_a_test_or_an_algorithm_refuses_of_the_rows_is_told():
    numbers = AB.replace(columns=tuple(Column(name) for name in "abc"))
    scores = causal_evaluation(numbers, AB, bootstraps=1)
    assert scores.questions.test == "g2"
    assert "continuous" in scores.decisions
    assert "continuous" in scores.graph
    assert scores.valid is scores.edges is None
    assert [note.partition(":")[0] for note in scores.notes] == [
        "The judged table has no graph",
        "The judged table has no decisions",
    ]
    assert scores.notes[0] in str(scores)


def test_rows_that_keep_moments_conclude_what_all_do():
    source = torch.Generator().manual_seed(0)
    x = torch.randn(400, 4, generator=source, dtype=torch.float64)
    x[:, 1] += 0.8 * x[:, 0]
    x[:, 3] += x[:, 1] + x[:, 2]
    full = Table(x, tuple(map(Column, "abcd")))
    few = Moments.of(full).rows()
    query = EffectQuery("b", "d", ("c",))
    reference = CausalReference.of(full, Questions(effects=(query,)), bootstraps=3)
    scores = reference.judge(few.only(list("dbca")))  # in any order
    assert scores.graph == scores.full_graph
    assert scores.edges.kept
    assert scores.decisions.equal == 1.0
    assert scores.effects[0].errors == pytest.approx(0, abs=1e-9)
    assert (scores.rows, scores.size, scores.full_size) == (5, 400, 400)
    (floor,) = scores.noise
    assert floor.mean("b on d given c (regression)") > 0.01
    alone = reference.judge(few.replace(n_represented=None))  # read as five rows
    assert alone.decisions.lost == 1.0
    assert alone.noise is scores.noise
    same = causal_evaluation(few, full, effects=[query], bootstraps=3)
    assert same.noise == scores.noise
    again = causal_evaluation(few, full, effects=[query], bootstraps=3, seed=1)
    assert again.noise != scores.noise


def test_p_values_of_what_is_not_kept_are_told():
    made = AC.replace(weight=torch.rand(len(AC), generator=torch.Generator().manual_seed(0)) + 0.5, n_represented=80.0)
    scores = CausalReference.of(AB, bootstraps=0).judge(made, kept=lambda names: len(names) <= 2)
    assert scores.valid == 0.5  # three tests of two columns, and three of three
    assert scores.notes[0].startswith("50.0 % of the judged table's p-values do not hold at 80 rows")


def test_scores_are_json_and_back(scores):
    written = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert CausalScores.from_json(written) == scores
    free = Table(CORNERS.repeat(10, 1), BINARY)  # nothing depends on anything, so that no share of it is lost
    query = EffectQuery("a", "b", ("c",), ("aipw", "ipw"))
    found = causal_evaluation(free, free, effects=[query], bootstraps=2)
    assert math.isnan(found.decisions.lost)
    assert "decisions.lost" not in found.measures
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    again = CausalScores.from_json(written)
    assert again.to_json() == written
    assert math.isnan(again.decisions.lost)
    assert again.effects == found.effects
    assert again.questions == found.questions


def test_scores_in_words(scores):
    lines = str(scores).splitlines()
    assert lines[0] == "80 rows, read as 80, beside the full data's 80"
    assert lines[1].split("  ")[-1] == "fresh rows (2)"
    cells = {line.strip().split("   ")[0]: line.split()[-5:] for line in lines}
    assert cells["alike, %"] == ["33.3", "-", "66.7", "±", "47.1"]
    assert "3 decisions by g2 of order up to 0, p <= 0.01" in lines
    assert "lost: a - b" in lines
    assert "invented: a - c" in lines


def test_tests_are_bounded():
    many = Table(torch.rand(50, 6, generator=torch.Generator().manual_seed(0)), tuple(map(Column, "abcdef")))
    scores = causal_evaluation(many, many, most=10, bootstraps=1, depth=0)
    assert scores.decisions.tests == 30  # ten each given no column, one and two
    assert scores.decisions.equal == 1.0


def test_lingam_judges_rows_that_weigh_parts_of_rows():
    source = torch.Generator().manual_seed(0)
    x = torch.rand(300, 2, generator=source, dtype=torch.float64)
    x[:, 1] += x[:, 0]
    full = Table(x, tuple(map(Column, "ab")))
    weighed = full.replace(weight=torch.rand(300, generator=source) + 0.5, n_represented=300.0)
    scores = causal_evaluation(weighed, full, algorithm="lingam", bootstraps=1)
    assert scores.edges.kept == (("a", "b"),)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"effects": [EffectQuery("a", "z")]}, "There is no column 'z' among a, b, c"),
        ({"bootstraps": -1}, "-1 bootstraps cannot be drawn"),
        ({"alpha": 2.0}, "The full data give no graph to compare with: alpha=2.0 is no level"),
        ({"algorithm": None, "order": -1}, "The full data give no decisions to compare with"),
        ({"algorithm": "ges", "depth": 1}, "depth=1 is of pc"),
        ({"most": 0}, "At most 0 tests are none"),
        ({"truth": causal.Graph("abd")}, "The graphs are of other nodes"),
        ({"fresh": AB.take(torch.arange(20))}, "20 fresh rows are fewer than the 80"),
        ({"fresh": AB.replace(n_represented=1000.0)}, "hard and of equal weight"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(settings, said):
    with pytest.raises(AttarError, match=said):
        causal_evaluation(AC, AB, **settings)


def test_tables_of_other_columns_are_refused_in_a_sentence():
    reference = CausalReference.of(AB, Questions(None, order=0), bootstraps=0)
    with pytest.raises(AttarError, match="and c of these are of one only: read both alike"):
        reference.judge(AC.only("ab"))
    swapped = (Column("a", "categorical", ("yes", "no")), *BINARY[1:])
    with pytest.raises(AttarError, match="'a' has the categories yes, no in one table and no, yes in the other"):
        reference.judge(AC.replace(columns=swapped))
    assert reference.judge(AC).decisions.tests == 3
    three = Table(torch.tensor([[0.0], [1.0], [2.0]]), (Column("city", "categorical", ("Rome", "Oslo", "Bern")),))
    with pytest.raises(AttarError, match="turn the other by attar.tables.as_numbers"):
        CausalReference.of(three, Questions(None, order=None), bootstraps=0).judge(as_numbers(three))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"treatment": "t", "outcome": "t"}, "Column 't' is named twice"),
        ({"treatment": "t", "outcome": "y", "adjust": "age"}, "adjust='age' of an effect is one word"),
        (
            {"treatment": "t", "outcome": "y", "estimators": ["magic"]},
            "no estimator 'magic' of effects: give some of regression, ipw",
        ),
        ({"treatment": "t", "outcome": "y", "estimators": []}, "no estimator 'none' of effects"),
    ],
)
def test_queries_that_make_no_sense_are_refused(query, said):
    with pytest.raises(AttarError, match=said):
        EffectQuery(**query)
