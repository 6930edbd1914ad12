"""Starting values that recorded experts classify rightly, with the experts' probabilities as labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attar import rng
from attar.selection.random_rows import budget_counts
from attar.training import passes
from attar.training.experts import Experts
from attar.types import Batch, Budget, Params, Problem

__all__ = ["RightlyClassified"]

AT_ONCE = 256


@dataclass(frozen=True)
class RightlyClassified:
    """Real rows, drawn at random within each class among those that an expert classifies rightly at the end of its path.

    The first expert judges. Where it has too few right in a class, those count that one of the next has right, and where
    these are too few, rows at random fill up.

    Args:
        experts: recorded weight paths (see `attar.experts`).
        soft: whether labels are probabilities: the softmax of the mean logits of those experts that have the row right (of
            all of them, if none has). Else class ids.

    Reference:
        Guo et al.: Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory Matching, ICLR 2024, as in its
        public code, which has no way out where too few rows are right.
    """

    experts: Experts
    soft: bool = True

    @property
    def prepared(self) -> dict[str, Any]:
        """What is there before a run, for the record of its set (see `Matching.finish`)."""
        return self.experts.prepared

    def __call__(self, problem: Problem, budget: Budget, generator: torch.Generator, each: int = 1) -> Batch:
        self.experts.check(problem)
        with rng.seeded(0):
            judges = _Judges(self.experts, problem, problem.task.build(self.experts.course.model))
        chosen = []
        for group, count in budget_counts(problem, budget).items():
            rows = problem.members[group]
            shuffled = rows[torch.randperm(len(rows), generator=generator)]
            chosen.append(judges.right_first(shuffled, count * each))
        batch = problem.train.take(torch.cat(chosen).to(problem.train.x.device))
        return batch.replace(y=judges.probabilities(batch)) if self.soft else batch


@dataclass(frozen=True)
class _Judges:
    """The experts at the end of their paths, one at a time in memory."""

    experts: Experts
    problem: Problem
    model: nn.Module

    def right_first(self, rows: Tensor, count: int) -> Tensor:
        """So many of the rows: those that an expert has right, before the others; a class with fewer gives some again."""
        right = torch.zeros(len(rows), dtype=torch.bool)
        for number in self.experts.numbers:
            if int(right.sum()) >= count:
                break
            params = self._end(number)
            for start in range(0, len(rows), AT_ONCE):
                if int(right.sum()) >= count:
                    break
                part = slice(start, start + AT_ONCE)
                batch = self.problem.train.take(rows[part].to(self.problem.train.x.device))
                right[part] |= self._answers(params, batch)[1].cpu()
        order = torch.cat([rows[right], rows[~right]])
        return order[torch.arange(count) % len(order)]

    def probabilities(self, batch: Batch) -> Tensor:
        """Softmax ``(n, classes)`` of the mean logits of the experts that have a row right, of all where none has."""
        every = known = count = torch.zeros((), device=batch.x.device)
        for number in self.experts.numbers:
            logits, right = self._answers(self._end(number), batch)
            weight = right.to(logits)[:, None]
            every, known, count = every + logits, known + logits * weight, count + weight
        mean = torch.where(count > 0, known / count.clamp(min=1), every / len(self.experts.numbers))
        return mean.softmax(-1)

    def _end(self, number: int) -> Params:
        return self.experts.weights(number, self.experts.epochs, str(self.problem.train.x.device))

    def _answers(self, params: Params, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits ``(n, classes)``, and which rows are right ``(n,)``."""
        assert batch.y is not None
        found = passes.logits(self.problem.task, self.model, params, batch)
        return found, found.argmax(-1) == batch.y
