"""A table from the command line to the page: distil, resume, report, compare."""

import json

import numpy as np
import pandas as pd
import pytest

import attar
from attar import report
from attar.cli import main
from attar.distilled.tables import DistilledTable


@pytest.fixture
def trial(tmp_path):
    draws = np.random.default_rng(0)
    age = draws.normal(50, 10, 200)
    dose = (draws.random(200) < 1 / (1 + np.exp(-(age - 50) / 10))).astype(int)
    ill = np.where(age / 10 - 2 * dose + draws.normal(0, 1, 200) > 4, "yes", "no")
    city = draws.choice(["Bern", "Oslo", "Rome"], 200)
    path = tmp_path / "trial.csv"
    pd.DataFrame({"age": age, "city": city, "dose": dose, "ill": ill}).to_csv(path, index=False)
    return path


def command(*words):
    """The command line, and that it ended well."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert not ended.value.code


def test_a_table_is_distilled_scored_and_shown(trial, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--target", "ill", "--treatment", "dose", "--per-class", "3", "--steps", "2"]
    command("distill", "dm", str(trial), *words, "--out", str(out))
    value = attar.Distilled.load(out)
    assert isinstance(value, DistilledTable)
    assert (value.target, value.treatment, len(value)) == ("ill", "dose", 6)
    assert value.made_by["name"] == "dm"
    assert "no statistic of the source is promised" in " ".join(value.warnings)
    command("report", str(out), "--models", "linear,knn", "--json")
    told = json.loads(capsys.readouterr().out)
    assert {score["model"] for score in told[0]["scores"]} == {"linear", "knn"}
    assert {score["subject"] for score in told[0]["scores"]} == {"dm", "random", "full data", "full data, drawn again"}
    page = (out / "report.html").read_text()
    for words in ("The rows", "Which causal conclusions are kept", "ill", "Bern"):
        assert words in page
    command("evaluate", str(out), "--models", "trees", "--json")
    assert json.loads(capsys.readouterr().out)


def test_random_features_are_so_many_from_the_command_line(trial, tmp_path):
    words = ["--target", "ill", "--per-class", "3", "--steps", "1", "--features", "4", "--graph", "age->dose"]
    command("distill", "causal", str(trial), *words, "--out", str(tmp_path / "run"))


def test_rows_without_a_target_are_judged_by_their_structure_alone(trial, tmp_path, capsys):
    out = tmp_path / "run"
    command("distill", "moments", str(trial), "--rows", "20", "--out", str(out))
    command("report", str(out))
    assert "100.0 % of the" in capsys.readouterr().out
    command("evaluate", str(out), "--json")
    [score] = json.loads(capsys.readouterr().out)["scores"]
    assert (score["model"], score["mean"], score["lost"], score["invented"]) == ("decisions", 1.0, 0.0, 0.0)
    with pytest.raises(SystemExit):
        main(["evaluate", str(out), "--models", "linear"])
    assert "has no target, so no model can be trained to predict it" in capsys.readouterr().err


def test_a_run_on_a_table_goes_on_where_it_was_stopped(trial, tmp_path):
    problem = attar.data.table(trial, target="ill")
    budget, method = attar.Budget(per_class=3), attar.methods.rows.of_tables("dm", attar.Budget(per_class=3), {})
    straight = attar.distill(method, problem, budget, steps=6, out=tmp_path / "straight")
    job = attar.jobs.prepare(method, problem, budget, steps=6, out=tmp_path / "stopped")
    for step in job:
        if step.index == 3:
            break
    job.finish()
    resumed = attar.resume(tmp_path / "stopped")
    files = [(tmp_path / name / "distilled/data.safetensors").read_bytes() for name in ("straight", "stopped")]
    assert files[0] == files[1]
    assert len(resumed.value) == len(straight.value) == 6


def test_a_table_is_compared_by_several_learners(trial, tmp_path):
    weighted = [(name, {"weighted": True}) for name in ("kmeans", "agglomerative")]
    options = {"steps": 2, "workers": 1, "target": "ill", "out": tmp_path / "table"}
    found = attar.compare(trial, ["kmeans", *weighted, "kip"], [3], ["linear", "trees"], 1, **options)
    assert not found.failed
    assert {row.method for row in found.rows} == {
        "full", "bootstrap", "random", "kmeans", "kmeans+weighted=true", "agglomerative+weighted=true", "kip",
    }  # fmt: skip
    assert {row.model for row in found.rows} == {"linear", "trees"}
    assert all(0 <= row.mean <= 1 for row in found.rows)
    report.of_comparison(tmp_path / "table")
    assert "agglomerative" in (tmp_path / "table/report.html").read_text()


def test_structure_is_compared_beside_prediction_and_without_a_target_alone(trial, tmp_path):
    """Every method in one table, each beside the noise floor of rows drawn again."""
    discrete = tmp_path / "discrete.csv"
    pd.read_csv(trial).assign(age=lambda rows: rows.age > 50).to_csv(discrete, index=False)
    options = {"seeds": 2, "workers": 1}
    asked = [("facility_location", {"weighted": True}), "contingency"]
    found = attar.compare(
        discrete, asked, [12], ["linear", "decisions"], **options, target="ill", out=tmp_path / "both"
    )
    rows = {(row.method, row.model): row for row in found.rows}
    assert found.metric == "score"
    assert not found.failed
    assert (
        rows["contingency", "decisions"].mean == rows["full", "decisions"].mean == 1.0
    )  # 24 rows hold every distinct one
    floor = rows["bootstrap", "decisions"]
    assert floor.runs == 2
    assert 0.5 < floor.mean < 1
    assert floor.lost + floor.invented > 0
    assert rows["bootstrap", "linear"].rows == rows["full", "linear"].rows
    assert rows["facility_location+weighted=true", "decisions"].label_robust is None  # which is of accuracies
    assert "lost %" in found.table()
    assert "full data, drawn again" in found.table()

    found = attar.compare(discrete, ["contingency"], rows=[4, 24], **options, out=tmp_path / "alone")
    for words, said in (({"per_class": [4]}, "not both"), ({"target": "ill"}, "has classes")):
        with pytest.raises(attar.AttarError, match=said):
            attar.compare(discrete, ["contingency"], rows=[4], **options, **words, out=tmp_path / "refused")
    assert {row.model for row in found.rows} == {"decisions"}
    assert found.metric == "decisions alike"
    assert not any("validation" in note for note in found.notes[1:])
    again = attar.compare(discrete, ["random"], [4], **options, out=tmp_path / "alone")
    assert [row.method for row in again.rows if row.per_class is None] == ["full", "bootstrap"]
    report.of_comparison(tmp_path / "alone")
    page = (tmp_path / "alone/report.html").read_text()
    assert "What each decides as the training rows do" in page
    assert "of 100 decisions on independence" in page
    with pytest.raises(attar.AttarError, match="chosen by a model that predicts"):
        attar.compare(discrete, ["kip"], [4], out=tmp_path / "none", candidates=2)


def test_contingency_tables_of_grades_are_learned_from_and_compared(tmp_path):
    """A target of whole numbers is regressed, and soft rows hold probabilities of it, whose mean is what is learned."""
    draws = np.random.default_rng(0)
    a = draws.integers(0, 3, 400)
    path = tmp_path / "grades.csv"
    pd.DataFrame({"a": a, "b": draws.choice(["p", "q"], 400), "grade": a + draws.integers(0, 2, 400)}).to_csv(
        path, index=False
    )
    options = {"seeds": 1, "workers": 1, "target": "grade", "out": tmp_path / "table"}
    found = attar.compare(path, ["contingency"], rows=[8], models=["linear", "decisions"], **options)
    rows = {(row.method, row.model): row for row in found.rows}
    assert not found.failed
    assert rows["contingency", "linear"].labels == "hard"
    assert rows["contingency", "linear"].mean == pytest.approx(rows["full", "linear"].mean, abs=0.05)
    assert rows["contingency", "decisions"].mean == 1.0


def test_counted_rows_and_a_vertex_are_compared_by_name(tmp_path, capsys):
    draws = np.random.default_rng(0)
    a, b = draws.integers(0, 2, (2, 60))
    path = tmp_path / "answers.csv"
    pd.DataFrame({"a": a, "b": b, "c": np.where(draws.random(60) < 0.2, 1 - a, a)}).to_csv(path, index=False)
    forms = ["contingency+form=counted", "contingency+form=vertex+order=0"]
    words = ["--target", "c", "--methods", ",".join(forms), "--per-class", "4", "--seeds", "1", "--models", "linear"]
    command("compare", str(path), *words, "--workers", "1", "--out", str(tmp_path / "table"), "--json")
    found = json.loads(capsys.readouterr().out)
    assert {row["method"] for row in found["rows"] if row["mean"] is not None} >= {"full", "random", *forms}


def test_a_graph_that_was_discovered_is_told_at_the_end(monkeypatch, tmp_path, capsys):
    edges = [(f"q{place}", f"q{place + 1}") for place in range(11)]
    names = [f"q{place}" for place in range(12)]
    path = tmp_path / "answers.csv"
    draws = np.random.default_rng(0).integers(0, 2, (60, 12))
    pd.DataFrame(draws, columns=names).to_csv(path, index=False)
    monkeypatch.setattr("attar.methods.tables.ContingencyRows._graph", lambda *_: attar.causal.Graph.dag(names, edges))
    words = ["distill", "contingency", str(path), "--discover", "--form", "hard", "--rows", "48", "--out"]
    command(*words, str(tmp_path / "run"))
    [told] = [line for line in capsys.readouterr().err.splitlines() if "graph discovered" in line]
    assert told == f"attar: graph discovered: {', '.join('->'.join(edge) for edge in edges[:10])} (and 1 more edge)"


def test_a_comparison_along_a_weight_draws_the_trade_off(trial, tmp_path):
    methods = [("causal", {"weight": weight, "features": 8}) for weight in (0.0, 1.0)]
    attar.compare(trial, methods, [4], ["linear"], 1, steps=2, workers=1, target="ill", out=tmp_path / "table")
    report.of_comparison(tmp_path / "table")
    page = (tmp_path / "table/report.html").read_text()
    assert "Prediction against structure" in page
    assert "weight 1: " in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dm", "TRIAL", "--target", "sick", "--per-class", "2"], "There is no column 'sick' in trial.csv"),
        (
            ["dm", "TRIAL", "--target", "ill", "--per-class", "2", "--model", "convnet3"],
            "'convnet3' is no network for rows",
        ),
        (["mtt", "TRIAL", "--target", "ill", "--per-class", "2", "--experts", "none"], "which tables have none of"),
        (["dm", "digits", "--target", "ill", "--per-class", "2"], "target= does not suit digits"),
        (["moments", "TRIAL", "--rows", "2"], "The budget allows 2 rows, and 6 are needed"),
        (["contingency", "TRIAL", "--rows", "9"], "Column 'age' is continuous, so it has no contingency table"),
        (["moments", "digits", "--rows", "20"], "digits is no table, so it has no columns"),
        (["dm", "TRIAL", "--target", "ill", "--per-class", "2", "--types", "age"], "'age' is no kind of column"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(words, said, trial, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["distill", *[str(trial) if word == "TRIAL" else word for word in words], "--out", str(tmp_path / "run")])
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
