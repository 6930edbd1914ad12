"""Choosing real rows: scores, rules and what is asked of a choice. And the values that synthetic rows start at.

A choice is a `Coreset`: a rule (by where rows lie, by how hard they are, by their gradients, at random) and what is asked
of it (within classes or among all, rows that must stay, quotas, weights, near-duplicates left out). Odds say which real rows a
step of a method sees more of. The functions that do the
choosing take a matrix of rows ``(n, d)`` and know nothing of problems: `geometry`, `submodular`, `gradients`, `clusters`.
"""

from attar.selection.classified import RightlyClassified
from attar.selection.clusters import class_centroids
from attar.selection.coreset import Choice, Coreset
from attar.selection.initial import INITIALS, Herding, Initial, InitialName, KMeans, Noise, RandomReal, Smoothed, named
from attar.selection.odds import AttributeUse, Balanced, Rare, drawn_by
from attar.selection.picked import Picked
from attar.selection.random_rows import random_rows
from attar.selection.rules import AtRandom, ByDifficulty, ByFeatures, ByGradients, Rule

__all__ = [
    "INITIALS",
    "AtRandom",
    "AttributeUse",
    "Balanced",
    "ByDifficulty",
    "ByFeatures",
    "ByGradients",
    "Choice",
    "Coreset",
    "Herding",
    "Initial",
    "InitialName",
    "KMeans",
    "Noise",
    "Picked",
    "RandomReal",
    "Rare",
    "RightlyClassified",
    "Rule",
    "Smoothed",
    "class_centroids",
    "drawn_by",
    "named",
    "random_rows",
]
