"""Tables whose causal structure is kept as far as rows can: by moments, by contingency tables, or by the equations that estimators of
effects solve. Direct methods."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from attar import rng
from attar.causal import Graph, discover, effect_rows
from attar.causal.edges import graph_of
from attar.causal.preserving import NEARLY
from attar.data import table_of
from attar.distilled.tables import DistilledTable
from attar.estimate import roughly
from attar.evaluation.conclusions import words_of
from attar.methods.finishing import LEVEL, beyond, changed_decisions, enough, fewer, made
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
    vertex_rows,
)
from attar.tables.contingency import vertex_may_fit, vertex_seconds
from attar.tables.statistics import MOMENTS_ALONE
from attar.types import AttarError, Budget, Problem

__all__ = ["ContingencyRows", "EffectRows", "MomentRows", "contingency", "effects", "moments"]

ALIKE = 0.95
"""The share of decisions on independence, alike with those of all rows, from which p-values of soft rows are called valid."""

_ROUNDING = 1e-9
"""A cell that is off by no more, as a share, is the same."""

MOST_NUMBERS = 60
"""Of real rows that keep moments: the time grows with the sixth power."""

FORMS = ("soft", "hard", "rounded", "drawn", "counted", "vertex")
"""Of rows that keep contingency tables."""

TOLD_FROM = 60
"""Seconds from which on a vertex is foreseen in words, and looked for only where it may fit into the budget."""


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
            enough(most, kept.rank + 1, f"as few rows as have the mean and covariance of {len(kept.mean)} numbers")
            rows = kept.rows()
            warnings = [kept.leaves(rows).sentence, "These rows were computed: none of them was measured."]
        else:
            if len(kept.mean) > MOST_NUMBERS:
                raise AttarError(
                    f"The columns are {len(kept.mean)} numbers, a category each one, and real rows are found for {MOST_NUMBERS} at most: "
                    "leave columns out, or use form='synthetic'."
                )
            ids, weight = real_row_ids(table)
            enough(most, len(ids), "as many real rows as were found to keep mean and covariance by their weights")
            said = Statistics(moments=True)
            rows = table.replace(values=table.values[ids], weight=weight, n_represented=table.size, kept=said)
            origins = problem.origins if problem.origins is not None else range(len(problem.train))
            record["selected"] = [{"row": origins[row]} for row in ids.tolist()]
            warnings = []
        keeps = [
            f"mean and covariance of all columns as numbers, at n = {table.size:,.0f}: every Fisher-z test, linear regression and "
            "Gaussian score is that of the training rows"
        ]
        return made(problem, rows, keeps, [*fewer(rows, most), *warnings, MOMENTS_ALONE], record)


@dataclass(frozen=True)
class ContingencyRows:
    """Rows with the contingency tables of all, as near as they hold them; see `contingency`."""

    form: Literal["soft", "hard", "rounded", "drawn", "counted", "vertex"] = "soft"
    order: int = 2
    graph: tuple[str, ...] = ()
    updates: int = 200
    statistics: float = 100.0
    discover: bool = False
    name: str = "contingency"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            known = f"{', '.join(FORMS[:-1])} or {FORMS[-1]}"
            raise AttarError(f"form='{self.form}' is none of rows that keep contingency tables: give {known}.")
        if self.order < 0 or self.updates < 0 or self.statistics < 0:
            raise AttarError("order, updates and statistics are 0 or more.")
        if self.graph and self.discover:
            raise AttarError(
                "A graph is given or discovered, and not both: leave out graph (--graph) or discover (--discover)."
            )
        if self.form == "counted" and (self.graph or self.discover):
            raise AttarError(
                "form='counted' keeps every contingency table, so that no graph chooses among them: leave out graph (--graph) and "
                "discover (--discover)."
            )

    def foreseen(self, problem: Problem, budget: Budget) -> str:
        """What looking for a vertex takes, in words; empty where that is less than a minute, or its margins are to be discovered."""
        with contextlib.suppress(AttarError):  # which `finish` raises, and then leaves no folder behind
            if self.form == "vertex" and not self.discover:
                whole = counted(_discrete(problem))
                margins = self._margins(whole, self._graph(whole))
                seconds = vertex_seconds(whole, margins)
                if seconds >= TOLD_FROM:
                    cells = f"{margins.independent(whole):,} independent cells"
                    told = f"a vertex of {len(whole):,} distinct rows that keeps {cells}"
                    return f"{told}, which takes about {roughly(seconds)} at most on this machine"
        return ""

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> DistilledTable:
        table, most = _discrete(problem), rows_of(problem, budget)
        if self.form == "counted":
            return _counted(problem, table, most)
        graph = self._graph(table)
        margins = self._margins(table, graph)
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
                keeps.append(f"tests of independence given {self._given}, which read no more than these")
            if rows.kept is None:
                keeps.append("every other contingency table as well: these are all distinct rows, counted")
            elif graph is not None:
                note.insert(0, beyond(rows, table, self.order))
            return made(problem, rows, keeps, [*fewer(rows, most), *note], record)
        families = [(family, len(family) - 2) for family in margins.families]
        tests, lost, invented = changed_decisions(
            rows, table, [(table.names, self.order)] if graph is None else families
        )
        alike = 1 - (lost + invented) / max(tests, 1)
        nearly = self.form == "soft" and rows.kept != Statistics() and tests > 0 and alike >= ALIKE
        rows = rows if nearly else rows.replace(kept=Statistics())
        said = f"Not kept to rounding: the {kind} are off by {gap}."
        if tests:
            given = "within them" if graph is not None else f"given {self._given}"
            said += (
                f" Of {tests:,} tests of independence {given} (G2 at {LEVEL}) {100 * alike:.1f} % are decided as by the training rows; "
                f"dependences lost: {lost:,}, invented: {invented:,}."
            )
        note.insert(0, said if nearly else f"{said} So p-values of these rows are not valid.")
        return made(problem, rows, [f"the {what}, but for {gap}, {at}"] if nearly else [], note, record)

    def _rows(self, table: Table, margins: Margins, most: int, seed: int) -> tuple[Table, Gap, list[str]]:
        """Rows of the form, or what keeps more where it fits; their gap, and what is to be said of the form."""
        settings: dict[str, Any] = {"steps": self.updates, "statistics": self.statistics}
        if self.form == "vertex":
            rows = _vertex(counted(table), margins, most)
            return rows, margins.gap(rows, table), []
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
            return acyclic(discover(table, "pc", LEVEL, "g2", order=self.order).graph)
        return acyclic(graph_of(table.names, self.graph)) if self.graph else None

    @property
    def _given(self) -> str:
        return f"up to {self.order} column{'' if self.order == 1 else 's'}"

    def _margins(self, table: Table, graph: Graph | None) -> Margins:
        """What is kept: the families of a graph, or all margins of so many columns."""
        if graph is None:
            return Margins.of_order(table.names, min(self.order + 2, len(table.names)))
        return Margins.of_families({name: graph.parents(name) for name in table.names})


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
            none = "row was found that keeps" if most == 1 else f"{most} rows were found that keep"
            raise AttarError(
                f"No {none} the effect of {schema.treatment} on {schema.target}: the nearest are off by "
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
        return made(problem, rows, keeps, [*fewer(rows, most), *notes], record)


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
    form: Literal["soft", "hard", "rounded", "drawn", "counted", "vertex"] = "soft",
    order: int = 2,
    graph: Sequence[str] = (),
    updates: int = 200,
    statistics: float = 100.0,
    discover: bool = False,
) -> ContingencyRows:
    """Rows of a discrete table whose contingency tables are those of all rows, exactly where the budget allows, else the nearest.

    Where the distinct rows fit into the budget they are counted, which keeps everything, but for the form vertex.

    Args:
        form: soft rows hold probabilities in their cells; hard ones are real rows by new weights; rounded ones the most probable
            cells of soft ones; drawn ones drawn from these, which stand for themselves; counted ones are all distinct rows, and
            vertex ones as few of them as a vertex of the weights' polytope has: exact, and refused where they are too many.
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


def _discrete(problem: Problem) -> Table:
    """The rows of a problem, all of whose columns are discrete."""
    table = table_of(problem)
    number = next((column.name for column in table.columns if not column.discrete), None)
    if number is not None:
        raise AttarError(
            f"Column '{number}' is continuous, so it has no contingency table: cut it into categories first, or use the method "
            "moments."
        )
    return table


def _counted(problem: Problem, table: Table, most: int) -> DistilledTable:
    """All distinct rows with their counts."""
    rows = counted(table)
    enough(most, len(rows), "all distinct rows")
    keeps = [
        f"every contingency table, exactly, at n = {table.size:,.0f}: these are all distinct rows, counted",
        "every test of independence of these columns by G2, and every score of them that reads counts",
    ]
    record = {"gap": {"cell": 0.0, "variation": 0.0, "mean_variation": 0.0}}
    return made(problem, rows, keeps, fewer(rows, most), record)


def _vertex(whole: Table, margins: Margins, most: int) -> Table:
    """A vertex over distinct rows that keeps margins; the rows as counted where it has all of them."""
    needed = "as many as a vertex of the weights that keep these margins has"
    if not vertex_may_fit(whole, margins, most) and vertex_seconds(whole, margins) >= TOLD_FROM:
        enough(most, min(len(whole), margins.independent(whole) + 1), f"{needed} at most")
    rows = vertex_rows(whole, margins)
    enough(most, len(rows), needed)
    return rows if len(rows) < len(whole) else whole
