"""From rows that keep something of a table to a distilled one whose card says what they keep, and in how many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attar.causal import agreement, independence
from attar.distilled.tables import DistilledTable, label_form
from attar.evaluation.decisions import MOST_TESTS, QUESTIONS
from attar.tables import Table
from attar.types import AttarError, Problem

__all__ = ["LEVEL", "beyond", "changed_decisions", "enough", "fewer", "made"]

LEVEL = QUESTIONS.alpha
"""Of the tests of independence that are counted."""


def enough(most: int, needed: int, what: str) -> None:
    """Refuse a budget of fewer rows than are needed.

    Raises:
        AttarError: saying how many are.
    """
    if most < needed:
        raise AttarError(
            f"The budget allows {most} row{'' if most == 1 else 's'}, and {needed} are needed, {what}: give --rows {needed} or more."
        )


def changed_decisions(rows: Table, table: Table, within: Sequence[tuple[Sequence[str], int]]) -> tuple[int, int, int]:
    """How many tests by G2 rows and table were asked for, within columns and up to an order of given ones each, and how many
    dependences the rows lose and invent; of none where soft rows have too many cells to count."""
    tests = lost = invented = 0
    for names, given in within:
        if len(names) < 2:
            continue
        try:
            mine, theirs = (
                independence(each.only(names), "g2", given, LEVEL, most=MOST_TESTS) for each in (rows, table)
            )
        except AttarError:
            return 0, 0, 0
        found = agreement(mine, theirs)
        tests, lost, invented = tests + found.tests, lost + found.lost_count, invented + found.invented_count
    return tests, lost, invented


def beyond(rows: Table, table: Table, order: int) -> str:
    """What becomes of tests that read more than the families that are kept."""
    tests, lost, invented = changed_decisions(rows, table, [(table.names, order)])
    said = "Beyond these families nothing is kept, so p-values of tests of other columns are not valid, nor graphs that read them."
    if not tests:
        return said
    alike = 100 * (1 - (lost + invented) / tests)
    return (
        f"{said} Of {tests:,} tests of independence of all columns given up to {order} (G2 at {LEVEL}) {alike:.1f} % are decided as by "
        f"the training rows; dependences lost: {lost:,}, invented: {invented:,}."
    )


def fewer(rows: Table, most: int) -> list[str]:
    """That all that is kept is kept in fewer rows than the budget allows, where it is."""
    suffice = "1 row suffices" if len(rows) == 1 else f"{len(rows):,} rows suffice"
    return [f"{suffice} for all that is kept; {most:,} were asked for."] if len(rows) < most else []


def made(
    problem: Problem, rows: Table, keeps: Sequence[str], warnings: Sequence[str], record: dict[str, Any]
) -> DistilledTable:
    """The rows with their record, and with the target and treatment of the problem where they have these columns."""
    schema = problem.spec.schema
    named = {name if name in rows.names else "" for name in (schema.target, schema.treatment)}
    target = schema.target if schema.target in named else ""
    treatment = schema.treatment if schema.treatment in named else ""
    form = label_form(rows, schema)
    return DistilledTable(rows, target, treatment, tuple(keeps), tuple(warnings), record, form)
