"""Accuracy before and after an intervention on a cause: what a learner leans on that the intervention breaks."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from attar.errors import AttarError
from attar.evaluation.paired import Paired, paired
from attar.evaluation.scores import spread

__all__ = ["Intervened"]


@dataclass(frozen=True)
class Intervened:
    """Scores of a learner on rows as they come, and on rows of a simulator whose cause was set. It needs a simulator: no table tells
    what an intervention would have done.

    Args:
        cause: the column that was set.
        learner: what was trained.
        before: score of each run on test rows as they come, such as accuracy or R2.
        after: of the same runs on rows after the intervention.

    Raises:
        AttarError: if these are not of the same runs, or there is none.

    Example:
        >>> Intervened("dose", "trees", (0.90, 0.92), (0.85, 0.89)).drop
        0.04
    """

    cause: str
    learner: str
    before: tuple[float, ...]
    after: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("before", "after"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        if not self.before or len(self.before) != len(self.after):
            raise AttarError(
                f"{len(self.before)} scores before an intervention and {len(self.after)} after it: give one each of every run."
            )

    @property
    def drops(self) -> tuple[float, ...]:
        """What each run loses."""
        return tuple(before - after for before, after in zip(self.before, self.after, strict=True))

    @property
    def drop(self) -> float:
        """The mean loss."""
        return statistics.fmean(self.drops)

    @property
    def std(self) -> float | None:
        """Sample standard deviation of the losses; None of one run."""
        return spread(self.drops)

    def more_than(self, other: Intervened) -> Paired | None:
        """How much more is lost than by the same runs on another set, with Student's interval; None of one run.

        Raises:
            AttarError: if the other is of another cause, learner or number of runs.
        """
        if (self.cause, self.learner, len(self.drops)) != (other.cause, other.learner, len(other.drops)):
            raise AttarError("Losses are compared run by run, of the same intervention and learner, and these are not.")
        return paired(self.drops, other.drops)

    def to_json(self) -> dict[str, Any]:
        """JSON values, by field."""
        return {**asdict(self), "before": list(self.before), "after": list(self.after)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Intervened:
        """The record that `to_json` wrote."""
        return cls(**value)
