"""Distribution matching: the features of synthetic rows are distributed as those of real ones."""

from __future__ import annotations

from typing import Literal

from attar.augment import all_of
from attar.distances import GaussianMMD, MeanDistance, SpatialAttention
from attar.matching import Matching
from attar.objectives import CharacteristicMatch, FeatureMatch, LayerwiseMatch
from attar.objectives.characteristic import FrequencyNetwork
from attar.selection import AttributeUse, InitialName, drawn_by
from attar.selection import named as starting_values
from attar.surrogates import Fresh, Pool, Watched
from attar.synthetic import MultiFormation
from attar.training.optimisers import SGD, Adam, Decay
from attar.types import AttarError
from attar.views import PerClass

__all__ = ["cafe", "datadam", "dm", "m3d", "ncfm"]


def dm(
    model: str = "convnet3",
    lr: float = 1.0,
    momentum: float = 0.5,
    batch: int = 256,
    augmentation: str = "default",
    initial: InitialName = "real",
    attribute: AttributeUse = "",
) -> Matching:
    """Distribution matching.

    ``min_S E_{theta, omega} sum_c | mean psi_theta(A_omega(T_c)) - mean psi_theta(A_omega(S_c)) |^2``, psi the last features
    of a network with new random weights every step, A_omega an augmentation drawn once a class for both sides.

    Args:
        model: network whose features are matched.
        lr: step size on the rows (10 for CIFAR-10 at 100 rows a class and more).
        momentum: of the updates of the rows.
        batch: real rows a class and step.
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: where the rows start.
        attribute: mean of each class's real rows: "" for that of all alike; "balanced" for the mean of the means of the groups
            that the data's attribute makes; "density" for rows weighed by one over their density, without an attribute.

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
        real_rows=drawn_by(attribute, batch),
    )


def cafe(
    model: str = "convnet3",
    lr: float = 0.1,
    momentum: float = 0.5,
    batch: int = 256,
    below: float = 1.0,
    discrimination: float = 0.01,
    lr_model: float = 0.01,
    outer: float = 0.04,
    inner: float = 0.03,
    watch: int = 128,
    epochs: int = 30,
    augmentation: str = "",
    initial: InitialName = "noise",
) -> Matching:
    """Condensation by aligning features: class means of all layers, under a network that is trained while that helps.

    ``min_S E sum_l w_l sum_c | mean f_l(T_c) - mean f_l(S_c) |^2 + d sum_i CE( f_L(x_i) M^T, y_i )``, M the class means of
    f_L(S), f trained on S between matchings until its accuracy on real rows has moved, and replaced once matching no longer
    moves it.

    Args:
        model: network whose features are matched.
        lr: step size on the rows, halved after 12,000, 16,000 and 18,000 steps.
        momentum: of the updates of the rows.
        batch: real rows a class and step.
        below: w_l of the layers below the last (the public code has 0.1 for the lower ones).
        discrimination: d, the weight of telling real rows apart.
        lr_model: step size of the network's training.
        outer: difference of the last ten accuracies below which the network is replaced.
        inner: difference of the last ten accuracies above which its training between two matchings ends.
        watch: real rows a class that an accuracy is measured on.
        epochs: most epochs of that training.
        augmentation: DSA strategy, "default" for the data's own, which makes it CAFE+DSA; "" for none.
        initial: where the rows start.

    Returns:
        The method; a step is one matching.

    Example:
        >>> attar.methods.cafe(below=0.1).objective.distance.below
        0.1

    Reference:
        Wang et al.: CAFE: Learning to Condense Dataset by Aligning Features, CVPR 2022.
    """
    return Matching(
        name="cafe",
        objective=LayerwiseMatch(MeanDistance(below), discrimination),
        surrogates=Watched(model, lr_model, watch=watch, outer=outer, inner=inner, epochs=epochs),
        optimisers={"data": SGD(lr, momentum=momentum, decay=Decay(0.5, (12_000, 16_000, 18_000)))},
        initial=starting_values(initial),
        augmentation=augmentation,
        real_rows=PerClass(batch),
    )


def datadam(
    model: str = "convnet3",
    lr: float = 1.0,
    momentum: float = 0.5,
    batch: int = 256,
    weight: float = 0.01,
    exponent: float = 4.0,
    scale: float = 1.0,
    halve_every: int | None = None,
    augmentation: str = "default",
    initial: InitialName = "real",
) -> Matching:
    """Attention matching: where the features of random networks are large is the same, and their last means are.

    ``min_S E_{theta, omega} s sum_c ( sum_{l < L} | mean a_l(T_c) - mean a_l(S_c) |^2 + w | mean f_L(T_c) - mean f_L(S_c) |^2 )``
    with ``a_l = z_l / |z_l|``, ``z_l = vec( sum_channels |f_l|^p )``.

    Args:
        model: network whose features are matched.
        lr: step size on the rows (10 for more than 50 rows a class).
        momentum: of the updates of the rows.
        batch: real rows a class and step.
        weight: w, of the last layer's means.
        exponent: p (the public code has 1).
        scale: s, 1 in the paper (100 in the public code).
        halve_every: steps from one halving of the step size to the next; None for a constant one.
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: where the rows start.

    Returns:
        The method.

    Example:
        >>> attar.methods.datadam(exponent=1).objective.maps.exponent
        1

    Reference:
        Sajedi et al.: DataDAM: Efficient Dataset Distillation with Attention Matching, ICCV 2023.
    """
    decay = None if halve_every is None else Decay(0.5, every=halve_every)
    return Matching(
        name="datadam",
        objective=FeatureMatch(MeanDistance(scale, scale * weight), "all", SpatialAttention(exponent)),
        surrogates=Fresh(model),
        optimisers={"data": SGD(lr, momentum=momentum, decay=decay)},
        initial=starting_values(initial),
        augmentation=augmentation,
        real_rows=PerClass(batch),
    )


def m3d(
    model: str = "convnet3",
    factor: int = 2,
    lr: float = 1.0,
    momentum: float = 0.5,
    batch: int = 128,
    updates: int = 5,
    augmentation: str = "color_crop_cutout",
    initial: InitialName = "real",
) -> Matching:
    """Maximum mean discrepancy of the features' whole distributions, not of their means alone.

    ``min_S E_{theta, omega} sum_c b_c MMD^2_k( psi_theta(A_omega(T_c)), psi_theta(A_omega(f(S)_c)) )``, k a sum of Gaussian
    kernels, b_c their mean width, f the rows that a stored row unfolds to.

    Args:
        model: network whose features are matched.
        factor: parts of a stored row along each side, each enlarged to a row; 1 for none.
        lr: step size on the rows.
        momentum: of the updates of the rows.
        batch: real rows a class and step.
        updates: steps that a random network serves.
        augmentation: operations joined by "_", all of them, the same for both sides; "" for none.
        initial: where the rows start.

    Returns:
        The method.

    Example:
        >>> attar.methods.m3d(updates=1).surrogates.updates
        1

    Reference:
        Zhang et al.: M3D: Dataset Condensation by Minimizing Maximum Mean Discrepancy, AAAI 2024.
    """
    return Matching(
        name="m3d",
        objective=FeatureMatch(GaussianMMD(), apart=True),
        surrogates=Fresh(model, updates),
        optimisers={"data": SGD(lr, momentum=momentum)},
        synthetic=MultiFormation(factor),
        initial=starting_values(initial),
        augmentation=all_of(augmentation),
        real_rows=PerClass(batch),
    )


def ncfm(
    model: str = "convnet3",
    factor: int = 2,
    lr: float = 0.01,
    batch: int = 1024,
    frequencies: int = 1024,
    sampling: Literal["network", "normal"] = "network",
    amplitude: float = 0.5,
    phase: float = 0.5,
    calibration: float = 1.0,
    networks: int = 20,
    updates: int = 200,
    lr_model: float = 0.01,
    augmentation: str = "color_crop_cutout",
    initial: InitialName = "real",
) -> Matching:
    """Characteristic functions of the features, at frequencies that a network seeks where the two sides differ most.

    ``min_S max_psi E sum_c mean_t sqrt( a (|P_T| - |P_S|)^2 + 2 b (|P_T| |P_S| - Re P_T conj(P_S)) )`` with
    ``P_T(t) = mean over x in T_c of exp( i <t, f(x) / |f(x)|> )``, ``t ~ psi``, f a blend of a network's start and end.

    Args:
        model: networks whose features are matched.
        factor: parts of a stored row along each side, each enlarged to a row; 1 for none.
        lr: step size of Adam on the rows.
        batch: real rows a class and step.
        frequencies: frequencies a step (4,096 in the public code).
        sampling: "network" for a network that draws them, "normal" for standard normal ones; the public code has settings for either.
        amplitude: a, the weight of the difference in amplitude.
        phase: b, the weight of the difference in phase.
        calibration: weight of the cross-entropy of the trained network on the synthetic rows.
        networks: trained networks in the pool.
        updates: updates of each on real rows (the public code trains for 60 epochs).
        lr_model: step size of these, with momentum 0.9 and weight decay 5e-4.
        augmentation: operations joined by "_", all of them, the same for both sides; "" for none.
        initial: where the rows start.

    Returns:
        The method.

    Example:
        >>> attar.methods.ncfm(sampling="normal").objective.network is None
        True

    Reference:
        Wang et al.: Dataset Distillation with Neural Characteristic Function: A Minmax Perspective, CVPR 2025.
    """
    if sampling not in ("network", "normal"):
        raise AttarError(f"There is no sampling '{sampling}' of frequencies: give network or normal.")
    psi = FrequencyNetwork() if sampling == "network" else None
    return Matching(
        name="ncfm",
        objective=CharacteristicMatch(frequencies, psi, amplitude, phase, calibration=calibration),
        surrogates=Pool(model, networks, updates=updates, lr=lr_model),
        optimisers={"data": Adam(lr)},
        synthetic=MultiFormation(factor),
        initial=starting_values(initial),
        augmentation=all_of(augmentation),
        real_rows=PerClass(batch),
    )
