"""What encoded columns can hold: ranges of numbers, and probabilities that sum to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attar.tables.columns import Column
from attar.tables.encoding import Encoding, onto_simplex
from attar.tables.table import Table

__all__ = ["Ranges"]


@dataclass(frozen=True, eq=False)
class Ranges:
    """What each of d encoded numbers may be (see `Encoding`).

    Args:
        low: the smallest value ``(d,)``, minus infinity where none is known.
        high: the largest.
        blocks: which numbers are the probabilities of one column of three or more categories ``(blocks, d)``, bool.
        binary: which numbers are the probability of the second of two categories ``(d,)``, bool.
        stepped: which numbers take some values only, those of ordinal columns and of whole numbers ``(d,)``, bool.
    """

    low: Tensor
    high: Tensor
    blocks: Tensor
    binary: Tensor
    stepped: Tensor

    @classmethod
    def of(cls, encoding: Encoding) -> Ranges:
        """Those of the source's columns."""
        width = encoding.width
        low, high = torch.zeros(width).double(), torch.ones(width).double()
        binary, stepped = torch.zeros(2, width).bool()
        blocks = [torch.zeros(0, width).bool()]
        for column, mean, std in zip(encoding.columns, encoding.mean, encoding.std, strict=True):
            place = encoding.groups[column.name]
            if column.kind != "categorical":
                low[place], high[place] = ((end - mean) / std for end in _ends(column))
                stepped[place] = column.discrete or column.whole
            elif column.levels > 2:
                blocks.append(torch.zeros(1, width).bool())
                blocks[-1][:, place] = True
            else:
                binary[place] = True
        return cls(low, high, torch.cat(blocks), binary, stepped)

    @classmethod
    def of_classes(cls, count: int) -> Ranges:
        """Those of a probability of each of so many classes."""
        low, no = torch.zeros(count).double(), torch.zeros(count).bool()
        return cls(low, low + 1, torch.ones(1, count).bool(), no, no)

    def join(self, other: Ranges) -> Ranges:
        """Of numbers and then others beside them."""
        names = ("low", "high", "binary", "stepped")
        joined = {name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names}
        return Ranges(blocks=torch.block_diag(self.blocks.int(), other.blocks.int()).bool(), **joined)

    def within(self, x: Tensor) -> Tensor:
        """The nearest rows ``(n, d)`` that columns can hold; steps are not looked at."""
        bounded = x.clamp(self.low, self.high)
        for block in self.blocks:
            bounded = torch.where(block, onto_simplex(torch.where(block, x, -torch.inf)), bounded)
        return bounded


def _ends(column: Column) -> tuple[float, float]:
    """The smallest and largest number that a column holds."""
    if not column.discrete:
        low = -math.inf if math.isnan(column.low) else column.low
        return low, math.inf if math.isnan(column.high) else column.high
    levels = Table(torch.arange(column.levels, dtype=torch.float64)[:, None], (column,)).numbers()
    return float(levels.min()), float(levels.max())
