"""The trade-off of a comparison on a table: prediction against kept decisions on independence, along a method's weight."""

from __future__ import annotations

import contextlib
import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attar.checkpoint import write_json
from attar.compare.study import RANDOM
from attar.data import table_of
from attar.distilled import Distilled
from attar.distilled.card import attar_version, parse
from attar.distilled.dataset import CARD
from attar.errors import AttarError
from attar.evaluation.causal import CausalReference
from attar.evaluation.decisions import QUESTIONS
from attar.evaluation.scores import spread
from attar.report.comparison import Table
from attar.report.effects import trade_off
from attar.report.sets import reopened
from attar.runs import RunDirectory

__all__ = ["trade_offs"]

FILE = "decisions.json"
BOOTSTRAPS = 3
_ASKED = json.loads(json.dumps(asdict(QUESTIONS)))
_SAME = 0.999
"""The share of equal decisions from which all of them are: rounding may turn one of a thousand."""

PINNED = (
    "Every weight keeps the same decisions, for these rows were moved until means and covariances are those of the training rows, "
    "which is all that Fisher-z reads. What differs is prediction alone; along moments=False (--no-moments) the weight decides what of "
    "the structure is kept."
)
_WEIGHT = re.compile(
    r"(?P<before>[^+]+(\+.*)?)\+weight=(?P<weight>([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)(?P<after>\+.*)?"
)


def trade_offs(folder: Path, table: Table) -> list[tuple[str, str]]:
    """The curve of each method with sets at several weights ("causal+weight=0.1") and of each budget, as a heading and HTML; none on
    other data, or where the data cannot be found again.

    Every set's decisions of order up to 2 are compared with those of all training rows, and so are random rows' and a few bootstraps';
    rows are read at the size that they stand for. What was found is kept beside the comparison, so that all rows are asked
    again for sets alone that were not there. Where all sets of a curve keep means and covariances, and so every decision, it says so.
    """
    curves = _weights(table.methods)
    if not curves:
        return []
    judged, floor = _judged(folder, [*(name for weights in curves.values() for name in weights), RANDOM], table.budgets)
    found = []
    for place, (method, weights) in enumerate(curves.items()):
        for budget in table.budgets:
            drawn = _curve(table, budget, weights, judged, floor, f"trade-{place}-{budget}")
            if drawn and _pinned(folder, list(weights), budget, judged):
                drawn += f"<p>{PINNED}</p>"
            found += [(f"{method} at {budget:,}" if len(curves) > 1 else f"{budget:,}", drawn)] if drawn else []
    return found


def _weights(methods: Sequence[str]) -> dict[str, dict[str, float]]:
    """By method, with its other settings, the names of its sets and their weights; of those with two weights or more."""
    found: dict[str, dict[str, float]] = {}
    for name in methods:
        if match := _WEIGHT.fullmatch(name):
            found.setdefault(match["before"] + (match["after"] or ""), {})[name] = float(match["weight"])
    return {method: weights for method, weights in found.items() if len(set(weights.values())) > 1}


def _pinned(
    folder: Path, methods: Sequence[str], budget: int, judged: Mapping[tuple[str, int], Sequence[float]]
) -> bool:
    """Whether all sets keep means and covariances, and with these every decision: the weight trades nothing then."""
    for _, _, path in _sets(folder, methods, [budget]):
        try:
            if not parse(path / "distilled" / CARD).get("statistics", {}).get("moments"):
                return False
        except AttarError:
            continue  # not finished
    shares = [share for method in methods for share in judged.get((method, budget), ())]
    return bool(shares) and min(shares) >= _SAME


def _curve(
    table: Table,
    budget: int,
    weights: Mapping[str, float],
    judged: Mapping[tuple[str, int], Sequence[float]],
    floor: float | None,
    identifier: str,
) -> str:
    """The curve of one method and budget, by the leading model."""
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
        identifier=identifier,
    )


def _judged(
    folder: Path, methods: Sequence[str], budgets: Sequence[int]
) -> tuple[dict[tuple[str, int], list[float]], float | None]:
    """The shares of kept decisions of the sets, by method and budget, and of bootstraps."""
    record: dict[str, Any] = {}
    found: dict[tuple[str, int], list[float]] = {}
    reference: CausalReference | None = None
    sought = False  # the data, once
    for method, budget, path in _sets(folder, methods, budgets):
        try:
            card = parse(path / "distilled" / CARD)
            if card.get("modality") != "tables":
                return {}, None
            record = record or _known(folder, RunDirectory(path).settings["problem"]["fingerprint"])
            before = record["sets"].get(path.name)
            if before is None or before["checksum"] != card["checksum"]:
                value = Distilled.load(path)
                if not sought:
                    sought, reference = True, _reference(path, 0 if "floor" in record else BOOTSTRAPS)
                if reference is None:
                    continue
                if "floor" not in record:
                    record["floor"] = next((noise.mean("decisions.equal") for noise in reference.noise), None)
                before = {"checksum": card["checksum"], "kept": _kept(reference, value)}
                record["sets"][path.name] = before
        except AttarError:
            continue  # not finished
        if before["kept"] is not None:
            found.setdefault((method, budget), []).append(before["kept"])
    if reference is not None:
        with contextlib.suppress(OSError):  # the page is worth more than the time that its next writing takes
            write_json(folder / FILE, record)
    return found, record.get("floor")


def _kept(reference: CausalReference, value: Any) -> float | None:
    """The share of equal decisions; None of rows that the test does not read."""
    try:
        return reference.judge(value.data).measures.get("decisions.equal")
    except AttarError:
        return None


def _known(folder: Path, fingerprint: str) -> dict[str, Any]:
    """What was found before by the same questions on the same data: sets by their folders, and the bootstraps' share as "floor"."""
    asked = {"fingerprint": fingerprint, "bootstraps": BOOTSTRAPS, "attar": attar_version(), "questions": _ASKED}
    try:
        record = json.loads((folder / FILE).read_text())
        shares = [one["kept"] for one in record["sets"].values()] + [record["floor"]]
        checksums = [one["checksum"] for one in record["sets"].values()]
        numbers = all(share is None or (isinstance(share, float) and 0 <= share <= 1) for share in shares)
        if record["asked"] == asked and numbers and all(isinstance(checksum, str) for checksum in checksums):
            return record  # type: ignore[no-any-return]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return {"asked": asked, "sets": {}}


def _sets(folder: Path, methods: Sequence[str], budgets: Sequence[int]) -> Iterator[tuple[str, int, Path]]:
    """Every set of these methods and budgets."""
    for budget in budgets:
        for method in methods:
            for path in sorted((folder / "sets").glob(f"{method}-{budget}-per-class-*/settings.json")):
                yield method, budget, path.parent


def _reference(path: Path, bootstraps: int) -> CausalReference | None:
    """What all training rows decide, found again by the record of a set; None where they are not there, or cannot be tested."""
    recorded = RunDirectory(path).settings["problem"]
    problem = reopened(recorded["source"], recorded["fingerprint"]) if recorded["source"] else None
    with contextlib.suppress(AttarError):
        return None if problem is None else CausalReference.of(table_of(problem), QUESTIONS, bootstraps=bootstraps)
    return None
