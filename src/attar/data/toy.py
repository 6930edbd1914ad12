"""Small synthetic problems, quick and learnable but not trivial, for tests and the conformance suite."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from attar import rng
from attar.data.images import problem
from attar.data.rows import Part, Read, Rows
from attar.data.tables import of_table
from attar.data.tabular import Reading
from attar.tables import Column, Table
from attar.types import AttarError, Problem

__all__ = ["images", "table"]


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


def table(
    rows: int = 300, *, discrete: bool = False, numbers: bool = False, validation: float = 0.1, seed: int = 0
) -> Problem:
    """A small trial: a dose that depends on age, and a recovery that depends on dose, grade and city.

    Args:
        rows: in all; a fifth of them is set aside for tests.
        discrete: whether age and dose are cut into four categories each.
        numbers: whether the recovery is a number, and not yes or no.
        validation: fraction of the training rows cut for validation.
        seed: of all draws.

    Example:
        >>> attar.data.toy.table().spec.schema.names
        ('age', 'grade', 'city', 'dose', 'recovery')
    """
    if rows < 20:
        raise AttarError(f"A toy of {rows} rows teaches nothing: give 20 or more.")
    source = rng.generator(seed, "toy table")
    age, noise, dose_noise = torch.randn(3, rows, generator=source, dtype=torch.float64)
    grade = torch.randint(3, (rows,), generator=source).double()
    city = torch.randint(3, (rows,), generator=source).double()
    dose = 0.8 * age + 0.6 * dose_noise
    score = dose + 0.7 * grade - 1.2 * (city == 1) + 0.7 * noise
    columns = [
        Column("age"),
        Column("grade", "ordinal", (1.0, 2.0, 3.0)),
        Column("city", "categorical", ("Bern", "Oslo", "Rome")),
        Column("dose"),
        Column("recovery", "categorical", ("no", "yes")),
    ]
    values = [age, grade, city, dose, (score > score.median()).double()]
    if numbers:
        columns[4], values[4] = Column("recovery"), score
    for place in (0, 3):
        if discrete:
            edges = torch.tensor([-0.7, 0.0, 0.7], dtype=torch.float64)
            values[place] = torch.bucketize(values[place].contiguous(), edges).double()
            columns[place] = Column(columns[place].name, "ordinal", (0.0, 1.0, 2.0, 3.0))
        elif not columns[place].discrete:
            low, high = float(values[place].min()), float(values[place].max())
            columns[place] = Column(columns[place].name, low=low, high=high)
    if numbers:
        columns[4] = Column("recovery", low=float(score.min()), high=float(score.max()))
    found = Reading(Table(torch.stack(values, dim=1), tuple(columns)), torch.arange(rows))
    how = {"toy": "table", "rows": rows, "discrete": discrete, "numbers": numbers}
    return of_table(found, "toy table", "recovery", "dose", validation=validation, seed=seed, source=how)


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
