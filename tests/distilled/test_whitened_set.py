"""Sets of whitened data: raw on disk, with the whitening beside them, verified, and opened without attar."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from attar import rng
from attar.data import toy
from attar.distilled import OPEN_WITHOUT_ATTAR, Distilled, Training
from attar.distilled import card as cards
from attar.distilled.dataset import checksum
from attar.errors import AttarError
from attar.methods import random
from attar.record import describe
from attar.synthetic import MultiFormation
from attar.types import Budget
from attar.whitening import Whitening

FILE = "whitening.safetensors"


@pytest.fixture(scope="module")
def white():
    return toy.images(zca=True)


@pytest.fixture
def rows(white):
    """Real rows."""
    return random().finish(white, Budget(per_class=2), rng.generator(0, "method"))


@pytest.fixture
def tiled(white):
    """Rows that are decoded from two images."""
    part, like = MultiFormation(2), white.train.take(torch.tensor([], dtype=torch.long))
    stored = {"x": white.train.x[:2].clone(), "y": torch.tensor([0, 2])}
    made = part.restore({"x": stored["x"]}, like)(stored["y"]).detach()
    training = Training(white.spec.normalisation, class_names=white.spec.class_names)
    raw = made.replace(x=white.spec.normalisation.undo(made.x))
    return Distilled(raw, training, {"name": "idc"}, stored, decoder=describe(part))


def rewrite(folder, content, **changes):
    """Another whitening, and what the card says of it."""
    (folder / FILE).write_bytes(content)
    card = json.loads((folder / "card.json").read_text())
    card["training"]["normalisation"]["whitening"] |= {"checksum": checksum(content), **changes}
    card["training_checksum"] = cards.training_checksum(card["training"])
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize("made", ["rows", "tiled"])
def test_what_is_saved_is_loaded(tmp_path, request, made):
    made = request.getfixturevalue(made)
    made.save(tmp_path / "set")
    loaded = Distilled.load(tmp_path / "set")
    assert loaded.training == made.training
    assert torch.equal(loaded.data.x, made.data.x)
    assert torch.equal(loaded.normalised().x, made.normalised().x)
    loaded.save(tmp_path / "again")
    for file in (tmp_path / "set").glob("*.safetensors"):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name
    loaded.save(tmp_path / "set")  # a set that may be replaced


def test_rows_lie_there_in_raw_units_and_are_those_of_the_data_once_whitened(tmp_path, white, rows):
    rows.save(tmp_path)
    raw = load_file(tmp_path / "data.safetensors")["x"]
    assert -1e-5 <= float(raw.min()) < float(raw.max()) <= 1 + 1e-5
    places = {origin: row for row, origin in enumerate(white.origins)}
    chosen = torch.tensor([places[record["row"]] for record in rows.selected])
    torch.testing.assert_close(Distilled.load(tmp_path).normalised().x, white.train.x[chosen], atol=1e-5, rtol=0)


@pytest.mark.parametrize("made", ["rows", "tiled"])
def test_the_lines_give_the_whitened_rows_where_attar_is_not_importable(tmp_path, request, made):
    made = request.getfixturevalue(made)
    made.save(tmp_path)
    lines = json.loads((tmp_path / "card.json").read_text())["open_without_attar"]
    assert lines in (tmp_path / "README.md").read_text()
    assert len(lines.splitlines()) == len(OPEN_WITHOUT_ATTAR.splitlines()) + 5
    code = f"import sys\nsys.modules['attar'] = None\n{lines}\nimport numpy\nnumpy.savez('opened.npz', x=x, y=y)\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    opened = np.load(tmp_path / "opened.npz")
    np.testing.assert_array_equal(opened["x"], made.normalised().x.numpy())
    np.testing.assert_array_equal(opened["y"], made.data.y.numpy())


def test_the_lines_in_the_documents_are_those_that_are_tested():
    page = (Path(__file__).parents[2] / "docs" / "distilled-format.md").read_text(encoding="utf-8")
    more = [line for line in cards.opening(False, whitened=True).splitlines() if line not in OPEN_WITHOUT_ATTAR]
    assert len(more) == 5
    assert "\n".join(more) in page


def test_the_card_says_how_rows_were_whitened_and_what_the_file_takes(tmp_path, white, rows):
    rows.save(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card == rows.card()
    fitted = white.spec.normalisation.whitening
    size = (tmp_path / FILE).stat().st_size
    recorded = {"method": "zca", "eps": 0.1, "rows": len(white.train), "checksum": fitted.checksum, "nbytes": size}
    assert card["training"]["normalisation"] == {"mean": [0.0], "std": [1.0], "whitening": recorded}
    assert card["format_version"] == 3
    # a mean of 64 numbers and half a matrix of 64 x 64 in float32, beside six images and labels
    assert size > 4 * (64 + 64 * 65 // 2)
    assert card["nbytes"] == rows.nbytes == 6 * (64 * 4 + 8)
    said = f"ZCA, eps 0.1, fitted on {len(white.train)} training rows; {FILE}, {cards.size_text(size)}, is not counted"
    assert said in rows.summary()
    assert f"rows are whitened ({said} in the size)" in (tmp_path / "README.md").read_text()


def test_a_set_without_whitening_is_as_it_was(tmp_path, rows):
    """Card, lines and files, so that whoever reads it today reads it tomorrow."""
    scale = dataclasses.replace(rows.training.normalisation, whitening=None)
    plain = dataclasses.replace(rows, training=dataclasses.replace(rows.training, normalisation=scale))
    plain.save(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["training"] == {
        "normalisation": {"mean": [0.0], "std": [1.0]},
        "labels": "hard",
        "class_names": list(rows.class_names),
        "step_size": None,
        "augmentation": rows.training.augmentation,
        "modality": "images",
    }
    assert list(card["training"]) == ["normalisation", "labels", "class_names", "step_size", "augmentation", "modality"]
    assert (card["format_version"], card["open_without_attar"]) == (1, OPEN_WITHOUT_ATTAR)
    assert not (tmp_path / FILE).exists()
    assert "whiten" not in (tmp_path / "README.md").read_text() + plain.summary()


def test_one_kind_takes_the_place_of_the_other(tmp_path, rows):
    rows.save(tmp_path / "set")
    scale = dataclasses.replace(rows.training.normalisation, whitening=None)
    plain = dataclasses.replace(rows, training=dataclasses.replace(rows.training, normalisation=scale))
    plain.save(tmp_path / "set")
    assert not (tmp_path / "set" / FILE).exists()
    assert Distilled.load(tmp_path / "set").training == plain.training


@pytest.mark.parametrize("damage", ["missing", "flip", "truncate"])
def test_a_whitening_that_is_not_what_was_saved_is_named(tmp_path, rows, damage):
    rows.save(tmp_path)
    content = bytearray((tmp_path / FILE).read_bytes())
    content[-1] ^= 1
    if damage == "missing":
        (tmp_path / FILE).unlink()
    else:
        (tmp_path / FILE).write_bytes(content if damage == "flip" else content[:-8])
    why = "it cannot be read: No such file" if damage == "missing" else "its checksum is not the one in card.json"
    with pytest.raises(AttarError, match=rf"whitening\.safetensors is damaged \({why}.*copy the distilled set again"):
        Distilled.load(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "changes"),
    [
        ({"mean": torch.zeros(64)}, {}),
        ({"mean": torch.zeros(64), "triangle": torch.zeros(64)}, {}),
        ({"mean": torch.zeros(64), "triangle": torch.full((2080,), torch.nan)}, {}),
        ({"mean": torch.zeros(64).double(), "triangle": torch.zeros(2080).double()}, {}),
        ({"mean": torch.zeros(64), "triangle": torch.zeros(2080)}, {"method": "pca"}),
        ({"mean": torch.zeros(64), "triangle": torch.zeros(2080)}, {"rows": "many"}),
    ],
    ids=["half", "short", "nan", "double", "method", "rows"],
)
def test_what_is_no_whitening_is_damage_whatever_the_card_says(tmp_path, rows, tensors, changes):
    rows.save(tmp_path)
    rewrite(tmp_path, save(tensors), **changes)
    with pytest.raises(AttarError, match="is damaged"):
        Distilled.load(tmp_path)


def test_a_matrix_without_an_inverse_is_refused_where_it_is_needed(tmp_path, tiled):
    tiled.save(tmp_path)
    rewrite(tmp_path, save({"mean": torch.zeros(64), "triangle": torch.zeros(2080)}))
    with pytest.raises(AttarError, match="is damaged"):
        Distilled.load(tmp_path)
    with pytest.raises(AttarError, match="has no inverse"):
        Whitening(torch.zeros(2), torch.zeros(3), 0.1, 4).undo(torch.zeros(1, 2))
