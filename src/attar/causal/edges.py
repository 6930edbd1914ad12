"""Edges of a graph as words: "smoke->cancer"."""

from __future__ import annotations

from collections.abc import Sequence

from attar.causal.graphs import Edge, Graph
from attar.errors import AttarError

__all__ = ["graph_of", "pair_of"]


def graph_of(names: Sequence[str], edges: Sequence[str]) -> Graph:
    """The graph of edges "cause->effect", or "one--other" where the direction is not known.

    Args:
        names: of the nodes.
        edges: each a pair of names with an arrow or a line between them.

    Raises:
        AttarError: if an edge is none, names a node that is not there, or edges close a cycle.

    Example:
        >>> graph_of(["smoke", "cancer"], ["smoke->cancer"]).parents("cancer")
        ('smoke',)
    """
    directed: list[Edge] = []
    undirected: list[Edge] = []
    for edge in edges:
        found = [
            (kept, (start, end))
            for arrow, kept in (("->", directed), ("--", undirected))
            for start, end in _split(edge, arrow)
        ]
        if not found:
            raise AttarError(
                f"'{edge}' is no edge: give cause->effect, or one--other where the direction is not known."
            )
        known = [(kept, ends) for kept, ends in found if set(ends) <= set(names)]
        if not known:
            raise AttarError(f"The edge {edge} is not of two columns among {', '.join(names)}: use their names.")
        known[0][0].append(known[0][1])
    Graph.dag(names, directed)  # refused where they close a cycle
    return Graph(tuple(names), tuple(directed), tuple(undirected))


def pair_of(names: Sequence[str], pair: str) -> Edge:
    """The two columns of "one--other", whose order says nothing.

    Raises:
        AttarError: if it is no pair, or names a column that is not there.

    Example:
        >>> pair_of(["smoke", "cancer"], "cancer--smoke")
        ('cancer', 'smoke')
    """
    found = _split(pair, "--")
    if not any(start and end and start != end for start, end in found):
        raise AttarError(f"'{pair}' is no pair of two columns: give one--other.")
    known = next((ends for ends in found if set(ends) <= set(names)), None)
    if known is None:
        raise AttarError(f"The pair {pair} is not of two columns among {', '.join(names)}: use their names.")
    return known


def _split(edge: str, arrow: str) -> list[Edge]:
    """The two sides of every place where an arrow stands: a column may have one in its name."""
    parts = edge.split(arrow)
    return [(arrow.join(parts[:k]).strip(), arrow.join(parts[k:]).strip()) for k in range(1, len(parts))]
