"""What is on disk: files written whole or not at all, and a state as one safetensors file. Never a pickle.

The tensors of a `Tree` go into the file as they are, everything else as JSON into the file's header.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attar.types import AttarError, Tree

__all__ = ["load_tree", "save_tree", "write_json", "write_whole"]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at any moment, a crash included, either the old or the new content is there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        folder = os.open(path.parent, os.O_RDONLY)  # the new name itself has to outlive a power cut
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON values whole or not at all."""
    write_whole(path, (json.dumps(value, indent=2) + "\n").encode())


def save_tree(tree: Tree, path: Path) -> None:
    """Write a state whole or not at all."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    skeleton = _strip(tree, tensors)
    write_whole(path, save(tensors, metadata={"tree": json.dumps(skeleton)}))


def load_tree(path: Path, device: str = "cpu") -> Any:
    """Read a state back, its tensors on `device`.

    Raises:
        AttarError: if the file is missing, cut short or not a checkpoint.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=device) as file:
            skeleton = json.loads((file.metadata() or {})["tree"])
            # cloned into memory that is aligned as torch aligns it: in a file's, sums round otherwise
            return _fill(skeleton, {name: file.get_tensor(name).clone() for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise AttarError(
            f"{path} is not a readable checkpoint ({error}): start the run again in a new folder."
        ) from error


def _strip(value: Tree, tensors: dict[str, Tensor]) -> Any:
    """The tree with every tensor replaced by a reference; fills `tensors`."""
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": {_text(key): _strip(item, tensors) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return {"list": [_strip(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"a state holds a {type(value).__name__}; only tensors, numbers, strings, None, lists and dicts may be in it"
    )


def _text(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a state has the key {key!r}; keys are strings")
    return key


def _fill(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, inner)] = value.items()
    if kind == "tensor":
        return tensors[inner]
    if kind == "dict":
        return {key: _fill(item, tensors) for key, item in inner.items()}
    return [_fill(item, tensors) for item in inner]
