"""Edges of a graph as words: "smoke->cancer"."""

from __future__ import annotations

from collections.abc import Sequence

from attar.causal.graphs import Edge, Graph
from attar.errors import AttarError

__all__ = ["graph_of"]


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
        for arrow, kept in (("->", directed), ("--", undirected)):
            start, found, end = edge.partition(arrow)
            if found:
                kept.append((start.strip(), end.strip()))
                break
        else:
            raise AttarError(
                f"'{edge}' is no edge: give cause->effect, or one--other where the direction is not known."
            )
        if any(name not in names for name in kept[-1]):
            raise AttarError(f"The edge {edge} is not of two columns among {', '.join(names)}: use their names.")
    Graph.dag(names, directed)  # refused where they close a cycle
    return Graph(tuple(names), tuple(directed), tuple(undirected))
