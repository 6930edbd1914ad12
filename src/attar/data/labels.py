"""Labels as sources hold them become class ids 0..C-1, and every class keeps its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attar.data.rows import Part
from attar.types import AttarError

__all__ = ["encode", "encode_attribute", "natural_order"]


def encode(
    labels: Mapping[Part, np.ndarray], class_names: Sequence[str] | None = None
) -> tuple[dict[Part, np.ndarray], tuple[str, ...], tuple[str, ...]]:
    """Class ids of every split, by one mapping that is read off train and validation.

    Args:
        labels: by split, ``(n,)`` or ``(n, 1)``: integers, whole floats, booleans or text.
        class_names: names of the class ids 0..C-1, or the order of the classes where labels are text.

    Returns:
        Ids ``(n,)`` int64 by split, the names in the order of the ids, and notes.

    Raises:
        AttarError: for labels that are not classes, a single class, a class without training rows, or a class of
            another split that train does not have.
    """
    flat = {part: _flat(np.asarray(y), part) for part, y in labels.items()}
    if len({y.dtype.kind for y in flat.values()}) > 1:
        raise AttarError("Labels are text in one split and numbers in another: give them in one form.")
    known = np.unique(flat["train"])
    textual = known.dtype.kind == "U"
    order = _order(known, textual, class_names)
    if len(order) < 2:
        raise AttarError(
            f"There is one class only, '{order[0]}', and nothing to tell apart: add rows of another class."
        )
    names = tuple(map(str, class_names)) if class_names is not None else tuple(map(str, order))
    ids = {value: i for i, value in enumerate(order)}
    encoded: dict[Part, np.ndarray] = {}
    for part, y in flat.items():
        values, inverse = np.unique(y, return_inverse=True)
        for value in values.tolist():
            if value not in ids:
                raise AttarError(
                    f"Class '{value}' is in the {part} split but not in train: "
                    "add training rows of it, or leave its rows out."
                )
        encoded[part] = np.array([ids[value] for value in values.tolist()], dtype=np.int64)[inverse.reshape(-1)]
    _no_empty_class(encoded["train"], names)
    mapped = not textual and order != list(range(len(order)))
    notes = (f"labels {_listed(names)} became the class ids 0 to {len(names) - 1}, in that order",) if mapped else ()
    return encoded, names, notes


def encode_attribute(attribute: Mapping[Part, np.ndarray]) -> tuple[dict[Part, np.ndarray], tuple[str, ...]]:
    """Ids of an attribute's values in every split, by one mapping.

    Test rows may have values that no training row has: such a group is judged, too.

    Args:
        attribute: by split, ``(n,)`` or ``(n, 1)``: integers, whole floats, booleans or text.

    Returns:
        Ids ``(n,)`` int64 by split, and the names of the values in the order of the ids.

    Raises:
        AttarError: for values that are no groups, or a single one.
    """
    flat = {part: _flat(np.asarray(values), part, "attribute") for part, values in attribute.items()}
    if len({values.dtype.kind for values in flat.values()}) > 1:
        raise AttarError("The attribute is text in one split and numbers in another: give it in one form.")
    known = np.unique(np.concatenate(list(flat.values())))
    order = natural_order(known.tolist()) if known.dtype.kind == "U" else known.tolist()
    if len(order) < 2:
        raise AttarError(f"The attribute is '{order[0]}' in every row, which makes no groups: leave it out.")
    ids = {value: i for i, value in enumerate(order)}
    encoded = {
        part: np.array([ids[value] for value in values.tolist()], dtype=np.int64) for part, values in flat.items()
    }
    return encoded, tuple(map(str, order))


def natural_order(names: Sequence[str]) -> list[str]:
    """Names sorted as text, or as numbers where all of them are whole numbers ("2" before "10")."""
    return sorted(names, key=lambda name: (int(name), name)) if all(map(str.isdecimal, names)) else sorted(names)


def _order(known: np.ndarray, textual: bool, class_names: Sequence[str] | None) -> list[Any]:
    """Label values in the order of their ids."""
    if class_names is None:
        return natural_order(known.tolist()) if textual else known.tolist()
    names = list(map(str, class_names))
    if len(set(names)) < len(names):
        raise AttarError(
            f"class_names holds '{max(names, key=names.count)}' twice: give every class a name of its own."
        )
    stray = [v for v in known.tolist() if (v not in names if textual else not 0 <= v < len(names))]
    if stray:
        raise AttarError(
            f"Label '{stray[0]}' has no name among the {len(names)} in class_names: "
            + ("add it." if textual else "name the ids 0 to C-1, or leave class_names out.")
        )
    return names if textual else list(range(len(names)))


def _flat(y: np.ndarray, part: str, what: str = "label") -> np.ndarray:
    """Labels ``(n,)``, or what else puts rows into groups, as int64 or text."""
    several = "labels" if what == "label" else "values of the attribute"
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise AttarError(
            f"The {several} of {part} have shape {tuple(y.shape)}: give one a row (of one-hot rows .argmax(1))."
        )
    if y.dtype.kind == "O":
        missing = [i for i, value in enumerate(y) if value is None or value != value]
        if missing:
            raise AttarError(f"The {what} of row {missing[0]} of {part} is missing: fill it in, or leave the row out.")
        y = (
            np.array(y.tolist())
            if all(isinstance(v, int | float | np.number) for v in y)
            else np.array([str(v) for v in y])
        )
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8")
    if y.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(y) | (y != np.round(y)))
        if len(wrong):
            raise AttarError(
                f"The {what} of row {wrong[0]} of {part} is {y[wrong[0]]:g}, which is no {'class' if what == 'label' else 'group'}: "
                "give whole numbers or names."
            )
    if y.dtype.kind == "b":
        return y.astype(str)
    if y.dtype.kind in "iuf":
        return y.astype(np.int64)
    if y.dtype.kind != "U":
        raise AttarError(f"The {several} of {part} are of type {y.dtype}: give whole numbers or names.")
    return y


def _no_empty_class(train: np.ndarray, names: Sequence[str]) -> None:
    counts = np.bincount(train, minlength=len(names))
    if not counts.all():
        empty = names[int(np.flatnonzero(counts == 0)[0])]
        raise AttarError(f"Class '{empty}' has no training rows: add some, or leave the class out.")


def _listed(names: Sequence[str]) -> str:
    """Names as text, the middle of a long list left out."""
    shown = list(names) if len(names) <= 8 else [*names[:4], "...", *names[-2:]]
    return ", ".join(shown)
