"""How hard a row is to learn, by what a network does with it while it is trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from attar import rng
from attar.selection.features import schedule, trained, untrained
from attar.training.fit import fitting
from attar.types import AttarError, Problem, Task

__all__ = [
    "SCORES",
    "el2n",
    "error_norms",
    "forgetting",
    "forgetting_events",
    "gradient_norms",
    "grand",
    "refuse_shared",
]

CHUNK = 256


def forgetting_events(right: Tensor) -> Tensor:
    """How often a row was forgotten: classified rightly after one pass and wrongly after the next.

    Args:
        right: ``(passes, n)`` bool, whether the network was right about the row after each pass.

    Returns:
        ``(n,)`` float; rows that were never learned come after all others, as in the paper, with `passes` + 1. In a mean
        over networks, one that never learned a row counts that many events.

    Reference:
        Toneva et al.: An Empirical Study of Example Forgetting during Deep Neural Network Learning, ICLR 2019.
    """
    events = (right[:-1] & ~right[1:]).sum(0).float()
    return torch.where(right.any(0), events, torch.full_like(events, len(right) + 1))


def error_norms(probabilities: Tensor, y: Tensor) -> Tensor:
    """EL2N: ``E | p(x) - onehot(y) |_2``, the mean over networks.

    Args:
        probabilities: ``(networks, n, classes)``.
        y: class ids ``(n,)``.

    Returns:
        ``(n,)``.

    Reference:
        Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, definition 2.2.
    """
    return (probabilities - F.one_hot(y, probabilities.shape[-1]).to(probabilities)).norm(dim=-1).mean(0)


def gradient_norms(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """``| grad_theta loss(x_i, y_i) |_2`` of each row by itself ``(n,)``, over all weights of the network.

    Args:
        model: takes rows one by one (no batch norm).
        x: rows ``(n, ...)``.
        y: class ids ``(n,)``.

    Reference:
        Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, definition 2.1 (GraNd).
    """
    params = {name: value.detach() for name, value in model.named_parameters()}

    def loss(weights: dict[str, Tensor], row: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(model, weights, (row[None],)), label[None])

    slopes = vmap(grad(loss), in_dims=(None, 0, 0))
    squares = []
    for rows, labels in zip(x.split(32), y.split(32), strict=True):  # as many gradients are held at once
        each = slopes(params, rows, labels)
        squares.append(torch.stack([slope.flatten(1).square().sum(1) for slope in each.values()]).sum(0))
    return torch.cat(squares).sqrt()


def forgetting(problem: Problem, model: str, epochs: int, networks: int, seed: int) -> Tensor:
    """`forgetting_events` of each training row ``(n,)``, mean over networks trained for `epochs` passes each."""
    counts = []
    for number in range(networks):
        start = rng.derive(seed, "forgetting", number)
        network = untrained(problem, model, start).eval()
        right = []
        for _ in fitting(problem.task, network, problem.train, schedule(epochs, len(problem.train)), seed=start):
            right.append(_probabilities(problem, network).argmax(-1) == _labels(problem))
        counts.append(forgetting_events(torch.stack(right)))
    return torch.stack(counts).mean(0)


def el2n(problem: Problem, model: str, epochs: int, networks: int, seed: int) -> Tensor:
    """`error_norms` of each training row ``(n,)``, by networks trained for `epochs` passes."""
    found = [_probabilities(problem, network) for network in _networks(problem, model, epochs, networks, seed)]
    return error_norms(torch.stack(found), _labels(problem))


def grand(problem: Problem, model: str, epochs: int, networks: int, seed: int) -> Tensor:
    """`gradient_norms` of each training row ``(n,)``, mean over networks trained for `epochs` passes.

    Raises:
        AttarError: if the network has batch norm, whose rows have no gradient by themselves.
    """
    norms = []
    for network in _networks(problem, model, epochs, networks, seed):
        refuse_shared(problem.task, network, model)
        norms.append(gradient_norms(network, problem.train.x, _labels(problem).to(problem.train.x.device)).cpu())
    return torch.stack(norms).mean(0)


def refuse_shared(task: Task, network: nn.Module, name: str) -> None:
    """Refuse a network whose rows have no gradient by themselves."""
    if not task.independent(network):
        raise AttarError(f"{name} has batch norm, so one row has no gradient of its own: take one without.")


SCORES: dict[str, Callable[[Problem, str, int, int, int], Tensor]] = {
    "forgetting": forgetting,
    "el2n": el2n,
    "grand": grand,
}
"""Scores of difficulty by name, each of (problem, model, epochs, networks, seed)."""


def _networks(problem: Problem, model: str, epochs: int, networks: int, seed: int) -> list[nn.Module]:
    return [trained(problem, model, epochs, rng.derive(seed, "scored by", number)) for number in range(networks)]


def _probabilities(problem: Problem, network: nn.Module) -> Tensor:
    """``(n, classes)`` of all training rows, on the CPU."""
    was_training = network.training
    network.eval()
    with torch.no_grad():
        parts = [network(rows).softmax(-1).cpu() for rows in problem.train.x.split(CHUNK)]
    network.train(was_training)
    return torch.cat(parts)


def _labels(problem: Problem) -> Tensor:
    """Class ids ``(n,)`` of the training rows, on the CPU."""
    y = problem.train.y
    if y is None or y.dim() != 1 or y.is_floating_point():
        raise AttarError("Difficulty is a matter of classes: this needs rows with class ids.")
    return y.cpu()
