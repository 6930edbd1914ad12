"""Costly work that several jobs ask for alike, such as training the network by which rows are scored at every budget: done once
where that is wanted, and counted in full by each of them."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from torch import Tensor, nn

from attar.memory import Meter
from attar.types import Batch, Problem

__all__ = ["Found", "Shared", "counted", "once"]

Value = TypeVar("Value")

LIMIT = 256 * 2**20
"""Bytes that are kept at most: the scores of a thousand sets of rows, or five of the largest networks."""


@dataclass(eq=False)
class Found:
    """What the work that a job found done had cost when it was done.

    Args:
        meter: of the job's own memory.
        seconds: of all such work.
        peak: the most bytes that a job had taken by the end of a piece of it; 0 where the system does not say.
    """

    meter: Meter | None
    seconds: float = 0.0
    peak: int = 0


@dataclass(frozen=True)
class _Piece:
    value: Any
    bytes: int
    seconds: float
    peak: int


class Shared:
    """Inside a block ``with shared:`` work asked for by `once` is done once; what came of it is kept from block to block.

    A comparison shares; a job by itself does all of its work, so that two equal jobs are evidence of each other.

    Args:
        limit: bytes that are kept at most, the least recently used go first.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._pieces: OrderedDict[Hashable, _Piece] = OrderedDict()
        self._rows: tuple[dict[str, Any], str] | None = None
        self._token: Token[Shared | None] | None = None

    def __enter__(self) -> Self:
        self._token = _shared.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        _shared.reset(self._token)

    def get(self, key: Hashable) -> _Piece | None:
        """A piece of work that was done."""
        if key in self._pieces:
            self._pieces.move_to_end(key)
        return self._pieces.get(key)

    def keep(self, key: Hashable, piece: _Piece) -> None:
        """Keep a piece of work, and let others go where they are too much."""
        self._pieces[key] = piece
        while sum(one.bytes for one in self._pieces.values()) > self.limit:
            self._pieces.popitem(last=False)

    def digest(self, rows: Batch) -> str:
        """A hash of rows, labels and whatever else there is of them; of the same rows it is taken once."""
        fields = {field.name: getattr(rows, field.name) for field in dataclasses.fields(rows)}  # type: ignore[arg-type]
        if self._rows is None or any(value is not self._rows[0].get(name) for name, value in fields.items()):
            self._rows = fields, _digest(fields)
        return self._rows[1]


_shared: ContextVar[Shared | None] = ContextVar("shared", default=None)
_counting: ContextVar[tuple[Found, ...]] = ContextVar("counting", default=())


def once(problem: Problem, settings: tuple[Hashable, ...], work: Callable[[], Value]) -> Value:
    """What `work` gives; where work is shared, from the last time if it was done. Whoever gets it must leave it as it is.

    Args:
        problem: whose training rows, and task with its plan, the result depends on.
        settings: what it depends on besides, with the name of the work and the seed.
        work: does it.
    """
    shared = _shared.get()
    if shared is None or not _hashable(problem.task):
        return work()
    task: Any = problem.task
    key = (shared.digest(problem.train), task, *settings)
    piece = shared.get(key)
    if piece is not None:
        for found in _counting.get():
            found.seconds, found.peak = found.seconds + piece.seconds, max(found.peak, piece.peak)
        return piece.value
    meter = _counting.get()[-1].meter if _counting.get() else None
    start = time.perf_counter()
    with counted(meter) as within:
        value = work()
    seconds = time.perf_counter() - start + within.seconds
    peak = max(within.peak, (meter.peak() if meter else None) or 0)
    shared.keep(key, _Piece(value, _size(value), seconds, peak))
    return value


@contextmanager
def counted(meter: Meter | None) -> Iterator[Found]:
    """Count what is found done inside the block.

    Args:
        meter: of the memory of whoever counts; None where that is not measured.
    """
    found = Found(meter)
    token = _counting.set((*_counting.get(), found))
    try:
        yield found
    finally:
        _counting.reset(token)


def _hashable(task: object) -> bool:
    """Whether a task can be part of a key; another's may hold anything."""
    try:
        hash(task)
    except TypeError:
        return False
    return True


def _digest(fields: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, value in fields.items():
        digest.update(name.encode())
        if isinstance(value, Tensor):
            value = value.detach().cpu().contiguous()
            digest.update(f"{tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.numpy().data)
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()


def _size(value: Any) -> int:
    """Bytes of a tensor or of a network's weights."""
    tensors = value.state_dict().values() if isinstance(value, nn.Module) else [value]
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))
