"""Protocol: how networks are trained for a score. Scores compare only where their protocols are equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from attar.errors import AttarError
from attar.training import Schedule

__all__ = ["Protocol", "protocol_named"]


@dataclass(frozen=True)
class Protocol:
    """Networks are trained from random weights by SGD, and scored on test data after the last epoch.

    Two are named: `Protocol.paper`, the DC family's own, and `Protocol.quick`, a narrower network and fewer updates,
    for demonstrations, tests and first looks. The step size of a set that learned one replaces `lr`, as in MTT's code; of a
    set that learned one an update their mean does. A third, `Protocol.own`, stands for the very updates that a set was
    distilled for, where it has any: a score then names them.

    Args:
        name: what results print.
        models: networks, where none are asked for.
        runs: networks of each kind, where no number is asked for.
        epochs: with augmentation. As in the family's code, training makes one pass more than its epochs.
        plain_epochs: without augmentation.
        updates: most updates on a small set; a larger set is trained for fewer epochs.
        full_updates: most updates on full data, which is otherwise trained for its stated epochs or for those above.
        lr: step size; it falls tenfold once, after pass ``epochs // 2 + 1``, and the momentum is forgotten.
        momentum: share of the last update that is kept.
        weight_decay: L2 penalty.
        batch_size: rows an update.
        augmentation: "default" is the strategy that suits the data, "" is none, "dc" is DC's, else operations joined by
            "_" (see `attar.augment.named`).
        as_distilled: whether the set says all of this itself.

    Example:
        >>> Protocol.paper.schedule(rows=500, augmented=True).total(500)
        2002

    Reference: Zhao et al., Dataset condensation with gradient matching, ICLR 2021, and its code (evaluate_synset).
    """

    paper: ClassVar[Protocol]
    quick: ClassVar[Protocol]
    own: ClassVar[Protocol]

    name: str
    models: tuple[str, ...] = ("convnet3",)
    runs: int = 5
    epochs: int = 1000
    plain_epochs: int = 300
    updates: int = 50_000
    full_updates: int = 7_500
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 256
    augmentation: str = "default"
    as_distilled: bool = False

    def strategy(self, default: str) -> str:
        """The augmentation, where the data's own is `default`."""
        return default if self.augmentation == "default" else self.augmentation

    def schedule(
        self,
        rows: int,
        *,
        augmented: bool,
        full: bool = False,
        full_epochs: int | None = None,
        step_size: float | None = None,
    ) -> Schedule:
        """How a network is trained on so many rows.

        Args:
            rows: number of training rows.
            augmented: whether they are augmented.
            full: whether they are the full training data.
            full_epochs: epochs that are stated for the full data.
            step_size: the learned one of a set that has it.
        """
        epochs = self.epochs if augmented else self.plain_epochs
        if full and full_epochs is not None:
            epochs = full_epochs
        cap = self.full_updates if full else self.updates
        passes = cap // -(-rows // self.batch_size)
        return Schedule(
            epochs=max(min(epochs, passes - 1), 0),
            lr=self.lr if step_size is None else step_size,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            updates=None if passes else cap,  # the cap falls within the only pass
        )

    def describe(self) -> str:
        """How a network is trained, in one sentence; which and how many are the score's to say."""
        if self.as_distilled:
            return f"Protocol {self.name}: as distilled; accuracy on test data after the last update."
        own = {"default": "the data's own augmentation", "": "no augmentation"}
        strategy = own.get(self.augmentation, f"augmentation {self.augmentation}")
        return (
            f"Protocol {self.name}: {strategy}; {self.epochs} epoch{'' if self.epochs == 1 else 's'} with "
            f"augmentation, {self.plain_epochs} without, plus one; SGD lr {self.lr:g}, a tenth from half way, momentum "
            f"{self.momentum:g}, weight decay {self.weight_decay:g}, batch {self.batch_size}; at most {self.updates} "
            f"updates, {self.full_updates} on full data; accuracy on test data after the last epoch."
        )


Protocol.paper = Protocol("paper")
Protocol.quick = Protocol(
    "quick",
    models=("convnet3-32",),
    runs=3,
    epochs=200,
    plain_epochs=200,
    updates=2_000,
    full_updates=1_000,
    lr=0.03,  # the paper's step size does not get there in so few updates
)
Protocol.own = Protocol("own", as_distilled=True)


def protocol_named(protocol: str | Protocol) -> Protocol:
    """`Protocol.paper`, `Protocol.quick` or `Protocol.own` by its name; one that is there already is as it is.

    Raises:
        AttarError: for any other name, and for what is no protocol.
    """
    if isinstance(protocol, Protocol):
        return protocol
    named = {"paper": Protocol.paper, "quick": Protocol.quick, "own": Protocol.own}
    if not isinstance(protocol, str) or protocol not in named:
        raise AttarError(
            f"There is no protocol {protocol!r}: give 'paper', 'quick', 'own' or an attar.Protocol of yours."
        )
    return named[protocol]
