"""Codes: small codes, each turned into several images by decoders that all codes share."""

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

__all__ = ["Codes"]

_NOISE = 0.03
"""Spread of the weights about those that enlarge a code bilinearly: without it all decoders would stay equal."""


@dataclass(frozen=True)
class Codes:
    """``x[i, j] = decoder_j(code_i)``: n codes and m decoders give n m images, and both are learned.

    A code is a small image. A decoder is a convolution of 3 x 3, a ReLU, bilinear enlargement to the image's size and
    another convolution; it starts near plain enlargement, the code at a real image shrunk.

    Args:
        codes: for each row of the budget, each with a label.
        decoders: how many.
        width: channels within a decoder, at least twice those of the images.
        size: height and width of a code; None for the largest at which codes, decoders and labels together take no more bytes
            than the budget's images with theirs would.

    Reference:
        Lee et al.: Dataset Condensation with Latent Space Knowledge Factorization and Sharing, 2022 (KFS): codes and tiny
        decoders that are combined freely. Its abstract is all that was read of it; the decoders and the start are attar's own.
    """

    codes: int = 2
    decoders: int = 2
    width: int = 8
    size: tuple[int, int] | None = None

    decodes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if min(self.codes, self.decoders) < 1:
            raise AttarError(
                f"Codes(codes={self.codes}, decoders={self.decoders}) makes no images: give 1 or more of each."
            )

    @property
    def each(self) -> int:
        return self.codes

    def check(self, problem: Problem, budget: Budget, labels: LabelForm = "hard") -> None:
        shape = check_images(self, problem)
        if self.width < 2 * shape[0]:
            raise AttarError(
                f"Codes(width={self.width}) cannot carry {shape[0]} channels through a ReLU: give {2 * shape[0]} or more."
            )
        if self.size is not None:
            check_size(self, self.size, shape)
        self._size(shape, Room.of(problem, budget, labels, self.codes))

    def _size(self, shape: tuple[int, int, int], room: Room) -> tuple[int, int]:
        """Height and width of the codes that stand for the budget's images of a shape."""
        if self.size is not None:
            return self.size
        channels = shape[0]
        shared = self.decoders * (18 * self.width * channels + self.width + channels)
        found = side_within(shape, room.rows * self.codes, room.numbers - shared)
        if found is None:
            raise AttarError(
                f"{self.decoders} decoders hold {shared:,} numbers, which leaves no room for codes in the bytes of {room.rows} "
                "images: give fewer or narrower decoders, fewer codes, a larger budget, or size=."
            )
        return found

    def build(self, batch: Batch, problem: Problem, generator: torch.Generator) -> CodedRows:
        check_start(self, batch)
        shape = check_images(self, problem)
        channels = shape[0]
        # relu(x) - relu(-x) = x: the first channels carry the code and its negative, and meet again
        inward = torch.zeros(self.width, channels, 3, 3)
        for channel in range(channels):
            inward[2 * channel, channel, 1, 1], inward[2 * channel + 1, channel, 1, 1] = 1, -1
        outward = inward.transpose(0, 1)

        def near(start: Tensor) -> Tensor:
            noise = torch.randn((self.decoders, *start.shape), generator=generator, dtype=start.dtype)
            return (start + _NOISE * noise).to(batch.x)

        tensors = {
            "codes": resized(batch.x, self._size(shape, Room.at(batch, self.codes))),
            "inward_weight": near(inward),
            "inward_bias": near(torch.zeros(self.width)),
            "outward_weight": near(outward),
            "outward_bias": near(torch.zeros(channels)),
        }
        return CodedRows(tensors, batch)

    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> CodedRows:
        return CodedRows(tensors, like)


class CodedRows(nn.Module):
    """Holds ``codes`` of shape ``(n, c, h', w')`` and, m decoders together, ``inward_weight`` ``(m, k, c, 3, 3)``,
    ``inward_bias`` ``(m, k)``, ``outward_weight`` ``(m, c, k, 3, 3)`` and ``outward_bias`` ``(m, c)``."""

    codes: Tensor
    inward_weight: Tensor
    inward_bias: Tensor
    outward_weight: Tensor
    outward_bias: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], like: Batch) -> None:
        super().__init__()
        for name in ("codes", *_DECODERS):
            setattr(self, name, nn.Parameter(tensors[name].detach().clone()))
        self._like = like.detach()

    def forward(self, y: Tensor | None) -> Batch:
        count = len(self.inward_weight)
        features = F.conv2d(self.codes, self.inward_weight.flatten(0, 1), self.inward_bias.flatten(), padding=1).relu()
        features = resized(features, tuple(self._like.x.shape[-2:]))  # type: ignore[arg-type]
        weight, bias = self.outward_weight.flatten(0, 1), self.outward_bias.flatten()
        rows = F.conv2d(features, weight, bias, padding=1, groups=count)
        return decoded(self._like, rows.unflatten(1, (count, -1)).flatten(0, 1), y)

    def __len__(self) -> int:
        return len(self.codes)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"data": [self.codes], "decoders": [getattr(self, name) for name in _DECODERS]}


_DECODERS = ("inward_weight", "inward_bias", "outward_weight", "outward_bias")
