"""Small synthetic problems, quick and learnable but not trivial, for tests and the conformance suite."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from attar import rng
from attar.data.images import problem
from attar.data.rows import Part, Read, Rows
from attar.types import AttarError, Problem

__all__ = ["images"]


def images(
    classes: int = 3,
    per_class: int = 40,
    size: int = 8,
    channels: int = 1,
    noise: float = 0.25,
    imbalance: float = 1.0,
    validation: float = 0.1,
    seed: int = 0,
    zca: bool = False,
) -> Problem:
    """Images of smooth random templates, one a class, shifted by up to a pixel, faded and with noise added.

    Args:
        classes: number of classes.
        per_class: training rows of the largest class, before validation is cut; the test split has as many of every
            class.
        size: side in pixels.
        channels: 1 or 3.
        noise: standard deviation of the noise, in units of the pixel range.
        imbalance: training rows of the largest class over those of the smallest; those between fall geometrically.
        validation: fraction of each class cut from train for validation; 0 for none.
        seed: of all draws.
        zca: whiten the rows (see `attar.whitening`), fitted on the training rows alone.

    Example:
        >>> attar.data.toy.images(classes=2).task.shape
        (1, 8, 8)
    """
    if classes < 2 or per_class < 2 or imbalance < 1:
        raise AttarError("A toy needs 2 or more classes, 2 or more rows of each, and an imbalance of 1 or more.")
    generator = rng.generator(seed, "toy", classes, size, channels)
    coarse = torch.rand(classes, channels, 4, 4, generator=generator)
    templates = F.interpolate(coarse, (size + 2, size + 2), mode="bilinear", align_corners=True)
    counts = [max(round(per_class * imbalance ** (-k / (classes - 1))), 2) for k in range(classes)]
    parts: dict[Part, Rows] = {
        "train": _rows(templates, counts, noise, generator),
        "test": _rows(templates, [per_class] * classes, noise, generator),
    }
    source = {
        "toy": "images",
        "classes": classes,
        "per_class": per_class,
        "size": size,
        "channels": channels,
        "noise": noise,
        "imbalance": imbalance,
    }
    names = [f"template {k}" for k in range(classes)]
    return problem(
        Read(parts),
        name="toy",
        source=source,
        seed=seed,
        validation=validation,
        class_names=names,
        zca=zca,
        licence="CC0-1.0",
    )


def _rows(templates: Tensor, counts: list[int], noise: float, generator: torch.Generator) -> Rows:
    """Draw images ``(n, c, size, size)``, uint8, of ``(classes, c, size + 2, size + 2)`` templates."""
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    side = templates.shape[-1] - 2
    across, down = torch.randint(3, (2, len(y)), generator=generator)
    fade = 0.6 + 0.4 * torch.rand(len(y), 1, 1, 1, generator=generator)
    shifted = torch.stack(
        [
            templates[k, :, i : i + side, j : j + side]
            for k, i, j in zip(y.tolist(), down.tolist(), across.tolist(), strict=True)
        ]
    )
    x = 0.5 + fade * (shifted - 0.5) + noise * torch.randn(shifted.shape, generator=generator)
    return Rows((255 * x).round().clamp(0, 255).to(torch.uint8).numpy(), y.numpy())
