"""Gradient matching: a network learns from synthetic rows what it learns from real ones, update by update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from torch import Tensor

from attar.distances import cosine_distance, layerwise_cosine, squared_distance
from attar.matching import Matching
from attar.objectives import GradientMatch
from attar.selection import named as starting_values
from attar.surrogates import Online
from attar.surrogates.online import DC_LOOPS
from attar.training.optimisers import SGD
from attar.views import PerClass

__all__ = ["dc", "dsa"]

Distance = Literal["layerwise", "squared", "cosine"]

_DISTANCES: dict[str, Callable[..., Tensor]] = {
    "layerwise": layerwise_cosine,
    "squared": squared_distance,
    "cosine": cosine_distance,
}


def dc(
    model: str = "convnet3",
    lr: float = 0.1,
    momentum: float = 0.5,
    batch: int = 256,
    matchings: int | None = None,
    epochs: int | None = None,
    lr_model: float = 0.01,
    distance: Distance = "layerwise",
    initial: Literal["real", "noise", "kmeans"] = "noise",
) -> Matching:
    """Dataset condensation by gradient matching.

    ``min_S E_{theta_0} sum_t sum_c D( grad L(S_c; theta_t), grad L(T_c; theta_t) )``, theta trained on S between matchings.

    Args:
        model: network whose gradients are matched.
        lr: step size on the rows.
        momentum: of the updates of the rows.
        batch: real rows a class and step.
        matchings: matchings before the network is replaced; None for the published number for the rows a class.
        epochs: epochs of training on the synthetic rows between two matchings; None likewise.
        lr_model: step size of that training.
        distance: "layerwise" (one minus cosine, an output unit at a time), "squared" or "cosine" of the whole gradient.
        initial: where the rows start.

    Returns:
        The method; a step is one matching of all classes.

    Reference:
        Zhao, Mopuri, Bilen: Dataset Condensation with Gradient Matching, ICLR 2021, equations 9 and 10, algorithm 1.
    """
    return Matching(
        name="dc",
        objective=GradientMatch(_DISTANCES[distance]),
        surrogates=Online(model, _loops(matchings, epochs), lr_model),
        optimisers={"data": SGD(lr, momentum=momentum)},
        initial=starting_values(initial),
        augmentation="",
        real_rows=PerClass(batch),
    )


def dsa(
    model: str = "convnet3",
    lr: float = 0.1,
    momentum: float = 0.5,
    batch: int = 256,
    matchings: int | None = None,
    epochs: int | None = None,
    lr_model: float = 0.01,
    distance: Distance = "layerwise",
    augmentation: str = "default",
    initial: Literal["real", "noise", "kmeans"] = "real",
) -> Matching:
    """Differentiable siamese augmentation: `dc` with both sides seen through the same random transform.

    ``min_S E sum_t sum_c D( grad L(A_omega(S_c); theta_t), grad L(A_omega(T_c); theta_t) )``

    Args:
        model: network whose gradients are matched.
        lr: step size on the rows.
        momentum: of the updates of the rows.
        batch: real rows a class and step.
        matchings: matchings before the network is replaced; None for the published number for the rows a class.
        epochs: epochs of training on the synthetic rows between two matchings; None likewise.
        lr_model: step size of that training.
        distance: as in `dc`.
        augmentation: DSA strategy, "default" for the data's own.
        initial: where the rows start.

    Returns:
        The method; a step is one matching of all classes.

    Reference:
        Zhao, Bilen: Dataset Condensation with Differentiable Siamese Augmentation, ICML 2021.
    """
    condensation = dc(model, lr, momentum, batch, matchings, epochs, lr_model, distance, initial)
    return replace(condensation, name="dsa", augmentation=augmentation)


def _loops(matchings: int | None, epochs: int | None) -> tuple[tuple[int, int, int], ...]:
    """The published loops with what was given put in their place."""
    return tuple(
        (rows, matchings or published, trained if epochs is None else epochs) for rows, published, trained in DC_LOOPS
    )
