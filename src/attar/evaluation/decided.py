"""Judging a table by what it decides: how many decisions on independence a set's rows draw as all training rows do."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from attar.causal.independence import suited
from attar.data import table_of
from attar.errors import AttarError
from attar.evaluation.causal import CausalReference
from attar.evaluation.decisions import DECISIONS, MOST_GIVEN, QUESTIONS
from attar.tables import Column, Table, as_numbers
from attar.types import Problem

__all__ = ["KERNEL_WORK", "check", "decided", "kernel_tests", "read_alike", "suits"]

KERNEL_WORK = 200_000
"""Rows times pairs of columns that are tested by kernels, where no number of tests is asked for."""

CELLS = 20_000
"""Cells of the contingency table of the four columns with the most categories, up to which G2 is quick."""

_last: list[tuple[tuple[Any, ...], tuple[Column, ...], CausalReference]] = []
"""What all training rows decided, as they are and as numbers, of the last problem that was asked: all sets of a comparison are judged
beside it."""


def kernel_tests(full: Table) -> int:
    """How many kernel tests of each number of given columns are asked of a table: each takes a millisecond and more for a thousand
    rows."""
    return max(5, KERNEL_WORK // (2 * len(full)))


def read_alike(full: Table, rows: Table) -> Table:
    """The full table as the rows have its columns: as numbers, where rows that keep moments are, else as it is."""
    other = set(rows.names) != set(full.names) or any(
        full.column(column.name).discrete != column.discrete for column in rows.columns
    )
    return as_numbers(full) if other else full


def suits(problem: Problem) -> bool:
    """Whether it may judge unasked: a table of two columns or more with a quick test."""
    schema = problem.spec.schema
    if schema is None or len(schema.names) < 2:
        return False
    full = table_of(problem)
    levels = sorted((column.levels for column in full.columns if column.discrete), reverse=True)
    test = suited(full)
    return test == "fisher_z" or (test == "g2" and math.prod(levels[: 2 + MOST_GIVEN]) <= CELLS)


def check(problem: Problem) -> None:
    """Refuse data without columns to test.

    Raises:
        AttarError: says why.
    """
    schema = problem.spec.schema
    if schema is None or len(schema.names) < 2:
        what = "no table" if schema is None else "a table of one column"
        raise AttarError(
            f"'{DECISIONS}' judges pairs of columns of a table, and {problem.spec.name} is {what}: leave it out of the models."
        )


def decided(rows: Table, problem: Problem) -> dict[str, float]:
    """The shares of decisions on independence that are alike, lost and invented, beside those of all training rows.

    Args:
        rows: of the problem's columns, read by their weights at the size that they stand for: that they state, or where they have
            weights and state none that of all training rows.
        problem: of a table.

    Returns:
        "equal", and "lost" and "invented" where there is something to lose or to invent.

    Raises:
        AttarError: if the problem is no table, or the test does not read the rows.
    """
    reference = _reference(problem, rows)
    if rows.weight is not None and rows.n_represented is None:
        rows = rows.replace(n_represented=reference.size)
    scores = reference.judge(rows)
    if isinstance(scores.decisions, str):
        raise AttarError(scores.decisions)
    shares = {name: scores.measures.get(f"decisions.{name}") for name in ("equal", "lost", "invented")}
    return {name: share for name, share in shares.items() if share is not None}


def _reference(problem: Problem, rows: Table) -> CausalReference:
    """What all training rows decide, as the rows have their columns; where tests are drawn, the same ones for every set. Of the same
    tensors, which nobody changes in place, it is worked out once."""
    full = read_alike(table_of(problem), rows)
    key = (problem.train.x, problem.train.y, problem.spec.schema)
    _last[:] = [entry for entry in _last if all(a is b for a, b in zip(entry[0], key, strict=True))]
    found = next((reference for _, columns, reference in _last if columns == full.columns), None)
    if found is None:
        most = kernel_tests(full) if suited(full) == "kernel" else QUESTIONS.most
        found = CausalReference.of(full, replace(QUESTIONS, most=most), bootstraps=0)
        _last.append((key, full.columns, found))
    return found
