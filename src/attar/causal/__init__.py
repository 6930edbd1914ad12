"""Causal structure of tables: independence, discovery of graphs, their distances, and effects, on real and distilled rows alike.

Four verbs, each on an `attar.tables.Table`, whose shares and sample size they read: `independence` (with `agreement` of two tables'
decisions), `discover`, `compare` and `effect`. `effect_rows` makes the few rows that keep the last.
"""

from attar.causal.comparison import Changes, Comparison, changes, compare
from attar.causal.decisions import Agreement, Decisions, agreement
from attar.causal.discovery import Discovery, discover
from attar.causal.effects import Effect, effect
from attar.causal.graphs import Graph
from attar.causal.independence import independence, independent
from attar.causal.knowledge import Knowledge
from attar.causal.preserving import EffectGap, effect_rows

__all__ = [
    "Agreement",
    "Changes",
    "Comparison",
    "Decisions",
    "Discovery",
    "Effect",
    "EffectGap",
    "Graph",
    "Knowledge",
    "agreement",
    "changes",
    "compare",
    "discover",
    "effect",
    "effect_rows",
    "independence",
    "independent",
]
