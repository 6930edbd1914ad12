"""Starting values that recorded experts classify rightly, with the experts' probabilities as labels."""

from __future__ import annotations

from dataclasses import dataclass

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

    The first expert judges. Where it has too few right in a class, so do the next ones, and where all have, rows at random
    fill up.

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

    def __call__(self, problem: Problem, budget: Budget, generator: torch.Generator, each: int = 1) -> Batch:
        self.experts.check(problem)
        with rng.seeded(0):
            model = problem.task.build(self.experts.course.model)
        device = str(problem.train.x.device)
        ends = [self.experts.weights(index, self.experts.epochs, device) for index in range(len(self.experts))]
        chosen = []
        for group, count in budget_counts(problem, budget).items():
            rows = problem.members[group]
            shuffled = rows[torch.randperm(len(rows), generator=generator)]
            chosen.append(_right_first(problem, model, ends, shuffled, count * each))
        batch = problem.train.take(torch.cat(chosen).to(device))
        return batch.replace(y=_probabilities(problem, model, ends, batch)) if self.soft else batch


def _right_first(problem: Problem, model: nn.Module, ends: list[dict[str, Tensor]], rows: Tensor, count: int) -> Tensor:
    """So many of the rows, those first that an earlier expert has right; a class with fewer gives some again."""
    right = torch.zeros(len(rows), dtype=torch.bool)
    for params in ends:
        for start in range(0, len(rows), AT_ONCE):
            if int(right.sum()) >= count:
                break
            part = slice(start, start + AT_ONCE)
            right[part] |= _answers(problem, model, params, problem.train.take(rows[part].to(problem.train.x.device)))[
                1
            ]
    order = torch.cat([rows[right], rows[~right]])
    return order[torch.arange(count) % len(order)]


def _probabilities(problem: Problem, model: nn.Module, ends: list[dict[str, Tensor]], batch: Batch) -> Tensor:
    answers = [_answers(problem, model, params, batch) for params in ends]
    logits = torch.stack([logits for logits, _ in answers])
    right = torch.stack([right for _, right in answers]).to(logits)
    counted = torch.where(right.sum(0) > 0, right, torch.ones_like(right))
    return ((logits * counted[:, :, None]).sum(0) / counted.sum(0)[:, None]).softmax(-1)


def _answers(problem: Problem, model: nn.Module, params: Params, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits ``(n, classes)``, and which rows are right ``(n,)``; on the CPU."""
    assert batch.y is not None
    found = passes.logits(problem.task, model, params, batch).cpu()
    return found, found.argmax(-1) == batch.y.cpu()
