"""The augmentation that DC trains networks with on MNIST."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attar import rng
from attar.augment import operations

__all__ = ["DCAugment"]


@dataclass(frozen=True)
class DCAugment:
    """Each row is cropped, scaled or turned, one of the three at random.

    - crop: shifts by whole pixels from ``-crop`` to ``crop - 1`` an axis, the mean of each channel moving in.
    - scale: resizes to a share of the sides uniform in ``[1 - scale, 1 + scale]``, each axis its own, by nearest pixels
      about the centre, zeros around.
    - rotate: turns by whole degrees from ``-rotate`` to ``rotate - 1``, the mean of all pixels around.

    As in the authors' code, except that it turns by cubic splines and this bilinearly, which is differentiable. The
    means are those of the rows at hand, held constant in the gradient.

    Args:
        crop: greatest shift in pixels, below the sides of the images.
        scale: greatest change of the sides, as a share.
        rotate: greatest angle in degrees.

    Reference: Zhao et al., Dataset condensation with gradient matching, ICLR 2021, section 4.1 and its code.
    """

    crop: int = 4
    scale: float = 0.2
    rotate: int = 45

    def __call__(self, x: Tensor, seed: int) -> Tensor:
        """Transform images ``(n, c, h, w)``; equal seeds give equal transforms."""
        source = rng.generator(seed, "dc")
        n, sides = len(x), x.shape[2:]
        chosen = torch.randint(3, (n,), generator=source)
        # every row draws for all three, in [-1, 1): what one row does leaves the draws of the others as they are
        moves, resizes, turn = (2 * torch.rand(k, n, generator=source) - 1 for k in (2, 2, 1))
        down, right = (self.crop * moves).floor().long()
        shares = 1 + self.scale * resizes
        degrees = (self.rotate * turn[0]).floor()
        channel_mean = x.detach().mean((0, 2, 3), keepdim=True)
        mean = channel_mean.mean()

        def crop(rows: Tensor) -> Tensor:
            return operations.shift(x[rows] - channel_mean, down[rows], right[rows]) + channel_mean

        def scale(rows: Tensor) -> Tensor:
            height, width = ((shares[axis, rows] * sides[axis]).long() for axis in (0, 1))
            return operations.pick(x[rows], *_centred([height, width], list(sides)))

        def rotate(rows: Tensor) -> Tensor:
            return operations.rotate(x[rows] - mean, degrees[rows]) + mean

        groups = [torch.nonzero(chosen == kind).flatten() for kind in range(3)]
        changed = [change(rows) for change, rows in zip((crop, scale, rotate), groups, strict=True) if len(rows)]
        return torch.cat(changed)[torch.cat(groups).argsort()]


def _centred(sizes: list[Tensor], sides: list[int]) -> list[Tensor]:
    """For each axis the pixel ids ``(k, side)`` of images resized to `sizes` ``(k,)`` by nearest pixels and put in the
    centre; -1 where there is no pixel."""
    frame = torch.stack([*sizes, *(torch.full_like(sizes[0], side) for side in sides)]).amax(0)
    ids = []
    for size, side in zip(sizes, sides, strict=True):
        place = torch.arange(side) + ((frame - side) // 2 - (frame - size) // 2)[:, None]
        nearest = (place * (side / size.float())[:, None]).floor().long()
        ids.append(torch.where((place >= 0) & (place < size[:, None]), nearest, -1))
    return ids
