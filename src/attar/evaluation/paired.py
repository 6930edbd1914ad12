"""Paired differences: two sets judged by the same seeds, so that what a seed does to both falls out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Paired", "paired", "t_quantile"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Paired:
    """Mean difference over seeds with Student's 95 % interval.

    Args:
        mean: of the differences, in [-1, 1].
        standard_error: of that mean.
        low: lower end of the interval.
        high: upper end.
        seeds: number of differences.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        """In points of a hundred, e.g. "+2.3 [+0.4, +4.2]"."""
        return f"{100 * self.mean:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


def paired(scores: Sequence[float], others: Sequence[float]) -> Paired | None:
    """How far scores are above others; None for fewer than two pairs, whose spread is not known.

    Args:
        scores: one number a seed.
        others: of the same seeds, in the same order.

    Example:
        >>> print(paired([0.52, 0.56], [0.50, 0.50]))
        +4.0 [-21.4, +29.4]
    """
    differences = [a - b for a, b in zip(scores, others, strict=True)]
    if len(differences) < 2:
        return None
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    reach = t_quantile(0.5 + CONFIDENCE / 2, len(differences) - 1) * error
    return Paired(mean, error, mean - reach, mean + reach, len(differences))


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t, for a probability in [0.5, 1) and whole degrees of freedom; by bisection.

    Example:
        >>> round(t_quantile(0.975, 2), 3)
        4.303
    """
    low, high = 0.0, 1.0
    while _within(high, freedom) < 2 * probability - 1:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 2 * probability - 1 else (low, middle)
    return (low + high) / 2


def _within(t: float, freedom: int) -> float:
    """Probability that Student's t lies in [-t, t]: the finite series in the angle ``atan(t / sqrt(freedom))``.

    Reference: Abramowitz and Stegun, Handbook of mathematical functions, 1964, equations 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (k - 1) / k
    if not odd:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + math.sin(angle) * total)
