"""Distribution matching under networks that are trained a little."""

from __future__ import annotations

from attar.matching import Matching
from attar.objectives import ClassAware
from attar.selection import InitialName
from attar.selection import named as starting_values
from attar.surrogates import Queue
from attar.synthetic import MultiFormation
from attar.training.optimisers import SGD
from attar.views import PerClass

__all__ = ["idm"]


def idm(
    model: str = "convnet3",
    factor: int = 2,
    lr: float = 0.2,
    momentum: float = 0.5,
    batch: int = 256,
    weight: float = 0.5,
    networks: int = 100,
    interval: int = 30,
    trained: int = 2,
    updates: int = 10,
    lr_model: float = 0.01,
    augmentation: str = "default",
    initial: InitialName = "real",
) -> Matching:
    """Improved distribution matching: rows partitioned and expanded, a queue of trained networks, and classes kept apart.

    ``min_S E_{theta, omega} sum_c | mean psi_theta(A_omega(T_c)) - mean psi_theta(A_omega(f(S)_c)) |^2 + w a CE(f(S)_c)``,
    f the rows that a stored row unfolds to, theta a network from the queue and a its accuracy in per cent.

    Args:
        model: network whose features are matched.
        factor: parts of a stored row along each side, each expanded to a row.
        lr: step size on the rows.
        momentum: of the updates of the rows.
        batch: real rows a class and step.
        weight: of the cross-entropy of the network on the synthetic rows.
        networks: most networks in the queue.
        interval: steps from one new network to the next.
        trained: networks trained a step.
        updates: training updates for each of these, of 256 real rows.
        lr_model: step size of these, with momentum 0.9 and weight decay 5e-4.
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: where the rows start.

    Returns:
        The method.

    Example:
        >>> attar.methods.idm(networks=10).surrogates.size
        10

    Reference:
        Zhao, Li, Qin, Yu: Improved Distribution Matching for Dataset Condensation, CVPR 2023.
    """
    return Matching(
        name="idm",
        objective=ClassAware(weight=weight),
        surrogates=Queue(model, networks, interval, trained, updates, lr=lr_model),
        optimisers={"data": SGD(lr, momentum=momentum)},
        synthetic=MultiFormation(factor),
        initial=starting_values(initial),
        augmentation=augmentation,
        real_rows=PerClass(batch),
    )
