"""Causal scores as plain text: each measure beside its noise floors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attar.causal import Effect, Graph

if TYPE_CHECKING:
    from attar.causal.graphs import Edge
    from attar.evaluation.causal import CausalScores

__all__ = ["DECISIONS", "STRUCTURE", "described", "is_share"]

STRUCTURE = {
    "skeleton_distance": "edges in one graph only",
    "cpdag_distance": "edges that differ, directions included",
    "f1": "F1 of edges, %",
    "directed_f1": "F1 of directed edges, %",
    "oset": "effects adjusted for wrongly, %",
}
"""What the measures of graphs are called, by fields of `attar.causal.Comparison`."""

DECISIONS = {"equal": "alike, %", "lost": "dependences lost, %", "invented": "dependences invented, %"}
"""What those of decisions on independence are called, by fields of `attar.causal.Agreement`."""


def is_share(measure: str) -> bool:
    """Whether a measure (see `attar.evaluation.conclusions.measured`) is a share, which people read in per cent."""
    return measure.startswith(("graph.", "truth.", "decisions.")) and not measure.endswith("_distance")


def described(scores: CausalScores) -> str:
    """Lines of a table, the edges, the effects and the notes."""
    return "\n".join([*_table(scores), *_edges(scores), *_effects(scores), *(f"Note: {note}" for note in scores.notes)])


def _table(scores: CausalScores) -> list[str]:
    asked = scores.questions
    found: list[tuple[str, list[str]]] = []
    for name, words in (("graph", "the full data's"), ("truth", "the truth")):
        measures = {f"{name}.{key}": label for key, label in STRUCTURE.items()}
        found.append((f"graph by {asked.algorithm}, against {words}", _lines(scores, measures)))
    if scores.decisions is not None:
        count = "" if isinstance(scores.decisions, str) else f"{scores.decisions.tests:,} "
        head = f"{count}decisions by {asked.test} of order up to {asked.order}, p <= {asked.alpha:g}"
        found.append((head, _lines(scores, {f"decisions.{key}": label for key, label in DECISIONS.items()})))
    effects = {effect.label: effect.label for effect in scores.effects}
    found.append(("effects, from the full data's, in its standard errors", _lines(scores, effects)))
    heads = ["these rows", "full data", *(f"{floor.kind} ({floor.samples})" for floor in scores.noise)]
    parts = [(head, [line.split("\t") for line in lines]) for head, lines in found if lines]
    rows = [["", *heads], *(cells for _, lines in parts for cells in lines)]
    widths = [max(len(cells[place]) for cells in rows) for place in range(len(heads) + 1)]

    def aligned(cells: list[str]) -> str:
        right = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "  ".join([cells[0].ljust(widths[0]), *right]).rstrip()

    size = f"{scores.rows:,} rows, read as {scores.size:,.6g}, beside the full data's {scores.full_size:,.6g}"
    return [size, aligned(["", *heads]), *(text for head, lines in parts for text in (head, *map(aligned, lines)))]


def _lines(scores: CausalScores, measures: dict[str, str]) -> list[str]:
    """A line for each measure that somebody has, cells by tabs."""
    found = []
    for name, label in measures.items():
        cells = [_number(name, scores.measures.get(name)), _number(name, scores.full_measures.get(name))]
        for floor in scores.noise:
            std = floor.std(name)
            cells.append(_number(name, floor.mean(name)) + ("" if std is None else f" ± {_number(name, std)}"))
        if set(cells) != {"-"}:
            found.append("\t".join([f"  {label}", *cells]))
    return found


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if is_share(name):
        return f"{100 * value:.1f}"
    return f"{value:.2f}".removesuffix(".00") if name.endswith("_distance") else f"{value:.2f}"


def _edges(scores: CausalScores) -> list[str]:
    edges = scores.edges
    if edges is None or not isinstance(scores.graph, Graph) or scores.full_graph is None:
        return []
    own, full = _arrow(scores.graph), _arrow(scores.full_graph)
    told = (("kept", edges.kept, own), ("turned", edges.turned, own), ("lost", edges.lost, full))
    both = (*told, ("invented", edges.invented, own))
    return [f"{word}: {', '.join(map(arrow, found))}" for word, found, arrow in both if found]


def _arrow(graph: Graph) -> Callable[[Edge], str]:
    """How an edge of a graph, or of its class, is written."""
    known = set(graph.directed)

    def write(edge: Edge) -> str:
        start, end = edge[::-1] if edge[::-1] in known else edge
        return f"{start} {'->' if (start, end) in known else '-'} {end}"

    return write


def _effects(scores: CausalScores) -> list[str]:
    return [
        f"{effect.label}{', ' + effect.unit if effect.words else ''}: {_estimate(effect.of)}; full data {_estimate(effect.full)}"
        + ("" if effect.difference is None else f"; difference {effect.difference:+.4g}")
        for effect in scores.effects
    ]


def _estimate(found: Effect | str) -> str:
    return "none" if isinstance(found, str) else f"{found.estimate:.4g} [{found.low:.4g}, {found.high:.4g}]"
