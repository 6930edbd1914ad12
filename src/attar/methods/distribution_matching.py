"""Distribution matching: the features of synthetic rows are those of real ones, under networks that nothing trains."""

from __future__ import annotations

from typing import Literal

from attar.matching import Matching
from attar.objectives import FeatureMatch
from attar.selection import named as starting_values
from attar.surrogates import Fresh
from attar.training.optimisers import SGD
from attar.views import PerClass

__all__ = ["dm"]


def dm(
    model: str = "convnet3",
    lr: float = 1.0,
    momentum: float = 0.5,
    batch: int = 256,
    augmentation: str = "default",
    initial: Literal["real", "noise", "kmeans"] = "real",
) -> Matching:
    """Distribution matching.

    ``min_S E_{theta, omega} sum_c | mean psi_theta(A_omega(T_c)) - mean psi_theta(A_omega(S_c)) |^2``, psi the last features
    of a network with new random weights every step, A_omega an augmentation drawn once a class for both sides.

    Args:
        model: network whose features are matched.
        lr: step size on the rows (10 for 100 rows a class and more).
        momentum: of the updates of the rows.
        batch: real rows a class and step.
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: where the rows start.

    Returns:
        The method.

    Example:
        >>> attar.distill(attar.methods.dm(), problem, attar.Budget(per_class=1), steps=3).stats.steps
        3

    Reference:
        Zhao, Bilen: Dataset Condensation with Distribution Matching, WACV 2023.
    """
    return Matching(
        name="dm",
        objective=FeatureMatch(),
        surrogates=Fresh(model),
        optimisers={"data": SGD(lr, momentum=momentum)},
        initial=starting_values(initial),
        augmentation=augmentation,
        real_rows=PerClass(batch),
    )
