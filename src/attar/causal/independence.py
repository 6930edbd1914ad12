"""Conditional independence of a table's columns: one test, or all up to an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from numbers import Integral
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from attar.causal.decisions import Decisions
from attar.causal.fisher_z import FisherZ
from attar.causal.g2 import G2
from attar.causal.kept import Kept, Rows, kept_by, rows_of
from attar.causal.kernel import KernelTest
from attar.errors import AttarError
from attar.rng import generator
from attar.tables import Table

__all__ = ["Kept", "TestName", "independence", "independent", "reader", "suited"]

TestName = Literal["fisher_z", "g2", "kernel"]


class Reader(Protocol):
    """A test that has read a table: places of pairs ``(t, 2)`` and of given columns ``(t, k)`` to statistic, degrees of freedom and
    p-value ``(t,)``."""

    def __call__(self, pairs: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor]: ...


READERS: dict[str, Callable[[Table], Reader]] = {"fisher_z": FisherZ, "g2": G2, "kernel": KernelTest}


def suited(table: Table) -> TestName:
    """The test that suits a table's columns: g2 where all are discrete, fisher_z where all are numbers or have two categories, else
    kernel."""
    if all(column.discrete for column in table.columns):
        return "g2"
    numbers = all(column.kind != "categorical" or column.levels <= 2 for column in table.columns)
    return "fisher_z" if numbers else "kernel"


def reader(table: Table, test: TestName | None = None) -> Reader:
    """The test by its name, with the table read.

    Raises:
        AttarError: if there is no such test, or the table does not suit it.
    """
    name = test or suited(table)
    if name not in READERS:
        raise AttarError(f"There is no test '{name}': give {', '.join(READERS)}.")
    return READERS[name](table)


def independence(
    table: Rows,
    test: TestName | None = None,
    order: int = 2,
    alpha: float = 0.01,
    *,
    kept: Kept | None = None,
    most: int | None = None,
    seed: int = 0,
) -> Decisions:
    """Test every pair of columns given every set of others up to a number.

    Rows are read by their shares and at the sample size that they stand for (`Table.size`). The p-value of a test is valid at that
    size if its statistic is one that the rows say they keep (`Table.kept`): of fisher_z covariances, of g2 the contingency table of its
    columns, and of kernel, which reads more than either, never. Of rows that say nothing every p-value is valid where each stands
    for a whole number of rows, itself or several; and else, if the table states `n_represented`, those of fisher_z and g2.

    Args:
        table: real or distilled rows: a table, a distilled one, or a problem, whose training rows are read.
        test: fisher_z, g2 or kernel; None for the one that suits the columns (see `suited`).
        order: the largest number of given columns.
        alpha: level of the decisions.
        kept: where the rows keep less than they say: whether the statistic of the named columns, those of a test; others are marked as
            not valid. None for all.
        most: the largest number of tests for each number of given columns, so that many columns, or a slow test, stay within reach; of
            more so many are drawn, the same ones of every table with as many columns. None for all tests.
        seed: draws them.

    Returns:
        The tests in the order of the number of given columns, of the pair, and of the given columns.

    Raises:
        AttarError: if the order or level is out of range, the table does not suit the test, or columns are named where the test is.
    """
    table = rows_of(table)
    _refuse_columns(table, test, order)
    count, level = len(table.columns), _level(alpha)
    if order < 0 or count < 2:
        raise AttarError(
            f"Independence given {order} of {count} columns cannot be tested: give an order of 0 or more, and 2 columns."
        )
    if most is not None and most < 1:
        raise AttarError(f"At most {most} tests are none: give 1 or more, or None for all.")
    name = test or suited(table)
    decide = reader(table, name)
    widest = min(order, count - 2)
    parts = []
    for size in range(widest + 1):
        tests = [
            (*pair, *given)
            for pair in combinations(range(count), 2)
            for given in combinations([k for k in range(count) if k not in pair], size)
        ]
        places = torch.tensor(tests)
        if most is not None and len(tests) > most:
            drawn = torch.randperm(len(tests), generator=generator(seed, "independence", count, size))[:most]
            places = places[drawn.sort().values]
        filled = torch.nn.functional.pad(places[:, 2:], (0, widest - size), value=-1)
        parts.append((places[:, :2], filled, *decide(places[:, :2], places[:, 2:])))
    pairs, given, statistic, freedom, p = (torch.cat(part) for part in zip(*parts, strict=True))
    valid = torch.ones(len(pairs), dtype=torch.bool)
    found = Decisions(table.names, name, level, table.size, pairs, given, statistic, freedom, p, valid)
    for holds in (kept_by(table, name), True if kept is None else kept):
        valid &= (
            holds if isinstance(holds, bool) else torch.tensor([holds(found.columns(k)) for k in range(len(found))])
        )
    return found


def independent(
    table: Rows,
    i: str,
    j: str,
    given: Sequence[str] = (),
    test: TestName | None = None,
    alpha: float = 0.01,
) -> Decisions:
    """Test one pair of columns given others: as `independence` does, one decision.

    Args:
        table: as of `independence`.
        i: a column.
        j: another one.
        given: further ones.
        test: None for the one that suits these columns.
        alpha: level of the decision.

    Raises:
        AttarError: if a column is not there or named twice, or the columns do not suit the test.
    """
    names = (i, j, *given)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AttarError(f"Column '{twice}' is named twice: a test is of two columns given others.")
    rows = rows_of(table).only(names)
    name = test or suited(rows)
    pairs, others = torch.tensor([[0, 1]]), torch.arange(2, len(names))[None]
    statistic, freedom, p = reader(rows, name)(pairs, others)
    holds = kept_by(rows, name)
    valid = torch.tensor([holds if isinstance(holds, bool) else holds(names)])
    return Decisions(names, name, _level(alpha), rows.size, pairs, others, statistic, freedom, p, valid)


def _refuse_columns(table: Table, test: Any, order: Any) -> None:
    """Refuse the call of one test, whose columns come where those of all tests have the name of the test and an order."""
    whole = isinstance(order, Integral) and not isinstance(order, bool)
    if whole and (test is None or (isinstance(test, str) and (test in READERS or test not in table.names))):
        return
    pair = f"{test!r}, {order!r}" if isinstance(test, str) and isinstance(order, str) else "i, j, given"
    raise AttarError(
        f"independence(table, test={test!r}, order={order!r}) makes no sense: it tests every pair of columns by a test "
        f"({', '.join(READERS)}) given up to a whole number of others; for one pair call attar.causal.independent(table, {pair})."
    )


def _level(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise AttarError(f"alpha={alpha} is no level: give one between 0 and 1.")
    return float(alpha)
