"""Directions of edges: cycles, equivalence classes and extensions, on nodes 0, 1, ... and pairs of them."""

from __future__ import annotations

from itertools import combinations

__all__ = ["Pair", "consistent_extension", "cycle", "equivalence_class"]

Pair = tuple[int, int]


def cycle(count: int, directed: set[Pair]) -> list[int] | None:
    """The nodes of a directed cycle, its first one again at its end; None where there is none."""
    children: dict[int, list[int]] = {node: [] for node in range(count)}
    for start, end in sorted(directed):
        children[start].append(end)
    finished: set[int] = set()
    for root in range(count):
        path, waiting = [root], [iter(children[root])]
        while path and root not in finished:
            child = next(waiting[-1], None)
            if child is None:
                finished.add(path.pop())
                waiting.pop()
            elif child in path:
                return [*path[path.index(child) :], child]
            elif child not in finished:
                path.append(child)
                waiting.append(iter(children[child]))
    return None


def equivalence_class(count: int, dag: set[Pair]) -> tuple[set[Pair], set[Pair]]:
    """Which edges of a DAG every DAG with the same independences directs alike, and which not.

    Unshielded colliders are directed, and what follows from them by Meek's first three rules; without knowledge beside the
    colliders the fourth never applies.

    Returns:
        Directed pairs (from, to), and undirected ones (smaller, larger).
    """
    adjacent = _adjacent(count, dag, set())
    directed: set[Pair] = set()
    for node in range(count):
        parents = [start for start, end in dag if end == node]
        for first, second in combinations(parents, 2):
            if second not in adjacent[first]:
                directed |= {(first, node), (second, node)}
    waiting = True
    while waiting:
        undecided = sorted(dag - directed)  # a rule never directs an edge against the DAG
        found = {edge for edge in undecided if _follows(*edge, directed, adjacent)}
        directed |= found
        waiting = bool(found)
    return directed, {(min(edge), max(edge)) for edge in dag - directed}


def _follows(start: int, end: int, directed: set[Pair], adjacent: list[set[int]]) -> bool:
    """Whether start -> end follows from other directed edges: the other way would make a new collider or a cycle."""
    if any((other, start) in directed and other not in adjacent[end] for other in adjacent[start] - {end}):
        return True
    between = adjacent[start] & adjacent[end]
    if any((start, other) in directed and (other, end) in directed for other in between):
        return True
    into = [
        other
        for other in sorted(between)
        if (other, end) in directed and (start, other) not in directed and (other, start) not in directed
    ]
    return any(second not in adjacent[first] for first, second in combinations(into, 2))


def consistent_extension(count: int, directed: set[Pair], undirected: set[Pair]) -> set[Pair] | None:
    """A DAG of the same skeleton and colliders that keeps the directed edges; None where there is none.

    Node by node a sink is taken out: one without an edge that leaves it, whose undirected neighbours are adjacent to all that are
    adjacent to it; its undirected edges are directed to it. The largest such node is taken, so that the result is the same each
    time and, where it may be, runs from smaller nodes to larger ones.
    """
    adjacent = _adjacent(count, directed, undirected)
    loose = _adjacent(count, set(), undirected)
    leaving: list[set[int]] = [set() for _ in range(count)]
    for start, end in directed:
        leaving[start].add(end)
    left, found = set(range(count)), set(directed)
    while left:
        for node in sorted(left, reverse=True):
            around = adjacent[node] & left
            if not leaving[node] & left and all(around - {other} <= adjacent[other] for other in loose[node] & left):
                break
        else:
            return None
        found |= {(other, node) for other in loose[node] & left}
        left.remove(node)
    return found


def _adjacent(count: int, directed: set[Pair], undirected: set[Pair]) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in range(count)]
    for first, second in directed | undirected:
        found[first].add(second)
        found[second].add(first)
    return found
