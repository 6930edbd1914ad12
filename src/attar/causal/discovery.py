"""Discovery of a causal graph from a table, with what is known of it and how sure its edges are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attar.causal.graphs import Graph
from attar.causal.independence import TestName
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
        bootstraps: how many.
        directed: share of the bootstraps with i -> j in row i and column j ``(p, p)``; None without any.
        undirected: share with i - j ``(p, p)``, symmetric.
    """

    graph: Graph
    bootstraps: int = 0
    directed: Tensor | None = None
    undirected: Tensor | None = None

    @property
    def adjacent(self) -> Tensor | None:
        """Share of the bootstraps with any edge between i and j ``(p, p)``, symmetric; None without any."""
        if self.directed is None or self.undirected is None:
            return None
        return self.directed + self.directed.T + self.undirected


def discover(
    table: Table,
    algorithm: Literal["pc", "ges", "lingam"] = "pc",
    alpha: float = 0.01,
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
        table: real or distilled rows.
        algorithm: pc (stable PC), ges (greedy equivalence search) or lingam (DirectLiNGAM, for numbers with noise that is not
            Gaussian).
        alpha: level of pc's tests.
        test: of pc: fisher_z, g2 or kernel; None for the one that suits the columns.
        knowledge: edges that are required or forbidden; ges takes none.
        order: the largest number of given columns that pc tests; None for all.
        bootstraps: how often to draw `size` rows by their shares, with replacement, and find their graph again.
        generator: draws these, and rows for lingam where a table has none to read.

    Raises:
        AttarError: if causal-learn is not installed, the algorithm does not take such a table or knowledge, or an argument is out
            of range.

    Reference:
        Colombo and Maathuis: Order-independent constraint-based causal structure learning, JMLR 2014 (stable PC); Chickering:
        Optimal structure identification with greedy search, JMLR 2002; Shimizu et al.: DirectLiNGAM, JMLR 2011.
    """
    known = knowledge or Knowledge()
    known.check(table.names)
    if len(table.columns) < 2:
        raise AttarError("A causal graph is of two columns or more, and this table has fewer.")
    if not 0 < alpha < 1:
        raise AttarError(f"alpha={alpha} is no level: give one between 0 and 1.")
    if bootstraps < 0 or (bootstraps and generator is None):
        raise AttarError("Bootstraps are 0 or more, drawn by a generator: give one, such as attar.rng.generator(0).")
    if algorithm != "pc" and (test is not None or order is not None):
        raise AttarError(f"test and order are those of pc, and {algorithm} makes no tests: leave them out.")
    if algorithm == "ges" and known:
        raise AttarError("GES takes no required or forbidden edges in causal-learn: use pc or lingam, which do.")

    def found(rows: Table) -> Graph:
        if algorithm == "pc":
            return pc(rows, alpha, test, known, order)
        if algorithm == "ges":
            return ges(rows)
        if algorithm == "lingam":
            return lingam(rows, known, generator)
        raise AttarError(f"There is no algorithm '{algorithm}': give pc, ges or lingam.")

    if order is not None and order < 0:
        raise AttarError(f"pc cannot test given order={order} columns: give 0 or more, or None for all.")
    graph = found(table)
    if not bootstraps or generator is None:
        return Discovery(graph)
    marks = torch.stack(
        [found(table.resampled(max(round(table.size), 1), generator)).matrix() for _ in range(bootstraps)]
    )
    return Discovery(graph, bootstraps, (marks == 1).double().mean(dim=0), (marks == 2).double().mean(dim=0))
