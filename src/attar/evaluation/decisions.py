"""The name of a judge of tables that learns nothing: decisions on independence (see `attar.evaluation.decided`)."""

from __future__ import annotations

from attar.evaluation.conclusions import Questions

__all__ = ["DECISIONS", "METRIC", "MOST_GIVEN", "MOST_TESTS", "QUESTIONS", "is_named", "note"]

DECISIONS = "decisions"
"""The judge's name among models."""

METRIC = "decisions alike"
"""What its scores are, a share."""

MOST_TESTS = 1_000
"""Of each number of given columns."""

MOST_GIVEN = 2
"""Columns."""

QUESTIONS = Questions(algorithm=None, order=MOST_GIVEN, most=MOST_TESTS)


def is_named(name: str) -> bool:
    """Whether a name is this judge's."""
    return name == DECISIONS


def note() -> str:
    """A sentence on what its scores are."""
    return (
        f"{DECISIONS}: the share of decisions on independence (given up to {QUESTIONS.order} columns, at {QUESTIONS.alpha:g}, at most "
        f"{MOST_TESTS:,} tests of each number, fewer by kernels) that are those of all training rows. G2 tests categories, Fisher's z "
        "numbers with columns of two categories among them, and a kernel numbers beside columns of more; rows that were turned into "
        "numbers are tested by Fisher's z beside all rows turned into numbers. Rows are read at the sample size that they state, weighted "
        "rows that state none at that of all rows, and others at their own number. "
        "Lost is the share of the dependences that are not found, invented that of the independences that are rejected."
    )
