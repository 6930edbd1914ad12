"""Every way to choose rows, under one protocol: ``python -m benchmarks.selection [mnist] [cifar10]``.

Goes on where it was stopped, and writes the tables of `selection.md` to the standard output when all is done.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import attar
from attar.methods import el2n, facility_location, herding, kmeans
from attar.plan import keep_freed_memory

METHODS = [
    "kmeans",
    ("kmeans-medoids", kmeans(centres="medoids")),
    "herding",
    ("herding-features", herding(features="convnet3-32")),
    "k_center",
    "facility_location",
    ("facility_location-stochastic", facility_location(greedy="stochastic")),
    "graph_cut",
    "craig",
    "glister",
    "forgetting",
    "el2n",
    ("el2n-easy", el2n(prefer="easy")),
    "grand",
]
BUDGETS = {"mnist": (1, 10, 50), "cifar10": (1, 10)}


def table(out: Path) -> str:
    """A comparison as a Markdown table: a line a method, and for each budget accuracy, difference, seconds and memory."""
    rows: list[dict[str, Any]] = json.loads((out / "comparison.json").read_text())["rows"]
    budgets = sorted({row["per_class"] for row in rows if row["per_class"]})
    heads = [f"{budget} a class | against random | s | MB" for budget in budgets]
    lines = [f"| trained on | {' | '.join(heads)} |", f"|---|{'---|' * (4 * len(budgets))}"]
    for name in dict.fromkeys(row["method"] for row in rows):
        cells = {row["per_class"]: row for row in rows if row["method"] == name}
        if None in cells:
            lines.append(
                f"| full data ({cells[None]['rows']:,} rows) | {accuracy(cells[None])} |{' |' * (4 * len(budgets) - 1)}"
            )
        else:
            lines.append(f"| `{name}` | {' | '.join(cell(cells.get(budget)) for budget in budgets)} |")
    return "\n".join(lines)


def cell(row: dict[str, Any] | None) -> str:
    if row is None or row["mean"] is None:
        return " | | | "
    beside = row["against_random"]
    difference = ""
    if beside is not None:
        difference = f"{100 * beside['mean']:+.1f} [{100 * beside['low']:+.1f}, {100 * beside['high']:+.1f}]"
    memory = "" if row["memory"] is None else f"{row['memory'] / 1e6:,.0f}"
    return f"{accuracy(row)} | {difference} | {row['seconds']:,.1f} | {memory}"


def accuracy(row: dict[str, Any]) -> str:
    return f"{100 * row['mean']:.1f} ± {100 * (row['std'] or 0):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=list(BUDGETS), help="of mnist and cifar10")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    keep_freed_memory()
    for name in options.data:
        out = options.out / f"selection-{name}"
        found = attar.compare(name, METHODS, BUDGETS[name], seeds=options.seeds, workers=options.workers, out=out)
        best = {row.per_class: row.best_coreset for row in found.rows if row.best_coreset}
        print(f"\n{name}; best by validation: {best}\n\n{table(out)}\n", flush=True)


if __name__ == "__main__":
    main()
