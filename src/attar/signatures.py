"""A method's parameters as options of the command, read from its signature and its docstring."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Group, Parameter

__all__ = ["settings_of"]


def settings_of(name: str, make: Callable[..., Any]) -> type:
    """A method's parameters as options, each None until it is given, so that a recipe can stand behind it."""
    hints = typing.get_type_hints(make)
    helps = _argument_lines(make)
    fields: list[Any] = []
    for parameter in inspect.signature(make).parameters.values():
        default = "" if parameter.default in (None, "") else f" (default: {parameter.default})"
        note = Parameter(
            name=f"--{parameter.name.replace('_', '-')}", help=helps.get(parameter.name, "") + default, negative=""
        )
        fields.append((parameter.name, Annotated[hints[parameter.name] | None, note], None))
    made = dataclasses.make_dataclass(f"{name.capitalize()}Settings", fields, kw_only=True, frozen=True)
    made.__module__ = __name__  # where its annotations are looked up
    return Parameter(name="*", group=Group(f"Settings of {name}"))(made)


def _argument_lines(make: Callable[..., Any]) -> dict[str, str]:
    """Help of each parameter from the Args section of a Google docstring."""
    lines: dict[str, str] = {}
    name = None
    section = inspect.getdoc(make) or ""
    for line in section.partition("Args:\n")[2].split("\n\n")[0].splitlines():
        if line.startswith("        ") and name:
            lines[name] += " " + line.strip()
        else:
            name, _, text = line.strip().partition(": ")
            lines[name] = text
    return lines
