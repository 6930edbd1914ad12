"""What rows keep of their source, for whoever reads them: what reads no more than that finds what it finds in the source."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

__all__ = ["MOMENTS_ALONE", "KeptEffect", "Statistics"]

MOMENTS_ALONE = (
    "What reads more than means and covariances is not kept: effects by inverse propensities (ipw, aipw), graphs by LiNGAM, and "
    "p-values of kernel tests."
)
"""What a card says of rows that keep these."""


@dataclass(frozen=True)
class KeptEffect:
    """An effect that regression, inverse propensities and both (aipw) estimate from the rows as from their source.

    Args:
        treatment: a column.
        outcome: another one.
        adjust: columns that are held fixed.
        clip: of the propensities.
    """

    treatment: str
    outcome: str
    adjust: tuple[str, ...]
    clip: float


@dataclass(frozen=True)
class Statistics:
    """The joint statistics of their source that rows keep, at the number of rows that they stand for (`Table.n_represented`).

    Args:
        moments: mean and covariance of all columns as numbers.
        columns: the contingency tables of any so many discrete columns.
        families: the contingency tables of these columns, and so of some of them.
        effects: that are estimated alike.

    Example:
        >>> Statistics(columns=2).counts(("smoke", "cancer")), Statistics(columns=2).counts(("smoke", "age", "cancer"))
        (True, False)
    """

    moments: bool = False
    columns: int = 0
    families: tuple[tuple[str, ...], ...] = ()
    effects: tuple[KeptEffect, ...] = ()

    def counts(self, names: Sequence[str]) -> bool:
        """Whether the contingency table of the named columns is kept, which G2 reads."""
        return len(names) <= self.columns or any(set(names) <= set(family) for family in self.families)

    def covariances(self, names: Sequence[str]) -> bool:
        """Whether mean and covariance of the named columns are kept, which Fisher-z and linear regression read."""
        return self.moments or self.counts(names) or (len(names) > 1 and all(map(self.counts, combinations(names, 2))))

    def estimates(self, treatment: str, outcome: str, adjust: Sequence[str], estimator: str, clip: float) -> bool:
        """Whether an effect is estimated alike (see `attar.causal.effect`)."""
        names, regression = (treatment, outcome, *adjust), estimator == "regression"
        own = any(
            (kept.treatment, kept.outcome, {*kept.adjust}) == (treatment, outcome, {*adjust})
            and (regression or kept.clip == clip)
            for kept in self.effects
        )
        return own or (self.covariances(names) if regression else self.counts(names))

    def of_numbers(self) -> Statistics:
        """What the same rows keep where their columns became numbers (see `attar.tables.as_numbers`), some under other names."""
        return Statistics(moments=self.moments or self.columns >= 2)

    def to_json(self) -> dict[str, Any]:
        """JSON values, by field."""
        found = dataclasses.asdict(self)
        effects = [{**effect, "adjust": list(effect["adjust"])} for effect in found["effects"]]
        return {**found, "families": [list(family) for family in self.families], "effects": effects}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        effects = (KeptEffect(**{**effect, "adjust": tuple(effect["adjust"])}) for effect in value["effects"])
        families = tuple(tuple(map(str, family)) for family in value["families"])
        return cls(bool(value["moments"]), int(value["columns"]), families, tuple(effects))
