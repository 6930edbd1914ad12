"""Discovery of a causal graph from a table, with what is known of it and how sure its edges are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attar.causal.graphs import Graph
from attar.causal.independence import TestName, suited
from attar.causal.kept import Rows, counted, rows_of, unkept_graph
from attar.causal.knowledge import Knowledge
from attar.causal.learners import ges, lingam, pc
from attar.errors import AttarError
from attar.tables import Table

__all__ = ["Discovery", "discover"]


@dataclass(frozen=True, eq=False)
class Discovery:
    """A graph found in a table, and in how many bootstraps of it each edge was found.

    Args:
        graph: of all rows: a CPDAG or what the algorithm makes of contradictions (pc), a CPDAG (ges) or a DAG (lingam).
        bootstraps: how many were read.
        directed: share of the bootstraps with i -> j in row i and column j ``(p, p)``; None without any.
        undirected: share with i - j ``(p, p)``, symmetric.
        left_out: how many bootstraps more the algorithm refused, as where one lacks all rows but those of one category.
        note: what a reader of the graph and the shares should know, such as that rows do not keep what the algorithm reads; empty
            where there is nothing.
    """

    graph: Graph
    bootstraps: int = 0
    directed: Tensor | None = None
    undirected: Tensor | None = None
    left_out: int = 0
    note: str = ""

    @property
    def adjacent(self) -> Tensor | None:
        """Share of the bootstraps with any edge between i and j ``(p, p)``, symmetric; None without any."""
        if self.directed is None or self.undirected is None:
            return None
        return self.directed + self.directed.T + self.undirected


def discover(
    table: Rows,
    algorithm: Literal["pc", "ges", "lingam"] = "pc",
    alpha: float | None = None,
    test: TestName | None = None,
    *,
    knowledge: Knowledge | None = None,
    order: int | None = None,
    bootstraps: int = 0,
    generator: torch.Generator | None = None,
) -> Discovery:
    """Find the causal graph of a table's columns.

    Rows are read by their shares and at the sample size that they stand for (`Table.size`): by pc through the decisions of the
    test, by ges through weighted covariances or counts, by lingam as whole rows.

    Args:
        table: real or distilled rows: a table, a distilled one, or a problem, whose training rows are read.
        algorithm: pc (stable PC), ges (greedy equivalence search) or lingam (DirectLiNGAM, for numbers with noise that is not
            Gaussian).
        alpha: level of pc's tests; None for 0.01.
        test: of pc: fisher_z, g2 or kernel; None for the one that suits the columns.
        knowledge: edges that are required or forbidden; ges takes none.
        order: the largest number of given columns that pc tests; None for all.
        bootstraps: how often to draw `size` rows by their shares, with replacement, and find their graph again. Rows that
            are made, or weigh parts of rows, vary otherwise than those of their source would, which the note then says.
        generator: draws these, and rows for lingam where a table has none to read.

    Raises:
        AttarError: if causal-learn is not installed, the algorithm does not take such a table or knowledge, or an argument is out
            of range.

    Reference:
        Colombo and Maathuis: Order-independent constraint-based causal structure learning, JMLR 2014 (stable PC); Chickering:
        Optimal structure identification with greedy search, JMLR 2002; Shimizu et al.: DirectLiNGAM, JMLR 2011.
    """
    table, known = rows_of(table), knowledge or Knowledge()
    known.check(table.names)
    if len(table.columns) < 2:
        raise AttarError("A causal graph is of two columns or more, and this table has fewer.")
    if alpha is not None and not 0 < alpha < 1:
        raise AttarError(f"alpha={alpha} is no level: give one between 0 and 1.")
    if bootstraps < 0 or (bootstraps and generator is None):
        raise AttarError("Bootstraps are 0 or more, drawn by a generator: give one, such as attar.rng.generator(0).")
    if algorithm != "pc" and any(option is not None for option in (alpha, test, order)):
        raise AttarError(f"alpha, test and order are those of pc, and {algorithm} makes no tests: leave them out.")
    if algorithm == "ges" and known:
        raise AttarError("GES takes no required or forbidden edges in causal-learn: use pc or lingam, which do.")

    def found(rows: Table) -> Graph:
        if algorithm == "pc":
            return pc(rows, 0.01 if alpha is None else alpha, test, known, order)
        if algorithm == "ges":
            return ges(rows)
        if algorithm == "lingam":
            return lingam(rows, known, generator)
        raise AttarError(f"There is no algorithm '{algorithm}': give pc, ges or lingam.")

    if order is not None and order < 0:
        raise AttarError(f"pc cannot test given order={order} columns: give 0 or more, or None for all.")
    graph = found(table)
    unkept = unkept_graph(table, algorithm, test or suited(table), order)
    if not bootstraps or generator is None:
        return Discovery(graph, note=unkept)
    read, refused = [], ""
    for _ in range(bootstraps):
        again = table.resampled(max(round(table.size), 1), generator)
        try:
            read.append(found(again).matrix())
        except AttarError as error:  # what all rows have, a draw of them may lack
            refused = str(error)
    note = " ".join(part for part in (unkept, _note(table, bootstraps, bootstraps - len(read), refused)) if part)
    if not read:
        return Discovery(graph, left_out=bootstraps, note=note)
    directed, undirected = ((torch.stack(read) == mark).double().mean(dim=0) for mark in (1, 2))
    return Discovery(graph, len(read), directed, undirected, bootstraps - len(read), note)


def _note(table: Table, bootstraps: int, left_out: int, refused: str) -> str:
    """What a reader of bootstraps should know."""
    found = []
    if left_out:
        found.append(f"{left_out} of {bootstraps} bootstraps were left out, the last one for this: {refused}")
    if not counted(table):
        found.append(
            f"These {len(table):,} rows are made, or weigh parts of rows, and stand for {table.size:,.6g}: bootstraps of them vary as "
            "draws from these rows, and say little of how sure an edge of their source is."
        )
    return " ".join(found)
