"""Published settings and scores, one flat TOML file a method.

``[[settings]]`` tables hold a method's arguments and ``steps`` for a dataset and a number of rows a class; a table without
``data`` or ``per_class`` holds for any. ``[[reported]]`` tables hold published scores, which are never mixed with measured
ones.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from attar.types import Budget

__all__ = ["names", "recipe", "reported", "settings"]

_KEYS = ("data", "per_class")


@lru_cache
def _all() -> dict[str, dict[str, Any]]:
    found = sorted(item.name for item in files(__name__).iterdir() if item.name.endswith(".toml"))
    return {name.removesuffix(".toml"): tomllib.loads((files(__name__) / name).read_text()) for name in found}


def names() -> tuple[str, ...]:
    """Methods that have a recipe."""
    return tuple(_all())


def recipe(method: str) -> dict[str, Any]:
    """All that a method's file says (empty where it has none)."""
    return _all().get(method, {})


def settings(method: str, data: str, budget: Budget) -> dict[str, Any]:
    """The published arguments of a method for a dataset and budget, ``steps`` among them.

    Args:
        method: a published name.
        data: name of the dataset.
        budget: entries for another number of rows a class are passed over.

    Returns:
        Arguments by name; where several tables hold, later ones win.
    """
    merged: dict[str, Any] = {}
    for table in recipe(method).get("settings", ()):
        if table.get("data", data) == data and table.get("per_class", budget.per_class) == budget.per_class:
            merged |= {key: value for key, value in table.items() if key not in _KEYS}
    return merged


def reported(method: str, data: str, budget: Budget) -> list[dict[str, Any]]:
    """Published scores of a method for a dataset and budget: ``score`` in percent, ``spread``, ``model``, ``source``."""
    tables = recipe(method).get("reported", ())
    return [table for table in tables if table["data"] == data and table["per_class"] == budget.per_class]
