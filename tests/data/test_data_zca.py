"""Whitened data: fitted on training rows alone, told, recorded and had again."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from attar import data
from attar.data import toy
from attar.types import AttarError
from attar.whitening import fit

SAID = "whitened (ZCA, eps 0.1, fitted on {:,} training rows)"


@pytest.fixture
def arrays():
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (40, 6, 6, 3), dtype=np.uint8), np.arange(40) % 2


def test_rows_in_0_to_1_are_whitened_by_the_training_rows_alone(arrays):
    x, y = arrays
    white = data.arrays(x, y, x[:10], y[:10], x[10:15], y[10:15], zca=True)
    scale = white.spec.normalisation
    assert scale.whitening == fit(torch.from_numpy(x).permute(0, 3, 1, 2) / 255)
    assert (scale.mean, scale.std) == ((0.0,) * 3, (1.0,) * 3)
    for part, raw in (("train", x), ("test", x[:10]), ("validation", x[10:15])):
        rows = torch.from_numpy(raw).permute(0, 3, 1, 2) / 255
        assert torch.equal(getattr(white, part).x, scale.apply(rows))
        torch.testing.assert_close(scale.undo(getattr(white, part).x), rows, atol=1e-5, rtol=0)
    others = data.arrays(x, y, 255 - x[:10], y[:10], x[15:20], y[15:20], zca=True)
    assert others.spec.normalisation == scale


def test_the_fingerprint_is_that_of_the_raw_rows_and_the_notes_say_what_was_done():
    plain, white = toy.images(), toy.images(zca=True)
    assert white.spec.fingerprint == plain.spec.fingerprint
    assert white.spec.notes == (*plain.spec.notes, SAID.format(len(white.train)))
    assert white.spec.split == plain.spec.split
    assert white.origins == plain.origins
    assert "zca" not in plain.spec.source
    assert plain.spec.normalisation.whitening is None


def test_it_is_recorded_so_that_the_data_is_had_again(arrays, tmp_path):
    x, y = arrays
    np.savez(tmp_path / "mine.npz", X=x, y=y)
    for name, label in (("cat", 0), ("dog", 1)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for row in np.flatnonzero(y == label):
            Image.fromarray(x[row]).save(tmp_path / "photos" / name / f"{row}.png")
    for problem in (
        data.find("digits", zca=True),
        data.find(tmp_path / "photos", zca=True),
        data.find(tmp_path / "mine.npz", zca=True),
        toy.images(zca=True),
    ):
        assert problem.spec.notes[-1] == SAID.format(len(problem.train))
        again = data.reopen(json.loads(json.dumps(problem.spec.source)))
        assert again.spec == problem.spec
        for part in ("train", "validation", "test"):
            assert torch.equal(getattr(again, part).x, getattr(problem, part).x)
    assert data.find("digits", zca=None).spec.normalisation.whitening is None


def test_a_dataset_of_torch_and_one_of_hugging_face(arrays, tmp_path):
    x, y = arrays
    pairs = [(image, int(label)) for image, label in zip(x, y, strict=True)]
    assert data.torch(pairs, zca=True).spec.normalisation.whitening is not None
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {"image": [Image.fromarray(image) for image in x], "label": y.tolist()}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "saved"))
    problem = data.hf(tmp_path / "saved", zca=True)
    assert data.reopen(problem.spec.source).spec == problem.spec
    assert problem.spec.normalisation.whitening is not None


def test_images_whose_matrix_would_not_fit_are_refused():
    with pytest.raises(AttarError, match=r"Rows of 3 x 80 x 80 are too large for ZCA whitening.* 2\.7 GiB"):
        data.arrays(np.zeros((6, 80, 80, 3), np.uint8), np.arange(6) % 2, zca=True)
