"""Rows of a table as numbers, and their targets."""

from __future__ import annotations

from dataclasses import dataclass

from attar.batches.rows import Rows

__all__ = ["Encoded"]


@dataclass(frozen=True, eq=False, repr=False)
class Encoded(Rows):
    """Encoded rows ``x`` of shape ``(n, d)``, float64, with the fields of `attar.types.Batch`: of classification ``y`` holds class
    ids or probabilities, of regression the standardised target ``(n, 1)``. `attar.tables.Schema` gives columns for numbers."""
