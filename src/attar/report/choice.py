"""The rows that a coreset chose, as its page shows them: what each is called in the source, and a table of why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Chosen", "ChosenRow", "chosen_rows"]

LISTED = 200  # rows of the table; selected.csv has all
_TITLES = {"class": "class", "score": "score", "represents": "stands for", "weight": "weight", "reason": "why"}
_TEXT = ("class", "reason")


@dataclass(frozen=True)
class ChosenRow:
    """A row of the source.

    Args:
        name: its number, or its file.
        short: the number, or the file without its folders.
    """

    name: str
    short: str


@dataclass(frozen=True)
class Chosen:
    """All that were chosen.

    Args:
        rows: in the order of the images.
        columns: titles of the table after the row itself, and whether they are of numbers.
        lines: cells of the table in words, for the first rows.
        more: how many rows the table leaves out.
    """

    rows: tuple[ChosenRow, ...]
    columns: tuple[tuple[str, bool], ...]
    lines: tuple[tuple[str, ...], ...]
    more: int


def chosen_rows(records: Sequence[Mapping[str, Any]], images: int) -> Chosen | None:
    """The table of `attar.Distilled.selected`; None where it has no record for each image.

    Args:
        records: one an image, in the same order.
        images: how many there are.
    """
    if not records or len(records) != images:
        return None
    names = [str(record.get("row", place)) for place, record in enumerate(records)]
    kept = [key for key in _TITLES if any(key in record for record in records)]
    return Chosen(
        rows=tuple(ChosenRow(name, name.rpartition("/")[2] or name) for name in names),
        columns=tuple((_TITLES[key], key not in _TEXT) for key in kept),
        lines=tuple(tuple(_text(record.get(key)) for key in kept) for record in records[:LISTED]),
        more=max(len(records) - LISTED, 0),
    )


def _text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.6g}"
    return "" if value is None else str(value)
