"""Bases: each stored image is turned into several by small networks that all images share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar.synthetic.images import check_images, check_size, check_start, decoded, resized, side_within
from attar.synthetic.room import Room
from attar.synthetic.synthetic import LabelForm
from attar.types import AttarError, Batch, Budget, Problem

__all__ = ["Bases"]

_NOISE = 0.1
"""Spread of the weights about those that leave an image as it is: without it all hallucinators would stay equal."""


@dataclass(frozen=True)
class Bases:
    """``x[i, j] = decoder_j( scale_j * encoder_j(basis_i) + shift_j )``: n bases and h hallucinators give n h images.

    A hallucinator is a convolution of 3 x 3 without padding, a scale and a shift for each place and channel, and a
    convolution back to the image's size. It starts near the identity. A basis that is stored smaller than an image is
    enlarged bilinearly first.

    Args:
        hallucinators: how many.
        channels: of what they scale and shift; None for as many as the images have.
        size: height and width of a stored basis; None for the largest at which bases and hallucinators together take no
            more bytes than the budget's images would. The published bases are as large as the images.

    Reference:
        Liu et al.: Dataset Distillation via Factorization, NeurIPS 2022, whose hallucinators these are but for three things:
        theirs start at random and come back by a transposed convolution, which here would leave a dark frame at the start;
        the contrastive terms of their loss are the objective's affair.
    """

    hallucinators: int = 5
    channels: int | None = None
    size: tuple[int, int] | None = None

    decodes: ClassVar[bool] = True
    each: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.hallucinators < 1 or (self.channels is not None and self.channels < 1):
            raise AttarError(
                f"Bases(hallucinators={self.hallucinators}, channels={self.channels}) makes no images: give 1 or more of each."
            )

    def check(self, problem: Problem, budget: Budget, labels: LabelForm = "hard") -> None:
        shape = check_images(self, problem)
        if min(shape[1:]) < 3:
            raise AttarError(
                f"Hallucinators have windows of 3 x 3, and these images are {shape[1]} x {shape[2]}: use Pixels()."
            )
        if self.size is not None:
            check_size(self, self.size, shape)
        self._size(shape, Room.of(problem, budget, labels))

    def _size(self, shape: tuple[int, int, int], room: Room) -> tuple[int, int]:
        """Height and width of the bases, one for each row of the budget, of images of a shape."""
        if self.size is not None:
            return self.size
        channels, height, width = shape
        inner = self.channels or channels
        one = 18 * inner * channels + inner + channels + 2 * inner * (height - 2) * (width - 2)
        found = side_within(shape, room.rows, room.numbers - self.hallucinators * one)
        if found is None:
            raise AttarError(
                f"{self.hallucinators} hallucinators hold {self.hallucinators * one:,} numbers, which leaves no room for bases "
                f"in the bytes of {room.rows} images: give fewer hallucinators or channels, a larger budget, or size=."
            )
        return found

    def build(self, batch: Batch, problem: Problem, generator: torch.Generator) -> HallucinatedRows:
        check_start(self, batch)
        channels, height, width = check_images(self, problem)
        inner, count = self.channels or channels, self.hallucinators

        def near(start: Tensor) -> Tensor:
            noise = torch.randn(start.shape, generator=generator, dtype=start.dtype)
            return (start + _NOISE * noise).to(batch.x)

        shape = (count, inner, height - 2, width - 2)
        tensors = {
            "bases": resized(batch.x, self._size((channels, height, width), Room.at(batch))),
            "encoder_weight": near(nn.init.dirac_(torch.empty(inner, channels, 3, 3)).expand(count, -1, -1, -1, -1)),
            "encoder_bias": near(torch.zeros(count, inner)),
            "scale": near(torch.ones(shape)),
            "shift": near(torch.zeros(shape)),
            "decoder_weight": near(nn.init.dirac_(torch.empty(channels, inner, 3, 3)).expand(count, -1, -1, -1, -1)),
            "decoder_bias": near(torch.zeros(count, channels)),
        }
        return HallucinatedRows(tensors, batch)

    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> HallucinatedRows:
        return HallucinatedRows(tensors, like)


class HallucinatedRows(nn.Module):
    """Holds ``bases`` of shape ``(n, c, h', w')`` and, h hallucinators together, ``encoder_weight`` ``(h, m, c, 3, 3)``,
    ``encoder_bias`` ``(h, m)``, ``scale`` and ``shift`` ``(h, m, h - 2, w - 2)``, ``decoder_weight`` ``(h, c, m, 3, 3)`` and
    ``decoder_bias`` ``(h, c)``."""

    bases: Tensor
    encoder_weight: Tensor
    encoder_bias: Tensor
    scale: Tensor
    shift: Tensor
    decoder_weight: Tensor
    decoder_bias: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], like: Batch) -> None:
        super().__init__()
        for name in ("bases", *_HALLUCINATORS):
            setattr(self, name, nn.Parameter(tensors[name].detach().clone()))
        self._like = like.detach()

    def forward(self, y: Tensor | None) -> Batch:
        count = len(self.scale)
        images = resized(self.bases, tuple(self._like.x.shape[-2:]))  # type: ignore[arg-type]
        # all hallucinators side by side: one convolution, then one in as many groups
        features = F.conv2d(images, self.encoder_weight.flatten(0, 1), self.encoder_bias.flatten())
        features = features * self.scale.flatten(0, 1) + self.shift.flatten(0, 1)
        features = F.pad(features, (2, 2, 2, 2), mode="replicate")
        rows = F.conv2d(features, self.decoder_weight.flatten(0, 1), self.decoder_bias.flatten(), groups=count)
        return decoded(self._like, rows.unflatten(1, (count, -1)).flatten(0, 1), y)

    def __len__(self) -> int:
        return len(self.bases)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"data": [self.bases], "hallucinators": [getattr(self, name) for name in _HALLUCINATORS]}


_HALLUCINATORS = ("encoder_weight", "encoder_bias", "scale", "shift", "decoder_weight", "decoder_bias")
