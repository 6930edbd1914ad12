"""Costly work that several jobs of one process ask for alike: done once, and counted in full by each of them."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from attar import memory
from attar.types import Problem

__all__ = ["Found", "counted", "once", "training_rows"]

Value = TypeVar("Value")

LIMIT = 32
"""Pieces of work that are kept: scores of rows and small networks, a few hundred kilobytes each."""


@dataclass
class Found:
    """What work that was found done had cost when it was done.

    Args:
        seconds: of all of it.
        peak: the most bytes that a job had taken when a piece of it was done; 0 where the system did not say.
    """

    seconds: float = 0.0
    peak: int = 0


_kept: OrderedDict[Hashable, tuple[Any, float, int]] = OrderedDict()
_counting: list[Found] = []


def once(key: Hashable, work: Callable[[], Value]) -> Value:
    """What `work` gives, from the last time if it was done under this key; whoever gets it must leave it as it is.

    A comparison asks for the same networks at every budget. Each job counts their seconds all the same (see `counted`), for
    alone it would have had to train them.

    Args:
        key: all that decides the result: the rows (`training_rows`), the plan, the settings, the seed.
        work: does it.
    """
    if key in _kept:
        _kept.move_to_end(key)
        value, seconds, peak = _kept[key]
        for found in _counting:
            found.seconds, found.peak = found.seconds + seconds, max(found.peak, peak)
        return value
    start = time.perf_counter()
    value = work()
    _kept[key] = value, time.perf_counter() - start, memory.latest_peak() or 0
    while len(_kept) > LIMIT:
        _kept.popitem(last=False)
    return value


@contextmanager
def counted() -> Iterator[Found]:
    """Count what is found done inside the block."""
    found = Found()
    _counting.append(found)
    try:
        yield found
    finally:
        _counting.remove(found)


def training_rows(problem: Problem) -> Hashable:
    """What tells a problem's training rows, and how they are computed on, from any others."""
    digest = hashlib.sha256()
    for part in (problem.train.x, problem.train.y):
        if part is not None:
            rows = part.detach().cpu().contiguous()
            digest.update(f"{tuple(rows.shape)} {rows.dtype} ".encode())
            digest.update(rows.numpy().data)
    return digest.hexdigest(), type(problem.task), problem.task.plan
