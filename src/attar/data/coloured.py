"""Digits in colours that agree with their labels in training and tell nothing in the test: a spurious feature, made by seed.

A digit keeps its grey levels and is drawn in a colour, on black. Every class has a colour of its own; the colour is the
row's attribute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from attar import rng
from attar.data.rows import Part
from attar.types import AttarError

__all__ = ["COLOURS", "Coloured", "Painted"]

COLOURS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("red", (255, 0, 0)),
    ("orange", (255, 128, 0)),
    ("yellow", (255, 255, 0)),
    ("green", (0, 255, 0)),
    ("spring green", (0, 255, 128)),
    ("cyan", (0, 255, 255)),
    ("blue", (0, 0, 255)),
    ("violet", (128, 0, 255)),
    ("magenta", (255, 0, 255)),
    ("white", (255, 255, 255)),
)
"""That of class 0, of class 1, ..."""

SHARE = 0.95


@dataclass(frozen=True, eq=False)
class Painted:
    """Rows of a split in colour.

    Args:
        x: ``(n, h, w, 3)`` uint8.
        rows: which row of the split each is ``(n,)``.
        attribute: number of its colour ``(n,)``.
    """

    x: np.ndarray
    rows: np.ndarray
    attribute: np.ndarray


@dataclass(frozen=True)
class Coloured:
    """How grey digits are painted.

    Of each class `share` of the training rows (and of those for validation) have the class's colour, to the nearest whole
    row, and the others have the nine other colours, as many of each as can be. Test rows have all ten colours alike, so
    that each pair of a class and a colour is a group of its own: a tenth of a class each, or where `copies` is set every
    test row once in each colour, for data with too few of them.

    Args:
        share: of rows whose colour agrees with their class, in [0.1, 1]; 0.1 is no agreement.
        seed: of the draws.
        copies: whether a test row stands in every colour.
    """

    share: float = SHARE
    seed: int = 0
    copies: bool = False

    def __post_init__(self) -> None:
        if not 1 / len(COLOURS) <= self.share <= 1:
            raise AttarError(
                f"share={self.share} is no share of rows whose colour agrees with their class: give a number from "
                f"{1 / len(COLOURS)} (none does more than by chance) to 1 (all do)."
            )

    def __call__(self, part: Part, x: np.ndarray, y: np.ndarray) -> Painted:
        """Paint the rows of a split.

        Args:
            part: which split.
            x: ``(n, h, w, 1)`` uint8.
            y: class ids ``(n,)`` from 0 to 9.
        """
        if part == "test" and self.copies:
            rows = np.repeat(np.arange(len(y)), len(COLOURS))
            colours = np.tile(np.arange(len(COLOURS)), len(y))
        else:
            rows, colours = np.arange(len(y)), np.zeros(len(y), np.int64)
            for label in np.unique(y):
                colours[y == label] = self._drawn(part, int(label), int((y == label).sum()))
        shades = np.array([shade for _, shade in COLOURS], np.float32) / 255
        levels = np.rint(shades[:, None] * np.arange(256)[:, None]).astype(
            np.uint8
        )  # of a colour at each grey (10, 256, 3)
        painted = np.empty((len(rows), *x.shape[1:3], 3), np.uint8)
        for colour, level in enumerate(levels):
            here = np.flatnonzero(colours == colour)
            painted[here] = level[x[rows[here], ..., 0]]
        return Painted(painted, rows, colours)

    def _drawn(self, part: Part, label: int, count: int) -> np.ndarray:
        """Colours of so many rows of a class ``(count,)``."""
        agreeing = 0 if part == "test" else round(self.share * count)
        others = [c for c in range(len(COLOURS)) if part == "test" or c != label]
        source = rng.generator(self.seed, "colours", part, label)
        # whoever is left over when all have as many is drawn, and so is whose turn it is
        turns = torch.randperm(len(others), generator=source)[torch.arange(count - agreeing) % len(others)]
        colours = np.concatenate([np.full(agreeing, label), np.array(others)[turns.numpy()]])
        return colours[torch.randperm(count, generator=source).numpy()]

    def note(self) -> str:
        """What was done, in a sentence."""
        test = "each test row stands in all ten" if self.copies else "test rows have all ten alike"
        return (
            f"digits are drawn in colour on black: {100 * self.share:g} % of each class's training rows in the class's own of ten "
            f"colours, the others in the nine others; {test} (seed {self.seed})"
        )
