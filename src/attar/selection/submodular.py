"""Choosing rows by submodular functions: facility location and graph cut.

The similarity of two rows is ``s_ij = M - |x_i - x_j|^2``, M at least the largest squared distance: the one that apricot
takes by default. With rows of unit length it is the cosine similarity but for a constant: normalise the rows for that one.
M is the same for all candidates of a step, so no choice depends on it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attar import rng
from attar.selection.picked import ASKED_FOR, Picked
from attar.selection.rows import BLOCK, Pairs, Rows, asked_for, blocks, nearest_of, represented, squared_distances
from attar.types import AttarError

__all__ = [
    "Cover",
    "cover_greedily",
    "estimated",
    "facility_location",
    "facility_value",
    "graph_cut",
    "graph_cut_value",
]

TIE = 1e-5
"""Gains nearer than this share of one another are compared in float64."""


def facility_location(
    x: Tensor,
    count: int,
    *,
    fixed: Tensor | None = None,
    greedy: str = "exact",
    generator: torch.Generator | None = None,
    sample: int | None = None,
    candidates: int = 128,
) -> Picked:
    """Rows that cover all others, greedily: ``f(S) = sum_i max_{j in S} (M - |x_i - x_j|^2)``.

    The greedy choice reaches at least 1 - 1/e of the best value. ``"exact"`` is the lazy greedy algorithm: an old gain is a
    bound on the new one, and only those that could be the greatest are brought up to date; its choice is that of comparing
    all rows at each step, ties to the lower id. ``"stochastic"`` looks for candidates with an estimate, lazily too: gains over
    a random sample of the rows to be covered, with inner products in the 64 main directions of the rows. All rows stay
    candidates, and of the best few of each step the one whose true gain over all rows is greatest is taken. With as many rows
    as the sample, or fewer, it is exact. (Stochastic greedy as published samples candidates and computes all their gains:
    n ln(1/eps) of them, each over n rows.)

    Cost: exact, n^2 d multiplications for each time that all gains are computed, which they are 2 to 5 times (one core, 100
    rows: 1 s at 5,000 x 512, 7 s at 15,000 x 512, minutes at 60,000); stochastic, 10 s at 60,000 x 512, with 99.9 % of the exact
    value and 98.8 % of the squared distance that it saves over a single row (benchmarks/selection_speed.md). Memory: two or
    three times the rows.

    Args:
        x: ``(n, d)``.
        count: rows to choose.
        fixed: ids that are chosen first, in this order.
        greedy: "exact" or "stochastic".
        generator: draws the sample; None draws the same one each time.
        sample: rows that the stochastic search covers; None takes 8,192, or 16 for each row to choose if that is more.
        candidates: rows of each step whose gains over all rows are compared.

    Returns:
        The choice. Scores are gains over all rows; each represents the rows to which it is the nearest.

    Raises:
        AttarError: on values that are not finite, a count above the rows, or `fixed` ids that repeat or do not exist.

    Reference:
        Minoux, "Accelerated greedy algorithms", 1978; Mirzasoleiman et al., "Distributed submodular maximization", 2013,
        section 4.4 (a sum over rows, estimated on a sample); Mirzasoleiman et al., "Lazier than lazy greedy", AAAI 2015.
    """
    if greedy not in ("exact", "stochastic"):
        raise AttarError(f"There is no greedy search '{greedy}': give exact or stochastic.")
    if candidates < 1:
        raise AttarError(f"{candidates} candidates a step were asked for: give at least 1.")
    rows = Rows(x)
    must = asked_for(fixed, count, len(rows))
    source = generator or rng.generator(0, "facility location")
    screen = estimated(rows, count, source, sample) if greedy == "stochastic" else None
    chosen, gains = cover_greedily(rows, count, must, squared=True, screen=screen, candidates=candidates)
    stand_for = represented(rows, chosen)
    reasons = [ASKED_FOR] * len(must) + [
        f"covers {int(part)} row{'' if int(part) == 1 else 's'}" for part in stand_for[len(must) :]
    ]
    return Picked(chosen.cpu(), gains, stand_for, tuple(reasons))


def estimated(
    pairs: Pairs, count: int, generator: torch.Generator, sample: int | None = None
) -> tuple[Pairs, Pairs] | None:
    """What `cover_greedily` looks for candidates with, or None where the sample would be all rows.

    Raises:
        AttarError: if the sample is below 1.
    """
    size = max(8192, 16 * count) if sample is None else sample
    if size < 1:
        raise AttarError(f"A sample of {size} rows was asked for: give at least 1.")
    if size >= len(pairs):
        return None
    seen = torch.randperm(len(pairs), generator=generator)[:size].sort().values.to(pairs.norms.device)
    sketch = pairs.sketch(64, generator)
    return sketch, sketch.take(seen)


def facility_value(x: Tensor, chosen: Tensor) -> float:
    """The value ``f(S)`` of a choice for facility location, M as in `facility_location`."""
    rows = Rows(x)
    _, gap = nearest_of(rows, chosen.to(rows.norms.device))
    return len(rows) * _largest(rows) - float(gap.sum(dtype=torch.float64))


def _largest(pairs: Pairs) -> float:
    """A bound on the squared distance of any two rows: that of the two longest, seen from the origin, opposite each other."""
    return float(pairs.norms.double().sqrt().topk(min(2, len(pairs))).values.sum() ** 2)


class Cover:
    """How far each of some rows is from a growing choice, and what a further row would gain.

    Args:
        candidates: rows to choose from.
        over: rows to be covered.
        largest: the squared distance of a row from an empty choice.
        squared: whether similarity falls with the squared distance or with the distance.
    """

    def __init__(self, candidates: Pairs, over: Pairs, largest: float, squared: bool):
        self.candidates, self.over, self.squared = candidates, over, squared
        self.gap = torch.full_like(over.norms, largest if squared else math.sqrt(largest))
        self.empty = True

    def _distances(self, ids: Tensor) -> Tensor:
        found = squared_distances(self.candidates.take(ids), self.over)
        return found if self.squared else found.sqrt_()

    def add(self, row: int) -> None:
        self.gap = torch.minimum(self.gap, self._distances(torch.tensor([row], device=self.gap.device))[0])
        self.empty = False

    def gains(self, ids: Tensor) -> Tensor:
        """Gains ``(b,)`` of rows, in float64."""
        found = [
            self._distances(part).neg_().add_(self.gap).clamp_(min=0).sum(1).double()
            for part in ids.split(max(1, BLOCK // len(self.over)))
        ]
        return torch.cat(found)

    def precise_gains(self, ids: Tensor) -> Tensor:
        """The same from differences in float64: slow, for a few rows."""
        found = torch.zeros(len(ids), dtype=torch.float64, device=self.gap.device)
        for part in blocks(len(self.over), 2**12):
            over = self.over.take(part)
            for place, row in enumerate(ids.tolist()):
                one = torch.full((len(over),), row, device=self.gap.device)
                apart = self.candidates.take(one).apart(over)
                found[place] += (self.gap[part] - (apart if self.squared else apart.sqrt())).clamp(min=0).sum()
        return found

    def first_bounds(self) -> Tensor:
        """Bounds ``(n,)`` on the gains of all candidates, float64: with squared distances and no choice yet, the gains."""
        if not (self.empty and self.squared):
            return torch.full((len(self.candidates),), math.inf, dtype=torch.float64, device=self.gap.device)
        sums = len(self.over) * self.candidates.norms.double() + self.over.norms.double().sum()
        return float(self.gap[0]) * len(self.over) - (sums - 2 * self.candidates.total_products(self.over))


def cover_greedily(
    pairs: Pairs,
    count: int,
    must: list[int],
    *,
    squared: bool,
    screen: tuple[Pairs, Pairs] | None = None,
    candidates: int = 128,
) -> tuple[Tensor, Tensor]:
    """Greedy facility location.

    Args:
        pairs: the rows.
        count: rows to choose.
        must: ids that are chosen first.
        squared: whether similarity falls with the squared distance or with the distance.
        screen: what candidates are looked for with: stand-ins for all rows, and for those to be covered. None takes the rows
            themselves, which is exact.
        candidates: with a screen, how many of them are compared over all rows.

    Returns:
        Ids ``(k,)`` and their gains over all rows ``(k,)``.
    """
    largest = _largest(pairs)
    full = Cover(pairs, pairs, largest, squared)
    search = full if screen is None else Cover(*screen, largest, squared)
    chosen: list[int] = []
    gains: list[float] = []

    def choose(row: int, gain: float) -> None:
        chosen.append(row)
        gains.append(gain)
        for cover in {full, search}:
            cover.add(row)

    for row in must:
        choose(row, float(full.gains(torch.tensor([row], device=pairs.norms.device))[0]))
    lazy = _Lazy(search, chosen)
    known = torch.full_like(lazy.bounds, math.inf)  # gains over all rows when last computed
    while len(chosen) < count:
        if not bool((full.gap > 0).any()):  # all that is left equals a chosen row
            choose(next(row for row in range(len(pairs)) if row not in set(chosen)), 0.0)
        elif screen is None:
            choose(*lazy.best())
        else:
            ids = lazy.greatest(min(candidates, len(pairs) - len(chosen)))
            choose(*_truly_best(full, ids, known))
    return torch.tensor(chosen, device=pairs.norms.device), torch.tensor(gains, dtype=torch.float64)


def _truly_best(full: Cover, ids: Tensor, known: Tensor) -> tuple[int, float]:
    """The candidate of greatest gain over all rows, and the gain. `known` is brought up to date where it matters."""
    best = -math.inf
    for part in ids[known[ids].argsort(descending=True, stable=True)].split(16):
        part = part[known[part] > best]  # an old gain is a bound on the new one
        if len(part):
            known[part] = full.gains(part)
            best = max(best, float(known[part].max()))
    return int(ids[known[ids].argmax()]), best


class _Lazy:
    """Gains of all candidates as bounds, brought up to date where they could matter."""

    def __init__(self, cover: Cover, chosen: list[int]):
        self.cover, self.chosen = cover, chosen  # the list grows outside
        self.bounds = cover.first_bounds()
        self.made = torch.full_like(self.bounds, 0 if not chosen else -1, dtype=torch.long)
        if not cover.squared:
            self.made.fill_(-1)

    def best(self) -> tuple[int, float]:
        """The candidate of greatest gain, the lower of equals, and its gain."""
        ids = self.greatest(1)
        if len(ids) == 1:
            return int(ids[0]), float(self.bounds[ids[0]])
        found = self.cover.precise_gains(ids[:32])
        best = int(torch.nonzero(found >= found.max() * (1 - 1e-12))[0])
        return int(ids[best]), float(found[best])

    def greatest(self, wanted: int) -> Tensor:
        """The ids, in order, of the greatest gains, and of those that equal the least of them within rounding."""
        self.bounds[self.chosen] = -math.inf
        size = max(64, 2 * wanted)
        while True:
            ready = self.made == len(self.chosen)
            last = torch.where(ready, self.bounds, -math.inf).topk(wanted).values[-1]
            limit = last - last.abs() * TIE if last.isfinite() else last
            old = torch.where(ready, -math.inf, self.bounds)
            behind = int(((old >= limit) & (old > -math.inf)).sum())
            if behind == 0:
                return torch.nonzero(ready & (self.bounds >= limit)).flatten()
            ids = old.topk(min(size, behind)).indices
            self.bounds[ids] = torch.minimum(self.bounds[ids], self.cover.gains(ids))
            self.made[ids] = len(self.chosen)
            size *= 2


def graph_cut(x: Tensor, count: int, *, fixed: Tensor | None = None, trade_off: float | None = None) -> Picked:
    """Rows like many others and unlike one another, greedily: ``f(S) = sum_{i, j in S} s_ij - lambda sum_{i, j in S} s_ij``.

    The first sum runs over all rows i and the chosen j, the second over pairs of chosen rows, each with itself too
    (submodlib's definition). With this similarity the sums over all rows have a closed form: 2 n d operations a row.

    Args:
        x: ``(n, d)``.
        count: rows to choose.
        fixed: ids that are chosen first, in this order.
        trade_off: lambda; None takes ``n / (2 count)``, at which the mean of the chosen is drawn to the mean of all. A
            smaller one chooses the rows nearest to the mean; up to 1/2 the function is monotone.

    Returns:
        The choice. Scores are gains; each represents the rows to which it is the nearest.

    Raises:
        AttarError: on values that are not finite, a count above the rows, a trade-off below 0, or `fixed` ids that repeat
            or do not exist.

    Reference:
        Iyer and Bilmes, "Submodular optimization with submodular cover and submodular knapsack constraints", NeurIPS 2013.
    """
    rows = Rows(x)
    must = asked_for(fixed, count, len(rows))
    weight = len(rows) / (2 * count) if trade_off is None else trade_off
    if not 0 <= weight < math.inf:
        raise AttarError(f"The trade-off of graph cut is {weight}: give a finite number of at least 0.")
    largest = _largest(rows)
    sums = len(rows) * rows.norms.double() + rows.norms.double().sum() - 2 * rows.total_products(rows)
    gain = len(rows) * largest - sums - weight * largest
    free = torch.zeros_like(gain)
    chosen: list[int] = []
    scores: list[float] = []
    for step in range(count):
        best = must[step] if step < len(must) else int((gain + free).argmax())
        chosen.append(best)
        scores.append(float(gain[best]))
        free[best] = -math.inf
        here = squared_distances(rows.take(slice(best, best + 1)), rows)[0]
        gain -= 2 * weight * (largest - here.double())
    ids = torch.tensor(chosen)
    reasons = [ASKED_FOR] * len(must) + [
        "most like all rows" if step == 0 else "like many rows and unlike those before"
        for step in range(len(must), count)
    ]
    return Picked(ids, torch.tensor(scores), represented(rows, ids.to(gain.device)), tuple(reasons))


def graph_cut_value(x: Tensor, chosen: Tensor, trade_off: float) -> float:
    """The value ``f(S)`` of a choice for graph cut, M as in `graph_cut`."""
    rows = Rows(x)
    some = rows.take(chosen.to(rows.norms.device))
    largest = _largest(rows)
    sums = len(rows) * some.norms.double() + rows.norms.double().sum() - 2 * some.total_products(rows)
    within = largest - squared_distances(some, some).double()
    return float((len(rows) * largest - sums).sum() - trade_off * within.sum())
