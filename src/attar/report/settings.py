"""What each method of a comparison was made with: its settings, those that are not the usual ones first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attar.report.comparison import Table, number
from attar.report.render import unfold
from attar.report.words import listed

__all__ = ["Group", "Settings", "settings_of"]


@dataclass(frozen=True)
class Group:
    """Settings and their values in words, below a title; `usual` ones are left out on paper."""

    title: str
    rows: tuple[tuple[str, str], ...]
    usual: bool = False


@dataclass(frozen=True)
class Settings:
    """A method's settings.

    Args:
        name: what the table calls the method.
        told: the steps, and how many settings are not the usual ones.
        groups: steps, settings that are not the usual ones, and the others; of a method that was not published, all in one.
    """

    name: str
    told: str
    groups: tuple[Group, ...]


def settings_of(table: Table) -> list[Settings]:
    """The settings of each method, in the order of the table; none of a comparison that does not record them."""
    return [_settings(name, entries) for name, entries in table.settings.items()]


def _settings(name: str, entries: Sequence[Mapping[str, Any]]) -> Settings:
    rows = dict(_by_budget(entries, [dict(unfold(entry["method"])) for entry in entries]))
    counts = [number(entry.get("steps")) for entry in entries]
    steps = tuple(_by_budget(entries, [{} if count is None else {"steps": f"{count:,}"} for count in counts]))
    told = []
    if counts[0] is not None and len(set(counts)) == 1:
        told.append("1 step" if counts[0] == 1 else f"{counts[0]:,} steps")
    places: list[Any] = [entry.get("changed") for entry in entries]
    if not all(isinstance(found, list) for found in places):
        return Settings(name, ", ".join(told), (Group("", (*steps, *rows.items())),))
    changed = tuple({_spaced(place) for found in places for place in found})
    own = tuple(row for row in rows.items() if _spaced(row[0]).startswith(changed))
    usual = tuple(row for row in rows.items() if row not in own)
    published = rows.get("name", name)
    several = f"{len(own)} settings differ from" if len(own) > 1 else "1 setting differs from"
    told.append(f"{several if own else 'all settings are'} the defaults of {published}")
    groups = (
        Group("", steps),
        Group(f"Other than the defaults of {published}", own),
        Group(f"Defaults of {published}", usual, usual=True),
    )
    return Settings(name, ", ".join(told), tuple(group for group in groups if group.rows))


def _spaced(place: Any) -> str:
    """A place among settings with no dots, and a space behind it, so that "lr" is no beginning of "lr_model"."""
    return f"{place} ".replace(".", " ")


def _by_budget(entries: Sequence[Mapping[str, Any]], values: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Each setting with its value, or where it is not the same at all budgets with the budgets of each."""
    for name in dict.fromkeys(name for found in values for name in found):
        budgets: dict[str, list[str]] = {}
        for entry, found in zip(entries, values, strict=True):
            if name in found:
                budgets.setdefault(found[name], []).extend(map(str, entry["per_class"]))
        if len(budgets) == 1 and all(name in found for found in values):
            yield name, next(iter(budgets))
        else:
            yield name, "; ".join(f"{value} at {listed(at)} a class" for value, at in budgets.items())
