"""What the verbs read of any rows, and whether these keep it: what they do not keep is theirs alone, and not their source's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from attar.data import table_of
from attar.errors import AttarError
from attar.tables import Table
from attar.types import Problem

__all__ = ["Kept", "Rows", "counted", "kept_by", "rows_of", "unkept_effect", "unkept_graph"]

Kept = Callable[[tuple[str, ...]], bool]
"""Whether rows keep the joint statistic of the named columns."""


@runtime_checkable
class HasRows(Protocol):
    """What holds a table's rows as ``data``, as an `attar.distilled.tables.DistilledTable` does."""

    @property
    def data(self) -> Table: ...


Rows: TypeAlias = Table | HasRows | Problem
"""A table, a distilled one, or a problem, of which the training rows are meant."""


def rows_of(data: Rows) -> Table:
    """The rows that are meant.

    Raises:
        AttarError: if it is no table.
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, Problem):
        return table_of(data)
    rows = getattr(data, "data", None)
    if isinstance(rows, Table):
        return rows
    raise AttarError(
        f"A {type(data).__name__} is no table that says what its columns are: load it by attar.data.table(...), or give an "
        "attar.tables.Table or a distilled table."
    )


def counted(table: Table) -> bool:
    """Whether every row is hard and stands for a whole number of rows that are alike: itself, or as many as its weight counts. Rows
    without weights that stand for others, as those that keep moments do, are made and not counted."""
    if table.soft or (table.weight is None and table.size != len(table)):
        return False
    counts = table.shares * table.size
    return bool(((counts - counts.round()).abs() <= 1e-6).all()) and bool((counts > 0.5).all())


def kept_by(table: Table, test: str) -> bool | Kept:
    """Whether the rows keep what a test reads: of all columns, or of those that are asked for."""
    if table.kept is None:
        return counted(table) or (table.n_represented is not None and test != "kernel")
    return {"fisher_z": table.kept.covariances, "g2": table.kept.counts}.get(test, False)


def unkept_graph(table: Table, algorithm: str, test: str, order: int | None) -> str:
    """That a graph is not the source's, where the algorithm reads more than the rows keep; else nothing.

    Args:
        table: its rows.
        algorithm: pc, ges (which reads what Fisher-z reads, or counts) or lingam (which reads whole rows, as a kernel test does).
        test: of pc.
        order: the largest number of columns that its tests are given; None for all.
    """
    counts = all(column.discrete for column in table.columns)
    read = {"pc": test, "ges": "g2" if counts else "fisher_z"}.get(algorithm, "kernel")
    holds = kept_by(table, read)
    if not isinstance(holds, bool):
        most = len(table.names) if order is None else min(order + 2, len(table.names))
        margins = algorithm == "pc" and read == "g2" and table.kept is not None and table.kept.columns >= most
        holds = margins or holds(table.names)
    if holds:
        return ""
    what = f"pc by {test}" if algorithm == "pc" else algorithm
    instead = "give pc fewer columns to test (order=)" if read == "g2" else "use pc by fisher_z, or ges on numbers,"
    return (
        f"{_these(table)} and do not keep what {what} reads of them, so the graph is that of the rows and not of their source: "
        f"{instead} where rows keep {'contingency tables' if read == 'g2' else 'means and covariances'}."
    )


def unkept_effect(
    table: Table, treatment: str, outcome: str, adjust: Sequence[str], estimator: str, clip: float
) -> str:
    """That an estimate is not the source's, where the estimator reads more than the rows keep; else nothing."""
    if table.kept is None:
        holds = counted(table) or (table.n_represented is not None and estimator == "regression")
    else:
        holds = table.kept.estimates(treatment, outcome, adjust, estimator, clip)
    if holds:
        return ""
    return (
        f"{_these(table)} and do not keep what {estimator} reads of these columns, so the estimate and its error are those of the rows "
        "and not of their source: estimate by regression where rows keep means and covariances, or make rows of this effect "
        "(attar.causal.effect_rows, the method effects)."
    )


def _these(table: Table) -> str:
    rows = "This 1 row stands" if len(table) == 1 else f"These {len(table):,} rows stand"
    return f"{rows} for {table.size:,.6g}"
