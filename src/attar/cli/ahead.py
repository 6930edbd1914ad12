"""What a command refuses before it reads the data, which may take minutes: names, settings and the folder to write."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attar.cli import wording
from attar.errors import AttarError
from attar.signatures import settings_of

__all__ = [
    "check_augmentation",
    "check_data_options",
    "check_methods",
    "check_networks",
    "check_validation",
    "check_writable",
    "comparison_folder",
    "is_data",
    "made",
    "run_folder",
]

_FILES = (".npy", ".npz")
"""Of features."""

_SIDE = 1024
"""Of images that every network of attar takes."""


def is_data(word: str) -> bool:
    """Whether a word is the name of a published dataset, or there is something at it as a path."""
    return bool(_published(word)) or (word != "" and Path(word).expanduser().exists())


def check_data_options(source: str, options: Mapping[str, Any]) -> None:
    """Refuse options that suit data of one's own.

    Raises:
        AttarError: naming the option.
    """
    asked = next((name for name in ("size", "test") if options.get(name) is not None), None)
    if asked and _published(source):
        raise AttarError(f"--{asked} does not suit {source}, whose images and splits are published: leave it out.")


def check_augmentation(strategy: str | None) -> None:
    """Refuse the name of an augmentation that there is not."""
    from attar import augment

    if strategy not in (None, "default"):
        augment.named(strategy)


def check_methods(
    asked: Sequence[str | tuple[str, Mapping[str, Any]]], per_class: Sequence[int], source: str, columns: bool = False
) -> None:
    """Refuse names of methods that there are none of, settings that make no sense, and budgets that keep nothing.

    Args:
        asked: names, or names and settings.
        per_class: budgets.
        source: the data, whose recipes hold beneath the settings.
        columns: as of `made`.

    Raises:
        AttarError: with the names that there are.
    """
    from attar import methods
    from attar.types import Budget

    if not asked:
        raise AttarError(
            "--methods names no method: give some of those that 'attar methods' lists, as in --methods kmeans,dm."
        )
    budgets = [Budget(per_class=count) for count in per_class]
    for item in asked:
        name, settings = (item, {}) if isinstance(item, str) else item
        if name != "full":  # which is always there
            methods.find(name)
            _check_settings(name, settings, budgets, source, columns)


def _check_settings(name: str, settings: Mapping[str, Any], budgets: Sequence[Any], source: str, columns: bool) -> None:
    """Make a method with its settings for each budget, as the comparison will."""
    from attar.compare.named import name_with_settings

    for budget in budgets:
        try:
            made(name, settings, source, budget, told=wording.as_word, columns=columns)
        except AttarError as error:
            raise AttarError(f"--methods {name_with_settings(name, settings)}: {error}") from error


def check_networks(names: Sequence[str] | None) -> None:
    """Refuse names that no network has; whether a network takes the images is seen when they are there.

    Raises:
        AttarError: with the names that there are.
    """
    import torch

    from attar import models
    from attar.evaluation import judges

    if names is not None and not names:
        raise AttarError("--models names no network: give one or more, as in --models convnet3,resnet18.")
    for name in names or ():
        if re.match("timm[:/]", name):
            continue  # timm takes seconds to import, and its networks have sizes of their own
        if judges.check(name):
            continue
        hint = wording.near(name, judges.names())
        if hint and not wording.near(name, models.names()):
            raise AttarError(f"There is no model '{name}': {hint.strip()}")
        with torch.device("meta"):  # no memory, no time
            models.build(name, (3, _SIDE, _SIDE), 10)


def check_validation(share: float | None) -> None:
    """Refuse a share of the training rows that is none."""
    if share is not None and not 0 <= share < 1:
        raise AttarError(f"--validation {share:g} is no share of the training rows: give a number in [0, 1).")


def made(
    name: str,
    given: Mapping[str, Any],
    source: str,
    budget: Any,
    told: Callable[[str, str], str] = wording.as_option,
    columns: bool = False,
) -> Any:
    """A method with its published settings for this data and budget, and over them those that were given.

    Args:
        name: its published name.
        given: settings.
        source: the data.
        budget: how many rows to keep.
        told: a setting and its value in the command's words, for errors.
        columns: whether columns of the data are spoken of, so that a parquet file is a table and holds no pictures.

    Raises:
        AttarError: if a setting is wrong, or one is missing.
    """
    from attar import methods
    from attar.data import is_table
    from attar.methods.rows import of_tables

    check_augmentation(given.get("augmentation"))
    said = given.get("features")
    features = said if isinstance(said, str) else "values"  # a number is how many, of a method that draws some
    if features.endswith(_FILES) and not Path(features).is_file():
        raise AttarError(
            f"There is no file {features}: give {told('features', 'values')}, a network's name or a .npy or .npz file."
        )
    named = {str(given.get("model") or "values"), features} - {"values"}
    check_networks(sorted(name for name in named if not name.endswith(_FILES)) or None)
    try:
        if is_table(source) and (columns or not source.endswith(".parquet")):
            return of_tables(name, budget, given)
        return methods.published(name, _published(source), budget, given)
    except AttarError as error:
        known = [field.name for field in dataclasses.fields(settings_of(name, methods.find(name)))]
        raise AttarError(wording.of_settings(str(error), known, given, told)) from error


def run_folder(out: Path | None, source: str, name: str) -> Path:
    """The folder of a new run.

    Args:
        out: where one was named; ``runs/DATA-NAME`` else.
        source: the data.
        name: of the method and the budget.

    Raises:
        AttarError: if it is taken, lies in the data folder or cannot be written.
    """
    from attar.runs import refuse_taken

    path = outside(out, source, name)
    refuse_taken(path)
    return path


def comparison_folder(out: Path | None, source: str) -> Path:
    """The folder of a comparison, a new one or one to go on with; errors as in `run_folder`."""
    path = outside(out, source, "comparison")
    if path.exists() and not (path / "protocol.json").is_file():
        others = not path.is_dir() or any(item.name != "lock" and item.name[0] != "." for item in path.iterdir())
        if others:
            raise AttarError(f"{path} exists already and is no comparison: choose another --out.")
    return path


def _published(source: str) -> str:
    """The published name of a dataset, "" for anything else."""
    from attar import data

    wanted = source.lower().replace("_", "-")
    return wanted if wanted in {record.name for record in data.catalogue()} else ""


def outside(out: Path | None, source: str, name: str) -> Path:
    """A folder to write that is not in the data folder, where it would be taken for data the next time."""
    from attar.progress import say

    where = Path(source).expanduser()
    own = where.resolve() if not _published(source) and where.is_dir() else None
    path = out or Path("runs") / f"{_published(source) or where.resolve().stem}-{name}"
    if own is not None and path.resolve().is_relative_to(own):
        beside = own.parent / path
        if out is not None or own == own.parent:
            raise AttarError(
                f"{path} lies in the data folder {source}, where it would be taken for data the next time: "
                f"give an --out outside it, such as {os.path.relpath(own.parent / path.name)}."
            )
        path = Path(os.path.relpath(beside))
        say(f"the result goes to {path}, beside the data folder and not into it")
    check_writable(path)
    return path


def check_writable(path: Path) -> None:
    """Refuse a folder that cannot be made or written to."""
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if there != path and not there.is_dir():
        raise AttarError(f"{path} cannot be made, as {there} is no folder: choose another --out.")
    if not os.access(there, os.W_OK):
        raise AttarError(f"{there} may not be written to: choose another --out.")
