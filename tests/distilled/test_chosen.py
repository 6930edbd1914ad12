"""What is said of sets whose rows were chosen and not made: that they are real, which ones, and what they repeat."""

import dataclasses
import json

import pytest
import torch

import attar
from attar.batches import Images
from attar.cli import main
from attar.distilled import Distilled, Training
from attar.types import Budget, Normalisation


def theirs(left_out=(), **made_by) -> Distilled:
    """A set of someone else's rule: two rows, one class of three without any."""
    rows = Images(torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2]))
    training = Training(Normalisation((0.5,), (0.5,)), class_names=("cat", "dog", "fox"))
    selected = [{"row": "cat/1.jpg"}, {"row": "fox/2.jpg"}]
    return Distilled(rows, training, {"name": "ours", "data": "pets", **made_by}, selected=selected, left_out=left_out)


def repeated(toy):
    """The toy data with its first row among the training rows twice, and among the test rows."""
    first = toy.train.take(torch.tensor([0]))
    return type(toy)(toy.task, toy.train.join([first]), toy.validation, first, toy.spec)


def told(value: Distilled, folder) -> dict[str, str]:
    """All places that say what a set is."""
    value.save(folder)
    card = json.loads((folder / "card.json").read_text())
    return {"readme": (folder / "README.md").read_text(), "summary": value.summary(), "card": card.get("chosen", "")}


def test_a_coreset_says_that_its_rows_are_real_and_what_was_left_out(toy, tmp_path):
    problem = repeated(toy)
    job = attar.distill(attar.methods.k_center(deduplicate=True), problem, Budget(per_class=36))
    said = (
        f"108 real rows of {toy.spec.name}, unchanged since they were read; which ones: selected.csv; "
        "1 near-duplicate left out (left_out.csv); 1 nearly repeats a test row"
    )
    places = told(job.value, tmp_path / "set")
    assert all(said in text for text in places.values())
    assert {"selected.csv", "left_out.csv"} <= {file.name for file in (tmp_path / "set").iterdir()}
    assert f"{toy.spec.name}, rows chosen by k_center" in places["summary"]
    for word in ("stand-in", "made by", "distilled by", "dataset-distillation", "derived"):
        assert word not in places["readme"]
    assert Distilled.load(tmp_path / "set").card()["chosen"] == said


def test_where_near_duplicates_were_not_looked_for_nothing_is_said_of_them(toy, tmp_path):
    value = attar.distill(attar.methods.random(), toy, Budget(per_class=1)).value
    card = told(value, tmp_path / "set")["card"]
    assert card == f"3 real rows of {toy.spec.name}, unchanged since they were read; which ones: selected.csv"
    none = attar.distill(attar.methods.random(deduplicate=True), toy, Budget(per_class=1)).value
    assert none.card()["chosen"].endswith("; 0 near-duplicates left out; 0 nearly repeat a test row")


def test_rows_of_someone_elses_rule_are_chosen_too(tmp_path):
    places = told(theirs(), tmp_path / "set")
    assert all("2 real rows of pets, unchanged" in text for text in places.values())
    left_out = [{"row": "cat/3.jpg", "nearly_repeats": "cat/1.jpg"}] * 2
    assert "2 near-duplicates left out (left_out.csv)" in theirs(left_out).card()["chosen"]
    assert theirs(near_duplicates_left_out="<b>").card()["chosen"] == places["card"]
    one = dataclasses.replace(theirs(), selected=theirs().selected[:1], data=theirs().data.take(torch.tensor([0])))
    assert "1 real row of pets, unchanged since it was read;" in one.card()["chosen"]


def test_means_of_rows_are_no_real_rows(toy, tmp_path):
    places = told(attar.distill(attar.methods.kmeans(), toy, Budget(per_class=2)).value, tmp_path / "set")
    assert places["card"] == ""
    for text in places.values():
        assert "real row" not in text
        assert "selected.csv" not in text
    assert f"A small stand-in for {toy.spec.name}" in places["readme"]
    assert "distilled by kmeans" in places["summary"]


def test_the_name_of_the_data_is_inert(tmp_path):
    text = told(theirs(data="<b>pets</b>"), tmp_path / "set")["readme"]
    assert "2 real rows of &lt;b&gt;pets" in text
    assert "of <b>" not in text


def test_classes_without_rows_are_named():
    assert "classes         3, 0 to 1 rows each; no rows of class dog" in theirs().summary()
    many = dataclasses.replace(theirs().training, class_names=tuple(f"kind {place}" for place in range(12)))
    summary = dataclasses.replace(theirs(), training=many).summary()
    assert "no rows of classes kind 1, kind 3, kind 4, kind 5, kind 6 and 5 more" in summary


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--per-class", "1", "--quotas", "3=0"], "attar: no rows of class 3\n"),
        (["--rows", "12", "--quotas", "0=5"], "attar: no rows of classes 2, 8\n"),
        (["--per-class", "1"], ""),
    ],
)
def test_the_command_notes_classes_without_rows(asked, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["distill", "random", "digits", *asked, "--out", str(tmp_path / "run")])
    assert not ended.value.code
    noted = capsys.readouterr().err
    assert said in noted
    assert ("no rows of" in noted) == bool(said)
