"""Optimisers as settings: a frozen record makes a torch optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attar.errors import AttarError

__all__ = ["SGD", "Adam", "Optimiser"]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    Args:
        lr: step size.
        momentum: share of the last update that is kept.
        weight_decay: L2 penalty.
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self.lr)
        if not 0 <= self.momentum < 1:
            raise AttarError(f"A momentum of {self.momentum} does not settle: give one in [0, 1).")

    def make(self, params: Sequence[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.SGD(params, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma, Ba 2015).

    Args:
        lr: step size.
        betas: decay of the first and second moment.
        weight_decay: L2 penalty.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self.lr)

    def make(self, params: Sequence[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.Adam(params, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


Optimiser = SGD | Adam


def _check(lr: float) -> None:
    if not 0 < lr < float("inf"):
        raise AttarError(f"A step size of {lr} goes nowhere: give a positive number.")
