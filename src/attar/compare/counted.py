"""What a comparison counts and scores, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attar.evaluation.decisions import METRIC

__all__ = ["Counted"]


@dataclass(frozen=True)
class Counted:
    """What sets hold: "10 images a class"; of tables "10 rows a class", and where there are no classes "10 rows".

    Args:
        noun: one of them.
        classes: whether they are counted by class; without classes scores are R².
        predicts: whether there is anything to predict; without a target scores are of decisions on independence.
    """

    noun: str = "image"
    classes: bool = True
    predicts: bool = True

    @classmethod
    def of(cls, problem: Mapping[str, Any]) -> Counted:
        """By what comparison.json says of the data."""
        noun = problem.get("noun")
        counted = noun if isinstance(noun, str) and noun else "image"
        return cls(counted, problem.get("classes") != 0, problem.get("predicts") is not False)

    @property
    def many(self) -> str:
        """What is counted."""
        return f"{self.noun}s{' a class' if self.classes else ''}"

    @property
    def short(self) -> str:
        """The same, where little room is: "a class" or "rows"."""
        return "a class" if self.classes else f"{self.noun}s"

    @property
    def metric(self) -> str:
        """What scores are: "accuracy", or "R²" of a target of numbers; "decisions alike" where nothing is predicted."""
        return METRIC if not self.predicts else "accuracy" if self.classes else "R²"

    def told(self, count: int) -> str:
        """So many of them."""
        return f"{count:,} {self.noun}{'' if count == 1 else 's'}{' a class' if self.classes else ''}"
