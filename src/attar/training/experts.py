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
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attar.checkpoint import write_json, write_whole
from attar.record import describe, rebuild
from attar.training.course import Course, Staged
from attar.training.flat import Flat
from attar.types import AttarError, Problem

__all__ = [
    "FORMAT",
    "PRECISIONS",
    "Course",
    "Experts",
    "Flat",
    "Staged",
    "first_difference",
    "identity",
    "other_rows",
    "shard_bytes",
    "write_expert",
]

FORMAT = 1

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""Of the stored weights."""

_TYPES = {torch.float32: "F32", torch.bfloat16: "BF16"}
"""Their names in a shard."""

_summed: set[tuple[str, int, int]] = set()
"""Shards whose checksums this process has seen to be right, by path, time and size."""


@dataclass(frozen=True)
class Experts:
    """Recorded experts: a folder that `attar.experts.record` or ``attar experts`` wrote, or is still writing.

    Their number grows while they are recorded; everything else is fixed. Experts are counted from 0 among the whole ones.

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

    def weights(self, index: int, epoch: int, device: str = "cpu") -> dict[str, Tensor]:
        """The weights of an expert after some epochs, 0 for the random ones that it started from: float32, by name.

        Raises:
            AttarError: if there is no such expert or epoch, or its shard is damaged.
        """
        if not 0 <= epoch <= self.epochs:
            raise AttarError(f"The experts in {self.path} were trained for {self.epochs} epochs: there is no {epoch}.")
        number = self._number(index)
        self._sum(number)
        with _opened(self._shard(number)) as file:
            parts = {name: file.get_slice(name)[epoch] for name in self.parameters}
        return {name: part.to(device, torch.float32, copy=True) for name, part in parts.items()}

    def losses(self, index: int) -> list[float]:
        """Mean training loss of each epoch."""
        return self._record(self._number(index))["losses"]

    def accuracy(self, index: int) -> list[float]:
        """Accuracy on the validation rows after the last epoch, in [0, 1]; empty where there were none."""
        found = self._record(self._number(index))["accuracy"]
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
            raise AttarError(f"The experts in {self.path} {other_rows(there, here)}: open the data as they were.")
        if len(self) == 0:
            raise AttarError(f"There is no whole expert in {self.path} yet: wait for the first, or go on recording.")

    # -- what is known of them

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What experts.json says."""
        path = Path(self.path) / "experts.json"
        if not path.is_file():
            kind = "is a run and" if (path.parent / "settings.json").is_file() else "has no experts.json, so it"
            there = (
                f"{self.path} {kind} holds no experts" if path.parent.is_dir() else f"There is no folder {self.path}"
            )
            raise AttarError(f"{there}: give the folder that 'attar experts DATA --out FOLDER' named.")
        found = _json(path, "record the experts again in another folder")
        if found.get("format", 0) > FORMAT:
            raise AttarError(f"{self.path} was written by a newer attar: update it.")
        return found

    @cached_property
    def course(self) -> Course:
        """How they are trained."""
        return rebuild(self.settings["course"])

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
        sums = [json.dumps(identity(self.settings)), *(self._record(number)["sha256"] for number in self.numbers)]
        return "sha256:" + hashlib.sha256("\n".join(sums).encode()).hexdigest()

    # -- the files

    @property
    def numbers(self) -> list[int]:
        """Of the experts that are done: 0, 1, 2, ... unless somebody removed one."""
        assert self.settings
        names = set(os.listdir(self.path))
        found = (re.fullmatch(r"expert-(\d{4,})\.json", name) for name in names)
        return sorted(int(match[1]) for match in found if match and f"expert-{match[1]}.safetensors" in names)

    def _number(self, index: int) -> int:
        whole = self.numbers
        if not 0 <= index < len(whole):
            raise AttarError(f"There are {len(whole)} whole experts in {self.path} and expert {index} was asked for.")
        return whole[index]

    def _shard(self, number: int) -> Path:
        return Path(self.path) / f"expert-{number:04d}.safetensors"

    def _record(self, number: int) -> dict[str, Any]:
        return _json(self._shard(number).with_suffix(".json"), _again(self._shard(number)))

    def _check(self, number: int) -> None:
        """Refuse a shard that is cut short, or was recorded by other settings."""
        path = self._shard(number)
        kind = _TYPES[PRECISIONS[self.settings["precision"]]]
        with _opened(path) as file:
            said = json.loads((file.metadata() or {}).get("expert", "{}"))
            pieces = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            shapes = {name: (piece.get_dtype(), list(piece.get_shape())) for name, piece in pieces.items()}
        if "settings" in said and (other := first_difference(said["settings"], identity(self.settings))):
            name, there, here = other
            raise AttarError(f"{path} is not one of these experts ({name} is {there}, theirs {here}): {_again(path)}.")
        wanted = {name: (kind, [self.epochs + 1, *shape]) for name, shape in self.parameters.items()}
        if shapes != wanted or said.get("number") != number:
            raise AttarError(f"{path} is not one of these experts (its weights are others'): {_again(path)}.")

    def _sum(self, number: int) -> None:
        """Refuse a shard that has changed since it was recorded; once a process."""
        path = self._shard(number)
        state = path.stat()
        key = (str(path.absolute()), state.st_mtime_ns, state.st_size)
        if key in _summed:
            return
        self._check(number)
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._record(number)["sha256"]:
            raise AttarError(f"{path} has changed since it was recorded (its checksum is another): {_again(path)}.")
        _summed.add(key)


IDENTITY = ("course", "problem", "seed", "precision", "plan", "parameters")


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of all settings those that make experts what they are."""
    found = {name: settings[name] for name in IDENTITY}
    told = ("fingerprint", "classes", "shape", "normalisation")  # a name or place of the data is none of them
    return {**found, "problem": {name: settings["problem"][name] for name in told}}


def other_rows(there: Any, here: Any) -> str:
    """In words how rows that experts learned from differ from the given ones, by the records of their normalisations."""
    whitened = [record["fields"].get("whitening") is not None for record in (there, here)]
    if whitened[0] == whitened[1]:
        return "learned from rows that were normalised otherwise than these"
    told = ("rows whitened by ZCA", "rows that were not whitened")
    return f"learned from {told[whitened[1]]}, and these {'are' if whitened[1] else 'are not'}"


def first_difference(one: Any, other: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """The place where two JSON values first differ, with what stands there in each; None where they are the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*other, *(key for key in one if key not in other)]:
            place = name if key in ("fields", "type") else f"{name}.{key}".lstrip(".").removeprefix("course.")
            found = first_difference(one.get(key), other.get(key), place)
            if found is not None:
                return found
        return None
    return None if one == other else (name, _brief(one), _brief(other))


def _brief(value: Any) -> Any:
    """What stands somewhere, in a word where it is a whole part."""
    if isinstance(value, dict):
        return str(value.get("type", "other")).rpartition(":")[2]
    return value


def shard_bytes(settings: Mapping[str, Any], number: int = 0) -> int:
    """Bytes of a shard, before there is one."""
    kind = PRECISIONS[settings["precision"]]
    header: dict[str, Any] = {"__metadata__": {"expert": _about(settings, number)}}
    end = 0
    for name in sorted(settings["parameters"]):
        shape = [settings["course"]["fields"]["epochs"] + 1, *settings["parameters"][name]]
        start, end = end, end + math.prod(shape) * kind.itemsize
        header[name] = {"dtype": _TYPES[kind], "shape": shape, "data_offsets": [start, end]}
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + -(-length // 8) * 8 + end


def write_expert(
    folder: Path, number: int, settings: Mapping[str, Any], path: Mapping[str, Tensor], record: Mapping[str, Any]
) -> None:
    """Write one expert: its shard, and then its record.

    Args:
        folder: of the experts.
        number: of this one.
        settings: what experts.json says.
        path: weights ``(epochs + 1, ...)`` by name, in the precision of the settings.
        record: ``seconds``, ``losses`` and ``accuracy``.
    """
    from safetensors.torch import save

    data = save(dict(path), metadata={"expert": _about(settings, number)})  # one entry: several have no order
    shard = folder / f"expert-{number:04d}.safetensors"
    write_whole(shard, data)
    found = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), **record}
    write_json(shard.with_suffix(".json"), found)


def _about(settings: Mapping[str, Any], number: int) -> str:
    return json.dumps({"number": number, "settings": identity(settings)})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise AttarError(f"{path} is cut short or damaged ({error}): {_again(path)}.") from error


def _json(path: Path, otherwise: str) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AttarError(f"{path} cannot be read ({error}): {otherwise}.") from error


def _again(path: Path) -> str:
    return f"remove {path.name} and its .json and give the command that recorded it again"
