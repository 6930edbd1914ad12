"""What the command line calls: a name or a path."""

import numpy as np
import pytest
from PIL import Image

from attar import data
from attar.types import AttarError


@pytest.fixture
def photos(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            Image.new("L", (8, 8), i).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def test_names_and_paths_are_told_apart(tmp_path, photos, monkeypatch):
    x, y = np.random.default_rng(0).random((20, 8, 8)), np.arange(20) % 2
    np.savez(tmp_path / "mine.npz", X=x, y=y)
    assert data.find("digits", seed=1).spec.source == {"load": "digits", "seed": 1, "validation": 0.1}
    assert "folder" in data.find(photos).spec.source
    assert "npz" in data.find(tmp_path / "mine.npz").spec.source
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").symlink_to(photos)
    assert "load" in data.find("digits").spec.source
    assert "folder" in data.find("./digits").spec.source


def test_a_dataset_that_hugging_face_saved(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {"image": [Image.new("L", (8, 8), i) for i in range(20)], "label": [0, 1] * 10}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "saved"))
    assert "hf" in data.find(tmp_path / "saved").spec.source
    assert "hf" in data.find(f"hf:{tmp_path / 'saved'}").spec.source


def test_options_go_to_the_reader_and_none_means_the_default(photos, tmp_path):
    problem = data.find(photos, size=6, test=None, seed=2, data_dir=tmp_path)
    assert problem.task.shape == (1, 6, 6)
    assert problem.spec.source["seed"] == 2
    with pytest.raises(
        AttarError, match=r"size= does not suit digits, .*attar.data.load: it takes data_dir, seed, valid"
    ):
        data.find("digits", size=16)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("minst", "'minst' is neither a published dataset nor a path: did you mean mnist"),
        ("qqq", r"'qqq' is neither a published dataset \(digits, .*\) nor a path.*hf:owner/name"),
        ("nowhere/photos", "There is nothing at nowhere/photos"),
    ],
)
def test_what_is_neither_is_said_with_names_near_it(source, message):
    with pytest.raises(AttarError, match=message):
        data.find(source)


def test_a_misspelt_folder_gets_its_neighbours(photos):
    with pytest.raises(AttarError, match=rf"did you mean {photos}"):
        data.find(photos.parent / "phtos")


def test_files_that_are_not_read(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(AttarError, match=r"a.pkl may hold a pickle, which attar never opens"):
        data.find(tmp_path / "a.pkl")
    (tmp_path / "a.xyz").write_bytes(b"")
    with pytest.raises(AttarError, match=r"a.xyz is none of the files that attar reads"):
        data.find(tmp_path / "a.xyz")


def test_memory_cannot_be_opened_again():
    with pytest.raises(AttarError, match="arrays in memory, so it cannot open them again"):
        data.reopen({})
