"""DD-Ranking's scores: how much of a result is the data's, and how much the labels' or the augmentation's.

Accuracies are fractions, as the formulas need them: the public release puts percent into the exponential, which saturates
its scores. None of the accuracies may have been selected on test data.

Reference: Li et al., DD-Ranking: Rethinking the evaluation of dataset distillation, arXiv 2505.13300, 2025.
"""

from __future__ import annotations

import math

from attar.types import AttarError

__all__ = ["augmentation_robust", "hard_label_recovery", "improvement_over_random", "label_robust"]


def hard_label_recovery(full: float, hard: float) -> float:
    """HLR: what a set loses against full data when both have hard labels, ``full - hard`` in [-1, 1]; lower is better.

    Args:
        full: accuracy of full data.
        hard: accuracy of the set with hard labels.

    Raises:
        AttarError: if an accuracy is no fraction.
    """
    return _fraction(full) - _fraction(hard)


def improvement_over_random(own: float, random: float) -> float:
    """IOR: what a set gains over as many random rows with the same kind of labels, ``own - random`` in [-1, 1].

    Args:
        own: accuracy of the set with its own labels, hard or soft.
        random: accuracy of random rows with the same labels, trained in the same way.

    Raises:
        AttarError: if an accuracy is no fraction.
    """
    return _fraction(own) - _fraction(random)


def label_robust(full: float, hard: float, own: float, random: float, weight: float = 0.5) -> float:
    """The label-robust score: ``alpha = weight IOR - (1 - weight) HLR``, brought to [0, 1]; higher is better.

    Args:
        full: accuracy of full data.
        hard: accuracy of the set with hard labels.
        own: accuracy of the set with its own labels, hard or soft.
        random: accuracy of random rows with the same labels as `own`.
        weight: of the improvement over random rows, in [0, 1].

    Raises:
        AttarError: if a number is no fraction.

    Example:
        >>> round(label_robust(full=0.9, hard=0.6, own=0.65, random=0.6), 4)
        0.2189
    """
    gain, loss = improvement_over_random(own, random), hard_label_recovery(full, hard)
    return _between(weight * gain - (1 - _fraction(weight)) * loss)


def augmentation_robust(own: float, random: float, own_plain: float, random_plain: float, weight: float = 0.5) -> float:
    """The augmentation-robust score: the gains over random rows with and without augmentation, ``beta = weight (own -
    random) + (1 - weight) (own_plain - random_plain)``, brought to [0, 1]; higher is better, and no gain is 0.2689.

    Args:
        own: accuracy of the set, trained with augmentation.
        random: accuracy of random rows with the same labels, trained with augmentation.
        own_plain: accuracy of the set, trained without augmentation.
        random_plain: accuracy of those random rows, trained without augmentation.
        weight: of the gain with augmentation, in [0, 1].

    Raises:
        AttarError: if a number is no fraction.

    Example:
        >>> round(augmentation_robust(own=0.6, random=0.6, own_plain=0.5, random_plain=0.5), 4)
        0.2689
    """
    gain, plain = improvement_over_random(own, random), improvement_over_random(own_plain, random_plain)
    return _between(weight * gain + (1 - _fraction(weight)) * plain)


def _between(value: float) -> float:
    """``(e^value - e^-1) / (e - e^-1)``: [-1, 1] to [0, 1]."""
    return (math.exp(value) - math.exp(-1)) / (math.e - math.exp(-1))


def _fraction(value: float) -> float:
    if not 0 <= value <= 1:
        raise AttarError(f"DD-Ranking's scores take fractions, and {value:g} is not in [0, 1]: divide percent by 100.")
    return value
