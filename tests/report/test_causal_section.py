"""The section on causal conclusions, from the record that an evaluation writes."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

import attar.report
from attar.causal import Agreement, Effect, Graph
from attar.evaluation.causal import CausalScores, EffectScore
from attar.evaluation.causal_text import DECISIONS, STRUCTURE
from attar.evaluation.conclusions import EffectQuery, Questions
from attar.evaluation.noise import Noise
from attar.report.causal import causal_section
from attar.tables import Column, Table

NAMES = ("age", "dose <mg>", "recovery")
QUERY = EffectQuery("dose <mg>", "recovery", ("age",), ("regression", "ipw"))
LABELS = [QUERY.label(estimator) for estimator in QUERY.estimators]


def scores(**fields):
    full = Effect(2.0, 0.1, 1.804, 2.196, 0.95, 1000, 1000)
    few = Effect(2.25, 0.4, 1.466, 3.034, 0.95, 60, 60)
    found = CausalScores(
        questions=Questions("pc", "fisher_z", effects=(QUERY,)),
        rows=12,
        size=60.0,
        full_size=1000.0,
        graph=Graph(NAMES, (), (("age", "recovery"),)),
        full_graph=Graph(NAMES, (("age", "recovery"), ("dose <mg>", "recovery"))),
        truth=None,
        decisions=Agreement(6, 4 / 6, 0.3, 0.5, 0.0, 2, 0, 0.9),
        valid=0.5,
        effects=(
            EffectScore(QUERY, "regression", few, full),
            EffectScore(QUERY, "ipw", "The arms do not overlap.", full),
        ),
        measures={"graph.skeleton_distance": 1.0, "graph.f1": 2 / 3, "decisions.equal": 4 / 6, LABELS[0]: 2.5},
        full_measures={},
        noise=(Noise("bootstrap", 2, {"decisions.equal": (1.0, 0.9), LABELS[0]: (0.5, 1.5), "graph.f1": (1.0, 1.0)}),),
    )
    return CausalScores(**{**vars(found), **fields})


def test_the_record_of_an_evaluation_becomes_a_section(reader):
    text = causal_section(json.loads(json.dumps(scores().to_json())))
    assert "<mg>" not in text
    found = reader(text)
    for told in (
        "The 12 distilled rows stand for 60, the sample size that tests read; the full data have 1,000 rows.",
        "Of 6 tests of independence (fisher_z, given up to 2 columns, at 0.01), 66.7 % are decided as by the full data, "
        "beside 95.0 ± 7.1 % of 2 bootstraps; 2 dependences are lost and 0 invented.",
        "Of the 2 edges in the graph of the full data, that of the distilled rows keeps 1 (directs 1 of them otherwise) "
        "and loses 1, and it invents none.",
        "dose <mg> on recovery given age", "2.250 (1.466 to 3.034)", "+2.50", "The arms do not overlap.",
        "Intervals are of 95 %.", "F1 of edges, % 66.7 100.0 ± 0.0", "1 ± 0.71", "50.0 % of the judged table's p-values",
    ):  # fmt: skip
        assert told in found.text
    assert text == causal_section(scores())
    ids = [one["id"] for _, one in found.elements if "id" in one]
    assert len(ids) == len(set(ids))


def test_what_was_not_asked_for_or_refused_is_left_out(reader):
    bare = scores(graph=None, full_graph=None, decisions=None, valid=None, effects=(), measures={}, noise=())
    found = reader(causal_section(bare))
    assert "graphs" not in found.text
    assert found.all("table") == []
    assert "tests of independence" not in found.text
    refused = reader(causal_section(scores(graph="Rows are too few.", decisions="Rows are too few.")))
    assert "The judged table has no graph: Rows are too few." in refused.text


def test_effects_that_rows_do_not_keep_are_named(reader):
    of, [first, *others] = scores(), scores().effects
    own = dataclasses.replace(first, of=dataclasses.replace(first.full, note="These 5 rows do not keep it."))
    marked = reader(causal_section(dataclasses.replace(of, effects=(own, *others))))
    assert f"Of the distilled rows {first.label} is an estimate of these rows alone" in marked.text
    assert "of these rows alone" not in reader(causal_section(of)).text


def test_an_effect_of_words_says_which_of_them_counts_as_treated(reader):
    source = Table(
        torch.zeros(1, 3), (Column("age"), Column("dose <mg>", "categorical", ("drug", "placebo")), Column("recovery"))
    )
    found = reader(causal_section(json.loads(json.dumps(scores().in_words_of(source).to_json()))))
    assert "recovery, dose <mg> = placebo against dose <mg> = drug" in found.text
    assert "recovery a unit of dose <mg>" in reader(causal_section(scores())).text


def test_measures_are_called_as_in_plain_text():
    measures = {f"graph.{name}": 1.0 for name in STRUCTURE} | {f"decisions.{name}": 1.0 for name in DECISIONS}
    found = scores(measures=measures, noise=())
    page, text = causal_section(found), found.describe()
    for words in (*STRUCTURE.values(), *DECISIONS.values()):
        assert words in page
        assert words in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_section_fits_a_phone_and_a_screen(tab, tmp_path, scheme):
    room = Path(attar.report.__file__).parent
    style = (room / "page.css").read_text() + (room / "causal.css").read_text()
    page = (
        f'<!doctype html><meta name="viewport" content="width=device-width"><style>{style}</style><main class="wide">'
    )
    page += causal_section(scores())
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    tab.emulate_media(color_scheme=scheme)
    tab.goto((tmp_path / "page.html").as_uri())
    assert tab.get_by_role("img", name="Graph of the distilled rows").is_visible()
    for width in (360, 768, 1280):
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        over = tab.evaluate(  # labels of nodes lie within their boxes
            """() => [...document.querySelectorAll(".node")].filter((one) => {
              const [box, text] = [one.querySelector("rect"), one.querySelector("text")].map((e) => e.getBBox());
              return text.x < box.x || text.x + text.width > box.x + box.width;
            }).length"""
        )
        assert over == 0
