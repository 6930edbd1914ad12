"""What is asked of a choice of real rows: within classes or among all, rows that must stay, quotas, weights, duplicates."""

import csv
from dataclasses import replace

import pytest
import torch

import attar
from attar import rng
from attar.selection import ByFeatures, Picked
from attar.selection.coreset import Coreset
from attar.selection.geometry import herding
from attar.types import AttarError, Budget


def _value(problem, budget=None, seed=0, **choice):
    return Coreset(**choice).finish(problem, budget or Budget(per_class=3), rng.generator(seed, "method"))


def test_the_table_names_rows_as_the_source_does(tmp_path, train_rows):
    problem = attar.data.load("digits")
    value = _value(problem)
    for record, row in zip(value.selected, train_rows(value, problem).tolist(), strict=True):
        assert record["row"] == problem.origins[row]
        assert record["class"] == str(int(problem.train.y[row]))
    whole = attar.data.load("digits", validation=0)
    raw = {int(origin): x for origin, x in zip(whole.origins, whole.train.x, strict=True)}
    first = value.selected[0]["row"]
    assert torch.allclose(
        whole.spec.normalisation.undo(raw[first][None]), value.data.x[:1], atol=1e-6
    )  # the same picture under another split
    value.save(tmp_path / "set")
    with open(tmp_path / "set" / "selected.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert [int(line["row"]) for line in read] == [record["row"] for record in value.selected]
    assert read[0]["reason"] == "drawn at random"
    assert attar.Distilled.load(tmp_path / "set").selected == value.selected
    assert value.card()["selected"] == [dict(record) for record in value.selected]
    value.save(tmp_path / "set")  # a set with its table may be replaced like any other


def test_files_are_named_by_their_path(tmp_path):
    from PIL import Image

    for number in range(12):
        place = tmp_path / "photos" / ("cat" if number % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * number).save(place / f"{number}.png")
    problem = attar.data.folder(tmp_path / "photos", validation=0)
    value = _value(problem, Budget(per_class=1))
    for record in value.selected:
        assert record["row"].endswith(".png")
        assert record["row"].startswith(f"{record['class']}/")
    kept = value.selected[0]["row"]
    for name in (kept, f"./photos/{kept}", str(tmp_path / "photos" / kept)):
        assert _value(problem, Budget(per_class=1), seed=5, keep=(name,)).selected[0]["reason"] == "asked for"


def test_rows_that_must_stay_stay_and_count(toy, train_rows):
    five, forty = toy.origins[5], toy.origins[40]
    value = _value(toy, keep=(five, str(forty)))
    assert {5, 40} <= set(train_rows(value, toy).tolist())
    assert torch.bincount(value.data.y).tolist() == [3, 3, 3]
    assert [record["row"] for record in value.selected if record["reason"] == "asked for"] == [five, forty]
    with pytest.raises(
        AttarError, match="'9999' that must stay is not among the 108 training rows, which are called like"
    ):
        _value(toy, keep=(9999,))
    with pytest.raises(AttarError, match="3 rows of class '.*' must stay"):
        _value(toy, Budget(per_class=2), keep=[toy.origins[row] for row in toy.members[1][:3]])


def test_a_row_that_was_set_aside_is_told_with_the_part_that_it_is_in():
    digits, whole = attar.data.load("digits"), attar.data.load("digits", validation=0)
    validation, test = digits.set_aside["validation"], digits.set_aside["test"]
    assert sorted([*digits.origins, *validation, *test]) == list(range(1797))
    assert set(validation) == set(whole.origins) - set(digits.origins)
    for row, part in ((validation[3], "validation"), (test[3], "test")):
        with pytest.raises(
            AttarError, match=f"'{row}' that must stay is a {part} row, which no set may hold: name one of"
        ):
            _value(digits, keep=(digits.origins[0], row))


def test_a_file_of_the_sources_own_test_split_is_told_to_be_there(tmp_path):
    from PIL import Image

    for part in ("train", "test"):
        for number in range(8):
            place = tmp_path / "photos" / part / ("cat" if number % 2 else "dog")
            place.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 20 * number).save(place / f"{number}.png")
    problem = attar.data.folder(tmp_path / "photos", validation=0)
    for name in ("test/cat/3.png", str(tmp_path / "photos" / "test" / "cat" / "3.png")):
        with pytest.raises(AttarError, match="is a test row, which no set may hold"):
            _value(problem, Budget(per_class=1), keep=(name,))


def test_a_test_file_of_another_folder_is_no_training_file_of_the_same_name(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for part in ("photos", "others"):
        for number in range(8):
            place = tmp_path / part / ("cat" if number % 2 else "dog")
            place.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 20 * number).save(place / f"{number}.png")
    problem = attar.data.find("photos", test="others", validation=0)
    assert "others/cat/3.png" in problem.set_aside["test"]
    assert "cat/3.png" in problem.origins
    for name in ("others/cat/3.png", str(tmp_path / "others" / "cat" / "3.png")):
        with pytest.raises(AttarError, match=f"'{name}' that must stay is a test row"):
            _value(problem, Budget(per_class=1), keep=(name,))
    for name in ("cat/3.png", "photos/cat/3.png"):
        kept = _value(problem, Budget(per_class=1), keep=(name,)).selected
        assert [row["row"] for row in kept if row["reason"] == "asked for"] == ["cat/3.png"]


def test_quotas_stand_in_for_the_budget(toy):
    name = toy.spec.class_names[1]
    assert torch.bincount(_value(toy, quotas={name: 7}).data.y).tolist() == [3, 7, 3]
    assert torch.bincount(_value(toy, quotas={name: 0}).data.y, minlength=3).tolist() == [3, 0, 3]
    with pytest.raises(AttarError, match="'zebra'"):
        _value(toy, quotas={"zebra": 1})
    with pytest.raises(AttarError, match="fewer than the 100000"):
        _value(toy, quotas={name: 100_000})
    with pytest.raises(AttarError, match="leave no rows"):
        _value(toy, quotas=dict.fromkeys(toy.spec.class_names, 0))
    with pytest.raises(AttarError, match="no number of rows"):
        _value(toy, quotas={name: -1})


def _counts(problem, budget, quotas):
    return torch.bincount(_value(problem, budget, quotas=quotas).data.y, minlength=3).tolist()


def test_quotas_are_part_of_a_budget_of_rows_in_all(toy):
    first, second, third = toy.spec.class_names  # of 36 training rows each
    assert _counts(toy, Budget(size=12), {first: 6}) == [6, 3, 3]
    assert _counts(toy, Budget(fraction=12 / 108), {second: 1}) == [6, 1, 5]  # the one too many to the first
    assert _counts(toy, Budget(size=12), {first: 5, second: 4}) == [5, 4, 3]
    assert _counts(toy, Budget(size=12), dict(zip((first, second, third), (5, 4, 3), strict=True))) == [5, 4, 3]
    uneven = attar.data.toy.images(per_class=40, imbalance=4)
    sizes = [len(rows) for rows in uneven.members.values()]
    rest = Budget(size=10).counts(sizes[1:])
    assert _counts(uneven, Budget(size=14), {uneven.spec.class_names[0]: 4}) == [4, *rest]
    assert rest[0] != rest[1]


def test_where_quotas_leave_less_than_a_row_each_the_largest_classes_have_one():
    uneven = attar.data.toy.images(per_class=40, imbalance=4)
    sizes = [len(rows) for rows in uneven.members.values()]
    assert sizes == sorted(sizes, reverse=True)
    names = uneven.spec.class_names
    assert _counts(uneven, Budget(size=5), {names[2]: 4}) == [1, 0, 4]
    assert _counts(uneven, Budget(size=5), {names[1]: 5}) == [0, 5, 0]
    digits = attar.data.load("digits")
    counts = torch.bincount(_value(digits, Budget(size=12), quotas={"0": 5}).data.y, minlength=10)
    assert (int(counts[0]), int(counts.sum())) == (5, 12)
    assert sorted(counts[1:].tolist()) == [0, 0, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("quotas", "said"),
    [
        ((8, 5), "The quotas are 13 rows in all, more than the 12 of the budget: lower them, or raise the budget."),
        ((2, 3, 4), "The quotas take 9 of the budget's 12 rows and leave 3 to 0 classes of 0 training rows in all"),
    ],
)
def test_quotas_that_a_budget_of_rows_in_all_does_not_hold_are_refused(toy, quotas, said):
    with pytest.raises(AttarError, match=said):
        _value(toy, Budget(size=12), quotas=dict(zip(toy.spec.class_names, quotas, strict=False)))


def test_quotas_that_leave_more_than_there_is_are_refused(toy):
    with pytest.raises(AttarError, match="leave 99 to 2 classes of 72 training rows in all: raise the quotas"):
        _value(toy, Budget(size=100), quotas={toy.spec.class_names[0]: 1})


def test_among_all_rows_classes_fall_as_they_may(toy, train_rows):
    value = _value(toy, Budget(size=20), by="all")
    assert len(value) == 20
    assert len(set(train_rows(value, toy).tolist())) == 20
    with pytest.raises(AttarError, match="Quotas"):
        Coreset(by="all", quotas={"a": 1})


def test_weights_are_what_rows_stand_for():
    uneven = attar.data.toy.images(per_class=40, imbalance=4)
    value = _value(uneven, weighted=True)
    sizes = [len(rows) for rows in uneven.members.values()]
    assert value.data.weight.mean() == pytest.approx(1)
    assert (
        attar.methods.craig("mlp", 1).finish(uneven, Budget(per_class=2), rng.generator(0, "method")).data.weight.dtype
        == torch.float32
    )
    shares = [float(value.data.weight[value.data.y == group].sum()) for group in range(3)]
    assert [share / shares[0] for share in shares] == pytest.approx([size / sizes[0] for size in sizes])
    assert _value(uneven).data.weight is None


def test_near_duplicates_are_left_out_first(toy, train_rows):
    doubled = toy.train.join([toy.train])
    problem = type(toy)(toy.task, doubled, toy.validation, toy.test, toy.spec)
    rows = len(toy.train)
    everything = Budget(size=rows)
    found = train_rows(_value(problem, everything, deduplicate=True), problem)
    assert sorted(found.tolist()) == list(range(rows))
    last = _value(problem, everything, deduplicate=True, prefer_duplicate="last")
    assert sorted(train_rows(last, problem).tolist()) == list(range(rows, 2 * rows))
    assert last.made_by["near_duplicates_left_out"] == rows == len(last.left_out)
    pairs = [(line["row"], line["nearly_repeats"]) for line in last.left_out]
    assert sorted(pairs) == [(row, row + rows) for row in range(rows)]
    assert last.made_by["near_duplicates_of_test_rows"] == 0
    leaky = type(toy)(toy.task, toy.train, toy.validation, toy.train.take(torch.arange(4)), toy.spec)
    assert _value(leaky, everything, deduplicate=True).made_by["near_duplicates_of_test_rows"] == 4
    with pytest.raises(AttarError, match="after near-duplicates were left out"):
        _value(problem, Budget(size=rows + 3), deduplicate=True)
    assert rows + 1 in train_rows(_value(problem, deduplicate=True, keep=(rows + 1,)), problem).tolist()


def test_a_saved_set_lists_the_rows_that_were_left_out(toy, tmp_path):
    problem = type(toy)(toy.task, toy.train.join([toy.train]), toy.validation, toy.test, toy.spec)
    value = _value(problem, deduplicate=True)
    value.save(tmp_path / "set")
    lines = (tmp_path / "set" / "left_out.csv").read_text().splitlines()
    assert lines[0] == "row,class,nearly_repeats"
    assert len(lines) == 1 + len(toy.train)
    assert len(attar.Distilled.load(tmp_path / "set").left_out) == len(toy.train)
    value.save(tmp_path / "set")  # what attar wrote is replaced


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda x, count, fixed: torch.arange(count), "no attar.selection.Picked"),
        (lambda x, count, fixed: herding(x, count - 1), "2 different rows where 3 are asked for"),
        (lambda x, count, fixed: herding(x, count), "must stay"),
        (lambda x, count, fixed: replace(herding(x, count), rows=torch.arange(count) + len(x)), "not among 0 to"),
    ],
)
def test_a_rule_of_ones_own_is_held_to_its_promises(toy, rule, said):
    last = toy.origins[int(toy.members[0][-1])]
    with pytest.raises(AttarError, match=said):
        _value(toy, rule=ByFeatures(rule), keep=(last,))


def test_a_rule_of_ones_own_is_run_like_any_other(toy, train_rows):
    def nearest_to_zero(x, count, *, fixed):
        order = x.norm(dim=1).argsort()[:count]
        return Picked(order, x.norm(dim=1)[order], torch.ones(count), ("small",) * count)

    value = _value(toy, rule=ByFeatures(nearest_to_zero), name="mine")
    norms = toy.train.x.flatten(1).norm(dim=1)
    smallest = {int(rows[norms[rows].argmin()]) for rows in toy.members.values()}
    assert smallest <= set(train_rows(value, toy).tolist())
