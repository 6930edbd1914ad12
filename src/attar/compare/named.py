"""The methods of a comparison: from names and settings to methods, and what the table calls each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote

from attar import methods as published
from attar import recipes
from attar.compare.study import FULL, RANDOM
from attar.method import Method, is_iterative
from attar.types import AttarError, Budget, Problem

__all__ = ["Asked", "methods_of", "name_with_settings"]

Asked: TypeAlias = str | tuple[str, Method | Mapping[str, Any]]
"""A published name, one with settings in place of its recipe's, or a name of one's own and a method."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")

LONGEST = 120
"""Letters of a name as it stands in the names of files, beside more."""


@dataclass(frozen=True)
class _Published:
    """A method by its published name, with settings in place of its recipe's."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def starts(self) -> bool:
        """Whether it has starting values that are still to be chosen."""
        return "initial" not in self.settings and "initial" in inspect.signature(published.find(self.name)).parameters

    def made(self, problem: Problem, per_class: int) -> Method:
        """The method, with its recipe's settings for this data and budget beneath its own."""
        make = published.find(self.name)
        recipe = recipes.settings(self.name, problem.spec.source.get("load", ""), Budget(per_class=per_class))
        try:
            method = make(**{key: value for key, value in {**recipe, **self.settings}.items() if key != "steps"})
        except TypeError as error:
            how = f"with {', '.join(self.settings)}" if self.settings else "from its name alone"
            raise AttarError(
                f"The method '{self.name}' cannot be made {how} ({error}): pass ('{self.name}', method) from Python."
            ) from error
        if not (is_iterative(method) or hasattr(method, "finish")):
            raise AttarError(f"The method '{self.name}' gives a {type(method).__name__}, which is no method.")
        return method


def methods_of(
    given: Sequence[Asked], budgets: Sequence[int], problem: Problem, initial: Sequence[str] = ()
) -> dict[tuple[str, int], Method]:
    """The methods of a comparison by name and rows a class, random rows first.

    Args:
        given: published names, whose recipes' settings are taken, pairs of one and a mapping of settings in their place
            (see `name_with_settings`), or pairs of a name and a method.
        budgets: rows a class.
        problem: whose recipes hold.
        initial: starting values, with each of which a published method that has any to choose is taken, as "dm-noise" and
            "dm-real".

    Raises:
        AttarError: for unknown names, names that stand for two methods, what is no method, and starting values where no
            method has any.
    """
    found: dict[str, _Published | Method] = {RANDOM: _Published(RANDOM)}
    for item in given:
        if item == FULL:
            continue  # always there
        label, method = _asked(item)
        if found.get(label, method) is not method and found[label] != method:
            raise AttarError(f"Two different methods are called '{label}': give each a name of its own.")
        found[label] = method
    started = {label for label, method in found.items() if isinstance(method, _Published) and method.starts}
    if initial and not started:
        raise AttarError("None of these methods starts at values that could be chosen: leave initial out.")
    chosen: dict[tuple[str, int], Method] = {}
    for label, method in found.items():
        variants = _from_each(label, method, initial) if initial and label in started else {label: method}
        for name, variant in variants.items():
            for budget in budgets:
                made = variant.made(problem, budget) if isinstance(variant, _Published) else variant
                if (name, budget) in chosen and chosen[name, budget] != made:
                    raise AttarError(f"Two different methods are called '{name}': give each a name of its own.")
                chosen[name, budget] = made
    return chosen


def name_with_settings(name: str, settings: Mapping[str, Any]) -> str:
    """What the table, its files and the command call a method with settings: ``dm+batch=64+lr=10``.

    Settings are in alphabetical order, so that it is one name however they were given. What no name of a file may have is
    written as in addresses (``%2F``).

    Raises:
        AttarError: if a value has no words, such as a function, or the name gets too long for a file's.
    """
    words = [f"{key}={quote(text, safe='+=')}" for key in sorted(settings) for text in _words(key, settings[key])]
    found = "+".join([name, *words])
    if len(quote(found, safe="")) > LONGEST:
        raise AttarError(
            f"{found[:40]}... is too long a name for files: give fewer settings or shorter values, or from Python a name of "
            "your own and the method."
        )
    return found


def _words(key: str, value: Any) -> Iterator[str]:
    """A value as it is typed; of several, each."""
    if isinstance(value, Mapping):
        yield from sorted(f"{name}={count}" for name, count in value.items())
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words(key, item)
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, int | float):
        yield repr(value).removesuffix(".0")
    elif isinstance(value, str):
        yield value
    else:
        raise AttarError(f"{key}={value!r} has no words to name a row by: give a name of your own and the method.")


def _asked(item: Asked) -> tuple[str, _Published | Method]:
    """The label and the method that an item asks for."""
    name, method = (item, {}) if isinstance(item, str) else item
    own = not isinstance(method, Mapping)
    if isinstance(item, str) and "=" in item:
        raise AttarError(f"'{item}' is no name for a method: give its settings beside it, as in ('dm', {{'lr': 10}}).")
    if not _LABEL.fullmatch(name) or (own and name in (FULL, RANDOM)):
        raise AttarError(
            f"'{name}' is no name for a method here: use letters, digits and _ . + -, and neither full nor random."
        )
    if isinstance(method, Mapping):
        return name_with_settings(name, method), _Published(name, dict(method))
    if isinstance(method, type) or not hasattr(method, "finish"):
        raise AttarError(f"{method!r} is no method: give ('{name}', attar.methods.dm()), say.")
    return name, method


def _from_each(label: str, method: _Published | Method, initial: Sequence[str]) -> dict[str, _Published]:
    """A published method from each of the starting values."""
    assert isinstance(method, _Published)
    found = {}
    for start in initial:
        settings = {**method.settings, "initial": start}
        # a start behind other settings is a setting like them: "lr=10-noise" would be read as a value
        name = name_with_settings(method.name, settings) if method.settings else f"{label}-{start}"
        found[name] = _Published(method.name, settings)
    return found
