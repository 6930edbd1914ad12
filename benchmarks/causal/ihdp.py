"""The average effect of the IHDP trial from few rows: five replications (Hill 2011), whose true effect is known.

Each way to make or choose rows is asked for 20, 50 and 100 of them, and the effect is estimated from these alone, by the three
linear estimators that effect rows keep and by boosted trees in each arm, which they were not made for. No way sees the outcome under the
other treatment or its mean: these only judge.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attar.causal.effects import ESTIMATORS, effect
from attar.causal.preserving import effect_rows
from attar.data.tabular import read
from attar.errors import AttarError
from attar.rng import generator
from attar.tables import Column, Moments, Table, real_rows
from benchmarks.causal import kept, real_data

BUDGETS = (20, 50, 100)
SEEDS = 5
DRAWS = 2  # of effect rows, each of which is up to eight searches
ADJUST = tuple(f"x{place}" for place in range(1, 26))
NAMES = ("treatment", "y", "counterfactual", "mu0", "mu1", *ADJUST)
Ways = Iterator[tuple[str, int, Table | str]]


def arms(table: Table, rows: int) -> list[tuple[np.ndarray, int]]:
    """The rows of each arm, and its part of a number of rows, two at least."""
    treated = table.numbers(["treatment"])[:, 0].numpy()
    count = max(2, round(rows * treated.mean()))
    return [(np.flatnonzero(treated == arm), part) for arm, part in ((1, count), (0, rows - count))]


def stratified(table: Table, rows: int, seed: int) -> Table:
    """Rows drawn in each arm, which weigh what the arm does."""
    draws = np.random.default_rng(seed)
    parts = [(draws.choice(own, count, replace=False), len(own) / count) for own, count in arms(table, rows)]
    ids = torch.from_numpy(np.concatenate([ids for ids, _ in parts]))
    weight = torch.cat([torch.full((len(ids),), share).double() for ids, share in parts])
    return table.replace(values=table.values[ids], weight=weight, n_represented=table.size)


def centres(table: Table, rows: int, seed: int) -> Table:
    """Centres of clusters of the standardised adjustment and outcome in each arm, weighted by what they are the centres of."""
    from sklearn.cluster import KMeans

    numbers = table.numbers()
    mean, deviation = numbers.mean(0), numbers.std(0)
    found, weight = [], []
    for own, count in arms(table, rows):
        scaled = ((numbers - mean) / deviation)[torch.from_numpy(own)].numpy()
        clusters = KMeans(count, random_state=seed, n_init=3).fit(scaled)
        centre = torch.from_numpy(clusters.cluster_centers_).double() * deviation + mean
        centre[:, 0] = numbers[own[0], 0]
        found.append(centre)
        weight.append(torch.from_numpy(np.bincount(clusters.labels_, minlength=count)).double())
    return Table(torch.cat(found), tuple(map(Column, table.names)), torch.cat(weight), table.size)


def fixed(table: Table) -> Ways:
    """Ways that choose the number of rows themselves, and all rows."""
    yield "all rows", 0, table
    for seed in range(SEEDS):
        yield "a bootstrap of all rows", seed, table.resampled(len(table), generator(seed, "bootstrap"))
    yield "effect rows, weighted real ones", 0, effect_rows(table, "treatment", "y", ADJUST)[0]
    yield "moments, weighted real rows", 0, real_rows(table)
    yield "moments, made rows", 0, Moments.of(table).rows()


def budgeted(table: Table, rows: int) -> Ways:
    """Ways that are asked for so many rows."""
    try:
        for seed in range(DRAWS):
            found, gap = effect_rows(table, "treatment", "y", ADJUST, rows, generator=generator(seed, "effect rows"))
            print(f"  {rows} rows, seed {seed}: {gap}", flush=True)
            yield "effect rows", seed, found
    except AttarError as error:
        yield "effect rows", 0, str(error)
    for seed in range(SEEDS):
        drawn = np.random.default_rng(seed).choice(len(table), rows, replace=False)
        yield "random rows", seed, table.take(torch.from_numpy(drawn))
        yield "random rows in each arm, weighted", seed, stratified(table, rows, seed)
        yield "k-means centres in each arm, weighted", seed, centres(table, rows, seed)


def trees(rows: Table, everyone: Table, truth: np.ndarray) -> dict[str, float]:
    """Boosted trees in each arm (scikit-learn's defaults but for depth 2): their average effect over the rows, and the root mean
    squared error of the effect that they say of each row of the full table."""
    from sklearn.ensemble import GradientBoostingRegressor

    numbers, share = rows.numbers().numpy(), rows.shares.numpy()
    arm, y, x = numbers[:, 0], numbers[:, 1], numbers[:, 2:]
    learners = []
    for value in (1, 0):
        own = arm == value
        if not own.any():
            return {}
        learner = GradientBoostingRegressor(max_depth=2, random_state=0)
        learners.append(learner.fit(x[own], y[own], sample_weight=share[own]))
    average, of_all = (
        learners[0].predict(at) - learners[1].predict(at) for at in (x, everyone.numbers().numpy()[:, 2:])
    )
    return {"average": float(share @ average), "each": float(np.sqrt(np.mean((of_all - truth) ** 2)))}


def judged(rows: Table, everyone: Table, truth: np.ndarray) -> dict[str, Any]:
    """What the estimators say of rows; nothing where they refuse them."""
    found: dict[str, Any] = {"rows": len(rows)}
    for name in ESTIMATORS:
        try:
            result = effect(rows, "treatment", "y", ADJUST, name)
            found[name] = [result.estimate, result.error]
        except AttarError:
            found[name] = None
    return found | {"trees": trees(rows, everyone, truth)}


def replication(path: Path, rows: int | None) -> dict[str, Any]:
    """All ways of one replication at one number of rows."""
    whole = read(path, names=NAMES).table
    gain = (whole.numbers(["mu1"]) - whole.numbers(["mu0"]))[:, 0].numpy()
    table = whole.only(["treatment", "y", *ADJUST])
    found = []
    for name, seed, chosen in fixed(table) if rows is None else budgeted(table, rows):
        record = {"refused": chosen} if isinstance(chosen, str) else judged(chosen, table, gain)
        found.append({"way": name, "seed": seed} | record)
    return {"truth": float(gain.mean()), "ways": found}


def apart(numbers: list[float], refused: int) -> str:
    """Mean and largest distance, and how often an estimator refused the rows."""
    cell = f"{np.mean(numbers):.2g} (at most {np.max(numbers):.2g})" if numbers else ""
    return cell + (f"{'; ' if cell else ''}refused {refused} of {refused + len(numbers)}" if refused else "")


def line(way: str, own: list[tuple[dict[str, Any], dict[str, Any], float]]) -> str:
    """One way's row of the table, from its records, those of all rows, and the truth."""
    cells = []
    for name in ESTIMATORS:
        judged = [(each[name][0], full[name][0]) for each, full, _ in own if each.get(name)]
        cells.append(apart([abs(one - other) for one, other in judged], len(own) - len(judged)))
    truths = []
    for name in ESTIMATORS:
        off = [abs(each[name][0] - truth) for each, _, truth in own if each.get(name)]
        truths.append(f"{np.mean(off):.2f}" if off else "-")
    by_trees = [(each["trees"], full["trees"], truth) for each, full, truth in own if each.get("trees")]
    of_trees = ["", "", ""]
    if by_trees:
        of_trees[0] = f"{np.mean([abs(one['average'] - other['average']) for one, other, _ in by_trees]):.2f}"
        of_trees[1] = f"{np.mean([abs(one['average'] - truth) for one, _, truth in by_trees]):.2f}"
        of_trees[2] = f"{np.mean([one['each'] for one, _, _ in by_trees]):.2f}"
    sizes = sorted({each["rows"] for each, *_ in own if "rows" in each})
    size = "" if not sizes else str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"| {way} | {size} | {' | '.join(cells)} | {' / '.join(truths)} | {' | '.join(of_trees)} |"


def main(options: argparse.Namespace) -> None:
    folder = real_data() / "ihdp"
    paths = [folder / f"ihdp_npci_{number}.csv" for number in range(1, 6)]
    found: dict[int | None, list[dict[str, Any]]] = {}
    for rows in (None, *BUDGETS):
        name = "any" if rows is None else str(rows)
        found[rows] = [
            kept(
                options.out / "ihdp" / f"{path.stem}-{name}.json", lambda path=path, rows=rows: replication(path, rows)
            )
            for path in paths
        ]
    full = [each["ways"][0] for each in found[None]]
    print(
        "\nDistance to the estimate of all rows, mean over replications and seeds; then to the truth, by the same three.\n"
    )
    print(
        "| way | rows | regression | ipw | aipw | error against the truth, the three | trees: distance to theirs of all rows "
        "| error against the truth | of each row's effect |\n|---|---|---|---|---|---|---|---|---|"
    )
    for records in found.values():
        for way in dict.fromkeys(each["way"] for each in records[0]["ways"]):
            own = [
                (each, whole, record["truth"])
                for record, whole in zip(records, full, strict=True)
                for each in record["ways"]
                if each["way"] == way
            ]
            print(line(way, own))
    refusals = {
        each["refused"]
        for records in found.values()
        for record in records
        for each in record["ways"]
        if "refused" in each
    }
    print("\n" + "\n".join(sorted(refusals)))
