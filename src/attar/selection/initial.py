"""Where synthetic rows start: a part is called as ``initial(problem, budget, generator, each=1) -> Batch``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import torch
from torch.nn import functional as F

from attar.selection.clusters import class_centroids
from attar.selection.geometry import herding
from attar.selection.random_rows import budget_counts, random_rows
from attar.types import AttarError, Batch, Budget, Problem

__all__ = ["INITIALS", "Herding", "Initial", "InitialName", "KMeans", "Noise", "RandomReal", "Smoothed"]


class Initial(Protocol):
    """Starting rows, class by class, on the device of the problem.

    `each` rows for each of the budget's, for parameterisations that store several rows in one (see `attar.synthetic`).
    """

    def __call__(self, problem: Problem, budget: Budget, generator: torch.Generator, each: int = 1) -> Batch: ...


@dataclass(frozen=True)
class Noise:
    """Standard Gaussian noise in normalised units."""

    def __call__(self, problem: Problem, budget: Budget, generator: torch.Generator, each: int = 1) -> Batch:
        counts = budget_counts(problem, budget)
        if None in counts:  # numbers to predict, or nothing
            y = problem.train.take(random_rows(problem, budget, generator, each)).y
            rows = counts[None] * each
        else:
            y = torch.cat([torch.full((count * each,), group) for group, count in counts.items() if group is not None])
            rows = len(y)
        x = torch.randn((rows, *problem.train.x.shape[1:]), generator=generator, dtype=problem.train.x.dtype)
        return _rows(problem, x, y)


@dataclass(frozen=True)
class RandomReal:
    """Real rows, drawn at random within each class."""

    def __call__(self, problem: Problem, budget: Budget, generator: torch.Generator, each: int = 1) -> Batch:
        return problem.train.take(random_rows(problem, budget, generator, each))


@dataclass(frozen=True)
class KMeans:
    """The centroids of each class under k-means on normalised values."""

    def __call__(self, problem: Problem, budget: Budget, generator: torch.Generator, each: int = 1) -> Batch:
        return _rows(problem, *class_centroids(problem, budget, generator, each))


@dataclass(frozen=True)
class Herding:
    """Real rows of each class whose mean follows the class's (see `attar.selection.geometry.herding`), on normalised values;
    a class that has fewer than are wanted gives them again, in the same order."""

    def __call__(self, problem: Problem, budget: Budget, generator: torch.Generator, each: int = 1) -> Batch:
        chosen = []
        for group, count in budget_counts(problem, budget).items():
            rows = problem.members[group]
            values = problem.train.take(rows.to(problem.train.x.device)).x.flatten(1).cpu()
            order = herding(values, min(count * each, len(rows))).rows
            chosen.append(rows[order[torch.arange(count * each) % len(order)]])
        return problem.train.take(torch.cat(chosen).to(problem.train.x.device))


@dataclass(frozen=True)
class Smoothed:
    """Soft labels between a row's own class and all classes alike: where labels are learned as logits, which move from certainty
    too slowly to be learned.

    Args:
        initial: gives the rows.
        share: of all classes alike, in (0, 1); the rest is the row's own.
    """

    initial: Initial = field(default_factory=RandomReal)
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise AttarError(f"A share of {self.share} leaves no soft label of a class: give one between 0 and 1.")

    def __call__(self, problem: Problem, budget: Budget, generator: torch.Generator, each: int = 1) -> Batch:
        batch = self.initial(problem, budget, generator, each)
        classes = len(problem.task.groups)
        assert batch.y is not None
        own = F.one_hot(batch.y, classes).to(batch.x.dtype) if batch.y.dim() == 1 else batch.y
        return batch.replace(y=own * (1 - self.share) + self.share / classes)


InitialName: TypeAlias = Literal["real", "noise", "kmeans", "herding"]

INITIALS: Mapping[InitialName, Initial] = {
    "real": RandomReal(),
    "noise": Noise(),
    "kmeans": KMeans(),
    "herding": Herding(),
}
"""Starting values by the name that methods and the command line take."""


def named(name: InitialName) -> Initial:
    """The starting values of a name in `INITIALS`.

    Raises:
        AttarError: if there is none.
    """
    if name not in INITIALS:
        raise AttarError(f"There are no starting values '{name}': give {', '.join(INITIALS)}.")
    return INITIALS[name]


def _rows(problem: Problem, x: torch.Tensor, y: torch.Tensor | None) -> Batch:
    blank = {"weight": None, "attribute": None, "views": None}
    return (
        problem.train.take(torch.tensor([], dtype=torch.long)).replace(x=x, y=y, **blank).to(problem.task.plan.device)
    )
