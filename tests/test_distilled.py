"""The distilled set: saved whole, loaded safely, opened without attar, handed to other libraries."""

import csv
import dataclasses
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save
from torch.nn import functional as F

from attar.batches import Images
from attar.distilled import OPEN_WITHOUT_ATTAR, Distilled, Training
from attar.distilled import card as cards
from attar.distilled.dataset import checksum
from attar.errors import AttarError
from attar.record import describe
from attar.synthetic import Bases, Codes, Memory, MultiFormation, multi_formation
from attar.types import Normalisation

NAMES = ("cat", "dog|wolf", "<b>fox</b>")
MADE_BY = {"name": "dm", "data": "pets", "fingerprint": "sha256:12", "licence": "CC BY 4.0", "seed": 3, "seconds": 1.5}


def small(channels: int = 1, **fields) -> Distilled:
    """Six images of three classes, some pixels outside [0, 1]."""
    x = torch.rand(6, channels, 5, 4, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.2
    scale = Normalisation((0.25,) * channels, (0.5,) * channels)
    data = Images(x, torch.tensor([0, 1, 2, 0, 1, 2])).replace(**fields)
    return Distilled(data, Training(scale, class_names=NAMES), MADE_BY, {"row": torch.arange(6)})


def weighted() -> Distilled:
    return small(weight=torch.tensor([0.046, 0.5, 1, 1, 0.654, 2.8]))


def soft() -> Distilled:
    y = F.one_hot(torch.tensor([0, 1, 2, 0, 1, 2]), 3) * 0.7 + 0.1
    made = small(y=y, weight=torch.arange(6.0))
    return dataclasses.replace(made, training=dataclasses.replace(made.training, labels="soft", step_size=0.02))


def per_view() -> Distilled:
    votes = torch.tensor([[0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 1, 2]])
    return small(y=F.one_hot(votes, 3).float(), views=torch.tensor([5, 6, 7]))


def tiled() -> Distilled:
    """Two stored images of 4 x 4 that are eight of 4 x 4, with learned labels; 2 x 16 pixels and 2 x 3 probabilities."""
    stored = {"x": torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(1)), "y": torch.eye(3)[[0, 2]]}
    part = MultiFormation(2)
    rows = part.restore(stored, Images(torch.zeros(0, 1, 4, 4)))(stored["y"]).detach()
    scale = Normalisation((0.25,), (0.5,))
    training = Training(scale, labels="learned", class_names=NAMES)
    return Distilled(rows.replace(x=scale.undo(rows.x)), training, MADE_BY, stored, decoder=describe(part))


def assert_equal(one: Distilled, other: Distilled) -> None:
    for name in ("x", "y", "weight", "attribute", "views"):
        mine, theirs = getattr(one.data, name), getattr(other.data, name)
        assert (mine is None and theirs is None) or (mine.dtype == theirs.dtype and torch.equal(mine, theirs)), name
    assert one.training == other.training
    assert dict(one.made_by) == dict(other.made_by)
    assert one.stored.keys() == other.stored.keys()
    assert all(torch.equal(one.stored[name], other.stored[name]) for name in one.stored)
    assert one.decoder == other.decoder


@pytest.mark.parametrize("make", [small, weighted, soft, per_view, tiled])
def test_what_is_saved_is_loaded(tmp_path, make):
    made = make()
    made.save(tmp_path / "run" / "distilled")
    for path in ("run/distilled", "run", "run/distilled/data.safetensors"):
        assert_equal(Distilled.load(tmp_path / path), made)


def test_equal_sets_are_equal_bytes_whatever_their_layout_in_memory(tmp_path):
    made = small(channels=3)
    strided = made.data.x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    shared = torch.arange(12)[:6]
    other = Distilled(made.data.replace(x=strided), made.training, {"name": "else"}, {"row": shared, "twin": shared})
    made = dataclasses.replace(made, stored={"twin": torch.arange(6), "row": torch.arange(6)})
    made.save(tmp_path / "a")
    other.save(tmp_path / "b")
    content = (tmp_path / "a" / "data.safetensors").read_bytes()
    assert content == (tmp_path / "b" / "data.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert "__metadata__" not in header


@pytest.mark.parametrize(
    ("make", "file", "shapes"),
    [
        (small, "data", "(6, 1, 5, 4) (6,)"),
        (weighted, "data", "(6, 1, 5, 4) (6,)"),
        (soft, "data", "(6, 1, 5, 4) (6, 3)"),
        (tiled, "decoded", "(8, 1, 4, 4) (8, 3)"),
    ],
)
def test_the_lines_open_it_where_attar_is_not_importable(tmp_path, make, file, shapes):
    made = make()
    made.save(tmp_path / "distilled")
    lines = json.loads((tmp_path / "distilled" / "card.json").read_text())["open_without_attar"]
    plain = OPEN_WITHOUT_ATTAR.replace("data.safetensors", f"{file}.safetensors")
    assert len(plain.splitlines()) <= 10
    assert [line for line in lines.splitlines() if not line.startswith("weight = ")] == plain.splitlines()
    assert lines in (tmp_path / "distilled" / "README.md").read_text()
    # None in sys.modules makes `import attar` fail, wherever it is installed.
    before = "import sys\nsys.modules['attar'] = None\n"
    after = (
        "import numpy\nopened = {name: value for name, value in globals().items() if name in ('x', 'y', 'weight')}\n"
    )
    after += "numpy.savez('opened.npz', **opened)\n"
    done = subprocess.run(
        [sys.executable, "-c", before + lines + after],
        cwd=tmp_path / "distilled", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    opened = np.load(tmp_path / "distilled" / "opened.npz")
    np.testing.assert_array_equal(opened["x"], made.normalised().x.numpy())
    np.testing.assert_array_equal(opened["y"], made.data.y.numpy())
    loaded = Distilled.load(tmp_path / "distilled").data.weight
    assert ("weight" in opened) == (loaded is not None)
    if loaded is not None:
        np.testing.assert_array_equal(opened["weight"], loaded.numpy())
    assert done.stdout == f"{shapes} {list(NAMES)}\n"


def test_normalised_rows_are_computed_from_raw_ones():
    made = small()
    torch.testing.assert_close(made.normalised().x, (made.data.x - 0.25) / 0.5)
    assert torch.equal(made.normalised().y, made.data.y)


def test_bytes_count_every_saved_tensor():
    # 6 images of 20 float32 pixels, 6 rows of 3 float32 probabilities, 6 float32 weights, 6 int64 row ids
    assert soft().nbytes == 6 * 20 * 4 + 6 * 3 * 4 + 6 * 4 + 6 * 8


def test_a_set_that_is_decoded_saves_what_it_is_made_of_and_its_rows_apart(tmp_path):
    made = tiled()
    made.save(tmp_path / "set")
    assert load_file(tmp_path / "set" / "data.safetensors").keys() == {"stored.x", "stored.y"}
    rows = load_file(tmp_path / "set" / "decoded.safetensors")
    assert rows.keys() == {"x", "y"}
    assert rows["x"].shape == (8, 1, 4, 4)
    assert made.nbytes == (2 * 16 + 2 * 3) * 4
    card = json.loads((tmp_path / "set" / "card.json").read_text())
    assert card == made.card()
    assert (card["format_version"], card["nbytes"], card["counts"]) == (2, made.nbytes, [4, 0, 4])
    assert card["shapes"] == {"x": [8, 1, 4, 4], "y": [8, 3], "stored.x": [2, 1, 4, 4], "stored.y": [2, 3]}
    fields = {"factor": 2, "clamp": True}
    assert card["decoder"] == {"type": "attar.synthetic.multi_formation:MultiFormation", "fields": fields}
    assert "MultiFormation(factor=2, clamp=True)" in made.summary()
    assert "152 bytes: stored.x, stored.y)" in made.summary()


def test_a_set_of_rows_as_they_are_keeps_the_first_format(tmp_path):
    """So that whoever reads it today reads it tomorrow."""
    small().save(tmp_path / "set")
    card = json.loads((tmp_path / "set" / "card.json").read_text())
    assert card["format_version"] == 1
    assert not {"decoder", "decoded_checksum"} & card.keys()
    files = {"README.md", "card.json", "data.safetensors", "preview.png"}
    assert {file.name for file in (tmp_path / "set").iterdir()} == files


def test_rows_are_decoded_where_their_file_is_missing(tmp_path):
    made = tiled()
    made.save(tmp_path / "set")
    (tmp_path / "set" / "decoded.safetensors").unlink()
    assert_equal(Distilled.load(tmp_path / "set"), made)
    Distilled.load(tmp_path / "set").save(tmp_path / "set")
    assert_equal(Distilled.load(tmp_path / "set"), made)


def test_a_set_of_one_kind_takes_the_place_of_one_of_the_other(tmp_path):
    tiled().save(tmp_path / "set")
    small().save(tmp_path / "set")
    assert not (tmp_path / "set" / "decoded.safetensors").exists()
    assert_equal(Distilled.load(tmp_path / "set"), small())


def test_changed_rows_of_a_decoded_set_are_refused(tmp_path):
    tiled().save(tmp_path / "set")
    file = tmp_path / "set" / "decoded.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(AttarError, match=r"decoded\.safetensors is damaged.*checksum"):
        Distilled.load(tmp_path / "set")


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ({"type": "os:system", "fields": {}}, "made by os:system, which attar cannot build"),
        ({"type": "attar.types:Budget", "fields": {"per_class": 1}}, "made by attar.types:Budget, which attar cannot"),
        ({"type": "attar.synthetic.pixels:Pixels", "fields": {}}, "made by .*Pixels, which attar cannot build"),
        ({"type": "attar.synthetic.memory:Memory", "fields": {"rows": 1}}, "does not hold what attar writes"),
        ({"type": "attar.synthetic.multi_formation:MultiFormation", "fields": {"factor": 1}}, "does not hold what"),
        ({"type": "attar.synthetic.multi_formation:MultiFormation", "fields": {"factor": 40}}, "does not hold what"),
        ({"type": "attar.synthetic.multi_formation:MultiFormation", "fields": {"factor": 2.5}}, "does not hold what"),
        ({"type": "attar.synthetic.multi_formation:MultiFormation", "fields": {"tiles": 2}}, "does not hold what"),
    ],
)
def test_a_decoder_that_is_none_or_another_is_refused(tmp_path, decoder, message):
    tiled().save(tmp_path)
    (tmp_path / "decoded.safetensors").unlink()
    rewrite(tmp_path, decoder=decoder)
    with pytest.raises(AttarError, match=message):
        Distilled.load(tmp_path)


TILES = "attar.synthetic.multi_formation:MultiFormation"


@pytest.mark.parametrize("whole", [True, False], ids=["decoded", "bare"])
@pytest.mark.parametrize(
    "decoder",
    [
        '"MultiFormation"',
        f'{{"type": "{TILES}", "fields": 7}}',
        '{"type": 7, "fields": {}}',
        f'{{"type": "{TILES}", "fields": {{"factor": {{"type": 7}}}}}}',
        f'{{"type": "{TILES}", "fields": {{"factor": {"[" * 300}2{"]" * 300}}}}}',
        f'{{"type": "{TILES}", "fields": {{"factor": {"[" * 99_999}2{"]" * 99_999}}}}}',
    ],
    ids=["text", "fields", "type", "inner", "nested", "deep"],
)
def test_a_decoder_of_another_form_is_damage_in_one_sentence(tmp_path, decoder, whole):
    tiled().save(tmp_path)
    if not whole:
        (tmp_path / "decoded.safetensors").unlink()
    card = json.loads((tmp_path / "card.json").read_text())
    card["decoder"] = "HERE"
    (tmp_path / "card.json").write_text(json.dumps(card).replace('"HERE"', decoder))
    with pytest.raises(AttarError, match=r"card\.json is damaged"):
        Distilled.load(tmp_path)


def test_nothing_is_built_but_what_decodes(tmp_path, monkeypatch):
    tiled().save(tmp_path)
    monkeypatch.setattr("attar.distilled.decoding.rebuild", lambda _: pytest.fail("built"))
    monkeypatch.setattr(importlib, "import_module", lambda _: pytest.fail("imported"))
    for kind in ("attar.runs:RunDirectory", "attar.synthetic.pixels:PixelRows", "attar.demo:main", "nothing", "a:b:c"):
        rewrite(tmp_path, decoder={"type": kind, "fields": {"path": "."}})
        assert len(Distilled.load(tmp_path)) == 8


def forge(folder: Path, part, stored: dict, shape: list[int]) -> None:
    """A set without its decoded rows that says whatever shape of them."""
    tiled().save(folder)
    (folder / "decoded.safetensors").unlink()
    content = save({f"stored.{name}": tensor for name, tensor in stored.items()})
    (folder / "data.safetensors").write_bytes(content)
    shapes = {"x": shape, "y": shape[:1], **{f"stored.{name}": list(tensor.shape) for name, tensor in stored.items()}}
    rewrite(folder, decoder=describe(part), checksum=checksum(content), shapes=shapes)


def codes(side: int = 1) -> dict[str, torch.Tensor]:
    return {
        "codes": torch.ones(1, 1, side, side),
        "inward_weight": torch.ones(1, 2, 1, 3, 3),
        "inward_bias": torch.zeros(1, 2),
        "outward_weight": torch.ones(1, 1, 2, 3, 3),
        "outward_bias": torch.zeros(1, 1),
        "y": torch.tensor([1]),
    }


def bases(count: int, channels: int) -> dict[str, torch.Tensor]:
    """Of 3 x 3 images by one hallucinator, whose features are `channels` for each image on the way."""
    return {
        "bases": torch.ones(count, 1, 1, 1),
        "encoder_weight": torch.zeros(1, channels, 1, 3, 3),
        "encoder_bias": torch.zeros(1, channels),
        "scale": torch.ones(1, channels, 1, 1),
        "shift": torch.ones(1, channels, 1, 1),
        "decoder_weight": torch.zeros(1, 1, channels, 3, 3),
        "decoder_bias": torch.zeros(1, 1),
    }


@pytest.mark.parametrize(
    ("part", "stored", "shape"),
    [
        (Codes(1, 1, 2), codes(), [1, 1, 8000, 8000]),
        (Codes(1, 1, 2), codes(), [1, 1, 2**40, 2**40]),
        (Codes(1, 1, 2), codes(), [1, 1, -3, 4]),
        (Codes(1, 1, 2), codes(), [1, 1, True, 4]),
        (Codes(1, 1, 2), codes(), []),
        (MultiFormation(2_000_000), {"x": torch.ones(1, 1, 4, 4)}, [1, 1, 4, 4]),
        (MultiFormation(10**6), {"x": torch.ones(0, 1, 10**6, 10**6)}, [1, 1, 10**6, 10**6]),
        (Memory(), {"bases": torch.ones(1, 1, 300, 300), "addresses": torch.ones(9000, 1)}, [9000, 1, 300, 300]),
        (Bases(1), bases(50_000, 20_000), [50_000, 1, 3, 3]),  # little at both ends, 36 GB on the way
    ],
    ids=["8000", "overflow", "negative", "bool", "none", "factor", "empty", "rows", "inside"],
)
def test_sets_that_would_fill_the_memory_are_refused_before_any_work(tmp_path, monkeypatch, part, stored, shape):
    forge(tmp_path, part, stored, shape)
    resize, cuts = F.interpolate, multi_formation._cuts

    def resize_nothing(x, **options):
        assert x.is_meta
        return resize(x, **options)

    monkeypatch.setattr(F, "interpolate", resize_nothing)
    monkeypatch.setattr(multi_formation, "_cuts", lambda n, k: pytest.fail("cut") if k > 1000 else cuts(n, k))
    with pytest.raises(AttarError, match="is damaged"):
        Distilled.load(tmp_path)


def test_a_set_of_few_bytes_and_more_rows_is_decoded(tmp_path):
    forge(tmp_path, Codes(1, 1, 2), codes(), [1, 1, 200, 200])
    assert Distilled.load(tmp_path).data.x.shape == (1, 1, 200, 200)


@pytest.mark.parametrize("change", ["x", "y", "weight", "round"])
def test_rows_that_are_not_what_is_stored_are_refused_whatever_the_card_says(tmp_path, change):
    """So that the bytes of a set are those of what its rows are made of."""
    tiled().save(tmp_path)
    rows = load_file(tmp_path / "decoded.safetensors")
    if change == "weight":
        rows["weight"] = torch.arange(8.0)
    elif change == "round":
        rows["x"] += 1e-6 * torch.randn(rows["x"].shape, generator=torch.Generator().manual_seed(0))
    else:
        rows[change][3] = rows[change][3].flip(0) + 0.01
    content = save(rows)
    (tmp_path / "decoded.safetensors").write_bytes(content)
    rewrite(tmp_path, decoded_checksum=checksum(content))
    if change == "round":  # as another machine might
        assert torch.equal(Distilled.load(tmp_path).data.x, rows["x"])
    else:
        with pytest.raises(AttarError, match=r"decoded\.safetensors is damaged \(its rows are not those that data"):
            Distilled.load(tmp_path)


PLUG_IN = """
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Doubled:
    sign: float = 1.0
    decodes = True

    def restore(self, tensors, like):
        return Rows(tensors["half"] * 2 * self.sign, like)


class Rows(nn.Module):
    def __init__(self, x, like):
        super().__init__()
        self.x, self.like = x, like

    def forward(self, y):
        return self.like.replace(x=self.x, y=y)
"""


def test_a_plug_ins_parameterisation_is_decoded_where_it_is_installed(tmp_path, monkeypatch):
    place = tmp_path / "site"
    (place / "doubling-1.0.dist-info").mkdir(parents=True)
    (place / "doubling-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: doubling\nVersion: 1.0\n")
    (place / "doubling-1.0.dist-info" / "entry_points.txt").write_text("[attar.methods]\ndoubling = doubling:Doubled\n")
    (place / "doubling.py").write_text(PLUG_IN)
    half = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    made = tiled()
    rows = Images(made.training.normalisation.undo(2 * half), torch.tensor([0, 1, 2]))
    training = dataclasses.replace(made.training, labels="hard")
    decoder = {"type": "doubling:Doubled", "fields": {"sign": 1.0}}
    made = Distilled(rows, training, MADE_BY, {"half": half, "y": rows.y}, decoder=decoder)
    made.save(tmp_path / "set")
    assert Distilled.load(tmp_path / "set").nbytes == 2 * 3 * (16 * 4 + 8)  # nobody here can make the rows again
    with monkeypatch.context() as patch:
        patch.syspath_prepend(place)
        assert Distilled.load(tmp_path / "set").nbytes == 3 * (16 * 4 + 8)
        rewrite(tmp_path / "set", decoder={**decoder, "fields": {"sign": -1.0}})
        with pytest.raises(AttarError, match="not those that data"):
            Distilled.load(tmp_path / "set")
        rewrite(tmp_path / "set", decoder={"type": "doubling:Rows", "fields": {}})
        (tmp_path / "set" / "decoded.safetensors").unlink()
        with pytest.raises(AttarError, match="made by doubling:Rows, which attar cannot build"):
            Distilled.load(tmp_path / "set")
    sys.modules.pop("doubling", None)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_a_changed_file_is_refused_by_name(tmp_path, damage):
    small().save(tmp_path / "distilled")
    file = tmp_path / "distilled" / "data.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes({"flip": content, "truncate": content[:-20], "empty": b""}[damage])
    with pytest.raises(AttarError, match=r"data\.safetensors is damaged.*checksum"):
        Distilled.load(tmp_path)


def rewrite(folder: Path, **changes) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **changes}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 6, "attar": "9.1"}, r"card\.json has format 6, written by attar 9\.1.*install attar 9\.1"),
        ({"format_version": None}, r"card\.json is damaged .*format_version"),
        ({"training": {"labels": "hard"}}, r"card\.json is damaged .*training"),
        ({"made_by": 3}, "is damaged"),
    ],
)
def test_a_newer_or_damaged_card_is_refused(tmp_path, change, message):
    small().save(tmp_path)
    rewrite(tmp_path, **change)
    with pytest.raises(AttarError, match=message):
        Distilled.load(tmp_path)


def test_a_card_of_another_modality_is_refused(tmp_path):
    small().save(tmp_path)
    training = json.loads((tmp_path / "card.json").read_text())["training"]
    rewrite(tmp_path, training={**training, "modality": "graphs"})
    with pytest.raises(AttarError, match="graphs"):
        Distilled.load(tmp_path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(AttarError, match="nowhere does not exist"):
        Distilled.load(tmp_path / "nowhere")
    with pytest.raises(AttarError, match="holds no distilled set"):
        Distilled.load(tmp_path)
    small().save(tmp_path / "distilled")
    (tmp_path / "distilled" / "card.json").write_text("{")
    with pytest.raises(AttarError, match=r"card\.json is damaged"):
        Distilled.load(tmp_path)
    small().save(tmp_path / "other")
    (tmp_path / "other" / "data.safetensors").unlink()
    with pytest.raises(AttarError, match=r"data\.safetensors"):
        Distilled.load(tmp_path / "other")


def test_a_set_is_replaced_and_anything_else_is_not(tmp_path):
    soft().save(tmp_path / "set")
    small().save(tmp_path / "set")
    assert_equal(Distilled.load(tmp_path / "set"), small())
    (tmp_path / "set" / "my-notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for taken in ("set", "file"):
        with pytest.raises(AttarError, match="exists already"):
            soft().save(tmp_path / taken)
    assert_equal(Distilled.load(tmp_path / "set"), small())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_save_that_fails_leaves_the_old_set_and_nothing_else(tmp_path, monkeypatch):
    small().save(tmp_path / "set")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)  # the preview is the last file of the four
    with pytest.raises(AttarError, match="No space left on device"):
        soft().save(tmp_path / "set")
    assert_equal(Distilled.load(tmp_path / "set"), small())
    assert [item.name for item in tmp_path.iterdir()] == ["set"]


def test_a_save_killed_on_the_way_leaves_the_old_set(tmp_path):
    small().save(tmp_path / "set")
    code = (
        "import os, sys, torch\n"
        "from PIL import Image\n"
        "from attar.distilled import Distilled\n"
        "made = Distilled.load(sys.argv[1])\n"
        "Image.Image.save = lambda *_: os.kill(os.getpid(), 9)\n"
        "made.data.x.zero_()\n"
        "made.save(sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "set")], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert_equal(Distilled.load(tmp_path / "set"), small())


def test_made_by_that_is_not_json_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(AttarError, match="made_by"):
        dataclasses.replace(small(), made_by={"seed": torch.tensor(1)}).save(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_the_card_says_what_is_in_the_set(tmp_path):
    made = soft()
    made.save(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card == made.card()
    assert card["shapes"] == {"x": [6, 1, 5, 4], "y": [6, 3], "weight": [6], "stored.row": [6]}
    assert (card["nbytes"], card["counts"], card["class_names"]) == (made.nbytes, [2, 2, 2], list(NAMES))
    text = made.summary()
    for part in ("pets, distilled by dm", "6 of 1 x 5 x 4", "soft", "0.02", card["checksum"], "sha256:12"):
        assert part in text


def test_a_set_with_weights_says_that_the_loss_is_a_weighted_mean(tmp_path):
    for name, make in (("weighted", weighted), ("small", small)):
        make().save(tmp_path / name)
    said = "weighted mean of the rows' losses"
    texts = {name: (tmp_path / name / "README.md").read_text() for name in ("weighted", "small")}
    assert said in texts["weighted"]
    assert "weight" not in texts["small"]
    assert said in weighted().summary()
    assert weighted().card()["training"]["loss"] == said
    assert "loss" not in small().card()["training"]  # whose card stays what it was
    training = {key: value for key, value in weighted().card()["training"].items() if key != "loss"}
    rewrite(tmp_path / "weighted", training=training, training_checksum=cards.training_checksum(training))
    assert_equal(Distilled.load(tmp_path / "weighted"), weighted())  # as they were written before


def test_the_dataset_card_has_a_header_that_parses_and_text_that_is_inert(tmp_path):
    small().save(tmp_path)
    text = (tmp_path / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in header.splitlines() if ": " in line)
    assert fields == {"pretty_name": '"pets, distilled by dm"', "license": "cc-by-4.0"}
    assert "| 1 | dog\\|wolf | 2 |" in body
    assert "&lt;b&gt;fox" in body
    assert "<b>" not in body


def test_the_preview_shows_a_row_a_class_clipped_and_enlarged(tmp_path):
    made = small()
    made.data.x[0] = 7.0
    made.data.x[1] = -7.0
    made.save(tmp_path)
    drawn = np.asarray(Image.open(tmp_path / "preview.png"))
    # Images of 5 x 4 are enlarged ten times; two of each of the three classes, two white pixels between.
    assert drawn.shape == (3 * 50 + 2 * 2, 2 * 40 + 2)
    assert (drawn[:50, :40] == 255).all()
    assert (drawn[52:102, :40] == 0).all()
    assert (drawn[:, 40:42] == 255).all()
    level = round(float(made.data.x[2, 0, 0, 0].clamp(0, 1)) * 255)
    assert (drawn[104:114, :10] == level).all()


def test_torch_datasets_give_rows_with_their_targets():
    x, y = small().to_torch()[4]
    assert torch.equal(x, small().data.x[4])
    assert y == 1
    x, y, weight = soft().to_torch(normalised=True)[5]
    torch.testing.assert_close(x, (soft().data.x[5] - 0.25) / 0.5)
    assert torch.equal(y, soft().data.y[5])
    assert weight == 5
    assert torch.equal(per_view().to_torch()[3][1], per_view().data.y[:, 3])


def test_numpy_arrays_are_copies():
    made = small()
    arrays = made.to_numpy()
    assert arrays.keys() == {"x", "y", "stored.row"}
    np.testing.assert_array_equal(arrays["x"], made.data.x.numpy())
    arrays["x"][:] = 9
    assert made.data.x.max() < 2


def test_labels_of_views_are_what_most_views_say():
    assert per_view().labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert soft().labels.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_pictures_has_a_png_an_image(tmp_path, channels):
    made = small(channels)
    made.to_folder(tmp_path / "png")
    files = sorted(tmp_path.rglob("*.png"))
    assert [file.parent.name for file in files] == ["_b_fox__b_"] * 2 + ["cat"] * 2 + ["dog_wolf"] * 2
    drawn = np.asarray(Image.open(tmp_path / "png" / "dog_wolf" / "00004.png")).reshape(5, 4, channels)
    wanted = (made.data.x[4].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(drawn, wanted)
    assert not list(tmp_path.rglob("labels.json"))


def test_soft_labels_lie_beside_the_pictures(tmp_path):
    soft().to_folder(tmp_path / "png")
    beside = json.loads((tmp_path / "png" / "labels.json").read_text())
    assert beside["class_names"] == list(NAMES)
    assert beside["probabilities"]["cat/00003.png"] == pytest.approx([0.8, 0.1, 0.1])
    assert beside["weight"]["cat/00003.png"] == 3


def test_hostile_class_names_stay_inside_the_folder_and_apart(tmp_path):
    made = small()
    names = ("../up", "..", "../UP")
    made = dataclasses.replace(made, training=dataclasses.replace(made.training, class_names=names))
    made.to_folder(tmp_path / "deep" / "png")
    folders = sorted(file.parent.name for file in (tmp_path / "deep" / "png").glob("*/*.png"))
    assert folders == ["_UP-2"] * 2 + ["_up"] * 2 + ["class-1"] * 2
    assert len(list(tmp_path.rglob("*.png"))) == 6


def test_no_cell_of_a_spreadsheet_is_a_formula(tmp_path):
    starts = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\tx", "\rx"]
    rows = [{"row": -place, "file": start, "class": "a=b"} for place, start in enumerate(starts)]
    dataclasses.replace(small(), selected=rows).save(tmp_path / "set")
    with open(tmp_path / "set" / "selected.csv", newline="") as file:
        cells = list(csv.reader(file))
    assert cells == [
        ["row", "file", "class"],
        *([str(-place), f"'{start}", "a=b"] for place, start in enumerate(starts)),
    ]
    assert Distilled.load(tmp_path / "set").selected == tuple(rows)  # the card has them as they are


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(AttarError, match="exists already"):
        small().to_folder(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["mine.txt"]


def test_images_that_fit_no_png_are_refused(tmp_path):
    with pytest.raises(AttarError, match="4 channels"):
        small(channels=4).to_folder(tmp_path / "png")
    small(channels=4).save(tmp_path / "set")
    assert_equal(Distilled.load(tmp_path / "set"), small(channels=4))


def test_hugging_face_rows_have_images_and_named_labels():
    pytest.importorskip("datasets")
    made = soft()
    rows = made.to_hf()
    assert rows.features["label"].names == list(NAMES)
    np.testing.assert_array_equal(np.asarray(rows[5]["image"]), (made.data.x[5, 0].clamp(0, 1) * 255).round())
    assert rows["label"][:] == [0, 1, 2, 0, 1, 2]
    assert rows[5]["probabilities"] == pytest.approx([0.1, 0.1, 0.8])
    assert rows[5]["weight"] == 5


def test_hugging_face_datasets_missing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(AttarError, match=r"attar\[hub\]"):
        small().to_hf()


def test_a_set_without_class_names_is_numbered(tmp_path):
    made = small()
    made = dataclasses.replace(made, training=dataclasses.replace(made.training, class_names=()))
    made.save(tmp_path / "set")
    made.to_folder(tmp_path / "png")
    assert {folder.name for folder in (tmp_path / "png").iterdir()} == {"0", "1", "2"}
    assert "| 2 | 2 | 2 |" in (tmp_path / "set" / "README.md").read_text()


def test_a_copied_set_loads_from_anywhere(tmp_path, monkeypatch):
    small().save(tmp_path / "set")
    shutil.move(tmp_path / "set", tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert_equal(Distilled.load("."), small())
    assert_equal(Distilled.load("data.safetensors"), small())


def test_a_card_whose_normalisation_was_changed_is_refused(tmp_path):
    small().save(tmp_path)
    training = json.loads((tmp_path / "card.json").read_text())["training"]
    training["normalisation"]["std"] = [2.0 for _ in training["normalisation"]["std"]]
    rewrite(tmp_path, training=training)
    with pytest.raises(AttarError, match=r"card\.json.*what it says of training"):
        Distilled.load(tmp_path)
