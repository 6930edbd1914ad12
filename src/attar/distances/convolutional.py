"""The kernel of an infinitely wide convolutional ReLU network, exact, for small images.

Inside, covariances of two images' positions stand with the positions first: ``(h, w, n, m)`` where only equal positions
of both images meet, ``(h, w, h', w', n, m)`` where all do, as pooling asks for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attar.distances.kernels import paired
from attar.distances.neural import Kind, Rectified, check_layers, kinked, positive
from attar.distances.ridge import blocks
from attar.types import AttarError

__all__ = ["Convolutional"]

_NEAR = 2**25
"""Bytes of a block's work on a CPU: beyond what it keeps near, larger blocks are slower, even where each is computed twice."""


@dataclass(frozen=True)
class Convolutional:
    """The kernel of an infinitely wide convolutional ReLU network: of its outputs (NNGP) or of its gradients (NTK).

    The network has `depth` convolutions with `size` x `size` filters, of stride 1 and padded with nought to keep the
    image's size, each followed by a ReLU and, with `pooling`, by 2 x 2 average pooling; then all that is left is
    flattened, or averaged over the positions ("pool"), and goes through a linear layer. Weights are standard normal
    times ``sqrt(w / fan_in)``, biases times ``sqrt(b)`` (the "NTK parameterisation"). With K the covariance of two
    positions in the layer below (of images: the mean over the channels of the product), V the variances and W the mean
    over a filter's places, nought beyond the edge,

        ``S = w W[K] + b``,  ``T = S + w W[T]``;  through a ReLU ``K = sqrt(V V')/2 k1(c)``,  ``T = k0(c)/2 T``

    with c the cosine of S, k0 and k1 as in `attar.distances.neural`; T starts as nought. The linear layer is the same
    with a mean over equal positions (flattened) or over all pairs of positions (pooled). Kinks are as in
    `FullyConnected`.

    Flattened without pooling, the kernel needs h w numbers for each pair of images; else it needs (h w)^2 of them,
    614,656 for 28 x 28. Pairs of images go in blocks, which are computed twice where a gradient is asked for and there
    are several. ConvNet-3 without normalisation is ``Convolutional(3, pooling=True)``, sides halved
    and rounded down.

    Args:
        depth: convolutions.
        kind: "ntk" or "nngp".
        readout: "flatten" or "pool".
        pooling: average pooling after every convolution.
        size: side of a filter, odd; of 1 with images of 1 x 1 this is `FullyConnected`.
        weight_variance: w.
        bias_variance: b.
        memory: bytes that a block of pairs may take; on a CPU blocks are smaller where they can be, which is faster.

    Reference:
        Novak et al.: Bayesian Deep Convolutional Networks with Many Channels are Gaussian Processes, ICLR 2019; Arora
        et al.: On Exact Computation with an Infinitely Wide Neural Net, NeurIPS 2019. The variances of weights and
        biases are those of KIP's public notebook (google-research/kip/KIP.ipynb), as is the flattened network.
    """

    depth: int = 3
    kind: Kind = "ntk"
    readout: Literal["flatten", "pool"] = "flatten"
    pooling: bool = False
    size: int = 3
    weight_variance: float = 2.0
    bias_variance: float = 0.01
    memory: float = 1e9

    def __post_init__(self) -> None:
        check_layers(self.depth, self.kind, self.weight_variance, self.bias_variance)
        if self.readout not in ("flatten", "pool"):
            raise AttarError(f'Convolutional kernels read out by "flatten" or "pool", and got "{self.readout}".')
        if self.size < 1 or self.size % 2 == 0:
            raise AttarError(f"Filters of a side of {self.size} do not keep an image's size: give an odd number.")

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """The kernel ``(n, m)`` of images ``(n, c, h, w)`` and ``(m, c, h, w)``.

        Raises:
            AttarError: if a pair of images takes more than `memory`, or pooling leaves nothing of them.
        """
        a, b = paired(a, b)
        sides = self._sides(a)
        pairs = self._pairs(a, torch.is_grad_enabled() and (a.requires_grad or b.requires_grad))
        columns = max(1, min(pairs, len(b)))

        def block(x: Tensor, y: Tensor) -> Tensor:
            return self._kernel(self._unpacked(x, sides), self._unpacked(y, sides))

        packed = [self._packed(images, sides, pairs) for images in (a, b)]
        return blocks(block, packed[0], packed[1], max(1, pairs // columns), columns)

    # -- what fits

    def _sides(self, images: Tensor) -> list[tuple[int, int, int]]:
        """Channels, height and width of the images, then of every layer before its ReLU, a channel each."""
        if images.dim() != 4:
            raise AttarError(f"A convolutional kernel is of images (n, c, h, w), and got {tuple(images.shape)}.")
        channels, height, width = images.shape[1:]
        sides = [(channels, height, width)]
        for layer in range(self.depth):
            shift = layer if self.pooling else 0
            sides.append((1, height >> shift, width >> shift))
        if self.pooling and min(height, width) >> self.depth == 0:
            raise AttarError(
                f"Pooling halves {height} x {width} images {self.depth} times, and nothing is left: give a depth of "
                f"{min(height, width).bit_length() - 1} or less."
            )
        return sides

    @property
    def _all(self) -> bool:
        """Whether all pairs of positions meet."""
        return self.pooling or self.readout == "pool"

    def _pairs(self, images: Tensor, learns: bool) -> int:
        """Pairs of images in a block."""
        (height, width), element = images.shape[2:], images.element_size()
        held = 8 + (3 * (1 if self.pooling else self.depth) if learns else 0)  # measured: tensors alive at a time
        places = height * width
        size = element * held * (places**2 if self._all else places)
        if size > self.memory:
            fits = int(self.memory / element / held)
            side = math.isqrt(math.isqrt(fits) if self._all else fits)
            raise AttarError(
                f"A pair of {height} x {width} images takes {size / 1e9:.2g} GB in this kernel, and its memory is "
                f"{self.memory / 1e9:.2g} GB: images of {side} x {side} fit; make them smaller or raise memory"
                + (", or flatten without pooling, which looks at equal positions alone." if self._all else ".")
            )
        return max(1, int((min(self.memory, _NEAR) if images.device.type == "cpu" else self.memory) / size))

    # -- one side

    def _packed(self, images: Tensor, sides: Sequence[tuple[int, int, int]], pairs: int) -> Tensor:
        """Images and their variances in all layers ``(n, numbers)``, so that a block's rows are cut from one tensor.

        A row's variances come in blocks as a kernel would, of which the second side says only how many they are.
        """
        count = sum(math.prod(shape) for shape in sides[1:])
        rows = pairs if self.pooling else max(1, len(images))
        variances = blocks(lambda x, _: self._variances(x), images, images.new_empty(count, 0), rows)
        return torch.cat([images.flatten(1), variances], 1)

    def _unpacked(self, side: Tensor, sides: Sequence[tuple[int, int, int]]) -> list[Tensor]:
        """Images ``(h, w, n, c)`` and the variances in each layer ``(h_l, w_l, n)``."""
        cut = side.split([math.prod(shape) for shape in sides], 1)
        images, *variances = (part.unflatten(1, shape) for part, shape in zip(cut, sides, strict=True))
        return [images.permute(2, 3, 0, 1), *(part[:, 0].permute(1, 2, 0) for part in variances)]

    def _variances(self, images: Tensor) -> Tensor:
        """Variances before each ReLU, of all layers in one ``(n, numbers)``."""
        met = "nchw,ncuv->hwuvn" if self.pooling else "nchw,nchw->hwn"
        inside = torch.einsum(met, images, images) / images.shape[1]
        found = []
        for layer in range(self.depth):
            inside = self._convolved(inside)
            variance = positive(_equal(inside) if self.pooling else inside)
            found.append(variance.permute(2, 0, 1).flatten(1))
            if layer == self.depth - 1:
                break
            if self.pooling:
                root = variance.sqrt()
                inside = _pooled(_Hidden.apply(inside, None, root[:, :, None, None], root)[0])
            else:
                inside = variance / 2
        return torch.cat(found, 1)

    # -- both

    def _kernel(self, left: list[Tensor], right: list[Tensor]) -> Tensor:
        """The kernel ``(n, m)`` of two sides of a block."""
        inside, tangent = self._products(left[0], right[0]), None
        for below, beside in zip(left[1:], right[1:], strict=True):
            outside = self._convolved(inside)
            if self.kind == "ntk":
                tangent = outside if tangent is None else outside + self._window(tangent)
            inside, tangent = _Hidden.apply(outside, tangent, *self._roots(below, beside))
            if self.pooling:
                inside, tangent = _pooled(inside), None if tangent is None else _pooled(tangent)
        total = inside if tangent is None else inside + tangent
        return self.weight_variance * self._read(total) + self.bias_variance

    def _products(self, left: Tensor, right: Tensor) -> Tensor:
        """Means over the channels of products of ``(h, w, n, c)`` and ``(h, w, m, c)``."""
        left = left / left.shape[-1]
        if not self._all:
            return left @ right.mT
        return torch.einsum("hwnc,uvmc->hwuvnm", left, right).contiguous()

    def _roots(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Roots of variances ``(h, w, n)`` and ``(h, w, m)``, of shapes that give every pair's product."""
        left = left[:, :, None, None] if self._all else left
        return left.sqrt()[..., None], right.sqrt()[..., None, :]

    def _convolved(self, inside: Tensor) -> Tensor:
        return self._window(inside) + self.bias_variance

    def _window(self, inside: Tensor) -> Tensor:
        """``w W[.]`` over both images' positions at once."""
        groups = ((0, 2), (1, 3)) if inside.dim() > 4 else ((0,), (1,))
        return _Window.apply(inside, groups, self.size // 2) * (self.weight_variance / self.size**2)

    def _read(self, inside: Tensor) -> Tensor:
        if self.readout == "pool":
            return inside.mean((0, 1, 2, 3))
        return (_equal(inside) if self.pooling else inside).mean((0, 1))


class _Hidden(torch.autograd.Function):
    """A ReLU: from S, T and the roots of both variances, which broadcast, to ``sqrt(V V')/2 k1(c)`` and ``T k0(c)/2``.

    It is written out so that S, T and k0 are all that is kept for the way back. With respect to ``r = sqrt(V V')`` the
    first changes by ``sin t / (2 pi)``.
    """

    @staticmethod
    def forward(ctx: Any, outside: Tensor, tangent: Tensor | None, *roots: Tensor) -> tuple[Tensor, Tensor | None]:
        scale = roots[0] * roots[1]
        first, zeroth = Rectified.forward(outside / scale)
        ctx.save_for_backward(outside, tangent, zeroth, *roots)
        return first.mul_(scale).mul_(0.5), None if tangent is None else (zeroth * tangent).mul_(0.5)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, inside: Tensor, slope: Tensor | None) -> tuple[Tensor | None, ...]:
        outside, tangent, zeroth, left, right = ctx.saved_tensors
        sine = torch.sin(math.pi * zeroth)
        below, scale = inside * zeroth, inside * sine / math.pi  # by S and by r, all doubled
        if tangent is not None:
            through = kinked(slope * tangent, zeroth, sine).div_(left * right)
            below.add_(through)
            scale.addcmul_(through, (outside / left).div_(right), value=-1)
            slope = slope * zeroth / 2
        sides = (scale * right).sum_to_size(left.shape), (scale * left).sum_to_size(right.shape)
        return below / 2, slope if tangent is not None else None, sides[0] / 2, sides[1] / 2


class _Window(torch.autograd.Function):
    """The sum over a window of places, nought beyond the edge, along axes that move together; it is its own adjoint."""

    @staticmethod
    def forward(x: Tensor, groups: tuple[tuple[int, ...], ...], reach: int) -> Tensor:
        for axes in groups:
            total = x.clone()
            for step in range(1, min(reach, x.shape[axes[0]] - 1) + 1):
                later, earlier = (_part(x, axes, cut) for cut in (slice(step, None), slice(None, -step)))
                total[later] += x[earlier]
                total[earlier] += x[later]
            x = total
        return x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, tuple[tuple[int, ...], ...], int], output: Tensor) -> None:
        ctx.window = inputs[1:]

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _Window.apply(slope, *ctx.window), None, None


def _part(x: Tensor, axes: Sequence[int], cut: slice) -> tuple[slice, ...]:
    return tuple(cut if axis in axes else slice(None) for axis in range(x.dim()))


def _equal(x: Tensor) -> Tensor:
    """Of all pairs of positions ``(h, w, h, w, ...)`` the equal ones ``(h, w, ...)``."""
    return x.diagonal(dim1=0, dim2=2).diagonal(dim1=0, dim2=1).movedim((-2, -1), (0, 1))


def _pooled(x: Tensor) -> Tensor:
    """Means over 2 x 2 places of both images ``(h, w, h, w, ...)``; a last odd row or column is left out."""
    for axis in range(4):
        half = x.shape[axis] // 2
        x = x.narrow(axis, 0, 2 * half).unflatten(axis, (half, 2)).mean(axis + 1)
    return x
