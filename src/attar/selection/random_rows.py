"""How many rows of each class a budget gives, and so many drawn at random."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attar.types import AttarError, Budget, Problem

__all__ = ["budget_counts", "counts_beside_quotas", "random_rows"]


def budget_counts(problem: Problem, budget: Budget) -> dict[int | None, int]:
    """Rows that the budget gives each group of the training set."""
    sizes = [len(rows) for rows in problem.members.values()]
    return dict(zip(problem.members, budget.counts(sizes, problem.spec.class_names), strict=True))


def counts_beside_quotas(
    budget: Budget, available: Sequence[int], names: Sequence[str], quotas: Sequence[int | None]
) -> list[int]:
    """Rows to keep of each group, quotas in place of what the budget gives.

    A budget of rows in all stays one: groups without a quota share what the quotas leave of it as they would share a budget.
    Where that is less than a row each, the largest of them have one row.

    Args:
        budget: how many rows to keep.
        available: training rows of each group.
        names: the groups' names, for errors.
        quotas: rows of each group, None for those without a quota.

    Raises:
        AttarError: if the budget does not fit the groups, or the quotas not the budget.
    """
    counts = budget.counts(available, names)
    free = [group for group, quota in enumerate(quotas) if quota is None]
    shares = {group: counts[group] for group in free}
    asked, total = sum(quota for quota in quotas if quota is not None), sum(counts)
    if budget.per_class is None and len(free) < len(quotas):
        rest, there = total - asked, sum(available[group] for group in free)
        if rest < 0:
            raise AttarError(
                f"The quotas are {asked} rows in all, more than the {total} of the budget: lower them, or raise the budget."
            )
        if rest > there:
            raise AttarError(
                f"The quotas take {asked} of the budget's {total} rows and leave {rest} to {len(free)} classes of {there} "
                "training rows in all: raise the quotas, or lower the budget."
            )
        if rest >= len(free) > 0:
            of_rest = Budget(size=rest).counts([available[group] for group in free], [names[group] for group in free])
            shares = dict(zip(free, of_rest, strict=True))
        else:
            largest = sorted(free, key=lambda group: -available[group])[:rest]
            shares = {group: int(group in largest) for group in free}
    return [shares[group] if quota is None else quota for group, quota in enumerate(quotas)]


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
