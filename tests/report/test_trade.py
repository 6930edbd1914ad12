"""The curves of a comparison along a weight: one of each method, from decisions that are asked for once."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import attar
from attar.evaluation.causal import CausalReference
from attar.report import Table, of_comparison
from attar.report.trade import FILE, _weights, trade_offs

NAMES = [f"causal{more}+weight={weight}" for more in ("", "+statistics=0") for weight in ("0.5", "2")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sets, here of real rows, under the names of a method with two settings at two weights each, and of one at one weight."""
    out = tmp_path_factory.mktemp("trade")
    draws = np.random.default_rng(0)
    age = draws.normal(size=150)
    dose = age + draws.normal(size=150)
    frame = pd.DataFrame({"age": age, "dose": dose, "recovery": dose - age + draws.normal(size=150)})
    frame.to_csv(out / "trial.csv", index=False)
    problem = attar.data.table(out / "trial.csv", target="recovery")
    rows = []
    for seed, name in enumerate(["random", *NAMES, "causal+lr=1+weight=2"]):
        path = out / "table/sets" / f"{name}-20-per-class-0"
        attar.distill(attar.methods.random(), problem, attar.Budget(per_class=20), seed=seed, out=path)
        scored = {
            "method": name,
            "model": "linear",
            "labels": "hard",
            "mean": 0.5 + seed / 20,
            "bytes": 100,
            "seconds": 1,
        }
        rows += [{**scored, "per_class": 20}, {**scored, "per_class": 40, "bytes": 200}]
    (out / "table/comparison.json").write_text(
        json.dumps({"rows": rows, "data": "trial", "problem": {"classes": 0, "noun": "row"}})
    )
    return out / "table"


@pytest.fixture
def asked(monkeypatch):
    """How many bootstraps were asked beside all rows, each time that all rows were."""
    found, of = [], CausalReference.of.__func__

    def counted(cls, *given, **options):
        found.append(options["bootstraps"])
        return of(cls, *given, **options)

    monkeypatch.setattr(CausalReference, "of", classmethod(counted))
    return found


def test_every_method_has_a_curve_of_its_own(folder):
    found = trade_offs(folder, Table.read(folder))
    assert [head for head, _ in found] == ["causal at 20", "causal+statistics=0 at 20"]
    for _, curve in found:
        assert re.findall(r"<title>weight ([0-9.]+):", curve) == ["0.5", "2"]
    of_comparison(folder)
    page = (folder / "report.html").read_text()
    assert "causal+statistics=0 at 20 rows<" in page
    assert "R² on the test rows" in page
    assert "images" not in page
    assert "ccuracy" not in page
    names = re.findall(r'id="(trade[^"]*)"', page)
    assert len(names) == len(set(names)) == 5  # of the section, and a title and a description of each curve


def test_settings_may_stand_before_a_weight_and_behind_it():
    names = [
        "causal+weight=1e-05+weights=equal",
        "causal+weight=2+weights=equal",
        "causal+lr_weights=1",
        "kmeans+weighted=true",
        "other+weight=...",
    ]
    assert _weights(names) == {"causal+weights=equal": {names[0]: 1e-5, names[1]: 2.0}}


def test_where_moments_are_kept_it_says_that_the_weight_trades_nothing(tmp_path):
    draws = np.random.default_rng(0)
    age = draws.normal(size=150)
    dose = age + draws.normal(size=150)
    frame = pd.DataFrame({"age": age, "dose": dose, "recovery": dose - age + draws.normal(size=150)})
    frame.to_csv(tmp_path / "trial.csv", index=False)
    problem = attar.data.table(tmp_path / "trial.csv", target="recovery")
    rows = []
    for moments in (True, False):
        for weight in (0.5, 2.0):
            name = f"causal+moments={str(moments).lower()}+weight={weight:g}"
            method = attar.methods.causal(weight, graph=["age->dose"], moments=moments, features=4, initial="real")
            path = tmp_path / "table/sets" / f"{name}-20-per-class-0"
            attar.distill(method, problem, attar.Budget(per_class=20), steps=1, out=path)
            scored = {"model": "linear", "labels": "hard", "mean": 0.5 + weight / 20, "bytes": 100, "seconds": 1}
            rows.append({"method": name, "per_class": 20, **scored})
    (tmp_path / "table/comparison.json").write_text(
        json.dumps({"rows": rows, "data": "trial", "problem": {"classes": 0, "noun": "row"}})
    )
    (kept, with_moments), (free, without) = trade_offs(tmp_path / "table", Table.read(tmp_path / "table"))
    assert "moments=true" in kept
    assert "moments=false" in free
    assert "Every weight keeps the same decisions" in with_moments
    assert "Every weight keeps the same decisions" not in without


def test_all_rows_are_asked_once_and_again_for_what_changed_alone(folder, asked):
    (folder / FILE).unlink(missing_ok=True)
    table = Table.read(folder)
    first = trade_offs(folder, table)
    assert asked == [3]
    assert trade_offs(folder, table) == first
    assert asked == [3]
    record = json.loads((folder / FILE).read_text())
    name = next(iter(record["sets"]))
    record["sets"][name] = {"checksum": "of another state", "kept": 0.0}
    (folder / FILE).write_text(json.dumps(record))
    assert trade_offs(folder, table) == first
    assert asked == [3, 0]  # the bootstraps are known


def _out_of_range(record):
    record["floor"] = 2.0


def _without_number(record):
    next(iter(record["sets"].values()))["kept"] = "much"


def _without_checksum(record):
    next(iter(record["sets"].values()))["checksum"] = 3


def _of_other_questions(record):
    record["asked"]["questions"]["order"] = 1


@pytest.mark.parametrize("damage", [None, _out_of_range, _without_number, _without_checksum, _of_other_questions])
def test_a_damaged_record_is_written_anew(folder, asked, damage):
    (folder / FILE).unlink(missing_ok=True)
    table = Table.read(folder)
    first = trade_offs(folder, table)
    record = json.loads((folder / FILE).read_text())
    if damage is not None:
        damage(record)
    (folder / FILE).write_text(json.dumps(record) if damage else "[")
    assert trade_offs(folder, table) == first
    assert asked == [3, 3]


def test_where_the_data_are_gone_there_is_no_curve(folder, asked, monkeypatch):
    (folder / FILE).unlink(missing_ok=True)
    sought = []
    monkeypatch.setattr("attar.report.trade.reopened", lambda *given: sought.append(given))
    assert trade_offs(folder, Table.read(folder)) == []
    assert len(sought) == 1
    assert asked == []
