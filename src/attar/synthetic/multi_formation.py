"""Multi-formation: several training images in each stored one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar.synthetic.images import check_images, check_start, decoded, resized
from attar.synthetic.synthetic import LabelForm
from attar.types import AttarError, Batch, Budget, Normalisation, Problem

__all__ = ["MultiFormation"]


@dataclass(frozen=True)
class MultiFormation:
    """Each stored image is cut into ``factor x factor`` tiles, and each tile is enlarged to a training image bilinearly.

    So n stored images are ``factor**2 n`` training images at the same bytes. A stored image starts as as many real ones of
    its class, shrunk. Where a side is no multiple of the factor its first tiles are one pixel longer (28 by 3: 10, 9, 9), so
    that every stored pixel is used.

    Args:
        factor: tiles along each side; 1 stores images as they are.
        clamp: keep stored pixels within [0, 1] in raw units after every update (IDC's code does whenever it takes a new
            network).

    Example:
        >>> import torch, attar
        >>> stored = {"x": torch.arange(4.0).reshape(1, 1, 2, 2)}
        >>> like = attar.batches.Images(torch.zeros(0, 1, 2, 2))
        >>> attar.synthetic.MultiFormation(2).restore(stored, like)(torch.tensor([7])).x[:, 0, 0, 0]
        tensor([0., 1., 2., 3.], grad_fn=...)

    Reference:
        Kim et al.: Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022. The authors' code starts at
        uneven tiles as these are, and decodes others (it pads to a multiple of the factor with grey).
    """

    factor: int = 2
    clamp: bool = True

    decodes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.factor != int(self.factor) or self.factor < 1:
            raise AttarError(
                f"An image cannot be cut into {self.factor} tiles a side: give a whole factor of 1 or more."
            )

    @property
    def each(self) -> int:
        return self.factor**2

    def check(self, problem: Problem, budget: Budget, labels: LabelForm = "hard") -> None:
        self._check_tiles(*check_images(self, problem)[1:])

    def _check_tiles(self, height: int, width: int) -> None:
        if min(height, width) < self.factor:
            raise AttarError(
                f"Images of {height} x {width} have no {self.factor} tiles a side: "
                f"give a factor of {min(height, width)} or less."
            )

    def build(self, batch: Batch, problem: Problem, generator: torch.Generator) -> TiledRows:
        check_start(self, batch)
        rows = batch.x.unflatten(0, (-1, self.each))
        tiles = [(a, b) for a in _cuts(batch.x.shape[-2], self.factor) for b in _cuts(batch.x.shape[-1], self.factor)]
        x = torch.empty_like(rows[:, 0])
        for place, (high, wide) in enumerate(tiles):
            x[:, :, high, wide] = resized(rows[:, place], (high.stop - high.start, wide.stop - wide.start))
        return TiledRows(x, batch, self)

    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> TiledRows:
        self._check_tiles(*tensors["x"].shape[-2:])
        return TiledRows(tensors["x"], like, self)


class TiledRows(nn.Module):
    """Holds ``x`` of shape ``(n, c, h, w)`` in normalised units; row ``i * factor**2 + k`` is tile k of stored image i, tiles
    counted along the rows."""

    def __init__(self, x: Tensor, like: Batch, part: MultiFormation) -> None:
        super().__init__()
        self.x = nn.Parameter(x.detach().clone())
        self._like, self._part = like.detach(), part

    def forward(self, y: Tensor | None) -> Batch:
        height, width = self.x.shape[-2:]
        tiles = [
            F.interpolate(self.x[:, :, high, wide], size=(height, width), mode="bilinear", align_corners=False)
            for high in _cuts(height, self._part.factor)
            for wide in _cuts(width, self._part.factor)
        ]
        return decoded(self._like, torch.stack(tiles, 1).flatten(0, 1), y)

    def __len__(self) -> int:
        return len(self.x)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"data": [self.x]}

    def project(self, normalisation: Normalisation) -> None:
        if self._part.clamp:
            self.x.copy_(normalisation.clamp(self.x))


def _cuts(side: int, factor: int) -> list[slice]:
    """A side in `factor` parts, the first ones a pixel longer where it does not divide."""
    small, longer = divmod(side, factor)
    ends = [small * (k + 1) + min(k + 1, longer) for k in range(factor)]
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
