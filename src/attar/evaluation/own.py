"""As distilled: a network makes the very updates that a set was distilled for, in place of a protocol's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from attar import augment, rng
from attar.augment import NoAugment
from attar.distilled import Own, Training
from attar.distilled.own import weights_checksum
from attar.evaluation import judges
from attar.evaluation.protocol import Protocol
from attar.training import Schedule
from attar.training.unroll import follow
from attar.types import AttarError, Batch, Task
from attar.views import Everything, View

__all__ = ["AsDistilled", "own_protocol"]


@dataclass(frozen=True)
class AsDistilled:
    """The updates that a set was distilled for.

    Args:
        own: their number, rows and start.
        paces: their step sizes: one, or one an update.
        augmentation: strategy of the rows, each changed by itself; "" for none.
    """

    own: Own
    paces: tuple[float, ...]
    augmentation: str = ""

    @classmethod
    def of(cls, training: Training) -> AsDistilled | None:
        """What a set's record says; None where it was distilled for no number of updates.

        Raises:
            AttarError: if it has updates without step sizes, or another number of these.
        """
        own = training.own
        if own is None:
            return None
        learned = training.step_sizes or (() if training.step_size is None else (training.step_size,))
        paces = learned if own.lr is None else (own.lr,)
        if len(paces) not in (1, own.updates):
            raise AttarError(
                f"The set says that it was distilled for {own.updates} updates, and has {len(paces)} step sizes: distil it again."
            )
        return cls(own, paces, training.augmentation)

    @property
    def repeats(self) -> bool:
        """Whether every run is the same."""
        return self.own.start is not None and self.own.order == "stored" and not self.augmentation

    def protocol(self) -> Protocol:
        """With a name that says all but the learned step sizes, so that scores of sets for other updates are not compared."""
        start = "from random weights" if self.own.start is None else "from their one start"
        learned = "the learned step size" if len(self.paces) == 1 else "the learned step sizes"
        pace = learned if self.own.lr is None else f"step size {self.own.lr:g}"
        views = f", augmentation {self.augmentation}" if self.augmentation else ""
        name = f"own ({self.own.updates_text()}, {pace}, {start}{views})"
        return Protocol(name, (self.own.model,), 1 if self.repeats else Protocol.own.runs, as_distilled=True)

    def schedule(self, rows: int) -> Schedule:
        """What a score says of these updates."""
        own = self.own
        passes = -(-own.updates // -(-rows // own.batch))
        lr = sum(self.paces) / len(self.paces)
        return Schedule(passes - 1, lr, own.momentum, 0.0, own.batch, decay_after=(), updates=own.updates)

    def train(self, task: Task, network: nn.Module, batch: Batch, seed: int) -> None:
        """Train a network in place; where there is one start it begins there, whatever its weights are.

        Args:
            task: gives the loss.
            network: of random weights.
            batch: normalised rows in the order in which they are stored.
            seed: of shuffles and augmentation.

        Raises:
            AttarError: if that start cannot be built again here, or the updates end at numbers that are not finite.
        """
        params = {name: value.detach() for name, value in self._started(task, network).named_parameters()}
        batch = batch.to(task.plan.device)
        members = {group: rows.cpu() for group, rows in task.members(batch).items()}
        changes = NoAugment(), augment.named(self.augmentation, shared=False)
        side = View(batch, members, Everything(), *changes, rng.derive(seed, "own"), rng.derive(seed, "augment"))
        pace = torch.tensor(self.paces, dtype=torch.float64, device=batch.x.device)
        pace = pace[0] if len(self.paces) == 1 else pace
        assert batch.y is not None
        rows = side.updates(self.own.batch, self.own.order == "stored")
        end = follow(task, network, params, rows, batch.x, batch.y, pace, self.own.updates, self.own.momentum)
        if not all(torch.isfinite(value).all() for value in end.values()):
            raise AttarError(
                f"The {self.own.updates} updates that the set was distilled for end at weights that are not finite: distil it "
                "for longer, or at a smaller step size."
            )
        network.load_state_dict(end, strict=False)

    def _started(self, task: Task, network: nn.Module) -> nn.Module:
        """The network at its start."""
        start = self.own.start
        if start is None:
            return network
        with rng.seeded(start.seed):
            found = task.build(self.own.model)
        if weights_checksum(dict(found.named_parameters())) != start.checksum:
            raise AttarError(
                f"The start that this set was distilled for cannot be built here: seed {start.seed} gives {self.own.model} other "
                "weights than its card says, so this is another version of torch or of attar, or other data."
            )
        return found


def own_protocol(
    own: AsDistilled | None, name: str, models: Sequence[str] | str | None, labels: str | None
) -> Protocol:
    """The protocol of a set's own updates.

    Args:
        own: of the set, None where it has none.
        name: of the set, for errors.
        models: what was asked for.
        labels: likewise.

    Raises:
        AttarError: if the set has none, or something else was asked for than it was distilled for.
    """
    if own is None:
        raise AttarError(
            f"Protocol 'own' is of sets that were distilled for a number of updates, as dd and linba do, and '{name}' was not: give "
            "'paper' or 'quick'."
        )
    if labels is not None:
        raise AttarError("Protocol 'own' trains on the labels that the set was distilled with: leave out labels.")
    asked = [models] if isinstance(models, str) else list(models or [])
    solved = next((model for model in asked if not judges.is_network(model)), None)
    if solved is not None:
        raise AttarError(f"Protocol 'own' is of updates, and {solved} makes no updates: give it another protocol.")
    if own.own.start is not None and any(model != own.own.model for model in asked):
        raise AttarError(
            f"This set was distilled for one start of {own.own.model}, which no other network has: leave out the networks, or give "
            "another protocol."
        )
    return own.protocol()
