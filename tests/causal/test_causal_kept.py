"""What the verbs read of any rows, and what they say of rows that do not keep it."""

import numpy as np
import pandas as pd
import pytest
import torch

import attar
from attar import causal
from attar.causal.kept import rows_of
from attar.data import table_of
from attar.distilled.tables import DistilledTable
from attar.errors import AttarError
from attar.tables import Column, Margins, Moments, Statistics, Table, vertex_rows


@pytest.fixture(scope="module")
def frame():
    """A dose that is given by age, exponential noise everywhere."""
    draws = np.random.default_rng(0)
    age = draws.exponential(size=400)
    treated = (draws.random(400) < 1 / (1 + np.exp(1 - age))).astype(int)
    return pd.DataFrame({"age": age, "treated": treated, "well": age + 2 * treated + draws.exponential(size=400)})


@pytest.fixture(scope="module")
def problem(frame):
    return attar.data.table(frame, "well", "treated")


@pytest.fixture(scope="module")
def few(problem):
    return attar.distill(attar.methods.moments(), problem, attar.Budget(size=20)).value


VERBS = [
    lambda data: causal.independence(data, "fisher_z").p.tolist(),
    lambda data: causal.independent(data, "age", "well").p.tolist(),
    lambda data: causal.effect(data, "treated", "well", ["age"]).estimate,
    lambda data: causal.discover(data, "lingam", generator=torch.Generator().manual_seed(0)).graph,
]


@pytest.mark.parametrize("verb", VERBS, ids=["independence", "independent", "effect", "discover"])
def test_a_verb_reads_tables_distilled_tables_and_problems_alike(verb, problem, few, frame):
    if verb is VERBS[-1]:
        pytest.importorskip("causallearn")
    assert verb(problem) == verb(table_of(problem))
    assert verb(few) == verb(few.data)
    for other in (frame, frame.to_numpy(), "trial.csv", None):
        with pytest.raises(AttarError, match=r"is no table.*attar\.data\.table\(\.\.\.\)"):
            verb(other)


def test_effect_rows_read_them_too(problem):
    made, gap = causal.effect_rows(problem, "treated", "well", ["age"], 12)
    assert gap.estimate < 1e-6
    assert made.kept.estimates("treated", "well", ("age",), "aipw", 0.01)


def test_a_problem_of_pictures_is_no_table():
    from attar.data import toy

    with pytest.raises(AttarError, match="is no table, so it has no columns"):
        rows_of(toy.images())


def test_effects_are_marked_where_rows_do_not_keep_what_is_read(problem, few):
    asked = ("treated", "well", ["age"])
    for estimator in ("regression", "ipw", "aipw"):
        assert causal.effect(problem, *asked, estimator).valid  # real rows are read as they are
    own = attar.distill(attar.methods.effects(), problem, attar.Budget(size=20)).value
    for estimator in ("regression", "ipw", "aipw"):
        found = causal.effect(own, *asked, estimator)
        assert found.valid
        assert found.note == ""
    assert causal.effect(few, *asked).valid
    other = causal.effect(own, "treated", "well")
    assert not other.valid
    assert "do not keep what regression reads" in other.note
    real = attar.distill(attar.methods.moments("real"), problem, attar.Budget(size=20)).value
    assert causal.effect(real, *asked).valid
    for estimator in ("ipw", "aipw"):
        found = causal.effect(real, *asked, estimator)
        assert not found.valid
        assert found.note.startswith(f"These {len(real)} rows stand for 320 and do not keep what {estimator} reads")
        assert "estimate by regression" in found.note


def test_rows_of_a_table_that_says_nothing_keep_what_their_size_says(problem):
    full = table_of(problem)
    made = full.replace(weight=torch.rand(len(full)) + 0.1, n_represented=1000.0)
    assert causal.effect(made, "treated", "well", ["age"]).valid
    assert not causal.effect(made, "treated", "well", ["age"], "ipw").valid
    assert not causal.effect(made.replace(n_represented=None), "treated", "well", ["age"]).valid


def test_tests_are_valid_of_what_is_kept_alone(few):
    table = Table(torch.randint(2, (200, 4), generator=torch.Generator().manual_seed(0)).double(), _columns(2))
    made = vertex_rows(table, Margins.of_order(table.names, 3))
    found = causal.independence(made, "g2")
    assert torch.equal(found.valid, found.order <= 1)
    assert causal.independence(made, "fisher_z").valid.all()
    assert not causal.independence(made, "kernel", 0).valid.any()
    assert causal.independent(made, "a", "b", ["c"]).valid.all()
    assert not causal.independent(made, "a", "b", ["c", "d"]).valid.any()
    nothing = made.replace(kept=Statistics())
    assert not causal.independence(nothing, "g2", 0).valid.any()
    # rows that count whole rows by chance are no counted table
    assert not causal.independence(table.replace(kept=Statistics()), "g2", 0).valid.any()


def _columns(levels):
    return tuple(Column(name, "ordinal", tuple(map(float, range(levels)))) for name in "abcd")


def test_a_graph_of_rows_that_keep_less_than_was_read_says_so(problem, few):
    pytest.importorskip("causallearn")
    draws = torch.Generator().manual_seed(0)
    assert causal.discover(problem, "lingam", generator=draws).note == ""
    assert causal.discover(few, "pc", test="fisher_z").note == ""
    assert causal.discover(few, "ges").note == ""
    found = causal.discover(few, "lingam", generator=draws)
    assert "do not keep what lingam reads" in found.note
    again = causal.discover(few, "lingam", bootstraps=1, generator=draws)
    assert again.note.startswith(found.note)
    assert "bootstraps of them vary as draws from these rows" in again.note


def test_pc_reads_contingency_tables_of_as_many_columns_as_it_is_given():
    pytest.importorskip("causallearn")
    table = Table(torch.randint(2, (200, 4), generator=torch.Generator().manual_seed(0)).double(), _columns(2))
    made = vertex_rows(table, Margins.of_order(table.names, 3))
    assert causal.discover(made, "pc", test="g2", order=1).note == ""
    assert "do not keep what pc" in causal.discover(made, "pc", test="g2").note


def test_a_distilled_table_keeps_its_record_on_disk(few, tmp_path):
    few.save(tmp_path / "few")
    again = attar.Distilled.load(tmp_path / "few")
    assert again.data.kept == few.data.kept == Statistics(moments=True)
    said = DistilledTable(Moments.of(few.data).rows().replace(kept=None))
    said.save(tmp_path / "said")
    assert attar.Distilled.load(tmp_path / "said").data.kept is None


def test_rows_that_were_made_to_learn_from_keep_nothing(problem):
    made = attar.distill(attar.methods.kip(), problem, attar.Budget(size=10), steps=1).value
    assert made.data.kept == Statistics()
    assert not causal.independence(made, "fisher_z", 0).valid.any()
    chosen = attar.distill(attar.methods.random(), problem, attar.Budget(size=10)).value
    assert chosen.data.kept is None
    assert causal.independence(chosen, "fisher_z", 0).valid.all()


def test_rows_of_causal_keep_moments_or_nothing(problem):
    options = {"features": 4, "initial": "real", "graph": ["age->well"]}
    kept = attar.distill(attar.methods.causal(**options), problem, attar.Budget(size=40), steps=1).value
    assert kept.data.kept == Statistics(moments=True)
    assert any("ipw, aipw" in warning for warning in kept.warnings)
    assert not causal.effect(kept, "treated", "well", ["age"], "ipw").valid
    free = attar.distill(attar.methods.causal(moments=False, **options), problem, attar.Budget(size=40), steps=1).value
    assert free.data.kept == Statistics()
