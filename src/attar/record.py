"""Settings as plain records: a part becomes ``{"type": ..., "fields": {...}}``, a function ``{"function": ...}``, and back.

A record is data. Reading one builds only dataclasses and names only functions of attar itself or of a package that is
installed and announces itself by an entry point in the group ``attar.methods``; anything else is refused by name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import os
import types
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch

from attar.types import AttarError

__all__ = ["describe", "inputs", "rebuild"]


def describe(value: Any) -> Any:
    """A JSON value that says what `value` is: JSON values as they are, parts with their fields, functions and anything else
    by name (which `rebuild` refuses unless it is a function or frozen dataclass of attar or a plug-in)."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        fields = {f.name: describe(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return {"type": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    if inspect.isfunction(value) and "." not in value.__qualname__ and value.__name__ != "<lambda>":
        return {"function": f"{value.__module__}:{value.__qualname__}"}
    kind = value if isinstance(value, type) else type(value)
    return {"type": f"{kind.__module__}:{kind.__qualname__}", "fields": {}}


def inputs(value: Any, place: str = "") -> dict[str, str]:
    """What `describe` has a name for alone: by its place among the fields, the checksum of a file's of features, of a
    function's code, of a network's weights, or its own. So two settings can be told apart whose records are the same."""
    found = _content(value)
    if found is not None:
        return {place: hashlib.sha256(found).hexdigest()[:16]}
    if isinstance(value, list | tuple):
        items: Any = enumerate(value)
    elif isinstance(value, dict):
        items = value.items()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init)
    else:
        items = ()
    return {key: item for name, part in items for key, item in inputs(part, f"{place}.{name}".lstrip(".")).items()}


def _content(value: Any) -> bytes | None:
    """The bytes that a checksum is of, None where there are none; attar's own functions are known by name and version."""
    if isinstance(value, str):
        return Path(value).read_bytes() if value.endswith((".npy", ".npz")) and os.path.isfile(value) else None
    if isinstance(getattr(type(value), "checksum", None), property):
        return value.checksum.encode()
    if isinstance(value, torch.nn.Module):
        weights = (tensor.detach().cpu().contiguous().flatten() for tensor in value.state_dict().values())
        return b"".join(tensor.view(torch.uint8).numpy().tobytes() for tensor in weights)
    if inspect.isfunction(value) and value.__module__.partition(".")[0] != "attar":
        return repr(_code(value.__code__)).encode()
    return None


def _code(code: types.CodeType) -> tuple[Any, ...]:
    """What a function does, without where it stands."""
    constants = (_code(item) if isinstance(item, types.CodeType) else repr(item) for item in code.co_consts)
    return code.co_code, code.co_names, tuple(constants)


def rebuild(record: Any) -> Any:
    """The object that `describe` described. Lists come back as tuples.

    Raises:
        AttarError: if a type is not attar's and not of an installed plug-in, or has other fields now.
    """
    if isinstance(record, list):
        return tuple(rebuild(item) for item in record)
    if not isinstance(record, dict):
        return record
    if set(record) == {"function"}:
        return _find(record["function"])
    if set(record) != {"type", "fields"}:
        return {key: rebuild(item) for key, item in record.items()}
    kind, settings = _find(record["type"]), record["fields"]
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):  # a function would be called
        raise AttarError(
            f"The settings name {record['type']} as a part, and it is a function: they were tampered with."
        )
    if not isinstance(settings, dict):
        raise AttarError(f"The settings of {record['type']} are no fields by name: they were tampered with.")
    try:
        return kind(**{name: rebuild(item) for name, item in settings.items()})
    except TypeError as error:
        raise AttarError(
            f"{record['type']} has other fields in this version of attar ({error}); pass method=..."
        ) from error


def _find(name: str) -> Any:
    module, _, qualname = name.partition(":")
    allowed = {"attar"} | {entry.module.partition(".")[0] for entry in entry_points(group="attar.methods")}
    found: Any = None
    if module.partition(".")[0] in allowed and "." not in qualname:
        try:
            found = getattr(importlib.import_module(module), qualname, None)
        except ImportError:
            found = None
    ours = getattr(found, "__module__", None) == module
    if not (ours and (inspect.isfunction(found) or (isinstance(found, type) and dataclasses.is_dataclass(found)))):
        raise AttarError(
            f"The settings name {name}, which is neither a part of attar nor of an installed plug-in: "
            "install the package that has it, or pass method=... from Python."
        )
    return found
