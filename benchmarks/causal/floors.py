"""The floor under the simulators' figures: by how much prediction, and what an intervention costs, move where all rows are drawn again.

Each run trains every learner on all rows and on a bootstrap, as many rows drawn with replacement, by the same seed; they are compared run
by run. A set of 100 rows is beyond the floor where it differs from all rows by more than one more bootstrap would in 95 of 100.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from attar.evaluation import Intervened
from attar.evaluation.paired import t_quantile
from benchmarks.causal import kept, spread
from benchmarks.causal.additive_noise import INTERVENTIONS, SIMULATORS
from benchmarks.causal.simulators import ALONE, LEARNERS, OURS, Record, Trial, interventions, pieces

RUNS = 10
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Floor:
    """A learner on all rows and on bootstraps of them, run by run, before the interventions and the mean over both after them.

    Args:
        full: trained on all rows.
        drawn: on bootstraps, by the same seeds.
    """

    full: Intervened
    drawn: Intervened

    @property
    def prediction(self) -> list[float]:
        """R squared of each bootstrap less that of all rows, in points."""
        return [100 * (drawn - full) for drawn, full in zip(self.drawn.before, self.full.before, strict=True)]

    @property
    def cost(self) -> list[float]:
        """What an intervention costs each bootstrap beyond all rows, in points of R squared."""
        return [100 * (drawn - full) for drawn, full in zip(self.drawn.drops, self.full.drops, strict=True)]


def within(differences: Sequence[float]) -> tuple[float, float]:
    """Where one more such difference lies in 95 of 100: ``mean -+ t deviation sqrt(1 + 1/n)``, t of n - 1 degrees of freedom."""
    count, mean = len(differences), float(np.mean(differences))
    reach = t_quantile(0.5 + CONFIDENCE / 2, count - 1) * float(np.std(differences, ddof=1)) * (1 + 1 / count) ** 0.5
    return mean - reach, mean + reach


def measured(trial: Trial) -> Record:
    """Of all rows and of bootstraps, by learner and intervention, the records of all runs."""
    found: Record = {}
    for name, rows in {"all rows": lambda run: trial.table, "bootstrap": trial.bootstrap}.items():
        runs = [trial.prediction(trial.encoded(rows(run)), run) for run in range(RUNS)]
        found[name] = {learner: _records(trial.simulator.cause, learner, runs) for learner in LEARNERS}
    return found


def _records(cause: str, learner: str, runs: Sequence[Record]) -> Record:
    """Of each intervention the record of runs whose scores are in points."""
    before = tuple(run[learner]["as they come"] / 100 for run in runs)
    return {
        kind: Intervened(cause, learner, before, tuple(run[learner][kind] / 100 for run in runs)).to_json()
        for kind in INTERVENTIONS
    }


def floors(found: Record) -> dict[str, Floor]:
    """Of each learner its floor, from what `measured` found."""
    return {name: Floor(_both(found["all rows"][name]), _both(found["bootstrap"][name])) for name in LEARNERS}


def _both(records: Mapping[str, Record]) -> Intervened:
    """The record of the mean over the interventions."""
    each = [Intervened.from_json(record) for record in records.values()]
    return replace(each[0], after=tuple(np.mean([one.after for one in each], axis=0)))


def print_floors(trials: Sequence[Trial], found: Sequence[Mapping[str, Floor]]) -> None:
    """What all rows score and lose, and by how much bootstraps differ."""
    print(
        "| simulator | learner | all rows: R² | bootstraps: R² less that of all rows | all rows: an intervention costs | "
        "bootstraps: beyond all rows | 95 % interval of that mean |"
    )
    print("|---" * 7 + "|")
    for trial, by_learner in zip(trials, found, strict=True):
        for name, floor in by_learner.items():
            cells = [
                spread([100 * score for score in floor.full.before]),
                spread(floor.prediction),
                spread([100 * drop for drop in floor.full.drops]),
                spread(floor.cost),
                str(floor.drawn.more_than(floor.full)).partition(" ")[2],
            ]
            print(f"| {trial.simulator.seed} | {name} | {' | '.join(cells)} |")


Figure = Callable[[str], float]
Row = Sequence[Figure]


def print_beside(bounds: Sequence[Mapping[str, float]], rows: Mapping[str, Row], low: bool) -> None:
    """Figures of rows on each simulator, of each learner, those in bold that are beyond the floor.

    Args:
        bounds: of each simulator, by learner.
        rows: what tells each simulator's figure of a learner.
        low: whether figures below the bound are beyond it, not those above.
    """
    seeds = " | ".join(str(simulator.seed) for simulator in SIMULATORS)
    what = "R² less that of all rows" if low else "an intervention costs beyond all rows"
    print(f"\n| {what}: {', '.join(LEARNERS)} on simulator | {seeds} |")
    print("|---" * (1 + len(SIMULATORS)) + "|")
    ends = [", ".join(f"{bound[name]:.1f}" for name in LEARNERS) for bound in bounds]
    print(f"| *one more bootstrap, {'least' if low else 'most'}* | {' | '.join(ends)} |")
    for name, figures in rows.items():
        cells = []
        for figure, bound in zip(figures, bounds, strict=True):
            each = [(figure(learner), bound[learner]) for learner in LEARNERS]
            marks = ["**" if (value < bar if low else value > bar) else "" for value, bar in each]
            cells.append(", ".join(f"{mark}{value:.1f}{mark}" for mark, (value, _) in zip(marks, each, strict=True)))
        print(f"| {name} | {' | '.join(cells)} |")


def already(out: Path, trial: Trial) -> dict[str, Record]:
    """The rows of a simulator that were judged before."""
    files = [folder(out, trial) / f"{file}-0.json" for file in pieces(trial, 0)]
    found: dict[str, Record] = {}
    for file in files:
        found |= json.loads(file.read_text()) if file.is_file() else {}
    return found


def less(one: Record, other: Record) -> Figure:
    """How much better one set of rows predicts than another, by learner, in points of R squared."""
    return lambda name: one["prediction"][name]["as they come"] - other["prediction"][name]["as they come"]


def costs_more(one: Record, other: Record) -> Figure:
    """How much more an intervention costs one set of rows than another."""
    return lambda name: interventions(one, name) - interventions(other, name)


def print_sets(judged: Sequence[Mapping[str, Record]], found: Sequence[Mapping[str, Floor]]) -> None:
    """The rows that were judged, beside the floor: first what interventions cost them, then their R squared."""
    everywhere = [name for name in judged[0] if all(name in one for one in judged)]
    if "all rows" not in everywhere:
        return
    few = [name for name in everywhere if name not in ("all rows", "random rows, read at their own number")]
    bounds = [{name: within(floor.cost)[1] for name, floor in by.items()} for by in found]
    print_beside(bounds, {name: [costs_more(one[name], one["all rows"]) for one in judged] for name in few}, low=False)
    bounds = [{name: within(floor.prediction)[0] for name, floor in by.items()} for by in found]
    rows = {name: [less(one[name], one["all rows"]) for one in judged] for name in few}
    for other in ("causal, weight 0", ALONE):
        if {OURS, other} <= set(few):
            rows[f"{OURS}, less that of {other}"] = [less(one[OURS], one[other]) for one in judged]
    print_beside(bounds, rows, low=True)


def folder(out: Path, trial: Trial) -> Path:
    """Where what was found of a simulator is kept."""
    return out / "simulators" / str(trial.simulator.seed)


def main(options: argparse.Namespace) -> None:
    """Print the floors, and rows that were judged before beside them, in Markdown."""
    trials = [Trial(simulator) for simulator in SIMULATORS]
    found = [
        floors(kept(folder(options.out, trial) / f"floors-{RUNS}.json", partial(measured, trial))) for trial in trials
    ]
    print(f"\n{RUNS} bootstraps of all rows, and all rows by the same seeds.\n")
    print_floors(trials, found)
    print_sets([already(options.out, trial) for trial in trials], found)
