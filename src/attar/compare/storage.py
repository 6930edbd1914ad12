"""The table at equal bytes: what each method does with as much storage as random rows take at each budget.

Rows a class are no fair measure where a set stores more than its rows: soft labels, shared bases, a decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from attar.compare.rows import Row
from attar.compare.study import RANDOM

__all__ = ["Storage", "at_equal_bytes", "left_out", "left_out_sentence"]


@dataclass(frozen=True)
class Storage:
    """Rows of the table that fit the same storage.

    Args:
        model: name of the network.
        per_class: the budget whose random rows take so much.
        bytes: that much.
        rows: of every method and kind of labels the largest set measured that fits, random rows first. Their differences
            are to the random rows among them that have the same labels; what is said of a budget (the best coreset,
            DD-Ranking's scores) is left out.
    """

    model: str
    per_class: int
    bytes: int
    rows: tuple[Row, ...]


def at_equal_bytes(rows: Sequence[Row]) -> list[Storage]:
    """The table by storage, network by network, from the least up.

    A method's set appears once, at the least storage that it fits; one that is larger than random rows of every budget has
    no place (see `left_out`).
    """
    found = []
    for model in dict.fromkeys(row.model for row in rows):
        here, limits = _sets_of(rows, model)
        before = -1
        for limit, per_class in limits:
            fitting = list(_largest(here, before, limit))
            found.append(Storage(model, per_class, limit, tuple(_beside(row, fitting) for row in fitting)))
            before = limit
    return found


def left_out(rows: Sequence[Row]) -> list[Row]:
    """Rows of the table of sets that take more storage than random rows of every budget."""
    found = []
    for model in dict.fromkeys(row.model for row in rows):
        here, limits = _sets_of(rows, model)
        most = limits[-1][0] if limits else 0
        found += [row for row in here if (row.bytes or 0) > most]
    return found


def left_out_sentence(sets: Iterable[str]) -> str:
    """That sets have no place in the table, each of them in words."""
    return f"Left out, as they take more than random rows of every budget: {'; '.join(sets)}."


def _sets_of(rows: Sequence[Row], model: str) -> tuple[list[Row], list[tuple[int, int]]]:
    """A network's rows of the table that are of sets, and what random rows take: bytes and budget, from the least up."""
    here = [row for row in rows if row.model == model and row.per_class is not None and row.bytes is not None]
    return here, sorted({(row.bytes or 0, row.per_class or 0) for row in here if _is_plain_random(row)})


def _largest(rows: Sequence[Row], above: int, limit: int) -> Iterator[Row]:
    """Of every method and kind of labels its largest set above one storage and within another."""
    for kind in dict.fromkeys(map(_kind, rows)):
        alike = [row for row in rows if _kind(row) == kind and above < (row.bytes or 0) <= limit]
        if alike:
            yield max(alike, key=lambda row: row.bytes or 0)


def _beside(row: Row, here: Sequence[Row]) -> Row:
    """A row with what it is worth beside the others of its storage."""
    labels_from = None if row.labels == "hard" else row.method
    random = next((one for one in here if one.method == RANDOM and one.labels_from == labels_from), None)
    return replace(
        row,
        against_random=None if random is None or row.method == RANDOM else row.against(random),
        against_best_coreset=None,
        best_coreset=None,
        label_robust=None,
        augmentation_robust=None,
    )


def _kind(row: Row) -> tuple[str, str | None, str | None]:
    return row.method, row.labels, row.labels_from


def _is_plain_random(row: Row) -> bool:
    return row.method == RANDOM and row.labels == "hard" and row.labels_from is None
