"""Gradient matching: a network learns from synthetic rows what it learns from real ones, update by update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from torch import Tensor

from attar.augment import CutMix, all_of
from attar.distances import cosine_distance, hidden_l1, hidden_squared, layerwise_cosine, squared_distance
from attar.matching import Matching
from attar.objectives import ContrastiveGradientMatch, GradientMatch
from attar.selection import AttributeUse, InitialName, drawn_by
from attar.selection import named as starting_values
from attar.surrogates import Online
from attar.surrogates.online import DC_LOOPS, DCC_LOOPS
from attar.synthetic import MultiFormation
from attar.training.optimisers import SGD
from attar.types import AttarError
from attar.views import PerClass

__all__ = ["dc", "dcc", "dsa", "idc"]

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
    initial: InitialName = "noise",
    attribute: AttributeUse = "",
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
        attribute: gradient of each class's real rows: "" for the mean of all alike; "balanced" for the mean of the gradients of
            the groups that the data's attribute makes; "density" for rows weighed by one over their density, without one.

    Returns:
        The method; a step is one matching of all classes.

    Reference:
        Zhao, Mopuri, Bilen: Dataset Condensation with Gradient Matching, ICLR 2021, equations 9 and 10, algorithm 1.
    """
    return Matching(
        name="dc",
        objective=GradientMatch(_found(_DISTANCES, distance)),
        surrogates=Online(model, _loops(matchings, epochs), lr_model),
        optimisers={"data": SGD(lr, momentum=momentum)},
        initial=starting_values(initial),
        augmentation="",
        real_rows=drawn_by(attribute, batch),
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
    initial: InitialName = "real",
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


def dcc(
    model: str = "convnet3",
    lr: float = 0.1,
    momentum: float = 0.5,
    batch: int = 256,
    matchings: int | None = None,
    epochs: int | None = None,
    lr_model: float = 0.01,
    distance: Distance = "layerwise",
    warm_up: int = 250,
    young: int = 10,
    augmentation: str = "",
    initial: InitialName = "real",
) -> Matching:
    """Dataset condensation with contrastive signals: `dc` with the classes summed inside the gradient distance.

    ``min_S E_{theta_0} sum_t D( grad L(S; theta_t), grad L(T; theta_t) )``, L the mean over classes of their losses.

    Args:
        model: network whose gradients are matched.
        lr: step size on the rows.
        momentum: of the updates of the rows.
        batch: real rows a class and step.
        matchings: matchings before the network is replaced; None for the published number for the rows a class.
        epochs: epochs of training on the synthetic rows between two matchings; None likewise.
        lr_model: step size of that training.
        distance: as in `dc`.
        warm_up: networks that start by matching class by class.
        young: steps of each of these that do.
        augmentation: DSA strategy, "default" for the data's own, which makes it DSAC; "" for none.
        initial: where the rows start.

    Returns:
        The method; a step is one matching.

    Example:
        >>> attar.methods.dcc(warm_up=0).objective.warm_up
        0

    Reference:
        Lee, Chun, Jung, Yun, Yoon: Dataset Condensation with Contrastive Signals, ICML 2022.
    """
    condensation = dc(model, lr, momentum, batch, matchings, epochs, lr_model, distance, initial)
    return replace(
        condensation,
        name="dcc",
        objective=ContrastiveGradientMatch(_found(_DISTANCES, distance), warm_up, young),
        surrogates=Online(model, _loops(matchings, epochs, DCC_LOOPS), lr_model),
        augmentation=augmentation,
    )


def idc(
    model: str = "convnet3",
    factor: int = 2,
    lr: float | None = None,
    momentum: float = 0.5,
    batch: int = 64,
    synthetic_batch: int = 128,
    matchings: int = 100,
    updates: int = 8,
    lr_model: float = 0.01,
    distance: Literal["squared", "l1"] = "squared",
    augmentation: str = "color_crop_cutout",
    cutmix: float = 0.5,
    initial: InitialName = "real",
) -> Matching:
    """Dataset condensation by efficient parameterisation: several rows in one, and networks trained on real rows.

    ``min_S E_theta sum_t sum_c D( grad L(A_omega(f(S)_c); theta_t), grad L(A_omega(T_c); theta_t) )``, f the rows that a
    stored row unfolds to, theta trained on T between matchings, D a sum over the hidden layers.

    Args:
        model: network whose gradients are matched.
        factor: parts of a stored row along each side, each enlarged to a row; 1 for IDC-I.
        lr: step size on the rows, published in proportion to rows a class and pixels; None for that of 10 rows of 32 x 32
            (squared 0.12, l1 0.001).
        momentum: of the updates of the rows.
        batch: real rows a class and step, and rows an update of the network.
        synthetic_batch: at most so many unfolded rows a class and step.
        matchings: matchings before the network is replaced.
        updates: updates of the network on real rows between two matchings.
        lr_model: step size of these, with momentum 0.9 and weight decay 5e-4.
        distance: "squared" or "l1", summed over hidden layers.
        augmentation: operations joined by "_", all of them, the same for both sides; "" for none.
        cutmix: probability of mixing a batch that the network is trained on; above 0 its rows are not cut out.
        initial: where the rows start.

    Returns:
        The method; a step is one matching of all classes.

    Example:
        >>> attar.methods.idc(factor=1).synthetic.factor
        1

    Reference:
        Kim et al.: Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022.
    """
    measure, published = _found({"squared": (hidden_squared, 0.12), "l1": (hidden_l1, 0.001)}, distance)
    return Matching(
        name="idc",
        objective=GradientMatch(measure),
        surrogates=_on_real(model, matchings, updates, batch, lr_model, augmentation, cutmix),
        optimisers={"data": SGD(published if lr is None else lr, momentum=momentum)},
        synthetic=MultiFormation(factor),
        initial=starting_values(initial),
        augmentation=all_of(augmentation),
        real_rows=PerClass(batch),
        synthetic_rows=PerClass(synthetic_batch),
    )


def _on_real(
    model: str, matchings: int, updates: int, batch: int, lr: float, augmentation: str, cutmix: float
) -> Online:
    """IDC's network: on real rows, CutMix in place of cutouts."""
    kept = [name for name in augmentation.split("_") if not (cutmix and name == "cutout")]
    return Online(
        model,
        loops=((1, matchings, updates),),  # an epoch may be a single update, and `updates` ends the last of them
        lr=lr,
        batch=batch,
        data="real",
        momentum=0.9,
        weight_decay=5e-4,
        updates=updates,
        augment=all_of("_".join(kept), shared=False),
        mixing=CutMix(cutmix) if cutmix else None,
    )


def _found(distances: Mapping[str, Any], name: str) -> Any:
    """A distance by its name."""
    if name not in distances:
        raise AttarError(f"There is no distance '{name}' here: give {' or '.join(distances)}.")
    return distances[name]


def _loops(
    matchings: int | None, epochs: int | None, published: tuple[tuple[int, int, int], ...] = DC_LOOPS
) -> tuple[tuple[int, int, int], ...]:
    """The published loops with what was given put in their place."""
    return tuple(
        (rows, walks if matchings is None else matchings, trained if epochs is None else epochs)
        for rows, walks, trained in published
    )
