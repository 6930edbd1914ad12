"""A few of many weighted rows that have the same weighted sums: a vertex of the linear programme over the weights.

Weights ``w >= 0`` of n rows with given sums ``A' w = b`` form a polytope, and each of its vertices is positive on at most
rank(A) rows (Carathéodory). From the weights that the rows have, a vertex is reached by walking along directions that no sum
notices, the null space of A', until some weight is nought; that row is left out, and what is left of the null space is walked
on. The null space is kept as an orthonormal basis, from which a row is taken by a reflection, so no rounding grows. Where there
are many more rows than sums, clusters of them are walked first in place of rows, so that each walk leaves out half of all rows.

Reference:
    Maalouf, Jubran and Feldman, "Fast and Accurate Least-Mean-Squares Solvers", NeurIPS 2019, for the clusters.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attar.errors import AttarError

__all__ = ["vertex"]

_CHUNK = 32_768  # rows at a time, which bounds the memory
_BLOCK = 64  # directions or columns at a time, so that most of the work is products of matrices
_DEPENDENT = 1e-12  # of a column's length: what is less outside of the span of others is rounding
_LEAST = 1e-12  # of the mean weight of kept rows: a lighter row is one that rounding left over
_NOUGHT = 1e-15  # of a direction of length 1: less is rounding


def vertex(statistics: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights on some of the rows that have the sums of all of them.

    Each sum differs by about 1e-15 of ``sum(weight * abs(statistic - its mean))``; that of a statistic which others give but for
    1e-12 of its length may differ by as much. The same input gives the same rows.

    Args:
        statistics: of the rows ``(n, m)``, in any units; their sum by weight is what is kept. They may depend on one another.
        weight: of the rows ``(n,)``, positive.

    Returns:
        Ids of the kept rows ``(k,)``, int64, ascending, with k at most the rank of the statistics beside a column of ones, and
        their weights ``(k,)``, float64, positive, with the total of all.

    Raises:
        AttarError: if the shapes do not suit one another, a statistic is not finite, or a weight is not positive.

    Example:
        >>> rows, weight = vertex(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.ones(4))
        >>> len(rows), weight.sum().item(), (weight * rows).sum().item()
        (2, 4.0, 6.0)
    """
    _check(statistics, weight)
    total = weight.double().sum()
    share = weight.double() / total
    centre, scale = _centre_and_scale(statistics, share)

    def columns(rows: Tensor) -> Tensor:
        scaled = (statistics[rows].double() - centre) / scale
        return torch.cat([scaled.new_ones(len(rows), 1), scaled], dim=1)

    kept, mass = torch.empty(0, dtype=torch.int64), share[:0]
    target = share.new_zeros(statistics.shape[1] + 1)
    for chunk in torch.arange(len(statistics)).split(_CHUNK):
        target += (columns(chunk) * share[chunk, None]).sum(dim=0)  # by pairs, unlike a product: fewer digits are lost
        rows, mass = torch.cat([kept, chunk]), torch.cat([mass, share[chunk]])
        places, mass = _reduced(_span(columns(rows)), mass)
        kept = rows[places]
    target[0] = 1.0
    heavy = mass > _LEAST * mass.mean()
    kept, mass = kept[heavy], mass[heavy]
    return kept, _refined(columns(kept), target, mass) * total


def _check(statistics: Tensor, weight: Tensor) -> None:
    """Refuse what has no vertex."""
    if statistics.dim() != 2 or weight.shape != statistics.shape[:1] or not len(weight):
        raise AttarError(
            f"Statistics of shape {tuple(statistics.shape)} and weights of shape {tuple(weight.shape)} do not suit one another: "
            "give (n, m) and (n,), with one row at least."
        )
    if not bool(statistics.isfinite().all()):
        raise AttarError("Some statistics are not finite: fill in missing values, or leave out these rows.")
    if not bool(((weight > 0) & weight.isfinite()).all()):
        raise AttarError("Some weights are not positive: leave out rows that weigh nothing.")


def _centre_and_scale(statistics: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of each column ``(m,)`` and its largest distance from it, 1 where the column is constant."""
    first = statistics[0].double()
    centre = first.clone()
    for rows in torch.arange(len(statistics)).split(_CHUNK):
        centre += (statistics[rows].double() - first).T @ share[
            rows
        ]  # from the first row: a large offset costs no digits
    scale = torch.zeros_like(centre)
    for rows in torch.arange(len(statistics)).split(_CHUNK):
        scale = torch.maximum(scale, (statistics[rows].double() - centre).abs().amax(dim=0))
    return centre, torch.where(scale > 0, scale, 1.0)


def _span(columns: Tensor) -> Tensor:
    """An orthonormal basis ``(n, rank)`` of the span of columns ``(n, m)``, which leaves out those that depend on others."""
    basis = columns[:, :0]
    columns = columns / columns.norm(dim=0).clamp(min=torch.finfo(columns.dtype).tiny)
    for block in columns.split(_BLOCK, dim=1):
        for _ in range(2):
            block = block - basis @ (basis.T @ block)
        found, size, _ = torch.linalg.svd(block, full_matrices=False)
        found = found[:, size > _DEPENDENT]
        found = found - basis @ (basis.T @ found)  # anew: short ones were not quite at right angles
        basis = torch.cat([basis, torch.linalg.qr(found).Q], dim=1)
    return basis


def _reduced(sums: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rows, and their weights, that are as few as the columns of sums ``(n, r)`` at most, with the same weighted sums."""
    rows, most = torch.arange(len(sums)), 2 * sums.shape[1]
    clustered = len(rows) > most
    while len(rows) > most:
        cluster = torch.arange(len(rows)) * most // len(rows)
        mass = weight.new_zeros(most).index_add_(0, cluster, weight)
        mean = sums.new_zeros(most, sums.shape[1]).index_add_(0, cluster, sums[rows] * weight[:, None]) / mass[:, None]
        weight = weight * (_walked(mean, mass) / mass)[cluster]
        rows, weight = rows[weight > 0], weight[weight > 0]
    few = _span(sums[rows]) if clustered else sums  # the rows that are left may be of a lower rank than all
    weight = _walked(few, weight)
    return rows[weight > 0], weight[weight > 0]


def _walked(sums: Tensor, weight: Tensor) -> Tensor:
    """Weights ``(n,)`` of rows with the same weighted sums ``(n, r)``, r of which at most are not nought."""
    null = torch.linalg.qr(sums, mode="complete").Q[:, sums.shape[1] :]
    while null.shape[1]:
        weight, out = _emptied(null[:, :_BLOCK], weight)
        reflections, tau = torch.geqrf(null[out].T)
        null = torch.ormqr(reflections, tau, null, left=False)[:, len(out) :]
        null[out] = 0.0
    return weight


def _emptied(directions: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Walk along d orthonormal directions ``(n, d)`` until as many weights are nought: the weights, and the ids of these rows."""
    out = []
    while directions.shape[1]:
        way = directions[:, 0]  # has entries of either sign, for the total stays the same
        reach = torch.where(way > _NOUGHT, weight / way, torch.inf)
        row = reach.argmin()
        weight = (weight - reach[row] * way).clamp(min=0.0)
        weight[row] = 0.0
        out.append(row)
        mirror = directions[row].clone()
        mirror[0] += mirror.norm()  # positive already: nothing cancels
        directions = directions - torch.outer(directions @ mirror, mirror * (2 / mirror.dot(mirror)))
        directions = directions[:, 1:]
        directions[row] = 0.0
    return weight, torch.stack(out)


def _refined(columns: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weights ``(k,)`` of rows nearer to the sums that they should have, where that leaves them positive."""
    for _ in range(2):
        off = target - columns.T @ weight
        better = weight + torch.linalg.lstsq(columns.T, off[:, None], rcond=_DEPENDENT).solution[:, 0]
        if bool((better <= 0).any()) or (target - columns.T @ better).norm() >= off.norm():
            break
        weight = better
    return weight
