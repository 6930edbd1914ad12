"""A small generator of images: the decoder of an autoencoder that is trained on the data at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar import rng
from attar.synthetic.images import resized

__all__ = ["generated", "inverted", "largest_width", "trained_generator"]

WIDEST = 32
"""Channels beyond which training takes minutes of a CPU."""

_HIDDEN = 128
_BATCH = 64
_LR = 3e-3
_LR_LATENTS = 0.05


def generated(weights: Mapping[str, Tensor], latents: Tensor, shape: Sequence[int]) -> Tensor:
    """Images ``(n, c, h, w)`` of latents ``(n, dim)``: a linear map to a quarter of each side, then twice a ReLU,
    enlargement and a convolution.

    Args:
        weights: ``spread`` ``(width * h/4 * w/4, dim)``, ``spread_bias``, ``inner`` ``(width, width, 3, 3)``, ``inner_bias``,
            ``outer`` ``(c, width, 3, 3)`` and ``outer_bias``; quarters of sides are rounded up.
        latents: what they are made of.
        shape: ``(c, h, w)``.
    """
    small, half, full = ((-(-shape[1] // part), -(-shape[2] // part)) for part in (4, 2, 1))
    features = F.linear(latents, weights["spread"], weights["spread_bias"]).unflatten(1, (-1, *small)).relu()
    features = F.conv2d(resized(features, half), weights["inner"], weights["inner_bias"], padding=1).relu()
    return F.conv2d(resized(features, full), weights["outer"], weights["outer_bias"], padding=1)


def largest_width(dim: int, shape: tuple[int, int, int], numbers: int) -> int | None:
    """The most channels, up to `WIDEST`, at which a generator holds no more than so many numbers; None where one is too
    many."""
    return next((width for width in range(WIDEST, 0, -1) if _size(dim, width, shape) <= numbers), None)


def trained_generator(
    x: Tensor, starts: Tensor, dim: int, width: int, steps: int, generator: torch.Generator
) -> tuple[dict[str, Tensor], Tensor]:
    """Train an autoencoder on images by Adam and the squared error, and keep its decoder.

    Args:
        x: images ``(n, c, h, w)`` to train on.
        starts: images ``(m, c, h, w)`` whose latents are wanted.
        dim: numbers in a latent.
        width: channels of the decoder.
        steps: of training, 64 images each.
        generator: of the first weights and of the images that are drawn.

    Returns:
        The decoder's weights as `generated` takes them, and the latents ``(m, dim)`` that the encoder gives `starts`.
    """
    shape = tuple(x.shape[1:])
    with rng.seeded(rng.draw_seed(generator)):
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, dim)).to(
            x
        )
        layers = _layers(dim, width, shape)  # type: ignore[arg-type]
    weights: dict[str, Tensor] = {}
    for name, layer in layers.items():
        layer.to(x)
        weights[name], weights[f"{name}_bias"] = layer.parameters()
    params = [*encoder.parameters(), *weights.values()]
    optimiser = torch.optim.Adam(params, lr=_LR)
    for _ in range(steps):
        rows = x[torch.randint(len(x), (_BATCH,), generator=generator).to(x.device)]
        error = (generated(weights, encoder(rows), shape) - rows).square().mean()
        for param, slope in zip(params, torch.autograd.grad(error, params), strict=True):
            param.grad = slope
        optimiser.step()
    with torch.no_grad():
        return {name: weight.detach() for name, weight in weights.items()}, encoder(starts)


def inverted(
    make: Callable[[Tensor], Tensor], rows: Tensor, dim: int, steps: int, generator: torch.Generator
) -> Tensor:
    """Latents ``(n, dim)`` of which a generator makes nearly the given rows ``(n, ...)``: Adam on the squared error, from
    standard Gaussian ones."""
    latents = torch.randn((len(rows), dim), generator=generator, dtype=rows.dtype).to(rows.device).requires_grad_()
    optimiser = torch.optim.Adam([latents], lr=_LR_LATENTS)
    for _ in range(steps):
        error = (make(latents) - rows).square().flatten(1).mean(1).sum()
        [latents.grad] = torch.autograd.grad(error, [latents])
        optimiser.step()
    return latents.detach()


def _layers(dim: int, width: int, shape: tuple[int, int, int]) -> dict[str, nn.Linear | nn.Conv2d]:
    channels, height, wide = shape
    return {
        "spread": nn.Linear(dim, width * -(-height // 4) * -(-wide // 4)),
        "inner": nn.Conv2d(width, width, 3, padding=1),
        "outer": nn.Conv2d(width, channels, 3, padding=1),
    }


def _size(dim: int, width: int, shape: tuple[int, int, int]) -> int:
    with torch.device("meta"):
        return sum(param.numel() for layer in _layers(dim, width, shape).values() for param in layer.parameters())
