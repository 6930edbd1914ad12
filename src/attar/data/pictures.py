"""Picture files of any size and kind become one array: upright, on white, grey or RGB, square.

Pillow is imported when a picture is read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from attar.data.rows import Part, Read, Rows
from attar.types import AttarError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["LARGEST_SIDE", "SUFFIXES", "Picture", "stack"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
"""Files with these endings count as pictures."""

LARGEST_SIDE = 64
"""The largest side that is chosen where none is asked for."""

_GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N"}


@dataclass(frozen=True)
class Picture:
    """One picture that has not been read yet.

    Args:
        name: what errors call it, such as its path.
        label: its class.
        open: opens it; the header is enough.
        group: the folder within its class's that holds it; "" where there is none.
    """

    name: str
    label: Any
    open: Callable[[], Image]
    group: str = ""


def stack(
    parts: Mapping[Part, Sequence[Picture]], size: int | None = None, shape: tuple[int, int, int] | None = None
) -> Read:
    """Decode pictures to ``(n, size, size)`` where all are grey, else to ``(n, size, size, 3)``, uint8.

    Args:
        parts: pictures by split.
        size: side in pixels; None for the median side of the training pictures, at most 64.
        shape: ``(c, h, w)`` that every picture is known to have, which spares a look at each header.

    Raises:
        AttarError: if a picture cannot be read, or the size is below 1.
    """
    if size is not None and size < 1:
        raise AttarError(f"size={size} is no side of an image: give a number of pixels, such as 32.")
    notes: tuple[str, ...] = ()
    if shape is not None:
        grey, size = shape[0] == 1, shape[1]
    else:
        headers = {part: [_header(p) for p in pictures] for part, pictures in parts.items()}
        grey = all(mode in _GREY for found in headers.values() for _, mode in found)
        sides = [side for box, _ in headers["train"] for side in box]
        middle = round(median(sides))
        chosen = size if size is not None else min(middle, LARGEST_SIDE)
        if any(box != (chosen, chosen) for found in headers.values() for box, _ in found):
            why = (
                "as asked" if size is not None else f"the median side being {middle} and the largest one {LARGEST_SIDE}"
            )
            notes = (
                f"images of {min(sides)} to {max(sides)} pixels a side were resized to {chosen} x {chosen}, {why}",
            )
        size = chosen
    rows: dict[Part, Rows] = {}
    for part, pictures in parts.items():
        x = np.empty((len(pictures), size, size) if grey else (len(pictures), size, size, 3), np.uint8)
        for i, picture in enumerate(pictures):
            x[i] = _decode(picture, size, grey)
        rows[part] = Rows(x, np.array([picture.label for picture in pictures]))
    return Read(rows, None, notes)


def _header(picture: Picture) -> tuple[tuple[int, int], str]:
    """Width and height, and the mode."""
    with _readable(picture), picture.open() as image:
        return image.size, image.mode


def _decode(picture: Picture, size: int, grey: bool) -> np.ndarray:
    from PIL import Image, ImageOps

    with _readable(picture), picture.open() as image:
        # a large JPEG is decoded at a half, quarter or eighth of its size, never below twice the side that is kept
        image.draft(None, (2 * size, 2 * size))
        ImageOps.exif_transpose(image, in_place=True)
        plain = _plain(image, grey, picture.name)
        if plain.size != (size, size):
            plain = plain.resize((size, size), Image.Resampling.BILINEAR)  # antialiased when it shrinks
        return np.asarray(plain)


def _plain(image: Image, grey: bool, name: str) -> Image:
    """Mode L or RGB, transparency on white, 16 bits cut to 8."""
    from PIL import Image

    if image.mode == "F":
        raise AttarError(
            f"{name} holds 32-bit float pixels, whose range is unknown: save it with 8 bits, or pass arrays."
        )
    if image.mode.startswith("I"):
        image = Image.fromarray((np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    mode = "L" if grey else "RGB"
    return image if image.mode == mode else image.convert(mode)


@contextmanager
def _readable(picture: Picture) -> Iterator[None]:
    """Turn what Pillow raises for broken files into one sentence."""
    from PIL import Image

    try:
        yield
    except AttarError:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        BadZipFile,
        RuntimeError,  # an encrypted entry of a zip, and other packings that Python does not know
        Image.DecompressionBombError,
    ) as error:
        raise AttarError(
            f"{picture.name} cannot be read as an image ({_reason(error)}): repair or remove it."
        ) from error


def _reason(error: BaseException) -> str:
    from PIL import UnidentifiedImageError

    return "no known format" if isinstance(error, UnidentifiedImageError) else str(error).rstrip(".")
