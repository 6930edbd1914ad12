"""Numbers and lists in words, the same on every page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from attar.compare.counted import Counted
from attar.compare.study import BOOTSTRAP, FULL, WHOLE_NAMES
from attar.evaluation import judges, ridge

__all__ = [
    "DRAWN_AGAIN",
    "FULL_DATA",
    "WHOLE_DATA",
    "Judges",
    "counts_in_words",
    "duration",
    "in_words",
    "listed",
    "points",
    "quotas_in_words",
    "spread_text",
    "told",
]

T = TypeVar("T")

FULL_DATA, DRAWN_AGAIN = WHOLE_NAMES[FULL], WHOLE_NAMES[BOOTSTRAP]
WHOLE_DATA = (FULL_DATA, DRAWN_AGAIN)
NAMED = 5  # classes that are named with their counts; of more, or of long names, the range is told
NAMES = 60  # letters that they may take


@dataclass(frozen=True)
class Judges:
    """What sets were judged by, in words.

    Args:
        models: their names.
    """

    models: Sequence[str]

    @property
    def networks(self) -> bool:
        """Whether there are networks among them."""
        return not self.models or any(map(judges.is_network, self.models))

    @property
    def kinds(self) -> str:
        """ "networks", or "models" where others are among them."""
        return "networks" if all(map(judges.is_network, self.models)) else "models"

    @property
    def one(self) -> str:
        """One of them, whatever it is."""
        if self.networks:
            return "a network"
        return "ridge regression" if all(map(ridge.is_named, self.models)) else "a model"

    @property
    def asked(self) -> str:
        """What tables tell, as a heading."""
        if not any(map(judges.learns, self.models)) and self.models:
            return "What each decides as the training rows do"
        return "What networks learn from each" if self.networks else f"What {self.one} learns from each"

    def scores(self, predicted: str) -> str:
        """What scores are, where those of models that learn are `predicted`; begins a sentence."""
        learned = f"{predicted[0].upper()}{predicted[1:]} on the test rows"
        decided = "the share of decisions on independence that are those of all training rows"
        if all(map(judges.learns, self.models)):
            return learned
        if not any(map(judges.learns, self.models)):
            return f"{decided[0].upper()}{decided[1:]}"
        return f"{learned}, of decisions {decided}"

    @property
    def trained(self) -> str:
        """What was done with each set; the sentence goes on with "tested on"."""
        if self.kinds == "networks":
            return "Networks were trained from scratch on each set and"
        others = [model for model in self.models if not judges.is_network(model)]
        if not all(map(ridge.is_named, others)):
            return "Models were trained from scratch on each set and"
        if not self.networks:
            return "Kernel ridge regression was solved on each set and"
        return "Networks were trained from scratch on each set, kernel ridge regression was solved on it, and both were"

    @property
    def last(self) -> str:
        """Which score of a training counts."""
        return "Only the score after the last update counts, never the best on test." if self.networks else ""


def points(score: float) -> str:
    """A score in [0, 1] in points of a hundred."""
    return f"{100 * score:.1f}"


def spread_text(mean: float, std: float | None) -> str:
    """ "97.2 ± 0.1"; without a spread where it is None."""
    return points(mean) if std is None else f"{points(mean)} ± {points(std)}"


def told(value: T | None, say: Callable[[T], str]) -> str:
    """A value in words; nothing of what is not known."""
    return "" if value is None else say(value)


def listed(words: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    return "".join(words) if len(words) < 2 else f"{', '.join(words[:-1])} {last} {words[-1]}"


_IMAGES = Counted(classes=False)


def in_words(per_class: int) -> str:
    """ "10 images a class"."""
    return Counted().told(per_class)


def counts_in_words(counts: Sequence[int], names: Sequence[str]) -> str:
    """What a set holds: "10 images a class" where all have as many, or else "8 images (cat 3, dog 5)", of many classes
    "39 images (1 to 12 a class)".

    Args:
        counts: images of each class.
        names: of the classes.
    """
    if not counts or min(counts) == max(counts):
        return in_words(counts[0]) if counts else _IMAGES.told(0)
    told = _named(counts, names) or f"{_range(counts)} a class"
    return f"{_IMAGES.told(sum(counts))} ({told})"


def quotas_in_words(quotas: Mapping[str, int]) -> str:
    """What is asked of some classes: "cat 3, dog 5", of many "1 to 12 of 7 classes".

    Args:
        quotas: images of a class by its name.
    """
    counts = list(quotas.values())
    return _named(counts, list(quotas)) or f"{_range(counts)} of {len(counts):,} classes"


def _named(counts: Sequence[int], names: Sequence[str]) -> str:
    """ "cat 3, dog 5"; nothing where that is too long to be read."""
    told = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
    return told if len(counts) <= NAMED and len(told) <= NAMES else ""


def _range(counts: Sequence[int]) -> str:
    """ "1 to 12"; "3" where all are alike."""
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def duration(seconds: float) -> str:
    """Seconds for people: "12 ms", "8.4 s", "8 min 20 s", "3 h 5 min"."""
    if 0 < seconds < 0.0995:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"
