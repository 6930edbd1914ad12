"""What every reader gives: pixels and labels as the source holds them, by split, before anything is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

__all__ = ["SPLIT_NAMES", "Part", "Read", "Rows"]

Part: TypeAlias = Literal["train", "validation", "test"]

SPLIT_NAMES: Mapping[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""How folders, files and hubs call the three splits."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Images and labels of one split.

    Args:
        x: ``(n, h, w)``, ``(n, h, w, c)`` or ``(n, c, h, w)``, any number type.
        y: ``(n,)`` or ``(n, 1)``: class ids, other integers or names.
        names: what the source calls each row, where it calls them anything: its file.
        attribute: ``(n,)``, a protected or spurious attribute of each row: whole numbers or names; None where there is none.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...] | None = None
    attribute: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Read:
    """What a reader found.

    Args:
        parts: the splits that the source has; "train" is always there.
        class_names: one name a class id, where the source has them.
        notes: sentences that a user should see.
    """

    parts: Mapping[Part, Rows]
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def with_test(self, other: Read | None) -> Read:
        """These rows with another source's as the test split: its test split where it has one, else its train split."""
        if other is None:
            return self
        parts: dict[Part, Rows] = {**self.parts, "test": other.parts.get("test", other.parts["train"])}
        return Read(parts, self.class_names, self.notes)
