"""Kernels of fully connected ReLU networks: arc-cosine kernels, and those of infinitely wide networks.

The angle t between two rows is all that a ReLU needs. With c its cosine, Gaussian u and v of variance 1 and covariance c
have ``2 E[1(u > 0) 1(v > 0)] = k0(c)`` and ``2 E[max(u, 0) max(v, 0)] = k1(c)``, where

    ``k0(c) = (pi - t) / pi``,    ``k1(c) = (sin t + (pi - t) c) / pi``.

The slope of k1 is k0. That of k0 is ``1 / (pi sin t)``, without a bound: as a function of a row, k0 has a kink where the
row points as the other does, and `Rectified` gives it there the mean of both sides' slopes, nought.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from attar.distances.kernels import paired
from attar.types import AttarError

__all__ = ["ArcCosine", "FullyConnected", "Rectified", "check_layers", "positive"]

Kind = Literal["ntk", "nngp"]

_SLACK = {torch.float32: 32, torch.float64: 256}
"""How far from 1 the cosine of a row with itself may come out, in units of the last place: some ten times what was
measured for rows of 10 to 3,072 numbers."""


class Rectified(torch.autograd.Function):
    """``(k1(c), k0(c))`` of cosines c of any shape, with the slopes k0 and ``1 / (pi sin t)``.

    Cosines near 1 are right to a few units in the last place only, so that a small angle, below 0.003 in float32 and
    4e-7 in float64, cannot be told from none. It counts as none: a row and itself give exactly 1 and not 1 - 1e-4, and
    no slope is larger than a few hundred in float32. The same holds about a half turn.
    """

    @staticmethod
    def forward(cosine: Tensor) -> tuple[Tensor, Tensor]:
        sure = 1 - _SLACK[cosine.dtype] * torch.finfo(cosine.dtype).eps
        cosine = torch.where(cosine.abs() > sure, cosine.sign(), cosine)
        zeroth = torch.acos(cosine).mul_(-1 / math.pi).add_(1)
        first = 1 - cosine
        first = first.addcmul_(first, cosine).sqrt_().mul_(1 / math.pi)  # (1 - c)(1 + c) = sin^2 t, to the last place
        return first.addcmul_(zeroth, cosine), zeroth

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, first: Tensor | None, zeroth: Tensor | None) -> Tensor | None:  # type: ignore[override]
        (share,) = ctx.saved_tensors
        total = None if first is None else first * share
        if zeroth is None:
            return total
        slope = kinked(zeroth, share, torch.sin(math.pi * share))
        return slope if total is None else total + slope


def kinked(upstream: Tensor, zeroth: Tensor, sine: Tensor) -> Tensor:
    """`upstream` times the slope of k0, ``1 / (pi sin t)``; nought where two rows point the same way, or against."""
    kink = (zeroth <= 0) | (zeroth >= 1)
    return (upstream / (math.pi * sine.masked_fill(kink, 1))).masked_fill(kink, 0)


def positive(variance: Tensor) -> Tensor:
    """Variances with those that are nought, of rows of nought where there is no bias, replaced by a tiny one.

    The kernel of such a row is then nought but for rounding, and its gradient the mean of both sides' slopes.
    """
    return variance.clamp_min(torch.finfo(variance.dtype).tiny ** 0.75)


def check_layers(depth: int, kind: str, weight_variance: float, bias_variance: float) -> None:
    """Refuse a network without hidden layers, an unknown kind, and variances that are none.

    Raises:
        AttarError: says which.
    """
    if depth < 1:
        raise AttarError(f"A kernel of depth {depth} is of no network with a hidden layer: give a depth of 1 or more.")
    if kind not in ("ntk", "nngp"):
        raise AttarError(f'Kernels of networks are "ntk" or "nngp", and got "{kind}".')
    if not (0 < weight_variance < math.inf and 0 <= bias_variance < math.inf):
        raise AttarError(
            f"Weights of variance {weight_variance} and biases of variance {bias_variance} make no network: "
            "give a number above 0, and one of 0 or more."
        )


@dataclass(frozen=True)
class ArcCosine:
    """The arc-cosine kernel of order 0 (of threshold networks) or 1 (of ReLU networks), composed `depth` times.

    ``k(x, y) = |x|^n |y|^n J_n(t) / pi`` with t the angle between x and y, ``J_0 = pi - t`` and
    ``J_1 = sin t + (pi - t) cos t``; for each further layer t is the angle under the kernel so far, and lengths are its
    own. Of order 1 the kernel of a row with itself is its squared length whatever the depth, of order 0 it is 1; a row
    of nought has no direction, and of order 0 counts as at a right angle to every other.

    Args:
        order: n, 0 or 1.
        depth: layers.

    Reference:
        Cho, Saul: Kernel Methods for Deep Learning, NeurIPS 2009.
    """

    order: int = 1
    depth: int = 1

    def __post_init__(self) -> None:
        if self.order not in (0, 1):
            raise AttarError(f"Arc-cosine kernels are of order 0 or 1 here, and got {self.order}.")
        if self.depth < 1:
            raise AttarError(f"A kernel composed {self.depth} times is none: give a depth of 1 or more.")

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """The kernel ``(n, m)`` of rows ``(n, ...)`` and ``(m, ...)``, flattened."""
        a, b = (rows.flatten(1) for rows in paired(a, b))
        left, right = (positive((rows**2).sum(1)) for rows in (a, b))
        cosine = _unit(a, left) @ _unit(b, right).T
        if self.order == 0:  # so that its gradient at a row without direction is nought
            cosine = cosine * _outer((a != 0).any(1), (b != 0).any(1))
        for _ in range(self.depth):
            cosine = Rectified.apply(cosine)[1 - self.order]
        return cosine if self.order == 0 else cosine * _outer(left.sqrt(), right.sqrt())


@dataclass(frozen=True)
class FullyConnected:
    """The kernel of an infinitely wide fully connected ReLU network: of its outputs (NNGP) or of its gradients (NTK).

    The network has `depth` hidden layers and a linear output, ``z_l = sqrt(w / d_l) W_l h_l + sqrt(b) B_l``, h_0 the
    row and h_l the ReLU of the layer below, all entries of W and B standard normal (the "NTK parameterisation"). With
    ``S_0 = w <x, y> / d + b`` the covariance of two rows before the first ReLU, c its cosine and V the variances:

        ``S_(l+1) = w/2 sqrt(V V') k1(c_l) + b``                     (the NNGP kernel is S of the output layer)
        ``T_(l+1) = S_(l+1) + w/2 k0(c_l) T_l``,  ``T_0 = S_0``     (the NTK, of the weights and biases of all layers)

    Where a row stands beside itself or a multiple of itself, the NTK has a kink as a function of one of them alone; its
    gradient there is the mean of both sides', and as a function of both it is right (see `Rectified`). Rows of nought
    likewise.

    Args:
        depth: hidden layers.
        kind: "ntk" or "nngp".
        weight_variance: w. Of 2 the variance of a row without bias is the same in all layers.
        bias_variance: b.

    The defaults are those of KIP's public notebook (google-research/kip/KIP.ipynb): one hidden layer, standard
    deviations sqrt(2) of weights and 0.1 of biases, NTK parameterisation; there the width plays no part.

    Reference:
        Lee et al.: Deep Neural Networks as Gaussian Processes, ICLR 2018; Jacot, Gabriel, Hongler: Neural Tangent
        Kernel, NeurIPS 2018; Cho, Saul: Kernel Methods for Deep Learning, NeurIPS 2009; Nguyen, Chen, Lee: Dataset
        Meta-Learning from Kernel Ridge-Regression, ICLR 2021.
    """

    depth: int = 1
    kind: Kind = "ntk"
    weight_variance: float = 2.0
    bias_variance: float = 0.01

    def __post_init__(self) -> None:
        check_layers(self.depth, self.kind, self.weight_variance, self.bias_variance)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """The kernel ``(n, m)`` of rows ``(n, ...)`` and ``(m, ...)``, flattened.

        Beside one product of the rows it takes some fifteen passes a layer over ``(n, m)``; `attar.distances.blocks`
        bounds what is held at a time.
        """
        sides = [self._first(rows.flatten(1)) for rows in paired(a, b)]
        variances = [positive((rows**2).sum(1)) for rows in sides]
        cosine = _unit(sides[0], variances[0]) @ _unit(sides[1], variances[1]).T
        tangent = cosine  # like the cosine, the kernel divided by the roots of both variances, in every layer
        for _ in range(self.depth):
            cosine, zeroth = Rectified.apply(cosine)
            variances = [self.weight_variance / 2 * variance + self.bias_variance for variance in variances]
            if self.bias_variance:
                share = [self.bias_variance / variance for variance in variances]
                kept = _outer(*((1 - part).sqrt() for part in share))
                cosine = torch.addcmul(_outer(*(part.sqrt() for part in share)), cosine, kept)
                zeroth = zeroth * kept
            if self.kind == "ntk":
                tangent = torch.addcmul(cosine, zeroth, tangent)
        return (tangent if self.kind == "ntk" else cosine) * _outer(*(variance.sqrt() for variance in variances))

    def _first(self, rows: Tensor) -> Tensor:
        """Rows ``(n, d + 1)`` whose products are the covariances before the first ReLU."""
        weights = rows * math.sqrt(self.weight_variance / rows.shape[1])
        return torch.cat([weights, weights.new_full((len(rows), 1), math.sqrt(self.bias_variance))], 1)


def _unit(rows: Tensor, square: Tensor) -> Tensor:
    """Rows ``(n, d)`` divided by their lengths, of which the squares are given."""
    return rows / square.sqrt()[:, None]


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return left[:, None] * right
