"""From a CSV to a distilled table, its graph and its effect: five rows tell what twenty thousand tell.

In cells, as a notebook has them; editors that know ``# %%`` run them one by one. Needs the extra `causal`.
"""

# %% A made-up trial: doses were given by severity, so that who got more fares worse; age matters to both.
import csv
import random
import tempfile
from pathlib import Path

import attar

folder, draws = Path(tempfile.mkdtemp()), random.Random(0)
with open(folder / "trial.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["age", "severity", "dose", "recovery"])
    for _ in range(25_000):
        age = draws.gauss(50, 12)
        severity = 0.05 * age + draws.gauss(0, 1)
        dose = 2 * severity + draws.gauss(0, 1)
        rows.writerow([age, severity, dose, 1.5 * dose - 4 * severity - 0.02 * age + draws.gauss(0, 2)])

# %% From the CSV to a distilled table. A fifth of its rows is set aside for tests first.
trial = attar.data.table(folder / "trial.csv", target="recovery", treatment="dose")
small = attar.distill(attar.methods.moments(), trial, attar.Budget(size=5)).value
small.save(folder / "small")
print(small.summary())

# %% Its graph, beside that of all training rows. The folder opens on any machine.
opened = attar.Distilled.load(folder / "small")
for name, table in (("all", trial), ("distilled", opened)):
    graph = attar.causal.discover(table).graph
    edges = [f"{i} -> {j}" for i, j in graph.directed] + [f"{i} - {j}" for i, j in graph.undirected]
    print(f"graph of {name}: {', '.join(edges)}")

# %% Its effect: what a dose more does, adjusted for what decided on the dose, and what it only seems to do.
for name, table in (("all", trial), ("distilled", opened)):
    found = attar.causal.effect(table, "dose", "recovery", adjust=["severity", "age"])
    naive = attar.causal.effect(table, "dose", "recovery")
    print(f"a dose more, of {name} (n = {found.size:,.0f}): {found.estimate:.4f} ({found.low:.4f} to {found.high:.4f})")
    print(f"  unadjusted: {naive.estimate:.4f}")
