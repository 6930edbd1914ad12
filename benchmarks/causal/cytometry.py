"""Protein signals of 7,466 cells: graphs of all rows, of those that keep moments or contingency tables, and the published one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from attar import causal
from attar.data.tabular import read
from attar.rng import generator
from attar.tables import Column, Margins, Moments, Table, real_rows, soft_rows
from benchmarks.causal import kept, real_data, spread
from benchmarks.causal.networks import Network

LEVEL = 0.01
SHARE = 0.05  # of all bytes
BINS = 3
SAMPLES = 5
SEEDS = 3
NAMES = {
    "praf": "Raf",
    "pmek": "Mek",
    "plcg": "Plcg",
    "PIP2": "PIP2",
    "PIP3": "PIP3",
    "p44/42": "Erk",
    "pakts473": "Akt",
    "PKA": "PKA",
    "PKC": "PKC",
    "P38": "P38",
    "pjnk": "Jnk",
}

Record = dict[str, Any]
Ways = dict[str, tuple[int, Callable[[int], Table]]]
"""By title how many seeds there are, and the rows of one."""


def signals() -> Table:
    """All rows, columns by the names of the published graph."""
    found = read(real_data() / "sachs" / "cyto_full_data.csv").table
    return Table(found.values, tuple(Column(NAMES[name]) for name in found.names))


def binned(table: Table) -> Table:
    """Each column in so many categories of as many rows each, as nearly as ties allow."""
    ends = torch.quantile(table.values, torch.arange(1, BINS).double() / BINS, dim=0)
    codes = (table.values[:, None] > ends).sum(1)
    return Table(codes.double(), tuple(Column(name, "categorical", ("low", "average", "high")) for name in table.names))


def chosen(table: Table, rows: int, seed: int) -> Table:
    return table.take(torch.randperm(len(table), generator=generator(seed, "benchmark", "rows"))[:rows])


def again(table: Table, seed: int) -> Table:
    return table.resampled(len(table), generator(seed, "benchmark", "bootstrap"))


def of_numbers(table: Table) -> Ways:
    """Rows for Fisher's z."""
    made = len(Moments.of(table).rows())
    few = int(SHARE * len(table))
    return {
        "all rows": (1, lambda seed: table),
        "moments": (1, lambda seed: Moments.of(table).rows()),
        "moments, read at their own number": (1, lambda seed: Moments.of(table).rows().replace(n_represented=None)),
        "moments, of weighted real rows": (1, lambda seed: real_rows(table)),
        "bootstrap of all rows": (SAMPLES, lambda seed: again(table, seed)),
        f"{made} random rows, read at their own number": (SAMPLES, lambda seed: chosen(table, made, seed)),
        f"{few} random rows, read at their own number": (SAMPLES, lambda seed: chosen(table, few, seed)),
        f"{few} random rows, read at all rows": (
            SAMPLES,
            lambda seed: chosen(table, few, seed).replace(n_represented=len(table)),
        ),
    }


def of_categories(table: Table) -> Ways:
    """Rows for G2."""
    few = int(SHARE * len(table))
    soft = int(SHARE * table.nbytes / (8 * (BINS * len(table.names) + 1)))
    margins = Margins.of_order(table.names, 4)
    return {
        "all rows": (1, lambda seed: table),
        "soft rows": (SEEDS, lambda seed: soft_rows(table, margins, soft, seed=seed)),
        "bootstrap of all rows": (SAMPLES, lambda seed: again(table, seed)),
        "random rows, read at their own number": (SAMPLES, lambda seed: chosen(table, few, seed)),
    }


@dataclass(frozen=True, eq=False)
class Full:
    """All rows of one form of the table, and what is concluded of them.

    Args:
        table: the rows.
        ways: the rows beside them.
        order: of PC's tests, at most.
    """

    table: Table
    ways: Ways
    order: int | None = None

    @cached_property
    def graph(self) -> causal.Graph:
        return self.discovered(self.table)

    @cached_property
    def decisions(self) -> causal.Decisions:
        return causal.independence(self.table)

    def discovered(self, rows: Table) -> causal.Graph:
        return causal.discover(rows, "pc", LEVEL, order=self.order).graph

    def judged(self, rows: Table, published: causal.Graph) -> Record:
        """The graph of some rows beside that of all and the published one, and how far decisions of order up to 2 agree."""
        graph, agreed = self.discovered(rows), causal.agreement(causal.independence(rows), self.decisions)
        record: Record = {
            "rows": len(rows),
            "bytes": 100 * rows.nbytes / self.table.nbytes,
            "alike": 100 * agreed.equal,
            "lost": 100 * agreed.lost,
            "invented": 100 * agreed.invented,
            "edges": len(graph.edges),
            "graph": graph.to_json(),
        }
        for what, other in (("full", self.graph), ("published", published)):
            apart = causal.compare(graph, other)
            record[what] = [apart.skeleton_distance, apart.cpdag_distance, 100 * apart.precision, 100 * apart.recall]
        return record


def mark(graph: causal.Graph, first: str, second: str) -> str:
    """The edge between two nodes, if there is one."""
    if (first, second) in graph.directed:
        return "→"
    return "←" if (second, first) in graph.directed else "–" if {first, second} in map(set, graph.undirected) else ""


def beside(published: causal.Graph, graphs: dict[str, causal.Graph]) -> None:
    """Print every edge of any graph."""
    print(f"\n| | | published | {' | '.join(graphs)} |\n|---|---|---{'|---' * len(graphs)}|")
    for place, first in enumerate(published.names):
        for second in published.names[place + 1 :]:
            marks = [mark(graph, first, second) for graph in (published, *graphs.values())]
            if any(marks):
                print(f"| {first} | {second} | {' | '.join(marks)} |")


def main(options: argparse.Namespace) -> None:
    """Print the tables in Markdown."""
    published = Network.read(real_data() / "bnlearn" / "sachs.bif.gz").graph
    raw = signals()
    logs = raw.replace(values=raw.values.log())
    found = binned(logs)
    forms = {
        "logarithms": Full(logs, of_numbers(logs)),
        "values as they are": Full(raw, of_numbers(raw)),
        "three categories": Full(found, of_categories(found), 2),
    }
    graphs = {}
    for name, full in forms.items():
        print(
            f"\n| {name} | rows | bytes, % | seeds | decisions alike, % | lost, % | invented, % | edges | that differ from all rows' "
            "| CPDAG distance | differ from the published | CPDAG distance | published, % of edges | found, % of published |\n"
            f"{'|---' * 14}|"
        )
        folder = options.out / "cytometry" / name.replace(" ", "-")
        for title, (seeds, make) in full.ways.items():
            of = [
                kept(
                    folder / f"{title.replace(' ', '-').replace(',', '')}-{seed}.json",
                    lambda make=make, seed=seed, full=full: full.judged(make(seed), published),
                )
                for seed in range(seeds)
            ]
            cells = [spread([record[key] for record in of]) for key in ("alike", "lost", "invented", "edges")]
            cells += [spread([record["full"][at] for record in of]) for at in (0, 1)]
            cells += [spread([record["published"][at] for record in of]) for at in range(4)]
            size = f"{np.mean([record['bytes'] for record in of]):.2f}"
            print(f"| {title} | {of[0]['rows']:,} | {size} | {seeds} | {' | '.join(cells)} |", flush=True)
            if title in ("all rows", "moments", "soft rows") and name != "values as they are":
                graphs[f"{title}, {name}"] = causal.Graph.from_json(of[0]["graph"])
    beside(published, graphs)
