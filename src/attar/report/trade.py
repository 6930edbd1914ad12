"""The trade-off of a comparison on a table: prediction against kept decisions on independence, along a method's weight."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from pathlib import Path

from attar.compare.study import RANDOM
from attar.data import table_of
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.errors import AttarError
from attar.evaluation.causal import CausalReference
from attar.evaluation.conclusions import Questions
from attar.evaluation.scores import spread
from attar.report.comparison import Table
from attar.report.effects import trade_off
from attar.report.sets import reopened
from attar.runs import RunDirectory

__all__ = ["trade_offs"]

BOOTSTRAPS = 3
MOST_TESTS = 1_000  # of each order
_WEIGHT = re.compile(r"(?P<method>[^+]+)(\+.*)?\+weight=(?P<weight>[0-9.e-]+)")


def trade_offs(folder: Path, table: Table) -> list[tuple[int, str]]:
    """For each budget with sets of one method at several weights ("causal+weight=0.1") the curve as HTML; none on other data, or
    where the data cannot be found again.

    Every set's decisions of order up to 2 are compared with those of all training rows, and so are random rows' and a few bootstraps';
    rows are read at the size that they stand for.
    """
    weights = {name: match for name in table.methods if (match := _WEIGHT.fullmatch(name))}
    if len({match["weight"] for match in weights.values()}) < 2:
        return []
    judged: dict[tuple[str, int], list[float]] = {}
    reference: CausalReference | None = None
    for method, budget, path in _sets(folder, [*weights, RANDOM], table.budgets):
        try:
            value = Distilled.load(path)
            if not isinstance(value, DistilledTable):
                return []
            if reference is None:
                reference = _reference(path)
            kept = reference.judge(value.data).measures.get("decisions.equal")
        except AttarError:
            continue  # not finished, or of rows that the test does not read
        if kept is not None:
            judged.setdefault((method, budget), []).append(kept)
    if reference is None:
        return []
    floor = next((found.mean("decisions.equal") for found in reference.noise), None)
    return [
        (budget, drawn)
        for budget in table.budgets
        if (drawn := _curve(table, budget, {m: float(match["weight"]) for m, match in weights.items()}, judged, floor))
    ]


def _curve(
    table: Table,
    budget: int,
    weights: dict[str, float],
    judged: dict[tuple[str, int], list[float]],
    floor: float | None,
) -> str:
    """The curve of one budget, by the leading model."""
    scores = {
        line.method: line
        for line in table.lines
        if line.model == table.leading and line.per_class == budget and line.mean
    }
    points = []
    for method, weight in weights.items():
        kept, line = judged.get((method, budget)), scores.get(method)
        if kept and line is not None and line.mean is not None:
            means = {"kept": statistics.fmean(kept), "score": line.mean}
            points.append({"weight": weight, **means, "kept_std": spread(kept), "score_std": line.std})
    if len(points) < 2:
        return ""
    full, random = table.full(table.leading), judged.get((RANDOM, budget))
    beside = scores.get(RANDOM)
    drawn = (
        (statistics.fmean(random), beside.mean) if random and beside is not None and beside.mean is not None else None
    )
    return trade_off(
        points,
        full=full.mean if full is not None else None,
        random=drawn,
        bootstrap=floor,
        metric=f"the score of {table.leading}",
        identifier=f"trade-{budget}",
    )


def _sets(folder: Path, methods: list[str], budgets: tuple[int, ...] | list[int]) -> Iterator[tuple[str, int, Path]]:
    """Every set of these methods and budgets."""
    for budget in budgets:
        for method in methods:
            for path in sorted((folder / "sets").glob(f"{method}-{budget}-per-class-*/settings.json")):
                yield method, budget, path.parent


def _reference(path: Path) -> CausalReference:
    """What all training rows decide, found again by the record of a set.

    Raises:
        AttarError: if they cannot be found again.
    """
    recorded = RunDirectory(path).settings["problem"]
    problem = reopened(recorded["source"], recorded["fingerprint"]) if recorded["source"] else None
    if problem is None:
        raise AttarError(f"The data of {path} cannot be found again.")
    return CausalReference.of(
        table_of(problem), Questions(algorithm=None, order=2, most=MOST_TESTS), bootstraps=BOOTSTRAPS
    )
