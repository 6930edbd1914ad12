"""Hugging Face `datasets`: the user's own (`hf`), and the published ones that are fetched into the cache.

The library is an extra and is imported when it is used. It runs no code of a repository: a dataset is tables and
pictures.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attar.data.catalogue import Dataset
from attar.data.images import problem
from attar.data.pictures import Picture, stack
from attar.data.readers import read_npz
from attar.data.rows import SPLIT_NAMES, Part, Read
from attar.types import AttarError, Problem

__all__ = ["INSTALL", "fetch", "hf", "is_saved_dataset"]

INSTALL = "pip install 'attar[hub]'"

_LABELS = ("label", "labels", "fine_label", "class", "target", "y")


def hf(
    name_or_path: str | os.PathLike[str],
    config: str | None = None,
    image: str | None = None,
    label: str | None = None,
    size: int | None = None,
    test: str | os.PathLike[str] | None = None,
    seed: int = 0,
    validation: float = 0.1,
    zca: bool = False,
) -> Problem:
    """A Hugging Face dataset of pictures: from the hub, saved with ``save_to_disk``, a parquet file or a local folder.

    Args:
        name_or_path: "owner/name" on the hub, or a path.
        config: the configuration, where the dataset has several.
        image: column of the images; default the only one that holds pictures.
        label: column of the labels; default the only one of classes, else one called "label" or the like.
        size: side in pixels, as in `folder`.
        test: another such dataset to test on (its test split where it has one).
        seed: of the rows that are set aside.
        validation: fraction of each class cut from train for validation where the dataset has none; 0 for none.
        zca: whiten the rows (see `attar.whitening`), fitted on the training rows alone.

    Raises:
        AttarError: if it cannot be had or read, or its columns or rows do not fit.
    """
    splits = _splits(_opened(name_or_path, config), name_or_path)
    parts, names = _pictures(splits, image, label)
    source: dict[str, Any] = {"hf": _recorded(name_or_path), "config": config, "image": image, "label": label}
    if test is not None:
        others, _ = _pictures(_splits(_opened(test, None), test), image, label)
        parts["test"] = others.get("test", others["train"])
        source["test"] = _recorded(test)
    read = stack(parts, size)
    source = {key: value for key, value in source.items() if value is not None} | {
        "size": int(read.parts["train"].x.shape[1])
    }
    return problem(
        Read(read.parts, names, read.notes),
        name=Path(name_or_path).stem,
        source=source,
        seed=seed,
        validation=validation,
        zca=zca,
    )


def fetch(record: Dataset, folder: Path) -> Path:
    """Fetch a published dataset into a folder as an npz, written whole or not at all.

    Returns:
        The npz.

    Raises:
        AttarError: if `datasets` is not installed or the hub cannot be reached.
    """
    assert record.hub is not None
    target = folder / f"{record.name}.npz"
    if record.hub.file is not None:
        arrays: dict[str, Any] = _fetched_npz(record.hub.repository, record.hub.file)
    else:
        opened = _opened(record.hub.repository, record.hub.config)
        splits = _splits(opened, record.hub.repository)
        read = stack(_pictures(splits, record.hub.image, record.hub.label)[0], shape=record.shape)
        arrays = {}
        for part, rows in read.parts.items():
            prefix = "val" if part == "validation" else part
            arrays |= {f"{prefix}_images": rows.x, f"{prefix}_labels": rows.y}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{record.name}.{os.getpid()}.npz"
    np.savez_compressed(partial, **arrays)
    os.replace(partial, target)
    return target


def is_saved_dataset(path: Path) -> bool:
    """Whether a path is something that `datasets` saved: a ``save_to_disk`` folder or parquet files."""
    if path.is_file():
        return path.suffix == ".parquet"
    saved = any((path / name).is_file() for name in ("dataset_dict.json", "dataset_info.json", "state.json"))
    return saved or any(path.glob("*.parquet")) or any(path.glob("data/*.parquet"))


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise AttarError(f"Hugging Face datasets are read by a library that is not installed: {INSTALL}") from error
    return datasets


def _opened(name_or_path: str | os.PathLike[str], config: str | None) -> Any:
    """A DatasetDict or a Dataset."""
    library = _library()
    path = Path(name_or_path).expanduser()
    try:
        if any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
            return library.load_from_disk(str(path))
        if path.is_file():
            return library.load_dataset("parquet", data_files={"train": str(path)})
        return library.load_dataset(str(path) if path.is_dir() else str(name_or_path), config)
    except (OSError, ValueError, RuntimeError, library.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise AttarError(
            f"Hugging Face dataset {name_or_path} could not be opened ({reason}): check the name and the network, "
            "or give the path of a copy made with save_to_disk."
        ) from error


def _fetched_npz(repository: str, file: str) -> dict[str, np.ndarray]:
    """The arrays of an npz in a hub repository or in a local folder."""
    _library()
    from huggingface_hub import hf_hub_download

    local = Path(repository) / file
    try:
        path = local if local.is_file() else Path(hf_hub_download(repository, file, repo_type="dataset"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise AttarError(f"{file} of {repository} could not be fetched ({reason}): check the network.") from error
    read_npz(path)
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _splits(opened: Any, name: str | os.PathLike[str]) -> dict[Part, Any]:
    if not isinstance(opened, dict):
        return {"train": opened}
    found: dict[Part, Any] = {}
    for split, rows in opened.items():
        part = SPLIT_NAMES.get(str(split).lower())
        if part is not None:
            found.setdefault(part, rows)
    if "train" not in found:
        if len(opened) > 1 or not opened:
            raise AttarError(
                f"Hugging Face dataset {name} has the splits {', '.join(opened)} but no train: rename one of them."
            )
        return {"train": next(iter(opened.values()))}
    ordered: dict[Part, Any] = {"train": found.pop("train"), **found}
    return ordered


def _pictures(
    splits: Mapping[Part, Any], image: str | None, label: str | None
) -> tuple[dict[Part, list[Picture]], tuple[str, ...] | None]:
    """Pictures by split, not yet decoded, and the class names where the label column has them."""
    library = _library()
    features = splits["train"].features
    image = _column(features, image, "image", [n for n, f in features.items() if isinstance(f, library.Image)])
    classed = [n for n, f in features.items() if isinstance(f, library.ClassLabel)]
    plain = [n for n in _LABELS if n in features]
    label = _column(features, label, "label", [n for n in plain if n in classed][:1] or classed or plain[:1])
    if not isinstance(features[image], library.Image):
        raise AttarError(f"Column '{image}' holds no pictures: name the column that does by image=.")
    names = tuple(features[label].names) if isinstance(features[label], library.ClassLabel) else None
    parts: dict[Part, list[Picture]] = {}
    for part, rows in splits.items():
        labels = rows.select_columns([label])[:][label]
        if names is not None and any(value is None or value < 0 for value in labels):
            raise AttarError(
                f"The {part} split has rows without a label (-1): leave the split out, or give labelled rows by test=."
            )
        encoded = rows.select_columns([image]).cast_column(image, library.Image(decode=False))[:][image]
        parts[part] = [
            Picture(f"row {i} of {part}", value, _opener(cell))
            for i, (cell, value) in enumerate(zip(encoded, labels, strict=True))
        ]
    return parts, names


def _opener(cell: Mapping[str, Any] | None) -> Any:
    from PIL import Image

    def opened() -> Image.Image:
        if cell is None:
            raise ValueError("there is none")
        return Image.open(io.BytesIO(cell["bytes"]) if cell.get("bytes") is not None else cell["path"])

    return opened


def _column(features: Mapping[str, Any], given: str | None, what: str, found: list[str]) -> str:
    if given is not None and given in features:
        return given
    if given is None and len(found) == 1:
        return found[0]
    why = f"is no column '{given}'" if given is not None else f"are {len(found) or 'no'} {what} columns"
    raise AttarError(f"There {why} among {', '.join(features)}: name it by {what}=.")


def _recorded(name_or_path: str | os.PathLike[str]) -> str:
    path = Path(name_or_path).expanduser()
    return str(path.absolute()) if path.exists() else str(name_or_path)
