"""Few weighted rows on which functions of a row have the means that they have on all rows.

An estimator whose parameters solve estimating equations ``sum_i share_i psi(row_i; parameters) = 0`` gives the same parameters on
any rows for which these sums are the same there, as long as the root is unique. So a finite list of functions, psi at the full data's
parameters, is all that rows have to keep. `solving_rows` weighs real rows, as many as there are independent functions and one more.
`adjusted_rows` takes fewer, and moves their continuous cells, too: each row then answers for several functions.

Reference:
    Stefanski and Boos, "The calculus of M-estimation", The American Statistician 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attar.errors import AttarError
from attar.tables.statistics import Statistics
from attar.tables.table import Table
from attar.tables.vertex import vertex

__all__ = ["SOLVED", "Equations", "adjusted_rows", "solving_rows"]

SOLVED = 1e-12
"""A sum that is off by no more, in standard deviations of its function, is the same up to rounding."""

_STOP = 2e-14  # in the same units; below, steps gain nothing
_STEP = 1e-5  # of a derivative by central differences, in standard deviations of a column
_NARROW = 1e-4  # functions that differ by less of their deviation are not told apart better than by this
_LEAST, _MOST = 1e-14, 1e10  # damping, which keeps dependent equations from dividing by nought


@dataclass(frozen=True, eq=False)
class Equations:
    """What rows have to keep.

    Args:
        functions: from values ``(n, p)``, as `Table.values` are, to the functions of each row ``(n, m)``, differentiable in continuous
            cells almost everywhere. Their weighted mean is kept.
        span: from values to vectors of each row ``(n, d)`` whose span has to hold `target`, whatever the weights; None for no such
            condition. A least-squares solution is the smallest one only if it lies in the span of the rows, and with fewer rows than
            columns the smallest one is what is found.
        target: ``(d,)``; None without `span`.
    """

    functions: Callable[[Tensor], Tensor]
    span: Callable[[Tensor], Tensor] | None = None
    target: Tensor | None = None


def solving_rows(table: Table, equations: Equations) -> Table:
    """Rows of a table, by new weights, on which the functions have the means of all: at most their rank and one more. The span is not
    looked at, for so many rows hold what all do in all but made-up cases.

    Raises:
        AttarError: if a function is not finite.
    """
    places, weight = vertex(equations.functions(table.values), table.shares * table.size)
    return table.replace(values=table.values[places], weight=weight, n_represented=table.size, kept=Statistics())


def adjusted_rows(
    table: Table, start: Table, equations: Equations, names: Sequence[str], steps: int = 100
) -> tuple[Table, float]:
    """Rows near others on which the functions have the means of all rows, by new weights and new values of some continuous columns.

    With ``f`` the functions less their means on all rows, along the principal axes of their correlations and in standard deviations
    there (so that functions that are nearly the same are told apart), ``sum_i share_i f(row_i)`` and what the span
    lacks of the target are brought to nought by damped Gauss-Newton steps (Levenberg and Marquardt) over the cells, in standard
    deviations of their columns, the logarithms of the weights, and the factors that make the target of the span. Each step is the
    smallest that does it; a cell at the end of its range stays there while steps lead outward. Other columns stay as they are.

    Args:
        table: all rows.
        start: weighted rows of the same columns, from which the steps begin.
        equations: what is kept.
        names: continuous columns whose cells move, each within the range that it has in the table.
        steps: how many at most.

    Returns:
        The rows, which stand for as many as the table, and the largest equation that is left, in standard deviations; up to `SOLVED`
        it is solved.

    Raises:
        AttarError: if a column is not continuous, or a function is not finite.

    Reference:
        Nocedal and Wright, Numerical Optimization (2006), section 10.3.
    """
    system = _System.of(table, start, equations, names)
    now = system.begun()
    left, damping = system.left(now), 1e-3
    for _ in range(steps):
        if system.largest(left) <= _STOP:
            break
        slopes = system.slopes(now)
        square, ahead = slopes @ slopes.T, None
        while damping < _MOST:
            found = system.moved(now, left, slopes, square, damping)
            after = system.left(found)
            if float(after.norm()) < float(left.norm()):
                ahead = found
                break
            damping = max(damping, 1e-13) * 5
        if ahead is None:
            break
        damping = max(damping / (10 if float(after.norm()) < 0.5 * float(left.norm()) else 2), _LEAST)
        now, left = ahead, after
    rows = start.replace(
        values=system.values(now.cells),
        weight=now.logs.softmax(dim=0) * table.size,
        n_represented=table.size,
        kept=Statistics(),
    )
    return rows, system.largest(left)


@dataclass(frozen=True, eq=False)
class _Point:
    """Cells ``(k, c)``, logarithms of weights ``(k,)``, and factors of the span ``(k,)``."""

    cells: Tensor
    logs: Tensor
    factors: Tensor


@dataclass(frozen=True, eq=False)
class _System:
    """The equations of some rows, in their units; cells of all other columns are those of the start."""

    start: Table
    equations: Equations
    places: list[int]
    mean: Tensor
    scale: Tensor
    axes: Tensor  # of the functions' correlations, and how far functions vary along them
    spread: Tensor
    low: Tensor
    high: Tensor
    unit: Tensor
    size: Tensor  # of the target of the span

    @classmethod
    def of(cls, table: Table, start: Table, equations: Equations, names: Sequence[str]) -> _System:
        for name in names:
            if table.column(name).discrete:
                raise AttarError(f"Column '{name}' holds categories, which cannot move: name continuous columns.")
        places = [table.place(name) for name in names]
        functions = equations.functions(table.values)
        mean, scale = _mean_and_deviation(functions, table.shares)
        if not bool(mean.isfinite().all() & scale.isfinite().all()):
            raise AttarError(
                "Some functions of the rows are not finite: fill in missing values, or leave out these rows."
            )
        whole = (functions - mean) / scale
        size, axes = torch.linalg.eigh((whole * table.shares[:, None]).T @ whole)
        cells = table.values[:, places]
        unit = _mean_and_deviation(cells, table.shares)[1]
        length = torch.ones(()).double() if equations.target is None else equations.target.norm().clamp(min=1e-300)
        spread = size.clamp(min=_NARROW**2).sqrt()
        low, high = cells.amin(dim=0), cells.amax(dim=0)
        return cls(start, equations, places, mean, scale, axes, spread, low, high, unit, length)

    def begun(self) -> _Point:
        cells, factors = self.start.values[:, self.places], torch.zeros(len(self.start), dtype=torch.float64)
        if self.equations.target is not None:
            spanned = self.parts(cells)[1]
            factors = torch.linalg.lstsq(spanned.T, self.equations.target / self.size, driver="gelsd").solution
        return _Point(cells, self.start.shares.log(), factors)

    def values(self, cells: Tensor, among: Tensor | None = None) -> Tensor:
        """Values with these cells, of the given rows or all."""
        values = (self.start.values if among is None else self.start.values[among]).clone()
        values[:, self.places] = cells
        return values

    def parts(self, cells: Tensor, among: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The functions, along their axes, ``(rows, m)`` and the vectors of the span ``(rows, d)`` in their units."""
        values = self.values(cells, among)
        found = (self.equations.functions(values) - self.mean) / self.scale @ (self.axes / self.spread)
        span = self.equations.span
        return found, (found[:, :0] if span is None else span(values) / self.size)

    def largest(self, left: Tensor) -> float:
        """The largest entry of `left`, where functions are in their own units."""
        count = len(self.mean)
        return float(torch.cat([self.axes @ (self.spread * left[:count]), left[count:]]).abs().max())

    def left(self, point: _Point) -> Tensor:
        """What the equations are off by ``(m + d,)``."""
        found, spanned = self.parts(point.cells)
        lacks = spanned.T @ point.factors
        if self.equations.target is not None:
            lacks = lacks - self.equations.target / self.size
        return torch.cat([point.logs.softmax(dim=0) @ found, lacks])

    def slopes(self, point: _Point) -> Tensor:
        """Derivatives of `left` by cells, logarithms of weights and factors, all in their units ``(m + d, (c + 2) k)``."""
        rows, width = point.cells.shape
        steps = (_STEP * self.unit).diag()
        near = torch.cat([point.cells + step for step in torch.cat([steps, -steps])] + [point.cells])
        found, spanned = self.parts(near, torch.arange(rows).repeat(2 * width + 1))
        share, here = point.logs.softmax(dim=0), found[-rows:]
        up_down = [part[: 2 * width * rows].reshape(2, width, rows, -1) for part in (found, spanned)]
        of_found, of_spanned = ((both[0] - both[1]) / (2 * _STEP) for both in up_down)
        blocks = [
            torch.cat([of_found * share[:, None], of_spanned * point.factors[:, None]], dim=2).reshape(
                width * rows, -1
            ),
            torch.cat([(here - share @ here) * share[:, None], torch.zeros_like(spanned[-rows:])], dim=1),
            torch.cat([torch.zeros_like(here), spanned[-rows:] * self._factor(point)], dim=1),
        ]
        return torch.cat(blocks).T

    def moved(self, point: _Point, left: Tensor, slopes: Tensor, square: Tensor, damping: float) -> _Point:
        """A damped step, the cells of which stay in their range; `square` is ``slopes slopes'``."""
        rows, width = point.cells.shape
        free = torch.ones(slopes.shape[1], dtype=slopes.dtype)
        damped = square + damping * torch.eye(len(square), dtype=square.dtype)
        for _ in range(8):  # what would leave the range stays, and others do its work
            step = -(slopes.T @ torch.linalg.solve(damped, left)) * free
            cells = step[: width * rows].reshape(width, rows).T * self.unit
            outward = ((point.cells <= self.low) & (cells < 0)) | ((point.cells >= self.high) & (cells > 0))
            if not bool(outward.any()):
                break
            out = outward.T.reshape(-1).nonzero()[:, 0]
            free[out] = 0.0
            damped = damped - slopes[:, out] @ slopes[:, out].T
        logs, factors = step[width * rows :].reshape(2, rows)
        return _Point(
            torch.minimum(torch.maximum(point.cells + cells, self.low), self.high),
            point.logs + logs.clamp(-2, 2),
            point.factors + factors * self._factor(point),
        )

    def _factor(self, point: _Point) -> Tensor:
        """The unit of factors: their size."""
        return point.factors.square().mean().sqrt().clamp(min=1e-12)


def _mean_and_deviation(x: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Of columns ``(n, m)`` by shares, the deviation 1 where it is rounding."""
    mean = share @ x
    deviation = (share @ (x - mean) ** 2).sqrt()
    return mean, torch.where(deviation > 1e-12 * x.abs().amax(dim=0), deviation, 1.0)
