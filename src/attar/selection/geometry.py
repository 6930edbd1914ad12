"""Choosing rows by where they lie: herding and k-center."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attar.selection.picked import ASKED_FOR, Picked
from attar.selection.rows import Rows, asked_for, represented, squared_distances, total

__all__ = ["herding", "k_center"]


def herding(x: Tensor, count: int, *, fixed: Tensor | None = None) -> Picked:
    """Rows whose mean follows the mean of all rows, greedily: each row is the one that brings the two means nearest.

    With S the sum of the t rows chosen so far and mu the mean of all, the next is ``argmin_i |mu - (S + x_i) / (t + 1)|``
    among those not yet chosen. Costs 2 n d operations a row.

    Args:
        x: ``(n, d)``.
        count: rows to choose.
        fixed: ids that are chosen first, in this order.

    Returns:
        The choice. Scores are the distance of the mean of the rows chosen so far from the mean of all; each represents
        n / count rows.

    Raises:
        AttarError: on values that are not finite, a count above the rows, or `fixed` ids that repeat or do not exist.

    Reference:
        Welling, "Herding dynamical weights to learn", ICML 2009; in this form Rebuffi et al., "iCaRL", CVPR 2017, eq. 4.
    """
    rows = Rows(x)
    must = asked_for(fixed, count, len(rows))
    mean = total(rows.values) / len(rows)  # zero but for rounding
    so_far = torch.zeros_like(mean)
    free = torch.zeros_like(rows.norms)  # infinite for those chosen
    chosen: list[int] = []
    scores: list[float] = []
    reasons: list[str] = []
    for step in range(count):
        if step < len(must):
            best = must[step]
        else:
            wanted = (so_far - (step + 1) * mean).to(rows.values.dtype)
            best = int(torch.addmv(rows.norms + free, rows.values, wanted, alpha=2).argmin())
        so_far += rows.values[best]
        free[best] = math.inf
        gap = float((so_far / (step + 1) - mean).norm())
        reasons.append(ASKED_FOR if step < len(must) else _nearer(scores[-1] if scores else None, gap))
        chosen.append(best)
        scores.append(gap)
    return Picked(
        torch.tensor(chosen), torch.tensor(scores), torch.full((count,), len(rows) / count).double(), tuple(reasons)
    )


def _nearer(before: float | None, after: float) -> str:
    if before is None:
        return "nearest to the mean"
    if before == 0 or after > before:
        return "takes the mean least far away"
    return f"brings the mean {1 - after / before:.0%} nearer"


def k_center(x: Tensor, count: int, *, fixed: Tensor | None = None, generator: torch.Generator | None = None) -> Picked:
    """Rows that leave no row far from all of them: each is the one farthest from those chosen before (Gonzalez).

    The largest distance of any row from its nearest chosen one is at most twice the least possible. A row's distance from
    the chosen can only shrink, so an old one is a bound on it: it is brought up to date only when it is the largest, and
    the same rows are chosen as by comparing all rows with each new one. Ties go to the lower id.

    Args:
        x: ``(n, d)``.
        count: rows to choose.
        fixed: ids that are chosen first, in this order.
        generator: draws the first row where nothing is fixed; None starts at the row nearest to the mean.

    Returns:
        The choice. Scores are the distance from the rows chosen before; the first one's is that of the row farthest from
        it. Each represents the rows to which it is the nearest.

    Raises:
        AttarError: on values that are not finite, a count above the rows, or `fixed` ids that repeat or do not exist.

    Reference:
        Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; Sener and Savarese, "Active learning for
        convolutional neural networks: a core-set approach", ICLR 2018, algorithm 1.
    """
    rows = Rows(x)
    must = asked_for(fixed, count, len(rows))
    reasons = [ASKED_FOR] * len(must)
    if not must and generator is None:
        must, reasons = [int(rows.norms.argmin())], ["nearest to the mean"]
    elif not must:
        must, reasons = [int(torch.randint(len(rows), (1,), generator=generator))], ["drawn at random to start from"]
    farthest = _Farthest(rows)
    chosen: list[int] = []
    scores: list[float] = []
    for step in range(count):
        best, gap = (must[step], farthest.of(must[step])) if step < len(must) else farthest.next()
        if step >= len(must):
            reasons.append(f"farthest: {gap:.3g} from {'the first' if step == 1 else 'those chosen before'}")
        farthest.add(best)
        chosen.append(best)
        scores.append(gap)
    ids = torch.tensor(chosen)
    scores[0] = math.sqrt(float(squared_distances(rows.take(ids[:1].to(rows.norms.device)), rows).max()))
    return Picked(ids, torch.tensor(scores), represented(rows, ids.to(rows.norms.device)), tuple(reasons))


class _Farthest:
    """The row farthest from a growing choice, with distances that are brought up to date only where it matters."""

    def __init__(self, rows: Rows):
        self.rows = rows
        self.gap = torch.full_like(rows.norms, math.inf)  # squared, from the first `seen` rows chosen: a bound
        self.seen = torch.zeros(len(rows), dtype=torch.long, device=rows.norms.device)
        self.chosen: list[int] = []

    def add(self, row: int) -> None:
        self.chosen.append(row)
        self.gap[row] = -1
        self.seen[row] = len(self.rows)

    def of(self, row: int) -> float:
        """The distance of one row from the choice."""
        if self.chosen:
            self._update(torch.tensor([row], device=self.gap.device))
        return math.sqrt(float(self.gap[row]))

    def next(self) -> tuple[int, float]:
        """The farthest row and its distance."""
        size = 128
        while True:
            best = int(self.gap.argmax())
            if int(self.seen[best]) >= len(self.chosen):
                return best, math.sqrt(float(self.gap[best]))
            old = torch.where(self.seen < len(self.chosen), self.gap, -1)
            ids = old.topk(len(old) if len(self.chosen) == 1 else min(size, len(old))).indices
            self._update(ids[old[ids] >= 0])
            size *= 2

    def _update(self, ids: Tensor) -> None:
        since = int(self.seen[ids].min())
        new = self.rows.take(torch.tensor(self.chosen[since:], device=ids.device))
        for part in ids.split(2**13):
            found = squared_distances(self.rows.take(part), new).amin(1)
            self.gap[part] = torch.minimum(self.gap[part], found)
        self.seen[ids] = len(self.chosen)
