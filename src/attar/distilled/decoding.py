"""Training rows from what a set stores of them, by the record of its decoder.

A set may be a stranger's: nothing is built but a parameterisation that is known by name, of plain values, and nothing is
computed before a rehearsal without numbers has told the shape of the rows and the memory that it takes.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attar import synthetic
from attar.errors import AttarError
from attar.record import rebuild
from attar.types import Batch, Normalisation

__all__ = ["agree", "decodable", "decode", "is_record"]

TOLERANCE = 1e-3
"""Of decoded rows in raw units, absolute and relative: far more than machines round apart, and a quarter of an 8-bit level."""

_LARGEST = 8 * 2**30
_LEAST = 64 * 2**20
_DEEPEST = 8


def is_record(record: Any) -> bool:
    """Whether a decoder's record has the form ``{type, fields}``, of plain values or further records."""
    return (
        isinstance(record, dict)
        and set(record) == {"type", "fields"}
        and isinstance(record["type"], str)
        and isinstance(record["fields"], dict)
        and all(_is_value(value, _DEEPEST) for value in record["fields"].values())
    )


def decodable(record: Mapping[str, Any]) -> bool:
    """Whether this attar can make the rows again: by a part of its own or of an installed plug-in, made of plain values. Not
    by one that has a generator of one's own."""
    return all(map(_is_plain, record["fields"].values())) and _kind(record["type"]) is not None


def decode(
    record: Mapping[str, Any],
    stored: Mapping[str, Tensor],
    shape: Sequence[int],
    normalisation: Normalisation,
    kind: type[Batch],
) -> Batch:
    """The training rows in raw units, with their labels.

    Args:
        record: ``{type, fields}`` of the parameterisation (see `attar.record`).
        stored: its decoder's tensors, and labels as "y".
        shape: of all rows, ``(n, c, h, w)``.
        normalisation: undone at the end, as decoders work in normalised units.
        kind: of the rows.

    Raises:
        ValueError: if that is nothing that attar decodes, or the tensors are not those that it stores, give other rows, or
            take more memory than rows of so many bytes may.
    """
    if not decodable(record):
        raise ValueError(f"{record['type']} is nothing that attar can decode rows by")
    if not (len(shape) > 1 and all(type(side) is int and side > 0 for side in shape)):
        raise ValueError(f"rows cannot be of shape {shape}")
    if not all(tensor.numel() for tensor in stored.values()):
        raise ValueError("a stored tensor is empty")
    try:
        part = rebuild(dict(record))
        _rehearse(part, stored, shape, kind)
        rows = _rows(part, stored, shape, kind, "cpu")
        return rows.replace(x=normalisation.undo(rows.x))
    except (AttarError, AttributeError, LookupError, TypeError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{record['type']} cannot read what is stored: {error}") from error


def agree(rows: Batch, decoded: Batch) -> bool:
    """Whether rows that lie there decoded are those that decoding gives, to `TOLERANCE`: every field of them."""
    pairs = [(getattr(rows, f.name), getattr(decoded, f.name)) for f in dataclasses.fields(rows)]  # type: ignore[arg-type]
    return all(map(_near, *zip(*pairs, strict=True)))


def _near(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is None and other is None
    if one.shape != other.shape or one.is_floating_point() != other.is_floating_point():
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    return torch.allclose(one.float(), other.float(), rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def _rows(part: Any, stored: Mapping[str, Tensor], shape: Sequence[int], kind: type[Batch], device: str) -> Batch:
    like = kind(torch.zeros((0, *shape[1:]), device=device))  # type: ignore[call-arg]
    tensors = {name: tensor.to(device) for name, tensor in stored.items()}
    y = tensors.pop("y", None)
    with torch.no_grad():
        return part.restore(tensors, like)(y).detach()


def _rehearse(part: Any, stored: Mapping[str, Tensor], shape: Sequence[int], kind: type[Batch]) -> None:
    """Decode without numbers."""
    size = sum(tensor.nbytes for tensor in stored.values())
    with _Bounded(max(min(_LARGEST, 1000 * size + _LEAST), 100 * size)):
        rows = _rows(part, stored, shape, kind, "meta")
    if tuple(rows.x.shape) != tuple(shape):
        raise ValueError(f"{type(part).__name__} gives rows of shape {tuple(rows.x.shape)}")
    if rows.y is not None and len(rows.y) != len(rows.x):
        raise ValueError(f"{type(part).__name__} gives {len(rows.x)} rows {len(rows.y)} labels")


class _Bounded(TorchDispatchMode):
    """Adds up the bytes of all tensors that are made, and refuses more than so many."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.made = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.made += sum(leaf.nbytes for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        if self.made > self.limit:
            raise ValueError(
                f"to decode it takes more than {self.limit:,} bytes, which rows of so little storage never do"
            )
        return result


def _kind(name: str) -> type | None:
    """The parameterisation of a name, None where attar and its installed plug-ins have none."""
    parts = [getattr(synthetic, item) for item in synthetic.__all__]
    found: Any = next((part for part in parts if f"{part.__module__}:{part.__qualname__}" == name), None)
    module, _, qualname = name.partition(":")
    if found is None and module.partition(".")[0] in _plug_ins():
        try:
            found = getattr(importlib.import_module(module), qualname, None)
        except ImportError:
            return None
    is_part = isinstance(found, type) and dataclasses.is_dataclass(found) and found.__module__ == module
    return found if is_part and getattr(found, "decodes", False) is True else None


def _plug_ins() -> set[str]:
    """Packages that are installed and announce themselves."""
    return {entry.module.partition(".")[0] for entry in entry_points(group="attar.methods")} - {"attar"}


def _is_plain(value: Any) -> bool:
    """A field of a parameterisation: a number, text, or a list of such."""
    items = value if isinstance(value, list) else [value]
    return all(item is None or isinstance(item, bool | int | float | str) for item in items)


def _is_value(value: Any, levels: int) -> bool:
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        named = not isinstance(value, dict) or isinstance(value.get("type", ""), str)
        return levels > 0 and named and all(_is_value(item, levels - 1) for item in inner)
    return value is None or isinstance(value, bool | int | float | str)
