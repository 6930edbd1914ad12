"""asia, sachs and child: decisions and graphs of soft and hard rows by rows and bytes, beside bootstraps, other samples, random
rows and rows by methods that know of no structure."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from attar import causal
from attar.rng import generator
from attar.tables import Margins, Table, contingency_rows, counted, soft_rows
from attar.tables.contingency import drawn, reweighted, rounded, vertex_rows
from benchmarks.causal import kept, real_data, spread
from benchmarks.causal.baselines import TITLES, numbers_a_row, readings, rows_by
from benchmarks.causal.networks import Network

LEVEL = 0.01
ORDER = 2
SAMPLES = 5
SEEDS = 3
STEPS = 60  # of L-BFGS for weights of hard rows

Record = dict[str, Any]
Piece = Callable[[], dict[str, Record]]


@dataclass(frozen=True, eq=False)
class Trial:
    """One network: its 10,000 rows, and what is concluded of them.

    Args:
        name: of the network.
        target: share of the table's bytes, in per cent, at which all forms are compared.
        curve: further shares of soft rows.
        predicted: the column that methods with a target predict, fixed before any run.
        hard: further shares of hard rows.
        vertices: orders of the margins of which a vertex is found.
        seeds: of soft rows at these.
        forms: seeds of soft rows at the target that are searched for a graph and made hard.
    """

    name: str
    target: float
    curve: tuple[float, ...]
    predicted: str
    hard: tuple[float, ...] = ()
    vertices: tuple[int, ...] = ()
    seeds: int = SEEDS
    forms: int = SEEDS

    @cached_property
    def network(self) -> Network:
        return Network.read(real_data() / "bnlearn" / f"{self.name}.bif.gz")

    @cached_property
    def table(self) -> Table:
        return self.network.table(real_data() / "bnlearn" / f"{self.name}.10000.txt")

    @cached_property
    def margins(self) -> Margins:
        """What tests of order up to `ORDER` read."""
        return Margins.of_order(self.table.names, ORDER + 2)

    @cached_property
    def decisions(self) -> causal.Decisions:
        return causal.independence(self.table, order=ORDER, alpha=LEVEL)

    @cached_property
    def graph(self) -> causal.Graph:
        return discovered(self.table)

    def rows(self, share: float, cells: int) -> int:
        """How many rows of so many numbers are that share of the table's bytes, at most."""
        return int(share / 100 * self.table.nbytes / (8 * cells))

    def judged(self, make: Callable[[], Table], searched: bool = False) -> Record:
        """How far conclusions from rows lie from those of all, with a graph where it is searched for."""
        begun = time.process_time()
        rows = make()
        seconds = time.process_time() - begun
        agreed = causal.agreement(causal.independence(rows, order=ORDER, alpha=LEVEL), self.decisions)
        record = {
            "rows": len(rows),
            "bytes": 100 * rows.nbytes / self.table.nbytes,
            "seconds": seconds,
            "alike": 100 * agreed.equal,
            "lost": 100 * agreed.lost,
            "invented": 100 * agreed.invented,
        }
        if searched:
            graph = discovered(rows)
            for what, other in (("full", self.graph), ("truth", self.network.graph)):
                apart = causal.compare(graph, other)
                record[what] = {
                    "skeleton": apart.skeleton_distance,
                    "cpdag": apart.cpdag_distance,
                    "f1": 100 * apart.f1,
                }
        return record


TRIALS = {
    trial.name: trial
    for trial in (
        Trial("asia", 0.5, (0.1, 0.2), "dysp", (0.1, 0.2), (3,)),
        Trial("sachs", 5, (0.5, 1, 2, 3.5, 10), "Akt", (1, 2), (2, 3)),
        Trial("child", 5, (0.5, 1, 2, 3.5), "Disease", (1, 2), (2,), seeds=1, forms=1),
    )
}


def discovered(rows: Table) -> causal.Graph:
    """By PC, with tests of the order that margins are kept for."""
    return causal.discover(rows, "pc", LEVEL, order=ORDER).graph


def cheap(trial: Trial) -> Iterator[tuple[str, Piece]]:
    """What needs no fit: other samples, and rows that are chosen at random or exactly."""
    table, all_rows = trial.table, len(trial.table)

    def exact() -> dict[str, Record]:
        return {"all rows": trial.judged(lambda: table, True), "counted rows": trial.judged(lambda: counted(table))}

    def vertex(order: int) -> dict[str, Record]:
        margins = Margins.of_order(table.names, order)
        return {f"vertex of {order}-way margins": trial.judged(lambda: vertex_rows(table, margins))}

    yield "exact", exact
    for order in trial.vertices:
        yield f"vertex-{order}", partial(vertex, order)
    few = trial.rows(trial.target, len(table.names))

    def sampled(seed: int) -> dict[str, Record]:
        source = generator(seed, "benchmark", "rows")
        chosen = table.take(torch.randperm(all_rows, generator=source)[:few])
        drawn_again = trial.network.sampled(all_rows, np.random.default_rng(seed))
        return {
            "bootstrap of all rows": trial.judged(lambda: table.resampled(all_rows, source), True),
            "another sample of the network": trial.judged(lambda: drawn_again, True),
            "random rows, read at their own number": trial.judged(lambda: chosen, True),
            "random rows, read at all rows": trial.judged(lambda: chosen.replace(n_represented=all_rows)),
        }

    for seed in range(SAMPLES):
        yield f"samples-{seed}", partial(sampled, seed)


def unaware(trial: Trial) -> Iterator[tuple[str, Piece]]:
    """Rows by methods that know of no structure, at the target; centres of k-means by several seeds, as others draw nothing or take
    long."""

    def made(name: str, seed: int) -> dict[str, Record]:
        begun, table = time.process_time(), trial.table
        few = trial.rows(trial.target, numbers_a_row(name, table, trial.predicted))
        rows = rows_by(name, table, few, trial.predicted, seed)
        seconds = time.process_time() - begun
        return {
            title: trial.judged(lambda read=read: read, True) | {"seconds": seconds}  # type: ignore[misc]
            for title, read in readings(TITLES[name], rows, table.size).items()
        }

    for name in TITLES:
        for seed in range(SEEDS if name == "kmeans" else 1):
            yield f"{name}-{seed}", partial(made, name, seed)


def softened(trial: Trial, share: float, seed: int, forms: bool) -> dict[str, Record]:
    """Soft rows of a share of the bytes, and where it is asked for the hard ones that are made of these."""
    table, margins = trial.table, trial.margins
    cells = sum(column.levels for column in table.columns) + 1
    made: list[Table] = []

    def make() -> Table:
        made.append(soft_rows(table, margins, trial.rows(share, cells), seed=seed))
        return made[0]

    found = {"soft rows": trial.judged(make, forms)}
    if forms:
        few, source = trial.rows(share, len(table.names)), generator(seed, "benchmark", "drawn")
        hard = rounded(made[0])
        found |= {
            "drawn of soft rows, read at their own number": trial.judged(lambda: drawn(made[0], few, source), True),
            "10,000 rows drawn of soft rows": trial.judged(lambda: drawn(made[0], len(table), source), True),
            "soft rows rounded": trial.judged(lambda: hard),
            "soft rows rounded and weighed anew": trial.judged(lambda: reweighted(hard, margins, table, steps=STEPS)),
        }
    return found


def fitted(trial: Trial) -> Iterator[tuple[str, Piece]]:
    """Soft rows at the target, then along the curve; hard rows last, which take the longest, the nearest ones along a curve, too."""
    for seed in range(SEEDS):
        yield f"soft-{trial.target:g}-{seed}", partial(softened, trial, trial.target, seed, seed < trial.forms)
    for share in trial.curve:
        for seed in range(trial.seeds):
            yield f"soft-{share:g}-{seed}", partial(softened, trial, share, seed, False)
    table, margins = trial.table, trial.margins

    def nearest(share: float, searched: bool = False) -> dict[str, Record]:
        few = trial.rows(share, len(table.names) + 1)
        found = partial(contingency_rows, table, margins, few, steps=STEPS)
        return {"hard rows, nearest": trial.judged(lambda: found()[0], searched)}

    def hard() -> dict[str, Record]:
        few = trial.rows(trial.target, len(table.names) + 1)
        chosen = torch.randperm(len(table), generator=generator(0, "benchmark", "weighed"))[:few]
        return nearest(trial.target, True) | {
            "random rows weighed anew": trial.judged(
                lambda: reweighted(counted(table.take(chosen)), margins, table, steps=STEPS)
            ),
        }

    for share in trial.hard:
        yield f"hard-{share:g}", partial(nearest, share)
    yield "hard", hard


def entry(title: str, file: str) -> str:
    """Where a record is entered: of rows along a curve each share of the bytes, which the file's name says, is a row of the table."""
    share = file.partition("-")[2].partition("-")[0]
    return f"{title}|{share}" if title in ("soft rows", "hard rows, nearest") else title


def table_of(name: str, found: dict[str, list[Record]]) -> None:
    """Print decisions of one network, and then graphs."""
    print(
        f"\n| {name} | rows | bytes, % | seeds | CPU s | alike, % | dependences lost, % | invented, % |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for title, of in found.items():
        cells = [
            " to ".join(f"{rows:,}" for rows in sorted({min(r["rows"] for r in of), max(r["rows"] for r in of)})),
            f"{np.mean([record['bytes'] for record in of]):.2f}",
            str(len(of)),
            f"{np.mean([record['seconds'] for record in of]):.1f}",
            *(spread([record[key] for record in of]) for key in ("alike", "lost", "invented")),
        ]
        print(f"| {title.split('|')[0]} | {' | '.join(cells)} |")
    print(
        f"\n| {name} | rows | edges that differ from all rows' | CPDAG distance | edges that differ from the truth | CPDAG distance "
        "| F1 of edges, % |\n|---|---|---|---|---|---|---|"
    )
    for title, records in found.items():
        of = [record for record in records if "full" in record]
        if of:
            cells = [
                spread([record[to][key] for record in of])
                for to in ("full", "truth")
                for key in ("skeleton", "cpdag", "f1")
                if (to, key) != ("full", "f1")
            ]
            print(f"| {title.split('|')[0]} | {of[0]['rows']:,} | {' | '.join(cells)} |")


def main(options: argparse.Namespace) -> None:
    """Print the tables in Markdown."""
    for name in options.networks.split(","):
        trial, found = TRIALS[name], dict[str, list[Record]]()
        for pieces in (cheap, unaware, fitted):
            for file, make in pieces(trial):
                of = kept(options.out / "discrete" / name / f"{file}.json", make)
                for title, record in of.items():
                    found.setdefault(entry(title, file), []).append(record)
        table_of(name, found)
