"""Views: how an objective sees the synthetic and the real side of a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from attar import rng
from attar.augment import Augment, NoAugment
from attar.types import AttarError, Batch

__all__ = ["ByOdds", "Everything", "PerClass", "Sampler", "Uniform", "View"]

Members = Mapping[int | None, Tensor]


@dataclass(frozen=True)
class PerClass:
    """Rows of each class, drawn without replacement, all rows of a class that has fewer.

    Args:
        size: rows a class and draw.
    """

    size: int = 256

    def __post_init__(self) -> None:
        _check(self.size)

    def rows(
        self, members: Members, group: int | None, size: int | None, source: torch.Generator
    ) -> list[tuple[int | None, Tensor]]:
        chosen = members if group is None else {group: members[group]}
        return [(g, _some(rows, size or self.size, source)) for g, rows in chosen.items() if len(rows)]


@dataclass(frozen=True)
class Everything:
    """Every row of the class (or of all classes), in order; `size` draws that many of each."""

    def rows(
        self, members: Members, group: int | None, size: int | None, source: torch.Generator
    ) -> list[tuple[int | None, Tensor]]:
        return PerClass(max(map(len, members.values()))).rows(members, group, size, source)


@dataclass(frozen=True)
class Uniform:
    """Rows drawn without replacement from all classes together.

    Args:
        size: rows a draw.
    """

    size: int = 256

    def __post_init__(self) -> None:
        _check(self.size)

    def rows(
        self, members: Members, group: int | None, size: int | None, source: torch.Generator
    ) -> list[tuple[int | None, Tensor]]:
        rows = torch.cat(list(members.values())) if group is None else members[group]
        return [(group, _some(rows, size or self.size, source))]


@dataclass(frozen=True, eq=False)
class ByOdds:
    """Rows of each class in proportion to their odds: of a row whose share of its class's odds is p, `size` times p in the mean,
    and never a whole row more or less.

    So a draw's mean is the weighted mean of the class without bias. Classes of fewer rows than `size` give some again.

    Args:
        size: rows a class and draw.
        odds: of all rows of the side ``(n,)``, on the CPU.
        strata: a number for each row ``(n,)``; of rows of one number together, too, a draw has what their odds ask for, to
            the nearest whole row above or below.

    Reference:
        Madow: On the theory of systematic sampling, II, Annals of Mathematical Statistics 1949.
    """

    size: int
    odds: Tensor
    strata: Tensor | None = None

    def rows(
        self, members: Members, group: int | None, size: int | None, source: torch.Generator
    ) -> list[tuple[int | None, Tensor]]:
        chosen = members if group is None else {group: members[group]}
        return [(g, self._drawn(rows, size or self.size, source)) for g, rows in chosen.items() if len(rows)]

    def _drawn(self, rows: Tensor, size: int, source: torch.Generator) -> Tensor:
        """Systematic sampling: every row has a stretch as long as its odds, and points lie at equal distances."""
        order = torch.randperm(len(rows), generator=source)
        start = torch.rand((), generator=source, dtype=torch.float64)
        if self.odds.is_meta:  # a rehearsal, to which any rows will do
            return rows[order[torch.arange(size) % len(rows)]]
        if self.strata is not None:
            order = order[self.strata[rows[order]].argsort(stable=True)]
        ends = self.odds[rows[order]].double().cumsum(0)
        points = (torch.arange(size, dtype=torch.float64) + start) * (ends[-1] / size)
        return rows[order[torch.searchsorted(ends, points, right=True).clamp_max(len(rows) - 1)]]


Sampler = PerClass | Everything | Uniform | ByOdds


def _check(size: int) -> None:
    if size < 1:
        raise AttarError(f"A batch of {size} rows is empty: give 1 or more.")


def _some(rows: Tensor, size: int, source: torch.Generator) -> Tensor:
    return rows if size >= len(rows) else rows[torch.randperm(len(rows), generator=source)[:size]]


@dataclass
class View:
    """One side of one step.

    Each draw takes new rows; the k-th draw of a group is augmented with the same seed on both sides of a step, which is
    what makes an augmentation siamese.

    Args:
        batch: all rows of the side.
        members: row ids by group (on the CPU).
        sampler: how rows are drawn.
        augment: the augmentation of drawn rows, one transform a class.
        training_augment: that of `minibatches`, one transform a row.
        rows_seed: seed of the draws, different for the two sides.
        augment_seed: seed of the augmentation, the same for the two sides.
        learned: what the synthetic side learns beside its rows (``step_size``, ...).
    """

    batch: Batch
    members: Members
    sampler: Sampler
    augment: Augment
    training_augment: Augment
    rows_seed: int
    augment_seed: int
    learned: Mapping[str, Tensor] = field(default_factory=dict)
    _draws: Counter = field(default_factory=Counter)
    _pass: tuple[int, Tensor] | None = None

    @property
    def groups(self) -> tuple[int | None, ...]:
        """The groups that have rows on this side; learned labels may leave one without."""
        return tuple(group for group, rows in self.members.items() if len(rows))

    def draw(self, group: int | None = None, size: int | None = None) -> Batch:
        """New rows, augmented. Without a group: those of all groups in one batch, told apart by ``y``, and under a
        sampler by class each class augmented as its own draw would be."""
        count = self._draws[group]
        self._draws[group] += 1
        source = rng.generator(self.rows_seed, str(group), count)
        parts = self.sampler.rows(self.members, group, size, source)
        drawn = self.batch.take(torch.cat([rows for _, rows in parts]))
        if drawn.views is not None:
            return self._one_view(drawn, rng.derive(self.augment_seed, str(group), count))
        if isinstance(self.augment, NoAugment):  # a graph's x holds all its nodes, so it is not cut into classes
            return drawn
        seeds = [rng.derive(self.augment_seed, str(g), count) for g, _ in parts]
        pieces = drawn.x.split([len(rows) for _, rows in parts])
        changed = [self.augment(x, seed) for x, seed in zip(pieces, seeds, strict=True)]
        return drawn.replace(x=changed[0] if len(changed) == 1 else torch.cat(changed))

    def whole(self) -> Batch:
        """All rows as they are."""
        return self.batch

    def minibatches(self, size: int, passes: int) -> Iterator[Batch]:
        """Shuffled passes over all rows in batches of `size`, each augmented anew: what networks are trained on."""
        for index in range(passes * -(-self._count // size)):
            yield self.minibatch(size, index)

    def minibatch(self, size: int, index: int) -> Batch:
        """One of these batches by its place in passes without end; the same each time that it is asked for."""
        number, start = divmod(index, -(-self._count // size))
        rows = self._order(number)[start * size : (start + 1) * size]
        part = self.batch.take(rows)
        seed = rng.derive(self.rows_seed, "pass", number, start)
        if part.views is not None:
            return self._one_view(part, seed)
        return part.replace(x=self.training_augment(part.x, seed))

    def in_order(self, size: int, index: int) -> Batch:
        """All rows divided into batches of `size` that stay the same, one after the other and again and again: that of update
        `index`, each row augmented anew.

        Of m batches the k-th is every m-th row from the k-th on, ``x[k::m]``. So rows that lie class by class, as many of each,
        give batches that have as many of each class, whatever their labels become.
        """
        count = self._count
        batches = -(-count // size)
        part = self.batch.take(torch.arange(index % batches, count, batches))
        seed = rng.derive(self.rows_seed, "in order", index)
        if part.views is not None:
            return self._one_view(part, seed)
        return part.replace(x=self.training_augment(part.x, seed))

    def updates(self, size: int, in_order: bool = False) -> Callable[[Tensor, Tensor, int], Batch]:
        """The batches of updates of `size` rows, as `attar.training.unroll` asks for them: by rows and targets in place of
        this side's, and the number of the update."""
        side = replace(self)

        def rows(x: Tensor, y: Tensor, index: int) -> Batch:
            side.batch = self.batch.replace(x=x, y=y)
            return side.in_order(size, index) if in_order else side.minibatch(size, index)

        return rows

    @property
    def _count(self) -> int:
        return sum(map(len, self.members.values()))

    def _order(self, number: int) -> Tensor:
        """Row ids in the order of a pass; that of the last one asked for is kept."""
        if self._pass is None or self._pass[0] != number:
            every = torch.cat(list(self.members.values()))
            source = rng.generator(self.rows_seed, "pass", number)
            self._pass = number, every[torch.randperm(len(every), generator=source)]
        return self._pass[1]

    def _one_view(self, batch: Batch, seed: int) -> Batch:
        """Rows with targets for each of several fixed augmentations: pick one of these and its targets."""
        assert batch.views is not None and batch.y is not None
        index = seed % len(batch.views)
        view_seed = int(batch.views[index])
        return batch.replace(x=self.augment(batch.x, view_seed), y=batch.y[index], views=None)
