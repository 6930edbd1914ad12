"""Rows that are changed as little as need be until they have a given mean and covariance."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attar.tables.ranges import Ranges

__all__ = ["moment_gap", "with_means", "with_moments"]

_ROUNDS = 60
"""Newton's steps: few where a solution is near; as many as halve an error to rounding where the covariance is singular."""

_SOLVES = 400
"""Steps of conjugate gradients in each of these, at most."""

_EXACT = 1e-13
"""What rounding leaves of a gap."""


def with_moments(rows: Tensor, share: Tensor, mean: Tensor, covariance: Tensor, free: Tensor, ranges: Ranges) -> Tensor:
    """The rows after the least change of their free columns that gives these the mean, and with all columns the covariance, asked for.

    Newton's steps on ``sum_i s_i x_i = mean`` and ``sum_i s_i (x_i - mean)(z_i - m)' = covariance``, each the change of least
    ``sum_i s_i |dx_i|^2``. Without bounds it is an affine map of the rows. Values that a step takes out of their range stop at its
    end, and stay there.

    Args:
        rows: ``(n, d)``, float64, in units in which all columns have about the same spread.
        share: what each row is of the whole ``(n,)``; sums to 1.
        mean: ``(d,)``; read for the free columns. Others keep the mean m that they have.
        covariance: ``(d, d)``, maximum-likelihood; read for pairs with a free column, and not for two probabilities of one column,
            nor for one and itself, which follow from their means where rows are distributions.
        free: which columns may change ``(d,)``, bool.
        ranges: of all columns.

    Returns:
        The rows ``(n, d)`` whose largest gap to what is asked for was the least (see `moment_gap`): rounding, unless there are too
        few rows, or bounds leave no room.
    """
    order = torch.cat([torch.nonzero(~free)[:, 0], torch.nonzero(free)[:, 0]])
    centre = torch.where(free, mean, share @ rows)
    asked = _asked(ranges)[order][:, free].to(rows)
    wanted = covariance[order][:, free]
    inside = torch.ones_like(rows[:, free])
    best, least = rows, torch.inf
    for _ in range(_ROUNDS):
        moved = (rows - centre)[:, order]
        basis = torch.cat([torch.ones_like(share)[:, None], moved], dim=1)
        found = basis.T @ (share[:, None] * moved[:, -inside.shape[1] :])
        gap = torch.cat([-found[:1], asked * (wanted - found[1:])])
        width = float(gap.abs().max())
        if width < least:
            best, least = rows, width
        if width <= _EXACT:
            break
        step = torch.zeros_like(rows)
        step[:, free] = _least_change(basis, share, inside, ranges.blocks[:, free], gap, asked)
        wished, rows = rows + step, torch.where(free, ranges.within(rows + step), rows)
        inside = inside * ((wished >= ranges.low) & (wished <= ranges.high))[:, free]
    return best


def with_means(share: Tensor, statistics: Tensor, wanted: Tensor) -> Tensor:
    """Shares nearest to those given, ``s (1 + q)`` with the least ``sum s q^2``, by which statistics have the means asked for.

    Args:
        share: ``(n,)``, positive; sums to 1.
        statistics: ``(n, k)``.
        wanted: their means ``(k,)``.

    Returns:
        Shares ``(n,)``, positive; those given where there are none such, or they would not be positive.
    """
    constant = torch.cat([torch.ones_like(share)[:, None], statistics], dim=1)
    gap = torch.cat([torch.zeros_like(wanted[:1]), wanted - share @ statistics])
    gram = (constant * share[:, None]).T @ constant
    found = share * (1 + constant @ (torch.linalg.pinv(gram, hermitian=True, rtol=1e-12) @ gap))
    return found if bool((found > 0).all()) and float((found @ statistics - wanted).abs().max()) < 1e-9 else share


def moment_gap(rows: Tensor, share: Tensor, mean: Tensor, covariance: Tensor, ranges: Ranges) -> float:
    """The largest gap of a mean, and of a covariance that `with_moments` reads, of rows ``(n, d)``, in standard deviations."""
    scale = covariance.diagonal().sqrt()
    scale = torch.where(scale > _EXACT, scale, 1.0)
    here = share @ rows
    apart = (rows - here).T @ (share[:, None] * (rows - here)) - covariance
    covariances = _asked(ranges) * apart / scale[:, None] / scale
    return max(float(((here - mean) / scale).abs().max()), float(covariances.abs().max()))


def _asked(ranges: Ranges) -> Tensor:
    """Which covariances ``(d, d)`` are read."""
    shares = ranges.blocks.to(torch.float64)
    return ~((shares.T @ shares) > 0) & ~torch.diag(ranges.binary)


def _least_change(basis: Tensor, share: Tensor, inside: Tensor, blocks: Tensor, gap: Tensor, asked: Tensor) -> Tensor:
    """The change ``(n, f)`` of entries that are inside, of least weighted norm, that closes a gap to first order.

    Args:
        basis: ones, fixed columns and the f free ones ``(n, 1 + d)``, the last two centred.
        share: ``(n,)``.
        inside: 1 where an entry may change, else 0, ``(n, f)``.
        blocks: which free columns are probabilities that sum to 1 ``(blocks, f)``, so that their changes sum to 0.
        gap: of the mean, of covariances with fixed columns, and of those among the free ones ``(1 + d, f)``.
        asked: 1 where a covariance is, else 0, ``(d, f)``.
    """
    count = gap.shape[1]
    mask = torch.cat([torch.ones_like(gap[:1]), asked])

    def change(multiplier: Tensor) -> Tensor:
        both = torch.cat([multiplier[:-count], 2 * multiplier[-count:]])
        found = inside * (basis @ (mask * both))
        for block in blocks:
            within = inside * block
            found = found - within * (found * within).sum(1, keepdim=True) / within.sum(1, keepdim=True).clamp(min=1)
        return found

    def effect(multiplier: Tensor) -> Tensor:
        found = basis.T @ (share[:, None] * change(multiplier))
        return mask * torch.cat([found[:-count], found[-count:] + found[-count:].T])

    return change(_conjugate_gradients(effect, gap))


def _conjugate_gradients(operator: Callable[[Tensor], Tensor], right: Tensor) -> Tensor:
    """A solution of ``operator(x) = right``, of a symmetric operator without negative eigenvalues."""
    x, residual = torch.zeros_like(right), right
    direction, size = residual, float((residual**2).sum())
    best, least, target = x, size, 1e-24 * size  # what is left Newton's next step closes
    for _ in range(_SOLVES):
        if size <= target or size > 1e6 * least:  # near a singular operator rounding grows when nothing else is left
            break
        image = operator(direction)
        curve = float((direction * image).sum())
        if curve <= 0:
            break
        x = x + size / curve * direction
        residual = residual - size / curve * image
        before, size = size, float((residual**2).sum())
        if size < least:
            best, least = x, size
        direction = residual + size / before * direction
    return best
