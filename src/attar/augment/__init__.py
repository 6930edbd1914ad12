"""Differentiable transforms of images with an explicit seed.

An augmentation is a frozen dataclass that is called as ``augment(x, seed)`` with images ``(n, c, h, w)`` and returns as
many of the same shape. All its random parameters are drawn on the CPU from `attar.rng.generator(seed, ...)`, so that
equal seeds give equal transforms on every device, which is what makes the two sides of a matching step siamese. The
result is differentiable with respect to the images and keeps their dtype. A mixing augmentation (`CutMix`) is for the
training of networks: called as ``mix(x, targets, seed)``, it changes the targets too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from attar.augment.dc import DCAugment
from attar.augment.mixing import CutMix
from attar.augment.siamese import OPERATIONS, Siamese
from attar.types import AttarError

__all__ = ["Augment", "CutMix", "DCAugment", "NoAugment", "Siamese", "all_of", "named", "slight"]

_SLIGHT = ("crop", "flip", "scale", "rotate")


class Augment(Protocol):
    """A differentiable transform with an explicit seed."""

    def __call__(self, x: Tensor, seed: int) -> Tensor:
        """Transform images ``(n, c, h, w)``; equal seeds give equal transforms."""


@dataclass(frozen=True)
class NoAugment:
    """The images as they are."""

    def __call__(self, x: Tensor, seed: int) -> Tensor:
        return x


def named(strategy: str, shared: bool = True) -> NoAugment | DCAugment | Siamese:
    """The augmentation of a name.

    Args:
        strategy: "" for none, "dc" for DC's own on MNIST, else the operations of `Siamese` joined by "_".
        shared: whether `Siamese` draws one set of parameters for all rows (matching) or one a row (training).

    Raises:
        AttarError: if an operation does not exist.
    """
    match strategy:
        case "":
            return NoAugment()
        case "dc":
            return DCAugment()
    return Siamese(strategy, shared=shared)


def all_of(strategy: str, shared: bool = True) -> NoAugment | Siamese:
    """All operations of a strategy, one after the other, where `named` draws one; "" for none.

    The public code of IDC, M3D and NCFM has one class for this, which always does colour, flip and cutout, and draws one of the
    others: the same where there is one other at most, as in the strategies that they match with.

    Raises:
        AttarError: if an operation does not exist; "default" and "dc" are no strategies here.
    """
    if strategy in ("default", "dc"):
        raise AttarError(
            f"The augmentation '{strategy}' draws one operation at a time, and this method does all of its strategy's: name "
            f"those, joined by _, of {', '.join(OPERATIONS)}, or give '' for none."
        )
    return Siamese(strategy, mode="multiple", shared=shared) if strategy else NoAugment()


def slight(strategy: str) -> NoAugment | Siamese:
    """All operations of a strategy, a little and each row by its own draw: what leaves a row of its class to the eye; "" for none.

    Shifts by up to 3.6 % of a side (1 pixel of 28), turns by up to 8 degrees, and scales each axis by up to 1.08.

    Args:
        strategy: operations joined by "_", of crop, flip, scale and rotate.

    Raises:
        AttarError: if there is no such operation, or no small one.
    """
    if not strategy:
        return NoAugment()
    none = [name for name in strategy.split("_") if name not in _SLIGHT]
    if none:
        raise AttarError(
            f"There is no slight augmentation '{none[0]}' (in '{strategy}'): join some of {', '.join(_SLIGHT)} by '_', or "
            "give '' for none."
        )
    return Siamese(strategy, mode="multiple", shared=False, crop=0.036, scale=1.08, rotate=8.0)
