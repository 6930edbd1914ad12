"""What a comparison is given, made sense of before any work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from attar import data as datasets
from attar.types import AttarError, Budget, Problem

__all__ = ["VALIDATION", "check_numbers", "cores", "distinct", "problem_of"]

VALIDATION = 0.1
"""Share of the training rows that is cut for choosing the best coreset, where the data bring no validation split."""


def problem_of(data: str | os.PathLike[str] | Problem, validation: float | None, options: dict[str, Any]) -> Problem:
    """The data, with validation rows where they are named and bring none.

    Raises:
        AttarError: if a problem comes with options.
    """
    if not isinstance(data, Problem):
        share = VALIDATION if validation is None else validation
        return datasets.find(os.fspath(data), validation=share, **options)
    if validation is not None or any(value is not None for value in options.values()):
        raise AttarError(
            "A problem is compared on as it is: give validation, data_dir, test, size and zca where it is loaded."
        )
    return data


def check_numbers(
    budgets: Sequence[int],
    seeds: int,
    runs: int,
    workers: int | None,
    steps: int | None,
    time_budget: float | None,
    candidates: int | None,
) -> None:
    """Refuse numbers that compare nothing.

    Raises:
        AttarError: naming the argument.
    """
    for name, value in {"seeds": seeds, "runs": runs, "workers": workers}.items():
        if value is not None and value < 1:
            raise AttarError(f"{name}={value} compares nothing: give 1 or more.")
    if candidates is not None and candidates < 2:
        raise AttarError(f"candidates={candidates} leaves nothing to choose among: give 2 or more.")
    if steps is not None and steps < 0:
        raise AttarError(f"steps={steps} is negative: give the number of steps.")
    if time_budget is not None and not time_budget > 0:
        raise AttarError(f"A time budget of {time_budget} seconds leaves no time: give more than 0.")
    if not budgets:
        raise AttarError("There is no budget to compare at: give rows a class, as in per_class=(1, 10).")
    for per_class in budgets:
        Budget(per_class=per_class)


def distinct(items: Sequence[Any]) -> list[Any]:
    """Each once, in order; a single one may stand alone."""
    return list(dict.fromkeys([items] if isinstance(items, str | int) else items))


def cores(device: str) -> int:
    """Workers where no number is given."""
    if device.startswith("cuda"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
