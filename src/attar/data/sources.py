"""The user's own images from memory: arrays, an npz file, a torch dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from attar.data.images import problem
from attar.data.paths import existing
from attar.data.pictures import Picture, stack
from attar.data.readers import read_npz
from attar.data.rows import Part, Read, Rows
from attar.types import AttarError, Problem

__all__ = ["arrays", "npz", "torch"]


def arrays(
    X: Any,
    y: Any,
    X_test: Any = None,
    y_test: Any = None,
    X_validation: Any = None,
    y_validation: Any = None,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    seed: int = 0,
    validation: float = 0.1,
    zca: bool = False,
    attribute: Any = None,
    attribute_test: Any = None,
    attribute_validation: Any = None,
) -> Problem:
    """Images and labels in memory: numpy arrays, tensors or lists.

    Args:
        X: images ``(n, h, w)``, ``(n, h, w, c)`` or ``(n, c, h, w)``, 0..255 or [0, 1], not normalised.
        y: labels ``(n,)``: whole numbers or names.
        X_test: test images; default a stratified fifth of X that is set aside.
        y_test: their labels.
        X_validation: validation images; default cut from X.
        y_validation: their labels.
        class_names: names of the ids 0..C-1, or the order of the classes where labels are names.
        name: short name for run directories and reports.
        seed: of the rows that are set aside.
        validation: fraction of each class cut from X for validation where none is given; 0 for none.
        zca: whiten the rows (see `attar.whitening`), fitted on the training rows alone.
        attribute: a protected or spurious attribute of the rows of X ``(n,)``: whole numbers or names.
        attribute_test: that of the test images, where they are given.
        attribute_validation: that of the validation images, where they are given.

    Raises:
        AttarError: for pixels, labels, attributes or shapes that do not fit.

    Example:
        >>> import numpy as np
        >>> X, y = np.random.default_rng(0).random((20, 8, 8)), np.arange(20) % 2
        >>> len(attar.data.arrays(X, y).test)
        4
    """
    given: dict[Part, tuple[Any, Any]] = {
        "train": (X, y),
        "validation": (X_validation, y_validation),
        "test": (X_test, y_test),
    }
    for part, (images, targets) in given.items():
        if (images is None) != (targets is None):
            found, lacking = ("labels", "images") if images is None else ("images", "labels")
            raise AttarError(f"The {part} split has {found} but no {lacking}: give both.")
    groups: dict[Part, Any] = {"train": attribute, "validation": attribute_validation, "test": attribute_test}
    parts: dict[Part, Rows] = {
        part: Rows(_array(images), _array(targets), attribute=None if groups[part] is None else _array(groups[part]))
        for part, (images, targets) in given.items()
        if images is not None
    }
    stray = next((part for part, values in groups.items() if values is not None and part not in parts), None)
    if "train" not in parts:
        raise AttarError("X and y are missing: give images and their labels.")
    if stray is not None:
        raise AttarError(f"The {stray} split has an attribute but no images: give both.")
    return problem(
        Read(parts), name=name, source={}, seed=seed, validation=validation, class_names=class_names, zca=zca
    )


def npz(
    path: str | os.PathLike[str],
    test: str | os.PathLike[str] | None = None,
    seed: int = 0,
    validation: float = 0.1,
    zca: bool = False,
) -> Problem:
    """An npz file of ``X`` and ``y`` (or ``x_train``, ``y_train``, ``x_test``, ...) or with MedMNIST's names.

    Args:
        path: the file; a ``class_names`` array in it names the ids 0..C-1, and ``attribute`` (``attribute_val``,
            ``attribute_test``) is a protected or spurious attribute of the rows.
        test: another npz to test on (its test arrays where it has them); default the file's own, else a stratified
            fifth that is set aside.
        seed: of the rows that are set aside.
        validation: fraction of each class cut from train for validation where the file has none; 0 for none.
        zca: whiten the rows (see `attar.whitening`), fitted on the training rows alone.

    Raises:
        AttarError: if the file has other names or holds Python objects, or its rows do not fit.
    """
    place = existing(path)
    read = read_npz(place)
    source = {"npz": str(place.absolute())}
    if test is not None:
        other = existing(test)
        read = read.with_test(read_npz(other))
        source["test"] = str(other.absolute())
    return problem(read, name=place.resolve().stem, source=source, seed=seed, validation=validation, zca=zca)


def torch(
    dataset: Any,
    test: Any = None,
    size: int | None = None,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    seed: int = 0,
    validation: float = 0.1,
    zca: bool = False,
) -> Problem:
    """A torch dataset of ``(image, label)`` with a length; images are PIL pictures, numpy arrays or tensors.

    Args:
        dataset: without random augmentation and without a normalising transform.
        test: dataset to test on; default a stratified fifth that is set aside.
        size: side in pixels for PIL pictures, as in `folder`.
        class_names: names of the ids 0..C-1; default ``dataset.classes`` where it has them.
        name: short name; default the dataset's class in lower case.
        seed: of the rows that are set aside.
        validation: fraction of each class cut from train for validation; 0 for none.
        zca: whiten the rows (see `attar.whitening`), fitted on the training rows alone.

    Raises:
        AttarError: if an item is not an image and a label, or the rows do not fit.
    """
    given: dict[Part, Any] = {"train": dataset}
    if test is not None:
        given["test"] = test
    items = {part: _items(data, part) for part, data in given.items()}
    pictured = {_is_picture(image) for pairs in items.values() for image, _ in pairs}
    if pictured == {True}:
        read = stack({part: _pictures(pairs, part) for part, pairs in items.items()}, size)
    elif size is not None:
        raise AttarError("size= resizes PIL pictures only: resize the arrays in the dataset's transform.")
    else:
        read = Read({part: _stacked(pairs, part) for part, pairs in items.items()})
    classes = class_names if class_names is not None else getattr(dataset, "classes", None)
    named = name or type(dataset).__name__.lower()
    return problem(read, name=named, source={}, seed=seed, validation=validation, class_names=classes, zca=zca)


def _items(dataset: Any, part: Part) -> list[tuple[Any, Any]]:
    """All pairs of a dataset, labels as plain values."""
    try:
        items = [dataset[i] for i in range(len(dataset))]
        return [(image, label.item() if isinstance(label, Tensor) else label) for image, label in items]
    except (TypeError, ValueError, NotImplementedError) as error:
        raise AttarError(
            f"The {part} dataset does not give an image and a label for each row number ({error}): "
            "wrap it so that dataset[i] is (image, label) and len(dataset) is known."
        ) from error


def _is_picture(image: Any) -> bool:
    """Whether it is a PIL picture, told without importing Pillow."""
    return hasattr(image, "getbands")


def _pictures(pairs: Sequence[tuple[Any, Any]], part: Part) -> list[Picture]:
    return [Picture(f"image {i} of {part}", label, image.copy) for i, (image, label) in enumerate(pairs)]


def _stacked(pairs: Sequence[tuple[Any, Any]], part: Part) -> Rows:
    """Arrays of one shape as one array; a tensor's or array's first axis is its channels if its last is not."""
    images = [_array(image) for image, _ in pairs]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        few = " and ".join(str(shape) for shape in sorted(shapes, key=str)[:2])
        raise AttarError(f"Images of {part} have shapes {few}: add a resizing transform, or give PIL pictures.")
    return Rows(np.stack(images) if images else np.empty((0, 1, 1)), np.array([label for _, label in pairs]))


def _array(value: Any) -> np.ndarray:
    """Numpy's view of an array, tensor or list; ragged lists are refused."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    try:
        return np.asarray(value)
    except ValueError as error:
        raise AttarError(
            "A list holds images of different sizes: bring them to one size, or use attar.data.folder."
        ) from error
