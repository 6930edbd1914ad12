"""Courses: how an expert is trained on real data, and which rows each epoch of it sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attar import augment
from attar.training.flat import Flat
from attar.training.optimisers import SGD
from attar.types import AttarError

__all__ = ["Course", "Staged"]


@dataclass(frozen=True)
class Staged:
    """Which rows an epoch trains on: first the easiest, then more and more, in the end no longer the easiest. By class, so
    that the classes keep their shares.

    Args:
        score: of difficulty, "grand" or "el2n" (see `attar.selection.training_dynamics`).
        start: share of each class, the easiest rows of it, that the first epoch (0) trains on.
        full_at: the epoch by which all rows are there; the share grows linearly until then.
        removals: (epoch, share), ascending: after that epoch the easiest `share` of each class is left out, in all.
        model: the network that scores the rows.
        epochs: that it is trained for before.
        networks: whose scores are averaged.

    Reference: Li et al., Prioritize alignment in dataset distillation, arXiv 2408.03360 (PAD); numbers and the meaning of the
    shares as in its public code. That takes scores from files; by which network they were made it does not say.
    """

    score: Literal["grand", "el2n"] = "grand"
    start: float = 0.75
    full_at: int = 20
    removals: tuple[tuple[int, float], ...] = ((40, 0.1), (60, 0.2))
    model: str = "convnet3-32"
    epochs: int = 10
    networks: int = 1

    def __post_init__(self) -> None:
        if self.score not in ("grand", "el2n"):
            raise AttarError(f"Rows cannot be staged by '{self.score}': give grand or el2n.")
        if not 0 < self.start <= 1 or self.full_at < 0:
            raise AttarError(
                f"A course cannot start with {self.start} of the rows and have all at epoch {self.full_at}: give a share "
                "in (0, 1], and an epoch of 0 or more."
            )
        epochs, shares = [at for at, _ in self.removals], [share for _, share in self.removals]
        if epochs != sorted(set(epochs)) or shares != sorted(shares) or not all(0 <= share < 1 for share in shares):
            raise AttarError(
                f"The easiest rows cannot be left out by {self.removals}: give (epoch, share) with growing epochs, and "
                "shares in all that grow, too, and stay below 1."
            )
        empty = next((at for at in epochs if self.span(at + 1)[0] >= self.span(at + 1)[1]), None)
        if empty is not None:
            raise AttarError(
                f"After epoch {empty} this course has left out all rows that it had: remove fewer, or later."
            )
        if self.epochs < 0 or self.networks < 1:
            raise AttarError(
                f"Difficulty is scored by 1 or more networks trained for 0 or more epochs, not by {self.networks} for "
                f"{self.epochs}."
            )

    def span(self, epoch: int) -> tuple[float, float]:
        """The shares of each class, from the easiest row on, between which the rows of an epoch lie."""
        grown = 1.0 if epoch >= self.full_at else self.start + (1 - self.start) * epoch / self.full_at
        return max((share for at, share in self.removals if epoch > at), default=0.0), grown

    def cautions(self, epochs: int) -> list[str]:
        """What of these stages so many epochs do not reach, in a sentence; nothing where they reach all.

        Args:
            epochs: of an expert.
        """
        share, late = self.span(epochs - 1)[1], [at for at, _ in self.removals if at >= epochs - 1]
        missed = []
        if share < 1:
            missed.append(
                f"all rows are there at epoch {self.full_at} (full_at), where the last has {100 * share:.0f} %"
            )
        if late:
            after = f"epoch {late[0]}" if len(late) == 1 else f"epochs {', '.join(map(str, late[:-1]))} and {late[-1]}"
            missed.append(f"the easiest rows are left out after {after} (removals)")
        if not missed:
            return []
        needed = max([self.full_at + 1] * (share < 1) + [at + 2 for at in late])
        ends = f"{epochs} epoch{' ends' if epochs == 1 else 's end'} before stages of the course"
        return [f"{ends}: {'; '.join(missed)}; give {needed} epochs or more, or earlier stages"]

    def rows(self, ranked: Sequence[Tensor], epoch: int) -> Tensor:
        """Ids of the rows of an epoch; of a class that has any at least one.

        Args:
            ranked: row ids of each class, the easiest first.
            epoch: from 0.
        """
        low, high = self.span(epoch)
        parts = []
        for rows in ranked:
            first, last = (math.floor(share * len(rows) + 1e-9) for share in (low, high))
            parts.append(rows[first : max(last, first + 1)])
        return torch.cat(parts)


@dataclass(frozen=True)
class Course:
    """How one expert is trained: SGD over all real rows, shuffled anew each epoch, each row augmented by itself.

    Args:
        model: name of the network.
        epochs: passes over the rows; the weights before the first and after each are kept.
        lr: step size.
        momentum: share of the last update that is kept.
        weight_decay: L2 penalty.
        batch: rows an update; the last of a pass has what is left.
        augmentation: "default" for the data's own DSA strategy, "" for none, else operations joined by "_".
        flat: look for flat minima, at two gradients an update; None for plain SGD.
        staged: which rows an epoch trains on; None for all.
    """

    model: str = "convnet3"
    epochs: int = 50
    lr: float = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch: int = 256
    augmentation: str = "default"
    flat: Flat | None = None
    staged: Staged | None = None

    def __post_init__(self) -> None:
        SGD(self.lr, self.momentum)  # refuses step sizes that train nothing
        if self.epochs < 1 or self.batch < 1:
            raise AttarError(
                f"Experts of {self.epochs} epochs by batches of {self.batch} rows learn nothing: give 1 or more of both."
            )
        if not 0 <= self.weight_decay < math.inf:
            raise AttarError(f"A weight decay of {self.weight_decay} does not pull weights in: give 0 or more.")
        if self.augmentation != "default":
            augment.named(self.augmentation)  # refuses operations that there are not
