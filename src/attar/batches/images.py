"""Images and their labels."""

from __future__ import annotations

from dataclasses import dataclass

from attar.batches.rows import Rows

__all__ = ["Images"]


@dataclass(frozen=True, eq=False, repr=False)
class Images(Rows):
    """Images ``x`` of shape ``(n, c, h, w)``, float32, with the fields of `attar.types.Batch`."""
