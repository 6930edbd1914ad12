"""Published datasets: found on disk in every form, refused in one sentence; the real ones where they are at hand."""

import gzip
import os
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attar import data
from attar.data import lookup
from attar.data.catalogue import DATASETS
from attar.types import AttarError


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Nothing is found unless the test says where, and nothing is fetched."""

    def refuse(record, folder):
        raise AttarError("no network in this test.")

    monkeypatch.delenv("ATTAR_DATA", raising=False)
    monkeypatch.setenv("ATTAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lookup, "fetch", refuse)


def write_idx(path, array, zipped=True):
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if zipped else content)


def write_mnist(folder, zipped=True, value=None):
    draw = np.random.default_rng(0)
    for prefix, n in (("train", 40), ("t10k", 20)):
        x = draw.integers(0, 256, (n, 28, 28)) if value is None else np.full((n, 28, 28), value)
        ending = ".gz" if zipped else ""
        write_idx(folder / f"{prefix}-images-idx3-ubyte{ending}", x, zipped)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{ending}", np.arange(n) % 10, zipped)
    return folder


class TestWhere:
    @pytest.mark.parametrize("below", ["", "mnist", "MNIST/raw"])
    @pytest.mark.parametrize("given", ["data_dir", "ATTAR_DATA", "cache"])
    @pytest.mark.parametrize("zipped", [True, False])
    def test_every_place_directly_and_in_a_subfolder(self, tmp_path, monkeypatch, below, given, zipped):
        place = tmp_path / given
        write_mnist(place / below, zipped)
        if given == "ATTAR_DATA":
            monkeypatch.setenv("ATTAR_DATA", str(place))
        problem = data.load("mnist", data_dir=place if given == "data_dir" else None)
        assert problem.task.shape == (1, 28, 28)
        assert (len(problem.train), len(problem.validation), len(problem.test)) == (40, 0, 20)

    def test_data_dir_comes_before_the_variable_before_the_cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("ATTAR_DATA", str(tmp_path / "variable"))
        expected = {}
        for value, place in ((10, "cache"), (20, "variable"), (30, "given")):
            write_mnist(tmp_path / place, value=value)
            problem = data.load("mnist", data_dir=tmp_path / "given" if place == "given" else None)
            expected[place] = float(problem.spec.normalisation.undo(problem.train.x).mean() * 255)
        assert expected == pytest.approx({"cache": 10, "variable": 20, "given": 30}, abs=0.01)

    def test_the_files_of_mnist_are_not_taken_for_fashion_mnist(self, tmp_path):
        write_mnist(tmp_path / "mnist")
        with pytest.raises(AttarError, match="fashion-mnist was not found"):
            data.load("fashion-mnist", data_dir=tmp_path / "mnist")

    def test_found_again_by_the_recorded_source(self, tmp_path):
        write_mnist(tmp_path / "a")
        problem = data.load("mnist", data_dir=tmp_path / "a", validation=0.25, seed=4)
        assert len(problem.validation) == 10
        data.check_fingerprint(data.reopen(problem.spec.source), problem.spec.fingerprint)
        (tmp_path / "a").rename(tmp_path / "b")
        data.check_fingerprint(data.reopen(problem.spec.source, data_dir=tmp_path / "b"), problem.spec.fingerprint)
        with pytest.raises(AttarError, match="mnist was not found"):
            data.reopen(problem.spec.source)

    def test_with_nothing_found_one_error_says_what_where_and_how(self, tmp_path, monkeypatch):
        monkeypatch.setenv("ATTAR_DATA", str(tmp_path / "variable"))
        (tmp_path / "given").mkdir()
        with pytest.raises(AttarError) as caught:
            data.load("mnist", data_dir=tmp_path / "given")
        message = str(caught.value)
        for part in (
            "train-images-idx3-ubyte[.gz]",
            "mnist.npz",
            str(tmp_path / "given"),
            str(tmp_path / "variable"),
            str(tmp_path / "cache"),
            "MNIST/raw",
            "no network in this test",
            "pip install 'attar[hub]'",
            "attar.data.load('mnist')",
        ):
            assert part in message

    def test_a_wrong_name_or_data_dir(self, tmp_path):
        with pytest.raises(AttarError, match=r"no published dataset 'minst': did you mean mnist"):
            data.load("minst")
        with pytest.raises(AttarError, match=r"no published dataset 'zzz': known are digits"):
            data.load("zzz")
        with pytest.raises(AttarError, match="There is nothing at"):
            data.load("mnist", data_dir=tmp_path / "nowhere")

    def test_a_file_of_another_size_is_not_taken(self, tmp_path):
        np.savez(tmp_path / "mnist.npz", X=np.zeros((20, 32, 32), np.uint8), y=np.arange(20) % 10)
        with pytest.raises(AttarError, match=r"is not mnist: its images are 32 x 32, not 28 x 28 x 1"):
            data.load("mnist", data_dir=tmp_path)


class TestForms:
    def test_cifar10_binary(self, tmp_path):
        folder = tmp_path / "cifar-10-batches-bin"
        folder.mkdir()
        for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
            records = np.zeros((10, 3073), np.uint8)
            records[:, 0] = np.arange(10)
            records[:, 1:1025] = 255  # red
            records.tofile(folder / name)
        problem = data.load("cifar10", data_dir=tmp_path)
        assert (len(problem.train), len(problem.test)) == (50, 10)
        assert problem.train.y[:10].tolist() == list(range(10))
        pixel = problem.spec.normalisation.undo(problem.train.x)[0, :, 3, 3]
        assert torch.allclose(pixel, torch.tensor([1.0, 0.0, 0.0]), atol=1e-5)
        assert "this copy has 50 / 0 / 10 rows" in problem.spec.notes[0]

    def test_cifar100_binary_has_fine_labels(self, tmp_path):
        for name in ("train.bin", "test.bin"):
            records = np.zeros((100, 3074), np.uint8)
            records[:, 0], records[:, 1] = 7, np.arange(100)
            records.tofile(tmp_path / name)
        problem = data.load("cifar100", data_dir=tmp_path)
        assert problem.train.y.tolist() == list(range(100))
        assert problem.spec.class_names[:2] == ("apple", "aquarium_fish")

    def test_cifar10_zip_of_pictures(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "cifar10_jpg.zip", "w") as archive:
            for split in ("train", "test"):
                for k, name in enumerate(DATASETS["cifar10"].class_names):
                    Image.new("RGB", (32, 32), (20 * k, 0, 0)).save(tmp_path / "x.jpg")
                    archive.write(tmp_path / "x.jpg", f"{split}/{name}/0000.jpg")
        problem = data.load("cifar10", data_dir=tmp_path)
        assert problem.spec.class_names == DATASETS["cifar10"].class_names
        assert problem.train.y.tolist() == list(range(10))
        assert any("JPEG" in note for note in problem.spec.notes)

    @pytest.mark.parametrize("name", ["cifar-10-batches-py", "cifar-100-python"])
    def test_cifar_pickles_are_refused_for_the_binary_version(self, tmp_path, name):
        (tmp_path / name).mkdir()
        with pytest.raises(AttarError, match=rf"{name} is CIFAR's Python version.*put the binary version \(.*\.bin"):
            data.load("cifar100" if "100" in name else "cifar10", data_dir=tmp_path)

    def test_the_pickles_of_cifar100_are_no_matter_for_cifar10(self, tmp_path):
        (tmp_path / "cifar-100-python").mkdir()
        with pytest.raises(AttarError, match="cifar10 was not found"):
            data.load("cifar10", data_dir=tmp_path)

    def test_svhn_mat_where_ten_is_zero(self, tmp_path):
        io = pytest.importorskip("scipy.io")
        draw = np.random.default_rng(0)
        for split in ("train", "test"):
            x = draw.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
            io.savemat(
                tmp_path / f"{split}_32x32.mat", {"X": x, "y": (np.arange(20) % 10 + 1)[:, None]}, do_compression=True
            )
        problem = data.load("svhn", data_dir=tmp_path)
        assert problem.train.y[:10].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
        test = torch.from_numpy(x.transpose(3, 2, 0, 1).copy()) / 255
        assert torch.allclose(problem.spec.normalisation.undo(problem.test.x), test, atol=1e-5)

    def test_svhn_mat_without_x_is_named(self, tmp_path):
        io = pytest.importorskip("scipy.io")
        for split in ("train", "test"):
            io.savemat(tmp_path / f"{split}_32x32.mat", {"Z": np.zeros(3)})
        with pytest.raises(AttarError, match=r"train_32x32.mat holds Z, not SVHN's X and y"):
            data.load("svhn", data_dir=tmp_path)

    def test_keras_mnist_npz(self, tmp_path):
        x, y = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8), np.arange(20) % 10
        np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        assert len(data.load("mnist", data_dir=tmp_path).test) == 20


class TestCatalogue:
    def test_every_record_is_whole(self):
        names = [record.name for record in data.catalogue()]
        published = {"digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "svhn", "pneumonia"}
        assert set(names) == published | {"coloured-digits", "coloured-mnist"}
        for record in data.catalogue():
            assert len(set(record.class_names)) == len(record.class_names) > 1
            assert record.licence
            assert (record.hub is None) == record.name.endswith("digits")
            assert ("flip" in record.augmentation) == (
                not record.name.endswith(("digits", "mnist", "svhn")) or "fashion" in record.name
            )
        assert len(DATASETS["cifar100"].class_names) == 100
        assert DATASETS["cifar10"].normalisation.mean == (0.4914, 0.4822, 0.4465)
        assert (DATASETS["mnist"].full_epochs, DATASETS["cifar10"].full_epochs) == (10, 30)

    def test_digits_need_nothing(self):
        problem = data.load("digits")
        assert problem.task.shape == (1, 8, 8)
        assert (len(problem.train), len(problem.validation), len(problem.test)) == (1295, 143, 359)
        assert problem.spec.licence == "CC BY 4.0"
        other = data.load("digits", seed=1)
        assert other.spec.fingerprint != problem.spec.fingerprint
        assert data.load("digits").spec.fingerprint == problem.spec.fingerprint

    def test_digits_are_scikit_learns_and_carry_their_licence(self):
        datasets = pytest.importorskip("sklearn.datasets")
        folder = Path(lookup.__file__).parent
        with np.load(folder / "digits.npz", allow_pickle=False) as file:
            assert np.array_equal(file["X"], np.rint(datasets.load_digits().images * 255 / 16))
            assert np.array_equal(file["y"], datasets.load_digits().target)
        text = (folder / "DIGITS_LICENCE.txt").read_text()
        assert "CC BY 4.0" in text
        assert "BSD 3-Clause" in text


real = pytest.mark.skipif("ATTAR_DATA" not in os.environ, reason="needs the real data in ATTAR_DATA")
REAL = os.environ.get("ATTAR_DATA", "")


@real
class TestReal:
    def test_mnist(self):
        problem = data.load("mnist", data_dir=REAL)
        assert tuple(problem.train.x.shape) == (60_000, 1, 28, 28)
        assert tuple(problem.test.x.shape) == (10_000, 1, 28, 28)
        assert torch.bincount(problem.train.y)[[0, 1]].tolist() == [5923, 6742]
        assert abs(float(problem.train.x.mean())) < 1e-3
        assert problem.spec.notes == ()
        assert problem.spec.split.startswith("Test: the source's own split (10,000 rows); validation: none")

    def test_pneumonia_keeps_its_own_validation_split(self):
        problem = data.load("pneumonia", data_dir=REAL)
        assert (len(problem.train), len(problem.validation), len(problem.test)) == (2428, 270, 468)
        assert problem.spec.class_names == ("normal", "pneumonia")
        assert "the official one 4,708 / 524 / 624" in problem.spec.notes[0]

    def test_rows_of_the_cifar10_zip(self, tmp_path):
        folder = tmp_path / "cifar10_jpg"
        folder.mkdir()
        with zipfile.ZipFile(Path(REAL) / "cifar10_jpg" / "cifar10_jpg.zip") as whole:
            few = [n for n in whole.namelist() if n.endswith(("/0000.jpg", "/0001.jpg"))]
            with zipfile.ZipFile(folder / "cifar10_jpg.zip", "w") as archive:
                for name in few:
                    archive.writestr(name, whole.read(name))
        problem = data.load("cifar10", data_dir=tmp_path)
        assert tuple(problem.train.x.shape) == (20, 3, 32, 32)
        assert problem.train.y.tolist() == [k for k in range(10) for _ in range(2)]
        # one decoder stands for all: the pixels are those that Pillow gives for the file itself
        with zipfile.ZipFile(folder / "cifar10_jpg.zip") as archive, archive.open("train/bird/0001.jpg") as file:
            expected = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1) / 255
        assert torch.allclose(problem.spec.normalisation.undo(problem.train.x)[5], expected, atol=1e-5)


def test_fetched_data_are_read_from_the_cache(tmp_path, monkeypatch):
    calls = []

    def fetch(record, folder):
        calls.append(record.name)
        folder.mkdir(parents=True, exist_ok=True)
        x, y = np.zeros((20, 28, 28), np.uint8), np.arange(20) % 10
        x[::2] = 9
        np.savez(folder / f"{record.name}.npz", train_images=x, train_labels=y, test_images=x, test_labels=y)
        return folder / f"{record.name}.npz"

    monkeypatch.setattr(lookup, "fetch", fetch)
    monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], rows=(20, 0, 20)))
    first, second = data.load("mnist"), data.load("mnist")
    assert first.spec.fingerprint == second.spec.fingerprint
    assert calls == ["mnist"]
