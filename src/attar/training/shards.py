"""The files of experts: shards with their records, and the settings that make experts what they are.

Their folder is that of `attar.training.experts`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attar.checkpoint import write_json, write_whole
from attar.types import AttarError

__all__ = [
    "PRECISIONS",
    "TYPES",
    "again",
    "first_difference",
    "identity",
    "lacking",
    "opened",
    "other_rows",
    "read_json",
    "shard_bytes",
    "write_expert",
]

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""Of the stored weights."""

TYPES = {torch.float32: "F32", torch.bfloat16: "BF16"}
"""Their names in a shard."""


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
        header[name] = {"dtype": TYPES[kind], "shape": shape, "data_offsets": [start, end]}
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
def opened(path: Path) -> Iterator[Any]:
    """A shard that is read; what is wrong with it is one sentence."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise AttarError(f"{path} is cut short or damaged ({error}): {again(path)}.") from error


def read_json(path: Path, kinds: Mapping[str, Any], otherwise: str) -> dict[str, Any]:
    """The values in a file, some of whose types are known."""
    try:
        found = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AttarError(f"{path} cannot be read ({error}): {otherwise}.") from error
    if not isinstance(found, dict):
        raise AttarError(f"{path} is damaged (it has no values by name): {otherwise}.")
    wrong = lacking(found, kinds)
    if wrong is not None:
        raise AttarError(f"{path} is damaged ({wrong} is not there or makes no sense): {otherwise}.")
    return found


def lacking(found: Mapping[str, Any], kinds: Mapping[str, Any]) -> str | None:
    """The first name whose value is not there or of another type."""
    return next((name for name, kind in kinds.items() if name not in found or not isinstance(found[name], kind)), None)


def again(path: Path) -> str:
    """What to do where a shard is damaged."""
    return f"remove {path.name} and its .json and give the command that recorded it again"
