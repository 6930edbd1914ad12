"""Characteristic functions: a distribution as the mean of waves ``exp(i <t, x>)``, which tells any two apart."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["characteristic_distance", "characteristic_function"]

_CHUNK = 2048
"""Rows whose waves exist at the same time, where no gradient has to remember them."""


def characteristic_function(features: Tensor, share: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """Empirical characteristic function of each class.

    ``Phi_c(t) = sum_i p_ic exp( i <t, x_i> )``, p_c a class's shares divided by their sum

    Args:
        features: ``(n, d)``.
        share: what each row counts in each class ``(n, classes)``.
        frequencies: t ``(k, d)``.

    Returns:
        Real and imaginary part, each ``(classes, k)``; nought for a class without rows.
    """
    weight = (share / share.sum(0).clamp_min(1e-12)).to(features.dtype)
    real = imaginary = torch.zeros((), dtype=features.dtype, device=features.device)
    for rows, part in zip(features.split(_CHUNK), weight.split(_CHUNK), strict=True):
        waves = rows @ frequencies.T
        real = real + part.T @ waves.cos()
        imaginary = imaginary + part.T @ waves.sin()
    return real, imaginary


def characteristic_distance(
    real: tuple[Tensor, Tensor], synthetic: tuple[Tensor, Tensor], amplitude: float = 0.5, phase: float = 0.5
) -> Tensor:
    """Sum over classes of the mean over frequencies of the distance between two characteristic functions.

    ``sum_c mean_t sqrt( amplitude (|R| - |S|)^2 + 2 phase (|R| |S| - Re R conj(S)) )``; both weights 1 make it |R - S|,
    both 1/2 |R - S| / sqrt(2).

    Args:
        real, synthetic: real and imaginary part ``(classes, k)`` of each side's function.
        amplitude: weight of the difference in length, which speaks of diversity.
        phase: weight of the difference in angle, which speaks of where the rows lie.

    Returns:
        The distance ``()``.

    Reference:
        Wang et al.: Dataset Distillation with Neural Characteristic Function: A Minmax Perspective, CVPR 2025.
    """
    (a, b), (c, d) = real, synthetic
    tiny = 1e-12  # the square root has no slope at nought
    left, right = ((x**2 + y**2).clamp_min(tiny).sqrt() for x, y in (real, synthetic))
    turned = 2 * (left * right - a * c - b * d)
    return (amplitude * (left - right) ** 2 + phase * turned).clamp_min(tiny).sqrt().mean(1).sum()
