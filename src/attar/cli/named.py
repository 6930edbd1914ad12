"""Methods in one word each, with their settings: ``dm+lr=10+batch=64``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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

    Values are converted as those of ``attar distill METHOD --option VALUE``, and refused in the same words. Whether there is
    a method of a name without settings is for others to see.

    Raises:
        AttarError: for a method or a setting that there is not, or a value that does not suit it.
    """
    found: list[str | tuple[str, dict[str, Any]]] = []
    for item in (part.strip() for part in _BETWEEN_METHODS.split(text)):
        name, *settings = _BEFORE_A_SETTING.split(item)
        if not settings and ("=" in item or "+" in item):
            raise AttarError(
                f"--methods {item}: settings follow a method, each with its value behind a +, as in dm+lr=10+batch=64."
            )
        if settings:
            found.append((name, _settings(item, name, settings)))
        elif name:
            found.append(name)
    return found


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
    pairs = [word.partition("=") for word in words]
    odd = next((key for key, _, _ in pairs if key.replace("-", "_") not in known), None)
    if odd is not None:
        near = wording.near(odd.replace("-", "_"), known)
        raise AttarError(
            f"--methods {item}: {name} has no setting '{odd}'{': ' + near if near else '. '}It has {', '.join(known)}."
        )
    options = [f"--{key.replace('_', '-')}={value}" for key, _, value in pairs]
    try:
        return dict(_given(_read(kind, options)))
    except CycloptsError as error:
        raise AttarError(f"--methods {item}: {wording.sentence(error).removeprefix('--')}") from error


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
