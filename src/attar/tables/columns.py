"""What is known of a column."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from attar.errors import AttarError

__all__ = ["Column", "Kind"]

Kind = Literal["continuous", "ordinal", "categorical"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: as its source has it.
        kind: continuous columns hold numbers, ordinal ones categories with an order, categorical ones categories without.
        categories: of the latter two, in the order of their codes 0, 1, ...: names, or the numbers that an ordinal column takes.
        low: smallest value in the source, of continuous columns; NaN where it is not known.
        high: largest value.
        whole: whether a continuous column holds whole numbers only.

    Raises:
        AttarError: if the categories do not suit the kind.
    """

    name: str
    kind: Kind = "continuous"
    categories: tuple[str | float, ...] = ()
    low: float = math.nan
    high: float = math.nan
    whole: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("continuous", "ordinal", "categorical"):
            raise AttarError(
                f"Column '{self.name}' cannot be of kind '{self.kind}': give continuous, ordinal or categorical."
            )
        if self.discrete != bool(self.categories):
            wrong = "needs its categories" if self.discrete else "has no categories, and some were given"
            raise AttarError(f"Column '{self.name}' is {self.kind}, so it {wrong}.")
        if len(set(self.categories)) < len(self.categories):
            raise AttarError(f"Column '{self.name}' names a category twice: {self.categories}.")

    @property
    def discrete(self) -> bool:
        """Whether it holds categories, with an order or without."""
        return self.kind != "continuous"

    @property
    def levels(self) -> int:
        """The number of its categories; 0 of a continuous column."""
        return len(self.categories)

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers: continuous ones, and ordinal ones whose categories are."""
        return not self.discrete or (
            self.kind == "ordinal" and all(isinstance(value, int | float) for value in self.categories)
        )
