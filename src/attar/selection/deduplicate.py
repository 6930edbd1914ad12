"""Dropping rows that nearly repeat others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from attar import rng
from attar.selection.rows import BLOCK, Rows, blocks, main_directions, nearest_of, squared_distances
from attar.types import AttarError

__all__ = ["Duplicates", "near_duplicates", "typical_distance"]


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Which rows are kept, and which kept row stands for each.

    Args:
        kept: ids ``(k,)``, ascending.
        stands_for: for each row the id of the kept row nearest to it ``(n,)``; of rows that were not dropped, its own.
        distance: rows at most this far apart were taken for near-duplicates.
    """

    kept: Tensor
    stands_for: Tensor
    distance: float

    @property
    def kept_mask(self) -> Tensor:
        """Which rows are kept ``(n,)`` bool."""
        return self.stands_for == torch.arange(len(self.stands_for))

    @property
    def groups(self) -> list[Tensor]:
        """Each kept row for which rows were dropped: its id and then theirs."""
        dropped = torch.nonzero(~self.kept_mask).flatten()
        by_row: dict[int, list[int]] = {}
        for row, kept in zip(dropped.tolist(), self.stands_for[dropped].tolist(), strict=True):
            by_row.setdefault(kept, [kept]).append(row)
        return [torch.tensor(by_row[kept]) for kept in sorted(by_row)]


def near_duplicates(
    x: Tensor, threshold: float = 0.1, prefer: str | Tensor = "first", *, absolute: bool = False
) -> Duplicates:
    """Rows to keep so that no two of them are near-duplicates, and every other row is one of a row that is kept.

    Rows are gone through in order of preference, and each is kept unless a row kept before it is within the threshold. So
    chains do not merge: of rows that each resemble the next, the ends stay apart. Pairs are compared only where their
    places along the rows' main directions, which cannot be farther apart than the rows, are within the threshold.

    Cost: at most n^2 d multiplications, and the share of them that the main directions leave (one core, 60,000 x 784: 3 s on
    MNIST at a threshold of 0.1, 12 s at 0.5). Memory: three times the rows.

    Args:
        x: ``(n, d)``.
        threshold: the distance up to which two rows are near-duplicates, as a share of `typical_distance`; 0 drops equal
            rows only.
        prefer: which row of near-duplicates stays: the "first", the "last", the most "central" (with the most rows within the
            threshold, then the first), or scores ``(n,)`` of which the highest stays.
        absolute: takes the threshold as a distance in the units of x.

    Raises:
        AttarError: on values that are not finite, a threshold below 0, an unknown preference, or scores of another length.
    """
    rows = Rows(x)
    if not 0 <= threshold < math.inf:
        raise AttarError(f"The threshold for near-duplicates is {threshold}: give a finite number of at least 0.")
    if isinstance(prefer, Tensor):
        if prefer.shape != (len(rows),) or bool(prefer.isnan().any()):
            raise AttarError(
                f"Scores of {tuple(prefer.shape)} were given for {len(rows)} rows, or some are NaN: give one number a row."
            )
    elif prefer not in ("first", "last", "central"):
        raise AttarError(
            f"There is no preference '{prefer}' among near-duplicates: give first, last, central or scores."
        )
    distance = threshold if absolute else threshold * _typical(rows)
    near = _neighbours(rows, distance)
    active = torch.nonzero(near > 0).flatten()
    stands_for = torch.arange(len(rows))
    if len(active):
        keep = active[_kept(rows.take(active), distance, _order(prefer, near, active))]
        owner, _ = nearest_of(rows.take(active), torch.searchsorted(active, keep))
        stands_for[active.cpu()] = keep[owner].cpu()
    return Duplicates(torch.nonzero(stands_for == torch.arange(len(rows))).flatten(), stands_for, distance)


def typical_distance(x: Tensor) -> float:
    """The median distance, over 512 rows drawn once and for all, of a row from the nearest row that differs from it."""
    return _typical(Rows(x))


def _typical(rows: Rows) -> float:
    order = torch.randperm(len(rows), generator=rng.generator(0, "typical distance"))[:512].to(rows.norms.device)
    nearest = []
    for part in order.split(max(1, BLOCK // len(rows))):
        found = squared_distances(rows.take(part), rows)
        nearest.append(torch.where(found > 0, found, math.inf).amin(1))
    gaps = torch.cat(nearest)
    gaps = gaps[gaps.isfinite()]
    return float(gaps.median().sqrt()) if len(gaps) else 0.0


def _order(prefer: str | Tensor, near: Tensor, active: Tensor) -> Tensor:
    """Places in `active`, the preferred first, the lower id of equals first."""
    if isinstance(prefer, Tensor):
        return prefer.to(active.device)[active].argsort(descending=True, stable=True)
    if prefer == "central":
        return near[active].argsort(descending=True, stable=True)
    places = torch.arange(len(active), device=active.device)
    return places if prefer == "first" else places.flip(0)


def _neighbours(rows: Rows, distance: float) -> Tensor:
    """How many other rows are within the distance of each ``(n,)``."""
    source = rng.generator(0, "main directions")
    along = (rows.values @ main_directions(rows.values, 1, source))[:, 0]
    order = along.argsort(stable=True)
    rows, places = rows.take(order), along[order].double()
    width = min(32, rows.values.shape[1])
    short = Rows(rows.values @ main_directions(rows.values, width, source))  # no pair is farther apart in these
    reach = distance * (1 + 1e-4) + 1e-5 * float(places.abs().max())  # with room for rounding
    room = reach**2 + 1e-5 * float(short.norms.max())
    counts = torch.zeros(len(rows), dtype=torch.long, device=order.device)
    for some, others in _windows(places, reach):
        left = squared_distances(short.take(some), short.take(others)) <= room
        if int(left.sum()) > left.numel() // 64:  # then all pairs at once cost less
            left &= squared_distances(rows.take(some), rows.take(others)) <= distance**2
        first, second = torch.nonzero(left.triu(some.start + 1 - others.start), as_tuple=True)  # each pair once
        for part in blocks(len(first), 2**12):
            pair = first[part] + some.start, second[part] + others.start
            near = rows.take(pair[0]).apart(rows.take(pair[1])) <= distance**2
            counts += torch.bincount(torch.cat([pair[0][near], pair[1][near]]), minlength=len(counts))
    back = torch.empty_like(counts)
    back[order] = counts
    return back


def _windows(places: Tensor, reach: float) -> Iterator[tuple[slice, slice]]:
    """Pairs of slices of sorted places that hold every pair no farther apart than the reach."""
    for some in blocks(len(places), 256):
        end = int(torch.searchsorted(places, places[some.stop - 1] + reach, right=True))
        for others in blocks(end - some.start, BLOCK // 256):
            yield some, slice(some.start + others.start, some.start + others.stop)


def _kept(rows: Rows, distance: float, order: Tensor) -> Tensor:
    """Places, ascending, of the rows that stay when they are gone through in this order."""
    limit = distance**2
    kept: list[int] = []
    for part in order.split(256):
        some = rows.take(part)
        covered = torch.zeros(len(part), dtype=torch.bool, device=part.device)
        for before in torch.tensor(kept, dtype=torch.long, device=part.device).split(BLOCK // 256):
            covered |= (squared_distances(some, rows.take(before)) <= limit).any(1)
        near = (squared_distances(some, some) <= limit).cpu().numpy()
        out = covered.cpu().numpy()
        for place, row in enumerate(part.tolist()):
            if not out[place]:
                kept.append(row)
                out |= near[place]
    return torch.tensor(kept, device=order.device).sort().values
