"""Causal structure of tables: independence, discovery of graphs, their distances, and effects, on real and distilled rows alike.

Four verbs, each on an `attar.tables.Table`, whose shares and sample size they read: `independence` (with `agreement` of two tables'
decisions), `discover`, `compare` and `effect`.
"""

from attar.causal.comparison import Comparison, compare
from attar.causal.decisions import Agreement, Decisions, agreement
from attar.causal.discovery import Discovery, discover
from attar.causal.effects import Effect, effect
from attar.causal.graphs import Graph
from attar.causal.independence import independence, independent
from attar.causal.knowledge import Knowledge

__all__ = [
    "Agreement",
    "Comparison",
    "Decisions",
    "Discovery",
    "Effect",
    "Graph",
    "Knowledge",
    "agreement",
    "compare",
    "discover",
    "effect",
    "independence",
    "independent",
]
