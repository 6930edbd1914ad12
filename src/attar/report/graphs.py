"""Causal graphs side by side: what one keeps, loses and invents of another, drawn at the same places."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from attar import causal
from attar.causal import Graph
from attar.causal.graphs import Edge
from attar.report.layers import ROW, Layout, Place, downward, layered
from attar.report.render import template
from attar.report.words import listed

__all__ = ["Change", "Drawing", "changes", "counts_sentence", "drawing", "graphs_side_by_side"]

KINDS = {"kept": "kept", "turned": "directed otherwise", "lost": "lost", "invented": "invented"}
"""What can become of an edge (see `attar.causal.changes`), in the order of the legend, and how it is told."""

LETTER = 13.0  # font size of a node's name, as in causal.css
LONGEST = 150.0  # width of a node; a name that needs more is cut, and told in full to whoever points at it
ROOMS = {
    2: (470.0, 400.0, 330.0, 260.0),
    3: (330.0, 260.0, 200.0),
}  # widths of a layer, by how many pictures stand side by side
FITS = {2: 590.0, 3: 390.0}  # width of a picture that can be read in its share of a page
TALLEST = 1000.0  # higher pictures stand two in a row, not three
MOST = 60  # nodes that are drawn; of more, edges are only listed
HEAD = 8.0  # length of an arrow's head
ONCE = 25  # edges that a description names


@dataclass(frozen=True)
class Change:
    """What became of an edge.

    Args:
        edge: its nodes; from the first to the second where it is directed.
        directed: whether it is.
        kind: "kept", "turned" (there, but directed otherwise), "lost" or "invented".
        was: of a turned edge what it is in the reference, in words.
    """

    edge: Edge
    directed: bool
    kind: str
    was: str = ""

    @property
    def text(self) -> str:
        """The edge in words, "smoke → cancer" or "smoke — cancer"."""
        return edge_text(self.edge, self.directed)


@dataclass(frozen=True)
class Node:
    """A node in a picture: `text` is its name, cut where it is long."""

    name: str
    text: str
    x: float
    y: float
    left: float
    top: float
    width: float


@dataclass(frozen=True)
class Stroke:
    """An edge in a picture: SVG paths of its line and of its head, which is empty where it has none."""

    kind: str
    text: str
    line: str
    head: str


@dataclass(frozen=True)
class Drawing:
    """A picture of one graph.

    Args:
        title: whose graph it is.
        caption: what became of the reference's edges, in a sentence.
        description: the caption and the edges, in words.
        width: of the picture.
        height: of the picture.
        nodes: in their order.
        strokes: those that are kept first, so that others lie over them.
    """

    title: str
    caption: str
    description: str
    width: float
    height: float
    nodes: tuple[Node, ...]
    strokes: tuple[Stroke, ...]


def graphs_side_by_side(
    full: Graph,
    of: Graph,
    truth: Graph | None = None,
    *,
    names: tuple[str, str] = ("the full data", "the distilled rows"),
    identifier: str = "graphs",
) -> str:
    """Pictures of two or three graphs with every node and every edge in the same place, and a table of the edges that differ.

    The distilled rows' graph is marked against the full data's, and that against the truth, where it is given.

    Args:
        full: the full data's graph.
        of: the distilled rows'.
        truth: the true one.
        names: whose graphs the first two are.
        identifier: of this part in the page's document; another one for every part.

    Returns:
        HTML, to stand in a page that has causal.css; every text in it is escaped.

    Raises:
        AttarError: if the graphs are of other nodes.
    """
    of = of.reordered(full.names)
    truth = None if truth is None else truth.reordered(full.names)
    pairs = [(names[0], full, truth, "the truth"), (names[1], of, full, names[0])]
    if truth is not None:
        pairs.insert(0, ("the truth", truth, None, ""))
    layout = _layout(full, of, truth) if 0 < len(full) <= MOST else None
    pictures = [drawing(graph, reference, title, against, layout) for title, graph, reference, against in pairs]
    differ = [change for change in changes(of, full) if change.kind != "kept"]
    true = None if truth is None else {frozenset(edge) for edge in truth.edges}
    return template("graphs.html").render(
        identifier=identifier,
        pictures=pictures,
        drawn=layout is not None,
        across=round(layout.width) if layout else 0,
        kinds=KINDS,
        present={stroke.kind for picture in pictures for stroke in picture.strokes},
        nodes=len(full),
        most=MOST,
        sentence=counts_sentence(of, full, *reversed(names)),
        differ=[
            (change, KINDS[change.kind], None if true is None else "yes" if frozenset(change.edge) in true else "no")
            for change in sorted(differ, key=lambda change: ("lost", "invented", "turned").index(change.kind))
        ],
        truth=truth is not None,
        names=names,
        head=HEAD,
    )


def changes(of: Graph, to: Graph) -> list[Change]:
    """What became of each edge of two graphs: those of the judged one as it has them, then those that it lost.

    Args:
        of: the graph that is judged.
        to: the reference, of the same nodes in any order.

    Raises:
        AttarError: if the nodes differ.
    """
    of = of.reordered(to.names)
    kinds = {frozenset(edge): kind for kind, edges in vars(causal.changes(of, to)).items() for edge in edges}
    before = {frozenset(edge): edge_text(edge, edge in to.directed) for edge in to.edges}
    found = []
    for graph, gone in ((of, False), (to, True)):
        for edge in graph.edges:
            kind = kinds[frozenset(edge)]
            if (kind == "lost") == gone:
                text = edge_text(edge, edge in graph.directed)
                was = before[frozenset(edge)] if kind == "turned" else ""
                found.append(Change(edge, edge in graph.directed, kind, was if was != text else ""))
    return found


def counts_sentence(of: Graph, to: Graph, own: str, theirs: str) -> str:
    """How many edges are kept, lost and invented, in a sentence.

    Args:
        of: the graph that is judged.
        to: the reference, of the same nodes.
        own: whose graph is judged, e.g. "distilled rows".
        theirs: whose graph is the reference.
    """
    counts = _counts(changes(of, to))
    known = counts["kept"] + counts["turned"] + counts["lost"]
    if not known:
        return f"The graph of {theirs} has no edges; that of {own} {_invents(counts['invented'])}."
    edges = "the one edge" if known == 1 else f"the {known:,} edges"
    otherwise = f" (directs {counts['turned']:,} of them otherwise)" if counts["turned"] else ""
    return (
        f"Of {edges} in the graph of {theirs}, that of {own} keeps {counts['kept'] + counts['turned']:,}{otherwise} and loses "
        f"{counts['lost']:,}, and it {_invents(counts['invented'])}."
    )


def drawing(graph: Graph, reference: Graph | None, title: str, against: str, layout: Layout | None) -> Drawing:
    """The picture of a graph.

    Args:
        graph: what is drawn.
        reference: what it is marked against, of the same nodes in the same order; None where it is marked against nothing.
        title: whose graph it is.
        against: what the reference is, in words.
        layout: where nodes and edges lie; None where they are not drawn.
    """
    found = changes(graph, reference or graph)
    counts = _counts(found)
    if reference is None:
        caption = f"{len(graph.edges):,} edge{'' if len(graph.edges) == 1 else 's'}"
    else:
        told = [f"{counts[kind]:,} {word}" for kind, word in KINDS.items() if counts[kind] or kind != "turned"]
        alike = "" if graph.is_dag and reference.is_dag else ", directions by equivalence class"
        caption = f"against {against}{alike}: {listed(told)}"
    named = [
        f"{word}: {'; '.join([*edges[:ONCE], *([f'{len(edges) - ONCE:,} more'] if len(edges) > ONCE else [])])}"
        for kind, word in KINDS.items()
        if (edges := [change.text for change in found if change.kind == kind])
    ]
    described = ". ".join([f"The graph of {title}, {caption}", *named]) + "."
    if layout is None:
        return Drawing(title, caption, described, 0, 0, (), ())
    place = {name: at for at, name in enumerate(graph.names)}
    nodes = []
    for name, (x, y) in zip(graph.names, layout.nodes, strict=True):
        width = _width(name)
        nodes.append(Node(name, _cut(name), *map(_near, (x, y, x - width / 2, y - ROW / 2, width))))
    order = list(KINDS)
    strokes = [_stroke(change, place, layout) for change in sorted(found, key=lambda c: order.index(c.kind))]
    size = _near(layout.width), _near(layout.height)
    return Drawing(title, caption, described, *size, tuple(nodes), tuple(strokes))


def edge_text(edge: Edge, directed: bool) -> str:
    """An edge in words, "smoke → cancer" or "smoke — cancer"."""
    return f"{edge[0]} {'→' if directed else '—'} {edge[1]}"


def _counts(found: Sequence[Change]) -> dict[str, int]:
    return {kind: sum(change.kind == kind for change in found) for kind in KINDS}


def _invents(count: int) -> str:
    return "invents none" if not count else f"invents {count:,}"


def _layout(full: Graph, of: Graph, truth: Graph | None) -> Layout:
    """Places of the nodes and of all edges of all graphs, as the full data's graph directs them, then the truth, then the other."""
    place = {name: at for at, name in enumerate(full.names)}
    graphs = [graph for graph in (full, truth, of) if graph is not None]
    wishes = [edge for graph in graphs for edge in graph.directed] + [e for graph in graphs for e in graph.undirected]
    edges = downward(len(full), [(place[start], place[end]) for start, end in wishes])
    widths = [_width(name) for name in full.names]
    for beside in (2,) if truth is None else (3, 2):
        tried = []
        for room in ROOMS[beside]:  # the widest that fits is the lowest one
            tried.append(layered(widths, edges, room))
            if tried[-1].width <= FITS[beside]:
                break
        found = min(tried, key=lambda layout: layout.width)
        if found.width <= FITS[beside] and found.height <= TALLEST:
            break
    return found


def _stroke(change: Change, place: dict[str, int], layout: Layout) -> Stroke:
    """An edge along its route, which leads down, with its head at the end that it points to."""
    start, end = (place[name] for name in change.edge)
    down = (start, end) in layout.routes
    way = list(layout.routes[(start, end) if down else (end, start)])
    head = ""
    if change.directed:
        tip, back = (way[-1], -HEAD) if down else (way[0], HEAD)
        head = _path([tip, (tip[0] - HEAD / 2, tip[1] + back), (tip[0] + HEAD / 2, tip[1] + back)]) + "Z"
        way[-1 if down else 0] = (tip[0], tip[1] + 0.8 * back)  # the line ends within the head
    line = f"M{_at(way[0])}"
    for at in range(1, len(way)):
        if at % 2 == 0:
            line += f"L{_at(way[at])}"
            continue
        (x, y), (to_x, to_y) = way[at - 1], way[at]
        middle = (y + to_y) / 2
        line += f"C{_at((x, middle))} {_at((to_x, middle))} {_at((to_x, to_y))}"
    return Stroke(change.kind, f"{change.text}, {KINDS[change.kind]}", line, head)


def _path(places: Sequence[Place]) -> str:
    return "M" + "L".join(map(_at, places))


def _at(place: Place) -> str:
    return f"{place[0]:.1f} {place[1]:.1f}"


def _near(value: float) -> float:
    return round(value, 1)


def _letter(letter: str) -> float:
    """A guess at how wide a letter is, rather too much: the font is the reader's own."""
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return LETTER
    share = (
        0.34 if letter in "ijlI.,:;|!'()[]/ t" else 0.95 if letter in "mwMW@%" else 0.72 if letter.isupper() else 0.6
    )
    return share * LETTER


def _width(name: str) -> float:
    """How wide a node is."""
    return min(max(sum(map(_letter, name)) + 16, 40.0), LONGEST)


def _cut(name: str) -> str:
    """A name, or as much of it as fits into a node."""
    if sum(map(_letter, name)) + 16 <= LONGEST:
        return name
    kept = name
    while sum(map(_letter, kept)) + LETTER + 16 > LONGEST:
        kept = kept[:-1]
    return kept.rstrip() + "…"
