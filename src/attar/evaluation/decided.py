"""Judging a table by what it decides: how many decisions on independence a set's rows draw as all training rows do."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from attar.causal.independence import suited
from attar.data import table_of
from attar.errors import AttarError
from attar.evaluation.causal import CausalReference
from attar.evaluation.structure import QUESTIONS
from attar.tables import Table, as_numbers
from attar.types import Problem

__all__ = ["KERNEL_WORK", "decided", "kernel_tests", "read_alike", "suits"]

KERNEL_WORK = 200_000
"""Rows times pairs of columns that are tested by kernels without being asked for."""

_last: dict[bool, tuple[Tensor, CausalReference]] = {}
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
    """Whether it may judge unasked: a table of two columns or more whose test is quick, as all are numbers, or all categories."""
    schema = problem.spec.schema
    return schema is not None and len(schema.names) > 1 and suited(table_of(problem)) != "kernel"


def decided(rows: Table, problem: Problem) -> dict[str, float]:
    """The shares of decisions on independence that are alike, lost and invented, beside those of all training rows.

    Args:
        rows: of the problem's columns, read by their weights at the size that they stand for.
        problem: of a table.

    Returns:
        "equal", and "lost" and "invented" where there is something to lose or to invent.

    Raises:
        AttarError: if the problem is no table, or the test does not read the rows.
    """
    scores = _reference(read_alike(table_of(problem), rows), problem.train.x).judge(rows)
    if isinstance(scores.decisions, str):
        raise AttarError(scores.decisions)
    shares = {name: scores.measures.get(f"decisions.{name}") for name in ("equal", "lost", "invented")}
    return {name: share for name, share in shares.items() if share is not None}


def _reference(full: Table, key: Tensor) -> CausalReference:
    """What all training rows decide; where tests are drawn, the same ones for every set."""
    numbers = all(not column.discrete for column in full.columns)
    if numbers not in _last or _last[numbers][0] is not key:
        most = kernel_tests(full) if suited(full) == "kernel" else QUESTIONS.most
        _last[numbers] = key, CausalReference.of(full, replace(QUESTIONS, most=most), bootstraps=0)
    return _last[numbers][1]
