"""What is said of a set whose rows were chosen and not made: they are its source's own, with its terms and whoever is in them; and
of one that was itself chosen, among the candidates of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["LEFT_OUT", "SELECTED", "chosen", "named"]

SELECTED, LEFT_OUT = "selected.csv", "left_out.csv"
"""Which rows were chosen, and which were left out as near-duplicates; both beside the set."""


def chosen(rows: int, made_by: Mapping[str, Any], left_out: int) -> str:
    """Where chosen rows come from, what was left out and what they repeat: "30 real rows of digits, unchanged since ...".

    Args:
        rows: in the set.
        made_by: the set's record. Near-duplicates are spoken of where it says that they were looked for.
        left_out: near-duplicates that are listed beside the set.
    """
    one = rows == 1
    parts = [
        f"{rows:,} real row{'' if one else 's'} of {made_by.get('data', 'the source')}, "
        f"unchanged since {'it was' if one else 'they were'} read",
        f"which {'one' if one else 'ones'}: {SELECTED}",
    ]
    count = _count(made_by, "near_duplicates_left_out")
    if count is not None or left_out:
        count = left_out if count is None else count
        listed = f" ({LEFT_OUT})" if left_out else ""
        parts.append(f"{count:,} near-duplicate{'' if count == 1 else 's'} left out{listed}")
    repeats = _count(made_by, "near_duplicates_of_test_rows")
    if repeats is not None:
        parts.append(f"{repeats:,} nearly {'repeats' if repeats == 1 else 'repeat'} a test row")
    return "; ".join(parts)


def named(made_by: Mapping[str, Any], unnamed: str = "") -> str:
    """The method of a set, "dm"; of one that was chosen along a run "dm, chosen on validation rows (step 400 of 1,000)".

    Args:
        made_by: the set's record.
        unnamed: where it names no method.
    """
    name, selection = str(made_by.get("name", unnamed)), made_by.get("selection")
    if not isinstance(selection, Mapping):
        return name
    step, steps = _count(selection, "step"), _count(selection, "steps")
    return name if step is None or steps is None else f"{name}, chosen on validation rows (step {step:,} of {steps:,})"


def _count(made_by: Mapping[str, Any], name: str) -> int | None:
    """A count of the record, which may be another's and hold anything."""
    value = made_by.get(name)
    return value if type(value) is int else None
