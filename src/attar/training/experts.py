"""Experts: weight paths of networks trained on real data, recorded once and read many times.

A folder holds them::

    experts.json              how they are trained, on what, by which seed and plan; there before anything else
    difficulty                scores of the rows, for a staged course
    expert-0000.safetensors   a shard an expert: under each parameter's name its values (epochs + 1, ...), so that the weights
                              after one epoch are read as one slice a parameter
    expert-0000.json          written after the shard: its checksum, seconds, losses, accuracy
    lock                      held by the process that records

A shard counts once its record is there. Both are written whole or not at all, so the folder can be read at any moment.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attar.record import describe, rebuild
from attar.training import shards
from attar.training.course import Course, Staged
from attar.training.flat import Flat
from attar.types import AttarError, Problem

__all__ = ["FORMAT", "Course", "Experts", "Flat", "Staged"]

FORMAT = 1

_NUMBER = (int, float)

_SETTINGS = {
    "course": dict,
    "problem": dict,
    "seed": int,
    "precision": str,
    "plan": dict,
    "parameters": dict,
    "count": int,
    "together": int,
    "scored": _NUMBER,
}
_PROBLEM = {"name": str, "fingerprint": str, "classes": int, "shape": list, "normalisation": dict}
_RECORD = {"sha256": str, "bytes": int, "seconds": _NUMBER, "losses": list, "accuracy": (*_NUMBER, type(None))}
"""What the JSON files have to say, by type."""

_summed: set[tuple[str, int, int]] = set()
"""Shards whose checksums this process has seen to be right, by path, time and size."""


@dataclass(frozen=True)
class Experts:
    """Recorded experts: a folder that `attar.experts.record` or ``attar experts`` wrote, or is still writing.

    They become more while they are recorded; everything else is fixed. Each has its number, which is that in the names of its
    files, whichever others are there.

    Args:
        path: the folder.

    Example:
        >>> experts = Experts.load("runs/mnist-experts")  # doctest: +SKIP
        >>> start, target = experts.weights(3, epoch=2), experts.weights(3, epoch=4)  # doctest: +SKIP
    """

    path: str

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a folder and look at all its shards; their checksums are looked at when each is first read.

        Raises:
            AttarError: if it is no folder of experts, or a shard is damaged or not of these experts, by name.
        """
        experts = cls(str(Path(path).absolute()))  # a run that is recorded finds them from anywhere
        for number in experts.numbers:
            experts._check(number)
        return experts

    def __len__(self) -> int:
        return len(self.numbers)

    def weights(self, number: int, epoch: int, device: str = "cpu") -> dict[str, Tensor]:
        """The weights of an expert after some epochs, 0 for the random ones that it started from: float32, by name.

        Args:
            number: one of `numbers`.
            epoch: from 0 to `epochs`.
            device: that they are put on.

        Raises:
            AttarError: if there is no such expert or epoch, or its shard is damaged.
        """
        if not 0 <= epoch <= self.epochs:
            trained = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
            raise AttarError(f"The experts in {self.path} were trained for {trained}: there is no {epoch}.")
        self._require([number])
        self._sum(number)
        with shards.opened(self._shard(number)) as file:
            parts = {name: file.get_slice(name)[epoch] for name in self.parameters}
        return {name: part.to(device, torch.float32, copy=True) for name, part in parts.items()}

    def losses(self, number: int) -> list[float]:
        """Mean training loss of each epoch of an expert, by its number."""
        self._require([number])
        return self._record(number)["losses"]

    def accuracy(self, number: int) -> list[float]:
        """Accuracy of an expert on the validation rows after the last epoch, in [0, 1]; empty where there were none."""
        self._require([number])
        found = self._record(number)["accuracy"]
        return [] if found is None else [found]

    def check(self, problem: Problem) -> None:
        """Make sure that these experts learned from the given data.

        Raises:
            AttarError: if not, or if there is no expert yet.
        """
        found = problem.spec.fingerprint
        if found != self.fingerprint:
            raise AttarError(
                f"The experts in {self.path} were recorded on other data ({self.settings['problem']['name']}, fingerprint "
                f"{self.fingerprint}; these are {problem.spec.name}, {found}): give the same data, seed and size, or record "
                "experts on these (for a comparison, which cuts a tenth of the rows for validation, with --validation 0.1)."
            )
        there, here = self.settings["problem"]["normalisation"], describe(problem.spec.normalisation)
        if there != here:
            raise AttarError(
                f"The experts in {self.path} {shards.other_rows(there, here)}: open the data as they were."
            )
        if len(self) == 0:
            raise AttarError(f"There is no whole expert in {self.path} yet: wait for the first, or go on recording.")

    # -- what is known of them

    @cached_property
    def _opened(self) -> _Opened:
        folder = Path(self.path)
        if not (folder / "experts.json").is_file():
            kind = "is a run and" if (folder / "settings.json").is_file() else "has no experts.json, so it"
            there = f"{self.path} {kind} holds no experts" if folder.is_dir() else f"There is no folder {self.path}"
            raise AttarError(f"{there}: give the folder that 'attar experts DATA --out FOLDER' named.")
        return _Opened(folder, *_settings(folder / "experts.json"))

    @property
    def settings(self) -> dict[str, Any]:
        """What experts.json says."""
        return self._opened.settings

    @property
    def course(self) -> Course:
        """How they are trained."""
        return self._opened.course

    @property
    def epochs(self) -> int:
        """Of each expert."""
        return self.course.epochs

    @property
    def fingerprint(self) -> str:
        """Of the data."""
        return self.settings["problem"]["fingerprint"]

    @property
    def parameters(self) -> dict[str, list[int]]:
        """Shapes of the weights by name."""
        return self.settings["parameters"]

    @property
    def seconds(self) -> float:
        """What the whole experts took, and the scoring of the rows' difficulty."""
        return sum(self._record(number)["seconds"] for number in self.numbers) + self.settings["scored"]

    @property
    def nbytes(self) -> int:
        """Bytes of the whole experts' shards."""
        return sum(self._record(number)["bytes"] for number in self.numbers)

    @property
    def checksum(self) -> str:
        """Of the settings and the whole experts."""
        return self.checksum_of(self.numbers)

    def checksum_of(self, numbers: Sequence[int]) -> str:
        """Of the settings and some of the experts.

        Raises:
            AttarError: if one of them is not there.
        """
        self._require(numbers)
        sums = [json.dumps(shards.identity(self.settings)), *(self._record(number)["sha256"] for number in numbers)]
        return "sha256:" + hashlib.sha256("\n".join(sums).encode()).hexdigest()

    @property
    def prepared(self) -> dict[str, Any]:
        """What the card of a set says that learned from them; JSON values."""
        told = {"count": len(self), "course": self.settings["course"], "seconds": round(self.seconds, 3)}
        return {"experts": {**told, "bytes": self.nbytes, "checksum": self.checksum}}

    # -- the files

    @property
    def numbers(self) -> list[int]:
        """Of the experts that are done: 0, 1, 2, ... unless somebody removed one."""
        folder = self._opened.folder
        try:
            names = set(os.listdir(folder))
        except OSError as error:
            raise AttarError(f"{folder} cannot be read any more ({error.strerror}): put it back.") from error
        found = (re.fullmatch(r"expert-(\d{4,})\.json", name) for name in names)
        return sorted(int(match[1]) for match in found if match and f"expert-{match[1]}.safetensors" in names)

    def _require(self, numbers: Iterable[int]) -> None:
        """Refuse a number that no whole expert has."""
        there = self.numbers
        for number in numbers:
            if number not in there:
                which = f"{len(there)} whole, from {there[0]} to {there[-1]}" if there else "none whole yet"
                raise AttarError(f"There is no expert {number} in {self.path}: of the experts there are {which}.")

    def _shard(self, number: int) -> Path:
        return Path(self.path) / f"expert-{number:04d}.safetensors"

    def _record(self, number: int) -> dict[str, Any]:
        return shards.read_json(self._shard(number).with_suffix(".json"), _RECORD, shards.again(self._shard(number)))

    def _check(self, number: int) -> None:
        """Refuse a shard that is cut short, or was recorded by other settings."""
        path = self._shard(number)
        kind = shards.TYPES[shards.PRECISIONS[self.settings["precision"]]]
        with shards.opened(path) as file:
            about = json.loads((file.metadata() or {}).get("expert", "{}"))
            said = about if isinstance(about, dict) else {}
            pieces = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            shapes = {name: (piece.get_dtype(), list(piece.get_shape())) for name, piece in pieces.items()}
        if "settings" in said and (other := shards.first_difference(said["settings"], shards.identity(self.settings))):
            name, there, here = other
            raise AttarError(
                f"{path} is not one of these experts (its {name} is {_told(there)}, and theirs is {_told(here)}): "
                f"{shards.again(path)}."
            )
        wanted = {name: (kind, [self.epochs + 1, *shape]) for name, shape in self.parameters.items()}
        if shapes != wanted or said.get("number") != number:
            raise AttarError(f"{path} is not one of these experts (its weights are others'): {shards.again(path)}.")

    def _sum(self, number: int) -> None:
        """Refuse a shard that has changed since it was recorded; once a process."""
        path = self._shard(number)
        try:
            state = path.stat()
            key = (str(path.absolute()), state.st_mtime_ns, state.st_size)
            if key in _summed:
                return
            self._check(number)
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise AttarError(f"{path} cannot be read ({error.strerror}): {shards.again(path)}.") from error
        if found != self._record(number)["sha256"]:
            raise AttarError(
                f"{path} has changed since it was recorded (its checksum is another): {shards.again(path)}."
            )
        _summed.add(key)


@dataclass(frozen=True)
class _Opened:
    """A folder whose experts.json was read."""

    folder: Path
    settings: dict[str, Any]
    course: Course


def _told(setting: Any) -> str:
    """A setting in a message, "none" where there is nothing of its kind."""
    return "none" if setting is None else str(setting)


def _settings(path: Path) -> tuple[dict[str, Any], Course]:
    """What experts.json says, and the course in it."""
    otherwise = "record the experts again in another folder"
    found = shards.read_json(path, {}, otherwise)
    version = found.get("format", 0)
    if isinstance(version, int) and version > FORMAT:
        raise AttarError(f"{path.parent} was written by a newer attar: update it.")
    wrong = shards.lacking(found, _SETTINGS) or shards.lacking(found["problem"], _PROBLEM)
    if wrong is None and found["precision"] not in shards.PRECISIONS:
        wrong = "precision"
    if wrong is None and not all(isinstance(shape, list) for shape in found["parameters"].values()):
        wrong = "parameters"
    if wrong is not None:
        raise AttarError(f"{path} is damaged ({wrong} is not there or makes no sense): {otherwise}.")
    try:
        course = rebuild(found["course"])
    except (AttarError, TypeError, ValueError, AttributeError) as error:
        raise AttarError(f"{path} is damaged (its course cannot be made: {error}): {otherwise}.") from error
    if not isinstance(course, Course):
        raise AttarError(f"{path} is damaged (its course is none): {otherwise}.")
    return found, course
