"""Rows of a table that are learned: numbers within the source's ranges, categories as probabilities, and what each row weighs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attar.synthetic.synthetic import LabelForm
from attar.tables.ranges import Ranges
from attar.types import AttarError, Batch, Budget, Normalisation, Problem

__all__ = ["TableRows"]


@dataclass(frozen=True)
class TableRows:
    """Encoded rows ``x`` ``(n, d)`` of a table (see `attar.tables.Encoding`), each with a weight ``n softmax(log_weight)``.

    After each update numbers are brought back into the range of their column in the source, and categories of a column to the nearest
    probabilities. An ordinal column is a number here, and the nearest of its categories in a finished table.

    Args:
        weights: "learned", as the group "weights", starting at those of the rows to start from; or "equal".
    """

    weights: Literal["learned", "equal"] = "learned"

    decodes: ClassVar[bool] = False
    each: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.weights not in ("learned", "equal"):
            raise AttarError(f"Weights are learned or equal, not '{self.weights}'.")

    def check(self, problem: Problem, budget: Budget, labels: LabelForm = "hard") -> None:
        if problem.spec.schema is None:
            raise AttarError(
                f"TableRows stores rows of a table, and {problem.spec.name} is none: use Pixels(), or load a table by "
                "attar.data.table(...)."
            )

    def build(self, batch: Batch, problem: Problem, generator: torch.Generator) -> LearnedRows:
        ranges = Ranges.of(problem.spec.schema.inputs)
        tensors = {field.name: getattr(ranges, field.name).to(batch.x.device) for field in fields(ranges)}
        tensors["x"] = ranges.within(batch.x.cpu()).to(batch.x)
        if self.weights == "learned":
            weight = torch.ones_like(batch.x[:, 0]) if batch.weight is None else batch.weight
            tensors["log_weight"] = (weight / weight.mean()).log()
        return LearnedRows(tensors, batch)

    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> LearnedRows:
        return LearnedRows(tensors, like)


class LearnedRows(nn.Module):
    """Holds ``x`` ``(n, d)``, ``log_weight`` ``(n,)`` where weights are learned, and the fields of `attar.tables.ranges.Ranges`."""

    x: nn.Parameter

    def __init__(self, tensors: Mapping[str, Tensor], like: Batch) -> None:
        super().__init__()
        self.x = nn.Parameter(tensors["x"].detach().clone())
        log_weight = tensors.get("log_weight")
        learned = None if log_weight is None else nn.Parameter(log_weight.detach().clone())
        self.log_weight: nn.Parameter | None = learned
        for field in fields(Ranges):
            self.register_buffer(field.name, tensors[field.name])
        self._like = like.detach().replace(weight=None, attribute=None, views=None)

    def forward(self, y: Tensor | None) -> Batch:
        weight = None if self.log_weight is None else len(self) * self.log_weight.softmax(0)
        return self._like.replace(x=self.x, y=y, weight=weight)

    def __len__(self) -> int:
        return len(self.x)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The numbers, and the weights where they are learned."""
        found = {"data": [self.x]}
        return found if self.log_weight is None else {**found, "weights": [self.log_weight]}

    @torch.no_grad()
    def project(self, normalisation: Normalisation) -> None:
        """Back to what columns can hold."""
        ranges = Ranges(**{field.name: getattr(self, field.name) for field in fields(Ranges)})
        self.x.copy_(ranges.within(self.x))
