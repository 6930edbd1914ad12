"""What the scores say, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attar.report.page import Score

__all__ = ["FULL", "RANDOM", "Verdict", "judge", "points", "sentence"]

RANDOM, FULL = "random", "full data"


@dataclass(frozen=True)
class Verdict:
    """A method's score beside the two that it has to be read with.

    Args:
        method: its first score.
        random: random rows, as many, with the same model and labels; None where they were not scored.
        full: full data with the same model; None where it was not scored.
    """

    method: Score
    random: Score | None
    full: Score | None

    @property
    def spread(self) -> float:
        """The larger of the method's and the random rows' spread."""
        return max(score.std for score in (self.method, self.random) if score is not None and score.runs > 0)

    @property
    def gains(self) -> bool | None:
        """Whether the method is above random rows by more than one spread; None where that was not measured."""
        return None if self.random is None else self.method.mean > self.random.mean + self.spread


def judge(scores: Sequence[Score], method: str = "") -> Verdict | None:
    """Find the scores to compare.

    Args:
        scores: all under one protocol.
        method: the method's name in them; by default the first that is neither random rows nor full data.

    Returns:
        The method's first score with those that it compares to, or None where the method has no score.
    """
    mine = next((s for s in scores if s.name == method or (not method and s.name not in (RANDOM, FULL))), None)
    if mine is None:
        return None
    alike = [s for s in scores if s.model == mine.model and s is not mine]
    same = (s for s in alike if s.name == RANDOM and s.labels == mine.labels and s.rows in (mine.rows, None))
    return Verdict(mine, next(same, None), next((s for s in alike if s.name == FULL), None))


def sentence(scores: Sequence[Score], method: str = "", kept: str = "") -> str:
    """The finding in one plain sentence.

    Args:
        scores: all under one protocol.
        method: the method's name in them (see `judge`).
        kept: the budget in words, e.g. "10 images a class"; by default the number of rows.

    Example:
        >>> sentence([Score("dm", "convnet3", 0.972, 0.001, 5), Score("random", "convnet3", 0.948, 0.004, 5)])
        'The distilled set reaches 97.2 points; random rows reach 94.8.'
    """
    verdict = judge(scores, method)
    if verdict is None:
        return "Not evaluated yet: how much this set keeps is not known."
    mine, random, full = verdict.method, verdict.random, verdict.full
    kept = kept or (f"{mine.rows:,} rows" if mine.rows else "the distilled set")
    verb = "reaches" if kept == "the distilled set" else "reach"
    if verdict.gains is False:
        assert random is not None
        ending = f", and full data {points(full.mean)}" if full else ""
        spread = f" ± {points(verdict.spread)}" if verdict.spread else ""
        return (
            f"No gain over random: {kept} {verb} {points(mine.mean)} points, random rows {points(random.mean)}{spread}{ending}."
        )
    if full:
        verb = "keeps" if verb == "reaches" else "keep"
        start = f"{kept} {verb} {points(mine.mean)} of {points(full.mean)} points"
    else:
        start = f"{kept} {verb} {points(mine.mean)} points"
    start = start[0].upper() + start[1:]
    if random is not None:
        return f"{start}; random rows {'keep' if full else 'reach'} {points(random.mean)}."
    return f"{start}." if mine.name == RANDOM else f"{start}; random rows were not evaluated."


def points(score: float) -> str:
    """A score in [0, 1] in points of a hundred."""
    return f"{100 * score:.1f}"
