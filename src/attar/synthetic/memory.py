"""Memory: rows are mixtures of a few bases that all classes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from attar.synthetic.images import check_start, decoded
from attar.synthetic.room import Room
from attar.synthetic.synthetic import LabelForm
from attar.types import AttarError, Batch, Budget, Problem

__all__ = ["Memory"]


@dataclass(frozen=True)
class Memory:
    """``x = addresses @ bases``: each training row is a learned mixture of bases that are shared between all classes.

    It starts at the best approximation of its starting rows that so many bases allow (their singular vectors). Rows of
    any modality will do, flattened.

    Args:
        rows: training rows for each row of the budget, each with a label.
        bases: how many; None for as many as, with addresses and labels, take no more bytes than the budget's rows with theirs.

    Example:
        >>> import torch, attar
        >>> stored = {"bases": torch.ones(1, 1, 2, 2), "addresses": torch.tensor([[2.0], [3.0]])}
        >>> like = attar.batches.Images(torch.zeros(0, 1, 2, 2))
        >>> attar.synthetic.Memory().restore(stored, like)(torch.tensor([0, 1])).x[:, 0, 0, 0]
        tensor([2., 3.], grad_fn=...)

    Reference:
        Deng, Russakovsky: Remember the Past: Distilling Datasets into Addressable Memories for Neural Networks, NeurIPS 2022.
    """

    rows: int = 4
    bases: int | None = None

    decodes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rows < 1 or (self.bases is not None and self.bases < 1):
            raise AttarError(f"Memory(rows={self.rows}, bases={self.bases}) holds nothing: give 1 or more of each.")

    @property
    def each(self) -> int:
        return self.rows

    def check(self, problem: Problem, budget: Budget, labels: LabelForm = "hard") -> None:
        self._count(Room.of(problem, budget, labels, self.rows), problem.train.x[0].numel())

    def _count(self, room: Room, width: int) -> int:
        """Bases of `width` numbers."""
        rows = room.rows * self.rows
        most = min(rows, width)
        if self.bases is not None:
            if self.bases > most:
                raise AttarError(
                    f"Memory(bases={self.bases}) has more bases than {rows} rows of {width} values can use: "
                    f"give {most} or fewer."
                )
            return self.bases
        count = room.numbers // (width + rows)
        if count < 1:
            raise AttarError(
                f"The bytes of {room.rows} rows hold no base and its addresses for {rows} rows: lower Memory(rows={self.rows})."
            )
        return min(count, most)

    def build(self, batch: Batch, problem: Problem, generator: torch.Generator) -> MixedRows:
        check_start(self, batch)
        flat = batch.x.detach().flatten(1)
        count = self._count(Room.at(batch, self.rows), flat.shape[1])
        left, sizes, right = torch.linalg.svd(flat, full_matrices=False)
        # orthonormal addresses: a step on the bases moves the rows no further than the same step on the rows
        bases = (sizes[:count, None] * right[:count]).unflatten(1, batch.x.shape[1:])
        return MixedRows(bases, left[:, :count], batch)

    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> MixedRows:
        return MixedRows(tensors["bases"], tensors["addresses"], like)


class MixedRows(nn.Module):
    """Holds ``bases`` of shape ``(k, ...)`` and ``addresses`` of shape ``(n, k)``."""

    def __init__(self, bases: Tensor, addresses: Tensor, like: Batch) -> None:
        super().__init__()
        self.bases = nn.Parameter(bases.detach().clone())
        self.addresses = nn.Parameter(addresses.detach().clone())
        self._like = like.detach()

    def forward(self, y: Tensor | None) -> Batch:
        rows = (self.addresses @ self.bases.flatten(1)).unflatten(1, self.bases.shape[1:])
        return decoded(self._like, rows, y)

    def __len__(self) -> int:
        return len(self.addresses)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"data": [self.bases], "addresses": [self.addresses]}
