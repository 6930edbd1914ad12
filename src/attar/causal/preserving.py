"""Few rows that keep treatment effects: regression, inverse propensities and the doubly robust mean say of them what they say of all.

All three solve estimating equations, so that rows keep them by keeping the means of finitely many functions (see
`attar.tables.estimating`). With e the propensity, k the clipped one, m1 and m0 the regressions within the arms, g the linear
projection of the treatment on the adjustment, and z the adjustment with a one, these are, at the parameters of the full data: z and its
squares, ``(t - e) z`` (the score of the logistic regression), ``(t - g) z``, ``(t - g)^2`` and ``(t - g) y`` (the regression),
``t / k``, ``t y / k`` and the same of the other arm (ipw), ``t (y - m1) z``, ``(1 - t) (y - m0) z`` and the doubly robust term (aipw).
Standard errors are kept by the squares of influences, and of the residual of the regression with the equations that define it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from attar.causal.effects import ESTIMATORS, Effect, effect
from attar.causal.kept import Rows, rows_of
from attar.causal.moments import design
from attar.causal.moments import moments as moments_of
from attar.causal.propensity import logistic
from attar.errors import AttarError
from attar.tables import Statistics, Table, vertex
from attar.tables.estimating import Equations, adjusted_rows, solving_rows
from attar.tables.statistics import KeptEffect

__all__ = ["NEARLY", "EffectGap", "effect_rows"]

NEARLY = 1e-3
"""A gap of estimates, in standard errors, and of these themselves, as a share, beyond which rows do not keep them."""

_SAME = 1e-8
_NEW = 1e-9  # of a column's length: what others leave of it, where it is none of their sums


@dataclass(frozen=True)
class EffectGap:
    """How far effects from rows are from those of all.

    Args:
        estimate: the largest difference of an estimate, in standard errors of the full data's; infinite where an estimator refuses
            the rows.
        error: the largest relative difference of a standard error.
        real: whether all rows are rows of the table; otherwise continuous cells were moved.
    """

    estimate: float
    error: float
    real: bool

    def __str__(self) -> str:
        rows = "weighted real rows" if self.real else "rows with moved continuous cells"
        return (
            f"{rows}, {self.estimate:.2g} standard errors in an estimate, {100 * self.error:.2g} % in a standard error"
        )


def effect_rows(
    table: Rows,
    treatment: str,
    outcome: str,
    adjust: Sequence[str] = (),
    rows: int | None = None,
    *,
    moments: bool = False,
    clip: float = 0.01,
    tries: int = 8,
    generator: torch.Generator | None = None,
) -> tuple[Table, EffectGap]:
    """Rows of which `effect` says the same as of a table, by all three estimators, with their standard errors.

    Without a number of rows, or where it is large enough, they are real rows by new weights, one more than there are independent
    equations at most. Fewer are real rows, too, chosen so that each arm has the mean of the columns that cannot move (categories,
    ordinal and whole numbers); then weights and continuous cells move until the equations hold: first those of the estimates, then
    those of standard errors as well. Values stay in the ranges of the table. Rows that keep the errors are preferred; where the
    estimates cannot be kept either, the nearest rows come back, and the gap tells.

    Args:
        table: hard rows without missing values: a table, a distilled one, or a problem, whose training rows are read.
        treatment: of values 0 and 1, or of two categories.
        outcome: a column of numbers, or of two categories.
        adjust: columns that are held fixed.
        rows: how many at most; None for weighted real rows.
        moments: whether mean and covariance of all these columns are kept, too. Fewer rows rarely can where there are categories,
            whose products nothing but weights can keep.
        clip: of propensities, as `effect` will be asked.
        tries: starts that are drawn, at most, where fewer rows are asked for than real ones need.
        generator: draws them; None for one seeded with 0.

    Returns:
        Rows of the named columns, which stand for as many as the table and say what they keep (`Table.kept`: the effect, where the
        gap is at most `NEARLY`), and how far their effects are from the table's.

    Raises:
        AttarError: if `effect` refuses the table, it is soft, or rows are too few for the columns that cannot move.

    Example:
        >>> drawn = torch.rand(300, 3, generator=torch.Generator().manual_seed(0))
        >>> drawn[:, 0] = drawn[:, 0].round()
        >>> full = Table(drawn, (Column("t"), Column("y"), Column("x")))
        >>> few, gap = effect_rows(full, "t", "y", ["x"], rows=10)
        >>> gap.estimate < 1e-8
        True
    """
    table = rows_of(table)
    if table.soft:
        raise AttarError(
            f"Column '{next(iter(table.soft))}' holds probabilities: draw hard rows first, by resampled()."
        )
    if tries < 1:
        raise AttarError(f"{tries} tries find no rows: give 1 or more.")
    names = (treatment, outcome, *adjust)
    asked: dict[str, Any] = {"treatment": treatment, "outcome": outcome, "adjust": tuple(adjust), "clip": clip}
    wanted = {name: effect(table, estimator=name, **asked) for name in ("ipw", "aipw", "regression")}
    full = table.only(names)
    nuisances = _Nuisances.of(full, clip, moments)
    whole = nuisances.equations(errors=True)
    if rows is None or rows >= min(len(full), whole.functions(full.values[:1]).shape[1] // 2):
        real = solving_rows(full, whole)
        if rows is None or len(real) <= rows:
            return _keeping(real, full, _gap(real, wanted, asked, real=True), asked, moments)
    draws = torch.Generator().manual_seed(0) if generator is None else generator
    found: list[tuple[Table, EffectGap]] = []
    for start in _starts(full, nuisances, rows, tries, draws):
        found += _fitted(start, nuisances, wanted, asked)
        if max(found[-1][1].estimate, found[-1][1].error) <= _SAME:
            break
    best, gap = min(found, key=lambda each: _order(each[1]))
    return _keeping(best, full, gap, asked, moments)


def _keeping(rows: Table, full: Table, gap: EffectGap, asked: dict[str, Any], moments: bool) -> tuple[Table, EffectGap]:
    """The rows, which say what they were found to keep, with their gap."""
    if not max(gap.estimate, gap.error) <= NEARLY:
        return rows, gap
    own, theirs = (moments_of(each, full.names) for each in (rows, full))
    scale = torch.where(theirs.deviation > 0, theirs.deviation, 1.0)
    off = [(own.mean - theirs.mean) / scale, (own.covariance - theirs.covariance) / scale / scale[:, None]]
    same = moments and all(bool((part.abs() <= _SAME).all()) for part in off)
    return rows.replace(kept=Statistics(moments=same, effects=(KeptEffect(**asked),))), gap


def _fitted(
    start: Table, nuisances: _Nuisances, wanted: dict[str, Effect], asked: dict[str, Any]
) -> Iterator[tuple[Table, EffectGap]]:
    """Rows near a start that keep the estimates, and where that is done those near these that keep the errors as well."""
    full, rows = nuisances.table, start
    for errors in (False, True):
        rows = adjusted_rows(full, rows, nuisances.equations(errors), _free(full))[0]
        gap = _gap(rows, wanted, asked, real=False)
        yield rows, gap
        if gap.estimate > _SAME:
            break


def _gap(rows: Table, wanted: dict[str, Effect], asked: dict[str, Any], real: bool) -> EffectGap:
    apart, errors = [], []
    for name in ESTIMATORS:
        try:
            found = effect(rows, estimator=name, **asked)  # type: ignore[arg-type]
        except AttarError:
            return EffectGap(math.inf, math.inf, real)
        unit = wanted[name].error
        apart.append(abs(found.estimate - wanted[name].estimate) / unit if unit else math.inf)
        errors.append(abs(found.error / unit - 1) if unit else math.inf)
    return EffectGap(max(apart), max(errors), real)


def _order(gap: EffectGap) -> tuple[bool, float]:
    """Of gaps, the least first: the errors decide among rows that keep the estimates."""
    same = gap.estimate <= _SAME
    return not same, gap.error if same else gap.estimate


@dataclass(frozen=True, eq=False)
class _Nuisances:
    """The parameters of the full data, and the functions of a row at these. Slopes are of the standardised adjustment, with an
    intercept; those within the arms are of it as it is, as the smallest solution depends on the units."""

    table: Table
    clip: float
    moments: bool
    mean: Tensor
    deviation: Tensor
    level: Tensor  # of the outcome: mean, and deviation as its unit
    unit: Tensor
    propensity: Tensor
    projection: Tensor
    regression: Tensor
    arms: tuple[Tensor, Tensor]
    means: tuple[Tensor, Tensor]  # of the arms under inverse propensities
    totals: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, table: Table, clip: float, moments: bool) -> _Nuisances:
        names, share = table.names, table.shares
        x = design(table, names[2:])[0]
        t, y = table.numbers(names[:2]).T
        mean = share @ x
        deviation = (share @ (x - mean) ** 2).sqrt()
        deviation = torch.where(deviation > 1e-10 * x.abs().amax(dim=0), deviation, torch.inf)  # constants tell nothing
        one = torch.ones(len(x), 1, dtype=x.dtype)
        z, raw = torch.cat([one, (x - mean) / deviation], dim=1), torch.cat([one, x], dim=1)
        e = logistic(x, t, share)
        least = max(clip, 1e-12)
        k = e.clamp(least, 1 - least)
        weights = [share * arm / of for arm, of in ((t, k), (1 - t, 1 - k))]
        level = share @ y
        sure = e.clamp(1e-15, 1 - 1e-15)
        return cls(
            table=table,
            clip=least,
            moments=moments,
            mean=mean,
            deviation=deviation,
            level=level,
            unit=(share @ (y - level) ** 2).sqrt(),
            propensity=_slopes(z, sure.logit(), share * sure * (1 - sure)),
            projection=_slopes(z, t, share),
            regression=_slopes(torch.cat([z, t[:, None]], dim=1), y, share),
            arms=(_slopes(raw, y, share * t), _slopes(raw, y, share * (1 - t))),
            means=((weights[0] @ y) / weights[0].sum(), (weights[1] @ y) / weights[1].sum()),
            totals=(weights[0].sum(), weights[1].sum()),
        )

    def columns(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Standardised adjustment and as it is, both with a one ``(n, d + 1)``, treatment and outcome ``(n,)``."""
        parts = [
            value[:, None] if numbers is None else numbers[value.long()]
            for value, numbers in zip(values.T, self._numbers, strict=True)
        ]
        one = torch.ones(len(values), 1, dtype=values.dtype)
        raw = torch.cat([one, *parts[2:]], dim=1)
        standard = torch.cat([one, (raw[:, 1:] - self.mean) / self.deviation], dim=1)
        return standard, raw, parts[0][:, 0], parts[1][:, 0]

    @cached_property
    def _numbers(self) -> list[Tensor | None]:
        """Of each column what `design` makes of its categories ``(levels, width)``; None of continuous ones, which are numbers. It is
        looked up here, for steps ask for thousands of rows."""
        levels = [
            Table(torch.arange(column.levels)[:, None].double(), (column,)) if column.discrete else None
            for column in self.table.columns
        ]
        return [None if each is None else design(each, each.names)[0] for each in levels]

    def equations(self, errors: bool) -> Equations:
        """What keeps the estimates, and with the errors these, too."""

        def functions(values: Tensor) -> Tensor:
            return self.functions(values, errors)

        return Equations(functions, self.spanned, torch.cat(self.arms))

    def spanned(self, values: Tensor) -> Tensor:
        """The rows of each arm as its regression reads them ``(n, 2 (d + 1))``."""
        _, raw, t, _ = self.columns(values)
        return torch.cat([t[:, None] * raw, (1 - t)[:, None] * raw], dim=1)

    def functions(self, values: Tensor, errors: bool) -> Tensor:
        z, raw, t, y = self.columns(values)
        e = (z @ self.propensity).sigmoid()
        k = e.clamp(self.clip, 1 - self.clip)
        of_one, of_none = t / k, (1 - t) / (1 - k)
        m1, m0 = raw @ self.arms[0], raw @ self.arms[1]
        beside, centred = t - z @ self.projection, y - self.level
        robust = m1 - m0 + of_one * (y - m1) - of_none * (y - m0)
        blocks = [z[:, 1:], z[:, 1:] ** 2, (t - e)[:, None] * z, beside[:, None] * z]
        blocks += [(t * (y - m1))[:, None] * z, ((1 - t) * (y - m0))[:, None] * z]
        blocks.append(torch.stack([beside**2, beside * centred, robust], dim=1))
        blocks.append(torch.stack([of_one, of_one * centred, of_none, of_none * centred], dim=1))
        if errors:
            residual = y - torch.cat([z, t[:, None]], dim=1) @ self.regression
            influence = of_one * (y - self.means[0]) / self.totals[0] - of_none * (y - self.means[1]) / self.totals[1]
            gain = self.means[0] - self.means[1]  # near the mean of `robust`, which is kept: any centre does
            squares = [residual**2, residual * t, influence**2, (robust - gain) ** 2, (of_one + of_none) ** 2]
            blocks += [residual[:, None] * z, torch.stack(squares, dim=1)]
        if self.moments:
            every = torch.cat([t[:, None], centred[:, None], z[:, 1:]], dim=1)
            one, two = torch.triu_indices(every.shape[1], every.shape[1])
            blocks += [every[:, :2], every[:, one] * every[:, two]]
        return torch.cat(blocks, dim=1)


def _slopes(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Of weighted least squares ``(columns,)``, the smallest where columns are collinear."""
    root = weight.sqrt()
    return torch.linalg.lstsq(x * root[:, None], y * root, driver="gelsd").solution


def _free(table: Table) -> list[str]:
    """The columns after the treatment whose cells may be any number of a range."""
    columns = zip(table.columns[1:], table.values[:, 1:].T, strict=True)
    return [
        column.name
        for column, value in columns
        if not column.discrete and not column.whole and bool((value != value[0]).any())
    ]


def _starts(table: Table, nuisances: _Nuisances, rows: int, tries: int, generator: torch.Generator) -> Iterator[Table]:
    """Real rows by weights that keep, in each arm, the mean of the columns that cannot move, then of the others, then of products,
    as many as there are rows. An arm gets what the first of these need, and its share of what is left."""
    z, _, t, y = nuisances.columns(table.values)
    free, groups = _free(table), design(table, table.names[2:])[1]
    moving = torch.zeros(z.shape[1] - 1, dtype=torch.bool)
    for name in groups.keys() & set(free):
        moving[groups[name]] = True
    fixed = torch.cat([z[:, :1], z[:, 1:][:, ~moving]], dim=1)
    x = torch.cat([fixed[:, 1:], z[:, 1:][:, moving], y[:, None]], dim=1)
    arms = [(t == arm).nonzero()[:, 0] for arm in (1, 0)]
    need = [int(torch.linalg.matrix_rank(fixed[arm])) for arm in arms]
    if rows < sum(need):
        few = "1 row is" if rows == 1 else f"{rows} rows are"
        raise AttarError(
            f"{few} too few to keep the effect of '{table.names[0]}': the columns that cannot move need {need[0]} treated "
            f"and {need[1]} untreated ones, so give {sum(need)} or more, adjust for fewer, or leave rows out for weighted real ones."
        )
    treated = need[0] + round((rows - sum(need)) * float(table.shares @ t))
    treated = min(max(treated, rows - len(arms[1])), len(arms[0]))
    for _ in range(tries):
        chosen, weights = [], []
        for own, count in zip(arms, (treated, rows - treated), strict=True):
            own = own[torch.randperm(len(own), generator=generator)]
            weight = (table.shares * table.size)[own]
            if len(own) > count:
                places, weight = vertex(_independent(x[own], count, generator), weight)
                own = own[places]
            chosen.append(own)
            weights.append(weight)
        yield table.replace(values=table.values[torch.cat(chosen)], weight=torch.cat(weights), n_represented=table.size)


def _independent(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The first columns, or products of two, or else drawn ones, that are independent with a one beside them ``(n, count - 1)``."""
    basis, found = torch.full((len(x), 1), len(x) ** -0.5, dtype=x.dtype), [x[:, :0]]
    for column in _columns(x, generator):
        if basis.shape[1] >= count:
            break
        left = column / column.norm().clamp(min=1e-300)
        for _ in range(2):
            left = left - basis @ (basis.T @ left)
        if float(left.norm()) > _NEW:
            basis = torch.cat([basis, (left / left.norm())[:, None]], dim=1)
            found.append(column[:, None])
    return torch.cat(found, dim=1)


def _columns(x: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    """Columns from the first, products of two from the last, which can move, and then drawn ones without end."""
    yield from x.T
    backward = x.flip(1).T
    for place, one in enumerate(backward):
        for two in backward[: place + 1]:
            yield one * two
    while True:
        yield torch.randn(len(x), generator=generator, dtype=x.dtype)
