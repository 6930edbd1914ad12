"""A run's directory: what a run writes, so that it can be killed at any moment and go on.

::

    settings.json      the method, data, budget, steps, seed and plan; written before the folder appears under its name
    checkpoint         the last state (safetensors), with steps done and seconds spent
    metrics.jsonl      a line a step
    snapshots/         one row of each class at steps 0, 1, 2, 4, 8, ...
    candidates/        where they were asked for, whole sets at equal parts of the way, by step; the last is the result
    distilled/         the result
    selected/          the candidate that validation rows chose, where they were asked
    selection.json     how it was chosen, and what test rows say of it and of the result
    result.json        the cost; "finished" says whether all steps were done
    lock               names the process that works on the run; empty when none does
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attar.checkpoint import load_tree, save_tree, write_json, write_whole
from attar.distilled import Distilled
from attar.types import AttarError

__all__ = ["SELECTED_FOLDER", "SELECTION", "RunDirectory", "held", "refuse_taken"]

_FORMAT = 1

SELECTED_FOLDER, SELECTION = "selected", "selection.json"
"""The candidate of a run that validation rows chose, and how it was chosen."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the system lets go of a dead one's hold.

    Raises:
        AttarError: if another process works on it.
    """
    import fcntl  # POSIX only; the rest of attar does without

    with open(folder / "lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "?"
            raise AttarError(
                f"{folder} is being worked on by process {holder}: wait for it, or stop it first."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)  # another process may be given the number, and then the folder would look held for ever


def refuse_taken(path: Path) -> None:
    """Refuse a folder for a new run that holds something.

    Raises:
        AttarError: saying what it holds, and what can be done with that.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / "settings.json").is_file():
        hint = "it holds other files" if path.is_dir() else "it is a file"
    elif (RunDirectory(path).result or {}).get("finished"):
        hint = f"the run is finished; look at it by 'attar report {path}' or 'attar evaluate {path}'"
    else:
        hint = f"go on with it by 'attar resume {path}'"
    raise AttarError(f"{path} exists already and is not overwritten ({hint}): choose another --out.")


class RunDirectory:
    """The files of one run at `path` (see the module)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "settings.json").is_file():
            raise AttarError(f"{self.path} is not a run (it has no settings.json): give the folder that --out named.")
        self.settings: dict[str, Any] = self._json("settings.json")
        if self.settings.get("format", 0) > _FORMAT:
            raise AttarError(f"{self.path} was written by a newer attar: update it.")

    @classmethod
    def create(cls, path: str | Path, settings: dict[str, Any]) -> RunDirectory:
        """Make the folder with its settings, at once or not at all.

        Raises:
            AttarError: if something is there already.
        """
        path = Path(path)
        refuse_taken(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_json(partial / "settings.json", {"format": _FORMAT, **settings})
        if path.exists():
            path.rmdir()
        os.rename(partial, path)
        return cls(path)

    def locked(self) -> AbstractContextManager[None]:
        """Hold the run for this process (see `held`)."""
        return held(self.path)

    def discard(self) -> None:
        """Remove a run that has settings and nothing else: one whose settings turned out to be impossible."""
        if {item.name for item in self.path.iterdir()} <= {"settings.json", "lock"}:
            shutil.rmtree(self.path)

    # -- the state

    def save(self, index: int, seconds: float, state: Any) -> None:
        """Keep a state, whole or not at all, behind the metrics that led to it."""
        save_tree({"index": index, "seconds": seconds, "state": state}, self.path / "checkpoint")

    def load(self, device: str) -> tuple[int, float, Any] | None:
        """The last state with its step and seconds, or None where there is none yet."""
        if not (self.path / "checkpoint").is_file():
            return None
        tree = load_tree(self.path / "checkpoint", device)
        return tree["index"], tree["seconds"], tree["state"]

    # -- metrics

    def log(self, index: int, seconds: float, info: dict[str, float]) -> None:
        """Append one line."""
        with open(self.path / "metrics.jsonl", "a") as file:
            file.write(json.dumps({"step": index, "seconds": round(seconds, 4), **info}) + "\n")

    def metrics(self) -> list[dict[str, float]]:
        """All whole lines; one that a crash cut short is left out."""
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return []
        lines = []
        for line in path.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return lines

    def rewind(self, index: int) -> None:
        """Drop the lines and the candidates of steps after `index`, which will be done again."""
        kept = [line for line in self.metrics() if line["step"] <= index]
        write_whole(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept).encode())
        later = [folder for step, folder in self.candidates().items() if step > index]
        for folder in (*later, *(self.path / "candidates").glob(".????????.*.new")):  # these a killed process left
            shutil.rmtree(folder)

    # -- candidates

    def keep_candidate(self, index: int, value: Distilled) -> None:
        """Keep a set, or table, as it is at this step, whole or not at all."""
        value.save(self.path / "candidates" / f"{index:08d}")

    def candidates(self) -> dict[int, Path]:
        """The folders of the sets along the way by step, in order, without the result."""
        folders = sorted(path for path in (self.path / "candidates").glob("*") if path.name.isdecimal())
        return {int(folder.name): folder for folder in folders}

    def forget_selection(self) -> None:
        """Remove what was chosen among the candidates: of another result it says nothing."""
        (self.path / SELECTION).unlink(missing_ok=True)
        shutil.rmtree(self.path / SELECTED_FOLDER, ignore_errors=True)

    # -- pictures of the way

    def snapshot(self, index: int, value: Distilled) -> None:
        """Keep one row of each class, as it is at this step, for pictures of the evolution: the same rows at every step, named by
        the class that they began as, which learned labels may leave."""
        from safetensors.torch import load_file, save

        folder = self.path / "snapshots"
        folder.mkdir(exist_ok=True)
        earlier = (load_file(file) for file in sorted(folder.glob("*.safetensors")))
        kept = next((found for found in earlier if "rows" in found), {})  # those of earlier versions do not say
        if not kept:
            labels = value.labels
            groups = labels.unique(sorted=True)
            kept = {"rows": torch.stack([torch.nonzero(labels == group)[0, 0] for group in groups]), "y": groups}
        x = value.data.x[kept["rows"]].contiguous()
        write_whole(folder / f"{index:08d}.safetensors", save({"x": x, "y": kept["y"], "rows": kept["rows"]}))

    def snapshots(self) -> list[tuple[int, Tensor, Tensor]]:
        """Steps, rows ``(k, ...)`` in raw units and the classes ``(k,)`` that they began as, in order: of the same rows all. Earlier
        versions kept others where learned labels changed the classes, and did not say which: such steps are left out."""
        from safetensors.torch import load_file

        files = sorted((self.path / "snapshots").glob("*.safetensors"))
        read = [(int(file.stem), load_file(file)) for file in files]
        if any("rows" in kept for _, kept in read):
            read = [(step, kept) for step, kept in read if "rows" in kept]
        found = [(step, kept["x"], kept.get("y", torch.arange(len(kept["x"])))) for step, kept in read]
        return [each for each in found if torch.equal(each[2], found[-1][2])]

    # -- the result

    def finish(self, value: Distilled, stats: dict[str, Any], finished: bool) -> None:
        """Write the result; an earlier one, of a run that was interrupted and went on, is replaced."""
        self.forget_selection()
        value.save(self.path / "distilled")
        write_json(self.path / "result.json", {**stats, "finished": finished})

    @property
    def result(self) -> dict[str, Any] | None:
        """The cost, once there is a result."""
        return self._json("result.json") if (self.path / "result.json").is_file() else None

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return json.loads((self.path / name).read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise AttarError(
                f"{self.path / name} cannot be read ({error}): the run has to be started again."
            ) from error
