"""The operations of differentiable augmentation, with their parameters as arguments.

Each takes images ``x`` of shape ``(n, c, h, w)`` and parameters of shape ``(k,)`` on the CPU, with k = 1 (one value for
all rows) or k = n (a value a row), returns ``(n, c, h, w)`` and is affine in x. Pixels from outside an image are zero.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["cutout", "flip", "pick", "recolour", "rescale", "rotate", "shift"]


def recolour(x: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Brightness, then saturation, then contrast.

    In turn ``x + b``, ``m + s (x - m)`` with the mean m of a pixel's channels, and ``M + k (x - M)`` with the mean M of
    the image. All three are affine, so they are applied as one: ``k s x + k (1 - s) m + (1 - k) M + b``.

    Args:
        x: images.
        brightness: b, added.
        saturation: s, no matter where there is one channel.
        contrast: k.
    """
    b, s, k = (_per_row(values, x) for values in (brightness, saturation, contrast))
    if x.shape[1] == 1:
        s = torch.ones_like(s)
    pixel_mean = x.mean(1, keepdim=True)
    image_mean = pixel_mean.mean((2, 3), keepdim=True)
    return torch.addcmul(k * (1 - s) * pixel_mean + ((1 - k) * image_mean + b), x, k * s)


def shift(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Row i, column j of the result is row ``i + down``, column ``j + right`` of x.

    Args:
        x: images.
        down: whole numbers, below h in size.
        right: whole numbers, below w in size.
    """
    if len(down) == 1:  # a pad that is negative on one side and positive on the other is a shift without an index
        d, r = int(down), int(right)
        return F.pad(x, (-r, r, -d, d)) if d or r else x
    rows = torch.arange(x.shape[2]) + down[:, None]
    columns = torch.arange(x.shape[3]) + right[:, None]
    return pick(x, rows, columns)


def pick(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixel (i, j) of the result is pixel ``(rows[i], columns[j])`` of x, zero where that is outside.

    Args:
        x: images.
        rows: ``(k, height)`` whole numbers.
        columns: ``(k, width)`` whole numbers.

    Returns:
        ``(n, c, height, width)``.
    """
    n, c, h, w = x.shape
    rows, columns = ((ids.clamp(-1, side) + 1).to(x.device) for ids, side in ((rows, h), (columns, w)))
    padded = F.pad(x, (1, 1, 1, 1))
    picked = padded.gather(2, rows[:, None, :, None].expand(n, c, -1, w + 2))
    return picked.gather(3, columns[:, None, None, :].expand(n, c, rows.shape[1], -1))


def cutout(x: Tensor, top: Tensor, left: Tensor, size: tuple[int, int]) -> Tensor:
    """Zero a rectangle.

    Args:
        x: images.
        top: first row of the rectangle; it may lie outside the image.
        left: first column.
        size: rows and columns of the rectangle.
    """
    row = torch.arange(x.shape[2]) - top[:, None]
    column = torch.arange(x.shape[3]) - left[:, None]
    inside_rows = (row >= 0) & (row < size[0])
    inside_columns = (column >= 0) & (column < size[1])
    inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return x.masked_fill(inside.to(x.device), 0)


def flip(x: Tensor, flipped: Tensor) -> Tensor:
    """Mirror left and right where `flipped` is true."""
    if len(flipped) == 1:
        return x.flip(3) if bool(flipped) else x
    return torch.where(flipped.to(x.device)[:, None, None, None], x.flip(3), x)


def rescale(x: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Look `vertical` and `horizontal` times as far from the centre: bilinear, and below 1 the image is enlarged.

    Bilinear resampling along the axes is a product with one small matrix an axis, whose weights are hats: the same
    values as by a sampling grid, faster, and with a gradient that is the same bits each time on a GPU too.
    """
    return _hats(vertical, x.shape[2], x) @ x @ _hats(horizontal, x.shape[3], x).transpose(2, 3)


def rotate(x: Tensor, degrees: Tensor) -> Tensor:
    """Turn about the centre, bilinear; positive angles turn counter-clockwise on the screen."""
    n, c, h, w = x.shape
    radians = torch.deg2rad(degrees).to(x.dtype)
    cos, sin, zero = radians.cos(), radians.sin(), torch.zeros_like(radians)
    # the grid's units are half sides, so that in pixels this is a rotation for images that are not square, too
    theta = torch.stack([cos, -sin * h / w, zero, sin * w / h, cos, zero], -1).view(-1, 2, 3)
    grid = F.affine_grid(theta, [len(theta), c, h, w], align_corners=False)
    return F.grid_sample(x, grid.to(x.device).expand(n, -1, -1, -1), align_corners=False)


def _per_row(values: Tensor, x: Tensor) -> Tensor:
    return values.to(x.device, x.dtype).view(-1, 1, 1, 1)


def _hats(factor: Tensor, side: int, x: Tensor) -> Tensor:
    """Weights ``(k, 1, side, side)`` of pixel j in pixel i of the result.

    They are ``max(0, 1 - |m + factor (i - m) - j|)`` about the centre m.
    """
    pixel = torch.arange(side, dtype=torch.float64)
    centre = (side - 1) / 2
    source = centre + factor.double()[:, None] * (pixel - centre)
    return (1 - (source[:, None, :, None] - pixel).abs()).clamp(min=0).to(x.device, x.dtype)
