"""The methods of a comparison: from names and settings to methods, and what the table calls each."""

from __future__ import annotations

import inspect
import numbers
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np

from attar import methods as published
from attar.compare.selected import Selected
from attar.compare.study import FULL, RANDOM, WHOLE
from attar.method import Method, Start, is_iterative
from attar.methods.rows import of_tables
from attar.selection import Coreset
from attar.types import AttarError, Budget, Problem

__all__ = ["Asked", "methods_of", "name_with_settings"]

Asked: TypeAlias = str | tuple[str, Method | Mapping[str, Any]]
"""A published name, one with settings in place of its recipe's, or a name of one's own and a method."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")

LONGEST = 120
"""Letters that a row's name may have, written as in addresses. So it stands in the name of a score's file, which may have 255,
beside the budget, the network, the labels and the seed."""


@dataclass(frozen=True)
class _Published:
    """A method by its published name, with settings in place of its recipe's; of one label, all are one method."""

    label: str
    name: str
    settings: Mapping[str, Any] = field(compare=False)

    @property
    def starts(self) -> bool:
        """Whether it has starting values that are still to be chosen."""
        return "initial" not in self.settings and "initial" in inspect.signature(published.find(self.name)).parameters

    def made(self, problem: Problem, per_class: int) -> Method:
        """The method, with its recipe's settings for this data and budget beneath its own."""
        if problem.spec.schema is not None:
            return of_tables(self.name, Budget(per_class=per_class), self.settings)
        data = problem.spec.source.get("load", "")
        return published.published(self.name, data, Budget(per_class=per_class), self.settings)


def methods_of(
    given: Sequence[Asked],
    budgets: Sequence[int],
    problem: Problem,
    initial: Sequence[str] = (),
    starts: bool = False,
    candidates: int | None = None,
    model: str = "",
) -> dict[tuple[str, int], Method | Selected]:
    """The methods of a comparison by name and rows a class, random rows first.

    Args:
        given: published names, whose recipes' settings are taken, pairs of one and a mapping of settings in their place
            (see `name_with_settings`), or pairs of a name and a method.
        budgets: rows a class.
        problem: whose recipes hold.
        initial: starting values, with each of which a published method that has any to choose is taken, as "dm-noise" and
            "dm-real".
        starts: beside every iterative method, what it begins with (see `attar.method.Start`), as "dm-start".
        candidates: beside every iterative method, the set that validation rows choose among so many along each run (see
            `attar.compare.selected.Selected`), as "dm-selected".
        model: that chooses it.

    Raises:
        AttarError: for unknown names, names that stand for two methods, what is no method, quotas that make other numbers of
            rows than the budgets, starting values where no method has any, and starts or candidates where none is iterative.
    """
    found: dict[str, _Published | Method] = {RANDOM: _Published(RANDOM, RANDOM, {})}
    for item in given:
        if isinstance(item, str) and item == FULL:
            continue  # always there
        label, method = _asked(item)
        if found.get(label, method) is not method and found[label] != method:
            raise AttarError(f"Two different methods are called '{label}': give each a name of its own.")
        found[label] = method
    started = {label for label, method in found.items() if isinstance(method, _Published) and method.starts}
    if initial and not started:
        raise AttarError("None of these methods starts at values that could be chosen: leave initial out.")
    chosen: dict[tuple[str, int], Method | Selected] = {}
    for label, method in found.items():
        variants = _from_each(label, method, initial) if initial and label in started else {label: method}
        for name, variant in variants.items():
            for budget in budgets:
                made = variant.made(problem, budget) if isinstance(variant, _Published) else variant
                _check_rows(name, made, budget, problem)
                _add(chosen, name, budget, made)
                if candidates is not None and is_iterative(made):
                    _add(chosen, _beside(name, "selected"), budget, Selected(made, name, candidates, model))
                if starts and is_iterative(made):
                    _add(chosen, _beside(name, "start"), budget, Start(made))
    if candidates is not None and not any(isinstance(method, Selected) for method in chosen.values()):
        raise AttarError(
            "None of these methods goes step by step, so there are no candidates on a way: leave them out."
        )
    if starts and not any(isinstance(method, Start) for method in chosen.values()):
        raise AttarError("None of these methods goes step by step from a start: leave starts out.")
    return chosen


def _add(chosen: dict[tuple[str, int], Method | Selected], name: str, budget: int, method: Method | Selected) -> None:
    if chosen.setdefault((name, budget), method) != method:
        raise AttarError(f"Two different methods are called '{name}': give each a name of its own.")


def _beside(label: str, word: str) -> str:
    """The label of a method's start, or of its chosen set; settings stay behind the name, or "lr=10-start" would be read as a
    value."""
    name, plus, settings = label.partition("+")
    return f"{name}-{word}{plus}{settings}"


def name_with_settings(name: str, settings: Mapping[str, Any]) -> str:
    """What the table, its files and the command call a method with settings: ``dm+batch=64+lr=10``.

    Settings are in alphabetical order, and those that hold nothing are left out, so that it is one name however they were
    given. What no name of a file may have, and what tells settings apart, is written as in addresses (``%2F``, ``%2B``).

    Raises:
        AttarError: if a value has no words, such as a function, or the name gets too long for a file's.
    """
    words = [f"{key}={text}" for key in sorted(settings) for text in _words(key, settings[key])]
    found = "+".join([name, *words])
    if len(quote(found, safe="")) > LONGEST:
        raise AttarError(
            f"{found[:40]}... is too long a name for files: give fewer settings or shorter values, or from Python a name of "
            "your own and the method."
        )
    return found


def _words(key: str, value: Any) -> Iterator[str]:
    """A value as it is typed; of several, each."""
    value = _plain(value)
    if isinstance(value, dict):
        for name in sorted(value, key=str):
            yield from (f"{quote(str(name), safe='')}={text}" for text in _words(key, value[name]))
    elif isinstance(value, tuple):
        for item in value:
            yield from _words(key, item)
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, int | float):
        yield repr(value).removesuffix(".0")
    elif isinstance(value, str) and value:
        yield quote(value, safe="")
    else:
        raise AttarError(f"{key}={value!r} has no words to name a row by: give a name of your own and the method.")


def _plain(value: Any) -> Any:
    """A value with Python's own numbers and collections, which the record of a method can hold."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _asked(item: Asked) -> tuple[str, _Published | Method]:
    """The label and the method that an item asks for."""
    pair = (item, {}) if isinstance(item, str) else item
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)):
        raise AttarError(
            f"{item!r} asks for no method: give a published name, or a pair of one and its settings or of a name of your own "
            "and a method, as in ('dm', {'lr': 10})."
        )
    name, method = pair
    own = not isinstance(method, Mapping)
    if isinstance(item, str) and "=" in item:
        raise AttarError(f"'{item}' is no name for a method: give its settings beside it, as in ('dm', {{'lr': 10}}).")
    if not _LABEL.fullmatch(name) or (own and name in (*WHOLE, RANDOM)):
        raise AttarError(
            f"'{name}' is no name for a method here: use letters, digits and _ . + -, and neither full, bootstrap nor random."
        )
    if isinstance(method, Mapping):
        label, settings = name_with_settings(name, method), {key: _plain(value) for key, value in method.items()}
        return label, _Published(label, name, {key: value for key, value in settings.items() if value not in ((), {})})
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
        found[name] = _Published(name, method.name, settings)
    return found


def _check_rows(name: str, method: Method, per_class: int, problem: Problem) -> None:
    """Refuse quotas by which a set is no longer of the budget that it stands under."""
    if isinstance(method, Coreset) and method.quotas:
        budget = Budget(per_class=per_class)
        made, wanted = sum(method.counts(problem, budget).values()), per_class * len(problem.members)
        if made != wanted:
            raise AttarError(
                f"The quotas of '{name}' make {made:,} rows at {per_class:,} a class, where the table compares sets of "
                f"{wanted:,}: give quotas that make as many, or leave them out."
            )
