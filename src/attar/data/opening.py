"""What the command line calls: data by a name or a path, and the recorded data of a run again."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attar.data import toy
from attar.data.catalogue import DATASETS
from attar.data.folders import folder
from attar.data.hub import hf, is_saved_dataset
from attar.data.lookup import load
from attar.data.paths import existing, names_near
from attar.data.sources import npz
from attar.data.tables import is_table, table
from attar.types import AttarError, Problem

__all__ = ["check_fingerprint", "find", "reopen"]

HUB_PREFIX = "hf:"
"""Marks the name of a Hugging Face dataset, so that a misspelt path never goes to the network."""


def find(source: str | os.PathLike[str], **options: Any) -> Problem:
    """Data by a published name, a path, or "hf:owner/name".

    A path may be a folder or zip of pictures, an npz, a parquet file, a folder that Hugging Face `datasets` saved, or a table: a text
    file with a line a row, or with `target` or `treatment` a parquet file. A
    published name wins over a folder of that name; write ``./mnist`` for the folder.

    Args:
        source: the name or path.
        **options: of `load`, `folder`, `npz`, `hf` or `table`, as fits; None means the default.

    Raises:
        AttarError: if there is no such name or path, or an option does not suit it.
    """
    given = {name: value for name, value in options.items() if value is not None}
    reader, first = _reader(os.fspath(source), any(given.get(name) for name in ("target", "treatment", "types")))
    known = inspect.signature(reader).parameters
    # an option for published data only, such as where to look, has nothing to say about a path
    given = {name: value for name, value in given.items() if name != "data_dir" or name in known}
    for name in given:
        if name not in known:
            fits = ", ".join(list(known)[1:])
            raise AttarError(
                f"{name}= does not suit {source}, which is read by attar.data.{reader.__name__}: it takes {fits}."
            )
    test = given.get("test")
    if test is not None and Path(os.fspath(source)).resolve() == Path(test).resolve():
        raise AttarError(
            f"The test data {test} are the training data themselves: give others, or none, and a fifth is set aside."
        )
    return reader(first, **given)


def reopen(source: Mapping[str, Any], data_dir: str | os.PathLike[str] | None = None) -> Problem:
    """The data of a run again, split as they were. The caller checks them by `check_fingerprint`.

    Args:
        source: ``spec.source`` of the problem.
        data_dir: where the data are now, if they moved: the folder that holds the recorded file or folder.

    Raises:
        AttarError: if the source was arrays in memory, or is not there any more.
    """
    readers: dict[str, Callable[..., Problem]] = {
        "load": load,
        "folder": folder,
        "npz": npz,
        "hf": hf,
        "toy": toy.images,
        "table": table,
    }
    kind = next((kind for kind in readers if kind in source), None)
    if kind is None:
        raise AttarError(
            "The data of this run were arrays in memory, so it cannot open them again: pass them as a Problem."
        )
    options = {name: value for name, value in source.items() if name != kind}
    if kind == "toy":
        return toy.table(**options) if source["toy"] == "table" else toy.images(**options)
    if kind == "load":
        if data_dir is not None:
            options["data_dir"] = data_dir
        elif "data_dir" in options and not Path(options["data_dir"]).is_dir():
            del options["data_dir"]
        return load(source["load"], **options)
    if "test" in options:
        options["test"] = _moved(options["test"], data_dir)
    return readers[kind](_moved(source[kind], data_dir), **options)


def check_fingerprint(problem: Problem, expected: str) -> None:
    """Make sure that data are those that a run recorded.

    Raises:
        AttarError: if not, naming both fingerprints.
    """
    found = problem.spec.fingerprint
    if found != expected:
        raise AttarError(
            f"{problem.spec.name} is not the data of this run (fingerprint {found}, recorded {expected}): "
            "give the original data, with the seed and size of the run."
        )


def _reader(source: str, columns: bool = False) -> tuple[Callable[..., Problem], str]:
    """The function that reads a source, and its first argument; `columns` says that columns of it are spoken of."""
    if source.startswith(HUB_PREFIX):
        return hf, source.removeprefix(HUB_PREFIX)
    if source.lower().replace("_", "-") in DATASETS:
        return load, source
    path = Path(source).expanduser()
    if not path.exists():
        near = names_near(source, list(DATASETS))
        if near and os.sep not in source:
            raise AttarError(f"'{source}' is neither a published dataset nor a path: did you mean {' or '.join(near)}?")
        if os.sep not in source:
            raise AttarError(
                f"'{source}' is neither a published dataset ({', '.join(DATASETS)}) nor a path: check the spelling, "
                f"or write {HUB_PREFIX}owner/name for a Hugging Face dataset."
            )
    path = existing(source)
    if path.is_file() and is_table(path) and (columns or path.suffix != ".parquet"):
        return table, source
    if is_saved_dataset(path):
        return hf, source
    if path.is_dir() or path.suffix == ".zip":
        return folder, source
    if path.suffix == ".npz":
        return npz, source
    if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".npy"):
        raise AttarError(f"{path} may hold a pickle, which attar never opens: save X and y with numpy.savez as an npz.")
    raise AttarError(
        f"{path} is none of the files that attar reads: give a folder of class folders, a zip of one, an npz, or a table (.csv, .parquet)."
    )


def _moved(recorded: str, data_dir: str | os.PathLike[str] | None) -> str:
    """A recorded path where it is now; names on the hub stay."""
    here = Path(recorded)
    if data_dir is not None and (Path(data_dir) / here.name).exists():
        return str(Path(data_dir) / here.name)
    if here.is_absolute() and not here.exists():
        raise AttarError(f"The data of this run were at {here}, where nothing is now: say where they are by data_dir.")
    return recorded
