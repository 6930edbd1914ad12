"""The noise floor: how far conclusions move when the rows are drawn again, which no distilled table need be blamed for."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from attar.causal import Graph
from attar.errors import AttarError
from attar.evaluation.conclusions import Conclusions, Questions, concluded, measured
from attar.evaluation.scores import spread
from attar.rng import generator
from attar.tables import Table

__all__ = ["Noise", "bootstrapped", "cut", "noise"]


@dataclass(frozen=True)
class Noise:
    """Measures of samples of the full data's size, each against the full data, as a distilled table is measured.

    Args:
        kind: "bootstrap" or "fresh rows".
        samples: how many were drawn.
        values: of each measure (see `attar.evaluation.conclusions.measured`), one a sample that has it.
        refused: the sentences of samples that were left out, by what they were left out of: "graph", "decisions" or an effect.
    """

    kind: str
    samples: int
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    refused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def mean(self, measure: str) -> float | None:
        """Over the samples that have it; None where none has."""
        found = self.values.get(measure, ())
        return statistics.fmean(found) if found else None

    def std(self, measure: str) -> float | None:
        """Sample standard deviation; None of fewer than two."""
        return spread(self.values.get(measure, ()))

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each part that samples were left out of."""
        return tuple(
            f"{len(said)} of {self.samples} samples ({self.kind}) are left out of {part}, the last one for this: {said[-1]}"
            for part, said in self.refused.items()
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Noise:
        """What `dataclasses.asdict` gave, lists in place of tuples."""
        both = ({name: tuple(found) for name, found in value[key].items()} for key in ("values", "refused"))
        return cls(value["kind"], value["samples"], *both)


def noise(
    kind: str, samples: Iterable[Table], full: Conclusions, questions: Questions, truth: Graph | None, seed: int
) -> Noise:
    """Ask each sample, and measure its answers against the full data's."""
    values: dict[str, list[float]] = {}
    refused: dict[str, list[str]] = {}
    count = 0
    for sample in samples:
        count += 1
        found = concluded(sample, questions, seed)
        for name, value in measured(found, full, truth).items():
            values.setdefault(name, []).append(value)
        for part, sentence in found.refused.items():
            if part not in full.refused:
                refused.setdefault(part, []).append(sentence)
    left_out = {part: tuple(said) for part, said in refused.items()}
    return Noise(kind, count, {name: tuple(items) for name, items in values.items()}, left_out)


def bootstrapped(full: Table, bootstraps: int, seed: int) -> Iterator[Table]:
    """As many rows as the table stands for, drawn with replacement by their weights, each time anew."""
    for place in range(bootstraps):
        yield full.resampled(max(round(full.size), 1), generator(seed, "bootstrap", place))


def cut(fresh: Table, rows: int) -> Iterator[Table]:
    """Fresh rows in order, so many a sample; a rest is not read.

    Raises:
        AttarError: if they do not make one sample, or weigh or stand for others than themselves.
    """
    if fresh.weight is not None or fresh.soft or fresh.size != len(fresh):
        raise AttarError(
            "Fresh rows are another sample of the source, hard and of equal weight, and these are not: draw them anew."
        )
    if len(fresh) < rows:
        raise AttarError(
            f"{len(fresh):,} fresh rows are fewer than the {rows:,} that the full table stands for, so they are noisier: give as many, "
            "or a multiple of that for several samples."
        )
    return (fresh.replace(values=part) for part in fresh.values.split(rows) if len(part) == rows)
