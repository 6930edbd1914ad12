"""From a CSV to a distilled table, its graph and its effect: five rows tell what twenty thousand tell.

A made-up trial: doses were given by severity, so that patients with more of it fare worse; age matters to both. Needs the extra `causal`.
"""

import csv
import random
import tempfile
from pathlib import Path

from attar import causal
from attar.data.tabular import read
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.tables import Moments

folder, draws = Path(tempfile.mkdtemp()), random.Random(0)
with open(folder / "trial.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["age", "severity", "dose", "recovery"])
    for _ in range(20_000):
        age = draws.gauss(50, 12)
        severity = 0.05 * age + draws.gauss(0, 1)
        dose = 2 * severity + draws.gauss(0, 1)
        rows.writerow([age, severity, dose, 1.5 * dose - 4 * severity - 0.02 * age + draws.gauss(0, 2)])

full = read(folder / "trial.csv").table
small = DistilledTable(Moments.of(full).rows(), target="recovery", treatment="dose", keeps=("mean and covariance",))
small.save(folder / "small")
print(small.summary())

opened = Distilled.load(folder / "small").data
for name, table in (("all", full), ("distilled", opened)):
    graph = causal.discover(table).graph
    found = causal.effect(table, "dose", "recovery", adjust=["severity", "age"])
    naive = causal.effect(table, "dose", "recovery")
    print(f"\n{len(table):,} rows ({name}), read as {table.size:,.0f}")
    edges = [f"{i} -> {j}" for i, j in graph.directed] + [f"{i} - {j}" for i, j in graph.undirected]
    print(f"  graph: {', '.join(edges)}")
    print(f"  a dose more: {found.estimate:.4f} ({found.low:.4f} to {found.high:.4f}); unadjusted {naive.estimate:.4f}")
