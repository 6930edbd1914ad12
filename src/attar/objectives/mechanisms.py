"""Match what each column does given its parents in a causal graph: the mechanisms that made the rows."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from attar.causal import Graph, discover, independence
from attar.causal.edges import graph_of, pair_of
from attar.causal.graphs import Edge
from attar.causal.independence import TestName, suited
from attar.causal.kernel import QUANTILES, WIDTH
from attar.distilled import Distilled
from attar.objectives.settled import settled
from attar.surrogates import Kernel, Segment, Weights
from attar.synthetic.synthetic import LabelForm
from attar.tables import Schema, Table
from attar.tables.moments import mean_and_covariance
from attar.types import AttarError, Batch, Problem, Task
from attar.views import View

__all__ = ["Mechanisms", "acyclic"]

_ROWS = 4096
"""Real rows whose features are held at a time."""

SLOW_ORDER = 2
"""The most columns that kernel tests of a discovery are given: of many rows they find nearly every pair dependent, and then pc tests
given every set of the others."""

TOLD_FROM = 60
"""Seconds from which on the tests of a discovery are foreseen in words."""

_CONSTANT = 1e-12
"""A variance below this is that of a constant, which nothing is divided by."""


@dataclass(frozen=True)
class Mechanisms:
    """``mean_v E_real |(C_real - C_synthetic) phi(pa_v)|^2 / V_v  +  statistics * S`` over the columns v, whose parents are pa_v.

    ``C = E[psi(v) phi(pa_v)'] (E[phi phi'] + ridge I)^-1`` is the kernel conditional mean embedding of a column given its parents,
    by random features: phi are a one, the parents' numbers, and random Fourier features of a Gaussian kernel of these; psi are the
    column's number with sines and cosines of it, or a number for each of its categories; V is the variance of psi in the real rows.
    A column without parents has ``phi = 1``, so that its mean embedding is matched. What is read of the real side is worked out
    once, of all training rows; the synthetic rows count by their weights.

    S is the mean squared gap between the correlations of psi of any two columns, and between their means and deviations: all that
    tests of independence read where nothing is given, and nearly all where little is. Where pairs are chosen (`preserve`), it counts
    the correlations between the two columns of each, and within these columns, and their means.

    Args:
        graph: edges "cause->effect", or "one--other" where the direction is not known; without any, pc discovers a graph on the
            training rows. What has no direction is directed as some DAG of the same class has it, or where there is none, so that
            no cycle is closed.
        features: random Fourier features of the parents.
        ridge: of the regression on phi, each of whose numbers has a mean square of about 1 or less.
        width: of their kernel, in standard deviations for one parent; of k its root of k times.
        statistics: weight of S; 0 for without.
        preserve: pairs of columns "one--other" whose correlations S counts; none for those of all pairs.
        moments: move the numbers of the finished rows as little as need be until their weighted means and covariances are those of
            all training rows, which the rows then stand for.
        test: of pc, where it discovers the graph: fisher_z, g2 or kernel; None for the one that suits the columns.
        order: the most columns that its tests are given; None for 2 of kernel tests, which take long, and all of others.

    Reference:
        Song, Huang, Smola, Fukumizu: Hilbert space embeddings of conditional distributions with applications to dynamical systems,
        ICML 2009 (the embedding); Rahimi, Recht: Random features for large-scale kernel machines, NeurIPS 2007. As an objective of
        distillation it is attar's own.
    """

    graph: tuple[str, ...] = ()
    features: int = 64
    ridge: float = 1e-3
    width: float = 1.0
    statistics: float = 1.0
    moments: bool = True
    test: TestName | None = None
    order: int | None = None
    preserve: tuple[str, ...] = ()

    reads: ClassVar[tuple[type, ...]] = (Kernel, Weights, Segment)
    labels: ClassVar[tuple[LabelForm, ...]] = ("hard", "soft", "learned", "logits", "regression")

    def __post_init__(self) -> None:
        if self.features < 1:
            raise AttarError(f"{self.features} features tell nothing of the parents: give 1 or more.")
        if not (0 < self.ridge < math.inf and 0 < self.width < math.inf):
            raise AttarError(f"ridge={self.ridge} and width={self.width} make no regression: give numbers above 0.")
        if not 0 <= self.statistics < math.inf:
            raise AttarError(f"statistics={self.statistics} is no weight: give 0 or more.")
        if self.preserve and not self.statistics:
            raise AttarError("statistics=0 counts no correlations, and preserve names some: give it a weight.")
        if self.order is not None and self.order < 0:
            raise AttarError(f"pc cannot test given order={self.order} columns: give 0 or more.")

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        schema = _schema(problem)
        graph, joint = self._graph(problem, schema), joint_rows(problem.task, problem.train)
        nodes = [self._node(joint, schema, graph, name, generator) for name in schema.names]
        mean, covariance = mean_and_covariance(psi_of(joint, nodes), joint.new_ones(len(joint)))
        read = {"nodes": nodes, "mean": mean, "covariance": covariance}
        if self.preserve:
            widths = [psi_of(joint[:1], [node]).shape[1] for node in nodes]
            read["counted"] = counted_pairs(schema.names, widths, self.preserve).to(joint)
        # laid out as a checkpoint gives them back: products round by layout
        read = tree_map(lambda leaf: leaf.contiguous() if isinstance(leaf, Tensor) else leaf, read)
        return {**read, **self._said(joint, [f"{start}->{end}" for start, end in graph.directed])}

    def idle(self, problem: Problem) -> dict[str, Any]:
        """The state of a run in which this weighs nothing: what the finished rows ask for, and no graph is looked for."""
        names = _schema(problem).names
        edges = acyclic(graph_of(names, self.graph)).directed if self.graph else ()
        return self._said(joint_rows(problem.task, problem.train), [f"{start}->{end}" for start, end in edges])

    def _said(self, joint: Tensor, edges: list[str]) -> dict[str, Any]:
        """What the finished rows are made to keep, and what is said of them."""
        mean, covariance = (part.contiguous() for part in mean_and_covariance(joint, joint.new_ones(len(joint))))
        source = {"mean": mean, "covariance": covariance, "size": len(joint)}
        return {"graph": edges, "discovered": not self.graph, "source": source}

    def loss(
        self, task: Task, surrogate: Any, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        batch = synthetic.whole()
        rows = joint_rows(task, batch)
        share = (
            rows.new_full((len(rows),), 1 / len(rows)) if batch.weight is None else batch.weight / batch.weight.sum()
        )
        each = [self._apart(rows, share, node) for node in state["nodes"]]
        mechanisms = torch.stack(each).mean()
        info = {"conditional": mechanisms.detach()}
        if not self.statistics:
            return mechanisms, info, state
        statistics = correlation_gap(psi_of(rows, state["nodes"]), share, state)
        return mechanisms + self.statistics * statistics, {**info, "statistics": statistics.detach()}, state

    def settle(self, problem: Problem, state: dict[str, Any], value: Distilled) -> Distilled:
        """The finished set, with moments kept where that is asked for, and sentences for its card."""
        return settled(problem, state, value, self.moments)

    def rehearsed(self, problem: Problem) -> tuple[Mechanisms, tuple[str, ...]]:
        """With two parents of each column in place of a graph to be discovered, and that its discovery is left out.

        What the columns and the test do not allow is refused all the same.
        """
        schema = problem.spec.schema
        if self.graph or schema is None:
            return self, ()
        table = schema.table(problem.train.x, problem.train.y)
        begun = time.perf_counter()
        independence(table, self.test, order=0, most=1)
        seconds, count = time.perf_counter() - begun, len(schema.names)
        order = min(count - 2 if (found := self._order(table)) is None else found, count - 2)
        tests = math.comb(count, 2) * sum(math.comb(count - 2, given) for given in range(order + 1))
        said = "the discovery of the graph by pc"
        if tests * seconds > TOLD_FROM:
            said += f" (up to {tests:,} tests, which at the pace of the first take {tests * seconds / 60:,.0f} min)"
        names = schema.names
        edges = [f"{names[before]}->{names[at]}" for at in range(len(names)) for before in range(max(at - 2, 0), at)]
        return replace(self, graph=tuple(edges)), (said,)

    def _graph(self, problem: Problem, schema: Schema) -> Graph:
        """The DAG whose parents are read."""
        if self.graph:
            return acyclic(graph_of(schema.names, self.graph))
        table = schema.table(problem.train.x, problem.train.y)
        return acyclic(discover(table, "pc", test=self.test, order=self._order(table)).graph)

    def _order(self, table: Table) -> int | None:
        """The most columns that tests are given; None for all."""
        slow = (self.test or suited(table)) == "kernel"
        return SLOW_ORDER if self.order is None and slow else self.order

    def _node(
        self, joint: Tensor, schema: Schema, graph: Graph, name: str, generator: torch.Generator
    ) -> dict[str, Any]:
        """What is kept of a column's mechanism in the real rows."""
        place = schema.groups[name]
        parents = [at for parent in graph.parents(name) for at in range(*schema.groups[parent].indices(joint.shape[1]))]
        count = len(graph.parents(name))
        drawn = torch.randn(len(parents), self.features, generator=generator, dtype=torch.float64)
        phase = torch.rand(self.features, generator=generator, dtype=torch.float64) * 2 * math.pi
        node: dict[str, Any] = {
            "start": place.start,
            "stop": place.stop,
            "waved": _is_number(schema, name),
            "parents": parents,
            "frequency": (drawn / (self.width * math.sqrt(max(count, 1)))).to(joint),
            "phase": phase.to(joint),
        }
        second: Any = 0.0
        cross: Any = 0.0
        for block in joint.split(_ROWS):
            phi, psi = phi_of(block, node), psi_of(block, [node])
            second, cross = second + phi.T @ phi / len(joint), cross + psi.T @ phi / len(joint)
        psi = psi_of(joint, [node])
        node["second"], node["embedding"] = second, self._embedding(cross, second)
        node["variance"] = ((psi - psi.mean(0)) ** 2).sum(1).mean()
        return node

    def _apart(self, rows: Tensor, share: Tensor, node: dict[str, Any]) -> Tensor:
        """``tr(D E[phi phi'] D') / V``, D the difference of the embeddings."""
        phi, psi = phi_of(rows, node), psi_of(rows, [node])
        weighed = phi * share[:, None]
        difference = node["embedding"] - self._embedding(psi.T @ weighed, phi.T @ weighed)
        return ((difference @ node["second"]) * difference).sum() / node["variance"].clamp(min=_CONSTANT)

    def _embedding(self, cross: Tensor, second: Tensor) -> Tensor:
        """``cross (second + ridge I)^-1`` ``(psi, phi)``."""
        penalised = second + self.ridge * torch.eye(len(second), dtype=second.dtype, device=second.device)
        return torch.linalg.solve(penalised, cross.T).T


def acyclic(graph: Graph) -> Graph:
    """A DAG of a graph's skeleton: its extension, or where its directions contradict each other, edges in their order, turned where
    they would close a cycle."""
    try:
        return graph.extension()
    except AttarError:
        chosen: list[Edge] = []
        for start, end in graph.edges:
            forward = Graph(graph.names, (*chosen, (start, end)))
            chosen.append((start, end) if forward.is_dag else (end, start))
        return Graph.dag(graph.names, chosen)


def _schema(problem: Problem) -> Schema:
    """Of the problem's columns."""
    if problem.spec.schema is None:
        raise AttarError(
            f"{problem.spec.name} is no table, so no column of it has a mechanism: load one by attar.data.table(...)."
        )
    return problem.spec.schema


def joint_rows(task: Task, batch: Batch) -> Tensor:
    """Rows with their targets ``(n, d + k)``: class ids become ones and noughts, and real targets of classes sum to 1."""
    y = batch.y
    if y is None:
        return batch.x
    if None not in task.groups:
        if y.dim() == 1:
            y = F.one_hot(y, len(task.groups)).to(batch.x.dtype)
        y = y + (1 - y.sum(1, keepdim=True)) / y.shape[1]  # those that are centred
    return torch.cat([batch.x, y.to(batch.x.dtype)], dim=1)


def phi_of(rows: Tensor, node: dict[str, Any]) -> Tensor:
    """Features of a column's parents ``(n, 1 + numbers + waves)``; a one where it has none."""
    one = rows.new_ones(len(rows), 1)
    if not node["parents"]:
        return one
    parents = rows[:, node["parents"]]
    count = node["frequency"].shape[1]
    waves = math.sqrt(2 / count) * (parents @ node["frequency"] + node["phase"]).cos()
    return torch.cat([one, parents, waves], dim=1)


def psi_of(rows: Tensor, nodes: Sequence[dict[str, Any]]) -> Tensor:
    """Features of columns, one after the other: numbers with their waves, or a number a category."""
    quantiles = (1 + torch.tensor(QUANTILES, dtype=rows.dtype)) / 2
    frequency = (torch.special.ndtri(quantiles) / WIDTH).to(rows.device)  # those of the kernel test
    parts = []
    for node in nodes:
        column = rows[:, node["start"] : node["stop"]]
        parts += [column, (column * frequency).sin(), (column * frequency).cos()] if node["waved"] else [column]
    return torch.cat(parts, dim=1)


def counted_pairs(names: Sequence[str], widths: Sequence[int], pairs: Sequence[str]) -> Tensor:
    """Which covariances of features ``(f, f)``, bool, the gap counts: those between the columns of a pair, and within each.

    Args:
        names: of the columns.
        widths: how many features each has, one after the other.
        pairs: "one--other".

    Raises:
        AttarError: if one is no pair of two of the columns.
    """
    chosen = torch.zeros(len(names), len(names), dtype=torch.bool)
    for pair in pairs:
        places = torch.tensor([names.index(name) for name in pair_of(names, pair)])
        chosen[places[:, None], places] = True
    wide = torch.tensor(widths)
    return chosen.repeat_interleave(wide, dim=0).repeat_interleave(wide, dim=1)


def correlation_gap(psi: Tensor, share: Tensor, state: dict[str, Any]) -> Tensor:
    """The mean squared gap of covariances and means of features, in deviations of the real rows: of all, or of those that are
    "counted" ``(f, f)``, ones and noughts."""
    mean = share @ psi
    centred = psi - mean
    variance = state["covariance"].diagonal()
    scale = torch.where(variance > _CONSTANT, variance, torch.inf).rsqrt()
    covariances = ((centred * share[:, None]).T @ centred - state["covariance"]) * scale[:, None] * scale
    means = (mean - state["mean"]) * scale
    if "counted" not in state:
        return (covariances**2).mean() + (means**2).mean()
    counted = state["counted"]
    alone = counted.diagonal()
    return (counted * covariances**2).sum() / counted.sum() + (alone * means**2).sum() / alone.sum()


def _is_number(schema: Schema, name: str) -> bool:
    """Whether a column became a standardised number."""
    if name == schema.target:
        return not schema.classes
    return next(column for column in schema.inputs.columns if column.name == name).kind != "categorical"
