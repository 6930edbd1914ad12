"""What a comparison tells of its methods: the settings of each and the steps that it takes, by budget, and notes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from attar import methods as published
from attar.compare.counted import Counted
from attar.compare.selected import Selected
from attar.compare.study import Study
from attar.evaluation import Score
from attar.method import Method, name_of
from attar.record import describe

__all__ = ["REDRAWN", "coreset_note", "described", "full_note"]

REDRAWN = (
    "Full data, drawn again: as many rows drawn of them with replacement (a bootstrap), anew each time. What that changes in a "
    "model's score is the chance in the rows, below which no difference counts. Repeated rows look like dependence, so that of "
    "decisions it changes far more than as many fresh rows of the source would: a bound, and no floor."
)
"""What the noise floor of a table's scores is."""


def described(study: Study) -> dict[str, list[dict[str, Any]]]:
    """The methods of a study by name, JSON values: an entry for all budgets at which all is alike.

    Returns:
        Of each entry ``per_class``, the budgets that it holds for; ``method``, the settings as `attar.record.describe` has
        them; ``changed``, the places of those that differ from what the function of its published name gives by itself,
        as in "optimisers.data.lr", or None where there is no such function; and ``steps``, None for methods that have none
        and where they are not settled yet.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for (name, per_class), method in study.methods.items():
        settled = study.settled(name, per_class) if study.takes_steps(name, per_class) else None
        alike = {"method": describe(method), "changed": _changed(method), "steps": settled.steps if settled else None}
        entries = found.setdefault(name, [])
        same = next((entry for entry in entries if entry == {"per_class": entry["per_class"], **alike}), None)
        if same is None:
            entries.append({"per_class": [per_class], **alike})
        else:
            same["per_class"].append(per_class)
    return found


def _changed(method: Method | Selected) -> list[str] | None:
    """Where its settings are others than those of the function of its name, called with nothing."""
    if isinstance(method, Selected):  # which no function gives
        return None
    # there is none, or a package's fails in its own way: neither is worth losing the table for
    with suppress(Exception):
        return list(_differences(describe(method), describe(published.find(name_of(method))())))
    return None


def _differences(record: Any, usual: Any, place: str = "") -> Iterator[str]:
    """The places where a record is not as usual; a part of another type is named, and so is each of its fields that is
    not the same."""
    if record == usual:
        return
    if isinstance(record, dict) and record.keys() == {"type", "fields"}:
        alike = usual if isinstance(usual, dict) and usual.keys() == record.keys() else {"type": None, "fields": {}}
        if record["type"] != alike["type"]:
            yield place or "type"
        record, usual = record["fields"], alike["fields"]
    if isinstance(record, dict) and isinstance(usual, dict):
        for name, value in record.items():
            yield from _differences(value, usual.get(name, ...), f"{place}.{name}".lstrip("."))
    else:
        yield place


def full_note(full: Score) -> str:
    """How long full data were trained on."""
    several = "" if full.epochs == 1 else "s"
    return f"Full data: {full.rows:,} rows, {full.epochs} epoch{several} ({full.updates:,} updates), {full.model}."


def coreset_note(counted: Counted, validated: int) -> Iterator[str]:
    """How the best coreset is found, by how many validation rows there are."""
    if validated:
        yield (
            f"The best coreset, random rows among them, is the one with the best validation {counted.metric} at a budget; "
            "no coreset has soft labels, so rows with soft labels have none to stand beside."
        )
    else:
        yield "There is no validation split, so no coreset is called the best: that would be selection on test data."
