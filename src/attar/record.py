"""Settings as plain records: a part becomes ``{"type": ..., "fields": {...}}``, a function ``{"function": ...}``, and back.

A record is data. Reading one builds only dataclasses and names only functions of attar itself or of a package that is
installed and announces itself by an entry point in the group ``attar.methods``; anything else is refused by name.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from importlib.metadata import entry_points
from typing import Any

from attar.types import AttarError

__all__ = ["describe", "rebuild"]


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
    kind = _find(record["type"])
    try:
        return kind(**{name: rebuild(item) for name, item in record["fields"].items()})
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
