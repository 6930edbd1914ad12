"""The name of a judge of tables that learns nothing: decisions on independence (see `attar.evaluation.decided`)."""

from __future__ import annotations

from attar.evaluation.conclusions import Questions

__all__ = ["DECISIONS", "METRIC", "QUESTIONS", "is_named", "note"]

DECISIONS = "decisions"
"""The judge's name among models."""

METRIC = "decisions alike"
"""What its scores are, a share."""

MOST_TESTS = 1_000
"""Of each number of given columns."""

QUESTIONS = Questions(algorithm=None, order=2, most=MOST_TESTS)


def is_named(name: str) -> bool:
    """Whether a name is this judge's."""
    return name == DECISIONS


def note() -> str:
    """A sentence on what its scores are."""
    return (
        f"{DECISIONS}: the share of decisions on independence (given up to {QUESTIONS.order} columns, at {QUESTIONS.alpha:g}, at most "
        f"{MOST_TESTS:,} tests of each number, fewer by kernels) that are those of all training rows, by G2 where all columns are "
        "categories, by Fisher's z where they are numbers, else by kernels, but of rows that were turned into numbers by Fisher's z; each "
        "set is read at the sample size that it states. "
        "Lost is the share of the dependences that are not found, invented that of the independences that are rejected."
    )
