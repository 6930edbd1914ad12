"""Distances between causal graphs: edges that differ, and effects that would be adjusted for wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attar.causal.graphs import Edge, Graph
from attar.errors import AttarError

__all__ = ["Changes", "Comparison", "changes", "compare"]


@dataclass(frozen=True)
class Comparison:
    """How far a graph is from a reference.

    Args:
        skeleton_distance: pairs of nodes that have an edge in one graph only (structural Hamming distance of the skeletons).
        cpdag_distance: pairs whose edge differs between the graphs of the equivalence classes: missing, too many, or directed
            otherwise, each 1.
        precision: share of the graph's edges, directions apart, that the reference has; 1 where it has none.
        recall: share of the reference's edges that the graph has; 1 where there are none.
        f1: their harmonic mean.
        directed_precision: the same of directed edges: as they are where both graphs are DAGs, else of the equivalence classes.
        directed_recall: likewise.
        directed_f1: likewise.
        ancestor: share of the ordered pairs of nodes whose effect is adjusted for wrongly, if the graph's ancestors are adjusted
            for; None where `reason` says why.
        oset: the same of the optimal adjustment set.
        parent: the same of the parents.
        sid: structural intervention distance, the same share; of two DAGs only.
        reason: why a distance is None; empty where none is.
    """

    skeleton_distance: int
    cpdag_distance: int
    precision: float
    recall: float
    f1: float
    directed_precision: float
    directed_recall: float
    directed_f1: float
    ancestor: float | None = None
    oset: float | None = None
    parent: float | None = None
    sid: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Changes:
    """Edges of a graph beside a reference, by the names of their nodes; of a directed edge from first to second.

    Args:
        kept: in both, and directed alike or in neither.
        turned: in both, but directed otherwise; as the judged graph has them.
        lost: in the reference only.
        invented: in the judged graph only.
    """

    kept: tuple[Edge, ...] = ()
    turned: tuple[Edge, ...] = ()
    lost: tuple[Edge, ...] = ()
    invented: tuple[Edge, ...] = ()


def changes(of: Graph, to: Graph) -> Changes:
    """Which edges of a reference a graph keeps, turns, loses and invents. Two DAGs are compared as they are, others as `compare` does:
    by their classes.

    Args:
        of: the graph that is judged.
        to: the reference, of the same nodes in any order.

    Raises:
        AttarError: if the nodes differ.

    Example:
        >>> changes(Graph(("a", "b", "c"), (("a", "b"),)), Graph(("a", "b", "c"), (("b", "a"), ("b", "c"))))
        Changes(kept=(), turned=(('a', 'b'),), lost=(('b', 'c'),), invented=())
    """
    of, to = _alike(of.reordered(to.names), to)
    own, reference = ({frozenset(edge): edge for edge in graph.edges} for graph in (of, to))
    same = (set(of.directed) & set(to.directed)) | (set(of.undirected) & set(to.undirected))
    return Changes(
        kept=tuple(edge for edge in of.edges if edge in same),
        turned=tuple(edge for pair, edge in own.items() if pair in reference and edge not in same),
        lost=tuple(edge for pair, edge in reference.items() if pair not in own),
        invented=tuple(edge for pair, edge in own.items() if pair not in reference),
    )


def compare(of: Graph, to: Graph) -> Comparison:
    """Compare a graph with a reference, such as the full data's or the truth.

    Like is compared with like: where one graph is no DAG, directions and adjustment are those of the classes of both. A graph that is
    no DAG and no CPDAG is compared by the class of its extension, and where it has none as it stands; it has no adjustment distances.

    Args:
        of: the graph that is judged.
        to: the reference, of the same nodes in any order.

    Raises:
        AttarError: if the nodes differ.

    Reference:
        Henckel, Würtzen and Weichwald: Adjustment identification distance, UAI 2024; Peters and Bühlmann: Structural intervention
        distance, Neural Computation 2015.
    """
    of = of.reordered(to.names)
    classes = _class(of), _class(to)
    own, reference = ({frozenset(edge) for edge in graph.edges} for graph in (of, to))
    kinds = [
        {frozenset(e): e for e in graph.directed} | {frozenset(e): None for e in graph.undirected} for graph in classes
    ]
    pairs = kinds[0].keys() | kinds[1].keys()
    differ = sum(kinds[0].get(pair, "none") != kinds[1].get(pair, "none") for pair in pairs)
    directed = _alike(of, to)
    found = _adjustment(of, to, directed)
    return Comparison(
        len(own ^ reference),
        differ,
        *_shared(own, reference),
        *_shared(set(directed[0].directed), set(directed[1].directed)),
        **found,
    )


def _alike(of: Graph, to: Graph) -> tuple[Graph, Graph]:
    """Both as DAGs, where they are, or else both as their classes."""
    return (of, to) if of.is_dag and to.is_dag else (_class(of), _class(to))


def _class(graph: Graph) -> Graph:
    try:
        return graph.cpdag()
    except AttarError:
        return graph


def _shared(found: set[Any], true: set[Any]) -> tuple[float, float, float]:
    """Precision, recall and F1; of no edges none is wrong."""
    both = len(found & true)
    precision = both / len(found) if found else 1.0
    recall = both / len(true) if true else 1.0
    return precision, recall, 2 * precision * recall / (precision + recall) if both or not (found or true) else 0.0


def _adjustment(of: Graph, to: Graph, alike: tuple[Graph, Graph]) -> dict[str, Any]:
    """The adjustment distances of both as DAGs or as classes, by their names, or the reason why there are none."""
    for graph, which in ((of, "judged graph"), (to, "reference")):
        if not (graph.is_dag or graph.is_cpdag):
            return {"reason": f"the {which} is neither a DAG nor a CPDAG"}
    if len(to) < 2:
        return {"reason": "a graph of one node has no effects"}
    try:
        import gadjid
    except ImportError:
        return {"reason": "gadjid is not installed: pip install 'attar[causal]'"}
    both, way = (alike[1].matrix().numpy(), alike[0].matrix().numpy()), "from row to column"
    named = {"ancestor": gadjid.ancestor_aid, "oset": gadjid.oset_aid, "parent": gadjid.parent_aid}
    found = {name: distance(*both, edge_direction=way)[0] for name, distance in named.items()}
    if of.is_dag and to.is_dag:
        return found | {"sid": gadjid.sid(*both, edge_direction=way)[0]}
    return found | {"reason": "sid is of two DAGs"}
