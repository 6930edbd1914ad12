"""What image parameterisations share: rows that are images, resized, decoded, with the labels of what they are made of."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from attar.types import AttarError, Batch, Problem

__all__ = ["check_images", "check_size", "check_start", "decoded", "resized", "side_within"]


def check_images(part: object, problem: Problem) -> tuple[int, int, int]:
    """The shape ``(c, h, w)`` of the problem's images.

    Raises:
        AttarError: if its rows are not images.
    """
    shape = tuple(problem.train.x.shape[1:])
    if len(shape) != 3:
        raise AttarError(
            f"{type(part).__name__} stores images (n, c, h, w), and the rows of {problem.spec.name} are "
            f"{('n', *shape)}: use Pixels()."
        )
    return shape  # type: ignore[return-value]


def check_size(part: object, size: tuple[int, int], shape: tuple[int, int, int]) -> None:
    """Refuse a stored image that is no smaller image of its shape."""
    pair = isinstance(size, tuple | list) and len(size) == 2
    if not (pair and 1 <= size[0] <= shape[1] and 1 <= size[1] <= shape[2]):
        raise AttarError(
            f"{type(part).__name__}(size={size}) does not fit images of {shape[1]} x {shape[2]}: give a height and a "
            "width of 1 to those."
        )


def check_start(part: object, batch: Batch) -> None:
    """Refuse rows to start at whose labels belong to views of these very rows."""
    if batch.views is not None:
        raise AttarError(
            f"{type(part).__name__} makes rows of its own, and per-view targets belong to the rows as they are: "
            "use Pixels(), or start at rows with plain labels."
        )


def decoded(like: Batch, x: Tensor, y: Tensor | None) -> Batch:
    """Training rows ``(n * k, ...)``, the k of a stored row next to each other, with its label.

    Weights and attributes of the rows that a run started at are not theirs.
    """
    if y is not None and len(y) != len(x):
        y = y.repeat_interleave(len(x) // len(y), 0)
    return like.replace(x=x, y=y, weight=None, attribute=None, views=None)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images ``(n, c, h, w)`` at another size, bilinearly; what gets smaller is averaged over the pixels that it covers."""
    if tuple(x.shape[-2:]) == size:
        return x
    smaller = size[0] < x.shape[-2] or size[1] < x.shape[-1]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=smaller)


def side_within(shape: tuple[int, int, int], count: int, numbers: int) -> tuple[int, int] | None:
    """The largest height and width, near the sides' ratio, at which `count` images hold no more than `numbers`.

    Args:
        shape: ``(channels, h, w)`` at most.
        count: images.
        numbers: to be shared.

    Returns:
        None where there is no room for a pixel an image.
    """
    channels, height, width = shape
    for h in range(height, 0, -1):
        w = max(1, round(width * h / height))
        if count * channels * h * w <= numbers:
            return h, w
    return None
