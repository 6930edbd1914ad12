"""Causal conclusions from few rows beside those from all: ``python -m benchmarks.causal linear``.

    python -m benchmarks.causal linear --graphs 200      # random linear-Gaussian graphs, moments beside other rows

Each graph's results are kept as soon as they are there, so that the same command goes on where it was stopped; tables are printed
in Markdown.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attar import causal
from attar.checkpoint import write_json
from attar.tables import Column, Moments, Table

ROWS = 100_000
MOST_NODES = 20
MOST_KEPT = 40
EDGES_A_NODE = 1.5
LEVEL = 0.01


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
    yield "random rows, read at all rows", drawn.replace(n_represented=table.size)
    centres = kmeans(table, MOST_KEPT, seed)
    yield "k-means, weighted, read at all rows", centres
    again = torch.from_numpy(np.random.default_rng(seed + 1).choice(len(table), len(table)))
    yield "a bootstrap of all rows", table.take(again)


def judged(rows: Table, full: Table, truth: causal.Graph, of_full: dict[str, Any]) -> dict[str, float]:
    """How far conclusions from some rows lie from those of all."""
    graph = causal.discover(rows, "pc", LEVEL).graph
    decisions = causal.independence(rows, "fisher_z", 2, LEVEL)
    agreed = causal.agreement(decisions, of_full["decisions"])
    effects = [found.estimate for found in effects_of(rows, truth)]
    apart = [abs(one - other.estimate) / other.error for one, other in zip(effects, of_full["effects"], strict=True)]
    difference = max((abs(a - b.estimate) for a, b in zip(effects, of_full["effects"], strict=True)), default=0.0)
    return {
        "rows": len(rows),
        "same graph": float(graph.to_json() == of_full["graph"].to_json()),
        "distance": causal.compare(of_full["graph"], graph).cpdag_distance,
        "decisions": agreed.equal,
        "lost": agreed.lost,
        "invented": agreed.invented,
        "p": float((decisions.p - of_full["decisions"].p).abs().max()),
        "effect": difference,
        "effect in errors": float(np.mean(apart)) if apart else 0.0,
    }


def effects_of(table: Table, truth: causal.Graph) -> list[causal.Effect]:
    """Of each edge's tail on its head, adjusted for the tail's parents."""
    return [causal.effect(table, tail, head, truth.parents(tail)) for tail, head in truth.directed]


def linear(options: argparse.Namespace) -> None:
    found = []
    for seed in range(options.graphs):
        kept = options.out / "linear" / f"{seed:04d}.json"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            begun = time.perf_counter()
            truth, table = linear_gaussian(seed)
            of_full = {
                "graph": causal.discover(table, "pc", LEVEL).graph,
                "decisions": causal.independence(table, "fisher_z", 2, LEVEL),
                "effects": effects_of(table, truth),
            }
            record = {name: judged(rows, table, truth, of_full) for name, rows in ways(table, seed)}
            write_json(kept, {"nodes": len(truth), "seconds": time.perf_counter() - begun, "ways": record})
        found.append(json.loads(kept.read_text()))
    sizes = [each["nodes"] for each in found]
    print(
        f"{len(found)} graphs of {min(sizes)} to {max(sizes)} nodes, {ROWS:,} rows each, PC with Fisher's z at {LEVEL:g}\n"
    )
    print(
        "| rows | at most | the same graph | mean CPDAG distance | decisions alike, % | lost, % | invented, % | largest difference "
        "of a p-value | of an effect | mean, in standard errors |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for name in found[0]["ways"]:
        of = [each["ways"][name] for each in found]

        def mean(key: str, of: list[dict[str, float]] = of) -> float:
            return float(np.mean([each[key] for each in of]))

        def most(key: str, of: list[dict[str, float]] = of) -> float:
            return max(each[key] for each in of)

        print(
            f"| {name} | {most('rows'):,.0f} | {sum(each['same graph'] for each in of):.0f} of {len(of)} | {mean('distance'):.2f} "
            f"| {100 * mean('decisions'):.1f} | {100 * mean('lost'):.1f} | {100 * mean('invented'):.1f} | {most('p'):.1e} "
            f"| {most('effect'):.1e} | {mean('effect in errors'):.2g} |"
        )


TRIALS: dict[str, Callable[[argparse.Namespace], None]] = {"linear": linear}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trial", choices=list(TRIALS))
    parser.add_argument("--graphs", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/causal"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    TRIALS[options.trial](options)


if __name__ == "__main__":
    main()
