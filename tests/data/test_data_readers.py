"""Readers of file formats, against files written byte by byte or by the formats' own libraries."""

import gzip
import pickle
import struct

import numpy as np
import pytest

from attar import data
from attar.data.readers import read_cifar, read_idx, read_mat, read_npz
from attar.types import AttarError


def idx_bytes(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)


class TestIdx:
    @pytest.mark.parametrize("zipped", [False, True])
    def test_plain_and_gzip(self, tmp_path, images, zipped):
        path = tmp_path / "images"
        path.write_bytes(gzip.compress(idx_bytes(images)) if zipped else idx_bytes(images))
        assert np.array_equal(read_idx(path), images)

    def test_other_number_types(self, tmp_path):
        path = tmp_path / "floats"
        path.write_bytes(struct.pack(">HBBI", 0, 0x0D, 1, 2) + struct.pack(">2f", 0.5, -2))
        assert read_idx(path).tolist() == [0.5, -2]

    def test_truncated_and_foreign_files_are_named(self, tmp_path, images):
        whole = idx_bytes(images)
        for name, content in {
            "cut": whole[:-1],
            "cut.gz": gzip.compress(whole)[:-9],
            "text": b"hello, world, this is text",
            "empty": b"",
        }.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(AttarError, match=rf"{name} is not a whole idx file .*fetch it again"):
                read_idx(tmp_path / name)


class TestCifar:
    def test_records_of_both_versions(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
        for label_bytes in (1, 2):
            labels = np.arange(4 * label_bytes, dtype=np.uint8).reshape(4, label_bytes)
            records = np.concatenate([labels, pixels.reshape(4, -1)], axis=1)
            records[:3].tofile(tmp_path / "a.bin")
            records[3:].tofile(tmp_path / "b.bin")
            rows = read_cifar([tmp_path / "a.bin", tmp_path / "b.bin"], label_bytes)
            assert np.array_equal(rows.x, pixels.transpose(0, 2, 3, 1))
            assert rows.y.tolist() == labels[:, -1].tolist()  # the last byte is the fine label

    def test_a_cut_batch_is_named(self, tmp_path):
        (tmp_path / "a.bin").write_bytes(b"\0" * 3000)
        with pytest.raises(AttarError, match=r"a.bin has 3000 bytes, not a multiple of 3073"):
            read_cifar([tmp_path / "a.bin"])


class TestNpz:
    @pytest.mark.parametrize(
        ("names", "parts"),
        [
            (("X", "y"), {"train"}),
            (("x", "y"), {"train"}),
            (("images", "labels"), {"train"}),
            (("x_train", "y_train", "x_test", "y_test"), {"train", "test"}),
            (("X_train", "y_train", "X_val", "y_val", "X_test", "y_test"), {"train", "validation", "test"}),
            (
                ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
                {"train", "validation", "test"},
            ),
        ],
    )
    def test_names(self, tmp_path, images, names, parts):
        values = [images if i % 2 == 0 else np.arange(6) % 2 for i in range(len(names))]
        np.savez(tmp_path / "a.npz", **dict(zip(names, values, strict=True)))
        assert set(read_npz(tmp_path / "a.npz").parts) == parts

    def test_a_whole_problem_with_names(self, tmp_path):
        x = np.random.default_rng(0).random((20, 8, 8, 3))
        np.savez(tmp_path / "mine.npz", X=x, y=np.arange(20) % 2, class_names=["left", "right"])
        problem = data.npz(tmp_path / "mine.npz")
        assert problem.spec.name == "mine"
        assert problem.spec.class_names == ("left", "right")
        assert problem.task.shape == (3, 8, 8)
        again = data.reopen(problem.spec.source)
        data.check_fingerprint(again, problem.spec.fingerprint)

    def test_another_file_to_test_on(self, tmp_path, images):
        np.savez(tmp_path / "a.npz", X=images, y=np.arange(6) % 2)
        np.savez(tmp_path / "b.npz", x_train=images, y_train=np.arange(6) % 2, x_test=images[:2], y_test=[0, 1])
        problem = data.npz(tmp_path / "a.npz", test=tmp_path / "b.npz", validation=0)
        assert (len(problem.train), len(problem.test)) == (6, 2)
        data.check_fingerprint(data.reopen(problem.spec.source), problem.spec.fingerprint)

    def test_other_names_are_listed(self, tmp_path, images):
        np.savez(tmp_path / "a.npz", pixels=images)
        with pytest.raises(AttarError, match=r"a.npz holds pixels: name the arrays X and y"):
            read_npz(tmp_path / "a.npz")

    def test_python_objects_are_never_unpickled(self, tmp_path, images):
        class Bomb:
            def __reduce__(self):
                return (open, (str(tmp_path / "exploded"), "w"))

        np.savez(tmp_path / "a.npz", X=images, y=np.array([Bomb()] * 6, dtype=object))
        (tmp_path / "b.npz").write_bytes(pickle.dumps({"X": Bomb()}))
        for name in ("a.npz", "b.npz"):
            with pytest.raises(AttarError, match=rf"{name} holds Python objects, which attar never unpickles"):
                read_npz(tmp_path / name)
        assert not (tmp_path / "exploded").exists()

    def test_a_file_that_is_no_npz_is_called_so(self, tmp_path):
        (tmp_path / "text.npz").write_text("height,width\n1,2\n")
        with pytest.raises(AttarError, match="text.npz is no npz file: save one by numpy.savez"):
            read_npz(tmp_path / "text.npz")

    def test_a_truncated_file_and_an_npy_are_named(self, tmp_path, images):
        np.savez(tmp_path / "whole.npz", X=images, y=np.arange(6))
        (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-200])
        np.save(tmp_path / "plain.npy", images)
        for name in ("cut.npz", "plain.npy"):
            with pytest.raises(AttarError, match=f"{name} is not a whole npz file"):
                read_npz(tmp_path / name)


class TestMat:
    @pytest.mark.parametrize("compressed", [False, True])
    def test_what_scipy_writes(self, tmp_path, compressed):
        io = pytest.importorskip("scipy.io")
        x = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
        y = np.array([[10], [1], [2], [3], [4]], np.uint8)
        content = {"X": x, "y": y, "n": np.array([[7.0]]), "text": "left alone"}
        io.savemat(tmp_path / "a.mat", content, do_compression=compressed)
        arrays = read_mat(tmp_path / "a.mat")
        assert set(arrays) == {"X", "y", "n"}
        assert np.array_equal(arrays["X"], x)
        assert np.array_equal(arrays["y"], y)
        assert arrays["n"] == 7

    def test_truncated_and_foreign_files_are_named(self, tmp_path):
        io = pytest.importorskip("scipy.io")
        io.savemat(tmp_path / "whole.mat", {"X": np.zeros((32, 32, 3, 5), np.uint8)})
        (tmp_path / "cut.mat").write_bytes((tmp_path / "whole.mat").read_bytes()[:-500])
        (tmp_path / "text.mat").write_bytes(b"no matlab here")
        with pytest.raises(AttarError, match=r"cut.mat is not a whole MATLAB 5 file"):
            read_mat(tmp_path / "cut.mat")
        with pytest.raises(AttarError, match=r"text.mat is not a MATLAB 5 file"):
            read_mat(tmp_path / "text.mat")
