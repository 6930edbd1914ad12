"""Methods that keep the structure of a table, and the others on a table's rows."""

import pytest
import torch

import attar
from attar import causal, methods
from attar.checks import check_method
from attar.data import table_of, toy
from attar.errors import AttarError
from attar.method import is_iterative
from attar.methods.rows import of_tables
from attar.objectives.mechanisms import acyclic
from attar.tables import Margins, as_numbers, counted
from attar.tables.moments import mean_and_covariance
from attar.types import Budget


def distilled(method, problem, rows, **options):
    return attar.distill(method, problem, Budget(size=rows), **options).value


@pytest.mark.parametrize("form", ["synthetic", "real"])
def test_moments_keeps_every_fisher_z_decision_in_few_rows(form):
    problem = toy.table(rows=600)
    value = distilled(methods.moments(form), problem, 60)
    full = as_numbers(table_of(problem))
    rows = as_numbers(value.data) if form == "real" else value.data
    assert rows.names == full.names
    for mine, theirs in zip(
        mean_and_covariance(rows.values, rows.shares), mean_and_covariance(full.values, full.shares), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-11, rtol=0)
    decided, wanted = (causal.independence(each, "fisher_z") for each in (rows, full))
    assert causal.agreement(decided, wanted).equal == 1
    assert len(value) == (7 if form == "synthetic" else len(value))
    assert value.data.size == 432
    assert any("Fisher-z" in sentence for sentence in value.keeps)
    assert any("inverse propensities (ipw, aipw)" in sentence for sentence in value.warnings)


def test_rows_that_are_fewer_than_asked_for_say_so(trial):
    said = "rows suffice for all that is kept; {} were asked for."
    assert distilled(methods.moments(), toy.table(), 60).warnings[0] == f"7 {said.format(60)}"
    assert not any("suffice" in warning for warning in distilled(methods.moments(), toy.table(), 7).warnings)
    many, few = (distilled(methods.effects(), trial, rows) for rows in (200, 20))
    assert many.warnings[0] == f"{len(many)} {said.format(200)}"
    assert any("suffice" in warning for warning in few.warnings) == (len(few) < 20)
    discrete = toy.table(discrete=True)
    assert said.format(216) in distilled(methods.contingency(), discrete, 216).warnings[0]
    assert not any("suffice" in warning for warning in distilled(methods.contingency(updates=5), discrete, 12).warnings)


def test_effects_say_which_arm_counts_as_treated():
    frame = table_of(toy.table(200)).frame()
    frame["arm"] = ["placebo" if dose > 0 else "drug" for dose in frame["dose"]]
    problem = attar.data.table(frame[["arm", "age", "recovery"]], "recovery", "arm")
    value = distilled(methods.effects(), problem, 100)
    assert "the effect of arm (placebo against drug) on recovery adjusted for age" in value.keeps[0]


def test_moments_says_how_many_rows_it_needs():
    with pytest.raises(AttarError, match="The budget allows 5 rows, and 7 are needed.*--rows 7 or more"):
        distilled(methods.moments(), toy.table(), 5)


def test_real_rows_are_real_and_named():
    problem = toy.table()
    value = distilled(methods.moments("real"), problem, 100)
    full = table_of(problem)
    places = [problem.origins.index(record["row"]) for record in value.made_by["selected"]]
    torch.testing.assert_close(value.data.values, full.values[places])


def test_contingency_counts_where_all_distinct_rows_fit_and_says_its_gap_where_they_do_not():
    problem = toy.table(discrete=True)
    full = table_of(problem)
    every = distilled(methods.contingency(), problem, 216)
    margins = Margins.of_order(full.names, 5)
    assert margins.gap(every.data, full).cell < 1e-12
    assert "exactly" in every.keeps[0]
    few = distilled(methods.contingency(updates=20), problem, 12)
    assert len(few) <= 12
    assert set(few.data.soft) == set(full.names)
    assert few.data.size == len(full)
    assert few.made_by["gap"]["cell"] > 0
    hard = distilled(methods.contingency("hard", updates=20), problem, 40)
    assert len(hard) <= 40
    assert not hard.data.soft
    drawn = distilled(methods.contingency("drawn", updates=20), problem, 40)
    assert drawn.data.n_represented is None
    assert not drawn.keeps


@pytest.mark.parametrize("form", ["hard", "rounded", "drawn", "soft"])
def test_rows_that_do_not_keep_tests_tell_how_many_they_decide_otherwise(form):
    problem = toy.table(2_000, discrete=True)
    full, value = table_of(problem), distilled(methods.contingency(form, updates=5), problem, 3)
    decided, wanted = (causal.independence(rows, "g2", 2) for rows in (value.data, full))
    alike = causal.agreement(decided, wanted)
    assert alike.equal < 0.95
    assert not value.keeps
    assert not any("no more than these" in sentence for sentence in (*value.keeps, *value.warnings))
    [said] = [warning for warning in value.warnings if "tests of independence given up to 2 columns" in warning]
    assert f"{100 * alike.equal:.1f} %" in said
    assert f"dependences lost: {alike.lost_count}, invented: {alike.invented_count}" in said
    assert "p-values of these rows are not valid" in said
    assert not decided.valid.any()


def test_rows_that_keep_tests_exactly_say_so_and_are_valid():
    problem = toy.table(discrete=True)
    value = distilled(methods.contingency("hard"), problem, 216)
    assert "tests of independence given up to 2 columns, which read no more than these" in value.keeps
    assert causal.independence(value, "g2").valid.all()
    one = distilled(methods.contingency("hard", order=0), problem, 60)
    assert "exactly" in one.keeps[0]
    found = causal.independence(one, "g2", 1)
    assert torch.equal(found.valid, found.order == 0)


def test_all_distinct_rows_counted_keep_more_than_the_families_that_were_asked_for():
    value = distilled(methods.contingency("hard", graph=["age->dose"]), toy.table(discrete=True), 216)
    assert any("every other contingency table as well" in said for said in value.keeps)
    assert not any("nothing is kept" in said for said in value.warnings)
    assert causal.independence(value, "g2").valid.all()


def test_soft_rows_that_decide_nearly_all_tests_alike_are_valid_and_say_what_share():
    problem = toy.table(400, discrete=True)
    value = distilled(methods.contingency(updates=150), problem, 100)
    full = table_of(problem)
    decided, wanted = (causal.independence(rows, "g2", 2) for rows in (value.data, full))
    equal = causal.agreement(decided, wanted).equal
    assert equal >= 0.95
    assert decided.valid.all()
    assert "but for" in value.keeps[0]
    assert len(value.keeps) == 1
    assert any(f"{100 * equal:.1f} % are decided as by the training rows" in warning for warning in value.warnings)


def test_contingency_discovers_a_graph_and_keeps_its_families():
    pytest.importorskip("causallearn")
    problem = toy.table(1_000, discrete=True)
    full = table_of(problem)
    found = acyclic(causal.discover(full, "pc", test="g2", order=2).graph)
    value = distilled(methods.contingency("hard", discover=True), problem, 100)
    assert value.made_by["families"] == {
        "graph": [f"{start}->{end}" for start, end in found.directed],
        "discovered": True,
    }
    families = Margins.of_families({name: found.parents(name) for name in full.names})
    assert families.gap(value.data, full).cell < 1e-9
    said = "(node, parents) families of the graph that pc discovered on the training rows, as one DAG of its class: "
    assert said in value.keeps[0]
    assert "Beyond these families nothing is kept" in " ".join(value.warnings)
    assert "dependences lost" in " ".join(value.warnings)
    assert value.data.kept == families.kept
    with pytest.raises(AttarError, match="A graph is given or discovered, and not both"):
        methods.contingency(graph=["age->dose"], discover=True)


def test_contingency_of_a_graph_keeps_its_families():
    problem = toy.table(discrete=True)
    edges = ("age->dose", "dose->recovery", "grade->recovery", "city->recovery")
    value = distilled(methods.contingency("hard", graph=edges), problem, 200)
    families = Margins.of_families({"dose": ["age"], "recovery": ["dose", "grade", "city"]})
    assert families.gap(value.data, table_of(problem)).cell < 1e-9
    assert set(value.made_by["families"]["graph"]) == set(edges)
    assert not value.made_by["families"]["discovered"]
    loose = distilled(methods.contingency("hard", graph=["age--dose"]), problem, 200)
    assert Margins.of_order(["age", "dose"], 2).gap(loose.data, table_of(problem)).cell < 1e-9
    with pytest.raises(AttarError, match="'age=>dose' is no edge"):
        distilled(methods.contingency(graph=["age=>dose"]), problem, 20)
    with pytest.raises(AttarError, match="not of two columns among"):
        distilled(methods.contingency(graph=["ages->dose"]), problem, 20)


@pytest.mark.parametrize(
    ("method", "problem", "said"),
    [
        (methods.contingency(), toy.table, "Column 'age' is continuous, so it has no contingency table"),
        (methods.moments(), toy.images, "is no table, so it has no columns: load one by attar.data.table"),
    ],
)
def test_what_does_not_suit_is_refused(method, problem, said):
    with pytest.raises(AttarError, match=said):
        attar.distill(method, problem(), Budget(per_class=5))


@pytest.fixture(scope="module")
def answers():
    """Three questions of two answers each, asked 40 people: all eight distinct rows are there, not equally often."""
    codes = torch.tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    count = torch.tensor([8, 3, 5, 2, 1, 9, 4, 8])
    values = codes.repeat_interleave(count, dim=0)[torch.randperm(40, generator=torch.Generator().manual_seed(0))]
    return attar.data.table(values.numpy(), names=list("abc"), types=dict.fromkeys("abc", "categorical"))


def test_counted_rows_are_the_distinct_ones_with_their_counts(answers):
    value = distilled(methods.contingency("counted"), answers, 8)
    assert dict(zip(map(tuple, value.data.values.int().tolist()), value.data.weight.tolist(), strict=True)) == {
        (0, 0, 0): 8, (0, 0, 1): 3, (0, 1, 0): 5, (0, 1, 1): 2, (1, 0, 0): 1, (1, 0, 1): 9, (1, 1, 0): 4, (1, 1, 1): 8,
    }  # fmt: skip
    assert value.data.kept is None  # as real rows, which keep whatever is read of them
    assert causal.independence(value, "g2", 1).valid.all()
    assert value.keeps[0] == "every contingency table, exactly, at n = 40: these are all distinct rows, counted"
    assert (value.warnings, value.made_by["gap"]["cell"]) == ((), 0.0)
    more = distilled(methods.contingency("counted"), answers, 12)
    assert more.warnings == ("8 rows suffice for all that is kept; 12 were asked for.",)
    with pytest.raises(AttarError, match="allows 7 rows, and 8 are needed, all distinct rows: give --rows 8 or more"):
        distilled(methods.contingency("counted"), answers, 7)


def test_a_vertex_is_given_though_the_counted_rows_would_fit(answers):
    full, pairs = table_of(answers), Margins.of_order("abc", 2)
    value = distilled(methods.contingency("vertex", order=0), answers, 8)
    assert len(value) == 7  # one more than the 3 + 3 independent cells of all pairs
    # of eight rows that are one too many the third-order contrast alone moves no pair, until the lightest row of its sign is nought
    sign = torch.tensor([1 - 2 * (sum(row) % 2) for row in ((a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1))])
    count = torch.tensor([8.0, 3, 5, 2, 1, 9, 4, 8])
    ways = [count - sign * count[sign > 0].min(), count + sign * count[sign < 0].min()]
    left = [sorted(way[way > 0].tolist()) for way in ways]
    assert any(value.data.weight.sort().values.tolist() == pytest.approx(weights) for weights in left)
    assert pairs.gap(value.data, full).cell < 1e-12
    assert value.data.kept == pairs.kept
    assert value.keeps[0] == "the margins of 2 columns, exactly, at n = 40"
    found = causal.independence(value, "g2", 1)
    assert torch.equal(found.valid, found.order == 0)
    torch.testing.assert_close(found.p[:3], causal.independence(full, "g2", 0).p)
    with pytest.raises(
        AttarError, match="allows 6 rows, and 7 are needed, as many as a vertex .*: give --rows 7 or more"
    ):
        distilled(methods.contingency("vertex", order=0), answers, 6)


def test_a_vertex_of_a_graph_keeps_its_families_and_says_what_is_beyond(answers):
    full, method = table_of(answers), methods.contingency("vertex", graph=["a->b", "b->c"])
    value = distilled(method, answers, 8)
    assert len(value) <= 6  # 3 + 2 independent cells
    assert Margins((("a", "b"), ("b", "c"))).gap(value.data, full).cell < 1e-12
    assert value.data.kept.families == (("b", "a"), ("c", "b"))
    assert "Beyond these families nothing is kept" in " ".join(value.warnings)
    found = causal.independence(value, "g2", 0)
    assert dict(zip(map(found.columns, range(3)), found.valid.tolist(), strict=True)) == {
        ("a", "b"): True, ("a", "c"): False, ("b", "c"): True,
    }  # fmt: skip


def test_a_vertex_that_has_all_distinct_rows_is_these_as_counted(answers):
    value = distilled(methods.contingency("vertex", graph=["a->c", "b->c"]), answers, 8)
    assert torch.equal(value.data.weight, counted(table_of(answers)).weight)
    assert value.data.kept is None
    assert any("every other contingency table as well" in said for said in value.keeps)


def test_a_vertex_that_takes_long_is_foreseen_and_not_looked_for_in_vain(answers, monkeypatch):
    method, budget = methods.contingency("vertex", order=0), Budget(size=5)
    assert method.foreseen(answers, budget) == ""
    monkeypatch.setattr("attar.methods.tables.vertex_seconds", lambda whole, margins: 7_300.0)
    said = "a vertex of 8 distinct rows that keeps 6 independent cells, which takes about 2.0 h at most on this machine"
    assert method.foreseen(answers, budget) == said
    assert methods.contingency("counted").foreseen(answers, budget) == ""
    assert methods.contingency("vertex").foreseen(toy.table(), budget) == ""  # which is refused, for its numbers
    monkeypatch.setattr("attar.methods.tables.vertex_rows", None)
    with pytest.raises(AttarError, match="allows 5 rows, and 7 are needed, .* has at most: give --rows 7 or more"):
        distilled(method, answers, 5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"form": "exact"}, "form='exact' is none of .*: give soft, hard, rounded, drawn, counted or vertex"),
        ({"form": "counted", "graph": ["a->b"]}, "keeps every contingency table, so that no graph chooses among them"),
        ({"form": "counted", "discover": True}, "leave out graph .--graph. and discover .--discover."),
    ],
)
def test_forms_that_make_no_sense_are_refused_in_a_sentence(settings, said):
    with pytest.raises(AttarError, match=said):
        methods.contingency(**settings)


@pytest.fixture(scope="module")
def trial():
    """Whether a dose was given depends on age; its effect on recovery is 2."""
    source = torch.Generator().manual_seed(0)
    age, noise = torch.randn(2, 400, generator=source, dtype=torch.float64)
    dose = (torch.rand(400, generator=source, dtype=torch.float64) < age.sigmoid()).double()
    frame = {"age": age, "dose": dose, "recovery": age + 2 * dose + noise}
    values = torch.stack(list(frame.values()), dim=1).numpy()
    return attar.data.table(values, "recovery", "dose", names=list(frame), types={"dose": "categorical"})


def test_effects_keeps_what_three_estimators_say(trial):
    value = distilled(methods.effects(), trial, 20)
    full = table_of(trial)
    assert len(value) <= 20
    assert value.data.size == len(full) == 320
    for estimator in ("regression", "ipw", "aipw"):
        mine, theirs = (causal.effect(rows, "dose", "recovery", ["age"], estimator) for rows in (value.data, full))
        assert mine.estimate == pytest.approx(theirs.estimate, abs=1e-6)
        assert mine.error == pytest.approx(theirs.error, rel=1e-4)


def test_effects_asks_for_a_treatment_and_a_target(trial):
    with pytest.raises(AttarError, match="An effect is that of a treatment on a target"):
        distilled(methods.effects(), attar.data.table(table_of(trial).frame(), "recovery"), 20)


GENERAL = (
    "random",
    "kmeans",
    "agglomerative",
    "herding",
    "facility_location",
    "dm",
    "dc",
    "kip",
    "label_solve",
    "ld",
    "rfad",
    "frepo",
)


@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize("numbers", [False, True], ids=["classes", "numbers"])
def test_methods_for_any_rows_make_tables_that_teach_a_model(name, numbers):
    if numbers and name in ("rfad", "ld"):
        pytest.skip("their losses are of classes")
    problem = toy.table(numbers=numbers)
    method = of_tables(name, Budget(per_class=8), {})
    steps = {"steps": 2} if is_iterative(method) else {}
    value = distilled(method, problem, 16, **steps)
    assert len(value) == 16
    assert value.data.names == problem.spec.schema.names
    scores = attar.evaluate(value, problem, models=["linear", "knn"])
    assert all(score.mean > (-1 if numbers else 0.3) for score in scores)


def test_rows_without_a_target_are_matched_by_the_features_of_random_networks():
    frame = table_of(toy.table()).frame()
    problem = attar.data.table(frame)
    value = distilled(of_tables("dm", Budget(size=6), {}), problem, 6, steps=2)
    assert len(value) == 6
    assert value.target == ""
    with pytest.raises(AttarError, match="no target, so there is nothing for a model to learn"):
        distilled(of_tables("dc", Budget(size=6), {}), problem, 6, steps=2)


def test_learned_labels_of_two_classes_come_back_as_they_were_learned():
    """Targets of regression are centred: 0.5 for the class and -0.5 for the other."""
    problem = toy.table()
    schema = problem.spec.schema
    y = torch.tensor([[0.5, -0.5], [-0.5, 0.5], [0.1, 0.3]], dtype=torch.float64)
    rows = schema.table(problem.train.x[:3], y)
    torch.testing.assert_close(rows.soft["recovery"], torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.4, 0.6]]).double())
    assert rows.codes("recovery").tolist() == [0, 1, 1]


def test_ridge_regression_and_asked_labels_judge_numbers_as_numbers():
    problem = toy.table(numbers=True)
    [found] = attar.evaluate("full", problem, models="ridge-ntk")
    assert 0.5 < found.mean < 0.95
    plain, hard = (attar.evaluate("full", problem, models="linear", labels=labels)[0].mean for labels in (None, "hard"))
    assert plain == hard
    assert "R² %" in attar.evaluate("full", problem, models="linear").table()


def test_effects_refuses_what_it_cannot_keep(trial):
    with pytest.raises(AttarError, match=r"rows"):
        distilled(methods.effects(tries=1), trial, 3)
    with pytest.raises(AttarError, match="Treatment 'dose' takes other values than two"):
        distilled(methods.effects(), toy.table(numbers=True), 20)


def test_a_set_made_for_one_target_is_not_judged_on_another():
    frame = table_of(toy.table()).frame()
    value = distilled(methods.random(), attar.data.table(frame, "recovery"), 10)
    with pytest.raises(AttarError, match="The set was made to predict 'recovery'"):
        attar.evaluate(value, attar.data.table(frame, "city"), models="linear")


def test_ordinal_words_as_a_target_are_read_from_rows_that_keep_moments():
    frame = table_of(toy.table()).frame()
    frame["grade"] = frame["grade"].astype(float).map({1.0: "low", 2.0: "middle", 3.0: "high"})
    problem = attar.data.table(frame, "grade", types={"grade": ["low", "middle", "high"]})
    value = distilled(methods.moments(), problem, 20)
    assert attar.evaluate(value, problem, models="knn")[0].mean >= 0


def test_weighted_centres_weigh_as_many_rows_as_are_nearest():
    problem = toy.table()
    value = distilled(methods.agglomerative(weighted=True), problem, 10)
    assert value.data.weight is not None
    assert len(value.data.weight.unique()) > 1
    assert value.data.weight.sum() == pytest.approx(10)


def test_moments_keeps_what_every_method_owes():
    check_method(methods.moments())


def test_contingency_keeps_what_every_method_owes():
    check_method(methods.contingency(updates=5), problem=toy.table(discrete=True))


@pytest.mark.parametrize("form", ["counted", "vertex"])
def test_exact_forms_keep_what_every_method_owes(form, answers):
    values, kinds = table_of(answers).values.numpy(), dict.fromkeys("abc", "categorical")
    check_method(
        methods.contingency(form, order=0), problem=attar.data.table(values, "c", names=list("abc"), types=kinds)
    )
