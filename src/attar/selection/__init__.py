"""Picking real rows, and the values that synthetic rows start at."""

from attar.selection.initial import INITIALS, Initial, KMeans, Noise, RandomReal, named
from attar.selection.pick import class_centroids, nearest_rows, random_rows

__all__ = [
    "INITIALS",
    "Initial",
    "KMeans",
    "Noise",
    "RandomReal",
    "class_centroids",
    "named",
    "nearest_rows",
    "random_rows",
]
