"""How far what is stored moves the rows, and so how fast it may be learned where nobody says."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attar.synthetic.synthetic import Synthetic

__all__ = ["paced", "reach", "stretch"]

_ROUNDS = 10
"""Of power iteration: the largest singular value to a few per cent, from below."""

_STARTS, _CLIMBS = 4, 3
"""Of the search for the number that moves most, which mostly ends after two or three."""


def stretch(rows: Tensor, param: Tensor, generator: torch.Generator) -> Tensor:
    """``|J|^2``: the largest singular value, squared, of the derivative J of rows with respect to what they are made of.

    Args:
        rows: with a graph that leads to `param` and can be differentiated twice.
        param: any shape.
        generator: of the direction that power iteration starts in.

    Returns:
        A number ``()``.
    """
    pull, push = _products(rows, param)
    direction = torch.randn(param.shape, generator=generator, dtype=param.dtype).to(param.device)
    for _ in range(_ROUNDS):
        direction = pull(push(direction / direction.norm().clamp(min=torch.finfo(param.dtype).tiny)))
    return direction.norm()


def reach(rows: Tensor, param: Tensor, generator: torch.Generator) -> Tensor:
    """``max_i sum_k |J_ik|``: the furthest that any number of the rows moves where each of the parameter moves by one.

    Args:
        rows: as in `stretch`; likewise `param`.
        generator: of the direction that the search starts in.

    Returns:
        A number ``()``, from below and mostly within a tenth: the largest of a few local searches.

    Reference:
        Hager: Condition Estimates, SIAM Journal on Scientific and Statistical Computing, 1984.
    """
    pull, push = _products(rows, param)
    furthest = rows.detach().new_zeros(())
    for _ in range(_STARTS):
        weights = torch.randn(rows.shape, generator=generator, dtype=rows.dtype).to(rows.device)
        for _ in range(_CLIMBS):
            moved = push(pull(weights).sign()).abs().flatten()
            furthest = torch.maximum(furthest, moved.max())
            weights = torch.zeros_like(moved).scatter(0, moved.argmax(0, keepdim=True), 1).view_as(rows)
    return furthest


def paced(
    module: Synthetic, group: str, generator: torch.Generator, measure: Callable[..., Tensor] = stretch
) -> list[float]:
    """What to multiply step sizes by, so that one optimiser serves rows and what rows share.

    With J the derivative of the rows with respect to a parameter and g the gradient with respect to the rows:

    - SGD of step size lr moves the rows by ``-lr J J' g``. At ``lr / |J|^2`` (`stretch`) they move in no direction further than
      by ``-lr g``, the step on the rows themselves: where that is stable, this is.
    - Adam moves each number of a parameter by about lr, whatever the size of g. At ``lr`` over the largest sum of a row of
      ``|J|`` (`reach`) no number of the rows moves further than by lr, as it would in a step on the rows themselves.

    Of m parameters in a group each has a share of ``1 / m``.

    Args:
        module: where the learning starts.
        group: whose parameters.
        generator: of the start of the search.
        measure: `stretch` for optimisers whose steps go by the gradient, `reach` for those whose steps do not.

    Returns:
        A number for each parameter of the group, at most 1.
    """
    params, rows = module.groups()[group], module().x
    return [1 / max(len(params) * float(measure(rows, param, generator)), 1.0) for param in params]


def _products(rows: Tensor, param: Tensor) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """``J' v`` of weights v of the rows, and ``J u`` of a direction u of the parameter."""
    weights = torch.zeros_like(rows, requires_grad=True)
    [pulled] = torch.autograd.grad(rows, [param], weights, create_graph=True)

    def pull(v: Tensor) -> Tensor:
        return torch.autograd.grad(rows, [param], v, retain_graph=True)[0]

    def push(u: Tensor) -> Tensor:
        return torch.autograd.grad(pulled, [weights], u, retain_graph=True)[0]

    return pull, push
