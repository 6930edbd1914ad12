"""What the scores say, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attar.compare.study import RANDOM
from attar.evaluation import judges, ridge
from attar.report.page import Score
from attar.report.words import FULL_DATA, WHOLE_DATA, points

__all__ = ["Verdict", "judge", "sentence"]


@dataclass(frozen=True)
class Verdict:
    """A method's score beside the two that it has to be read with.

    Args:
        method: its first score by a network, else by ridge regression.
        random: random rows, as many, with the same model and labels; None where they were not scored.
        full: full data with the same model; None where it was not scored.
        hard: random rows with hard labels, where the method has others; likewise.
    """

    method: Score
    random: Score | None
    full: Score | None
    hard: Score | None = None

    @property
    def spread(self) -> float:
        """The larger of the method's spread and that of random rows with its labels."""
        return max(score.std for score in (self.method, self.random) if score is not None)

    @property
    def gains(self) -> bool | None:
        """Whether the method is above random rows by more than one spread, those with hard labels, too, where they were measured;
        None where that was not, or where it is random rows itself."""
        if self.random is None or self.method.name == RANDOM:
            return None
        others = [score for score in (self.random, self.hard) if score is not None]
        return all(self.method.mean > other.mean + max(self.method.std, other.std) for other in others)


def judge(scores: Sequence[Score], method: str = "") -> Verdict | None:
    """Find the scores to compare.

    Args:
        scores: all under one protocol.
        method: the method's name in them; by default the first that is neither random rows nor full data.

    Returns:
        The method's first score by a network, or where there is none the first by a model that learns, or else its first, with those
        that it compares to; None where the method has no score.
    """
    known = [s for s in scores if s.name == method or (not method and s.name not in (RANDOM, *WHOLE_DATA))]
    if not known:
        return None
    leading = judges.leading([score.model for score in known])
    return _verdict(scores, next(score for score in known if score.model == leading))


def _verdict(scores: Sequence[Score], mine: Score) -> Verdict:
    """A score of the method with those that it compares to."""
    alike = [s for s in scores if s.model == mine.model and s is not mine]
    drawn = [s for s in alike if s.name == RANDOM and s.rows in (mine.rows, None)]
    same = next((s for s in drawn if s.labels == mine.labels), None)
    hard = next((s for s in drawn if s.labels == "hard"), None) if mine.labels != "hard" else None
    return Verdict(mine, same, next((s for s in alike if s.name == FULL_DATA), None), hard)


def sentence(scores: Sequence[Score], method: str = "", kept: str = "") -> str:
    """The finding in one plain sentence.

    Args:
        scores: all under one protocol.
        method: the method's name in them (see `judge`).
        kept: the budget in words, e.g. "10 images a class"; by default the number of rows.

    Example:
        >>> sentence([Score("dm", "convnet3", 0.972, 0.001, 5), Score("random", "convnet3", 0.948, 0.004, 5)])
        'The distilled rows reach 97.2 points; random rows reach 94.8.'
    """
    verdict = judge(scores, method)
    if verdict is None:
        return "Not evaluated yet: how much this set keeps is not known."
    mine, random, full = verdict.method, verdict.random, verdict.full
    ridged = _by_ridge(scores, verdict)
    kept = kept or (f"{mine.rows:,} rows" if mine.rows else "the distilled rows")
    one = kept.startswith("1 ")
    if verdict.gains is False:
        assert random is not None
        level = f"{points(random.mean)} ± {points(verdict.spread)}" if verdict.spread else points(random.mean)
        ending = f", full data {points(full.mean)}" if full else ""
        reach = "reaches" if one else "reach"
        drawn = _drawn(verdict, "", level)
        return f"No gain over random: {kept} {reach} {points(mine.mean)} points, {drawn}{ending}.{ridged}"
    below = full is not None and mine.mean <= full.mean
    verb, of = ("keep", f" of {points(full.mean)}") if full is not None and below else ("reach", "")
    other = next((score for score in scores if score.name == RANDOM and score.model == mine.model), None)
    hard = f"; random rows with {other.labels} labels {verb} {points(other.mean)}" if other is not None else ""
    beside = f"{hard}; random rows with the same labels were not evaluated"
    if mine.name == RANDOM:
        beside = ""
    elif random is not None:
        beside = f"; {_drawn(verdict, verb, points(random.mean))}"
    above = "" if full is None or below else f"; full data reach {points(full.mean)}"
    by_ridge = ridge.is_named(mine.model)  # which draws nothing, so that one run is all
    once = (
        " (one run each, so chance is not told apart)"
        if mine.runs == 1 and random is not None and judges.draws(mine.model)
        else ""
    )
    once = f" (by ridge regression, {mine.model})" if by_ridge else once
    keeps = verb if not one else {"keep": "keeps", "reach": "reaches"}[verb]
    return f"{kept[0].upper()}{kept[1:]} {keeps} {points(mine.mean)}{of} points{beside}{above}{once}.{ridged}"


def _drawn(verdict: Verdict, verb: str, level: str) -> str:
    """Random rows with the method's labels, and with hard ones where it has others: "random rows keep 94.8"."""
    said = " ".join(word for word in (verb, level) if word)
    if verdict.method.labels == "hard":
        return f"random rows {said}"
    return f"random rows with the same labels {said}" + (
        f", with hard ones {points(verdict.hard.mean)}" if verdict.hard is not None else ""
    )


def _by_ridge(scores: Sequence[Score], verdict: Verdict) -> str:
    """What ridge regression says of the method beside a network, a sentence each kernel; nothing where it did not judge."""
    mine = verdict.method
    if not judges.is_network(mine.model):
        return ""
    found = [s for s in scores if s.name == mine.name and s.rows == mine.rows and ridge.is_named(s.model)]
    told = []
    for score in found:
        one = _verdict(scores, score)
        beside = "" if one.random is None else f"; {_drawn(one, '', points(one.random.mean))}"
        told.append(f" By ridge regression ({score.model}) {points(score.mean)}{beside}.")
    return "".join(told)
