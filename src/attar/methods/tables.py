"""Tables whose causal structure is kept as far as rows can: by moments, by contingency tables, or by the equations that estimators of
effects solve. Direct methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from attar import rng
from attar.causal import Graph, agreement, discover, effect_rows, independence
from attar.causal.edges import graph_of
from attar.causal.preserving import NEARLY
from attar.data import table_of
from attar.distilled.tables import DistilledTable, label_form
from attar.evaluation.conclusions import words_of
from attar.objectives.mechanisms import acyclic
from attar.tables import (
    Gap,
    Margins,
    Moments,
    Statistics,
    Table,
    contingency_rows,
    counted,
    drawn,
    real_row_ids,
    rounded,
    soft_rows,
)
from attar.tables.statistics import MOMENTS_ALONE
from attar.types import AttarError, Budget, Problem

__all__ = ["ContingencyRows", "EffectRows", "MomentRows", "contingency", "effects", "moments"]

ALIKE = 0.95
"""The share of decisions on independence, alike with those of all rows, from which p-values of soft rows are called valid."""

MOST_TESTS = 1_000
"""Of each number of given columns, that are compared."""

_LEVEL = 0.01

_ROUNDING = 1e-9
"""A cell that is off by no more, as a share, is the same."""

MOST_NUMBERS = 60
"""Of real rows that keep moments: the time grows with the sixth power."""


@dataclass(frozen=True)
class MomentRows:
    """Rows with the mean and covariance of all; see `moments`."""

    form: Literal["synthetic", "real"] = "synthetic"
    name: str = "moments"

    def __post_init__(self) -> None:
        if self.form not in ("synthetic", "real"):
            raise AttarError(f"form='{self.form}' is none of rows that keep moments: give synthetic or real.")

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> DistilledTable:
        table, most = table_of(problem), rows_of(problem, budget)
        kept = Moments.of(table)
        record: dict[str, Any] = {}
        if self.form == "synthetic":
            _enough(most, kept.rank + 1, f"as few rows as have the mean and covariance of {len(kept.mean)} numbers")
            rows = kept.rows()
            warnings = [kept.leaves(rows).sentence, "These rows were computed: none of them was measured."]
        else:
            if len(kept.mean) > MOST_NUMBERS:
                raise AttarError(
                    f"The columns are {len(kept.mean)} numbers, a category each one, and real rows are found for {MOST_NUMBERS} at most: "
                    "leave columns out, or use form='synthetic'."
                )
            ids, weight = real_row_ids(table)
            _enough(most, len(ids), "as many real rows as were found to keep mean and covariance by their weights")
            said = Statistics(moments=True)
            rows = table.replace(values=table.values[ids], weight=weight, n_represented=table.size, kept=said)
            origins = problem.origins if problem.origins is not None else range(len(problem.train))
            record["selected"] = [{"row": origins[row]} for row in ids.tolist()]
            warnings = []
        keeps = [
            f"mean and covariance of all columns as numbers, at n = {table.size:,.0f}: every Fisher-z test, linear regression and "
            "Gaussian score is that of the training rows"
        ]
        return _made(problem, rows, keeps, [*_fewer(rows, most), *warnings, MOMENTS_ALONE], record)


@dataclass(frozen=True)
class ContingencyRows:
    """Rows with the contingency tables of all, as near as they hold them; see `contingency`."""

    form: Literal["soft", "hard", "rounded", "drawn"] = "soft"
    order: int = 2
    graph: tuple[str, ...] = ()
    updates: int = 200
    statistics: float = 100.0
    discover: bool = False
    name: str = "contingency"

    def __post_init__(self) -> None:
        if self.form not in ("soft", "hard", "rounded", "drawn"):
            raise AttarError(
                f"form='{self.form}' is none of rows that keep contingency tables: give soft, hard, rounded or drawn."
            )
        if self.order < 0 or self.updates < 0 or self.statistics < 0:
            raise AttarError("order, updates and statistics are 0 or more.")
        if self.graph and self.discover:
            raise AttarError(
                "A graph is given or discovered, and not both: leave out graph (--graph) or discover (--discover)."
            )

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> DistilledTable:
        table, most = table_of(problem), rows_of(problem, budget)
        number = next((column.name for column in table.columns if not column.discrete), None)
        if number is not None:
            raise AttarError(
                f"Column '{number}' is continuous, so it has no contingency table: cut it into categories first, or use the method "
                "moments."
            )
        graph = self._graph(table)
        if graph is None:
            margins = Margins.of_order(table.names, min(self.order + 2, len(table.names)))
        else:
            margins = Margins.of_families({name: graph.parents(name) for name in table.names})
        rows, gap, note = self._rows(table, margins, most, rng.draw_seed(generator))
        record: dict[str, Any] = {
            "gap": {"cell": gap.cell, "variation": gap.variation, "mean_variation": gap.mean_variation}
        }
        kind = what = f"margins of {len(margins.families[0])} columns"
        if graph is not None:
            edges = [f"{start}->{end}" for start, end in graph.directed]
            record["families"] = {"graph": edges, "discovered": self.discover}
            found = (
                f"that pc discovered on the training rows, as one DAG of its class: {', '.join(edges) or 'no edges'}"
            )
            how = found if self.discover else ""
            kind = "(node, parents) families of the graph"
            what = f"{kind} {how}".rstrip()
        at = f"at n = {table.size:,.0f}"
        if gap.cell < _ROUNDING:
            keeps = [f"the {what}, exactly, {at}"]
            if graph is None:
                keeps.append(f"tests of independence given up to {self.order} columns, which read no more than these")
            elif rows.kept is None:
                keeps.append("every other contingency table as well: these are all distinct rows, counted")
            else:
                note.insert(0, _beyond(rows, table, self.order))
            return _made(problem, rows, keeps, [*_fewer(rows, most), *note], record)
        families = [(family, len(family) - 2) for family in margins.families]
        tests, lost, invented = _decided(rows, table, [(table.names, self.order)] if graph is None else families)
        alike = 1 - (lost + invented) / max(tests, 1)
        nearly = self.form == "soft" and rows.kept != Statistics() and tests > 0 and alike >= ALIKE
        rows = rows if nearly else rows.replace(kept=Statistics())
        said = f"Not kept to rounding: the {kind} are off by {gap}."
        if tests:
            given = "within them" if graph is not None else f"given up to {self.order} columns"
            said += (
                f" Of {tests:,} tests of independence {given} (G2 at {_LEVEL}) {100 * alike:.1f} % are decided as by the training rows; "
                f"dependences lost: {lost:,}, invented: {invented:,}."
            )
        note.insert(0, said if nearly else f"{said} So p-values of these rows are not valid.")
        return _made(problem, rows, [f"the {what}, but for {gap}, {at}"] if nearly else [], note, record)

    def _rows(self, table: Table, margins: Margins, most: int, seed: int) -> tuple[Table, Gap, list[str]]:
        """Rows of the form, or what keeps more where it fits; their gap, and what is to be said of the form."""
        settings: dict[str, Any] = {"steps": self.updates, "statistics": self.statistics}
        if self.form == "hard" or len(counted(table)) <= most:
            return *contingency_rows(table, margins, most, seed=seed, **settings), []
        rows, note = soft_rows(table, margins, most, seed=seed, **settings), []
        if self.form == "rounded":
            rows = rounded(rows)
            note = ["Cells were rounded to what is most probable in a soft row, so that what is rare is gone."]
        elif self.form == "drawn":
            rows = drawn(rows, most, rng.generator(seed, "drawn"))
            note = ["Rows were drawn from soft ones and stand for themselves: read them at their own number."]
        return rows, margins.gap(rows, table), note

    def _graph(self, table: Table) -> Graph | None:
        """The DAG whose families are kept; None for all margins."""
        if self.discover:
            return acyclic(discover(table, "pc", _LEVEL, "g2", order=self.order).graph)
        return acyclic(graph_of(table.names, self.graph)) if self.graph else None


@dataclass(frozen=True)
class EffectRows:
    """Rows with the effect estimates of all; see `effects`."""

    adjust: tuple[str, ...] = ()
    moments: bool = False
    clip: float = 0.01
    tries: int = 8
    name: str = "effects"

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> DistilledTable:
        table, most, schema = table_of(problem), rows_of(problem, budget), problem.spec.schema
        if not schema.treatment or not schema.target:
            raise AttarError(
                "An effect is that of a treatment on a target, and the data name none: load them with treatment=... and target=... "
                "(--treatment, --target)."
            )
        adjust = self.adjust or schema.covariates()
        rows, gap = effect_rows(
            table,
            schema.treatment,
            schema.target,
            adjust,
            most,
            moments=self.moments,
            clip=self.clip,
            tries=self.tries,
            generator=generator,
        )
        words = words_of([table.column(schema.treatment)]).get(schema.treatment)
        arms = f" ({words[1]} against {words[0]})" if words else ""
        keeps = [
            f"the effect of {schema.treatment}{arms} on {schema.target} adjusted for {', '.join(adjust)}, as regression, inverse "
            f"propensities and both (aipw) estimate it, to {gap.estimate:.1g} standard errors, and these to {100 * gap.error:.1g} %, at "
            f"n = {table.size:,.0f}"
        ]
        if not max(gap.estimate, gap.error) <= NEARLY:
            raise AttarError(
                f"No {most} rows were found that keep the effect of {schema.treatment} on {schema.target}: the nearest are off by "
                f"{gap.estimate:.2g} standard errors, and these by {100 * gap.error:.2g} %; give more rows, or adjust for fewer columns."
            )
        notes = (
            []
            if gap.real
            else ["Numbers were moved within the ranges of the source: the rows are like real ones, and are none."]
        )
        notes.append(
            "What a column is worth to a single row's effect is not kept: estimators of other kinds may say otherwise."
        )
        record = {"gap": {"estimate": gap.estimate, "error": gap.error}}
        return _made(problem, rows, keeps, [*_fewer(rows, most), *notes], record)


def moments(form: Literal["synthetic", "real"] = "synthetic") -> MomentRows:
    """Rows whose mean and covariance are those of all rows, to rounding, so that every linear-Gaussian conclusion is.

    Synthetic rows are as few as there can be, one more than the covariance's rank, however many the budget allows; real rows are at
    most ``1 + q + q (q + 1) / 2`` of q numbers, by weights. Categories of three or more are a number each.

    Args:
        form: synthetic rows, or weighted real ones.

    Returns:
        The method.

    Reference:
        attar's own; the vertex by Carathéodory's theorem.
    """
    return MomentRows(form)


def contingency(
    form: Literal["soft", "hard", "rounded", "drawn"] = "soft",
    order: int = 2,
    graph: Sequence[str] = (),
    updates: int = 200,
    statistics: float = 100.0,
    discover: bool = False,
) -> ContingencyRows:
    """Rows of a discrete table whose contingency tables are those of all rows, exactly where the budget allows, else the nearest.

    Where the distinct rows fit into the budget they are counted, which keeps everything.

    Args:
        form: soft rows hold probabilities in their cells; hard ones are real rows by new weights; rounded ones the most probable
            cells of soft ones; drawn ones drawn from these, which stand for themselves.
        order: columns that are given in the tests that are kept; margins have two more.
        graph: edges as cause->effect; where there are any, the margins of each node with its parents are kept in place of all.
        updates: of the last fit at most; 0 leaves soft rows the likeliest mixture.
        statistics: what the statistics of tests weigh beside the margins; 0 for margins alone.
        discover: find the graph by pc on the training rows, by G2 given up to `order` columns, and keep its families.

    Returns:
        The method.

    Reference:
        attar's own; latent classes as in Lazarsfeld and Henry: Latent Structure Analysis, 1968.
    """
    return ContingencyRows(form, order, tuple(graph), updates, statistics, discover)


def effects(adjust: Sequence[str] = (), moments: bool = False, clip: float = 0.01, tries: int = 8) -> EffectRows:
    """Rows from which regression, IPW and AIPW estimate the same effect of the treatment on the target as from all rows.

    An estimator's parameters solve equations that are means over rows; rows for which the same means vanish at the same parameters have
    the same estimates. Weighted real rows do where the budget allows them, else weights and numbers are moved.

    Args:
        adjust: columns that are held fixed; none given are all others.
        moments: keep mean and covariance of the columns, too.
        clip: propensities are kept between this and one less it.
        tries: starts to look from.

    Returns:
        The method.

    Reference:
        attar's own; estimating equations as in Stefanski and Boos: The calculus of M-estimation, The American Statistician 2002.
    """
    return EffectRows(tuple(adjust), moments, clip, tries)


def rows_of(problem: Problem, budget: Budget) -> int:
    """How many rows a budget allows in all.

    Raises:
        AttarError: if it asks for more rows than there are.
    """
    return sum(budget.counts([len(rows) for rows in problem.members.values()], problem.spec.class_names or None))


def _enough(most: int, needed: int, what: str) -> None:
    if most < needed:
        raise AttarError(
            f"The budget allows {most} rows, and {needed} are needed, {what}: give --rows {needed} or more."
        )


def _decided(rows: Table, table: Table, within: Sequence[tuple[Sequence[str], int]]) -> tuple[int, int, int]:
    """How many tests by G2 rows and table were asked for, within columns and up to an order of given ones each, and how many
    dependences the rows lose and invent. None where soft rows have too many cells to count."""
    tests = lost = invented = 0
    for names, given in within:
        if len(names) < 2:
            continue
        try:
            mine, theirs = (
                independence(each.only(names), "g2", given, _LEVEL, most=MOST_TESTS) for each in (rows, table)
            )
        except AttarError:
            return 0, 0, 0
        found = agreement(mine, theirs)
        tests, lost, invented = tests + found.tests, lost + found.lost_count, invented + found.invented_count
    return tests, lost, invented


def _beyond(rows: Table, table: Table, order: int) -> str:
    """What becomes of tests that read more than the families that are kept."""
    tests, lost, invented = _decided(rows, table, [(table.names, order)])
    said = "Beyond these families nothing is kept, so p-values of tests of other columns are not valid, nor graphs that read them."
    if not tests:
        return said
    alike = 100 * (1 - (lost + invented) / tests)
    return (
        f"{said} Of {tests:,} tests of independence of all columns given up to {order} (G2 at {_LEVEL}) {alike:.1f} % are decided as by "
        f"the training rows; dependences lost: {lost:,}, invented: {invented:,}."
    )


def _fewer(rows: Table, most: int) -> list[str]:
    """That all that is kept is kept in fewer rows than the budget allows, where it is."""
    return [f"{len(rows):,} rows suffice for all that is kept; {most:,} were asked for."] if len(rows) < most else []


def _made(
    problem: Problem, rows: Table, keeps: Sequence[str], warnings: Sequence[str], record: dict[str, Any]
) -> DistilledTable:
    schema = problem.spec.schema
    named = {name if name in rows.names else "" for name in (schema.target, schema.treatment)}
    target = schema.target if schema.target in named else ""
    treatment = schema.treatment if schema.treatment in named else ""
    form = label_form(rows, schema)
    return DistilledTable(rows, target, treatment, tuple(keeps), tuple(warnings), record, form)
