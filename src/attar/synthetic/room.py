"""The room that a parameterisation has: the bytes of the budget's rows, labels and all."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from attar.synthetic.synthetic import LabelForm
from attar.types import Batch, Budget, Problem

__all__ = ["Room"]


@dataclass(frozen=True)
class Room:
    """What a part may hold so that, with its labels, it takes no more bytes than the budget's rows with theirs.

    Args:
        rows: of the budget.
        numbers: that these hold, less the bytes of the labels that the part has beyond one a row.
    """

    rows: int
    numbers: int

    @classmethod
    def of(cls, problem: Problem, budget: Budget, labels: LabelForm = "hard", each: int = 1) -> Room:
        """Before there are rows, for a part that has `each` labels for each row of the budget."""
        x, y = problem.train.x, problem.train.y
        count = sum(budget.counts([len(rows) for rows in problem.members.values()], problem.spec.class_names))
        if y is None:
            return cls._within(x, count, 0, each)
        return cls._within(
            x, count, y[0].nbytes if labels == "hard" else len(problem.task.groups) * x.element_size(), each
        )

    @classmethod
    def at(cls, batch: Batch, each: int = 1) -> Room:
        """Of the rows that a run starts at, `each` for each row of the budget, with their labels as they will be stored."""
        return cls._within(batch.x, len(batch) // each, 0 if batch.y is None else batch.y[0].nbytes, each)

    @classmethod
    def _within(cls, x: Tensor, count: int, label: int, each: int) -> Room:
        more = math.ceil(count * (each - 1) * label / x.element_size())
        return cls(count, count * math.prod(x.shape[1:]) - more)
