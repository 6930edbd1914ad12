"""Methods in one word each, with their settings: ``dm+lr=10+batch=64``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from cyclopts import App, CycloptsError

from attar.cli import wording
from attar.errors import AttarError
from attar.signatures import settings_of

__all__ = ["methods_named"]

_BETWEEN_METHODS = re.compile(r",(?![^,+]*=)")
"""A comma, unless what follows goes on with the value before it, as in ``random+quotas=cat=3,dog=5``."""

_BEFORE_A_SETTING = re.compile(r"\+(?=[A-Za-z][\w-]*=)")
"""A plus sign, unless it is within a value, as in ``lr=1e+2``."""


def methods_named(text: str) -> list[str | tuple[str, dict[str, Any]]]:
    """Names of methods separated by commas, those that have settings as a pair with them.

    Values are converted as those of ``attar distill METHOD --option VALUE``, and refused in the same words. In texts, ``%2C``
    and the like stand for letters as in addresses, as in the names of the table (`attar.compare.named.name_with_settings`),
    which are therefore read as they are. Whether there is a method of a name without settings is for others to see.

    Raises:
        AttarError: for a method or a setting that there is not, or a value that does not suit it.
    """
    found: list[str | tuple[str, dict[str, Any]]] = []
    before = ""
    for item in (part.strip() for part in _BETWEEN_METHODS.split(text)):
        name, *settings = _BEFORE_A_SETTING.split(item)
        if not settings and ("=" in item or "+" in item):
            raise AttarError(
                f"--methods {item}: settings follow a method, each with its value behind a +, as in dm+lr=10+batch=64."
            )
        if settings:
            found.append((name, _settings(item, name, settings)))
        elif name:
            _check_comma(before, name)
            found.append(name)
        before = item
    return found


def _check_comma(before: str, name: str) -> None:
    """Refuse the end of a value that was cut at its comma, which is like no method's name."""
    from attar import methods

    if "=" not in before or wording.near(name, [*methods.METHODS, "full"]):
        return
    try:
        methods.find(name)
    except AttarError as error:
        raise AttarError(
            f"--methods {before},{name}: there is no method '{name}', and a comma in a value is written %2C."
        ) from error


def _settings(item: str, name: str, words: Sequence[str]) -> dict[str, Any]:
    """What the words behind a method's name set."""
    from attar import methods

    if name == "full":
        raise AttarError(f"--methods {item}: full data have no settings: leave them out.")
    make = methods.find(name)
    try:
        kind = settings_of(name, make)
    except Exception as broken:  # an installed package's function, which may have any signature
        raise AttarError(wording.unreadable(name, broken)) from broken
    known = [field.name for field in dataclasses.fields(kind)]
    pairs = [(key.replace("-", "_"), value) for key, _, value in (word.partition("=") for word in words)]
    for place, (key, value) in enumerate(pairs):
        if key not in known:
            near = wording.near(key, known)
            plus = "; a + in a value is written %2B" if place else ""
            raise AttarError(
                f"--methods {item}: {name} has no setting '{key}'{': ' + near if near else '. '}"
                f"It has {', '.join(known)}{plus}."
            )
        if not value:
            raise AttarError(f"--methods {item}: {key} has no value: give it one, or leave it out.")
    options = [f"--{key.replace('_', '-')}={value}" for key, value in pairs]
    try:
        read = dict(_given(_read(kind, options)))
    except CycloptsError as error:
        raise AttarError(f"--methods {item}: {wording.sentence(error).removeprefix('--')}") from error
    for key, value in pairs:
        if "," in value and not isinstance(read[key], Mapping):
            raise AttarError(
                f"--methods {item}: {key}={value}: give each setting behind a +, as in {'+'.join(f'{key}={value}'.split(','))}, "
                "or write %2C for a comma in a value."
            )
    return {key: _unquoted(value) for key, value in read.items()}


def _unquoted(value: Any) -> Any:
    """A value with the letters that its texts stand for."""
    if isinstance(value, Mapping):
        return {unquote(name): count for name, count in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_unquoted, value))
    return unquote(value) if isinstance(value, str) else value


def _read(kind: Any, options: Sequence[str]) -> Any:
    """Settings from options, by the parser of ``attar distill``."""

    def command(*, settings: Any = None) -> Any:
        return settings

    command.__annotations__ = {"settings": kind | None, "return": kind | None}
    app = App(help_flags=[], version_flags=[], help_format="plaintext")
    app.default(command)
    called, bound, _ = app.parse_args(list(options), exit_on_error=False, print_error=False)
    return called(*bound.args, **bound.kwargs)


def _given(settings: Any) -> Iterator[tuple[str, Any]]:
    """The settings that were given, by name."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value is not None:
            yield field.name, dict(value) if isinstance(value, Mapping) else value
