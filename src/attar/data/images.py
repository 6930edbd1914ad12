"""From what a reader found to a Problem: checks, splits, fingerprint, normalisation, in this order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attar import rng, whitening
from attar.batches import Images
from attar.data import labels, pixels
from attar.data.coloured import Painted
from attar.data.rows import Part, Read
from attar.tasks import ImageClassification
from attar.types import AttarError, Normalisation, Problem, Spec

__all__ = ["TEST_FRACTION", "problem"]

TEST_FRACTION = 0.2
"""Share of each class that is set aside for testing where the source has no test split."""

_PARTS: tuple[Part, ...] = ("train", "validation", "test")


def problem(
    read: Read,
    name: str,
    source: Mapping[str, Any],
    seed: int,
    validation: float,
    class_names: Sequence[str] | None = None,
    normalisation: Normalisation | None = None,
    zca: bool = False,
    paint: Callable[[Part, np.ndarray, np.ndarray], Painted] | None = None,
    **spec: Any,
) -> Problem:
    """The classification problem of what a reader found.

    Args:
        read: its splits. Without a test split a stratified fifth of train is set aside before anything else; without a
            validation split a stratified `validation` fraction is then cut from train.
        name: short name.
        source: how to find the data again; `seed` and `validation` are added to it, and `zca` where it is asked for.
        seed: of both cuts.
        validation: in [0, 1).
        class_names: as in `labels.encode`; default the reader's.
        normalisation: default the mean and standard deviation of the training rows that are left.
        zca: whiten rows in [0, 1] by ZCA, fitted on the training rows that are left, in place of `normalisation`.
        paint: gives the rows of each split, once it is cut, in colours that are their attribute.
        **spec: further fields of `Spec`.

    Raises:
        AttarError: for rows or labels that cannot be learned from; the sentence says which.
    """
    if not 0 <= validation < 1:
        raise AttarError(f"validation={validation} is no share of the training rows: give a number in [0, 1).")
    for part, rows in read.parts.items():
        if len(rows.x) != len(rows.y):
            raise AttarError(f"{part} has {len(rows.x)} images but {len(rows.y)} labels: give one label an image.")
    groups, groups_named = _attribute(read)
    if not len(read.parts["train"].x):
        raise AttarError(f"{name} has no training rows: add some.")
    x, pixel_notes = pixels.common({part: rows.x for part, rows in read.parts.items()})
    known = class_names if class_names is not None else read.class_names
    y, names, label_notes = labels.encode({part: rows.y for part, rows in read.parts.items()}, known)
    ids = {part: np.arange(len(labels)) for part, labels in y.items()}
    cut = _split((x, y, ids, *([groups] if groups else [])), seed, validation)
    if paint is not None:
        groups = {part: _painted(paint(part, x[part], y[part]), part, (x, y, ids)) for part in _PARTS}
    _, height, width, channels = x["train"].shape
    if zca:  # of [0, 1], as in the public code of MTT: eps is in these units
        normalisation = Normalisation((0.0,) * channels, (1.0,) * channels)
    normalisation = normalisation or _statistics(x["train"])
    fingerprint = _fingerprint(x, y, groups)
    batches = {
        part: Images(
            _normalised(x[part], normalisation),
            torch.from_numpy(y[part]),
            attribute=torch.from_numpy(groups[part]) if groups else None,
        )
        for part in _PARTS
    }
    options: dict[str, Any] = {"seed": seed, "validation": validation}
    notes = (*read.notes, *pixel_notes, *label_notes)
    if zca:
        normalisation, options = _whitened(batches, normalisation), {**options, "zca": True}
        notes = (*notes, f"whitened ({normalisation.whitening})")
    return Problem(
        task=ImageClassification((channels, height, width), len(names)),
        spec=Spec(
            name=name,
            fingerprint=fingerprint,
            class_names=names,
            normalisation=normalisation,
            source={**source, **options} if source else {},
            split=_split_in_words(cut, y),
            notes=notes,
            **{"attribute_names": groups_named, **spec},
        ),
        origins=_origins(ids["train"], read.parts["train"].names),
        set_aside=_set_aside(ids, read),
        **batches,
    )


def _attribute(read: Read) -> tuple[dict[Part, np.ndarray], tuple[str, ...]]:
    """Ids of the attribute by split and the names of its values; nothing where no split has one."""
    given = {part: rows.attribute for part, rows in read.parts.items() if rows.attribute is not None}
    if not given:
        return {}, ()
    for part, rows in read.parts.items():
        if part not in given:
            raise AttarError(
                f"{next(iter(given))} has an attribute and {part} has none: give it of every split, or of none."
            )
        if len(given[part]) != len(rows.y):
            raise AttarError(
                f"{part} has {len(rows.y)} rows but {len(given[part])} values of the attribute: give one a row."
            )
    return labels.encode_attribute(given)


def _painted(found: Painted, part: Part, together: Sequence[dict[Part, np.ndarray]]) -> np.ndarray:
    """Put the painted rows of a split in the place of those in the dictionaries, of which the first holds the images, and
    give their attribute."""
    for arrays in together[1:]:
        arrays[part] = arrays[part][found.rows]
    together[0][part] = found.x
    return found.attribute


def _origins(ids: np.ndarray, names: Sequence[str] | None) -> tuple[int | str, ...]:
    """What the source calls the training rows that are left: file names where it has them, else numbers."""
    return tuple(ids.tolist()) if names is None else tuple(names[i] for i in ids.tolist())


def _set_aside(ids: Mapping[Part, np.ndarray], read: Read) -> dict[str, tuple[int | str, ...]]:
    """What the source calls the rows that are not for training: those that were cut off like training rows, and those of
    its own splits by their files. Numbers of its own splits begin at 0 like those of the training rows, and tell nothing."""
    found: dict[str, tuple[int | str, ...]] = {}
    for part in _PARTS[1:]:
        names = read.parts.get(part, read.parts["train"]).names
        if len(ids[part]) and (part not in read.parts or names is not None):
            found[part] = _origins(ids[part], names)
    return found


def _split(together: Sequence[dict[Part, np.ndarray]], seed: int, validation: float) -> tuple[str, str]:
    """Cut what is missing from train, in place, and say where test and validation come from.

    Args:
        together: images, class ids and whatever else there is a row of for each.
        seed: of the cuts.
        validation: share of the training rows.
    """
    x = together[0]
    own = "the source's own split"
    test_from = validation_from = own
    if "test" not in x:
        _cut(together, "test", TEST_FRACTION, seed)
        test_from = f"a stratified fifth, set aside with seed {seed}"
    if "validation" not in x and validation:
        _cut(together, "validation", validation, seed)
        validation_from = f"a stratified {100 * validation:g} % of train, cut with seed {seed}"
    elif "validation" not in x:
        for arrays in together:
            arrays["validation"] = arrays["train"][:0]
        validation_from = "none"
    return test_from, validation_from


def _split_in_words(cut: tuple[str, str], y: Mapping[Part, np.ndarray]) -> str:
    """One sentence on the splits, of where test and validation come from and the labels that are in each."""
    test_from, validation_from = cut
    return (
        f"Test: {test_from} ({len(y['test']):,} rows); validation: {validation_from} ({len(y['validation']):,}); "
        f"{len(y['train']):,} rows to train on."
    )


def _cut(together: Sequence[dict[Part, np.ndarray]], part: Part, fraction: float, seed: int) -> None:
    """Set a share of the training rows aside in each of the dictionaries, of which the second holds the labels."""
    y = together[1]
    kept, cut = rng.stratified(torch.from_numpy(y["train"]), fraction, rng.generator(seed, "split", part))
    if not len(cut):
        raise AttarError(f"No class has a second row to set aside for {part}: add rows, or bring a {part} split.")
    for arrays in together:
        arrays[part], arrays["train"] = arrays["train"][cut.numpy()], arrays["train"][kept.numpy()]


def _statistics(x: np.ndarray) -> Normalisation:
    """Mean and standard deviation ``(c,)`` of ``(n, h, w, c)`` in raw units, six decimals; a constant channel gets 1.

    Sums of blocks in float64, exact for uint8, so that every machine agrees.
    """
    total = np.zeros(x.shape[-1])
    squares = np.zeros(x.shape[-1])
    for start in range(0, len(x), 1024):
        block = x[start : start + 1024].reshape(-1, x.shape[-1]).astype(np.float64)
        total += block.sum(0)
        squares += np.einsum("nc,nc->c", block, block)
    count = x.size // x.shape[-1]
    unit = 255.0 if x.dtype == np.uint8 else 1.0
    mean = total / count / unit
    std = np.sqrt(np.maximum(squares / count / unit**2 - mean**2, 0))
    return Normalisation(
        tuple(round(float(m), 6) for m in mean), tuple(round(float(s), 6) if s > 1e-4 else 1.0 for s in std)
    )


def _normalised(x: np.ndarray, normalisation: Normalisation) -> Tensor:
    """``(n, h, w, c)`` in uint8 or [0, 1] to normalised float32 ``(n, c, h, w)``."""
    images = torch.from_numpy(x).permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    if x.dtype == np.uint8:
        images.div_(255)
    for block in images.split(1024):  # in place and in cache: several times faster than on all rows at once
        block.copy_(normalisation.apply(block))
    return images


def _whitened(batches: Mapping[Part, Images], normalisation: Normalisation) -> Normalisation:
    """Whiten rows in place, by the training rows among them, and give the normalisation that they have then."""
    fitted = whitening.fit(batches["train"].x)
    for batch in batches.values():
        for block in batch.x.split(1024):
            block.copy_(fitted.apply(block))
    return replace(normalisation, whitening=fitted)


def _fingerprint(x: Mapping[Part, np.ndarray], y: Mapping[Part, np.ndarray], groups: Mapping[Part, np.ndarray]) -> str:
    """Hash of raw rows, class ids and the ids of an attribute by split: the same on every machine that reads the same pixels."""
    digest = hashlib.sha256()
    for part in _PARTS:
        rows = x[part].astype(x[part].dtype.newbyteorder("<"), copy=False)
        digest.update(f"{part} {rows.dtype.name} {rows.shape}".encode())
        digest.update(np.ascontiguousarray(rows).data)
        digest.update(y[part].astype("<i8").data)
        if groups:
            digest.update(b"attribute")
            digest.update(groups[part].astype("<i8").data)
    return f"sha256:{digest.hexdigest()}"
