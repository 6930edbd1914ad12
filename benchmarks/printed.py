"""Comparisons as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attar.compare.study import WHOLE_NAMES

__all__ = ["group_table", "table"]


def table(out: Path) -> str:
    """A comparison as a Markdown table: a line a method, and for each budget accuracy, difference, seconds and memory."""
    rows: list[dict[str, Any]] = json.loads((out / "comparison.json").read_text())["rows"]
    budgets = sorted({row["per_class"] for row in rows if row["per_class"]})
    heads = [f"{budget} a class | against random | s | MB" for budget in budgets]
    lines = [f"| trained on | {' | '.join(heads)} |", f"|---|{'---|' * (4 * len(budgets))}"]
    for name in dict.fromkeys(map(called, rows)):
        cells = {row["per_class"]: row for row in rows if called(row) == name}
        if None in cells:
            whole = WHOLE_NAMES[cells[None]["method"]]
            lines.append(
                f"| {whole} ({cells[None]['rows']:,} rows) | {accuracy(cells[None])} |{' |' * (4 * len(budgets) - 1)}"
            )
        else:
            lines.append(f"| {name} | {' | '.join(cell(cells.get(budget)) for budget in budgets)} |")
    return "\n".join(lines)


def group_table(out: Path) -> str:
    """Of a comparison on data with an attribute: a line a method, and for each budget accuracy, that of the worst group and how
    much larger differences between groups are than on full data. Nothing on other data."""
    rows: list[dict[str, Any]] = json.loads((out / "comparison.json").read_text())["rows"]
    rows = [row for row in rows if row.get("worst_group") is not None]
    if not rows:
        return ""
    lines = ["| trained on | a class | model | accuracy | worst group | amplification |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row["amplification"] is None else f"{row['amplification']:.2f}"
        worst = f"{100 * row['worst_group']:.1f} ± {100 * (row['worst_group_std'] or 0):.1f}"
        kept = row["per_class"] or "all"
        lines.append(f"| `{row['method']}` | {kept} | {row['model']} | {accuracy(row)} | {worst} | {ratio} |")
    return "\n".join(lines)


def called(row: dict[str, Any]) -> str:
    """A row of the table in words: of soft labels which, and of rows that borrow labels whose, so that no two are called the same."""
    if row["labels_from"]:
        return f"`{row['method']}` with the labels of `{row['labels_from']}`"
    return f"`{row['method']}`" + ("" if row["labels"] in ("hard", None) else f", {row['labels']} labels")


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
