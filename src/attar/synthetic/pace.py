"""How far what is stored moves the rows, and so how fast it may be learned where nobody says."""

from __future__ import annotations

import torch
from torch import Tensor

from attar.synthetic.synthetic import Synthetic

__all__ = ["paced", "stretch"]

_ROUNDS = 10
"""Of power iteration: the largest singular value to a few per cent, from below."""


def stretch(rows: Tensor, param: Tensor, generator: torch.Generator) -> Tensor:
    """``|J|^2``: the largest singular value, squared, of the derivative J of rows with respect to what they are made of.

    Args:
        rows: with a graph that leads to `param` and can be differentiated twice.
        param: any shape.
        generator: of the direction that power iteration starts in.

    Returns:
        A number ``()``.
    """
    weights = torch.zeros_like(rows, requires_grad=True)
    [pulled] = torch.autograd.grad(rows, [param], weights, create_graph=True)
    direction = torch.randn(param.shape, generator=generator, dtype=param.dtype).to(param.device)
    for _ in range(_ROUNDS):
        direction = direction / direction.norm().clamp(min=torch.finfo(param.dtype).tiny)
        [moved] = torch.autograd.grad(pulled, [weights], direction, retain_graph=True)  # J direction
        [direction] = torch.autograd.grad(rows, [param], moved, retain_graph=True)  # J' J direction
    return direction.norm()


def paced(module: Synthetic, group: str, generator: torch.Generator) -> list[Tensor]:
    """What to multiply gradients by, so that one optimiser serves rows and what rows share.

    A step of size lr on a parameter w moves the rows by ``-lr J J' g``, g the gradient with respect to the rows and J their
    derivative with respect to w. Multiplied by ``1 / |J|^2`` it moves them in no direction further than the step ``-lr g``
    on the rows would: where that is stable, this is. Of m parameters in a group each has a share of ``1 / m``.

    Args:
        module: where the learning starts.
        group: whose parameters.
        generator: of power iteration.

    Returns:
        A number ``()`` for each parameter of the group, at most 1.
    """
    params, rows = module.groups()[group], module().x
    return [1 / (len(params) * stretch(rows, param, generator)).clamp(min=1) for param in params]
