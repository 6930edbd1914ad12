"""Own: the very updates that a set was distilled for, so that they can be made again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor

from attar.errors import AttarError

__all__ = ["FixedStart", "Own", "schedule_facts", "weights_checksum"]


@dataclass(frozen=True)
class FixedStart:
    """The one start of all networks that a set was distilled for.

    Args:
        seed: torch's, under which the network is built.
        checksum: of the weights that come out (see `weights_checksum`).
    """

    seed: int
    checksum: str


@dataclass(frozen=True)
class Own:
    """How networks were trained on a set while it was distilled.

    Args:
        model: name of the network.
        updates: of SGD.
        batch: rows an update.
        order: "stored" for batches that stay the same, of m the k-th being ``x[k::m]``, one after the other and again and
            again; "shuffled" for passes in random order.
        momentum: share of the last update that is kept.
        lr: step size of the updates; None for the learned one, or ones, of the set.
        start: the one start that there was; None for random weights, new at each step.
    """

    model: str
    updates: int
    batch: int
    order: Literal["stored", "shuffled"] = "shuffled"
    momentum: float = 0.0
    lr: float | None = None
    start: FixedStart | None = None

    def __post_init__(self) -> None:
        if self.updates < 1 or self.batch < 1 or self.order not in ("stored", "shuffled") or not 0 <= self.momentum < 1:
            raise AttarError(
                f"A set cannot have been distilled for {self.updates} updates of {self.batch} {self.order} rows with momentum "
                f"{self.momentum}: give 1 or more of both, 'stored' or 'shuffled', and a momentum in [0, 1)."
            )

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Own:
        """From what `record` gave.

        Raises:
            KeyError, TypeError, ValueError: if it is not that.
        """
        start = record["start"]
        return cls(**{**record, "start": None if start is None else FixedStart(**start)})

    def record(self) -> dict[str, Any]:
        """JSON values, by field."""
        return asdict(self)

    def updates_text(self) -> str:
        """The updates in words, step sizes left out."""
        momentum = f", momentum {self.momentum:g}" if self.momentum else ""
        rows = "row" if self.batch == 1 else "rows"
        rows = f"{rows} each in stored order" if self.order == "stored" else f"shuffled {rows} each"
        return f"{self.updates:,} update{'' if self.updates == 1 else 's'} of SGD{momentum}, {self.batch:,} {rows}"

    def start_text(self) -> str:
        """Where networks start, in words."""
        if self.start is None:
            return f"random: networks {self.model} with new random weights"
        return (
            f"fixed: one network {self.model}, always from the same weights (seed {self.start.seed}, {self.start.checksum[:19]}); "
            "others may learn much less from these rows"
        )


def schedule_facts(training: Mapping[str, Any]) -> dict[str, str]:
    """What there is to say of step sizes and updates, by name, of a training record as a card has it; "" for nothing."""
    pace, each = training["step_size"], training.get("step_sizes", ())
    text = "" if pace is None else f"{pace:g} (learned, for plain SGD)"
    if each:
        text = f"{pace:g}, the mean of {len(each)} learned ones, one an update ({min(each):g} to {max(each):g})"
    own = Own.of(training["own"]) if "own" in training else None
    return {
        "step size": text,
        "distilled for": "" if own is None else own.updates_text(),
        "start": "" if own is None else own.start_text(),
    }


def weights_checksum(params: Mapping[str, Tensor]) -> str:
    """ "sha256:..." of a network's weights by name."""
    digest = hashlib.sha256()
    for name, value in params.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"
