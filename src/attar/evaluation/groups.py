"""How a network does on each group of the test data: whom it fails, and how much more than one that was trained on full data.

A group is the test rows of one class and one value of the attribute (``Batch.attribute``). Rows of a class with another
attribute have the same label, so a difference between their accuracies is the attribute's doing.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attar.types import AttarError

__all__ = ["Groups", "amplification", "answers_by_group", "groups_of", "over_runs"]


_MEASURES = ("worst", "gap", "deo_max", "deo_mean", "odds_gap")


@dataclass(frozen=True)
class Groups:
    """Measures over the groups of the test data. All are in [0, 1], and means over runs but for `scores`.

    ``p(k | y, g)`` is the share of the test rows of class y and attribute g that a network takes for class k.

    Args:
        worst: accuracy of the worst group, the smallest ``p(y | y, g)``.
        gap: accuracy of the best group less that of the worst.
        deo_max: the largest difference within a class, ``max_y max_{g, g'} |p(y | y, g) - p(y | y, g')|``.
        deo_mean: the mean of the classes' largest differences, ``mean_y max_{g, g'} |p(y | y, g) - p(y | y, g')|``.
        odds_gap: that of equalised odds, ``max_{y, k} max_{g, g'} |p(k | y, g) - p(k | y, g')|``.
        scores: accuracy of the worst group in each run.
        accuracy: of each group, a tuple a value of the attribute with a number a class; None for a group without test rows.

    Reference:
        Hardt, Price, Srebro: Equality of Opportunity in Supervised Learning, NeurIPS 2016 (equalised odds); the largest and
        the mean difference as in the public code of Zhou et al.: FairDD, arXiv 2411.19623.
    """

    worst: float
    gap: float
    deo_max: float
    deo_mean: float
    odds_gap: float
    scores: tuple[float, ...]
    accuracy: tuple[tuple[float | None, ...], ...]

    @property
    def std(self) -> float | None:
        """Sample standard deviation of `scores`, None for one run."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def lowest(self) -> tuple[int, int]:
        """The group whose mean accuracy is the lowest: its value of the attribute and its class."""
        known = {
            (g, y): value for g, row in enumerate(self.accuracy) for y, value in enumerate(row) if value is not None
        }
        return min(known, key=known.__getitem__)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Groups:
        """What `dataclasses.asdict` gave, lists in place of tuples."""
        accuracy = tuple(tuple(row) for row in value["accuracy"])
        return cls(**{**value, "scores": tuple(value["scores"]), "accuracy": accuracy})


def answers_by_group(guesses: Tensor, y: Tensor, attribute: Tensor, classes: int) -> Tensor:
    """How often rows of each group are taken for each class.

    Args:
        guesses: class ids ``(n,)`` that a network gives.
        y: true class ids ``(n,)``.
        attribute: ids ``(n,)``.
        classes: number of classes.

    Returns:
        Counts ``(attributes, classes, classes)``: by attribute, true class and guess.
    """
    attributes = int(attribute.max()) + 1
    places = (attribute * classes + y) * classes + guesses
    return torch.bincount(places.cpu(), minlength=attributes * classes**2).reshape(attributes, classes, classes)


def groups_of(counts: Sequence[Tensor]) -> Groups:
    """The measures of several runs, by the counts of each, as `answers_by_group` gives them."""
    each = [_one(run) for run in counts]
    means = {name: statistics.mean(run[name] for run in each) for name in each[0]}
    shares = torch.stack([_shares(run).diagonal(dim1=1, dim2=2) for run in counts]).mean(0)
    accuracy = tuple(tuple(None if value != value else value for value in row) for row in shares.tolist())
    return Groups(**means, scores=tuple(run["worst"] for run in each), accuracy=accuracy)


def over_runs(found: Sequence[Groups]) -> Groups:
    """The measures of runs that were measured apart, such as those on several draws of rows."""
    runs = [len(one.scores) for one in found]

    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.fmean(known, runs) if known else None  # a group without test rows has none in any run

    return Groups(
        **{name: mean(getattr(one, name) for one in found) for name in _MEASURES},  # type: ignore[arg-type]
        scores=tuple(score for one in found for score in one.scores),
        accuracy=tuple(
            tuple(map(mean, zip(*rows, strict=True))) for rows in zip(*(one.accuracy for one in found), strict=True)
        ),
    )


def amplification(of: Groups | None, full: Groups | None) -> float | None:
    """The ratio by which a set made a bias of the data larger: ``deo_mean`` of networks trained on it over that of networks
    trained on full data. Above 1 it was amplified.

    None where either was not measured, or full data have no difference that could be amplified.

    Raises:
        AttarError: if the two are not of the same groups.
    """
    if of is None or full is None:
        return None
    if [[cell is None for cell in row] for row in of.accuracy] != [
        [cell is None for cell in row] for row in full.accuracy
    ]:
        raise AttarError("A bias is amplified against full data that are tested on the same groups: these are not.")
    return of.deo_mean / full.deo_mean if full.deo_mean else None


def _one(counts: Tensor) -> dict[str, float]:
    """The measures of one run."""
    shares = _shares(counts)
    spread = shares.nan_to_num(-1.0).amax(0) - shares.nan_to_num(2.0).amin(0)  # of attributes, by class and guess
    spread = spread[counts.sum((0, 2)) > 0]  # classes with test rows
    right = shares.diagonal(dim1=1, dim2=2)
    known = right[~right.isnan()]
    own = torch.nonzero(counts.sum((0, 2)) > 0).flatten()
    within = spread[torch.arange(len(own)), own]
    return {
        "worst": float(known.min()),
        "gap": float(known.max() - known.min()),
        "deo_max": float(within.max()),
        "deo_mean": float(within.mean()),
        "odds_gap": float(spread.max()),
    }


def _shares(counts: Tensor) -> Tensor:
    """``p(k | y, g)``, NaN for groups without rows."""
    return counts.double() / counts.sum(2, keepdim=True)
