"""Pictures of images: clipped to [0, 1] for the eye only, and enlarged without smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["grid", "picture", "preview"]

PREVIEW_COLUMNS = 10
PREVIEW_CLASSES = 100
PREVIEW_SIDE = 48  # pixels; smaller images are enlarged to at least this


def picture(image: np.ndarray) -> Image.Image:
    """Draw one image.

    Args:
        image: ``(c, h, w)`` in raw units; values outside [0, 1] are clipped and non-finite ones drawn black. One or two
            channels are drawn grey (the first), three or more in colour (the first three).
    """
    from PIL import Image

    clipped = np.clip(np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0), 0, 1)
    levels = np.rint(clipped * 255).astype(np.uint8)
    if len(levels) < 3:
        return Image.fromarray(levels[0])
    return Image.fromarray(np.ascontiguousarray(levels[:3].transpose(1, 2, 0)))


def grid(images: Sequence[np.ndarray | None], columns: int, scale: int = 1, gap: int = 2) -> Image.Image:
    """Draw images of one shape in rows, on white.

    Args:
        images: each ``(c, h, w)``, or None for an empty place; at least one is an image.
        columns: images a row.
        scale: pixels for a pixel, at least 1.
        gap: white pixels between images.
    """
    from PIL import Image

    drawn = [None if image is None else picture(image) for image in images]
    first = next(image for image in drawn if image is not None)
    width, height = first.width * scale, first.height * scale
    rows = -(-len(images) // columns)
    sheet = Image.new(first.mode, (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for place, image in enumerate(drawn):
        if image is not None:
            row, column = divmod(place, columns)
            enlarged = image.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (column * (width + gap), row * (height + gap)))
    return sheet


def preview(x: np.ndarray, labels: np.ndarray) -> Image.Image:
    """Draw a row a class of its first ten images, for the first hundred classes that have any.

    Args:
        x: images ``(n, c, h, w)`` in raw units.
        labels: class ids ``(n,)``.
    """
    shown = [np.flatnonzero(labels == group)[:PREVIEW_COLUMNS] for group in np.unique(labels)[:PREVIEW_CLASSES]]
    columns = max(len(rows) for rows in shown)
    places: list[np.ndarray | None] = []
    for rows in shown:
        places += [x[row] for row in rows] + [None] * (columns - len(rows))
    return grid(places, columns, scale=-(-PREVIEW_SIDE // max(x.shape[-2:])))
