"""ConvNet with instance norm, its gradients written out, so that one compiled graph does a whole pass.

The plain network (`attar.models.convnet`) is the reference; tests hold this one to it. What makes it fast on a CPU:

- The first block is never stored at full resolution. Its norm's statistics follow from the second moments of the
  3 x 3 x c patches (9 or 27 numbers a pixel), so convolution, norm, ReLU and pool are one pass over the pixels.
- Everything is ``(n, h, w, c)``: norms and pools run along channels, convolutions are channels-last, in bf16 if asked.
- The gradient to the input of a convolution runs as a forward convolution with flipped weights; biases before an instance
  norm have no gradient and are skipped.

Statistics, sums and whatever is returned are float32. Shapes: images ``(n, c, h, w)``, features ``(n, h, w, c)`` inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from attar.models.convnet import ConvNet
from attar.models.network import enlarge

__all__ = [
    "backward",
    "blocks",
    "embedding",
    "embedding_back",
    "embedding_kept",
    "layers",
    "layers_back",
    "layers_kept",
    "of_the_last",
    "padding",
    "supports",
]

EPS = 1e-5
Weights = dict[str, Tensor]


def supports(model: torch.nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether the passes below compute this network on images of this shape: a ConvNet with instance norm whose sides
    halve without rest, from few channels."""
    if not isinstance(model, ConvNet) or shape[0] > 4 or len(model.blocks) < 2:
        return False
    _, height, width = enlarge((shape[0], shape[1], shape[2]))
    norms = [block[1] for block in model.blocks]  # type: ignore[index]
    instance = all(isinstance(norm, torch.nn.GroupNorm) and norm.num_groups == norm.num_channels for norm in norms)
    return instance and height % 2 ** len(norms) == 0 and width % 2 ** len(norms) == 0


def padding(shape: tuple[int, ...]) -> int:
    """Padding of the first convolution."""
    return 1 + enlarge((shape[0], shape[1], shape[2]))[0]


class _Layer(NamedTuple):
    weight: Tensor
    scale: Tensor
    shift: Tensor


def blocks(params: Weights) -> list[_Layer]:
    """The weights of each block that the passes use."""
    depth = sum(name.endswith(".0.bias") for name in params)
    return [
        _Layer(params[f"blocks.{i}.0.weight"], params[f"blocks.{i}.1.weight"], params[f"blocks.{i}.1.bias"])
        for i in range(depth)
    ]


# -- the first block


class _Stats(NamedTuple):
    mean: Tensor  # (n, k) of the patches
    centred: Tensor  # (n, k, h*w) patches less their mean
    weight: Tensor  # (out, k)
    offset: Tensor  # (n, out) mean of the convolution
    covaried: Tensor  # (n, out, k) weight times patch covariance
    inverse: Tensor  # (n, out) one over the standard deviation
    gain: Tensor  # (n, out) scale times that


def _patches(x: Tensor, pad: int) -> Tensor:
    """``(n, k, h, w)``, k = 9 c in the order of a convolution's flattened weight."""
    padded = F.pad(x, (pad,) * 4)
    height, width = padded.shape[2] - 2, padded.shape[3] - 2
    shifts = [(c, i, j) for c in range(x.shape[1]) for i in range(3) for j in range(3)]
    return torch.stack([padded[:, c, i : i + height, j : j + width] for c, i, j in shifts], 1)


def _unpatch(slope: Tensor, channels: int, pad: int) -> Tensor:
    """The adjoint of `_patches`."""
    planes = []
    for c in range(channels):
        parts = [F.pad(slope[:, 9 * c + k], (k % 3, 2 - k % 3, k // 3, 2 - k // 3)) for k in range(9)]
        planes.append(sum(parts[1:], parts[0]))
    return torch.stack(planes, 1)[:, :, pad:-pad, pad:-pad]


def _first_stats(patches: Tensor, layer: _Layer) -> _Stats:
    flat = patches.flatten(2)
    mean = flat.mean(2)
    centred = flat - mean[:, :, None]
    covariance = centred @ centred.transpose(1, 2) / flat.shape[2]
    weight = layer.weight.flatten(1)
    covaried = weight @ covariance
    inverse = torch.rsqrt((covaried * weight).sum(2) + EPS)
    return _Stats(mean, centred, weight, mean @ weight.t(), covaried, inverse, layer.scale * inverse)


def _first_pre(patches: Tensor, stats: _Stats, shift: Tensor) -> list[Tensor]:
    """The four values before ReLU of every pooled cell, each ``(n, h/2, w/2, out)``."""
    n, k, height, width = patches.shape
    weight = (stats.gain[:, :, None] * stats.weight).transpose(1, 2).contiguous()
    bias = (shift - stats.offset * stats.gain)[:, None, None, :]
    cells = patches.view(n, k, height // 2, 2, width // 2, 2)
    values = []
    for i in range(2):
        for j in range(2):
            value = bias
            for index in range(k):
                value = value + cells[:, index, :, i, :, j, None] * weight[:, None, None, index, :]
            values.append(value)
    return values


def _first_back(
    patches: Tensor, stats: _Stats, layer: _Layer, slope: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, _Layer]:
    """From the gradient of the pooled output: what `_first_input` needs, and the gradients of the layer."""
    n, k, height, width = patches.shape
    area = height * width
    quarter = slope.float() * 0.25
    # which cells are open is a constant of the second derivative
    frozen = _Stats(*(value.detach() for value in stats))
    open_ = _first_pre(patches.detach(), frozen, layer.shift.detach())
    gated = torch.stack([torch.where(value > 0, quarter, 0.0).to(dtype) for value in open_], 3).reshape(n, area, -1)
    cells = patches.view(n, k, height // 2, 2, width // 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(n, k, area)
    sums = torch.bmm(torch.cat([cells, torch.ones_like(cells[:, :1])], 1).to(dtype), gated).float()
    by_patch, total = sums[:, :k].transpose(1, 2), sums[:, k]
    mean = total / area
    mean_y = stats.inverse * ((by_patch * stats.weight).sum(2) / area - stats.offset * mean)
    centred = by_patch - (mean * area)[:, :, None] * stats.mean[:, None, :]
    weight = (stats.gain[:, :, None] * (centred - (mean_y * stats.inverse * area)[:, :, None] * stats.covaried)).sum(0)
    means = torch.stack([mean, mean_y])
    return gated, means, _Layer(weight.view_as(layer.weight), (mean_y * area).sum(0), total.sum(0))


def _first_input(
    patches: Tensor, stats: _Stats, gated: Tensor, means: Tensor, channels: int, pad: int, dtype: torch.dtype
) -> Tensor:
    """Gradient of the images."""
    n, k, height, width = patches.shape
    mean, mean_y = means[0], means[1]
    scaled = stats.gain[:, :, None] * stats.weight
    slope = torch.bmm(gated, scaled.to(dtype)).float().view(n, height // 2, width // 2, 2, 2, k)
    slope = slope.permute(0, 5, 1, 3, 2, 4).reshape(n, k, height * width)
    constant = (scaled * mean[:, :, None]).sum(1)
    linear = (scaled * (stats.inverse * mean_y)[:, :, None]).transpose(1, 2) @ stats.weight
    slope = slope - constant[:, :, None] - linear @ stats.centred
    return _unpatch(slope.view(n, k, height, width), channels, pad)


# -- the other blocks


def _convolve(a: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
    return F.conv2d(a.to(dtype).permute(0, 3, 1, 2), weight, padding=1).permute(0, 2, 3, 1)


def _input_gradient(slope: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    return _convolve(slope, weight.flip(2, 3).transpose(0, 1), dtype)


def _weight_gradient(a: Tensor, slope: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    kernel = weight.to(dtype).contiguous(memory_format=torch.channels_last)
    sides = slope.permute(0, 3, 1, 2), a.to(dtype).permute(0, 3, 1, 2)
    one, nought = (1, 1), (0, 0)
    mask = (False, True, False)
    return torch.ops.aten.convolution_backward(*sides, kernel, None, one, one, one, False, nought, 1, mask)[1].float()


def _norm_stats(y: Tensor) -> tuple[Tensor, Tensor]:
    wide = y.float()
    mean = wide.mean((1, 2), keepdim=True)
    return mean, torch.rsqrt(((wide - mean) ** 2).mean((1, 2), keepdim=True) + EPS)


def _tail(y: Tensor, mean: Tensor, inverse: Tensor, layer: _Layer, dtype: torch.dtype) -> Tensor:
    """Norm, ReLU and pool."""
    n, height, width, channels = y.shape
    z = F.relu((y.float() - mean) * (inverse * layer.scale) + layer.shift).view(
        n, height // 2, 2, width // 2, 2, channels
    )
    return ((z[:, :, 0, :, 0] + z[:, :, 0, :, 1] + z[:, :, 1, :, 0] + z[:, :, 1, :, 1]) * 0.25).to(dtype)


def _tail_back(
    y: Tensor, mean: Tensor, inverse: Tensor, layer: _Layer, slope: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    n, height, width, channels = y.shape
    hat = (y.float() - mean) * inverse
    spread = (
        (slope.float() * 0.25)[:, :, None, :, None, :]
        .expand(n, height // 2, 2, width // 2, 2, channels)
        .reshape(y.shape)
    )
    gated = torch.where((hat * layer.scale + layer.shift).detach() > 0, spread, 0.0)
    mean_g = gated.mean((1, 2), keepdim=True)
    mean_gy = (gated * hat).mean((1, 2), keepdim=True)
    back = ((inverse * layer.scale) * (gated - mean_g - hat * mean_gy)).to(dtype)
    area = height * width
    return back, mean_gy.sum((0, 1, 2)) * area, mean_g.sum((0, 1, 2)) * area


# -- the network


def embedding_kept(params: Weights, x: Tensor, pad: int, dtype: torch.dtype) -> tuple[Tensor, list[Any]]:
    """Features ``(n, d)`` and what the backward pass needs."""
    outputs, saved = _outputs(params, x, pad, dtype)
    return outputs[-1].permute(0, 3, 1, 2).flatten(1), saved


def layers_kept(
    params: Weights, x: Tensor, pad: int, dtype: torch.dtype, chosen: tuple[int, ...]
) -> tuple[list[Tensor], list[Any]]:
    """Outputs of the chosen blocks, each ``(n, c, h, w)`` in float32, and what the backward pass needs."""
    outputs, saved = _outputs(params, x, pad, dtype)
    return [outputs[index].permute(0, 3, 1, 2).float() for index in chosen], saved


def layers(
    params: Weights,
    x: Tensor,
    share: Tensor,
    pad: int,
    dtype: torch.dtype,
    chosen: tuple[int, ...],
    reduce: Callable[[list[Tensor], Tensor], Any],
) -> Any:
    """What `reduce` keeps of the outputs of the chosen blocks and the rows' shares ``(n, classes)``."""
    return reduce(layers_kept(params, x, pad, dtype, chosen)[0], share)


def _outputs(params: Weights, x: Tensor, pad: int, dtype: torch.dtype) -> tuple[list[Tensor], list[Any]]:
    """The output ``(n, h, w, c)`` of each block, and what the backward pass needs."""
    first, *others = blocks(params)
    patches = _patches(x, pad)
    stats = _first_stats(patches, first)
    a = (torch.stack([F.relu(value) for value in _first_pre(patches, stats, first.shift)]).sum(0) * 0.25).to(dtype)
    saved: list[Any] = [patches, stats]
    outputs = [a]
    for index, layer in enumerate(others):
        y = _convolve(a, layer.weight, dtype)
        mean, inverse = _norm_stats(y)
        saved.append((a, y, mean, inverse))
        a = _tail(y, mean, inverse, layer, torch.float32 if index == len(others) - 1 else dtype)
        outputs.append(a)
    return outputs, saved


def backward(
    params: Weights,
    x_channels: int,
    saved: list[Any],
    slopes: Sequence[Tensor | None],
    pad: int,
    dtype: torch.dtype,
    need_x: bool,
    need_params: bool,
) -> tuple[Tensor | None, Weights]:
    """From the gradients of the blocks' outputs ``(n, h, w, c)``, None for those that have none: those of the images and
    of the weights."""
    first, *others = blocks(params)
    patches, stats, *rest = saved
    back = slopes[-1]
    gradients: Weights = {}
    for index in range(len(others), 0, -1):
        extra = slopes[index - 1]
        if back is None:
            back = extra
            continue
        layer, (a, y, mean, inverse) = others[index - 1], rest[index - 1]
        dy, scale, shift = _tail_back(y, mean, inverse, layer, back, dtype)
        if need_params:
            gradients |= _named(index, _Layer(_weight_gradient(a, dy, layer.weight, dtype), scale, shift))
        back = _input_gradient(dy, layer.weight, dtype)
        back = back if extra is None else back.float() + extra
    assert back is not None
    gated, means, own = _first_back(patches, stats, first, back, dtype)
    if need_params:
        gradients |= _named(0, own)
    return _first_input(patches, stats, gated, means, x_channels, pad, dtype) if need_x else None, gradients


def _named(index: int, layer: _Layer) -> Weights:
    names = (f"blocks.{index}.0.weight", f"blocks.{index}.1.weight", f"blocks.{index}.1.bias")
    return {**dict(zip(names, layer, strict=True)), f"blocks.{index}.0.bias": torch.zeros_like(layer.shift)}


def embedding(params: Weights, x: Tensor, pad: int, dtype: torch.dtype) -> Tensor:
    """Features ``(n, d)`` of images."""
    return embedding_kept(params, x, pad, dtype)[0]


def embedding_back(
    params: Weights, channels: int, saved: list[Any], slope: Tensor, pad: int, dtype: torch.dtype
) -> Tensor:
    """Gradient of the images ``(n, c, h, w)`` from that of their features ``(n, d)`` and what `embedding_kept` saved."""
    back, _ = backward(params, channels, saved, of_the_last(slope, saved), pad, dtype, True, False)
    assert back is not None
    return back


def layers_back(
    params: Weights,
    channels: int,
    saved: list[Any],
    slopes: list[Tensor | None],
    pad: int,
    dtype: torch.dtype,
) -> Tensor:
    """Gradient of the images ``(n, c, h, w)`` from those of all blocks' outputs ``(n, c, h, w)`` (None for none) and what
    `layers_kept` saved."""
    turned = [None if slope is None else slope.permute(0, 2, 3, 1) for slope in slopes]
    back, _ = backward(params, channels, saved, turned, pad, dtype, True, False)
    assert back is not None
    return back


def of_the_last(slope: Tensor, saved: list[Any]) -> list[Tensor | None]:
    """Gradients of the blocks' outputs where only the embedding ``(n, d)`` has one."""
    height, width = saved[-1][1].shape[1] // 2, saved[-1][1].shape[2] // 2
    last = slope.view(len(slope), -1, height, width).permute(0, 2, 3, 1)
    return [*(None for _ in saved[2:]), last]
