"""The end of rows that keep mechanisms: they are changed until moments are those of the source, and the card says what is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attar.distilled import Distilled
from attar.tables import Schema, Statistics, Table
from attar.tables.adjusted import moment_gap, with_means, with_moments
from attar.tables.ranges import Ranges
from attar.tables.statistics import MOMENTS_ALONE
from attar.types import Problem

__all__ = ["settled"]

_KEPT = 1e-9
"""A gap, in standard deviations, up to which a moment is said to be kept: rounding, with room for ill-conditioned rows."""

_NOTHING = "No statistic of the source is kept to rounding: p-values of tests of these rows, and effects, are not those of the source."


def settled(problem: Problem, state: dict[str, Any], value: Distilled, moments: bool) -> Distilled:
    """A finished set and, in its record under "table", what its card is to say (see `attar.distilled.tables.as_table`).

    Args:
        problem: a table's.
        state: "graph" and "discovered"; of the source's joint rows (see `Schema.joint`) "source": "mean", "covariance" and "size".
        value: rows that were learned.
        moments: whether they are changed until means and covariances are those of the source.
    """
    how = "pc discovered on the training rows" if state["discovered"] else "was given"
    edges = ", ".join(state["graph"]) or "no edges"
    matched = [
        f"Matched, and not kept to rounding, is what each column does given its parents in the graph that {how}: {edges}."
    ] * state.get("matched", True)  # unless it weighed nothing
    told: dict[str, Any] = {
        "keeps": [],
        "warnings": matched,
        "statistics": Statistics().to_json(),
    }
    if moments:
        value, gap = _changed(problem.spec.schema, value, {k: state["source"][k].cpu() for k in ("mean", "covariance")})
        if gap <= _KEPT:
            told["n_represented"] = state["source"]["size"]
            told["keeps"].append(
                f"means and covariances of all columns, to {max(gap, 1e-15):.0e} of a standard deviation"
            )
            told["statistics"] = Statistics(moments=True).to_json()
        else:
            told["warnings"].append(
                f"Means and covariances differ from those of the source by up to {gap:.2g} standard deviations, for these rows leave no "
                "room to keep them: more rows may."
            )
    told["warnings"].append(MOMENTS_ALONE if told["keeps"] else _NOTHING)
    return replace(value, made_by={**value.made_by, "mechanisms": {"graph": list(state["graph"])}, "table": told})


def _changed(schema: Schema, value: Distilled, source: dict[str, Tensor]) -> tuple[Distilled, float]:
    """The set with moments as near to the source's as it can have them, and the gap that is left.

    Columns that hold any number, and probabilities of categories, are changed; those that hold steps, and class ids, stay, and
    weights, where there are any, are changed for their moments.
    """
    batch = value.data
    ranges = Ranges.of(schema.inputs)
    if schema.target:
        ranges = ranges.join(Ranges.of_classes(len(schema.classes)) if schema.classes else Ranges.of(schema.output))
    free = ~ranges.stepped
    if schema.classes and batch.y is not None and batch.y.dim() == 1:
        free[schema.groups[schema.target]] = False
    table = _read(schema, batch.x, batch.y, batch.weight)
    rows, share = schema.joint(*schema.split(table)), table.shares
    if batch.weight is not None and not bool(free.all()):
        share = with_means(share, *_moments_of(rows, source, ~free))
    rows = with_moments(rows, share, source["mean"], source["covariance"], free, ranges)
    y = batch.y if batch.y is None or batch.y.dim() == 1 else rows[:, schema.width :]
    weight = None if batch.weight is None else share * len(rows)
    kept = batch.replace(x=rows[:, : schema.width], y=y, weight=weight)
    read = schema.joint(*schema.split(_read(schema, kept.x, kept.y, weight)))  # as whoever opens the set reads it
    return replace(value, data=kept), moment_gap(read, share, source["mean"], source["covariance"], ranges)


def _read(schema: Schema, x: Tensor, y: Tensor | None, weight: Tensor | None) -> Table:
    return schema.table(x, y, weight, soft=True)


def _moments_of(rows: Tensor, source: dict[str, Tensor], fixed: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of fixed columns and products of two of them, and the means of all these in the source."""
    mean, centred = source["mean"][fixed], rows[:, fixed] - source["mean"][fixed]
    first, second = torch.triu_indices(len(mean), len(mean))
    products = centred[:, first] * centred[:, second]
    wanted = source["covariance"][fixed][:, fixed][first, second]
    return torch.cat([centred, products], dim=1), torch.cat([torch.zeros_like(mean), wanted])
