"""From a column as it is found to a column of a table: its kind, its categories, and the code of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from attar.data.delimited import NUMBER
from attar.data.raw_columns import DATE, RawColumn, Source, dates_refused
from attar.errors import AttarError
from attar.tables.columns import Column, Kind

__all__ = ["FEW", "MOST", "Asked", "as_column", "check_values", "typed"]

Asked: TypeAlias = Kind | Sequence[str | float] | None
"""What a user calls a column: its kind, or the order of its categories; None leaves it to the rules."""

FEW = 10
"""Whole numbers with at most so many different values are categories with an order."""

PER_VALUE = 5
"""... if there are so many rows for each of them."""

MOST = 256
"""A column of more different words is not taken for categories unless a user says so."""


def typed(raw: RawColumn, asked: Asked, source: Source) -> tuple[Column, np.ndarray]:
    """What a column is by the rules of `tabular.read`, and its values ``(n,)``: numbers or codes, NaN where one is missing.

    Raises:
        AttarError: if its values do not suit the kind.
    """
    if asked is not None and not isinstance(asked, str):
        column = Column(raw.name, "ordinal", tuple(map(_plain, asked)))
        if column.levels > len(source):
            raise AttarError(_too_many(column.name, column.levels, source))
        return column, _codes(raw, column, source)
    check_values(raw, source)
    kind: Kind = asked or raw.declared or _kind(raw, source)  # type: ignore[assignment]
    if kind == "continuous":
        numbers = _numbers(raw, source)
        low, high = float(raw.levels.min()), float(raw.levels.max())
        return Column(raw.name, kind, low=low, high=high, whole=_whole(raw)), numbers
    if kind == "ordinal" and not raw.numeric and raw.declared != "ordinal":
        raise AttarError(
            f"Column '{raw.name}' of {source.where} holds words, whose order is not known: give it by "
            f"types={{'{raw.name}': [{', '.join(map(repr, raw.levels[:2]))}, ...]}}."
        )
    if len(raw.levels) > 2 and len(raw.levels) >= len(source):
        raise AttarError(_too_many(raw.name, len(raw.levels), source))
    column = Column(raw.name, kind, tuple(map(_plain, raw.levels.tolist())))
    return column, np.where(raw.codes < 0, np.nan, raw.codes.astype(np.float64))


def check_values(raw: RawColumn, source: Source) -> None:
    """Refuse a column without any value."""
    if not len(raw.levels):
        raise AttarError(f"Column '{raw.name}' of {source.where} holds no values: {_without(raw.name)}.")


def as_column(raw: RawColumn, column: Column, source: Source) -> np.ndarray:
    """The values ``(n,)`` of a column that is known already, from another part of the same table.

    Raises:
        AttarError: if it holds something else.
    """
    return _codes(raw, column, source) if column.discrete else _numbers(raw, source)


def _kind(raw: RawColumn, source: Source) -> Kind:
    """The kind of a column of which nobody said anything."""
    count = len(raw.levels)
    if not raw.numeric:
        numbers = np.array([NUMBER.fullmatch(level) is not None for level in raw.levels])
        if numbers.any():
            odd = raw.first(int(np.argmax(numbers if numbers.mean() < 0.5 else ~numbers)))
            raise AttarError(
                f"Column '{raw.name}' of {source.where} holds numbers and words ('{raw.levels[raw.codes[odd]]}' in "
                f"{source.at(odd)}): mend it, or call all of them words by types={{'{raw.name}': 'categorical'}}."
            )
        if all(map(DATE.fullmatch, raw.levels)):
            raise dates_refused(raw.name)
        if MOST < count < len(source):
            raise AttarError(
                f"Column '{raw.name}' of {source.where} has {count:,} categories, more than {MOST}: put rare ones together, leave "
                f"it out by types={{'{raw.name}': 'drop'}}, or insist by types={{'{raw.name}': 'categorical'}}."
            )
        return "categorical"
    if not _whole(raw) or count > max(2, min(FEW, len(source) // PER_VALUE)):
        return "continuous"
    return "categorical" if count <= 2 else "ordinal"


def _whole(raw: RawColumn) -> bool:
    return bool((raw.levels == np.round(raw.levels)).all())


def _numbers(raw: RawColumn, source: Source) -> np.ndarray:
    """The values of a continuous column ``(n,)``."""
    if not raw.numeric:
        word = next(code for code, level in enumerate(raw.levels) if not NUMBER.fullmatch(level))
        raise AttarError(
            f"Column '{raw.name}' of {source.where} is to be continuous, and holds '{raw.levels[word]}' in "
            f"{source.at(raw.first(word))}: mend it, or leave this row out."
        )
    endless = np.flatnonzero(np.isinf(raw.levels))
    if len(endless):
        raise AttarError(
            f"Column '{raw.name}' of {source.where} holds an infinite number in {source.at(raw.first(int(endless[0])))}: mend "
            "it, or leave this row out."
        )
    return np.append(raw.levels, np.nan)[raw.codes]  # a missing value has the code -1, which is the last


def _codes(raw: RawColumn, column: Column, source: Source) -> np.ndarray:
    """The codes ``(n,)`` of a discrete column whose categories are known."""
    place = {_key(category): code for code, category in enumerate(column.categories)}
    place |= {category: code for code, category in enumerate(column.categories)}
    known = [place.get(level, place.get(_key(level))) for level in raw.levels.tolist()]
    if known and all(code is None for code in known) and not raw.numeric:
        # the test part of UCI adult ends its classes with a full stop
        known = [place.get(level.removesuffix(".")) for level in raw.levels]
    if None in known:
        strange = known.index(None)
        raise AttarError(
            f"Column '{raw.name}' of {source.where} holds '{_plain(raw.levels[strange])}' in "
            f"{source.at(raw.first(strange))}, which is not among its categories {_listed(column.categories)}: add it to them, or "
            "leave such rows out."
        )
    return np.array([*known, np.nan], dtype=np.float64)[raw.codes]


def _key(value: str | float) -> str | float:
    """What makes 1, 1.0 and "1" the same category."""
    return float(value) if not isinstance(value, str) or NUMBER.fullmatch(value) else value


def _plain(value: Any) -> str | float:
    """A category as a user would write it: 2 and not 2.0, "True" and not a truth value."""
    if isinstance(value, str | bool | np.bool_):
        return str(value)
    number = float(value)
    return int(number) if number.is_integer() else number


def _listed(categories: Sequence[str | float]) -> str:
    more = f" and {len(categories) - 8} more" if len(categories) > 8 else ""
    return ", ".join(map(str, categories[:8])) + more


def _too_many(name: str, count: int, source: Source) -> str:
    return (
        f"Column '{name}' of {source.where} has {count:,} categories and the table {len(source):,} rows, so that nothing can be "
        f"learned of them: {_without(name)}."
    )


def _without(name: str) -> str:
    return f"leave it out by types={{'{name}': 'drop'}}"
