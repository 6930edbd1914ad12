"""What a comparison is given, made sense of before any work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from attar import data as datasets
from attar.evaluation import Protocol, judges
from attar.evaluation.decided import suits
from attar.evaluation.decisions import DECISIONS
from attar.evaluation.evaluate import default_models
from attar.types import AttarError, Budget, Problem

__all__ = [
    "BUDGETS",
    "VALIDATION",
    "check_budgets",
    "check_judges",
    "check_numbers",
    "cores",
    "distinct",
    "judges_of",
    "problem_of",
]

BUDGETS = (1, 10, 50)
"""Rows of each class where none are asked for."""

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


def judges_of(problem: Problem, protocol: Protocol) -> tuple[str, ...]:
    """The models where none are asked for; of a table whose test is quick its decisions on independence, too."""
    names = tuple(default_models(problem, protocol))
    return (*names, DECISIONS) if DECISIONS not in names and suits(problem) else names


def check_budgets(per_class: Sequence[int] | None, rows: Sequence[int] | None, problem: Problem | None = None) -> None:
    """Refuse budgets that are said twice, or in rows where there are classes.

    Raises:
        AttarError: says what to give.
    """
    if per_class is not None and rows is not None:
        raise AttarError(
            "Budgets are rows of each class, or rows of data without classes: give per_class or rows, not both."
        )
    if rows is not None and problem is not None and problem.spec.class_names:
        raise AttarError(
            f"{problem.spec.name} has classes, of each of which as many rows are kept: give per_class (--per-class) in place of rows."
        )


def check_judges(names: Sequence[str], budgets: Sequence[int], problem: Problem) -> None:
    """Refuse, before any work, models that have nothing to be scored on or cannot be fitted to the rows of a budget, and budgets of
    more rows than there are.

    Raises:
        AttarError: says which.
    """
    if len(problem.test) == 0 and any(map(judges.learns, names)):
        raise AttarError(f"{problem.spec.name} has no test rows to score networks on.")
    there = [len(ids) for ids in problem.members.values()]
    for budget in budgets:
        judges.check_rows(names, budget, sum(Budget(per_class=budget).counts(there, problem.spec.class_names)))


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
