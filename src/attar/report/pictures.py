"""Pictures inside a page: PNG in base64, as many as a page of a few megabytes holds."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attar.distilled.pictures import picture

if TYPE_CHECKING:
    from PIL import Image

    from attar.report.page import Pictures

__all__ = ["Strip", "Strips", "classes_that_fit", "columns_that_fit", "embed", "is_small", "png_base64", "strips"]

PER_CLASS = 10
SIDE = 64  # pixels; larger images are shrunk to this
SECTION = 1_300_000  # bytes of a page that one section's pictures may take
_OVERHEAD = 400  # bytes of an image's tag and PNG header


@dataclass(frozen=True)
class Strip:
    """The pictures shown of one class, as data URIs, out of `total`, and their places among all pictures."""

    label: int
    images: tuple[str, ...]
    total: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class Strips:
    """The pictures shown of the first classes, out of `classes`.

    Args:
        rows: a strip a class, by class id.
        classes: classes that have pictures.
        columns: pictures in the longest strip.
        small: whether pictures are shown larger than they are, so that their pixels should stay sharp.
    """

    rows: dict[int, Strip]
    classes: int
    columns: int
    small: bool


def png_base64(image: Image.Image) -> str:
    """An image as the base64 text of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def embed(image: np.ndarray) -> str:
    """An image ``(c, h, w)`` as a data URI, shrunk where it is large."""
    drawn = picture(image)
    drawn.thumbnail((SIDE, SIDE))
    return f"data:image/png;base64,{png_base64(drawn)}"


def columns_that_fit(shape: Sequence[int], classes: int, columns: int, room: int = SECTION) -> tuple[int, int]:
    """How many classes, and pictures of each, a section holds.

    Args:
        shape: ``(c, h, w)`` of a picture.
        classes: classes to show.
        columns: pictures of each class to show.
        room: bytes that they may take.

    Returns:
        Classes and columns; fewer columns first, then fewer classes.
    """
    columns = max(min(columns, int(room / (_cost(shape) * max(classes, 1)))), 1)
    return min(classes, classes_that_fit(shape, columns, room)), columns


def classes_that_fit(shape: Sequence[int], columns: int, room: int = SECTION) -> int:
    """Of how many classes a section holds so many pictures ``(c, h, w)`` each."""
    return int(room / (_cost(shape) * columns))


def _cost(shape: Sequence[int]) -> float:
    """Bytes of a picture ``(c, h, w)``: a PNG of noise is as large as its pixels, and base64 adds a third."""
    scale = min(SIDE / max(shape[1:]), 1)
    return 4 / 3 * (3 if shape[0] >= 3 else 1) * shape[1] * shape[2] * scale**2 + _OVERHEAD


def strips(pictures: Pictures, columns: int = PER_CLASS, only: Collection[int] | None = None) -> Strips:
    """Arrange images by class.

    Args:
        pictures: the images.
        columns: images to show of each class, at most.
        only: class ids to show; by default all that have images.
    """
    present = [int(label) for label in np.unique(pictures.labels) if only is None or label in only]
    members = {label: np.flatnonzero(pictures.labels == label) for label in present}
    longest = min(max((len(rows) for rows in members.values()), default=1), columns)
    shape = pictures.x.shape[1:]
    classes, columns = columns_that_fit(shape, len(members), longest)
    rows = {}
    for label in present[:classes]:
        places = members[label][:columns].tolist()
        rows[label] = Strip(label, tuple(embed(pictures.x[row]) for row in places), len(members[label]), tuple(places))
    return Strips(rows, len(members), columns, is_small(shape))


def is_small(shape: Sequence[int]) -> bool:
    """Whether images ``(c, h, w)`` are shown larger than they are."""
    return max(shape[1:]) <= 40
