"""A folder of runs and comparisons, read without ever leaving it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attar.distilled.card import names_of
from attar.report.comparison import Table, number
from attar.report.finding import sentence_of
from attar.report.words import counts_in_words, in_words, quotas_in_words
from attar.runs import RunDirectory
from attar.types import AttarError

__all__ = ["UNREADABLE", "Entry", "Folder", "Progress"]

UNREADABLE = (AttarError, OSError, AttributeError, KeyError, OverflowError, TypeError, ValueError)
"""What reading a folder that is damaged, or not what it seems, may end in."""

DEPTH = 4
RECENT = 50  # steps that the time left is told from
_STATES = {True: "finished", False: "stopped early"}


@dataclass(frozen=True)
class Entry:
    """One line of the list.

    Args:
        name: path from the folder, "." for the folder itself; what addresses it.
        kind: "run" or "comparison".
        data: name of the dataset.
        method: name of the method, or of all of them.
        budget: in words.
        state: "finished", "under way", "stopped early" or "stopped".
        score: own test accuracy in [0, 1] where it was measured.
        seconds: what making it took.
        bytes: what the set takes.
        sentence: the finding of a comparison.
        page: whether there is a report.html.
        modified: seconds since 1970.
    """

    name: str
    kind: str
    data: str
    method: str
    budget: str
    state: str
    score: float | None = None
    seconds: float | None = None
    bytes: int | None = None
    sentence: str = ""
    page: bool = False
    modified: float = 0.0


@dataclass(frozen=True)
class Progress:
    """How far a run is: `left` is the time that it still takes, None where that is not known."""

    state: str
    step: int
    steps: int | None
    seconds: float
    left: float | None
    loss: tuple[tuple[int, float], ...]


class Folder:
    """The runs and comparisons below `root`.

    Whatever is asked for by name is resolved first: names with "..", absolute ones, dot files, and links that lead out of
    the folder name nothing here.

    Raises:
        AttarError: if there is no such folder.
    """

    def __init__(self, root: str | Path) -> None:
        if not Path(root).is_dir():
            raise AttarError(f"{root} is not a folder: give the one that holds your runs.")
        self.root = Path(root).resolve()
        self._read: dict[Path, tuple[int, int, list[tuple[int, float, float]]]] = {}

    def entries(self) -> list[Entry]:
        """All runs and comparisons, the latest first; those that cannot be read are left out."""
        found = []
        for path, below, files in os.walk(self.root):
            here = Path(path)
            known = {"settings.json", "comparison.json"} & set(files)
            deep = len(here.relative_to(self.root).parts) >= DEPTH
            below[:] = [] if known or deep else sorted(name for name in below if not name.startswith("."))
            entry = self.entry(here.relative_to(self.root).as_posix()) if known else None
            if entry is not None:
                found.append(entry)
        return sorted(found, key=lambda entry: -entry.modified)

    def entry(self, name: str) -> Entry | None:
        """The run or comparison of a name; None where it names none."""
        path = self.locate(name)
        if path is None:
            return None
        try:
            return self._comparison(name, path) if (path / "comparison.json").is_file() else self._run(name, path)
        except UNREADABLE:
            return None

    def locate(self, name: str) -> Path | None:
        """The directory of a name, if it and the files that are read of it lie in the folder."""
        parts = [] if name == "." else name.split("/")
        if "\0" in name or "\\" in name or any(not part or part.startswith(".") for part in parts):
            return None
        path = self.root.joinpath(*parts)
        return path if path.is_dir() and self._holds(path) and self._closed(path) else None

    def page(self, name: str) -> Path | None:
        """The report.html of a name."""
        path = self.locate(name)
        return path / "report.html" if path is not None and (path / "report.html").is_file() else None

    def run(self, name: str) -> RunDirectory | None:
        """The run of a name."""
        path = self.locate(name)
        return RunDirectory(path) if path is not None and (path / "settings.json").is_file() else None

    def progress(self, name: str) -> Progress | None:
        """How far the run of a name is; only what was added since the last call is read."""
        run = self.run(name)
        if run is None:
            return None
        lines = self._metrics(run.path / "metrics.jsonl")
        given = number(run.settings.get("steps"))
        steps = None if given is None else int(given)
        step, seconds = (lines[-1][0], lines[-1][1]) if lines else (0, 0.0)
        state, left = _state(run), None
        if state == "under way" and len(lines) > 1:
            first = lines[-min(RECENT, len(lines))]
            each = (seconds - first[1]) / max(step - first[0], 1)
            limit = number(run.settings.get("time_budget"))
            limits = [] if steps is None else [each * (steps - step)]
            limits += [] if limit is None else [limit - seconds]
            left = max(min(limits), 0.0) if limits else None
        return Progress(state, step, steps, seconds, left, tuple((index, loss) for index, _, loss in lines))

    # -- inside

    def _holds(self, path: Path) -> bool:
        """Whether a path, links followed, lies in the folder and in no dot folder of it."""
        real = path.resolve()
        return real.is_relative_to(self.root) and not any(
            part.startswith(".") for part in real.relative_to(self.root).parts
        )

    def _closed(self, path: Path) -> bool:
        """Whether no link in a run's directory leads out."""
        held = [
            item for part in (path, path / "distilled", path / "snapshots") if part.is_dir() for item in part.iterdir()
        ]
        return all(self._holds(item) for item in held if item.is_symlink())

    def _metrics(self, path: Path) -> list[tuple[int, float, float]]:
        """Step, seconds and loss of each whole line."""
        if not path.is_file():
            return []
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            node = status.st_ino
            known, start, lines = self._read.get(path, (node, 0, []))
            if known != node or status.st_size < start:  # a resumed run went back to its last state, and wrote it anew
                start, lines = 0, []
            file.seek(start)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        lines = [*lines, *(found for line in whole.splitlines() if (found := _line(line)) is not None)]
        self._read[path] = (node, start + len(whole), lines)
        return lines

    def _run(self, name: str, path: Path) -> Entry:
        run = RunDirectory(path)
        settings, result = run.settings, run.result or {}
        card = _json(path / "distilled" / "card.json")
        scores = _json(path / "scores.json").get("scores") or []
        own = next((score["mean"] for score in scores if score.get("subject") == settings["name"]), None)
        nbytes = number(card.get("nbytes"))
        return Entry(
            name=name,
            kind="run",
            data=settings["problem"]["name"],
            method=settings["name"],
            budget=_held(card) or _asked(settings),
            state=_state(run),
            score=number(own),
            seconds=number(card.get("made_by", {}).get("seconds", result.get("seconds"))),
            bytes=None if nbytes is None else int(nbytes),
            page=(path / "report.html").is_file(),
            modified=max(item.stat().st_mtime for item in (path, path / "metrics.jsonl") if item.exists()),
        )

    def _comparison(self, name: str, path: Path) -> Entry:
        found = Table.read(path)
        failed = sum(1 for line in found.lines if line.failed)
        if not found.left and not failed:  # asked first, for a lock may name a dead process's number that another has
            state = _STATES[True]
        elif _alive(path / "lock"):
            state = "under way"
        else:
            state = f"{failed} cell{'s' if failed > 1 else ''} failed" if failed else "stopped"
        return Entry(
            name=name,
            kind="comparison",
            data=found.data,
            method=", ".join(found.methods),
            budget=f"{', '.join(map(str, found.budgets))} {found.counted.many}",
            state=state,
            sentence=sentence_of(found),
            page=(path / "report.html").is_file(),
            modified=(path / "comparison.json").stat().st_mtime,
        )


def _held(card: Mapping[str, Any]) -> str:
    """What a set holds, by its card; nothing where soft labels name no classes."""
    counts = card.get("counts")
    if not counts or card["training"].get("labels") != "hard":
        return ""
    return counts_in_words(counts, names_of(card.get("class_names", ()), len(counts)))


def _asked(settings: Mapping[str, Any]) -> str:
    """What a run was asked for: its budget, and what quotas say in place of it."""
    budget, quotas = settings["budget"], settings.get("method", {}).get("fields", {}).get("quotas")
    asked = f"{budget.get('size') or budget.get('fraction')} in all"
    if budget.get("per_class") is not None:
        asked = in_words(budget["per_class"])
    return f"{asked}, but {quotas_in_words(quotas)}" if quotas else asked


def _state(run: RunDirectory) -> str:
    result = run.result
    if result is not None and result.get("finished", True):
        return _STATES[True]
    if _alive(run.path / "lock"):
        return "under way"
    return "stopped" if result is None else _STATES[False]


def _alive(lock: Path) -> bool:
    """Whether the process that a lock names lives. (Trying the lock itself could keep a run from starting.)"""
    try:
        process = int(lock.read_text())
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return process > 0


def _line(line: bytes) -> tuple[int, float, float] | None:
    try:
        record = json.loads(line)
        found = int(record["step"]), float(record["seconds"]), float(record.get("loss", math.nan))
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return found if math.isfinite(found[1]) else None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
