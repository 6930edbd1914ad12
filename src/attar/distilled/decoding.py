"""Training rows from what a set stores of them, by the record of its decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attar.record import rebuild
from attar.types import Batch, Normalisation

__all__ = ["decode"]


def decode(
    record: Mapping[str, Any],
    stored: Mapping[str, Tensor],
    shape: Sequence[int],
    normalisation: Normalisation,
    kind: type[Batch],
) -> Batch:
    """The training rows in raw units, with their labels.

    Args:
        record: ``{type, fields}`` of the parameterisation (see `attar.record`).
        stored: its decoder's tensors, and labels as "y".
        shape: of all rows, ``(n, c, h, w)``.
        normalisation: undone at the end, as decoders work in normalised units.
        kind: of the rows.

    Raises:
        AttarError: if the record names anything but a part of attar or of an installed plug-in.
        ValueError: if that is no parameterisation, or the tensors are not those that it stores.
    """
    part = rebuild(dict(record))
    if not (hasattr(part, "restore") and getattr(part, "decodes", False)):
        raise ValueError(f"{record.get('type')} decodes no rows")
    like = kind(torch.zeros((0, *shape[1:])))  # type: ignore[call-arg]
    tensors = dict(stored)
    y = tensors.pop("y", None)
    try:
        with torch.no_grad():
            rows = part.restore(tensors, like)(y).detach()
    except (KeyError, IndexError, TypeError, RuntimeError) as error:
        raise ValueError(f"{record['type']} cannot read what is stored") from error
    if tuple(rows.x.shape) != tuple(shape):
        raise ValueError(f"{record['type']} gives rows of shape {tuple(rows.x.shape)}")
    return rows.replace(x=normalisation.undo(rows.x))
