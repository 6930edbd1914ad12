"""Rows by methods that know of no structure: centres of clusters, rows that cover all others, and rows that `dm` and `kip` learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

import attar
from attar.data.tables import of_table
from attar.data.tabular import Reading
from attar.methods.rows import of_tables
from attar.tables import Table

STEPS = 300  # of those that learn rows
TITLES = {
    "kmeans": "k-means, weighted",
    "agglomerative": "agglomerative, weighted",
    "facility_location": "facility location, weighted",
    "dm": f"`dm`, {STEPS} steps",
    "kip": f"`kip`, {STEPS} steps",
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "kmeans": {"weighted": True},
    "agglomerative": {"weighted": True},
    "facility_location": {"weighted": True},
    "dm": {},
    "kip": {"batch": 1024},
}


def numbers_a_row(name: str, table: Table, target: str) -> int:
    """How many numbers a row by a method holds: chosen rows a code a column, made ones a probability a category of all columns but
    the target, which is a class; and the weight."""
    inputs = [column for column in table.columns if column.name != target]
    chosen = name == "facility_location"
    return sum(1 if chosen else column.levels for column in inputs) + 1 + ("weighted" in SETTINGS[name])


def rows_by(name: str, table: Table, rows: int, target: str = "", seed: int = 0, **settings: Any) -> Table:
    """Rows by a method as the columns that they stand for, as `attar.distill` gives them.

    Args:
        name: of the method.
        table: all of its rows are seen by the method.
        rows: how many.
        target: the column that is predicted; "" for none.
        seed: of the method.
        settings: in place of `SETTINGS`.
    """
    # no row is set aside: rows for tests are brought, and nothing is scored on them
    brought = Reading(table.take(torch.arange(2)), torch.arange(2)) if target else None
    problem = of_table(Reading(table, torch.arange(len(table))), "benchmark", target, test=brought)
    budget = attar.Budget(size=rows)
    method = of_tables(name, budget, {**SETTINGS[name], **settings})
    steps = STEPS if name in ("dm", "kip") else None
    return attar.distill(method, problem, budget, steps=steps, seed=seed).value.data  # type: ignore[return-value]


def readings(title: str, rows: Table, size: float) -> dict[str, Table]:
    """The rows read at the number of all rows, and at their own."""
    return {
        f"{title}, read at all rows": rows.replace(n_represented=size),
        f"{title}, read at their own number": rows.replace(n_represented=None),
    }
