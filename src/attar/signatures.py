"""A method's parameters as options of the command, read from its signature and its docstring."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Group, Parameter, Token

__all__ = ["Amount", "Count", "Real", "Whole", "settings_of", "takes_steps", "whole"]


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
            lines, defaults = _argument_lines(together), _defaults_behind(make)
            fields += [
                _field(key, hint, lines.get(key, ""), defaults.get(key))
                for key, hint in typing.get_type_hints(together).items()
            ]
        else:
            text = helps.get(parameter.name, "")
            fields.append(_field(parameter.name, hints[parameter.name], text, parameter.default))
    made = dataclasses.make_dataclass(f"{name.capitalize()}Settings", fields, kw_only=True, frozen=True)
    made.__module__ = __name__  # where its annotations are looked up
    return Parameter(name="*", group=Group(f"Settings of {name}"))(made)


def takes_steps(make: Callable[..., Any]) -> bool:
    """Whether what a function returns works step by step, by what it says; one that does not say may."""
    kinds = _returned(make)
    return kinds == (None,) or any(hasattr(kind, "step") for kind in kinds)


def whole(kind: Any, tokens: Sequence[Token]) -> int:
    """A whole number as typed; cyclopts by itself would round 1.5 to 2."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"give a whole number, not '{text}'.") from None


def _count(kind: Any, tokens: Sequence[Token]) -> int:
    number = whole(kind, tokens)
    if number < 1:
        raise ValueError(f"give a whole number of 1 or more, not {number}.")
    return number


def _real(kind: Any, tokens: Sequence[Token]) -> float:
    text = tokens[0].value
    with contextlib.suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise ValueError(f"give a number, not '{text}'.")


def _amount(kind: Any, tokens: Sequence[Token]) -> float:
    number = _real(kind, tokens)
    if number <= 0:
        raise ValueError(f"give a number above 0, not {number:g}.")
    return number


def _pairs(kind: Any, tokens: Sequence[Token]) -> dict[str, int]:
    """``--quotas cat=3 --quotas dog=5`` or ``--quotas cat=3,dog=5`` as ``{"cat": 3, "dog": 5}``."""
    pairs = [pair.rpartition("=") for token in tokens for pair in token.value.split(",")]
    wrong = next(("".join(pair) for pair in pairs if not (pair[0] and pair[2].isdecimal())), None)
    if wrong is not None:
        raise ValueError(f"'{wrong}' is no name=number: give a name and a whole number, such as cat=3.")
    return {name.strip(): int(count) for name, _, count in pairs}


Whole = Annotated[int, Parameter(converter=whole)]
"""A whole number on the command line."""

Count = Annotated[int, Parameter(converter=_count)]
"""A whole number of 1 or more."""

Real = Annotated[float, Parameter(converter=_real)]
"""A finite number."""

Amount = Annotated[float, Parameter(converter=_amount)]
"""A finite number above 0."""


def _field(name: str, hint: Any, text: str, default: Any) -> tuple[str, Any, None]:
    """An option as a field of the settings.

    Args:
        name: of the parameter.
        hint: its type.
        text: its line of help.
        default: what stands behind it, for the help.
    """
    kind = _on_the_command_line(hint)
    converter: Any = {int: whole, int | None: whole, float: _real, float | None: _real}.get(kind)
    if typing.get_origin(kind) is Mapping:
        kind, converter = list[str], _pairs
    option = f"--{name.replace('_', '-')}"
    shown = _in_words(default)
    note = Parameter(
        name=option,
        help=text,
        negative=f"--no-{option[2:]}" if default is True else "",  # a switch that is on needs one that turns it off
        converter=converter,
        show_default=(lambda _: shown) if shown else False,
    )
    return name, Annotated[kind, note], None  # not "kind | None", in which cyclopts takes the word none for None


def _in_words(default: Any) -> str:
    """A default for the help; "" where there is none to show, and the line of help says what happens."""
    if isinstance(default, str | int | float):
        return str(default)
    if isinstance(default, Sequence | Mapping):
        return ", ".join(map(str, default)) or "none"
    return ""


def _defaults_behind(make: Callable[..., Any]) -> dict[str, Any]:
    """What stands behind the options of a typed dictionary, which has no defaults itself.

    They are fields of what the function makes when nothing is given, or else of a class that it says it may return.
    """
    found: dict[str, Any] = {}
    for kind in _returned(make):
        for field in dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ():
            if field.default_factory is not dataclasses.MISSING:
                found[field.name] = field.default_factory()
            elif field.default is not dataclasses.MISSING:
                found[field.name] = field.default
    with contextlib.suppress(Exception):  # an installed package's function may need arguments
        plain = make()
        found |= {name: getattr(plain, name) for name in found if hasattr(plain, name)}
    return found


def _returned(make: Callable[..., Any]) -> tuple[Any, ...]:
    """The classes that a function says it may return."""
    hint = typing.get_type_hints(make).get("return")
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _on_the_command_line(hint: Any) -> Any:
    """A type without what no command line can give, such as a function or a part."""
    given = [
        kind
        for kind in typing.get_args(hint)
        if typing.get_origin(kind) is not Callable and not dataclasses.is_dataclass(kind)
    ]
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
