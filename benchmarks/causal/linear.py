"""Random linear-Gaussian graphs: PC, decisions and effects of rows that keep moments, beside other rows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from attar import causal
from attar.tables import Column, Moments, Table
from benchmarks.causal import kept
from benchmarks.causal.baselines import TITLES, readings, rows_by

ROWS = 100_000
MOST_NODES = 20
MOST_KEPT = 40
EDGES_A_NODE = 1.5
LEVEL = 0.01
FLOOR = 5  # graph that is bootstrapped: as many rows again
EVERY = 20  # graph of which rows that invent dependences are read too: PC then tests ten times as much
UNAWARE = ("dm", "agglomerative", "facility_location", "kip")  # k-means is among the ways below
IN_PLACE: Mapping[str, Mapping[str, Any]] = {  # of the settings that tables of 10,000 rows are given
    "dm": {"batch": 1024},
    "facility_location": {"greedy": "stochastic"},
}


def linear_gaussian(seed: int) -> tuple[causal.Graph, Table]:
    """A random graph of 5 to 20 nodes and rows drawn from it: slopes of 0.3 to 1.2 either way, noise of a deviation of 0.5 to 1.5."""
    draws = np.random.default_rng(seed)
    nodes = int(draws.integers(5, MOST_NODES + 1))
    chance = min(1.0, 2 * EDGES_A_NODE / (nodes - 1))
    order = draws.permutation(nodes)
    slopes = np.zeros((nodes, nodes))
    for later in range(nodes):
        for earlier in range(later):
            if draws.random() < chance:
                slopes[order[earlier], order[later]] = draws.choice([-1, 1]) * draws.uniform(0.3, 1.2)
    x = np.zeros((ROWS, nodes))
    for node in order:
        x[:, node] = x @ slopes[:, node] + draws.normal(scale=draws.uniform(0.5, 1.5), size=ROWS)
    names = [f"x{node + 1}" for node in range(nodes)]
    edges = [(names[i], names[j]) for i, j in zip(*np.nonzero(slopes), strict=True)]
    return causal.Graph.dag(names, edges), Table(torch.from_numpy(x), tuple(Column(name) for name in names))


def kmeans(table: Table, rows: int, seed: int) -> Table:
    """Centres of clusters of the standardised rows, weighted by the rows that they are the centres of."""
    from sklearn.cluster import MiniBatchKMeans

    mean, deviation = table.values.mean(0), table.values.std(0)
    scaled = ((table.values - mean) / deviation).numpy()
    found = MiniBatchKMeans(rows, random_state=seed, n_init=1, batch_size=4096).fit(scaled)
    held = np.bincount(found.labels_, minlength=rows)
    centres = torch.from_numpy(found.cluster_centers_[held > 0]).double() * deviation + mean
    return Table(centres, table.columns, torch.from_numpy(held[held > 0]).double(), table.size)


def ways(table: Table, seed: int) -> Iterator[tuple[str, Table]]:
    """The rows by each way to make or choose them, at most `MOST_KEPT`."""
    made = Moments.of(table).rows()
    yield "moments", made
    yield "moments, read at their own number", made.replace(n_represented=None)
    drawn = table.take(torch.from_numpy(np.random.default_rng(seed).choice(len(table), MOST_KEPT, replace=False)))
    yield "random rows, read at their own number", drawn
    if seed % EVERY == 0:
        yield "random rows, read at all rows", drawn.replace(n_represented=table.size)
        yield "k-means, weighted, read at all rows", kmeans(table, MOST_KEPT, seed)
    if seed % FLOOR == 0:
        again = torch.from_numpy(np.random.default_rng(seed + 1).choice(len(table), len(table)))
        yield "a bootstrap of all rows", table.take(again)


@dataclass(frozen=True, eq=False)
class Conclusions:
    """What some rows say."""

    graph: causal.Graph
    decisions: causal.Decisions
    effects: list[causal.Effect]


def conclusions(rows: Table, truth: causal.Graph) -> Conclusions:
    """By PC, tests of order up to 2, and the effect of each edge's tail on its head, adjusted for the tail's parents."""
    return Conclusions(
        causal.discover(rows, "pc", LEVEL).graph,
        causal.independence(rows, "fisher_z", 2, LEVEL),
        [causal.effect(rows, tail, head, truth.parents(tail)) for tail, head in truth.directed],
    )


def judged(of: Conclusions, full: Conclusions, truth: causal.Graph) -> dict[str, float]:
    """How far conclusions from some rows lie from those of all."""
    agreed = causal.agreement(of.decisions, full.decisions)
    apart = [abs(one.estimate - other.estimate) for one, other in zip(of.effects, full.effects, strict=True)]
    errors = [other.error for other in full.effects]
    return {
        "same graph": float(of.graph == full.graph),
        "distance": causal.compare(of.graph, full.graph).cpdag_distance,
        "to the truth": causal.compare(of.graph, truth).cpdag_distance,
        "decisions": agreed.equal,
        "lost": agreed.lost,
        "invented": agreed.invented,
        "p": float((of.decisions.p - full.decisions.p).abs().max()),
        "effect": max(apart, default=0.0),
        "effect in errors": float(np.mean(np.divide(apart, errors))) if apart else 0.0,
    }


def unaware(name: str, seed: int) -> dict[str, Any]:
    """What rows by a method that knows of no structure keep of one graph.

    All columns are seen and none is predicted but by kip, which needs a target: the node with the most parents, the first of several.
    """
    truth, table = linear_gaussian(seed)
    full = conclusions(table, truth)
    target = max(table.names, key=lambda node: len(truth.parents(node))) if name == "kip" else ""
    rows = rows_by(name, table, MOST_KEPT, target, **IN_PLACE.get(name, {}))
    return {
        title: judged(conclusions(read, truth), full, truth) | {"rows": len(rows)}
        for title, read in readings(TITLES[name], rows, table.size).items()
    }


def piece(seed: int) -> dict[str, Any]:
    """All that is kept of one graph."""
    begun = time.process_time()
    truth, table = linear_gaussian(seed)
    full = conclusions(table, truth)
    record = {"all rows": judged(full, full, truth) | {"rows": len(table)}}
    for name, rows in ways(table, seed):
        record[name] = judged(conclusions(rows, truth), full, truth) | {"rows": len(rows)}
    return {"nodes": len(truth), "CPU seconds": time.process_time() - begun, "ways": record}


def main(options: argparse.Namespace) -> None:
    """Print the table in Markdown."""
    found = [
        kept(options.out / "linear" / f"{seed:04d}.json", lambda seed=seed: piece(seed))
        for seed in range(options.graphs)
    ]
    for seed in range(0, options.graphs, EVERY):
        for name in UNAWARE:
            path = options.out / f"linear-{name}" / f"{seed:04d}.json"
            found[seed]["ways"] |= kept(path, partial(unaware, name, seed))
    sizes = [each["nodes"] for each in found]
    print(
        f"{len(found)} graphs of {min(sizes)} to {max(sizes)} nodes, {ROWS:,} rows each, PC with Fisher's z at {LEVEL:g};"
    )
    print(f"{np.mean([each['CPU seconds'] for each in found]):.1f} CPU s a graph\n")
    print(
        "| rows | at most | the same graph | mean CPDAG distance | to the truth | decisions alike, % | lost, % | invented, % "
        "| largest difference of a p-value | of an effect | mean, in standard errors |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    for name in found[0]["ways"]:
        records = [each["ways"][name] for each in found if name in each["ways"]]
        of = {key: [record[key] for record in records] for key in records[0]}
        mean = {key: float(np.nanmean(numbers)) for key, numbers in of.items()}
        print(
            f"| {name} | {max(of['rows']):,} | {sum(of['same graph']):.0f} of {len(records)} | {mean['distance']:.2f} "
            f"| {mean['to the truth']:.2f} | {100 * mean['decisions']:.1f} | {100 * mean['lost']:.1f} "
            f"| {100 * mean['invented']:.1f} | {max(of['p']):.1e} | {max(of['effect']):.1e} "
            f"| {mean['effect in errors']:.2g} |"
        )
