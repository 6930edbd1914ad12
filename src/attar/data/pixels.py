"""Pixels as sources hold them become ``(n, h, w, c)``, uint8, or float32 in [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from attar.data.rows import Part
from attar.types import AttarError

__all__ = ["common"]

_CHANNELS = (1, 3, 4)


def common(arrays: Mapping[Part, np.ndarray]) -> tuple[dict[Part, np.ndarray], tuple[str, ...]]:
    """One layout and one range for all splits.

    Integers 0..255 stay as uint8 and stand for [0, 1]; booleans, and integers of 0 and 1 only, are black and white;
    floats in [0, 1] stay, floats up to 255 are divided by 255.

    Args:
        arrays: by split, ``(n, h, w)``, ``(n, h, w, c)`` or ``(n, c, h, w)`` with c of 1, 3 or 4 (transparency, put on
            white).

    Returns:
        By split ``(n, h, w, c)`` with c of 1 or 3, and notes.

    Raises:
        AttarError: for other shapes or ranges, shapes that differ between splits, and NaN or infinite pixels.
    """
    pixels = {part: _channels_last(np.asarray(x), part) for part, x in arrays.items()}
    shape = pixels["train"].shape[1:]
    for part, x in pixels.items():
        if x.shape[1:] != shape:
            raise AttarError(
                f"Images of {part} are {_size(x.shape[1:])} and those of train {_size(shape)}: bring them to one size."
            )
    pixels, notes = _in_range(pixels)
    if shape[-1] == 4:
        pixels = {part: _on_white(x) for part, x in pixels.items()}
    return {part: np.ascontiguousarray(x) for part, x in pixels.items()}, notes


def _channels_last(x: np.ndarray, part: Part) -> np.ndarray:
    if x.dtype.kind not in "biuf":
        raise AttarError(
            f"The images of {part} are of type {x.dtype}: give one array of numbers, all images of one size."
        )
    if x.ndim == 3:
        x = x[..., None]
    elif x.ndim == 4 and x.shape[-1] not in _CHANNELS and x.shape[1] in _CHANNELS:
        x = x.transpose(0, 2, 3, 1)
    if x.ndim != 4 or x.shape[-1] not in _CHANNELS:
        raise AttarError(
            f"The images of {part} have shape {tuple(x.shape)}: "
            "give (n, h, w), (n, h, w, c) or (n, c, h, w) with 1, 3 or 4 channels."
        )
    if 0 in x.shape[1:]:
        raise AttarError(
            f"The images of {part} are {_size(x.shape[1:])}, which leaves no pixels: give images of 1 x 1 or more."
        )
    return x


def _in_range(pixels: dict[Part, np.ndarray]) -> tuple[dict[Part, np.ndarray], tuple[str, ...]]:
    for part, x in pixels.items():
        if x.dtype.kind == "f" and not np.isfinite(x.sum(dtype=np.float64)):
            broken = np.flatnonzero(~np.isfinite(x).all(axis=(1, 2, 3)))
            if len(broken):
                images = f"1 image of {part} holds" if len(broken) == 1 else f"{len(broken)} images of {part} hold"
                raise AttarError(
                    f"{images} NaN or infinite pixels, the first in row {broken[0]}: repair or leave out these rows."
                )
    full = [x for x in pixels.values() if x.size]
    low, high = (float(min((x.min() for x in full), default=0)), float(max((x.max() for x in full), default=0)))
    if low < 0 or high > 255:
        raise AttarError(
            f"Pixels reach from {low:g} to {high:g}: give them in [0, 1] or 0..255, undoing any normalisation and "
            "dividing 16-bit ones by 257."
        )
    if any(x.dtype.kind == "f" for x in full):
        if high <= 1:
            return {part: x.astype(np.float32) for part, x in pixels.items()}, ()
        note = f"pixels of numbers up to {high:g} were divided by 255"
        return {part: (x / 255).astype(np.float32) for part, x in pixels.items()}, (note,)
    if high <= 1:
        return {p: x.astype(np.uint8) * 255 for p, x in pixels.items()}, (
            "pixels of 0 and 1 were taken as black and white",
        )
    return {part: x.astype(np.uint8, copy=False) for part, x in pixels.items()}, ()


def _on_white(x: np.ndarray) -> np.ndarray:
    """RGBA ``(n, h, w, 4)`` to RGB, in its own number type."""
    white = 255.0 if x.dtype == np.uint8 else 1.0
    colour, opacity = x[..., :3].astype(np.float32), x[..., 3:].astype(np.float32) / white
    flat = colour * opacity + white * (1 - opacity)
    return (np.rint(flat) if x.dtype == np.uint8 else flat).astype(x.dtype)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
