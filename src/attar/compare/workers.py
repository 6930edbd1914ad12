"""Cells side by side in processes of one thread each, or one after the other in this one; the results are the same."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from attar.compare.cells import Cell
from attar.compare.study import Study
from attar.plan import keep_freed_memory
from attar.progress import say
from attar.reuse import Shared
from attar.types import AttarError, Batch, Problem

__all__ = ["Workers"]

_PARTS = ("train", "validation", "test")


class Workers:
    """Does cells: ``for cell, failure in workers: ...`` gives each as it ends, and more may be added meanwhile.

    A failure is a sentence, or None. Leaving the block stops what is under way, which goes on at the next start.

    Args:
        study: of the cells.
        problem: its data.
        count: processes; 1 does all cells in this one.
    """

    def __init__(self, study: Study, problem: Problem, count: int) -> None:
        self.study, self.problem, self.count = study, problem, count
        self._waiting: deque[Cell] = deque()
        self._running: dict[Future[str | None], Cell] = {}
        self._executor: ProcessPoolExecutor | None = None
        self._others: set[Any] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._threads = torch.get_num_threads()
        self._shared = Shared()
        if count > 1:
            try:
                pickle.dumps(study)
            except Exception as error:  # classes of others may refuse in any way
                raise AttarError(
                    f"A method cannot be sent to other processes ({error}): define its class in a module, or compare "
                    "with one worker."
                ) from error

    def add(self, cells: Iterable[Cell], *, first: bool = False) -> None:
        """Cells to do, after the others or before them."""
        if first:
            self._waiting.extendleft(reversed(list(cells)))
        else:
            self._waiting.extend(cells)

    @property
    def pending(self) -> list[Cell]:
        """Cells that were added and are still to be done, those under way last."""
        return [*self._waiting, *self._running.values()]

    def __enter__(self) -> Self:
        torch.set_num_threads(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        torch.set_num_threads(self._threads)
        self._stop()
        if self._folder is not None:
            self._folder.cleanup()

    def __iter__(self) -> Iterator[tuple[Cell, str | None]]:
        while self._waiting or self._running:
            if self.count == 1 and self._folder is None:
                cell = self._waiting[0]
                failure = _failure(cell, self.study, self.problem, self._shared)
                self._waiting.popleft()  # only now, for one that is interrupted is still to be done
                yield cell, failure
            else:
                yield from self._next()

    def _next(self) -> Iterator[tuple[Cell, str | None]]:
        """Keep all processes at work until a cell has ended."""
        executor = self._started()
        while self._waiting and len(self._running) < self.count:
            cell = self._waiting.popleft()
            self._running[executor.submit(_do, cell)] = cell
        ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in ended:
            if isinstance(future.exception(), BrokenProcessPool):
                yield from self._broken()
                return
            yield self._running.pop(future), future.result()

    def _broken(self) -> Iterator[tuple[Cell, str | None]]:
        """A process is gone, and with it all cells under way: the one that ran alone did it, else they are tried alone."""
        suspects = list(self._running.values())
        self._stop()
        if len(suspects) == 1:
            yield suspects[0], "its process was killed, most likely for want of memory; try it with fewer workers"
            return
        say("a worker process was killed, most likely for want of memory: going on with one at a time")
        self.count = 1
        self.add(suspects, first=True)

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is not None:
            return self._executor
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix=".workers-", dir=self.study.out)
        skeleton, files = _spilled(self.problem, Path(self._folder.name))
        self._others = set(multiprocessing.active_children())
        self._executor = ProcessPoolExecutor(
            self.count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self.study, skeleton, files),
        )
        try:
            self._executor.submit(_ready).result()
        except BrokenProcessPool:
            raise AttarError(
                "Worker processes do not start here: a script that compares needs its calls below "
                "if __name__ == '__main__', or compare with one worker."
            ) from None
        return self._executor

    def _stop(self) -> None:
        """End all processes, at once where they are at work."""
        if self._executor is None:
            return
        if self._running:
            # all of them, which start one by one: a single one left would wait for ever for a lock that another died with
            for child in set(multiprocessing.active_children()) - self._others:
                child.terminate()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._executor, self._running = None, {}


# -- in a process

_ours: tuple[Study, Problem, Shared] | None = None


def _begin(study: Study, skeleton: Problem, files: list[_Rows]) -> None:
    """Start of a process: one thread, the rows, and an end with its parent's, however that ends."""
    global _ours
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    torch.set_num_threads(1)
    keep_freed_memory()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _ours = study, _gathered(skeleton, files), Shared()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _ready() -> None:
    """Nothing: that it returns says that a process started."""


def _do(cell: Cell) -> str | None:
    assert _ours is not None
    return _failure(cell, *_ours)


def _failure(cell: Cell, study: Study, problem: Problem, shared: Shared) -> str | None:
    """Do a cell; a sentence where it failed, whatever the reason: methods are others' code, too."""
    try:
        with shared:
            cell.do(study, problem)
    except AttarError as error:
        return str(error)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None


# -- the data's way into a process: files that all of them map, so that rows are in memory once


@dataclass(frozen=True)
class _Rows:
    """A tensor of a part of the problem, in a file of its bytes."""

    part: str
    field: str
    path: str
    shape: tuple[int, ...]
    dtype: torch.dtype


def _spilled(problem: Problem, folder: Path) -> tuple[Problem, list[_Rows]]:
    """The problem without rows, and the files that they are in."""
    files: list[_Rows] = []
    empty: dict[str, Any] = {}
    for part in _PARTS:
        batch: Batch = getattr(problem, part)
        empty[part] = batch.take(torch.arange(0))
        for field in dataclasses.fields(batch):  # type: ignore[arg-type]
            value = getattr(batch, field.name)
            if isinstance(value, Tensor) and value.numel():
                path = folder / f"{part}-{field.name}"
                value.detach().cpu().contiguous().numpy().tofile(path)
                files.append(_Rows(part, field.name, str(path), tuple(value.shape), value.dtype))
    return dataclasses.replace(problem, **empty), files


def _gathered(skeleton: Problem, files: Iterable[_Rows]) -> Problem:
    """The problem with its rows, mapped from their files."""
    found: dict[str, dict[str, Tensor]] = {}
    for file in files:
        size = torch.Size(file.shape).numel()
        flat = torch.from_file(file.path, shared=False, size=size, dtype=file.dtype)
        flat.sum()  # reads it all, so that the first cell's memory does not count the rows
        found.setdefault(file.part, {})[file.field] = flat.reshape(file.shape)
    parts: dict[str, Any] = {part: getattr(skeleton, part).replace(**fields) for part, fields in found.items()}
    return dataclasses.replace(skeleton, **parts)
