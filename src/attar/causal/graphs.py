"""Causal graphs: nodes by name, directed edges and undirected ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attar.causal.orientation import Pair, consistent_extension, cycle, equivalence_class
from attar.errors import AttarError

__all__ = ["Edge", "Graph"]

Edge = tuple[str, str]

_EDGE = re.compile(r"^\s*(?:\d+\.\s*)?(\S+)\s+(-->|<--|---)\s+(\S+)\s*$")


@dataclass(frozen=True)
class Graph:
    """Nodes and edges: a DAG where all edges are directed and none closes a cycle, a CPDAG where it stands for a Markov equivalence
    class, or whatever a discovery found. Two graphs are equal where nodes, their order and edges are.

    Args:
        names: of the nodes, all different.
        directed: edges (from, to).
        undirected: edges whose direction is not known. Both are kept in the order of their nodes.

    Raises:
        AttarError: if a node is named twice or is not there, or two nodes have more than one edge.

    Example:
        >>> Graph.dag(["rain", "wet", "hose"], [("rain", "wet"), ("hose", "wet")]).cpdag().directed
        (('rain', 'wet'), ('hose', 'wet'))
    """

    names: tuple[str, ...]
    directed: tuple[Edge, ...] = ()
    undirected: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice:
            raise AttarError(f"Two nodes are named '{twice[0]}': rename one of them.")
        seen: set[frozenset[str]] = set()
        for start, end in (*self.directed, *self.undirected):
            for name in (start, end):
                if name not in self._places:
                    raise AttarError(
                        f"The edge {start} - {end} is of a node '{name}' that is not among {', '.join(self.names)}."
                    )
            if start == end:
                raise AttarError(f"Node '{start}' has an edge to itself, which no graph here has.")
            if frozenset((start, end)) in seen:
                raise AttarError(f"The nodes {start} and {end} have more than one edge: give one.")
            seen.add(frozenset((start, end)))
        place = self._places
        ordered = sorted(
            ((start, end) for start, end in self.directed), key=lambda edge: (place[edge[0]], place[edge[1]])
        )
        pairs = [(start, end) if place[start] < place[end] else (end, start) for start, end in self.undirected]
        object.__setattr__(self, "directed", tuple(ordered))
        object.__setattr__(self, "undirected", tuple(sorted(pairs, key=lambda edge: (place[edge[0]], place[edge[1]]))))

    @classmethod
    def dag(cls, names: Sequence[str], edges: Sequence[Edge]) -> Self:
        """A graph of directed edges without cycles.

        Raises:
            AttarError: as of a graph, and if edges close a cycle.
        """
        graph = cls(tuple(names), tuple(edges))
        graph._refuse_cycles()
        return graph

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """A graph from a text file of nodes (``X1;X2;X3`` below ``Graph Nodes:``) and edges (``1. X1 --> X2`` or ``2. X2 --- X3`` below
        ``Graph Edges:``), as causal-learn and Tetrad write them.

        Raises:
            AttarError: if the file is not there, or is no such text.
        """
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise AttarError(f"No graph can be read from {path}: {error}.") from error
        heads = {line.strip().rstrip(":"): place for place, line in enumerate(lines) if line.strip().endswith(":")}
        if not {"Graph Nodes", "Graph Edges"} <= set(heads):
            raise AttarError(f"{path} is no text of a graph: it has no lines 'Graph Nodes:' and 'Graph Edges:'.")
        start, middle = heads["Graph Nodes"] + 1, heads["Graph Edges"]
        names = [name.strip() for line in lines[start:middle] for name in re.split("[;,]", line) if name.strip()]
        directed: list[Edge] = []
        undirected: list[Edge] = []
        for line in filter(str.strip, lines[middle + 1 :]):
            found = _EDGE.match(line)
            if found is None:
                raise AttarError(f"{path} says '{line.strip()}', which is no edge: write 'X1 --> X2' or 'X1 --- X2'.")
            first, mark, second = found.groups()
            edge = (second, first) if mark == "<--" else (first, second)
            (undirected if mark == "---" else directed).append(edge)
        return cls(tuple(names), tuple(directed), tuple(undirected))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, the directed ones first."""
        return self.directed + self.undirected

    @property
    def is_dag(self) -> bool:
        """Whether all edges are directed and none closes a cycle."""
        return not self.undirected and cycle(len(self), self._pairs(self.directed)) is None

    @property
    def is_cpdag(self) -> bool:
        """Whether it is the graph of a Markov equivalence class: that of its own extension."""
        try:
            return self == self.cpdag()
        except AttarError:
            return False

    @property
    def skeleton(self) -> Self:
        """The same edges, none of them directed."""
        return type(self)(self.names, (), self.edges)

    def parents(self, node: str) -> tuple[str, ...]:
        """Where the directed edges to a node come from, in the order of the nodes.

        Raises:
            AttarError: if there is no such node.
        """
        self._known(node)
        return tuple(start for start, end in self.directed if end == node)

    def neighbours(self, node: str) -> tuple[str, ...]:
        """The other ends of the undirected edges of a node, in the order of the nodes.

        Raises:
            AttarError: if there is no such node.
        """
        self._known(node)
        found = {first if second == node else second for first, second in self.undirected if node in (first, second)}
        return tuple(sorted(found, key=self._places.__getitem__))

    @property
    def order(self) -> tuple[str, ...]:
        """The nodes of a DAG, parents before children, and otherwise in their own order.

        Raises:
            AttarError: if an edge is undirected, or edges close a cycle.
        """
        if self.undirected:
            raise AttarError("The order of its nodes is known of a DAG only: take the graph's extension().")
        self._refuse_cycles()
        found: list[str] = []
        while len(found) < len(self):
            ready = (n for n in self.names if n not in found and set(self.parents(n)) <= set(found))
            found.append(next(ready))
        return tuple(found)

    def extension(self) -> Self:
        """A DAG of the same skeleton and the same colliders that keeps the directed edges.

        Raises:
            AttarError: if there is none.

        Reference:
            Dor and Tarsi: A simple algorithm to construct a consistent extension of a partially oriented graph, 1992.
        """
        if self.is_dag:
            return self
        found = consistent_extension(len(self), self._pairs(self.directed), self._pairs(self.undirected))
        if found is None:
            raise AttarError(
                "No DAG has this graph's skeleton, its directed edges and no other colliders: its directions contradict each other."
            )
        return self._of(found, set())

    def cpdag(self) -> Self:
        """The graph of the Markov equivalence class that a DAG belongs to; of other graphs, the class of their extension.

        Raises:
            AttarError: if there is no extension.

        Reference:
            Meek: Causal inference and causal explanation with background knowledge, UAI 1995 (the rules of orientation).
        """
        return self._of(*equivalence_class(len(self), self._pairs(self.extension().directed)))

    def matrix(self) -> Tensor:
        """The adjacency ``(nodes, nodes)``, int8: 1 in row i and column j for i -> j, 2 in both places for an undirected edge."""
        found = torch.zeros(len(self), len(self), dtype=torch.int8)
        for start, end in self._pairs(self.directed):
            found[start, end] = 1
        for first, second in self._pairs(self.undirected):
            found[first, second] = found[second, first] = 2
        return found

    def reordered(self, names: Sequence[str]) -> Self:
        """The same graph with its nodes in another order.

        Raises:
            AttarError: if these are not the same nodes.
        """
        if set(names) != set(self.names) or len(names) != len(self):
            raise AttarError(f"The graphs are of other nodes: {', '.join(self.names)}, and {', '.join(names)}.")
        return type(self)(tuple(names), self.directed, self.undirected)

    def to_json(self) -> dict[str, Any]:
        """A record of JSON values, from which `from_json` makes this graph again."""
        return {
            "names": list(self.names),
            "directed": [list(edge) for edge in self.directed],
            "undirected": [list(edge) for edge in self.undirected],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The graph that `to_json` recorded.

        Raises:
            AttarError: if it is no such record.
        """
        try:
            names = tuple(str(name) for name in record["names"])
            both = [tuple((str(start), str(end)) for start, end in record[k]) for k in ("directed", "undirected")]
        except (KeyError, TypeError, ValueError) as error:
            raise AttarError(f"This is no record of a graph ({error}): it was written by something else.") from error
        return cls(names, *both)

    def _pairs(self, edges: Sequence[Edge]) -> set[Pair]:
        return {(self._places[start], self._places[end]) for start, end in edges}

    def _of(self, directed: set[Pair], undirected: set[Pair]) -> Self:
        """The graph of these nodes with other edges, given by the places of their nodes."""
        both = [tuple((self.names[start], self.names[end]) for start, end in edges) for edges in (directed, undirected)]
        return type(self)(self.names, *both)

    def _known(self, node: str) -> None:
        if node not in self._places:
            raise AttarError(f"There is no node '{node}' among {', '.join(self.names)}.")

    def _refuse_cycles(self) -> None:
        found = cycle(len(self), self._pairs(self.directed))
        if found is not None:
            way = " -> ".join(self.names[place] for place in found)
            raise AttarError(f"The edges close a cycle, {way}: a DAG has none.")
