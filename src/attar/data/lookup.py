"""Published datasets by name: found in the user's folders, else fetched into the cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from attar.data.catalogue import DATASETS, Dataset, Layout
from attar.data.coloured import COLOURS, SHARE, Coloured
from attar.data.folders import read_folder
from attar.data.hub import INSTALL, fetch
from attar.data.images import problem
from attar.data.paths import existing, names_near
from attar.data.readers import read_cifar, read_idx, read_mat, read_npz
from attar.data.rows import Part, Read, Rows
from attar.types import AttarError, Problem

__all__ = ["cache", "load"]

_OWN_VALIDATION = 0.1


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    validation: float | None = None,
    zca: bool = False,
    share: float | None = None,
) -> Problem:
    """A published dataset by name; `attar.data.catalogue` lists them.

    It is looked for in `data_dir`, in the folder that the variable ``ATTAR_DATA`` names and in the cache
    (``ATTAR_CACHE``, else ``~/.cache/attar``), each time directly and in a subfolder of its name, and else fetched
    through Hugging Face `datasets` into the cache.

    Args:
        name: "mnist", "cifar10", ...
        data_dir: the first folder to look in.
        seed: of the rows that are set aside; digits, which have no test split, lose a stratified fifth to it.
        validation: fraction of each class cut from train for validation. The default is none where there is an official
            test split, because published scores train on all of train, and 0.1 for digits. A validation split that the
            dataset brings (pneumonia) is used as it is.
        zca: whiten the rows (see `attar.whitening`), fitted on the training rows alone.
        share: of the training rows of coloured digits whose colour agrees with their label, 0.95 by default; colours are drawn
            by `seed`.

    Raises:
        AttarError: if the name is unknown, the data are found nowhere and cannot be fetched, or they are not coloured and a
            share is given.

    Example:
        >>> attar.data.load("digits").task.shape
        (1, 8, 8)
    """
    record = _record(name)
    source: dict[str, Any] = {"load": record.name}
    if data_dir is not None and record.hub is not None:
        source["data_dir"] = str(existing(data_dir).absolute())
    if validation is None:
        validation = 0.0 if record.rows[2] else _OWN_VALIDATION
    if record.painted_from is None:
        if share is not None:
            raise AttarError(f"share= is of coloured digits, and {record.name} is not coloured: leave it out.")
        read, painted = _read(record, data_dir), dict[str, Any]()
    else:  # where the test rows are a part of few, each stands in every colour
        paint = Coloured(SHARE if share is None else share, seed, copies=not record.rows[2])
        read = _read(record.painted_from, data_dir)
        read = replace(read, notes=(*read.notes, paint.note()))
        painted = {"paint": paint, "attribute_names": tuple(name for name, _ in COLOURS)}
        source["share"] = paint.share
    return problem(
        read,
        name=record.name,
        source=source,
        seed=seed,
        validation=validation,
        class_names=record.class_names,
        normalisation=record.normalisation,
        zca=zca,
        licence=record.licence,
        augmentation=record.augmentation,
        full_epochs=record.full_epochs,
        **painted,
    )


def listing(data_dir: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """The datasets that `load` knows, and where each was found.

    Returns:
        For each ``name``, ``title``, ``classes``, ``shape``, ``train`` and ``test`` (official rows), ``licence``,
        ``reference`` and ``found``: a folder, "in the package", or None; JSON values.
    """
    places = _places(data_dir)
    rows = []
    for record in DATASETS.values():
        kept = record.painted_from or record
        hit = _found(kept, places)
        inside = None if kept.hub is not None else "in the package"
        rows.append(
            {
                "name": record.name,
                "title": record.title,
                "classes": len(record.class_names),
                "shape": list(record.shape),
                "train": record.rows[0],
                "test": record.rows[2],
                "licence": record.licence,
                "reference": record.reference,
                "found": str(hit[1]) if hit else inside,
            }
        )
    return rows


def cache() -> Path:
    """The folder that fetched data go to."""
    given = os.environ.get("ATTAR_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "attar"


def _record(name: str) -> Dataset:
    wanted = name.lower().replace("_", "-")
    if wanted in DATASETS:
        return DATASETS[wanted]
    near = names_near(wanted, list(DATASETS))
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(DATASETS)}."
    raise AttarError(f"There is no published dataset '{name}': {hint}")


def _read(record: Dataset, data_dir: str | os.PathLike[str] | None) -> Read:
    if record.hub is None:
        return read_npz(Path(__file__).with_name(record.layouts[0].train[0]))
    places = _places(data_dir)
    found = _found(record, places)
    if found is None:
        _no_pickle(record, places)
        try:
            found = record.cached, fetch(record, cache()).parent
        except AttarError as error:
            raise AttarError(_nowhere(record, places, error)) from error
    layout, folder = found
    read = _READERS[layout.kind](folder, layout, record)
    _is_it(record, read, folder)
    rows = tuple(len(read.parts[part].y) if part in read.parts else 0 for part in ("train", "validation", "test"))
    if rows != record.rows:
        theirs, ours = (" / ".join(f"{n:,}" for n in counts) for counts in (record.rows, rows))
        note = f"this copy has {ours} rows (train, validation, test), the official one {theirs}"
        read = replace(read, notes=(*read.notes, note))
    return read


def _places(data_dir: str | os.PathLike[str] | None) -> list[Path]:
    given = [data_dir, os.environ.get("ATTAR_DATA") or None]
    return [Path(place).expanduser() for place in given if place is not None] + [cache()]


def _found(record: Dataset, places: Sequence[Path]) -> tuple[Layout, Path] | None:
    """The first layout whose files are all there, and its folder."""
    others = {
        folder for other in DATASETS.values() if other.name != record.name for folder in (other.name, *other.folders)
    }
    for place in places:
        # files of the same names lie in mnist/ and fashion-mnist/: another dataset's own folder is not searched
        direct = [] if any(place.match(folder) for folder in others) else [place]
        for folder in [*direct, *(place / name for name in (record.name, *record.folders))]:
            for layout in (record.cached, *record.layouts):
                if all(_file(folder, name, layout).is_file() for name in (*layout.train, *layout.test)):
                    return layout, folder
    return None


def _file(folder: Path, name: str, layout: Layout) -> Path:
    """Where a file of a layout would lie; idx files may have .gz behind their names."""
    plain, zipped = folder / name, folder / f"{name}.gz"
    return zipped if layout.kind == "idx" and zipped.is_file() else plain


def _no_pickle(record: Dataset, places: Sequence[Path]) -> None:
    for folder in (below for place in places for below in (place, place / record.name)):
        if record.pickled is not None and (folder / record.pickled).is_dir():
            raise AttarError(
                f"{folder / record.pickled} is CIFAR's Python version, whose pickles attar never opens: "
                f"put the binary version ({', '.join(record.layouts[0].train)}) beside it."
            )


def _nowhere(record: Dataset, places: Sequence[Path], reason: Exception) -> str:
    forms = []
    for layout in (*record.layouts, record.cached):
        ending = "[.gz]" if layout.kind == "idx" else ""
        forms.append(", ".join(f"{name}{ending}" for name in (*layout.train, *layout.test)))
    below = ", ".join((record.name, *record.folders))
    return (
        f"{record.name} was not found: looked for {'; or '.join(forms)} in {', '.join(map(str, places))} "
        f"and there in {below}, and fetching it did not work ({str(reason).rstrip('.')}); "
        f"put the files there, or run with a network: {INSTALL} && "
        f'python -c "import attar; attar.data.load({record.name!r})"'
    )


def _is_it(record: Dataset, read: Read, folder: Path) -> None:
    """Whether images have the dataset's size: a file of the right name may hold something else."""
    channels, height, width = record.shape
    fitting = [(height, width, channels), (channels, height, width), *([(height, width)] if channels == 1 else [])]
    for rows in read.parts.values():
        if rows.x.shape[1:] not in fitting:
            raise AttarError(
                f"What lies in {folder} is not {record.name}: its images are {' x '.join(map(str, rows.x.shape[1:]))}, "
                f"not {height} x {width} x {channels}; fetch it again."
            )


def _read_idx(folder: Path, layout: Layout, record: Dataset) -> Read:
    def rows(names: tuple[str, ...]) -> Rows:
        images, labels = (read_idx(_file(folder, name, layout)) for name in names)
        return Rows(images, labels)

    return Read({"train": rows(layout.train), "test": rows(layout.test)})


def _read_cifar(folder: Path, layout: Layout, record: Dataset) -> Read:
    parts: dict[Part, Rows] = {
        "train": read_cifar([folder / name for name in layout.train], layout.label_bytes),
        "test": read_cifar([folder / name for name in layout.test], layout.label_bytes),
    }
    return Read(parts)


def _read_mat(folder: Path, layout: Layout, record: Dataset) -> Read:
    """SVHN: ``X`` is ``(h, w, c, n)``, and the digit 0 has the label 10."""

    def rows(names: tuple[str, ...]) -> Rows:
        arrays = read_mat(folder / names[0])
        if not {"X", "y"} <= set(arrays) or arrays["X"].ndim != 4:
            raise AttarError(
                f"{folder / names[0]} holds {', '.join(arrays) or 'nothing'}, not SVHN's X and y: fetch it again."
            )
        return Rows(arrays["X"].transpose(3, 0, 1, 2), arrays["y"] % 10)

    return Read({"train": rows(layout.train), "test": rows(layout.test)})


def _read_npz(folder: Path, layout: Layout, record: Dataset) -> Read:
    return read_npz(folder / layout.train[0])


def _read_zip(folder: Path, layout: Layout, record: Dataset) -> Read:
    read = read_folder(folder / layout.train[0], shape=record.shape)
    note = "decoded from JPEG files: pixels and scores are close to, not equal to, those of the original"
    return replace(read, notes=(*read.notes, note))


_READERS = {"idx": _read_idx, "cifar": _read_cifar, "mat": _read_mat, "npz": _read_npz, "zip": _read_zip}
