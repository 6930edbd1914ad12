"""Five simulators of nonlinear mechanisms: decisions on independence, prediction, and prediction after a cause was set, by 100 rows.

What an intervention costs is the R squared on rows as they come less that on rows whose cause was set, beyond what it costs the same
learner on all rows; the mean over both interventions. All settings were fixed on three simulators of other seeds.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

import attar
from attar import causal, methods
from attar.batches import Encoded
from attar.evaluation.learners import fitted
from attar.evaluation.learners import score as learner_score
from attar.method import Method
from attar.methods.rows import of_tables
from attar.rng import generator
from attar.tables import Table
from attar.tasks.tables import determination
from attar.types import Budget, Problem
from benchmarks.causal import kept, spread
from benchmarks.causal.additive_noise import INTERVENTIONS, SIMULATORS, Simulator

ROWS = 20_000
KEPT = 100
STEPS = 500
LEVEL = 0.01
ORDER = 2
KERNEL_TESTS = 25  # of each number of given columns at most: a test reads 16,000 rows
BOOTSTRAPS = 2
LEARNERS = ("linear", "trees", "mlp")

Record = dict[str, Any]
Makers = dict[str, Callable[[], Method]]


@dataclass(frozen=True, eq=False)
class Trial:
    """One simulator with its rows, and what is concluded of all training rows."""

    simulator: Simulator
    order: int = ORDER

    @cached_property
    def problem(self) -> Problem:
        rows = self.simulator.rows(ROWS, 0)
        return attar.data.table(
            rows,
            self.simulator.target,
            types="continuous",
            names=list(self.simulator.names),
            validation=0.1,
            name="simulator",
        )

    @cached_property
    def table(self) -> Table:
        return attar.data.table_of(self.problem)

    @cached_property
    def judges(self) -> dict[str, Encoded]:
        """Rows to predict: the test rows, and new ones in which the cause was set."""
        found = {"as they come": self.problem.test}
        for name, do in INTERVENTIONS.items():
            x, y = self.problem.spec.schema.split(self.simulator.table(len(self.problem.test), 1, do))
            found[name] = Encoded(x, y)
        return found

    def decisions(self, rows: Table, test: str) -> causal.Decisions:
        most = KERNEL_TESTS if test == "kernel" else None
        return causal.independence(rows, test, order=self.order, alpha=LEVEL, most=most)  # type: ignore[arg-type]

    def bootstrap(self, seed: int) -> Table:
        """As many rows, drawn with replacement."""
        return self.table.resampled(len(self.table), generator(seed, "bootstrap"))

    def encoded(self, rows: Table) -> Encoded:
        """Rows as learners take them."""
        x, y = self.problem.spec.schema.split(rows)
        return Encoded(x, y, rows.weight)

    @cached_property
    def full(self) -> dict[str, causal.Decisions]:
        return {test: self.decisions(self.table, test) for test in ("fisher_z", "kernel")}

    @cached_property
    def bootstraps(self) -> dict[str, list[torch.Tensor]]:
        """Of each test which decisions each bootstrap keeps."""
        drawn = [self.bootstrap(seed) for seed in range(BOOTSTRAPS)]
        return {
            test: [self.decisions(rows, test).reject == self.full[test].reject for rows in drawn] for test in self.full
        }

    def independence(self, rows: Table) -> Record:
        """Of each test the share of all decisions that are the full data's, and of those that a bootstrap keeps."""
        found: Record = {"n": rows.size}
        for test, full in self.full.items():
            same = self.decisions(rows, test).reject == full.reject
            both = [float(same[kept_by].double().mean()) for kept_by in self.bootstraps[test]]
            found[test] = {"alike": 100 * float(same.double().mean()), "of bootstrap": 100 * float(np.mean(both))}
            for size in range(self.order + 1):
                found[test][f"order {size}"] = 100 * float(same[full.order == size].double().mean())
        return found

    def prediction(self, rows: Encoded, seed: int) -> Record:
        """R squared in points of each learner on each kind of rows."""
        found: Record = {}
        for name in LEARNERS:
            told = network(rows, self.problem.validation, seed) if name == "mlp" else None
            learner = None if told else fitted(name, rows, 0, self.problem.validation, seed)
            found[name] = {
                kind: 100 * (determination(told(judge.x), judge.y) if told else learner_score(learner, judge))  # type: ignore[arg-type]
                for kind, judge in self.judges.items()
            }
        return found

    def judged(self, table: Table, seed: int, seconds: float = 0.0) -> Record:
        return {
            "rows": len(table),
            "seconds": seconds,
            "independence": self.independence(table),
            "prediction": self.prediction(self.encoded(table), seed),
        }


def network(rows: Encoded, validation: Encoded, seed: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """The mean of three networks with two hidden layers of 64; the penalty is chosen on validation rows.

    Few rows are learned all at once, by a quasi-Newton method; all rows by Adam in 30 passes, with the least penalty.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    few = len(rows) < 1000
    weight = None if rows.weight is None else (rows.weight / rows.weight.mean()).numpy()
    settings: Record = {
        "hidden_layer_sizes": (64, 64),
        "solver": "lbfgs" if few else "adam",
        "max_iter": 150 if few else 30,
    }
    tried = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for penalty in PENALTIES if few else PENALTIES[:1]:
            models = [
                MLPRegressor(alpha=penalty, random_state=3 * seed + one, **settings) for one in range(3 if few else 1)
            ]
            for model in models:
                model.fit(rows.x.numpy(), rows.y[:, 0].numpy(), sample_weight=weight)  # type: ignore[index]
            told = _mean_of(models)
            tried.append((determination(told(validation.x), validation.y), len(tried), told))  # type: ignore[arg-type]
    return max(tried)[2]


PENALTIES = (0.1, 1.0, 10.0)


def _mean_of(models: list[Any]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: torch.from_numpy(np.mean([model.predict(x.numpy()) for model in models], axis=0))[:, None]


OURS = "causal, weight 10"
ALONE = "causal, weight 0, moments free"


def makers(trial: Trial) -> Makers:
    """The methods that learn rows: `causal` along the weights of its mechanisms, and two that know of none."""
    edges = [f"{start}->{end}" for start, end in trial.simulator.graph.directed]
    ours, budget = partial(methods.causal, graph=edges), Budget(size=KEPT)
    return {
        OURS: partial(ours, weight=10.0),
        ALONE: partial(ours, weight=0.0, moments=False),
        "dm": partial(of_tables, "dm", budget, {"model": "mlp"}),
        "kip": partial(methods.kip, batch=1024),
        "causal, weight 0": partial(ours, weight=0.0),
        "causal, weight 100": partial(ours, weight=100.0),
        "causal, weight 1": partial(ours, weight=1.0),
        "causal, weight 10, graph discovered": partial(methods.causal, weight=10.0),
    }


def learned(trial: Trial, name: str, make: Callable[[], Method], seed: int) -> dict[str, Record]:
    """Rows by a method, judged."""
    begun = time.process_time()
    value = attar.distill(make(), trial.problem, Budget(size=KEPT), steps=STEPS, seed=seed).value
    seconds = time.process_time() - begun
    return {name: trial.judged(value.data, seed, seconds)}  # type: ignore[arg-type]


def centres(table: Table, rows: int, seed: int) -> Table:
    """Centres of clusters of the standardised rows with their target, weighted by the rows that they are the centres of."""
    from sklearn.cluster import KMeans

    mean, deviation = table.values.mean(0), table.values.std(0)
    scaled = ((table.values - mean) / deviation).numpy()
    clusters = KMeans(rows, random_state=seed, n_init=1).fit(scaled)
    weight = torch.from_numpy(np.bincount(clusters.labels_, minlength=rows)).double()
    centre = torch.from_numpy(clusters.cluster_centers_).double() * deviation + mean
    return table.replace(values=centre, weight=weight, n_represented=table.size)


def cheap(trial: Trial, seed: int) -> dict[str, Record]:
    """All rows, and rows that are chosen."""
    table = trial.table
    chosen = table.take(torch.randperm(len(table), generator=generator(seed, "rows"))[:KEPT])
    found = {
        "k-means, weighted": trial.judged(centres(table, KEPT, seed), seed),
        "random rows, read at all rows": trial.judged(chosen.replace(n_represented=table.size), seed),
        "random rows, read at their own number": trial.judged(chosen, seed),
    }
    if seed == 0:
        found["all rows"] = trial.judged(table, seed)
        for test, draws in trial.bootstraps.items():
            found["all rows"]["independence"][f"{test} of a bootstrap"] = [
                100 * float(k.double().mean()) for k in draws
            ]
    return found


def interventions(record: Record, name: str) -> float:
    """R squared in points that a learner loses where the cause was set."""
    found = record["prediction"][name]
    return found["as they come"] - float(np.mean([found[kind] for kind in INTERVENTIONS]))


def pieces(trial: Trial, seed: int) -> dict[str, Callable[[], dict[str, Record]]]:
    """Every way to make or choose rows of one simulator, by the file that keeps it, the ways that are asked for first."""
    found: dict[str, Callable[[], dict[str, Record]]] = {"chosen": partial(cheap, trial, seed)}
    for name, make in makers(trial).items():
        found[name.replace(", ", "-").replace(" ", "-")] = partial(learned, trial, name, make, seed)
    return found


def print_simulator(simulator: Simulator, found: dict[str, Record]) -> None:
    """Decisions, and R squared of each learner as rows come and where the cause was set."""
    kinds = sorted({kind for kind, *_ in simulator.parts.values()} - {"none"})
    print(
        f"\nSimulator {simulator.seed}: {simulator.nodes} nodes, mechanisms {', '.join(kinds)}; target {simulator.target} with "
        f"{len(simulator.graph.parents(simulator.target))} parents, {simulator.cause} is set.\n"
    )
    full = found["all rows"]["independence"]
    for test in ("fisher_z", "kernel"):
        print(f"A bootstrap keeps of {test}: {spread(full[f'{test} of a bootstrap'])} %.  ")
    learners = " | ".join(f"{name}: R² | anew | shifted" for name in LEARNERS)
    print(f"\n| rows | n | CPU s | Fisher-z kept, % | kernel kept, % | by order 0, 1, 2 | {learners} |")
    print("|---" * (6 + 3 * len(LEARNERS)) + "|")
    for name, record in found.items():
        read = record["independence"]
        orders = ", ".join(f"{read['kernel'][f'order {size}']:.0f}" for size in range(ORDER + 1))
        cells = [
            f"{read['n']:,.0f}",
            f"{record['seconds']:.0f}",
            *(f"{read[test]['alike']:.1f}" for test in ("fisher_z", "kernel")),
        ]
        scores = [f"{score:.1f}" for name in LEARNERS for score in record["prediction"][name].values()]
        print(f"| {name} | {' | '.join([*cells, orders, *scores])} |")


def print_summary(results: list[dict[str, Record]]) -> None:
    """What was asked for, over all simulators."""
    print("\n| rows | of decisions a bootstrap keeps, Fisher-z, % | kernel, % | ", end="")
    print(" | ".join(f"{name}: R² less that of {ALONE!r} | an intervention costs" for name in LEARNERS) + " |")
    print("|---" * (3 + 2 * len(LEARNERS)) + "|")
    for name in results[0]:
        cells = [
            spread([found[name]["independence"][test]["of bootstrap"] for found in results])
            for test in ("fisher_z", "kernel")
        ]
        for learner in LEARNERS:
            scores = [[found[way]["prediction"][learner]["as they come"] for found in results] for way in (name, ALONE)]
            cells.append(spread(list(np.subtract(*scores))))
            cells.append(
                spread([interventions(f[name], learner) - interventions(f["all rows"], learner) for f in results])
            )
        print(f"| {name} | {' | '.join(cells)} |")


def main(options: argparse.Namespace) -> None:
    """Print the tables in Markdown."""
    trials = [Trial(simulator) for simulator in SIMULATORS]
    results: list[dict[str, Record]] = [{} for _ in trials]
    for file in pieces(trials[0], 0):
        for trial, found in zip(trials, results, strict=True):
            folder = options.out / "simulators" / str(trial.simulator.seed)
            found |= kept(folder / f"{file}-0.json", pieces(trial, 0)[file])
    for simulator, found in zip(SIMULATORS, results, strict=True):
        print_simulator(simulator, found)
    print_summary(results)
