"""Differentiable siamese augmentation (DSA)."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attar import rng
from attar.augment import operations
from attar.types import AttarError

__all__ = ["OPERATIONS", "Siamese"]

OPERATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")


@dataclass(frozen=True)
class Siamese:
    """Differentiable siamese augmentation: the same random transform of the synthetic and the real rows.

    With u uniform in [0, 1):

    - color: brightness adds ``(u - 1/2) brightness``, saturation multiplies the difference to the mean over channels by
      ``u saturation`` (nothing on one channel), contrast the difference to the image's mean by ``u + contrast``.
    - crop: shifts by whole pixels, each axis within ``crop`` of its side, zeros moving in.
    - cutout: zeroes a rectangle of ``cutout`` of each side around any pixel.
    - flip: mirrors left and right with probability ``flip``.
    - scale: resamples each axis by its own factor, uniform in ``[1 / scale, scale]``.
    - rotate: turns by an angle uniform in ``[-rotate, rotate]``.

    These are the semantics of the authors' code, which gave the published results, with what it does not say aloud: the
    operation is drawn once a call, not once a row; the axes scale independently; contrast is not centred on 1 and
    neither it nor saturation is off at zero; rows are normalised, so that the zeros that move in are the mean colour.
    Two things differ: draws come from `seed` and not from the clock, and images that are not square turn without shear.

    Args:
        strategy: operations joined by "_", of color, crop, cutout, flip, scale and rotate.
        mode: "single" draws one operation a call; "multiple" does all, in the order of `strategy`.
        shared: one draw of the parameters for all rows, which is what matching needs; else one a row, as in the
            training of networks on the result. The operation is the same for all rows in both.
        brightness: range of the brightness added.
        saturation: upper end of the saturation factor.
        contrast: lower end of the contrast factor, whose upper end is one more.
        crop: greatest shift, as a share of the side.
        cutout: side of the zeroed rectangle, as a share of the side.
        flip: probability.
        scale: greatest factor.
        rotate: greatest angle in degrees.

    Raises:
        AttarError: if `strategy` names an operation that does not exist, or `mode` is neither of the two.

    Example:
        >>> augment = Siamese("crop_flip")
        >>> x = torch.rand(4, 3, 32, 32)
        >>> torch.equal(augment(x, seed=7)[:2], augment(x[:2], seed=7))
        True

    Reference: Zhao and Bilen, Dataset condensation with differentiable siamese augmentation, ICML 2021, section 3.3.
    """

    strategy: str = "color_crop_cutout_flip_scale_rotate"
    mode: Literal["single", "multiple"] = "single"
    shared: bool = True
    brightness: float = 1.0
    saturation: float = 2.0
    contrast: float = 0.5
    crop: float = 0.125
    cutout: float = 0.5
    flip: float = 0.5
    scale: float = 1.2
    rotate: float = 15.0

    def __post_init__(self) -> None:
        for name in self.strategy.split("_"):
            if name not in OPERATIONS:
                near = difflib.get_close_matches(name, OPERATIONS, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise AttarError(
                    f"There is no augmentation '{name}' (in '{self.strategy}'): {hint}join some of "
                    f"{', '.join(OPERATIONS)} by '_', or give 'dc', or '' for none."
                )
        if self.mode not in ("single", "multiple"):
            raise AttarError(f"The mode of an augmentation is 'single' or 'multiple', not '{self.mode}'.")

    def __call__(self, x: Tensor, seed: int) -> Tensor:
        """Transform images ``(n, c, h, w)``; equal seeds give equal transforms."""
        source = rng.generator(seed, "siamese")
        names = self.strategy.split("_")
        if self.mode == "single":
            names = [names[int(torch.randint(len(names), (), generator=source))]]
        for name in names:
            x = self._apply(name, x, source)
        return x

    def _apply(self, name: str, x: Tensor, source: torch.Generator) -> Tensor:
        count = 1 if self.shared else len(x)
        sides = x.shape[2:]

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, generator=source)

        def whole(low: int, high: int) -> Tensor:  # high included
            return torch.randint(low, high + 1, (count,), generator=source)

        match name:
            case "color":
                brightness = uniform(-self.brightness / 2, self.brightness / 2)
                saturation = uniform(0, self.saturation)
                return operations.recolour(x, brightness, saturation, uniform(self.contrast, self.contrast + 1))
            case "crop":
                down, right = (whole(-reach, reach) for reach in (_round(side * self.crop) for side in sides))
                return operations.shift(x, down, right)
            case "cutout":
                height, width = (_round(side * self.cutout) for side in sides)
                # an even rectangle has its centre between pixels, so that there is one place more for it
                top = whole(0, sides[0] - height % 2) - height // 2
                left = whole(0, sides[1] - width % 2) - width // 2
                return operations.cutout(x, top, left, (height, width))
            case "flip":
                return operations.flip(x, uniform(0, 1) < self.flip)
            case "scale":
                horizontal, vertical = (uniform(1 / self.scale, self.scale) for _ in range(2))
                return operations.rescale(x, vertical, horizontal)
            case "rotate":
                return operations.rotate(x, uniform(-self.rotate, self.rotate))
        raise AssertionError(name)  # the constructor lets no other name pass


def _round(length: float) -> int:
    """The nearest whole number, halves upwards."""
    return int(length + 0.5)
