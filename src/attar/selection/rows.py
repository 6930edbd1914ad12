"""The rows that a rule chooses from: checks, distances a block at a time, and which row stands for which.

No function here holds anything of n x n. Squared distances come from inner products, ``|a|^2 + |b|^2 - 2 <a, b>``, about the
mean of the rows; where the three terms nearly cancel, the pair is computed again from its difference, so that equal rows
are at distance 0 and near ones are told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self

import torch
from torch import Tensor

from attar.types import AttarError

__all__ = [
    "Pairs",
    "Rows",
    "asked_for",
    "blocks",
    "main_directions",
    "nearest_of",
    "represented",
    "squared_distances",
    "total",
]

BLOCK = 2**23
"""Numbers in one block of distances (32 MiB in fp32)."""

CANCELLED = 1e-4
"""Squared distances below this share of the squared norms have lost half of fp32's digits and are computed anew."""


class Pairs(Protocol):
    """Rows between which distances can be asked for, however they are held."""

    @property
    def norms(self) -> Tensor:
        """Squared norms ``(n,)``."""

    def __len__(self) -> int: ...
    def take(self, ids: Tensor | slice) -> Self:
        """Some of the rows."""

    def products(self, others: Self) -> Tensor:
        """Inner products ``(n, m)`` with m other rows."""

    def total_products(self, others: Self) -> Tensor:
        """Inner products ``(n,)`` with the sum of other rows, in float64."""

    def apart(self, others: Self) -> Tensor:
        """Squared distances ``(n,)`` of row i from row i of as many others, from their differences, in float64."""

    def sketch(self, width: int, generator: torch.Generator) -> Self:
        """The same rows with the same norms, whose inner products are those of their `width` main directions."""


class Rows:
    """Rows of a matrix, moved so that their mean is zero.

    Args:
        x: ``(n, d)`` real numbers; half precision and integers are computed in fp32, float64 in float64.

    Raises:
        AttarError: if x is no matrix, is empty, or holds values that are not finite.
    """

    def __init__(self, x: Tensor):
        if x.ndim != 2 or not len(x):
            raise AttarError(
                f"Rows to choose from are a matrix (n, d) with a row at least, and these are {tuple(x.shape)}: flatten each row."
            )
        values = x if x.dtype in (torch.float32, torch.float64) else x.float()
        self.mean = total(values) / len(values)
        # a sum of finite numbers can overflow only where squared distances would as well
        if not bool(self.mean.isfinite().all()) or not bool(values.sum().isfinite()):
            wrong = int((~torch.isfinite(values)).any(1).sum())
            raise AttarError(
                f"{wrong} of {len(x)} rows hold values that are not finite (NaN or infinite): mend or drop them before choosing."
            )
        self.values = values - self.mean.to(values.dtype)
        self.norms = torch.linalg.vector_norm(self.values, dim=1).square_()

    def __len__(self) -> int:
        return len(self.values)

    def take(self, ids: Tensor | slice) -> Self:
        """Some of the rows, still about the mean of all."""
        part = object.__new__(type(self))
        part.mean, part.values, part.norms = self.mean, self.values[ids], self.norms[ids]
        return part

    def products(self, others: Self) -> Tensor:
        return self.values @ others.values.T

    def total_products(self, others: Self) -> Tensor:
        return (self.values @ total(others.values).to(self.values.dtype)).double()

    def apart(self, others: Self) -> Tensor:
        return (self.values.double() - others.values.double()).square_().sum(1)

    def sketch(self, width: int, generator: torch.Generator) -> Self:
        part = self.take(slice(None))
        if self.values.shape[1] > width:
            part.values = self.values @ main_directions(self.values, width, generator)
        return part


def main_directions(values: Tensor, width: int, generator: torch.Generator) -> Tensor:
    """Orthonormal columns ``(d, width)`` near those along which a sample of rows is longest (subspace iteration)."""
    some = values[torch.randperm(len(values), generator=generator)[:4096].to(values.device)]
    start = torch.randn((values.shape[1], width), generator=generator, dtype=values.dtype).to(values.device)
    basis = torch.linalg.qr(start)[0]
    for _ in range(3):
        basis = torch.linalg.qr(some.T @ (some @ basis))[0]
    return basis


def squared_distances(some: Pairs, others: Pairs) -> Tensor:
    """Squared distances ``(n, m)`` between rows of one whole, at least 0."""
    products = some.products(others)
    found = torch.add(others.norms, products, alpha=-2, out=products).add_(some.norms[:, None])
    first, second = torch.nonzero(
        found < (2 * CANCELLED) * some.norms[:, None], as_tuple=True
    )  # near rows have near norms
    for part in blocks(len(first), 2**12):
        pairs = first[part], second[part]
        found[pairs] = some.take(pairs[0]).apart(others.take(pairs[1])).to(found.dtype)
    return found.clamp_(min=0)


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover ``range(count)``."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def total(values: Tensor) -> Tensor:
    """The sum of rows ``(d,)`` in float64, with few of them in float64 at a time."""
    return torch.stack([values[part].sum(0, dtype=torch.float64) for part in blocks(len(values), 2**12)]).sum(0)


def nearest_of(pairs: Pairs, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """For every row the place in `chosen` of the nearest chosen row, the earlier of equals, and the squared distance.

    A chosen row is its own nearest, also where an equal row was chosen before it.
    """
    centres = pairs.take(chosen)
    owner = torch.empty(len(pairs), dtype=torch.long, device=pairs.norms.device)
    gap = torch.empty_like(pairs.norms)
    for part in blocks(len(pairs), max(64, BLOCK // 4 // len(chosen))):
        gap[part], owner[part] = squared_distances(pairs.take(part), centres).min(1)
    owner[chosen] = torch.arange(len(chosen), device=owner.device)
    gap[chosen] = 0
    return owner, gap


def represented(pairs: Pairs, chosen: Tensor) -> Tensor:
    """How many rows each chosen one stands for ``(k,)``: those to which it is the nearest, itself among them."""
    return torch.bincount(nearest_of(pairs, chosen)[0], minlength=len(chosen)).double().cpu()


def asked_for(fixed: Tensor | None, count: int, rows: int) -> list[int]:
    """The ids that must be in a choice of `count` out of `rows`, checked.

    Raises:
        AttarError: if the count is below 1 or above the rows, or ids repeat, do not exist, or are more than the count.
    """
    if not 1 <= count <= rows:
        raise AttarError(f"{count} rows were asked for and there are {rows} to choose from: ask for 1 to {rows}.")
    ids = [] if fixed is None else [int(row) for row in fixed.flatten().tolist()]
    wrong = next((row for row in ids if not 0 <= row < rows), None)
    if wrong is not None:
        raise AttarError(f"Row {wrong} must be in the choice and does not exist: ids run from 0 to {rows - 1}.")
    if len(set(ids)) < len(ids):
        twice = next(row for row in ids if ids.count(row) > 1)
        raise AttarError(f"Row {twice} is named twice among those that must be in the choice: name it once.")
    if len(ids) > count:
        raise AttarError(f"{len(ids)} rows must be in a choice of {count}: raise the count or name fewer.")
    return ids
