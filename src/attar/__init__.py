"""attar turns a dataset into a tiny one that trains as well, and proves it."""

from __future__ import annotations

from attar import (
    augment,
    batches,
    data,
    distances,
    experts,
    methods,
    models,
    objectives,
    recipes,
    selection,
    surrogates,
    synthetic,
)
from attar.compare import compare
from attar.distilled import Distilled
from attar.errors import AttarError
from attar.evaluation import Protocol, evaluate
from attar.jobs import distill, resume
from attar.matching import Matching
from attar.method import run
from attar.plan import Plan
from attar.types import Budget, Problem

__all__ = [
    "AttarError",
    "Budget",
    "Distilled",
    "Matching",
    "Plan",
    "Problem",
    "Protocol",
    "augment",
    "batches",
    "compare",
    "data",
    "distances",
    "distill",
    "evaluate",
    "experts",
    "methods",
    "models",
    "objectives",
    "recipes",
    "resume",
    "run",
    "selection",
    "surrogates",
    "synthetic",
]
