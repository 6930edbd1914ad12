"""Algorithms of causal discovery, by causal-learn, on what a table says."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from attar.causal.graphs import Edge, Graph
from attar.causal.independence import TestName, reader
from attar.causal.kept import counted
from attar.causal.knowledge import Knowledge
from attar.causal.moments import COLLINEAR, moments, swept
from attar.errors import AttarError
from attar.tables import Table

__all__ = ["ges", "lingam", "pc"]

_MISSING = "Causal discovery needs causal-learn: pip install 'attar[causal]'."


def pc(table: Table, alpha: float, test: TestName | None, knowledge: Knowledge, order: int | None) -> Graph:
    """Stable PC with the test's decisions on the table; colliders by separating sets, the first found having precedence.

    A required edge is never taken out, and a forbidden one never directed so; where both directions are forbidden there is no
    edge. What follows by Meek's rules 1 to 3 is directed; his fourth, which knowledge may need, causal-learn does not have.
    """
    try:
        from causallearn.graph.GraphNode import GraphNode
        from causallearn.search.ConstraintBased.PC import pc as run
        from causallearn.utils.cit import CIT_Base, register_ci_test
        from causallearn.utils.PCUtils.BackgroundKnowledge import BackgroundKnowledge
    except ImportError as error:
        raise AttarError(_MISSING) from error

    class Decided(CIT_Base):  # type: ignore[misc]
        """A test that asks the table and not the rows that causal-learn holds."""

        def __init__(self, data: np.ndarray, decide: Any, required: set[frozenset[int]]) -> None:
            super().__init__(data)
            self.method = "attar"  # read by its callers
            self.decide, self.required, self.known = decide, required, {}  # type: ignore[var-annotated]

        def __call__(self, X: int, Y: int, condition_set: Any = None) -> float:
            first, second = sorted((int(X), int(Y)))
            given = tuple(sorted(map(int, condition_set or ())))
            if {first, second} in self.required:
                return 0.0
            if (first, second, given) not in self.known:
                places = torch.tensor([given], dtype=torch.int64).reshape(1, -1)
                self.known[first, second, given] = float(self.decide(torch.tensor([[first, second]]), places)[2])
            return self.known[first, second, given]

    register_ci_test("attar", Decided)
    background = None
    if knowledge:
        background = BackgroundKnowledge()
        for start, end in knowledge.required:
            background.add_required_by_node(GraphNode(start), GraphNode(end))
            background.add_forbidden_by_node(GraphNode(end), GraphNode(start))
        for start, end in knowledge.forbidden:
            background.add_forbidden_by_node(GraphNode(start), GraphNode(end))
    count = len(table.columns)
    found = run(
        np.zeros((count, count)),  # rows are not read
        alpha=alpha,
        indep_test="attar",
        background_knowledge=background,
        show_progress=False,
        node_names=list(table.names),
        max_k=order,
        decide=reader(table, test),
        required={frozenset(map(table.place, edge)) for edge in knowledge.required},
    )
    return _graph(table.names, found.G.graph)


def ges(table: Table) -> Graph:
    """Greedy equivalence search: numbers by the Gaussian BIC of their weighted covariance and `size`, categories by BDeu (prior weight
    1) of whole rows, each as often as it stands for.
    """
    try:
        from causallearn.search.ScoreBased.GES import ges as run
    except ImportError as error:
        raise AttarError(_MISSING) from error
    names = list(table.names)
    if all(column.discrete for column in table.columns):
        if not counted(table):
            raise AttarError(
                "GES scores categories by whole rows, and these are soft or stand for parts of rows: use pc, or draw rows by "
                "Table.resampled."
            )
        found = run(_whole(table).numpy(), score_func="local_score_BDeu", node_names=names)
    else:
        found = run(cov=_full_rank(table).numpy(), n=table.size, node_names=names)
    return _graph(table.names, found["G"].graph)


def lingam(table: Table, knowledge: Knowledge, generator: torch.Generator | None) -> Graph:
    """DirectLiNGAM, a DAG. It reads rows: where these stand for whole numbers of rows, each as often as it stands for; of others as
    many are drawn by weight. A forbidden edge is read as: no directed path that way. A required edge is in the graph, and what the
    regression says of it only its size.
    """
    try:
        from causallearn.search.FCMBased.lingam import DirectLiNGAM
        from causallearn.search.FCMBased.lingam.utils import predict_adaptive_lasso
    except ImportError as error:
        raise AttarError(_MISSING) from error
    _full_rank(table)
    if not counted(table):
        if generator is None:
            raise AttarError("LiNGAM reads rows, and these weigh parts of rows: give a generator that draws some.")
        table = table.resampled(max(round(table.size), 1), generator)
    prior = None
    if knowledge:
        prior = np.full((len(table.names),) * 2, -1)  # (to, from)
        for start, end in knowledge.forbidden:
            prior[table.place(end), table.place(start)] = 0
        for start, end in knowledge.required:
            prior[table.place(end), table.place(start)], prior[table.place(start), table.place(end)] = 1, 0
    rows = _whole(table, numbers=True).numpy()
    try:
        order = DirectLiNGAM(prior_knowledge=prior).fit(rows).causal_order_
    except (ValueError, IndexError) as error:
        if prior is None:
            raise
        raise AttarError(
            "LiNGAM finds no order of the columns that agrees with what is known: require or forbid less."
        ) from error
    edges = set(knowledge.required)
    for place, end in enumerate(order):  # as its own fit does, which forgets knowledge that orders nothing
        starts = [start for start in order[:place] if (table.names[start], table.names[end]) not in knowledge.forbidden]
        weights = predict_adaptive_lasso(rows, starts, end) if starts else []
        edges |= {
            (table.names[start], table.names[end]) for start, weight in zip(starts, weights, strict=True) if weight
        }
    return Graph.dag(table.names, tuple(edges))


def _whole(table: Table, numbers: bool = False) -> Tensor:
    """Rows of a counted table, each as often as it stands for."""
    values = table.numbers() if numbers else table.values
    return values.repeat_interleave((table.shares * table.size).round().long(), dim=0)


def _full_rank(table: Table) -> Tensor:
    """The correlation of columns that are numbers, none of them constant or determined by those before it."""
    table.numbers()  # refuses categories without an order
    correlation = moments(table, table.names).correlation
    for place, name in enumerate(table.names):
        left, _ = swept(correlation[: place + 1, : place + 1], place)
        if float(left) <= COLLINEAR:
            what = "determined by the columns before it" if float(correlation[place, place]) > 0 else "constant"
            raise AttarError(f"Column '{name}' is {what}, which this algorithm cannot score: leave it out.")
    return correlation


def _graph(names: tuple[str, ...], ends: np.ndarray) -> Graph:
    """A graph of causal-learn's marks: ``ends[j, i]`` is 1 for an arrow head at j of the edge between i and j, -1 for a tail."""
    directed: list[Edge] = []
    undirected: list[Edge] = []
    for first in range(len(names)):
        for second in range(first + 1, len(names)):
            marks = int(ends[first, second]), int(ends[second, first])  # at the first, at the second
            edge = (names[first], names[second])
            if marks == (-1, 1):
                directed.append(edge)
            elif marks == (1, -1):
                directed.append((edge[1], edge[0]))
            elif marks != (0, 0):
                undirected.append(edge)
    return Graph(names, tuple(directed), tuple(undirected))
