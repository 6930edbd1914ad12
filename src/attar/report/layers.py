"""Where the nodes and edges of a graph lie: nodes in layers, edges downward between them, few of them crossing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from attar.causal.orientation import Pair

__all__ = ["ROW", "Layout", "Place", "downward", "layered"]

ROW = 28.0  # height of a node, in units of the picture, which are pixels where it is not shrunk
MARGIN = 2.0
BESIDE = 18.0  # between two nodes
SWEEPS = 24

Place = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """A picture without its strokes.

    Args:
        width: of the picture.
        height: of the picture.
        nodes: the middle of each node.
        routes: of each edge (upper, lower) the places that it runs through, from the lower side of one node to the upper side of the
            other, in pairs: between the two of a pair lies a gap between layers, between pairs a layer, which it crosses vertically.
    """

    width: float
    height: float
    nodes: tuple[Place, ...]
    routes: dict[Pair, tuple[Place, ...]]


def downward(count: int, wishes: Sequence[Pair]) -> list[Pair]:
    """Edges (upper, lower) without a cycle: each pair of nodes as it is wished for first, or the other way where that closes one.

    Args:
        count: of nodes 0, 1, ...
        wishes: edges (upper, lower), the most important first.
    """
    below = [1 << node for node in range(count)]  # what each node reaches, itself included, as bits
    kept: list[Pair] = []
    seen: set[Pair] = set()
    for start, end in wishes:
        pair = (min(start, end), max(start, end))
        if pair in seen:
            continue
        seen.add(pair)
        upper, lower = (end, start) if below[end] >> start & 1 else (start, end)
        kept.append((upper, lower))
        below = [found | below[lower] if found >> upper & 1 else found for found in below]
    return kept


def layered(widths: Sequence[float], edges: Sequence[Pair], room: float) -> Layout:
    """Place nodes in layers, with edges downward, and few crossings.

    Args:
        widths: of the nodes.
        edges: (upper, lower), without a cycle.
        room: width that the picture should have at most; it has more where one node does, or edges run beside many layers.

    Reference:
        Sugiyama, Tagawa and Toda: Methods for visual understanding of hierarchical system structures, 1981 (barycentres); Coffman and
        Graham: Optimal scheduling for two-processor systems, 1972 (layers of limited width).
    """
    layers = _layers(widths, edges, room)
    sizes, rows, chains = _with_bends(widths, edges, layers)
    links = [link for chain in chains.values() for link in pairwise(chain)]
    rows = _untangled(rows, links)
    across, width = _across(rows, links, sizes, len(widths), room)
    tops = _tops(rows, links, across)
    level = {item: place for place, row in enumerate(rows) for item in row}
    ports = _ports(chains, across, widths)
    routes = {}
    for edge, chain in chains.items():
        leaves, enters = ports[edge]
        way: list[Place] = [(leaves, tops[level[chain[0]]] + ROW)]
        for bend in chain[1:-1]:
            way += [(across[bend], tops[level[bend]]), (across[bend], tops[level[bend]] + ROW)]
        routes[edge] = (*way, (enters, tops[level[chain[-1]]]))
    nodes = tuple((across[node], tops[level[node]] + ROW / 2) for node in range(len(widths)))
    height = tops[-1] + ROW + MARGIN if tops else 0.0
    return Layout(width, height, nodes, routes)


def _layers(widths: Sequence[float], edges: Sequence[Pair], room: float) -> list[list[int]]:
    """Nodes by layer: those with the longest way down first, as many as there is room for; nodes without edges come last."""
    count = len(widths)
    parents, children = _ends(count, edges)
    depth = [0] * count
    for node in reversed(_ordered(parents)):
        depth[node] = max((depth[child] + 1 for child in children[node]), default=0)
    layers: list[list[int]] = []
    waiting = sorted((node for node in range(count) if parents[node] or children[node]), key=lambda n: (-depth[n], n))
    placed: dict[int, int] = {}
    while waiting:
        layer: list[int] = []
        for node in waiting:
            if all(placed.get(parent, len(layers)) < len(layers) for parent in parents[node]) and (
                not layer or _taken([*layer, node], widths) <= room
            ):
                layer.append(node)
        placed |= dict.fromkeys(layer, len(layers))
        layers.append(layer)
        waiting = [node for node in waiting if node not in placed]
    for node in sorted(placed, key=lambda n: (-placed[n], n)):  # nearer to its children, where those are more
        if len(children[node]) > len(parents[node]):
            lowest = min(placed[child] for child in children[node])
            for place in range(lowest - 1, placed[node], -1):
                if _taken([*layers[place], node], widths) <= room:
                    layers[placed[node]].remove(node)
                    layers[place].append(node)
                    placed[node] = place
                    break
    layers = [layer for layer in layers if layer]
    alone = [node for node in range(count) if node not in placed]
    while alone:
        fitting = 1
        while fitting < len(alone) and _taken(alone[: fitting + 1], widths) <= room:
            fitting += 1
        layers.append(alone[:fitting])
        alone = alone[fitting:]
    return layers


def _ends(count: int, links: Sequence[Pair]) -> tuple[list[list[int]], list[list[int]]]:
    """What lies above and below each item."""
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for upper, lower in links:
        above[lower].append(upper)
        below[upper].append(lower)
    return above, below


def _ordered(parents: Sequence[Sequence[int]]) -> list[int]:
    """Nodes, parents before children."""
    found: list[int] = []
    while len(found) < len(parents):
        found += [n for n in range(len(parents)) if n not in found and set(parents[n]) <= set(found)]
    return found


def _gap(first_is_bend: bool, second_is_bend: bool) -> float:
    return 10.0 if first_is_bend or second_is_bend else BESIDE


def _taken(layer: Sequence[int], widths: Sequence[float]) -> float:
    return sum(widths[node] for node in layer) + BESIDE * (len(layer) - 1) + 2 * MARGIN


def _with_bends(
    widths: Sequence[float], edges: Sequence[Pair], layers: list[list[int]]
) -> tuple[list[float], list[list[int]], dict[Pair, list[int]]]:
    """Widths, layers and edges as chains, with an item without width wherever an edge crosses a layer."""
    sizes, rows = list(widths), [list(layer) for layer in layers]
    level = {node: place for place, layer in enumerate(layers) for node in layer}
    chains = {}
    for upper, lower in edges:
        bends = range(level[upper] + 1, level[lower])
        chains[upper, lower] = [upper, *range(len(sizes), len(sizes) + len(bends)), lower]
        for place in bends:
            rows[place].append(len(sizes))
            sizes.append(0.0)
    return sizes, rows, chains


def _untangled(rows: list[list[int]], links: Sequence[Pair]) -> list[list[int]]:
    """Layers with few crossings: each ordered by the barycentre of its neighbours, down and up; the best order seen is kept."""
    above, below = _ends(1 + max((item for row in rows for item in row), default=-1), links)
    best, fewest = rows, _crossings(rows, below)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        beside, order = (above, 1) if sweep % 2 == 0 else (below, -1)
        rows = [list(row) for row in rows]
        for row in rows[::order]:
            place = {item: at for other in rows for at, item in enumerate(other)}
            mean = {item: fmean([place[one] for one in beside[item]] or [place[item]]) for item in row}
            row.sort(key=mean.__getitem__)
        rows = _swapped(rows, above, below)
        count = _crossings(rows, below)
        if count < fewest:
            best, fewest = rows, count
    return best


def _swapped(rows: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """Neighbours in a layer change places wherever fewer edges cross then."""
    rows = [list(row) for row in rows]
    for row in rows:
        place = {item: at for other in rows for at, item in enumerate(other)}
        for at in range(len(row) - 1):
            left, right = row[at], row[at + 1]
            now = then = 0
            for beside in (above, below):
                pairs = [(place[one], place[two]) for one in beside[left] for two in beside[right]]
                now += sum(one > two for one, two in pairs)
                then += sum(one < two for one, two in pairs)
            if then < now:
                row[at], row[at + 1] = right, left
    return rows


def _crossings(rows: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    place = {item: at for row in rows for at, item in enumerate(row)}
    count = 0
    for row in rows:
        ends = [place[one] for item in row for one in sorted(below[item], key=place.__getitem__)]
        count += sum(first > second for at, first in enumerate(ends) for second in ends[at + 1 :])
    return count


def _across(
    rows: Sequence[Sequence[int]], links: Sequence[Pair], sizes: Sequence[float], nodes: int, room: float
) -> tuple[list[float], float]:
    """The horizontal middle of each item, near to its neighbours', and the width of the picture."""
    above, below = _ends(len(sizes), links)
    steps = [
        [
            (sizes[a] + sizes[b]) / 2 + _gap(a >= nodes, b >= nodes)
            for a, b in pairwise(row)
        ]
        for row in rows
    ]  # fmt: skip
    taken = [sum(step) + (sizes[row[0]] + sizes[row[-1]]) / 2 for step, row in zip(steps, rows, strict=True)]
    width = max([room - 2 * MARGIN, *taken])
    across = [width / 2] * len(sizes)
    for sweep in range(SWEEPS):
        last = sweep >= SWEEPS - 2  # at the end both sides count
        order = range(len(rows)) if sweep % 2 == 0 else range(len(rows) - 1, -1, -1)
        for place in order:
            row = rows[place]
            wished, weights = [], []
            for item in row:
                beside = above[item] + below[item] if last else (above if sweep % 2 == 0 else below)[item]
                bend = item >= nodes
                wished.append(fmean([across[one] for one in beside] or [across[item]]))
                weights.append(4.0 if bend and any(one >= nodes for one in beside) else 1.0)
            ends = sizes[row[0]] / 2, width - sizes[row[-1]] / 2
            for item, x in zip(row, _apart(wished, steps[place], weights, *ends), strict=True):
                across[item] = x
    left = min((across[item] - sizes[item] / 2 for item in range(len(sizes))), default=0.0)
    right = max((across[item] + sizes[item] / 2 for item in range(len(sizes))), default=0.0)
    return [x - left + MARGIN for x in across], right - left + 2 * MARGIN


def _apart(
    wished: Sequence[float], steps: Sequence[float], weights: Sequence[float], low: float, high: float
) -> list[float]:
    """The places nearest to those wished for, in the sense of least squares, that lie at least `steps` apart and within the ends."""
    shifts = [sum(steps[:at]) for at in range(len(wished))]
    pools: list[tuple[float, float, int]] = []  # mean, weight, count: pooled until they ascend
    for x, shift, weight in zip(wished, shifts, weights, strict=True):
        pools.append((x - shift, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, first, some), (b, second, more) = pools[-2], pools[-1]
            pools[-2:] = [((a * first + b * second) / (first + second), first + second, some + more)]
    flat = [min(max(mean, low), high - shifts[-1]) for mean, _, count in pools for _ in range(count)]
    return [x + shift for x, shift in zip(flat, shifts, strict=True)]


def _tops(rows: Sequence[Sequence[int]], links: Sequence[Pair], across: Sequence[float]) -> list[float]:
    """The upper side of each layer; the farther an edge runs sideways, the larger the gap that it does that in."""
    level = {item: place for place, row in enumerate(rows) for item in row}
    sideways = [0.0] * len(rows)
    for upper, lower in links:
        sideways[level[upper]] = max(sideways[level[upper]], abs(across[upper] - across[lower]))
    linked = {level[upper] for upper, _ in links}
    tops = [MARGIN]
    for place in range(len(rows) - 1):
        gap = 34 + min(0.14 * sideways[place], 36) if place in linked else 14
        tops.append(tops[-1] + ROW + gap)
    return tops if rows else []


def _ports(
    chains: dict[Pair, list[int]], across: Sequence[float], widths: Sequence[float]
) -> dict[Pair, tuple[float, float]]:
    """Where each edge leaves its upper node and enters its lower one: side by side, in the order of where they come from."""
    found: dict[Pair, list[float]] = {edge: [0.0, 0.0] for edge in chains}
    for node, width in enumerate(widths):
        for side in (0, 1):
            mine = [edge for edge in chains if edge[side] == node]
            mine.sort(key=lambda edge: across[chains[edge][-2 if side else 1]])
            step = min(13.0, 0.76 * width / max(len(mine) - 1, 1))
            for at, edge in enumerate(mine):
                found[edge][side] = across[node] + step * (at - (len(mine) - 1) / 2)
    return {edge: (leaves, enters) for edge, (leaves, enters) in found.items()}
