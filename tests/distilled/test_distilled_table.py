"""Distilled tables on disk: what comes back, what people read, and what is refused."""

import csv
import json
import math
import subprocess
import sys

import pytest
import torch

import attar
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.errors import AttarError
from attar.tables import Column, Table

COLUMNS = (
    Column("dose", low=0.0, high=9.0),
    Column("age", low=20, high=60, whole=True),
    Column("grade", "ordinal", (1.0, 2.0, 4.0)),
    Column("city", "categorical", ("=Rome", "Oslo")),
    Column("weight"),
)


@pytest.fixture
def small():
    values = torch.tensor([[1.5, 30, 0, 0, 70], [2.5, 41, 2, 1, math.nan], [1 / 3, 28, 1, 1, 80]], dtype=torch.float64)
    soft = {"city": torch.tensor([[1, 0], [0.25, 0.75], [0, 1]])}
    table = Table(values, COLUMNS, torch.tensor([1.0, 2, 3]), 6000.0, soft)
    made_by = {"name": "moments", "data": "trial", "seed": 0, "seconds": 1.5}
    return DistilledTable(table, "dose", "city", ("means",), ("Rows leave the range of age.",), made_by)


def test_a_set_comes_back_as_it_was_saved(small, tmp_path):
    small.save(tmp_path / "distilled")
    again = Distilled.load(tmp_path)
    assert isinstance(again, DistilledTable)
    assert torch.equal(again.data.values.nan_to_num(-1.0), small.data.values.nan_to_num(-1.0))
    assert torch.equal(again.data.soft["city"], small.data.soft["city"].double())
    assert torch.equal(again.data.weight, small.data.weight)
    assert (again.target, again.treatment, again.data.size) == ("dose", "city", 6000)
    assert [(c.name, c.kind, c.categories, c.whole) for c in again.data.columns] == [
        (c.name, c.kind, c.categories, c.whole) for c in COLUMNS
    ]
    assert math.isnan(again.data.columns[4].low)
    assert again.card() == small.card()
    again.save(tmp_path / "distilled")  # in its own place


def test_equal_sets_are_equal_bytes(small, tmp_path):
    for name in ("a", "b"):
        small.save(tmp_path / name)
    assert (tmp_path / "a/data.safetensors").read_bytes() == (tmp_path / "b/data.safetensors").read_bytes()


def test_the_sample_size_is_said_in_plain_words(small, tmp_path):
    said = "These 3 rows stand for 6,000: tests, scores and standard errors must read n = 6,000"
    small.save(tmp_path / "d")
    assert said in small.summary()
    assert said in (tmp_path / "d/README.md").read_text()
    assert "Rows leave the range of age." in (tmp_path / "d/README.md").read_text()
    own = DistilledTable(small.data.replace(n_represented=None))
    assert "stand for" not in own.summary()


def test_people_read_names_weights_and_probabilities(small, tmp_path):
    small.save(tmp_path / "d")
    rows = list(csv.DictReader((tmp_path / "d/table.csv").read_text().splitlines()))
    assert list(rows[0]) == ["dose", "age", "grade", "city==Rome", "city=Oslo", "weight", "weight_"]
    assert [float(row["weight_"]) for row in rows] == [1, 2, 3]
    assert rows[1]["weight"] == ""
    assert float(rows[2]["dose"]) == 1 / 3
    hard = DistilledTable(small.data.replace(soft={}))
    hard.save(tmp_path / "hard")
    assert "'=Rome" in (tmp_path / "hard/table.csv").read_text()  # no spreadsheet takes it for a formula


def test_it_opens_without_attar_by_the_lines_of_its_card(small, tmp_path):
    small.save(tmp_path / "d")
    lines = json.loads((tmp_path / "d/card.json").read_text())["open_without_attar"]
    blocked = "import sys; sys.modules['attar'] = sys.modules['torch'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + lines], cwd=tmp_path / "d", capture_output=True, text=True, check=True
    )
    assert done.stdout == "4 1 (3, 4) 6000.0\n"


def test_frames_for_other_tools(small):
    assert small.frame()["weight_"].tolist() == [1, 2, 3]
    drawn = small.resampled(200, seed=1)
    assert drawn.equals(small.resampled(200, seed=1))
    assert set(drawn["city"]) == {"=Rome", "Oslo"}
    assert "weight_" not in drawn


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("data.safetensors", lambda text: text[:-1], "its checksum is not the one in card.json"),
        ("card.json", lambda text: text.replace(b"6000.0", b"3.0"), "what it says of columns is not what was saved"),
        ("card.json", lambda text: text.replace(b"Oslo", b"Bern"), "what it says of columns is not what was saved"),
        ("card.json", lambda text: text.replace(b'"keeps"', b'"kept"'), "does not hold what attar writes"),
        ("card.json", lambda text: text.replace(b'"format_version": 5', b'"format_version": 6'), "has format 6"),
    ],
)
def test_what_was_tampered_with_is_refused(small, tmp_path, file, change, said):
    small.save(tmp_path / "d")
    path = tmp_path / "d" / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(AttarError, match=said):
        Distilled.load(tmp_path / "d")


def test_bytes_are_those_of_the_rows_and_of_what_is_saved(small):
    assert small.nbytes == small.data.nbytes


def test_a_table_is_not_judged_on_images(small, toy):
    with pytest.raises(AttarError, match="The set is a distilled table and toy is none"):
        attar.evaluate(small, toy)


def test_target_and_treatment_are_columns(small):
    with pytest.raises(AttarError, match="no column 'cure'"):
        DistilledTable(small.data, target="cure")
