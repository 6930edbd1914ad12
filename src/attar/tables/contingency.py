"""A discrete table in few rows that keep its contingency tables: exactly where the rows suffice, or else as nearly as they can.

Three forms, by what they need. Counting the distinct rows (`counted`) keeps everything. A vertex (`vertex_rows`) keeps the chosen
margins exactly, in at most one row more than these have independent cells. Soft rows (`soft_rows`), each a product distribution, come
near in far fewer: a mixture of latent classes is fitted by likelihood and then moved until its margins, and what tests read of
them, are those of the table. `contingency_rows` takes the first of these that the budget allows and tells the gap.

Each says for how many rows it stands: `n_represented` is the size of the table that it was made of.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from attar.errors import AttarError
from attar.rng import generator as generator_of
from attar.tables.latent_classes import fitted
from attar.tables.margin_fit import Aim, descended
from attar.tables.margins import Gap, Margins, refuse_soft
from attar.tables.statistics import Statistics
from attar.tables.table import Table
from attar.tables.vertex import vertex

__all__ = [
    "contingency_rows",
    "counted",
    "drawn",
    "hard_rows",
    "reweighted",
    "rounded",
    "soft_rows",
    "vertex_may_fit",
    "vertex_rows",
    "vertex_seconds",
]

_LIGHTEST = 1e-12  # share of a row that is left out
_RAREST = 1e-6  # probability from which a gradient can still raise a category
_ROUNDS = 8  # in which hard rows are chosen
_ENTERS = 1e-3  # share that a chosen row starts with
_ENTRIES = 2**28  # rows times independent cells up to which a vertex is looked for
_TIMED = 256  # rows whose vertex is timed
_QUICK = 10**9  # multiplications, about: they take a few seconds


def counted(table: Table) -> Table:
    """The distinct rows, each with its count as its weight: whatever is counted of them is as of the table, exactly.

    Args:
        table: discrete and hard; rows that weigh are counted by weight.

    Returns:
        Rows in ascending order of their codes.

    Raises:
        AttarError: if a column is continuous or soft, or misses values.
    """
    refuse_soft(table, table.names)
    codes = torch.stack([table.codes(name) for name in table.names], dim=1)
    rows, place = torch.unique(codes, dim=0, return_inverse=True)
    weight = torch.ones(len(table), dtype=torch.float64) if table.weight is None else table.weight
    count = torch.zeros(len(rows), dtype=torch.float64).index_add_(0, place, weight)
    return Table(rows.double(), table.columns, count, table.size, kept=table.kept)


def vertex_rows(table: Table, margins: Margins) -> Table:
    """Distinct rows with weights that keep margins exactly, to rounding: at most one row more than the margins have independent
    cells on the rows that there are (`Margins.rank`). Margins of more columns, and so tests of a higher order, are not kept.

    Args:
        table: discrete and hard. Columns that no family has are left out.
        margins: to be kept.

    Raises:
        AttarError: if a column is continuous or soft, or misses values, or the margins have too many cells to compute with.

    Reference:
        Carathéodory's theorem; see `attar.tables.vertex`.
    """
    whole = counted(_kept(table, margins))
    assert whole.weight is not None
    rows, weight = vertex(margins.indicators(whole), whole.weight)
    return whole.replace(values=whole.values[rows], weight=weight, kept=margins.kept)


def vertex_seconds(whole: Table, margins: Margins) -> float:
    """Seconds that a vertex of distinct rows takes at most on this machine; nought where they are few.

    That of n rows and m cells takes ``n m min(n, m)`` multiplications, a few times: those of some rows are timed.

    Args:
        whole: distinct rows, counted (see `counted`).
        margins: to be kept.

    Raises:
        AttarError: as `vertex_rows`.
    """

    margins.refuse_many(whole)
    cells = margins.independent(whole)

    def work(rows: int) -> int:
        return rows * cells * min(rows, cells)

    if work(len(whole)) < _QUICK:
        return 0.0
    few = min(_TIMED, len(whole))
    some = whole.take(torch.arange(few) * len(whole) // few)
    start = time.perf_counter()
    vertex_rows(some, margins)
    return (time.perf_counter() - start) * work(len(whole)) / work(few)


def soft_rows(
    table: Table,
    margins: Margins,
    rows: int,
    *,
    seed: int = 0,
    likelihood_steps: int = 100,
    steps: int = 200,
    statistics: float = 100.0,
) -> Table:
    """Rows of probabilities whose margins, and whose tests of independence, come near to those of a table.

    Latent classes are fitted to the distinct rows by EM: the likeliest mixture of as many product distributions. Then probabilities
    and weights are moved by L-BFGS until margins and test statistics are the table's, as `attar.tables.margin_fit` says.
    Memory is that of the cells of all margins, and of the halves of their families by rows.

    Args:
        table: discrete and hard. Columns that no family has are left out.
        margins: to come near to. A test of independence given q columns reads margins of order q + 2.
        rows: how many at most; a mixture needs no more than the table has distinct ones.
        seed: of the rows that the classes start from.
        likelihood_steps: of EM at most.
        steps: of L-BFGS at most; 0 leaves the likeliest mixture as it is.
        statistics: what the statistics of tests weigh against the margins; 0 matches margins alone.

    Returns:
        Soft in all columns, of weights that sum to the table's size, which the rows stand for. Rows that weigh nothing are left out.
        They say that they keep the margins where they were moved for the tests, which they do as nearly as there are rows for it:
        compare the decisions (`attar.causal.agreement`) before you rely on it.

    Raises:
        AttarError: if a column is continuous or soft, or misses values, or there are fewer distinct rows than that.
    """
    whole = counted(_kept(table, margins))
    aim = Aim.of(whole, margins, statistics)
    levels = list(aim.cells.levels)
    held = aim.cells.probabilities(whole)
    assert whole.weight is not None
    source = generator_of(seed, "contingency", "classes")
    classes = fitted(held, whole.weight, levels, rows, source, steps=likelihood_steps)
    share, probabilities = classes.share, classes.probabilities
    if steps:
        start = [share.clamp(min=_LIGHTEST).log(), probabilities.clamp(min=_RAREST).log()]
        found = descended(start, lambda log, logits: aim.loss(_soft(logits, levels), log.softmax(0)), steps)
        share, probabilities = found[0].softmax(0), _soft(found[1], levels)
    heavy = share > _LIGHTEST
    parts = dict(zip(aim.cells.columns, probabilities[heavy].split(levels, dim=1), strict=True))
    soft = {name: parts[name] for name in whole.names}
    values = torch.stack([part.argmax(dim=1) for part in soft.values()], dim=1)
    kept = margins.kept if steps and statistics else Statistics()
    return Table(values.double(), whole.columns, share[heavy] * whole.size, whole.size, soft, kept)


def hard_rows(table: Table, margins: Margins, rows: int, *, steps: int = 60, statistics: float = 0.0) -> Table:
    """Distinct rows of a table with weights whose margins come near to those of all.

    Greedily, in eight rounds: the rows that raise ``sum over margins of f log m`` the most are added, where f are the shares of the
    table's cells and m those of the rows chosen so far, and all are weighed anew, as `reweighted` does. Few hard rows leave most
    cells of large margins empty, which tests read as dependence: soft rows hold them far better.

    Args:
        table: discrete and hard. Columns that no family has are left out.
        margins: to come near to.
        rows: how many at most.
        steps: of L-BFGS at most for the last weights; a third of these in every round.
        statistics: what the statistics of tests weigh beside the margins, for the last weights.

    Returns:
        Weights sum to the table's size, which the rows stand for.

    Raises:
        AttarError: if a column is continuous or soft, or misses values, or there are fewer distinct rows than that.
    """
    whole = counted(_kept(table, margins))
    if not 1 <= rows <= len(whole):
        raise AttarError(f"{rows:,} hard rows of {len(whole):,} distinct ones: give 1 to {len(whole):,}.")
    assert whole.weight is not None
    aim = Aim.of(whole, margins, 0.0)
    held = aim.cells.probabilities(whole)
    batch = -(-rows // _ROUNDS)
    chosen = whole.weight.argsort(descending=True, stable=True)[:batch]
    log = whole.shares[chosen].log()
    while len(chosen) < rows:
        pull = aim.pull(held, aim.cells.counted(held[chosen], log.softmax(0)))
        pull[chosen] = -torch.inf
        new = pull.argsort(descending=True, stable=True)[: min(batch, rows - len(chosen))]
        chosen = torch.cat([chosen, new])
        log = torch.cat([log.log_softmax(0), log.new_full((len(new),), _ENTERS).log()])
        log = _weighed(aim, held[chosen], log, -(-steps // 3))
    log = _weighed(dataclasses.replace(aim, statistics=statistics), held[chosen], log, steps)
    return _weighing(whole.take(chosen.sort().values), log[chosen.argsort()].softmax(0), whole.size)


def rounded(table: Table) -> Table:
    """Every soft cell its most probable category, and rows that are then alike as one, with the sum of their weights.

    What is kept: what a row mostly is, and its weight. Not kept: margins, from which all that was improbable is gone; they are
    near only where the probabilities are near 0 and 1, and rare categories vanish first. `reweighted` brings margins nearer.

    Raises:
        AttarError: if a column is continuous or misses values.
    """
    return counted(table.replace(soft={}, kept=Statistics()))


def drawn(table: Table, rows: int, generator: torch.Generator) -> Table:
    """Hard rows that weigh alike, drawn evenly: for tools that know neither weights nor soft rows.

    Each row is drawn by its share, to within one, and of a soft row that is drawn m times each category of each column m times its
    probability, to within one, in an order of its own for each column. What is kept: on average all margins, as
    `Table.resampled` does, with less noise in the margins of one column. Not kept: what the noise of so many rows hides; tests of them
    read their own number.

    Args:
        table: hard or soft.
        rows: how many.
        generator: draws them.

    Raises:
        AttarError: if it is no number of rows.
    """
    if rows < 1:
        raise AttarError(f"{rows} rows cannot be drawn: give 1 or more.")

    def uniform(count: int) -> Tensor:
        return torch.rand(count, generator=generator, dtype=torch.float64)

    ends = table.shares.cumsum(0)
    place = torch.searchsorted(ends, ends[-1] * (uniform(1) + torch.arange(rows)) / rows, right=True)
    place = place.clamp(max=len(table) - 1)
    times = torch.bincount(place, minlength=len(table))
    first = times.cumsum(0) - times
    values = table.values[place].clone()
    for name, shares in table.soft.items():
        order = (place + uniform(rows)).argsort().argsort() - first[place]
        height = (order + uniform(len(table))[place]) / times[place]
        steps = shares.double().cumsum(dim=1)[:, :-1]
        values[:, table.place(name)] = (height[:, None] >= steps[place]).sum(dim=1).double()
    return table.replace(values=values, weight=None, n_represented=None, soft={}, kept=table.kept and Statistics())


def reweighted(table: Table, margins: Margins, to: Table, *, steps: int = 100, statistics: float = 0.0) -> Table:
    """The same rows, hard or soft, with the weights whose margins are nearest to those of another table.

    Nearest by the mean over margins of ``KL(to || rows)``, where a cell that no row reaches counts as a thousandth of a row. What is kept:
    the rows; margins as far as these rows can hold them, which they do exactly where `to` is a mixture of them.

    Args:
        table: of the rows. Columns that no family has are left out.
        margins: to come near to.
        to: whose margins.
        steps: of L-BFGS at most.
        statistics: what the statistics of tests weigh beside the margins.

    Returns:
        Rows that stand for as many as `to` does. Rows that then weigh nothing are left out.

    Raises:
        AttarError: if the tables differ in columns or categories, or a column is continuous or misses values.
    """
    of = _kept(table, margins)
    aim = Aim.of(_kept(to, margins), margins, statistics)
    for name in of.names:
        if of.column(name).categories != to.column(name).categories:
            raise AttarError(f"Column '{name}' has other categories in the table whose margins are wanted.")
    held = aim.cells.probabilities(of)
    return _weighing(of, _weighed(aim, held, of.shares.log(), steps).softmax(0), to.size)


def contingency_rows(
    table: Table,
    margins: Margins,
    rows: int,
    form: Literal["hard", "soft"] = "hard",
    *,
    seed: int = 0,
    steps: int = 200,
    statistics: float = 100.0,
) -> tuple[Table, Gap]:
    """At most so many rows that keep margins: all distinct rows where they are no more, or else a vertex where it is no larger, or
    else the nearest that are found.

    Args:
        table: discrete and hard. Columns that no family has are left out.
        margins: to be kept.
        rows: how many there may be.
        form: of the nearest: weighted real rows (`hard_rows`) or rows of probabilities (`soft_rows`). What is exact is hard.
        seed: of soft rows.
        steps: of the nearest.
        statistics: what the statistics of tests weigh against the margins, of soft rows.

    Returns:
        The rows, and how far their margins are from the table's: to rounding where they are exact.

    Raises:
        AttarError: if there is no such form or budget, or a column is continuous or soft, or misses values.
    """
    if form not in ("hard", "soft"):
        raise AttarError(f"Rows are 'hard' or 'soft', and not '{form}'.")
    if rows < 1:
        raise AttarError(f"{rows} rows cannot hold a table: give 1 or more.")
    whole = counted(_kept(table, margins))
    found = whole if len(whole) <= rows else None
    if found is None and vertex_may_fit(whole, margins, rows):
        exact = vertex_rows(whole, margins)
        found = exact if len(exact) <= rows else None
    if found is None and form == "hard":
        found = hard_rows(whole, margins, rows, steps=steps)
    elif found is None:
        found = soft_rows(whole, margins, rows, seed=seed, steps=steps, statistics=statistics)
    return found, margins.gap(found, whole)


def vertex_may_fit(whole: Table, margins: Margins, rows: int) -> bool:
    """Whether a vertex of margins may have so few rows; where it may not, one more row than that are independent, or all are too many
    to compute with.

    Args:
        whole: distinct rows, counted (see `counted`).
        margins: to be kept.
        rows: how many there may be.
    """
    independent = margins.independent(whole)
    if len(whole) * independent > _ENTRIES:
        return False
    if independent < rows:
        return True
    some = whole.take(torch.arange(rows + 1) * (len(whole) - 1) // rows)
    columns = margins.indicators(some).double()
    return int(torch.linalg.matrix_rank(1.0 + columns @ columns.T, hermitian=True)) <= rows


def _kept(table: Table, margins: Margins) -> Table:
    """The columns that some family has, in the order of the table."""
    for name in margins.names:
        table.place(name)
    return table.only([name for name in table.names if name in margins.names])


def _weighed(aim: Aim, held: Tensor, log: Tensor, steps: int) -> Tensor:
    """Logarithms of weights ``(k,)``, to any constant, that are nearer to an aim, of rows that stay as they are."""
    return descended([log], lambda log: aim.loss(held, log.softmax(0)), steps)[0]


def _weighing(table: Table, share: Tensor, size: float) -> Table:
    """The rows that weigh anything, which stand for so many and are near to their margins alone."""
    heavy = torch.nonzero(share > _LIGHTEST).flatten()
    return table.take(heavy).replace(weight=share[heavy] * size, n_represented=size, kept=Statistics())


def _soft(logits: Tensor, levels: Sequence[int]) -> Tensor:
    """Probabilities of the categories of each column, of logits ``(k, sum of levels)``."""
    return torch.cat([part.softmax(dim=1) for part in logits.split(list(levels), dim=1)], dim=1)
