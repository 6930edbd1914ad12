"""How many rows of each class a budget gives, and so many drawn at random."""

from __future__ import annotations

import torch
from torch import Tensor

from attar.types import Budget, Problem

__all__ = ["budget_counts", "random_rows"]


def budget_counts(problem: Problem, budget: Budget) -> dict[int | None, int]:
    """Rows that the budget gives each group of the training set."""
    sizes = [len(rows) for rows in problem.members.values()]
    return dict(zip(problem.members, budget.counts(sizes, problem.spec.class_names), strict=True))


def random_rows(problem: Problem, budget: Budget, generator: torch.Generator, each: int = 1) -> Tensor:
    """Row ids ``(n,)``, class by class, drawn uniformly without replacement within each class.

    Args:
        problem: its training rows are drawn from.
        budget: how many.
        generator: of the draws.
        each: rows for each of the budget's; a class that has fewer gives them again, in the same order.
    """
    drawn = []
    for (_, rows), count in zip(problem.members.items(), budget_counts(problem, budget).values(), strict=True):
        order = torch.randperm(len(rows), generator=generator)
        drawn.append(rows[order[torch.arange(count * each) % len(rows)]])
    return torch.cat(drawn)
