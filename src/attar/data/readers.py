"""Readers of the file formats that image datasets come in. None of them can run code: a pickle is never opened."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attar.data.rows import Part, Read, Rows
from attar.types import AttarError

__all__ = ["read_cifar", "read_idx", "read_mat", "read_npz"]

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> np.ndarray:
    """An idx file of MNIST's kind, plain or gzip.

    Raises:
        AttarError: if it is truncated or no idx file.
    """
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        zero, kind, dims = struct.unpack(">HBB", data[:4])
        shape = struct.unpack(f">{dims}I", data[4 : 4 + 4 * dims])
        if zero or kind not in _IDX_TYPES:
            raise ValueError("its first bytes are not those of the format")
        # a writable copy: what lies in `data` belongs to an immutable object
        return np.frombuffer(data, _IDX_TYPES[kind], offset=4 + 4 * dims).reshape(shape).copy()
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise AttarError(f"{path} is not a whole idx file ({error}): fetch it again.") from error


def read_cifar(paths: Sequence[Path], label_bytes: int = 1) -> Rows:
    """CIFAR's binary version: records of label bytes and 3 x 32 x 32 pixels.

    Args:
        paths: batches, in order.
        label_bytes: bytes before the pixels, of which the last is the label (CIFAR-10 has 1; CIFAR-100 has 2, coarse
            and fine).

    Raises:
        AttarError: if a file is not a whole number of records.
    """
    width = label_bytes + 3 * 32 * 32
    batches = []
    for path in paths:
        data = np.fromfile(path, np.uint8)
        if not len(data) or len(data) % width:
            raise AttarError(
                f"{path} has {len(data)} bytes, not a multiple of {width} as CIFAR's binary version: fetch it again."
            )
        batches.append(data.reshape(-1, width))
    records = np.concatenate(batches)
    images = records[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Rows(np.ascontiguousarray(images), records[:, label_bytes - 1].astype(np.int64))


_NPZ_NAMES: dict[Part, tuple[tuple[str, str], ...]] = {
    "train": (
        ("X", "y"),
        ("x", "y"),
        ("images", "labels"),
        ("X_train", "y_train"),
        ("x_train", "y_train"),
        ("train_images", "train_labels"),
    ),
    "validation": (("X_val", "y_val"), ("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("X_test", "y_test"), ("x_test", "y_test"), ("test_images", "test_labels")),
}

_NPZ_ATTRIBUTE: dict[Part, tuple[str, ...]] = {
    "train": ("attribute", "attribute_train"),
    "validation": ("attribute_val",),
    "test": ("attribute_test",),
}


def read_npz(path: Path) -> Read:
    """An npz of ``X, y`` (or ``x, y``; ``X_train, y_train, ...``) or with MedMNIST's names; ``class_names`` and ``attribute``
    (``attribute_val``, ``attribute_test``) if there.

    Raises:
        AttarError: if it is no npz, has none of these names, or holds Python objects (a pickle).
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            keys = list(file.keys())
            found = {part: [pair for pair in pairs if set(pair) <= set(keys)] for part, pairs in _NPZ_NAMES.items()}
            if not found["train"]:
                raise AttarError(
                    f"{path} holds {', '.join(keys) or 'nothing'}: "
                    "name the arrays X and y, or train_images and train_labels (and val_..., test_...)."
                )
            groups = {part: next((n for n in _NPZ_ATTRIBUTE[part] if n in keys), None) for part in found}
            parts: dict[Part, Rows] = {
                part: Rows(
                    file[hits[0][0]], file[hits[0][1]], attribute=file[group] if (group := groups[part]) else None
                )
                for part, hits in found.items()
                if hits
            }
            names = tuple(map(str, file["class_names"])) if "class_names" in keys else None
        return Read(parts, names)
    except AttarError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, TypeError) as error:
        if "pickled" in str(error) and not _is_pickle(path):  # numpy takes any other file for one
            raise AttarError(f"{path} is no npz file: save one by numpy.savez(path, X=images, y=labels).") from error
        if "allow_pickle" in str(error) or "pickled" in str(error):
            raise AttarError(
                f"{path} holds Python objects, which attar never unpickles: "
                "save plain arrays, with labels as numbers or text."
            ) from error
        raise AttarError(f"{path} is not a whole npz file ({error}): save or fetch it again.") from error


def _is_pickle(path: Path) -> bool:
    """Whether a file begins as pickles do."""
    with path.open("rb") as file:
        return file.read(1) == b"\x80"


_MAT_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MAT_COMPRESSED, _MAT_MATRIX = 15, 14


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """The plain number arrays of a MATLAB 5 file, such as SVHN's ``train_32x32.mat``.

    Raises:
        AttarError: if it is truncated, or of another version.

    Reference:
        MATLAB, "MAT-File Format", version 5 level (header of 128 bytes, then tagged elements).
    """
    data = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise AttarError(f"{path} is not a MATLAB 5 file: save it with '-v7', or as an npz with X and y.")
    arrays: dict[str, np.ndarray] = {}
    try:
        at = 128
        while at < len(data):
            kind, body, at = _mat_element(data, at, order)
            if kind == _MAT_COMPRESSED:
                kind, body, _ = _mat_element(zlib.decompress(body), 0, order)
            if kind == _MAT_MATRIX:
                arrays.update(_mat_matrix(body, order))
    except (ValueError, KeyError, struct.error, zlib.error) as error:
        raise AttarError(f"{path} is not a whole MATLAB 5 file ({error}): fetch it again.") from error
    return arrays


def _mat_element(data: bytes | memoryview, at: int, order: str) -> tuple[int, memoryview, int]:
    """Type and bytes of the element at an offset, and the next one's offset."""
    kind, size = struct.unpack_from(f"{order}II", data, at)
    if kind >> 16:  # a small element packs its size, type and up to four bytes into eight
        small, kind = kind >> 16, kind & 0xFFFF
        return kind, memoryview(data)[at + 4 : at + 4 + small], at + 8
    body = memoryview(data)[at + 8 : at + 8 + size]
    if len(body) < size:
        raise ValueError("it ends too early")
    padding = 0 if kind == _MAT_COMPRESSED else -size % 8
    return kind, body, at + 8 + size + padding


def _mat_matrix(body: memoryview, order: str) -> dict[str, np.ndarray]:
    """One array by its name; nothing for cells, structures, text and complex or sparse numbers."""
    _, flags, at = _mat_element(body, 0, order)
    (word,) = struct.unpack_from(f"{order}I", flags, 0)
    if not 6 <= word & 0xFF <= 15 or word & 0x0800:
        return {}
    _, dims, at = _mat_element(body, at, order)
    _, name, at = _mat_element(body, at, order)
    kind, values, _ = _mat_element(body, at, order)
    shape = np.frombuffer(dims, f"{order}i4")
    array = np.frombuffer(values, order + _MAT_TYPES[kind]).reshape(shape, order="F")
    return {bytes(name).decode("ascii"): array}
