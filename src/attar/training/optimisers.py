"""Optimisers as settings: a frozen record makes a torch optimiser."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attar.errors import AttarError

__all__ = ["SGD", "Adam", "Cosine", "Decay", "Optimiser", "update"]


@dataclass(frozen=True)
class Decay:
    """How a step size falls: by a factor at given steps, or again and again.

    The share of the first step size that is left is a function of the step's number alone, so a run that is resumed goes
    on as it would have.

    Args:
        factor: what the step size is multiplied by, in (0, 1].
        milestones: numbers of the steps, counted from 0, from which on it is.
        every: steps from one fall to the next; None for the milestones alone.

    Example:
        >>> [Decay(0.5, every=10).at(step) for step in (0, 9, 10, 25)]
        [1.0, 1.0, 0.5, 0.25]
    """

    factor: float
    milestones: tuple[int, ...] = ()
    every: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.factor <= 1:
            raise AttarError(f"A step size that is multiplied by {self.factor} does not fall: give a factor in (0, 1].")
        if self.every is not None and self.every < 1:
            raise AttarError(f"A step size cannot fall every {self.every} steps: give 1 or more.")

    def at(self, step: int) -> float:
        """The share of the first step size that is left at a step."""
        falls = sum(step >= milestone for milestone in self.milestones)
        return float(self.factor ** (falls + (step // self.every if self.every else 0)))


@dataclass(frozen=True)
class Cosine:
    """How a step size falls along half a cosine.

    At step t of T the share ``least + (1 - least) (1 + cos(pi t / T)) / 2`` of the first step size is left, from T on `least`. As of
    `Decay` it is a function of the step's number alone.

    Args:
        steps: T, as a rule the steps of the whole run.
        least: share that is left in the end, in [0, 1).

    Example:
        >>> [round(Cosine(4).at(step), 4) for step in range(6)]
        [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]

    Reference:
        Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017; without the restarts.
    """

    steps: int
    least: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise AttarError(f"A step size cannot fall over {self.steps} steps: give 1 or more.")
        if not 0 <= self.least < 1:
            raise AttarError(f"A step size does not fall to a share of {self.least}: give a number in [0, 1).")

    def at(self, step: int) -> float:
        """The share of the first step size that is left at a step."""
        turned = math.cos(math.pi * min(step, self.steps) / self.steps)
        return self.least + (1 - self.least) * (1 + turned) / 2


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    Args:
        lr: step size.
        momentum: share of the last update that is kept.
        weight_decay: L2 penalty.
        decay: how the step size falls; None for a constant one.
        clip: norm that the gradient of all parameters together is shortened to where it is longer; None for as it is.
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    decay: Decay | Cosine | None = None
    clip: float | None = None

    def __post_init__(self) -> None:
        _check(self.lr, self.clip)
        if not 0 <= self.momentum < 1:
            raise AttarError(f"A momentum of {self.momentum} does not settle: give one in [0, 1).")

    def make(self, params: Sequence[Tensor], step: int = 0) -> torch.optim.Optimizer:
        lr = _at(self.lr, self.decay, step)
        return torch.optim.SGD(params, lr=lr, momentum=self.momentum, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma, Ba 2015).

    Args:
        lr: step size.
        betas: decay of the first and second moment.
        weight_decay: L2 penalty.
        decay: how the step size falls; None for a constant one.
        clip: norm that the gradient of all parameters together is shortened to where it is longer; None for as it is.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    decay: Decay | Cosine | None = None
    clip: float | None = None

    def __post_init__(self) -> None:
        _check(self.lr, self.clip)

    def make(self, params: Sequence[Tensor], step: int = 0) -> torch.optim.Optimizer:
        lr = _at(self.lr, self.decay, step)
        return torch.optim.Adam(params, lr=lr, betas=self.betas, weight_decay=self.weight_decay)


Optimiser = SGD | Adam


def update(setting: Optimiser, params: Sequence[Tensor], before: Mapping[str, Any] | None, step: int) -> dict[str, Any]:
    """Change parameters in place, by the gradients in their ``.grad``.

    Args:
        setting: the optimiser.
        params: what is changed.
        before: what an earlier call returned for the same parameters (left as it is), or None for the first.
        step: number of the step, which a step size that falls goes by.

    Returns:
        What the optimiser keeps of its past, by the parameter's number: a tree.
    """
    optimiser = setting.make(params, step)
    if setting.clip is not None:
        torch.nn.utils.clip_grad_norm_(params, setting.clip)
    if before is not None:
        loaded = {int(index): copy.deepcopy(entry) for index, entry in before.items()}
        optimiser.load_state_dict({"state": loaded, "param_groups": optimiser.state_dict()["param_groups"]})
    optimiser.step()
    return {str(index): entry for index, entry in optimiser.state_dict()["state"].items()}


def _at(lr: float, decay: Decay | Cosine | None, step: int) -> float:
    return lr if decay is None else lr * decay.at(step)


def _check(lr: float, clip: float | None) -> None:
    if clip is not None and not clip > 0:
        raise AttarError(f"A gradient that is shortened to {clip} goes nowhere: give more than 0, or None.")
    if not 0 < lr < float("inf"):
        raise AttarError(f"A step size of {lr} goes nowhere: give a positive number.")
