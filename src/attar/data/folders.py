"""Pictures in a folder (or a zip) with a folder a class, with or without ``train/``, ``val/`` and ``test/`` above."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from attar.data.images import problem
from attar.data.paths import existing
from attar.data.pictures import SUFFIXES, Picture, stack
from attar.data.rows import SPLIT_NAMES, Part, Read
from attar.types import AttarError, Problem

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["folder", "read_folder"]

Steps: TypeAlias = tuple[str, ...]
"""A path inside the folder, step by step."""


def folder(
    path: str | os.PathLike[str],
    size: int | None = None,
    test: str | os.PathLike[str] | None = None,
    seed: int = 0,
    validation: float = 0.1,
    zca: bool = False,
    subgroups: bool = False,
) -> Problem:
    """A folder of pictures, a folder a class: ``photos/cat/1.jpg``.

    ``train/``, ``val/`` (or ``valid/``, ``validation/``) and ``test/`` above the class folders are honoured. Grey
    pictures stay grey if all are; transparency goes on white; the orientation that a camera noted is applied. Pictures
    are resized to a square. A zip of such a folder does as well.

    Args:
        path: the folder or zip.
        size: side in pixels; default the median side of the training pictures, at most 64.
        test: folder or zip of test pictures (its ``test/`` where it has one); default the own ``test/``, else a
            stratified fifth that is set aside.
        seed: of the rows that are set aside.
        validation: fraction of each class cut from train for validation where there is no ``val/``; 0 for none.
        zca: whiten the rows (see `attar.whitening`), fitted on the training rows alone.
        subgroups: whether the folder below a class's (``photos/cat/indoors/1.jpg``) is an attribute of its pictures.

    Raises:
        AttarError: if a picture, a class folder or the layout is not usable.

    Example:
        >>> problem = attar.data.folder("photos", size=32)  # doctest: +SKIP
    """
    place = existing(path)
    read = read_folder(place, size, existing(test) if test is not None else None, subgroups=subgroups)
    source = {"folder": str(place.absolute()), "size": int(read.parts["train"].x.shape[1])}
    if subgroups:
        source["subgroups"] = True
    if test is not None:
        source["test"] = str(existing(test).absolute())
    return problem(read, name=place.resolve().stem, source=source, seed=seed, validation=validation, zca=zca)


def read_folder(
    path: Path,
    size: int | None = None,
    test: Path | None = None,
    shape: tuple[int, int, int] | None = None,
    subgroups: bool = False,
) -> Read:
    """The pictures of a folder or zip, decoded; see `folder`, and `pictures.stack` for `shape`."""
    with ExitStack() as opened:
        parts, notes = _parts(opened.enter_context(_tree(path)))
        if test is not None:
            others, _ = _parts(opened.enter_context(_tree(test)))
            parts = {**parts, "test": others.get("test", others["train"])}
        read = stack(parts, size, shape)
    inside = f"{path}/"  # what rows are called is the same wherever the folder lies
    named = {
        part: replace(
            rows,
            names=tuple(each.name.removeprefix(inside) for each in parts[part]),
            attribute=np.array([_group(each) for each in parts[part]]) if subgroups else None,
        )
        for part, rows in read.parts.items()
    }
    return replace(read, parts=named, notes=(*read.notes, *notes))


def _group(picture: Picture) -> str:
    """The folder within a class's that holds a picture."""
    if not picture.group:
        raise AttarError(
            f"{picture.name} lies in its class's folder itself: put it in a folder there that names its group, or leave out "
            "subgroups=True."
        )
    return picture.group


@dataclass(frozen=True)
class _Tree:
    """What lies in a folder or zip: pictures by path and every folder, hidden ones left out."""

    root: str
    pictures: Mapping[Steps, Callable[[], Image]]
    folders: frozenset[Steps]

    def below(self, top: Steps) -> _Tree:
        depth = len(top)
        return _Tree(
            "/".join((self.root, *top)),
            {path[depth:]: opener for path, opener in self.pictures.items() if path[:depth] == top},
            frozenset(path[depth:] for path in self.folders if path[:depth] == top and len(path) > depth),
        )


@contextmanager
def _tree(path: Path) -> Iterator[_Tree]:
    from PIL import Image

    if path.is_dir():
        files: list[Steps] = []
        folders: set[Steps] = set()
        for place, names, found in os.walk(path, followlinks=True):
            steps = Path(place).relative_to(path).parts
            names[:] = sorted(name for name in names if not name.startswith("."))
            folders.update((*steps, name) for name in names)
            files += [(*steps, name) for name in sorted(found)]
        _no_pickled_cifar(path, files)
        openers = {steps: partial(Image.open, path.joinpath(*steps)) for steps in sorted(files) if _is_picture(steps)}
        yield _Tree(str(path), openers, frozenset(folders))
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise AttarError(
            f"{path} is neither a folder nor a whole zip ({error}): give a folder of class folders."
        ) from error
    with archive:
        entries = {
            tuple(name.strip("/").split("/")): name for name in archive.namelist() if not name.startswith("__MACOSX")
        }
        inside = {
            steps: partial(_from_zip, archive, name)
            for steps, name in sorted(entries.items())
            if _is_picture(steps) and not name.endswith("/")
        }
        parents = {steps[:depth] for steps in inside for depth in range(1, len(steps))}
        named = {steps for steps, name in entries.items() if name.endswith("/")}
        yield _Tree(str(path), inside, frozenset(parents | named))


def _from_zip(archive: zipfile.ZipFile, name: str) -> Image:
    from PIL import Image

    return Image.open(io.BytesIO(archive.read(name)))


def _is_picture(steps: Steps) -> bool:
    return steps[-1].lower().endswith(SUFFIXES) and not any(step.startswith(".") for step in steps)


def _parts(tree: _Tree) -> tuple[dict[Part, list[Picture]], tuple[str, ...]]:
    """Pictures by split, and notes on what was left out."""
    if not tree.pictures:
        raise AttarError(
            f"{tree.root} holds no pictures ({', '.join(SUFFIXES)}): put each class's in a folder of its own."
        )
    tops = {path[0] for path in tree.folders}
    depths = {len(path) for path in tree.pictures}
    splits = {top: SPLIT_NAMES[top.lower()] for top in tops if top.lower() in SPLIT_NAMES and _holds_folders(tree, top)}
    if len(tops) == 1 and min(depths) > 2 and not splits:  # a folder that wraps all, as zips have
        return _parts(tree.below((next(iter(tops)),)))
    if not splits:
        return {"train": _classes(tree, strict=True)}, _left_out(tree, tops)
    if "train" not in splits.values():
        raise AttarError(f"{tree.root} holds {'/, '.join(sorted(splits))}/ but no train/: name the training folder so.")
    parts: dict[Part, list[Picture]] = {}
    for top, part in sorted(splits.items()):
        parts.setdefault(part, []).extend(_classes(tree.below((top,)), strict=part == "train"))
    ordered: dict[Part, list[Picture]] = {"train": parts.pop("train"), **parts}
    return ordered, _left_out(tree, set(splits))


def _holds_folders(tree: _Tree, top: str) -> bool:
    """Whether there are folders with pictures below, as there are below ``train/`` but not below a class."""
    return any(path[0] == top and len(path) > 2 for path in tree.pictures)


def _classes(tree: _Tree, strict: bool) -> list[Picture]:
    """The pictures below class folders, in order; strict about class folders without any."""
    names = {path[0] for path in tree.folders}
    if not names:
        raise AttarError(
            f"{tree.root} holds pictures but no class folders: put each class's pictures in a folder of its own."
        )
    empty = sorted(names - {path[0] for path in tree.pictures if len(path) > 1})
    if strict and empty:
        raise AttarError(
            f"Class folder {tree.root}/{empty[0]} holds no pictures ({', '.join(SUFFIXES)}): "
            "add some, or remove the folder."
        )
    return [
        Picture("/".join((tree.root, *path)), path[0], opener, path[1] if len(path) > 2 else "")
        for path, opener in tree.pictures.items()
        if len(path) > 1
    ]


def _left_out(tree: _Tree, used: set[str]) -> tuple[str, ...]:
    count = sum(path[0] not in used for path in tree.pictures)
    return (f"pictures outside the class folders of {tree.root} were left out: {count}",) if count else ()


def _no_pickled_cifar(path: Path, files: list[Steps]) -> None:
    """CIFAR's Python version is pickles under well-known names."""
    names = {steps[-1] for steps in files}
    if {"batches.meta", "data_batch_1"} <= names or {"meta", "train", "test"} <= names:
        raise AttarError(
            f"{path} is CIFAR's Python version, whose pickles attar never opens: use the binary version (*.bin)."
        )
