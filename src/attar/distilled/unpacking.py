"""Files of strangers, opened for their tensors: nothing in them is run, and none may fill the memory."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attar.errors import AttarError

__all__ = ["all_tensors", "arrays_in", "children_of", "tensors_in"]

_NUMBERS = {
    torch.bool,
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
}

LARGEST = 8 * 2**30
"""Bytes that a file may hold unpacked: far more than any set, and little enough to be read."""


class _Unread:
    """Stands where a file names an object of numpy, such as an accuracy: takes what numpy would take, and keeps nothing.

    So no code of numpy sees what a stranger wrote.
    """

    def __init__(self, *arguments: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


_NUMPY: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Unread, f"{module}.{name}")
    for module, name in (
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("_codecs", "encode"),
    )
]


def tensors_in(path: Path) -> Any:
    """What torch saved: tensors, numbers and text in lists, tuples and dictionaries."""
    try:
        _check_size(path)
        with torch.serialization.safe_globals(_NUMPY):
            tree = torch.load(path, map_location="cpu", weights_only=True)
    except AttarError:
        raise
    except OSError as error:
        raise AttarError(f"{path} cannot be read: {error.strerror or error}.") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as the reader has lines
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = (
            f"holds more than tensors and numbers ({found[1]})"
            if found
            else "is not a whole file of tensors by torch.save"
        )
        raise AttarError(
            f"{path} {what}, and attar never unpickles anything else: fetch it again, or where you trust it load it by "
            "torch.load and save [images, labels] by torch.save."
        ) from error
    if not all(map(_is_stored, all_tensors(tree))):
        raise AttarError(
            f"{path} holds a tensor that is not plain stored numbers: save [images, labels] as dense CPU tensors."
        )
    return tree


def _check_size(path: Path) -> None:
    """Refuse a zip file that would unpack to more than memory may hold."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as file:
        size = sum(item.file_size for item in file.infolist())
    if size > LARGEST:
        raise AttarError(
            f"{path} unpacks to {size / 2**30:,.1f} GiB, more than the {LARGEST / 2**30:g} GiB that a set may have: save "
            "[images, labels] alone."
        )


def _is_stored(tensor: Tensor) -> bool:
    """Whether every element of a tensor is a number that the file holds: a view may claim billions of one."""
    return (
        tensor.layout is torch.strided
        and not tensor.is_nested
        and tensor.device.type == "cpu"
        and tensor.dtype in _NUMBERS
        and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
    )


def arrays_in(path: Path) -> dict[str, Tensor]:
    """The arrays of numbers in an npz file."""
    try:
        _check_size(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file if name != "class_names"}
    except AttarError:
        raise
    except FileNotFoundError as error:
        raise AttarError(f"{path} cannot be read: {error.strerror}.") from error
    except (
        *(OSError, EOFError, ValueError, AttributeError, TypeError, MemoryError, NotImplementedError, RuntimeError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:  # a header may claim any size, and a zip file any compression and a password
        # numpy takes any other file for a pickle, and advises to load it unsafely
        why = "it holds no arrays of numbers alone" if "pickle" in str(error) else str(error)
        raise AttarError(
            f"{path} is not a whole npz file of plain arrays ({why}): save it by numpy.savez(path, X=images, y=labels)."
        ) from error
    odd = next((name for name, array in arrays.items() if array.dtype.kind not in "biuf"), None)
    if odd is not None:
        raise AttarError(f"The array '{odd}' of {path} holds no numbers: save class ids and images as numbers.")
    return {name: _tensor(array) for name, array in arrays.items()}


def _tensor(array: np.ndarray) -> Tensor:
    if array.dtype == np.uint8:
        return torch.from_numpy(array)
    return torch.from_numpy(np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int64))


def all_tensors(tree: Any) -> Iterator[Tensor]:
    """Every tensor of a tree, in order."""
    waiting, seen = [tree], set[int]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Tensor):
            yield node
        elif id(node) not in seen:  # a list may hold itself
            seen.add(id(node))
            waiting += [child for _, child in reversed(children_of(node))]


def children_of(tree: Any) -> list[tuple[Any, Any]]:
    """What a dictionary, list or tuple holds, each with its key or place; nothing for anything else."""
    if isinstance(tree, Mapping):
        return list(tree.items())
    return list(enumerate(tree)) if isinstance(tree, list | tuple) else []
