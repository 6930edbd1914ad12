"""The types that attar's rooms meet on: Batch, Task, Problem, Budget and their records.

A **state** (of a method, a source of surrogates, an objective) is always a `Tree`: nested dictionaries and lists of
tensors, numbers, strings and None. So every state can be checkpointed, compared and moved without knowing whose it is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn

from attar.errors import AttarError
from attar.plan import Plan
from attar.whitening import Whitening

__all__ = ["AttarError", "Batch", "Budget", "Normalisation", "Params", "Problem", "Spec", "Task", "Tree"]

Params: TypeAlias = Mapping[str, Tensor]
Tree: TypeAlias = "bool | int | float | str | Tensor | list[Tree] | dict[str, Tree] | None"


@runtime_checkable
class Batch(Protocol):
    """Rows of one modality (concrete ones in `attar.batches`).

    Attributes:
        x: the rows; its first dimension counts them (a graph's counts its nodes).
        y: class ids ``(n,)``, real targets or probabilities ``(n, k)``, per-view targets ``(views, n, k)``, or None.
        weight: row weights ``(n,)`` or None for equal ones.
        attribute: ids ``(n,)`` of a protected or spurious attribute, or None.
        views: augmentation seeds ``(views,)`` of per-view targets, or None.
    """

    @property
    def x(self) -> Tensor: ...
    @property
    def y(self) -> Tensor | None: ...
    @property
    def weight(self) -> Tensor | None: ...
    @property
    def attribute(self) -> Tensor | None: ...
    @property
    def views(self) -> Tensor | None: ...
    def __len__(self) -> int: ...
    def take(self, rows: Tensor) -> Self:
        """The given rows, in order; a graph keeps its graph and narrows its mask."""

    def replace(self, **fields: Any) -> Self:
        """A copy with other fields."""

    def join(self, others: Sequence[Self]) -> Self:
        """These rows and then the others'."""

    def detach(self) -> Self: ...
    def to(self, device: str) -> Self: ...


class Task(Protocol):
    """What a modality owes (concrete ones in `attar.tasks`). Frozen; parameters travel as a dict."""

    @property
    def plan(self) -> Plan:
        """How its networks are computed."""

    @property
    def groups(self) -> tuple[int | None, ...]:
        """The classes, or one None."""

    def build(self, name: str) -> nn.Module:
        """A new network with random weights, drawn from torch's global generator (see `attar.rng.seeded`)."""

    def loss(self, model: nn.Module, params: Params | None, batch: Batch) -> Tensor:
        """Mean training loss ``()``, weighted by `batch.weight`; `params` None means the model's own."""

    def targets(self, batch: Batch) -> Tensor:
        """What the training loss compares a network's answers to ``(n, classes)``; of targets these."""

    def trained_by(self, training_loss: Literal["cross-entropy", "squared"]) -> Self:
        """This task with another training loss; the squared one takes real targets, class ids centred."""

    def features(self, model: nn.Module, params: Params | None, batch: Batch) -> tuple[Tensor, ...]:
        """Outputs of the network's blocks, first to last; the last flattened is the embedding."""

    def metric(self, model: nn.Module, data: Batch) -> float:
        """The score of a trained network on data, in [0, 1], higher is better."""

    def independent(self, model: nn.Module) -> bool:
        """Whether a network takes rows one by one, so that they may pass in chunks."""

    def kernels(self, model: nn.Module) -> Any:
        """Fast passes of a network under the plan (`attar.models.kernels.Kernels`), or None where there are none."""

    def members(self, batch: Batch) -> dict[int | None, Tensor]:
        """Row ids ``(n_g,)`` of each group."""


@dataclass(frozen=True)
class Normalisation:
    """``(x - mean) / std`` along dimension 1: the channels of images, the columns of tables; then whitening, if there is one.

    Args:
        mean: one number a channel, in raw units ([0, 1] for images).
        std: one positive number a channel.
        whitening: of rows that ``mean`` and ``std`` were applied to.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    whitening: Whitening | None = None

    def apply(self, x: Tensor) -> Tensor:
        mean, std = self._shaped(x)
        x = (x - mean) / std
        return x if self.whitening is None else self.whitening.apply(x)

    def undo(self, x: Tensor) -> Tensor:
        mean, std = self._shaped(x)
        x = x if self.whitening is None else self.whitening.undo(x)
        return x * std + mean

    def clamp(self, x: Tensor) -> Tensor:
        """Normalised rows with every value brought to [0, 1] in raw units; rows that lie within stay as they are."""
        if self.whitening is None:  # each value by itself
            zeros = torch.zeros_like(x[:1])
            return torch.minimum(torch.maximum(x, self.apply(zeros)), self.apply(zeros + 1))
        exact = x.double()  # in float32 what comes back from far away would lie beside the bounds
        raw = self.undo(exact)
        return (exact + self.whitening.change((raw.clamp(0, 1) - raw) / self._shaped(exact)[1])).to(x.dtype)

    def _shaped(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return tuple(torch.tensor(v, dtype=x.dtype, device=x.device).view(shape) for v in (self.mean, self.std))  # type: ignore[return-value]


@dataclass(frozen=True)
class Spec:
    """What is known of a problem's data beside the rows.

    Args:
        name: short name, used in run directories and reports ("mnist", or the folder's name).
        fingerprint: hash of the raw rows and labels of train, validation and test, "sha256:...".
        source: how `attar.data` finds the data again, JSON values only, e.g. ``{"load": "mnist", "seed": 0}`` or
            ``{"path": "photos", "size": 32}``; empty for arrays in memory.
        class_names: one name a class, in the order of the class ids.
        normalisation: applied to every row in the problem, undone in every picture and saved set.
        licence: terms of the data.
        augmentation: the DSA strategy that suits the data ("" for none), operations joined by "_".
        full_epochs: epochs at which full data is evaluated, where stated (MNIST 10, CIFAR-10 30).
        split: one sentence on where validation and test come from.
        notes: sentences that a user should see (e.g. "images resized to 32 x 32, the median side").
        attribute_names: one name a value of the rows' attribute, in the order of its ids; empty where they have none.
        schema: of tables the columns behind the numbers (`attar.tables.Schema`); None elsewhere.
    """

    name: str
    fingerprint: str
    class_names: tuple[str, ...]
    normalisation: Normalisation
    source: Mapping[str, Any] = field(default_factory=dict)
    licence: str = "unknown"
    augmentation: str = "color_crop_cutout_flip_scale_rotate"
    full_epochs: int | None = None
    split: str = ""
    notes: tuple[str, ...] = ()
    attribute_names: tuple[str, ...] = ()
    schema: Any = None


@dataclass(frozen=True, eq=False)
class Problem:
    """A dataset and what is to be learned from it. Rows are normalised by `spec.normalisation`.

    Validation is cut from train, never from test; nothing is ever selected on test.

    Args:
        task: what is learned.
        train: rows to learn from; likewise `validation` and `test`.
        spec: what is known of them.
        origins: what the source calls each row of `train`: its number before anything was cut off, or its file; None
            where they are numbered as here.
        set_aside: what it calls those of ``validation`` and ``test``, by part, as far as it calls them anything that no
            training row is called.
    """

    task: Task
    train: Batch
    validation: Batch
    test: Batch
    spec: Spec
    origins: Sequence[int | str] | None = None
    set_aside: Mapping[str, Sequence[int | str]] = field(default_factory=dict)

    @cached_property
    def members(self) -> dict[int | None, Tensor]:
        """Row ids in `train` of each group, on the CPU."""
        return {group: rows.cpu() for group, rows in self.task.members(self.train).items()}

    def planned(self, plan: Plan) -> Problem:
        """This problem computed by `plan`, its rows on the plan's device."""
        moved = {part: getattr(self, part).to(plan.device) for part in ("train", "validation", "test")}
        return dataclasses.replace(self, task=dataclasses.replace(self.task, plan=plan), **moved)  # type: ignore[type-var]


@dataclass(frozen=True)
class Budget:
    """How many rows to keep: exactly one of the three.

    Args:
        per_class: rows of each class (the field's "ipc").
        size: rows in all, shared between classes as in the data, at least one each.
        fraction: of the training rows, in (0, 1], likewise shared.
    """

    per_class: int | None = None
    size: int | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) is not None}
        if len(given) != 1:
            raise AttarError(f"A budget takes one of per_class, size and fraction, and got {len(given)}: give one.")
        [(name, value)] = given.items()
        low_ok = value > 0 and (name != "fraction" or value <= 1)
        if not low_ok or (name != "fraction" and value != int(value)):
            raise AttarError(
                f"Budget {name}={value} is out of range: give a whole number of 1 or more, or a fraction in (0, 1]."
            )

    def counts(self, available: Sequence[int], names: Sequence[str] | None = None) -> tuple[int, ...]:
        """Rows to keep of each group.

        Args:
            available: training rows of each group.
            names: the groups' names, for errors.

        Raises:
            AttarError: if a group has fewer rows than its share, or there are fewer rows in all than groups.
        """
        if self.per_class is not None:
            wanted = [self.per_class] * len(available)
        else:
            total = self.size if self.size is not None else max(round((self.fraction or 0) * sum(available)), 1)
            wanted = _shares(total, available)
        for group, (have, want) in enumerate(zip(available, wanted, strict=True)):
            if want > have and len(available) == 1 and not names:
                raise AttarError(
                    f"There are {have} training rows, fewer than the {want} that the budget asks for: "
                    f"lower the budget to {have} or less, or add rows."
                )
            if want > have:
                label = f"class '{names[group]}'" if names else f"class {group}"
                raise AttarError(
                    f"{label} has {have} training rows, fewer than the {want} that the budget asks for: "
                    f"lower the budget to {have} per class or less, or add rows."
                )
        return tuple(wanted)

    def __str__(self) -> str:
        """A name for paths: "10-per-class", "500-rows", "0.01-of-rows"."""
        if self.per_class is not None:
            return f"{self.per_class}-per-class"
        return f"{self.size}-rows" if self.size is not None else f"{self.fraction:g}-of-rows"


def _shares(total: int, available: Sequence[int]) -> list[int]:
    """Largest-remainder shares of `total` in proportion to `available`, at least one each."""
    groups = len(available)
    if total > sum(available) and groups == 1:
        raise AttarError(
            f"A budget of {total} rows is more than the {sum(available)} training rows that there are: lower it, or add rows."
        )
    if total < groups or total > sum(available):
        raise AttarError(
            f"A budget of {total} row{'' if total == 1 else 's'} does not fit {groups} classes of {sum(available)} training rows in all: "
            f"give between {groups} and {sum(available)} rows."
        )
    spare = [max(have - 1, 0) for have in available]
    exact = [(total - groups) * s / max(sum(spare), 1) for s in spare]
    shares = [1 + math.floor(e) for e in exact]
    order = sorted(range(groups), key=lambda g: (math.floor(exact[g]) - exact[g], g))
    for g in order[: total - sum(shares)]:
        shares[g] += 1
    return shares
