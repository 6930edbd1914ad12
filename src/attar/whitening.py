"""ZCA whitening: rows whose values hardly vary together any more, and still look like the rows that they were made of.

Of rows with mean m and covariance ``U diag(s) U'`` it gives ``W (x - m)`` with ``W = U diag(1 / sqrt(s + eps)) U'``. W is
symmetric and has an inverse, so nothing is lost. It is rounded to float32 where it is fitted, and that is what is kept, on
disk too; rows are mapped in float64 by just that matrix and by its exact inverse. So a row is whitened alike in every batch,
and by whoever opens a saved set.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from attar.errors import AttarError

__all__ = ["EPS", "Whitening", "fit"]

EPS = 0.1
"""Added to the variances, in units of rows in [0, 1]: that of the public code of MTT and of those that follow it."""

LARGEST = 12_288
"""Numbers in a row, 3 x 64 x 64: fitting takes 6 GB, and hundreds of times the work of 3 x 32 x 32 beyond."""

_BLOCK = 1024
_COLUMNS = 768
_LARGEST_RATIO = 1e8  # of variances: beyond, float32 would not hold what the inverse needs


@dataclass(frozen=True, eq=False)
class Whitening:
    """A ZCA whitening of rows of d numbers. Rows of any shape ``(n, ...)`` are mapped as ``(n, d)``.

    Args:
        mean: m, ``(d,)``, float32.
        triangle: the upper triangle of W, row by row, ``(d (d + 1) / 2,)``, float32: the other half is the same.
        eps: added to the variances.
        rows: how many rows it was fitted on.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 4.0], [-1.0, 4.0]])  # variances 4/3 and 16/3
        >>> fit(x, eps=2 / 3).apply(x)[3]  # (-1, 4 - 2) by 1 / sqrt(4/3 + 2/3) and 1 / sqrt(16/3 + 2/3)
        tensor([-0.7071,  0.8165])
    """

    mean: Tensor = field(repr=False)
    triangle: Tensor = field(repr=False)
    eps: float
    rows: int

    def apply(self, x: Tensor) -> Tensor:
        """``W (x - m)`` of rows ``(n, ...)``, of their shape, number type and device."""
        mean, matrix, _ = self._on(x)
        return _by_blocks(x, lambda rows: (rows - mean) @ matrix)

    def undo(self, x: Tensor) -> Tensor:
        """The inverse of `apply`."""
        mean, _, inverse = self._on(x)
        return _by_blocks(x, lambda rows: rows @ inverse + mean)

    def change(self, x: Tensor) -> Tensor:
        """``W x``: how whitened rows change where rows change by x ``(n, ...)``."""
        _, matrix, _ = self._on(x)
        return _by_blocks(x, lambda rows: rows @ matrix)

    @property
    def record(self) -> dict[str, Any]:
        """What a card says of it: ``method``, ``eps``, ``rows``, and ``checksum`` and ``nbytes`` of `content`."""
        known = {"method": "zca", "eps": self.eps, "rows": self.rows}
        return {**known, "checksum": self.checksum, "nbytes": len(self.content())}

    @cached_property
    def checksum(self) -> str:
        """ "sha256:..." of `content`. It may differ where the same rows were fitted on another machine."""
        return f"sha256:{hashlib.sha256(self.content()).hexdigest()}"

    def content(self) -> bytes:
        """The file that it is saved as: safetensors of ``mean`` and ``triangle``."""
        from safetensors.torch import save

        return save({"mean": self.mean, "triangle": self.triangle})

    @classmethod
    def read(cls, content: bytes, eps: float, rows: int) -> Whitening:
        """The whitening that `content` gave.

        Raises:
            ValueError: if that is none.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            tensors = load(content)
            mean, triangle = tensors["mean"], tensors["triangle"]
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"it does not hold a mean and a triangle: {error}") from error
        side = mean.numel()
        whole = mean.shape == (side,) and triangle.shape == (side * (side + 1) // 2,) and 0 < side <= LARGEST
        if not whole or {mean.dtype, triangle.dtype} != {torch.float32}:
            raise ValueError("it does not hold the upper triangle of a matrix in float32")
        if not bool(mean.isfinite().all()) or not bool(triangle.isfinite().all()):
            raise ValueError("it holds numbers that are not finite")
        return cls(mean, triangle, float(eps), int(rows))

    def __str__(self) -> str:
        return f"ZCA, eps {self.eps:g}, fitted on {self.rows:,} training rows"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Whitening):
            return NotImplemented
        same = (self.eps, self.rows) == (other.eps, other.rows) and torch.equal(self.mean, other.mean)
        return same and torch.equal(self.triangle, other.triangle)

    def __hash__(self) -> int:
        return hash((self.eps, self.rows, len(self.mean)))

    def __getstate__(self) -> dict[str, Any]:
        """As arrays, so that a process that is sent it gets bytes and not shared memory, of which there may be little."""
        return {"mean": self.mean.numpy(), "triangle": self.triangle.numpy(), "eps": self.eps, "rows": self.rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = {name: torch.from_numpy(state[name]) for name in ("mean", "triangle")}
        self.__dict__.update({**state, **arrays})

    @cached_property
    def _placed(self) -> dict[torch.device, tuple[Tensor, Tensor, Tensor]]:
        """By device m ``(d,)``, W and its inverse ``(d, d)`` in float64."""
        side = len(self.mean)
        half = torch.zeros(side, side, dtype=torch.float64)
        half[tuple(torch.triu_indices(side, side))] = self.triangle.double()
        matrix = half + half.triu(1).T
        try:
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
        except RuntimeError as error:
            raise AttarError(
                "This whitening cannot be undone, as its matrix has no inverse: it was not fitted so."
            ) from error
        return {self.mean.device: (self.mean.double(), matrix, inverse)}

    def _on(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        numbers = math.prod(x.shape[1:])
        if numbers != len(self.mean):
            raise AttarError(
                f"The whitening is of rows of {len(self.mean):,} numbers and these have {numbers:,}: "
                "give rows of the shape that it was fitted on."
            )
        if x.device not in self._placed:
            mean, matrix, inverse = (tensor.to(x.device) for tensor in self._placed[self.mean.device])
            self._placed[x.device] = mean, matrix, inverse
        return self._placed[x.device]


def fit(x: Tensor, eps: float = EPS) -> Whitening:
    """The ZCA whitening of rows.

    Directions in which rows do not vary, as of constant pixels or where there are fewer rows than numbers in one, are
    divided by ``sqrt(eps)`` alone. Beside the rows it takes a few ``(d, d)`` matrices in float64.

    Args:
        x: rows ``(n, ...)`` on the CPU, those that are trained on; never rows that judge.
        eps: added to the variances, which are those of a sample (n - 1); above 0.

    Raises:
        AttarError: if there are fewer than two rows, they are too large, not finite, or eps is none.

    Reference:
        Krizhevsky, Learning multiple layers of features from tiny images, 2009, appendix A; eps as in the class
        ZCAWhitening of kornia, which the public code of MTT takes.
    """
    side = math.prod(x.shape[1:])
    if side > LARGEST:
        raise AttarError(
            f"Rows of {' x '.join(map(str, x.shape[1:]))} are too large for ZCA whitening, whose matrix of {side:,} x "
            f"{side:,} would take {8 * side**2 / 2**30:,.1f} GiB: make them smaller ({LARGEST:,} numbers at most), or leave "
            "it out."
        )
    if len(x) < 2 or side == 0:
        raise AttarError(
            f"ZCA whitening is fitted on two rows or more, and was given {len(x)}: add rows, or leave it out."
        )
    if not 0 < eps < math.inf:
        raise AttarError(f"eps={eps} is none for ZCA whitening: give a number above 0, such as {EPS}.")
    blocks = x.flatten(1).split(_BLOCK)
    mean = torch.stack([block.sum(0, dtype=torch.float64) for block in blocks]).sum(0) / len(x)
    mean = mean.float()
    covariance = torch.zeros(side, side, dtype=torch.float64)
    for block in blocks:
        centred = block.double() - mean
        for start in range(0, side, _COLUMNS):  # the upper triangle, which is all that is read
            covariance[start : start + _COLUMNS, start:] += centred[:, start : start + _COLUMNS].T @ centred[:, start:]
    if not bool(covariance.isfinite().all()):
        raise AttarError("Rows that are not finite cannot be whitened: mend or leave them out.")
    variances, directions = torch.linalg.eigh(covariance.div_(len(x) - 1), UPLO="U")
    variances.clamp_(min=0)  # those that are 0 are computed as nearly 0
    if float(variances[-1]) > _LARGEST_RATIO * eps:
        raise AttarError(
            f"eps={eps:g} is too small for ZCA whitening of rows whose variance in a direction is {float(variances[-1]):.3g}: "
            f"give {float(variances[-1]) / _LARGEST_RATIO:.1g} or more."
        )
    matrix = (directions * (variances + eps).rsqrt()) @ directions.T
    return Whitening(mean, matrix[tuple(torch.triu_indices(side, side))].float(), float(eps), len(x))


def _by_blocks(x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Rows ``(n, ...)`` changed as ``(n, d)`` in float64, a few at a time."""
    parts = [change(block.double()).to(x.dtype) for block in x.flatten(1).split(_BLOCK)]
    return torch.cat(parts).view(x.shape)
