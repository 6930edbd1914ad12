"""Odds of real rows: which of a class a step is to see more of, so that a mean over its draw is that of other rows than most.

A sampler of real rows (`attar.views`) draws a class's rows alike. Those here draw them by odds, which are worked out once, so
that every objective that is a mean over drawn rows, of features or of gradients, becomes the weighted mean of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from attar import rng
from attar.selection.features import Features, features_of
from attar.types import AttarError, Problem
from attar.views import ByOdds, PerClass

__all__ = ["AttributeUse", "Balanced", "Rare", "density", "drawn_by"]

AttributeUse: TypeAlias = Literal["", "balanced", "density"]
"""How a method draws the rows of a class, by the name that it takes as ``attribute=``."""

BLOCK = 4096
"""Rows whose distances are in memory at a time."""


@dataclass(frozen=True)
class Balanced:
    """Of each class as many rows of one group as of any other, a group being the rows of one value of the attribute.

    The mean over a draw is, in expectation, the mean over the class's groups of their own means, ``(1 / |G|) sum_g mean_g``,
    however few rows a group has. Groups that a class has no rows of do not count.

    Args:
        size: rows a class and draw.

    Reference:
        Moslemi et al.: Fair Dataset Distillation via Cross-Group Barycenter Alignment, arXiv 2605.00185, 2026 (the target);
        Zhou et al.: FairDD, arXiv 2411.19623 (the sum of squared distances to the groups' means, whose minimum is the same).
    """

    size: int = 256

    def __post_init__(self) -> None:
        PerClass(self.size)  # refuses empty batches

    def check(self, problem: Problem) -> None:
        """Refuse data without an attribute."""
        if problem.train.attribute is None and problem.spec.schema is not None:
            raise AttarError(
                f"{problem.spec.name} is a table, and no column of it is an attribute by whose groups rows are balanced: weigh them by "
                "attribute='density', which needs none."
            )
        if problem.train.attribute is None:
            raise AttarError(
                f"The rows of {problem.spec.name} have no attribute, by whose groups they could be balanced: load them with "
                "attribute=, or weigh them by attribute='density', which needs none."
            )

    def odds(self, problem: Problem, seed: int) -> dict[str, Tensor]:
        """``odds`` ``(n,)`` of the training rows and the ``strata`` ``(n,)`` that a draw is spread over, on the CPU."""
        attribute = problem.train.attribute
        if attribute is None or attribute.is_meta:
            return _stand_in(problem)
        strata, odds = attribute.cpu(), torch.zeros(len(problem.train), dtype=torch.float64)
        for rows in problem.members.values():
            _, group, counts = strata[rows].unique(return_inverse=True, return_counts=True)
            odds[rows] = 1 / (counts.double()[group] * len(counts))
        return {"odds": odds, "strata": strata}

    def sampler(self, found: dict[str, Tensor]) -> ByOdds:
        strata = found.get("strata")  # all of it is drawn on the CPU, wherever the state was loaded to
        return ByOdds(self.size, _drawable(found["odds"]), None if strata is None else _drawable(strata))


@dataclass(frozen=True)
class Rare:
    """Of each class rows with odds of one over their density, so that what most of them have in common counts no more than
    what few have; no groups are named.

    Args:
        size: rows a class and draw.
        features: what rows are compared by (see `attar.selection.features`), scaled to length one.
        bandwidth: of the Gaussian kernel, as a share of the class's median distance.
        against: rows of a class that densities are read off at most; of more so many are drawn.
        epochs: of the network that is to be trained for `features`, if any.

    Reference:
        Cui et al.: Ameliorate Spurious Correlations in Dataset Condensation, ICML 2024.
    """

    size: int = 256
    features: Features = "values"
    bandwidth: float = 0.4
    against: int = 2_000
    epochs: int = 2

    def __post_init__(self) -> None:
        PerClass(self.size)
        if not self.bandwidth > 0 or self.against < 2:
            raise AttarError(
                f"A density with bandwidth={self.bandwidth} read off {self.against} rows is none: give a bandwidth above 0 and "
                "2 rows or more."
            )

    def check(self, problem: Problem) -> None:
        """Any data have densities."""

    def odds(self, problem: Problem, seed: int) -> dict[str, Tensor]:
        """``odds`` ``(n,)`` of the training rows, on the CPU."""
        if problem.train.x.is_meta:
            return _stand_in(problem)
        found = features_of(problem, self.features, self.epochs, rng.derive(seed, "features"))
        odds = torch.zeros(len(found), dtype=torch.float64)
        for group, rows in problem.members.items():
            source = rng.generator(seed, "density", str(group))
            odds[rows] = 1 / density(found[rows], self.bandwidth, self.against, source)
        return {"odds": odds}

    def sampler(self, found: dict[str, Tensor]) -> ByOdds:
        return ByOdds(self.size, _drawable(found["odds"]))


def _drawable(found: Tensor) -> Tensor:
    """On the CPU, where rows are drawn; in a rehearsal without content."""
    return found if found.is_meta else found.cpu()


def drawn_by(attribute: AttributeUse, size: int) -> PerClass | Balanced | Rare:
    """How the real rows of a class are drawn, by the name in `AttributeUse`.

    Raises:
        AttarError: if there is none.
    """
    samplers: dict[str, type[PerClass] | type[Balanced] | type[Rare]] = {
        "": PerClass,
        "balanced": Balanced,
        "density": Rare,
    }
    if attribute not in samplers:
        raise AttarError(
            f"There is no use '{attribute}' of an attribute: give balanced or density, or nothing for none."
        )
    return samplers[attribute](size)


def density(x: Tensor, bandwidth: float, against: int, source: torch.Generator) -> Tensor:
    """Kernel density ``(n,)`` of rows among themselves, float64, one where all rows are alike.

    ``f_i = (1 / n) sum_j exp( -|x_i - x_j|^2 / (2 h^2) )``, h a share of the median distance, x scaled to length one. The row
    itself is among them, so that no row counts more than n times another.

    Args:
        x: features ``(n, d)``.
        bandwidth: that share.
        against: at most so many j, drawn at random; the mean over the others stands for all others.
        source: of that draw.
    """
    count = len(x)
    if count < 2:
        return torch.ones(count, dtype=torch.float64)
    unit = torch.nn.functional.normalize(x.float(), dim=1)
    chosen = torch.randperm(count, generator=source)[:against]
    others = unit[chosen]
    apart = _squares(others, others)[~torch.eye(len(chosen), dtype=torch.bool)]
    median = apart.median() if apart.median() > 0 else apart.max().clamp_min(1e-12)  # most rows may be the same
    found = []
    for part in torch.arange(count).split(BLOCK):
        itself = part[:, None] == chosen
        kernel = torch.exp(-_squares(unit[part], others) / (2 * bandwidth**2 * median)).masked_fill(itself, 0)
        found.append(kernel.double().sum(1) / (~itself).sum(1))
    return (1 + (count - 1) * torch.cat(found)) / count


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances ``(n, m)`` of rows of length one."""
    squares = 2 - 2 * a @ b.T
    squares[squares < 1e-6] = 0  # what rounding leaves between rows that are the same
    return squares


def _stand_in(problem: Problem) -> dict[str, Tensor]:
    """Equal odds where rows have no content: what a step takes does not depend on them."""
    return {"odds": torch.ones(len(problem.train), dtype=torch.float64)}
