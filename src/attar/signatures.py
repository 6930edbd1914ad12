"""A method's parameters as options of the command, read from its signature and its docstring."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Group, Parameter, Token

__all__ = ["Whole", "settings_of", "whole"]


def settings_of(name: str, make: Callable[..., Any]) -> type:
    """A method's parameters as options, each None until it is given, so that a recipe can stand behind it.

    Those of ``**options: Unpack[Some]`` are options, too, with the docstring lines of the typed dictionary `Some`.
    """
    hints = typing.get_type_hints(make)
    helps = _argument_lines(make)
    fields: list[Any] = []
    for parameter in inspect.signature(make).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (together,) = typing.get_args(hints[parameter.name])
            lines = _argument_lines(together)
            fields += [_field(key, hint, lines.get(key, "")) for key, hint in typing.get_type_hints(together).items()]
            continue
        shown = parameter.default in (None, "") or not isinstance(parameter.default, str | int | float)
        default = "" if shown else f" (default: {parameter.default})"
        fields.append(_field(parameter.name, hints[parameter.name], helps.get(parameter.name, "") + default))
    made = dataclasses.make_dataclass(f"{name.capitalize()}Settings", fields, kw_only=True, frozen=True)
    made.__module__ = __name__  # where its annotations are looked up
    return Parameter(name="*", group=Group(f"Settings of {name}"))(made)


def whole(kind: Any, tokens: Sequence[Token]) -> int:
    """A whole number as typed; cyclopts by itself would round 1.5 to 2."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"give a whole number, not '{text}'.") from None


def _pairs(kind: Any, tokens: Sequence[Token]) -> dict[str, int]:
    """``--quotas cat=3 --quotas dog=5`` or ``--quotas cat=3,dog=5`` as ``{"cat": 3, "dog": 5}``."""
    pairs = [pair.rpartition("=") for token in tokens for pair in token.value.split(",")]
    wrong = next(("".join(pair) for pair in pairs if not (pair[0] and pair[2].isdecimal())), None)
    if wrong is not None:
        raise ValueError(f"'{wrong}' is no name=number: give a name and a whole number, such as cat=3.")
    return {name.strip(): int(count) for name, _, count in pairs}


Whole = Annotated[int, Parameter(converter=whole)]
"""A whole number on the command line."""


def _field(name: str, hint: Any, text: str) -> tuple[str, Any, None]:
    kind = _on_the_command_line(hint)
    converter: Any = whole if kind in (int, int | None) else None
    if typing.get_origin(kind) is Mapping:
        kind, converter = list[str], _pairs
    note = Parameter(name=f"--{name.replace('_', '-')}", help=text, negative="", converter=converter)
    return name, Annotated[kind | None, note], None


def _on_the_command_line(hint: Any) -> Any:
    """A type without what no command line can give, such as a function."""
    given = [kind for kind in typing.get_args(hint) if typing.get_origin(kind) is not Callable]
    return typing.Union[tuple(given)] if typing.get_origin(hint) in (typing.Union, types.UnionType) else hint  # noqa: UP007


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
