"""Picked: real rows that were chosen, in the order of choosing, with the number behind each choice and its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ASKED_FOR", "Picked", "joined"]

ASKED_FOR = "asked for"
"""The reason of a row that had to be in the choice."""


@dataclass(frozen=True, eq=False)
class Picked:
    """Rows that a rule chose.

    Args:
        rows: ids ``(k,)``, all different, first chosen first.
        scores: the rule's number for each when it was chosen ``(k,)``: a gain, a distance, a difficulty.
        represents: how many rows each stands for ``(k,)``, float; they sum to the number of rows that were chosen from.
            Ones divided evenly where a rule gives rows no part of the data.
        reasons: one phrase each, for people: "covers 312 rows".
    """

    rows: Tensor
    scores: Tensor
    represents: Tensor
    reasons: tuple[str, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.rows), len(self.scores), len(self.represents), len(self.reasons)}
        if len(sizes) != 1:
            raise ValueError(f"rows, scores, represents and reasons differ in length: {sorted(sizes)}")

    def __len__(self) -> int:
        return len(self.rows)

    def among(self, ids: Tensor) -> Picked:
        """The same choice where row i of what was chosen from is row ``ids[i]`` of a larger whole."""
        return Picked(ids[self.rows], self.scores, self.represents, self.reasons)


def joined(parts: Sequence[Picked]) -> Picked:
    """Choices one after another (those of each class, say)."""
    return Picked(
        torch.cat([part.rows for part in parts]),
        torch.cat([part.scores for part in parts]),
        torch.cat([part.represents for part in parts]),
        tuple(reason for part in parts for reason in part.reasons),
    )
