"""Hugging Face datasets, against local stand-ins: saved to disk, parquet, a folder of pictures. No network is used."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from attar import data
from attar.data import hub
from attar.data.catalogue import DATASETS, Hub
from attar.types import AttarError

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    """The library writes its tables below the test's folder and refuses the network at once."""
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "tables")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def pixels(n=20, size=28, channels=1, seed=0):
    shape = (n, size, size) if channels == 1 else (n, size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def table(x, names=("cat", "dog"), label="label", image="image", ids=None):
    features = datasets.Features({image: datasets.Image(), label: datasets.ClassLabel(names=list(names))})
    ids = ids if ids is not None else [i % len(names) for i in range(len(x))]
    return datasets.Dataset.from_dict({image: [Image.fromarray(row) for row in x], label: ids}, features=features)


def raw(problem):
    return problem.spec.normalisation.undo(problem.train.x)


class TestOwn:
    def test_saved_to_disk_with_splits(self, tmp_path):
        x = pixels()
        splits = datasets.DatasetDict(train=table(x), validation=table(pixels(4)), test=table(pixels(6)))
        splits.save_to_disk(str(tmp_path / "saved"))
        problem = data.hf(tmp_path / "saved")
        assert (len(problem.train), len(problem.validation), len(problem.test)) == (20, 4, 6)
        assert problem.spec.class_names == ("cat", "dog")
        assert torch.allclose(raw(problem)[:, 0], torch.from_numpy(x) / 255, atol=1e-5)
        data.check_fingerprint(data.reopen(problem.spec.source), problem.spec.fingerprint)

    def test_one_table_sets_a_fifth_aside_or_takes_another_to_test_on(self, tmp_path):
        table(pixels(channels=3)).save_to_disk(str(tmp_path / "one"))
        table(pixels(6, channels=3)).save_to_disk(str(tmp_path / "two"))
        assert len(data.hf(tmp_path / "one", size=14).test) == 4
        problem = data.hf(tmp_path / "one", test=tmp_path / "two", size=14)
        assert problem.task.shape == (3, 14, 14)
        assert len(problem.test) == 6
        data.check_fingerprint(data.reopen(problem.spec.source), problem.spec.fingerprint)

    def test_parquet(self, tmp_path):
        table(pixels()).to_parquet(str(tmp_path / "rows.parquet"))
        assert len(data.hf(tmp_path / "rows.parquet", validation=0).train) == 16

    def test_a_local_folder_of_pictures(self, tmp_path):
        for split, n in (("train", 6), ("test", 2)):
            for name in ("cat", "dog"):
                (tmp_path / "photos" / split / name).mkdir(parents=True)
                for i, x in enumerate(pixels(n)):
                    Image.fromarray(x).save(tmp_path / "photos" / split / name / f"{i}.png")
        problem = data.hf(tmp_path / "photos", validation=0)
        assert (len(problem.train), len(problem.test)) == (12, 4)
        assert problem.spec.class_names == ("cat", "dog")

    def test_text_labels_and_named_columns(self, tmp_path):
        rows = datasets.Dataset.from_dict(
            {"left": [Image.fromarray(x) for x in pixels()], "kind": ["a", "b"] * 10},
            features=datasets.Features({"left": datasets.Image(), "kind": datasets.Value("string")}),
        )
        rows.save_to_disk(str(tmp_path / "saved"))
        with pytest.raises(AttarError, match="There are no label columns among left, kind: name it by label="):
            data.hf(tmp_path / "saved")
        with pytest.raises(AttarError, match="There is no column 'nope' among left, kind: name it by image="):
            data.hf(tmp_path / "saved", image="nope", label="kind")
        with pytest.raises(AttarError, match="Column 'kind' holds no pictures"):
            data.hf(tmp_path / "saved", image="kind", label="kind")
        assert data.hf(tmp_path / "saved", label="kind").spec.class_names == ("a", "b")

    def test_rows_without_a_label_and_splits_without_train(self, tmp_path):
        splits = datasets.DatasetDict(train=table(pixels()), test=table(pixels(4), ids=[-1] * 4))
        splits.save_to_disk(str(tmp_path / "unlabelled"))
        with pytest.raises(AttarError, match=r"test split has rows without a label \(-1\)"):
            data.hf(tmp_path / "unlabelled")
        datasets.DatasetDict(fold1=table(pixels()), fold2=table(pixels())).save_to_disk(str(tmp_path / "folds"))
        with pytest.raises(AttarError, match="has the splits fold1, fold2 but no train"):
            data.hf(tmp_path / "folds")

    def test_a_corrupt_cell_is_named(self, tmp_path):
        buffer = io.BytesIO()
        Image.fromarray(pixels()[0]).save(buffer, "PNG")
        cells = [{"bytes": buffer.getvalue(), "path": None}] * 9 + [{"bytes": b"junk", "path": None}]
        features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
        rows = datasets.Dataset.from_dict({"image": cells, "label": [0, 1] * 5}, features=features)
        rows.save_to_disk(str(tmp_path / "saved"))
        with pytest.raises(AttarError, match=r"row 9 of train cannot be read as an image"):
            data.hf(tmp_path / "saved")

    def test_offline_it_fails_in_one_sentence(self):
        with pytest.raises(AttarError, match=r"Hugging Face dataset owner/name could not be opened \(.*save_to_disk"):
            data.hf("owner/name")


class TestFetch:
    def test_a_published_dataset_goes_into_the_cache_and_is_found_there(self, tmp_path, monkeypatch):
        folder, cache = tmp_path / "standin", tmp_path / "cache"
        folder.mkdir()
        x, names = pixels(30), DATASETS["mnist"].class_names
        table(x, names).to_parquet(str(folder / "train.parquet"))
        table(pixels(10), names).to_parquet(str(folder / "test.parquet"))
        monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], hub=Hub(str(folder))))
        monkeypatch.delenv("ATTAR_DATA", raising=False)
        monkeypatch.setenv("ATTAR_CACHE", str(cache))
        problem = data.load("mnist")
        assert [p.name for p in cache.iterdir()] == ["mnist.npz"]
        assert torch.allclose(raw(problem)[:, 0], torch.from_numpy(x) / 255, atol=1e-5)
        assert len(problem.test) == 10
        monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], hub=Hub("gone/away")))
        data.check_fingerprint(data.load("mnist"), problem.spec.fingerprint)

    def test_an_npz_of_a_repository_is_taken_as_it_is(self, tmp_path):
        (tmp_path / "standin").mkdir()
        parts = {f"{part}_images": pixels(10) for part in ("train", "val", "test")}
        parts |= {f"{part}_labels": (np.arange(10) % 2)[:, None] for part in ("train", "val", "test")}
        np.savez(tmp_path / "standin" / "p.npz", **parts)
        record = replace(DATASETS["pneumonia"], hub=Hub(str(tmp_path / "standin"), file="p.npz"))
        with np.load(hub.fetch(record, tmp_path / "cache")) as fetched:
            assert set(fetched) == set(parts)

    @pytest.mark.parametrize("name", ["mnist", "pneumonia"])
    def test_offline_the_error_says_what_to_do(self, tmp_path, monkeypatch, name):
        monkeypatch.delenv("ATTAR_DATA", raising=False)
        monkeypatch.setenv("ATTAR_CACHE", str(tmp_path / "cache"))
        with pytest.raises(
            AttarError, match=rf"{name} was not found: .*fetching it did not work .*pip install 'attar\[hub\]'"
        ):
            data.load(name)
        assert not (tmp_path / "cache").exists()

    def test_without_the_library_the_error_names_the_extra(self, tmp_path, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(AttarError, match=r"not installed: pip install 'attar\[hub\]'"):
            data.hf("owner/name")
