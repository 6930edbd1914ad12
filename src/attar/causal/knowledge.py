"""What is known of a graph before any data: edges that must be there, and edges that cannot be."""

from __future__ import annotations

from dataclasses import dataclass

from attar.causal.graphs import Edge, Graph
from attar.errors import AttarError

__all__ = ["Knowledge"]


@dataclass(frozen=True)
class Knowledge:
    """Edges that a discovered graph must have or cannot have.

    Args:
        required: edges (from, to), without cycles.
        forbidden: edges (from, to); both directions are forbidden one by one.

    Raises:
        AttarError: if required edges close a cycle, or an edge is both.
    """

    required: tuple[Edge, ...] = ()
    forbidden: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        for name in ("required", "forbidden"):
            object.__setattr__(self, name, tuple((start, end) for start, end in getattr(self, name)))
        both = set(self.required) & set(self.forbidden)
        if both:
            start, end = min(both)
            raise AttarError(f"The edge {start} -> {end} is required and forbidden: leave it out of one.")
        Graph.dag(tuple(dict.fromkeys(name for edge in self.required for name in edge)), self.required)

    def __bool__(self) -> bool:
        return bool(self.required or self.forbidden)

    def check(self, names: tuple[str, ...]) -> None:
        """Refuse edges of nodes that are not there.

        Raises:
            AttarError: if there are any.
        """
        for start, end in (*self.required, *self.forbidden):
            for name in (start, end):
                if name not in names:
                    raise AttarError(f"What is known names a node '{name}' that is not among {', '.join(names)}.")
