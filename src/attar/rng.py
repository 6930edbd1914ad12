"""Randomness: every draw comes from a generator, and every generator from a seed and the words that say what it is for.

A run stores one seed. The generator of step 17's augmentation is ``generator(seed, "augment", 17)``: it does not depend on
what was drawn before, so a run that was killed and resumed, timed or inspected on the way draws the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["derive", "draw_seed", "generator", "seeded", "stratified"]


def derive(*key: int | str) -> int:
    """Hash a seed and the words behind it to a new seed in [0, 2**63)."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(*key: int | str) -> torch.Generator:
    """A CPU generator for the given seed and purpose; equal keys give equal draws on every device."""
    return torch.Generator().manual_seed(derive(*key))


def draw_seed(source: torch.Generator) -> int:
    """Draw a seed in [0, 2**63 - 1) from a generator."""
    return int(torch.randint(2**63 - 1, (), generator=source))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator inside the block and put it back after: for code that takes no generator,
    such as the constructors of modules."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


def stratified(y: Tensor, fraction: float, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split row ids by class.

    Args:
        y: class ids ``(n,)``.
        fraction: share of each class to cut, in (0, 1); a class of two or more rows gives at least one and keeps at
            least one, a class of one row gives none.
        source: generator of the shuffles.

    Returns:
        Row ids kept and row ids cut, each ascending.
    """
    kept, cut = [], []
    for group in torch.unique(y, sorted=True):
        rows = torch.nonzero(y == group).flatten()
        rows = rows[torch.randperm(len(rows), generator=source)]
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        cut.append(rows[:count])
        kept.append(rows[count:])
    return torch.cat(kept).sort().values, torch.cat(cut).sort().values
