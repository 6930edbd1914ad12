"""What the page of a run shows of its candidates."""

import json
import re

import pytest

import attar
from attar.evaluation import Protocol, candidates_of, evaluate_selected
from attar.plan import Plan
from attar.report import of_run
from attar.report.along import along_the_run
from attar.report.words import spread_text
from attar.runs import RunDirectory

TINY = Protocol("tiny", models=("mlp-8",), runs=2, epochs=14, plain_epochs=10, updates=15, lr=0.05)


@pytest.fixture(scope="module")
def run(toy, tmp_path_factory):
    """A run of four candidates, one of them chosen, and the scores of that and of the last."""
    path = tmp_path_factory.mktemp("along") / "run"
    method, plan = attar.methods.dm("convnet1-4", batch=8), Plan(threads=1)
    attar.distill(method, toy, attar.Budget(per_class=1), steps=8, candidates=4, plan=plan, out=path)
    return path, evaluate_selected(path, toy, ["mlp-8", "ridge-ntk"], 2, TINY)


def checksum(path):
    return candidates_of(path)[8].card()["checksum"]


def test_scores_on_validation_rows_by_step_and_on_test_rows_of_two_sets(run):
    path, scores = run
    found = along_the_run(RunDirectory(path), checksum(path))
    selection = json.loads((path / "selection.json").read_text())["selection"]
    drawn, marked = found.chart.series
    means = [spread_text(one["mean"], one["std"]) for one in selection["candidates"]]
    assert drawn.rows == tuple(zip(("2", "4", "6", "8"), means, strict=True))
    assert [row[0] for row in marked.rows] == [str(selection["step"])]
    assert found.steps == (selection["step"], 8)
    told = [spread_text(score.mean, score.std) for score in scores]
    assert found.scores == (("mlp-8", told[0], told[1]), ("ridge-ntk", told[2], told[3]))
    assert "on 12 validation rows" in found.said


def test_the_page_has_them_and_no_other_test_score(run, toy, reader):
    path, scores = run
    of_run(path, toy)
    page = (path / "report.html").read_text()
    text = reader(page).text
    assert "Which step validation rows choose" in text
    assert "Validation accuracy of mlp-8 along the run" in text
    assert "Accuracy on test rows, in points, protocol tiny" in text
    section = page[page.index('id="along"') :]
    table = section[section.index("Accuracy on test rows") : section.index("</section>")]
    cells = re.findall(r'<td class="n">([^<]*)</td>', table)
    assert cells == [spread_text(score.mean, score.std) for score in scores]


def test_a_choice_of_an_earlier_state_of_the_run_is_not_shown(run, toy, reader):
    path, _ = run
    assert along_the_run(RunDirectory(path), "sha256:other") is None
    (path / "selection.json").rename(path / "kept.json")
    of_run(path, toy)
    assert "Which step validation rows choose" not in reader((path / "report.html").read_text()).text
    (path / "kept.json").rename(path / "selection.json")
