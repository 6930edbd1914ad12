"""A recording: experts trained one after the other, or some at a time, and written as soon as they are whole."""

from __future__ import annotations

import errno
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attar import rng
from attar.checkpoint import load_tree, save_tree, write_json
from attar.experts.foreseen import Foreseen, networks, repeatable
from attar.runs import held
from attar.selection.training_dynamics import SCORES
from attar.training import passes, paths
from attar.training.experts import Course, Experts
from attar.training.shards import PRECISIONS, first_difference, identity, other_rows, write_expert
from attar.types import AttarError, Params, Problem, Tree

__all__ = ["DIFFICULTY", "Passed", "Recording", "blocks_lacking", "refuse_others", "settings_in"]

DIFFICULTY = "difficulty"
"""File of a folder of experts: how hard each row is to learn."""


@dataclass(frozen=True)
class Passed:
    """An epoch of the experts under way.

    Args:
        numbers: of these experts.
        epoch: epochs of them that are done.
        done: epochs of one expert that are done in this recording.
        total: epochs of one expert that it takes.
        loss: mean training loss.
        seconds: since it began.
    """

    numbers: tuple[int, ...]
    epoch: int
    done: int
    total: int
    loss: float
    seconds: float


@dataclass
class Recording:
    """A recording that is ready to go: iterate over it for its epochs, then call `finish`.

    It may be left at any epoch: the experts that are whole by then stay.
    """

    problem: Problem
    course: Course
    count: int
    path: Path
    settings: dict[str, Any]
    foreseen: Foreseen

    def __iter__(self) -> Iterator[Passed]:
        if not self.foreseen.experts:
            return
        with self._begun():
            ranked = self._ranked()
            start, done = time.perf_counter(), 0
            todo = blocks_lacking(self.path, self.count, self.settings["together"])
            total = sum(map(len, todo)) * self.course.epochs
            for block in todo:
                for epoch, loss in self._trained(block, ranked):
                    done += len(block)
                    yield Passed(tuple(block), epoch, done, total, loss, time.perf_counter() - start)

    def score(self) -> float:
        """Score the rows' difficulty for a staged course, which iterating does first where it was not done; the seconds that took."""
        with self._begun():
            self._ranked()
        return float(self.settings["scored"])

    def finish(self) -> Experts:
        """The experts that there are."""
        return Experts.load(self.path)

    def unfinished(self) -> tuple[float, float] | None:
        """The experts' mean training loss in their last epoch and that of guessing, where it is more than half of that.

        Guessing gives the entropy of the classes' shares, ``- sum_c p_c log p_c``. None where the experts have learnt more, or
        there are none.
        """
        found = self.finish()
        last = [found.losses(number)[-1] for number in found.numbers]
        shares = [len(rows) / len(self.problem.train) for rows in self.problem.members.values()]
        guessing = -sum(share * math.log(share) for share in shares if share)
        if not last or sum(last) / len(last) <= guessing / 2:
            return None
        return sum(last) / len(last), guessing

    @contextmanager
    def _begun(self) -> Iterator[None]:
        """Inside the block the folder is this process's own, and its settings are written."""
        self.path.mkdir(parents=True, exist_ok=True)
        with _told_when_full(self.path), held(self.path), self.problem.task.plan.applied(), repeatable():
            self._begin()
            yield

    def _begin(self) -> None:
        """Write the settings, before anything else."""
        for left in self.path.glob(".*.partial"):  # of a process that was killed while it wrote
            left.unlink()
        before = settings_in(self.path)  # another process may have come first
        if before is not None:
            refuse_others(self.path, before, self.settings)
            self.settings["scored"] = before["scored"]
            if before["count"] >= self.settings["count"]:
                self.settings.update(count=before["count"], command=before["command"])
        if before != self.settings:
            write_json(self.path / "experts.json", self.settings)

    def _ranked(self) -> list[Tensor] | None:
        """Row ids of each class, the easiest first, for a staged course."""
        staged = self.course.staged
        if staged is None:
            return None
        file, seed = self.path / DIFFICULTY, rng.derive(self.settings["seed"], "difficulty")
        by: dict[str, Tree] = {
            "score": staged.score,
            "model": staged.model,
            "epochs": staged.epochs,
            "networks": staged.networks,
        }
        if not file.is_file():
            start = time.perf_counter()
            scores = SCORES[staged.score](self.problem, staged.model, staged.epochs, staged.networks, seed)
            save_tree({"scores": scores, "by": by, "seconds": time.perf_counter() - start}, file)
        found = load_tree(file)
        scores = found["scores"]
        if found["by"] != by or len(scores) != len(self.problem.train):
            raise AttarError(f"{file} scores other rows, or otherwise: remove it, and the rows are scored again.")
        if self.settings["scored"] != found["seconds"]:
            self.settings["scored"] = found["seconds"]
            write_json(self.path / "experts.json", self.settings)
        return [rows[scores[rows].argsort(stable=True)] for rows in self.problem.members.values()]

    def _trained(self, block: Sequence[int], ranked: Sequence[Tensor] | None) -> Iterator[tuple[int, float]]:
        """Train some experts together and write those that are not there; gives the epochs done and the loss of each."""
        start, task, course = time.perf_counter(), self.problem.task, self.course
        model, starts, seeds = networks(task, course, self.settings["seed"], block)
        kind = PRECISIONS[self.settings["precision"]]
        kept = {name: torch.empty((course.epochs + 1, *value.shape), dtype=kind) for name, value in starts.items()}
        losses: list[list[float]] = []
        _keep(kept, 0, starts)
        for walked in paths.walk(task, model, starts, self.problem.train, course, seeds, ranked):
            _keep(kept, walked.index + 1, walked.params)
            losses.append(walked.losses.tolist())
            if walked.index + 1 == course.epochs:
                seconds = (time.perf_counter() - start) / len(block)
                self._write(block, model, walked.params, kept, losses, seconds)
            yield walked.index + 1, sum(losses[-1]) / len(block)

    def _write(
        self,
        block: Sequence[int],
        model: nn.Module,
        ends: Params,
        kept: Params,
        losses: Sequence[Sequence[float]],
        seconds: float,
    ) -> None:
        there = set(Experts(str(self.path)).numbers)
        for place, number in enumerate(block):
            if number in there:
                continue
            accuracy = None
            if len(self.problem.validation):
                end = {name: value[place] for name, value in ends.items()}
                accuracy = passes.accuracy(self.problem.task, model, end, self.problem.validation)
            record = {"seconds": seconds, "losses": [epoch[place] for epoch in losses], "accuracy": accuracy}
            own = {name: values[:, place].contiguous() for name, values in kept.items()}
            write_expert(self.path, number, self.settings, own, record)


def settings_in(path: Path) -> dict[str, Any] | None:
    """What a folder's experts.json says; None where experts may be recorded anew.

    Raises:
        AttarError: if the folder holds something else.
    """
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir():
        raise AttarError(f"{path} cannot be made, as {there} is no folder: record the experts in another one.")
    if (path / "experts.json").is_file():
        return Experts(str(path)).settings
    if (path / "settings.json").is_file():
        raise AttarError(f"{path} is a run, not a folder of experts: record the experts in another one.")
    if there == path and any(item.name != "lock" and not item.name.endswith(".partial") for item in path.iterdir()):
        raise AttarError(f"{path} exists already and holds other files: record the experts in another folder.")
    return None


def refuse_others(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to add experts of other settings to a folder."""
    found = first_difference(identity(before), json.loads(json.dumps(identity(now))))
    if found is not None:
        name, there, here = found
        one, other = before["problem"], now["problem"]
        if name == "problem.fingerprint":
            kind = f"{one['name']}, fingerprint {there}; these are {other['name']}, {here}"
            seeds = [(about.get("source") or {}).get("seed") for about in (one, other)]
            if seeds[0] != seeds[1] and one["name"] == other["name"]:
                raise AttarError(
                    f"{path} holds experts of {one['name']} as loaded with seed {seeds[0]}, and these rows were loaded with seed "
                    f"{seeds[1]}: give seed {seeds[0]}, or another folder."
                )
            raise AttarError(f"{path} holds experts of other data ({kind}): give the same data, or another folder.")
        if name.startswith("problem.normalisation"):
            said = other_rows(one["normalisation"], other["normalisation"])
            raise AttarError(f"{path} holds experts that {said}: open the data as they were, or give another folder.")
        raise AttarError(
            f"{path} holds experts of other settings ({name} is {there} there, and {here} was asked for): give the same, or "
            "another folder."
        )


def blocks_lacking(path: Path, count: int, together: int) -> list[list[int]]:
    """Numbers of the experts that are trained together, for all blocks that lack one. Blocks are always cut alike and trained
    whole, so that one that was left half written ends as if it had not been."""
    there = set(Experts(str(path)).numbers)
    blocks = [list(range(first, min(first + together, count))) for first in range(0, count, together)]
    return [block for block in blocks if not there.issuperset(block)]


def _keep(kept: Params, place: int, params: Params) -> None:
    for name, value in params.items():
        kept[name][place] = value


@contextmanager
def _told_when_full(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        there = len(Experts(str(path))) if (path / "experts.json").is_file() else 0
        stay = "1 expert, which stays" if there == 1 else f"{there} experts, which stay"
        raise AttarError(
            f"The disk of {path} is full after {stay}: make room and do the same again to go on."
        ) from error
