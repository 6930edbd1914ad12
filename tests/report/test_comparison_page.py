"""The page of a comparison: says what was measured, bears what is missing, and is one inert file."""

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import attar
from attar import rng
from attar.errors import AttarError
from attar.methods import random
from attar.report import Pictures, Table, of_comparison, render_comparison
from attar.report.sets import SetOnDisk, real_rows
from attar.runs import RunDirectory
from attar.types import Budget

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def page(record) -> str:
    return render_comparison(Table.from_json(record))


def test_the_page_says_what_was_measured(comparison_record, reader):
    record = comparison_record(seeds=3, problem={"fingerprint": "sha256:feed"})
    text = reader(page(record)).text
    for part in (
        "50 images a class keep 98.3 of 99.4 points (dm, chosen by validation, soft labels); random rows keep 95.6",
        "10 images a class keep", "1 image a class keeps 86.4 of 99.4 points (dc, chosen by validation, soft labels)",
        "97.2 ± 0.4", "+8.2 [7.8, 8.6]", "ran out of memory", "attar compare mnist", "Full data: 60,000 rows",
        "seeds 3", "sha256:feed", "resnet18", "paper", "label-robust", "0.410", "307 KiB", "1 h 30 min",
    ):  # fmt: skip
        assert part in text, part


def test_hard_and_soft_labels_have_tables_and_charts_of_their_own(comparison_record, reader):
    text = page(comparison_record(models=("convnet3",)))
    captions = re.findall(r"<caption>(.*?)</caption>", text)
    assert captions[:2] == [
        "convnet3, hard labels; full data 99.4 ± 0.4",
        "convnet3, soft labels; full data 99.4 ± 0.4",
    ]
    assert "Across networks" not in text  # one network makes no heat map
    titles = re.findall(r'<figcaption class="chart-name">(.*?)</figcaption>', text)
    assert titles == [
        f"Accuracy{axis}, convnet3, {kind} labels"
        for axes in ([""], [" against size", " against time"])
        for kind in ("hard", "soft")
        for axis in axes
    ]


def test_at_equal_bytes_what_takes_as_much_storage_stands_together(comparison_record):
    table = Table.from_json(comparison_record())
    assert "up to" not in render_comparison(table)
    text = render_comparison(table, equal_bytes=True)
    captions = re.findall(r"<caption>(.*?)</caption>", text)
    assert captions[:2] == [f"{name}, by storage; full data {full}" for name, full in
                            (("convnet3", "99.4 ± 0.4"), ("resnet18", "95.4 ± 0.4"))]  # fmt: skip
    heads, body = re.search(r"<thead>(.*?)</thead>\s*<tbody>(.*?)</tbody>", text, re.DOTALL).groups()
    assert re.findall(r">([^<]+)</th>", heads) == ["trained on", "up to 30.7 KiB", "up to 307 KiB", "up to 1.5 MiB"]
    rows = {}
    for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL):
        [name] = re.findall(r'class="named">(.*?)<', row)
        rows[name] = re.findall(r'<td class="n">(.*?)<.*?beside">(.*?)<', row)
    assert list(rows) == [
        f"{name}{kind}" for name in ("random", "kmeans", "dm", "dc") for kind in ("", ", soft labels")
    ]
    assert rows["dm"] == [
        ("85.0 ± 0.4", "1 a class, 30.7 KiB"), ("97.2 ± 0.4", "10 a class, 307 KiB"),
        ("97.9 ± 0.4", "50 a class, 1.5 MiB"),
    ]  # fmt: skip
    assert rows["dm, soft labels"] == [("85.4 ± 0.4", "1 a class, 31.1 KiB"), ("97.6 ± 0.4", "10 a class, 307 KiB")]
    assert re.findall(r'<tr class="ours"><th scope="row"><span class="named">(.*?)<', text)[0] == "dm, soft labels"
    assert "more than random rows of every budget: random, soft labels, 50 a class (1.5 MiB); kmeans, soft" in text


def test_at_equal_bytes_nothing_stands_together_without_random_rows(reader):
    rows = [{"method": "dm", "per_class": 1, "mean": 0.8, "bytes": 100}]
    text = render_comparison(Table.from_json({"rows": rows}), equal_bytes=True)
    assert "random rows have no score yet" in reader(text).text


def test_a_failed_cell_is_shown_as_failed_and_leads_to_its_sentence(comparison_record, reader):
    read = reader(page(comparison_record()))
    links = [link["href"] for link in read.all("a")]
    assert set(links) == {"#failure-1"}
    assert [item["id"] for item in read.all("li") if "id" in item] == ["failure-1"]
    assert read.text.count("dc at 50 images a class ran out of memory") == 1


def test_a_partial_table_says_so_whatever_failed(reader):
    rows = [{"method": "random", "per_class": 1, "mean": 0.8}, {"method": "dm", "per_class": 1, "failed": "no memory"}]
    said = [reader(page({"rows": rows, "complete": False, "left": left})).text for left in (3, 0)]
    assert ["So far:" in text for text in said] == [True, False]
    assert "So far:" in reader(page({"rows": rows[:1], "complete": False})).text  # as older ones were written


def test_a_score_of_fewer_runs_is_shown_with_what_failed(reader):
    row = {"method": "dm", "per_class": 10, "mean": 0.9, "runs": 1, "failed": "seed 1: out of memory"}
    read = reader(page({"rows": [row]}))
    assert "90.0 1" in read.text
    assert "seed 1: out of memory" in read.text


def test_random_rows_with_the_labels_of_methods_have_lines_of_their_own(comparison_record, reader):
    record = comparison_record(labels=("soft",), models=("convnet3",))
    theirs = [
        {**row, "labels_from": name, "mean": row["mean"] - 0.1}
        for row in record["rows"]
        if row["method"] == "random"
        for name in ("dm", "kmeans")
    ]
    text = page({**record, "rows": [*record["rows"], *theirs]})
    assert re.findall(r'<th scope="row"><span class="named">(.*?)</span></th>', text)[:4] == [
        "random", "random, labels of dm", "random, labels of kmeans", "kmeans",
    ]  # fmt: skip
    assert "4 ways to choose" in text
    assert 'class="mark s1 beside"' in text  # dm's colour


def test_the_heat_map_is_warmest_at_the_highest_score(comparison_record):
    text = page(comparison_record(labels=("hard",), budgets=(1,)))
    cells = re.findall(r'--warmth: (\d+)%">([\d.]+)', text)
    assert len(cells) == 10
    by_score = sorted(cells, key=lambda cell: float(cell[1]))
    assert [int(warmth) for warmth, _ in by_score] == sorted(int(warmth) for warmth, _ in cells)
    assert (by_score[0][0], by_score[-1][0]) == ("0", "45")


def test_what_is_coloured_is_said(comparison_record, reader):
    text = reader(page(comparison_record())).text
    assert (
        "The row in bold is dm, of which the top of this page speaks: it has the best validation accuracy at 50" in text
    )
    assert "random rows are hollow, on a dashed line, and full data is the level line." in text
    assert "have its labels" not in text
    blind = [{"method": "dm", "per_class": 10, "mean": 0.9}, {"method": "dc", "per_class": 10, "mean": 0.8}]
    assert "row in bold" not in reader(page({"rows": blind})).text  # nothing chooses
    alone = reader(page({"rows": blind[:1]})).text
    assert "The row in bold is dm, of which the top of this page speaks: no other method has a score" in alone


def test_memory_to_make_a_set_has_a_column_where_it_was_measured(comparison_record, reader):
    record = comparison_record()
    assert "memory to make" not in reader(page(record)).text
    record["rows"][0]["memory"] = 154 << 20
    text = reader(page(record)).text
    assert "memory to make" in text
    assert "154 MiB" in text


def test_settings_are_told_by_method_and_by_budget_where_they_differ(comparison_record, settings_record, reader):
    assert "Settings of the methods" not in page(comparison_record())  # as older ones were written
    few = settings_record["dm"][0]
    many = json.loads(json.dumps(few).replace("10.0", "1.0")) | {"per_class": [50], "changed": [], "steps": 20_000}
    entries = [few | {"per_class": [1, 10]}, many]
    read = reader(page(comparison_record(methods=settings_record | {"dm": entries})))
    summaries = re.findall(r"<summary>(.*?)</summary>", page(comparison_record(methods=settings_record)))
    assert summaries[-2:] == ["dm<span>: 1,000 steps, 1 setting differs from the defaults of dm</span>", "mine"]
    for part in (
        "dm : 1 setting differs from the defaults of dm",  # no one number of steps
        "steps 1,000 at 1 and 10 a class; 20,000 at 50 a class",
        "Other than the defaults of dm optimisers data lr 10.0 at 1 and 10 a class; 1.0 at 50 a class",
        "Defaults of dm type Matching",
        "Settings of mine type Mine speed 3",
    ):
        assert part in read.text, part


def test_what_scrolls_can_be_reached_and_has_a_name(comparison_record, reader):
    read = reader(page(comparison_record()))
    regions = [found for _, found in read.elements if "scroll" in found.get("class", "").split()]
    assert len(regions) > 10
    assert all(found["tabindex"] == "0" and found["role"] == "region" and found["aria-label"] for found in regions)


def test_names_may_be_hostile(comparison_record, reader):
    record = comparison_record(data=HOSTILE, command=HOSTILE, notes=[HOSTILE], versions={HOSTILE: HOSTILE})
    record["protocol"] = {HOSTILE: {HOSTILE: [HOSTILE]}}
    entry = {"per_class": [HOSTILE], "method": {"type": HOSTILE, "fields": {HOSTILE: HOSTILE}}, "changed": [HOSTILE]}
    record["methods"] = {HOSTILE: [entry, {**entry, "method": {HOSTILE: {"type": 1, "fields": 2}}, "steps": HOSTILE}]}
    for row in record["rows"]:
        row["method"] = HOSTILE if row["method"] == "dm" else row["method"]
        row["model"] = HOSTILE if row["model"] == "resnet18" else row["model"]
        row["failed"] = HOSTILE if row["failed"] else None
    zeros = Pictures(np.zeros((2, 1, 4, 4), np.float32), np.array([0, 1]))
    sets = [SetOnDisk(HOSTILE, 10, zeros, (HOSTILE, HOSTILE), None)]
    text = render_comparison(Table.from_json(record), sets)
    read = reader(text)
    assert not read.all("script")
    assert not any("onerror" in attributes for _, attributes in read.elements)
    assert HOSTILE not in text
    assert HOSTILE in read.text


def test_nothing_is_loaded_and_no_script_runs(comparison_record, reader):
    text = page(comparison_record())
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert not reader(text).all("script")


def test_charts_are_named_and_have_their_numbers_behind_them(comparison_record, reader):
    text = page(comparison_record())
    read = reader(text)
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    charts = [svg for svg in read.all("svg") if svg.get("role") == "img"]
    assert len(charts) == 8
    named = [name for svg in charts for name in svg["aria-labelledby"].split()]
    named += [section["aria-labelledby"] for section in read.all("section")]
    assert set(named) <= set(ids)
    assert text.count("The numbers") == len(charts)
    for drawn in re.findall(r'<svg role="img".*?\n</svg>(?=\n<ul class="legend")', text, re.DOTALL):
        ElementTree.fromstring(drawn)


@pytest.mark.parametrize(
    "record",
    [
        {"rows": []},
        {"rows": [{"method": "dm"}]},
        {"rows": [{"method": "dm", "per_class": 10, "mean": 0.9}]},
        {"rows": [{"method": "full", "mean": 0.99}]},
        {"rows": [{"method": "full", "per_class": 10, "mean": 0.99}]},
        {"rows": [None, 3, {}, {"method": "dm", "per_class": "ten", "mean": "high", "std": [], "against_random": 3}]},
        {"rows": [{"method": "dm", "per_class": 1, "mean": float("nan"), "seconds": float("inf"), "bytes": True}]},
        {"rows": [{"method": "dm", "per_class": 1, "mean": 0.9, "against_random": {"mean": 0.1, "low": None}}]},
        {"rows": [{"method": "random", "per_class": k, "mean": 0.9, "bytes": 0, "seconds": 0} for k in (1, 2)]},
        {"rows": [{"method": "dm", "per_class": 1, "mean": 0.9}], "notes": "one", "protocol": None, "versions": []},
        {"rows": [], "methods": [1]},
        {"rows": [], "methods": {"a": 1, "b": [1, {}], "c": [{"method": {}, "per_class": []}], "d": [{"method": {}}]}},
    ],
)
def test_what_is_missing_or_odd_is_left_out(record, reader):
    text = reader(page(record)).text
    assert "To do it again" in text
    assert "nan" not in text
    assert "None" not in text


@pytest.mark.parametrize("content", ["", "[]", '{"rows": 3}', '{"protocol": {}}'])
def test_a_file_that_is_no_comparison_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "comparison.json").write_text(content)
    with pytest.raises(AttarError, match=r"comparison\.json"):
        of_comparison(tmp_path)
    with pytest.raises(AttarError, match="attar compare"):
        of_comparison(tmp_path / "missing")


@pytest.mark.parametrize(("classes", "shape"), [(10, (3, 32, 32)), (10, (3, 128, 128)), (200, (3, 64, 64))])
def test_ten_methods_of_fifty_a_class_stay_below_five_megabytes(comparison_record, classes, shape):
    each = 50 if classes == 10 else 5
    record = comparison_record()
    methods = ["random", *(f"method-{i}" for i in range(9))]
    record["rows"] = [{**row, "method": name} for name in methods for row in record["rows"][:3]]
    noise = np.random.default_rng(0).random((classes, *shape), dtype=np.float32)
    x = np.lib.stride_tricks.as_strided(noise, (classes, each, *shape), (noise.strides[0], 0, *noise.strides[1:]))
    pictures = Pictures(x.reshape(-1, *shape), np.arange(classes).repeat(each))
    sets = [SetOnDisk(name, budget, pictures, (), None) for name in methods for budget in (1, 10, 50)]
    text = render_comparison(Table.from_json(record), sets, pictures)
    assert len(text) < 5_000_000
    assert all(
        f'<th scope="row"><span class="named">{name}</span></th>' in text.replace("<wbr>", "") for name in methods
    )
    if classes == 200:
        assert re.search(r"the first \d+ of 200 classes", text)


def _saved(path: Path, toy, name: str, per_class: int) -> None:
    value = random().finish(toy, Budget(per_class=per_class), rng.generator(0, name))
    settings = {"name": name, "budget": {"per_class": per_class}, "problem": {"name": "toy", "source": None}}
    RunDirectory.create(path, settings).finish(value, {}, True)


def test_sets_are_shown_by_class_and_what_cannot_be_read_is_left_out(tmp_path, toy, comparison_record, reader):
    for name, per_class in (("random", 10), ("dm", 10), ("dm", 1), ("stranger", 10)):
        _saved(tmp_path / "sets" / f"{name}-{per_class}-per-class-0", toy, name, per_class)
    _saved(tmp_path / "sets" / "kmeans-1-per-class-0", toy, "dm", 1)  # settings of "dm" that go by another name
    (tmp_path / "sets" / "kmeans-10-per-class-0").mkdir()
    (tmp_path / "sets" / "kmeans-10-per-class-0" / "settings.json").write_text("{")
    shutil.copytree(tmp_path / "sets" / "dm-10-per-class-0", tmp_path / "sets" / "dc-10-per-class-0")
    (tmp_path / "sets" / "dc-10-per-class-0" / "distilled" / "data.safetensors").write_bytes(b"spoilt")
    (tmp_path / "comparison.json").write_text(json.dumps(comparison_record()))
    assert of_comparison(tmp_path).data == "mnist"
    read = reader((tmp_path / "report.html").read_text())
    tiles = [div["aria-label"] for div in read.all("div") if div.get("class") == "tile"]
    names = attar.Distilled.load(tmp_path / "sets" / "dm-10-per-class-0").training.class_names
    assert tiles == [
        f"{count} of {kind}, {name}"
        for name, count in (("random", "4 images"), ("dm", "4 images"), ("kmeans", "1 image"), ("dm", "1 image"))
        for kind in names
    ]
    assert len(read.all("img")) == 3 * (4 + 4 + 1 + 1)


def test_real_rows_are_shown_of_the_recorded_data_alone(tmp_path):
    secret = tmp_path / "secret.npz"
    np.savez(secret, X=np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32), y=np.arange(40) % 2)
    problem = attar.data.npz(secret)
    zeros = Pictures(np.zeros((2, 1, 8, 8), np.float32), np.array([0, 1]))
    source = dict(problem.spec.source)
    assert len(real_rows([SetOnDisk("dm", 1, zeros, (), source, problem.spec.fingerprint)]).x) == 8
    for fingerprint in ("", "sha256:feed"):
        assert real_rows([SetOnDisk("dm", 1, zeros, (), source, fingerprint)]) is None
    assert real_rows([SetOnDisk("dm", 1, zeros, (), {"toy": 1, "odd": 2}, "sha256:feed")]) is None
