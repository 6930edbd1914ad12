"""Folders that appear whole or not at all, and what is a safe name in one.

What is written goes to a sibling with a name of its own, is forced to disk and then takes the place of the old one by a
rename, so a process that is killed on the way leaves what was there before.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attar.errors import AttarError

__all__ = ["folder_names", "whole_folder"]


@contextmanager
def whole_folder(path: str | Path, replaceable: Callable[[Path], bool]) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `path` when the block ends without an exception.

    The old folder is moved aside before the new one takes its name: a process killed between these two renames leaves
    both, whole, under hidden names beside `path`.

    Args:
        path: the folder to write.
        replaceable: whether the folder that stands there, if it is not empty, may be replaced.

    Raises:
        AttarError: if something else stands at `path`, or the folder cannot be written.
    """
    # Resolved, so that "." and a link to a folder name the folder itself and have a parent to rename in.
    target = Path(path).resolve()
    new, old = _sibling(target, "new"), _sibling(target, "old")
    try:
        if target.exists() and not _may_replace(target, replaceable):
            raise AttarError(f"{path} exists already and would be overwritten: give another path, or move it away.")
        new.mkdir(parents=True)
        yield new
        for written in sorted(new.rglob("*"), reverse=True):
            _force(written)
        _force(new)
        if target.exists():
            os.rename(target, old)
        try:
            os.rename(new, target)
        except OSError:
            if old.exists():
                os.rename(old, target)
            raise
        _force(target.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise AttarError(f"{path} cannot be written ({reason}): free some space or give another path.") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _may_replace(target: Path, replaceable: Callable[[Path], bool]) -> bool:
    return target.is_dir() and (not any(target.iterdir()) or replaceable(target))


def _sibling(path: Path, word: str) -> Path:
    # Not tempfile: its folders are readable by their owner alone, and would stay so under their final name.
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.{word}")


def _force(path: Path) -> None:
    """Force a file, or a folder's list of names, from memory to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def folder_names(class_names: Sequence[str]) -> list[str]:
    """A safe and distinct folder name for each class, also where names differ in case alone."""
    taken: set[str] = set()
    names = []
    for number, name in enumerate(class_names):
        kept = "".join(letter if letter.isalnum() or letter in " -_.()" else "_" for letter in name).strip(" .")[:80]
        safe = kept or f"class-{number}"
        if safe.casefold() in taken or safe == "labels.json":
            safe = f"{safe}-{number}"
        taken.add(safe.casefold())
        names.append(safe)
    return names
