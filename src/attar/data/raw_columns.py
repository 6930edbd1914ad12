"""Columns as a source holds them, before anything is decided: which different values there are, and where."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from attar.data.delimited import NUMBER, read_delimited
from attar.data.paths import existing
from attar.errors import AttarError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DATE", "RawColumn", "Source", "dates_refused", "open_source"]

MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "nan", "none", "null", "<na>", "nat"})
"""What stands for a value that is not there, whatever its capitals."""

DATE = re.compile(r"\d{4}-\d{2}(-\d{2}([T ].*)?)?|\d{1,2}[/.]\d{1,2}[/.]\d{4}( .*)?", re.ASCII)
"""What a day or a time looks like in text."""


@dataclass(frozen=True, eq=False)
class RawColumn:
    """The different values of a column, and which of them each row has.

    Args:
        name: of the column.
        levels: ``(k,)``, the values that rows have: numbers (float64) or text (object), in order.
        codes: ``(n,)``, int64: the place of each row's among them; -1 where it is missing.
        declared: whether the source says that these are categories, and whether they have this order.
    """

    name: str
    levels: np.ndarray
    codes: np.ndarray
    declared: Literal["", "ordinal", "categorical"] = ""

    @property
    def numeric(self) -> bool:
        return self.levels.dtype.kind == "f"

    def take(self, rows: np.ndarray) -> Self:
        """The given rows, and the values that they have."""
        return self._used(self.codes[rows])

    def first(self, level: int) -> int:
        """The first row that has a value."""
        return int(np.argmax(self.codes == level))

    def _used(self, codes: np.ndarray) -> Self:
        used, place = np.unique(codes, return_inverse=True)
        missing = int((used < 0).any())
        return replace(self, levels=self.levels[used[missing:]], codes=place.reshape(-1) - missing)


@dataclass(frozen=True, eq=False)
class Source:
    """The columns of a table as they are found.

    Args:
        columns: of equal length.
        where: what errors call the table.
        lines: of the file that each row stands in, where it is one of text.
        left_out: names of further columns, which were not looked at.
        notes: sentences that a user should see.
    """

    columns: tuple[RawColumn, ...]
    where: str
    lines: Sequence[int] | None = None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns[0].codes) if self.columns else 0

    def at(self, row: int) -> str:
        """What errors call a row: its line in the file, or its number from 1."""
        return f"row {row + 1:,}" if self.lines is None else f"line {self.lines[row]:,}"

    def take(self, rows: np.ndarray) -> Self:
        """The given rows, in order."""
        lines = None if self.lines is None else [self.lines[row] for row in rows]
        return replace(self, columns=tuple(column.take(rows) for column in self.columns), lines=lines)


def open_source(
    source: Any, names: Sequence[str] | None = None, separator: str | None = None, without: Collection[str] = ()
) -> Source:
    """The columns of a frame, an array or a file; see `tabular.read`.

    Args:
        source: what holds the table.
        names: of the columns, where the source has none.
        separator: of the cells of a text file.
        without: columns that are not looked at.

    Raises:
        AttarError: if it cannot be read, or its columns are not told apart by their names.
    """
    if isinstance(source, str | os.PathLike):
        path = existing(source)
        if path.suffix.lower() not in (".parquet", ".pq"):
            cells = read_delimited(path, separator, names)
            found = _built(cells.names, lambda name, at: _of_text(name, cells.columns[at]), path.name, without)
            return replace(found, lines=cells.lines, notes=(*cells.notes, *found.notes))
        frame, where = _parquet(path), path.name
    elif hasattr(source, "dtypes") and hasattr(source, "iloc"):
        frame, where = source, "the table"
    else:
        array = np.asarray(source)
        if array.ndim != 2:
            raise AttarError(
                f"A table is a pandas frame, a path, or an array of rows and columns, and not {type(source).__name__} of shape "
                f"{array.shape}: give one of these."
            )
        if names is None or len(names) != array.shape[1]:
            given = "none" if names is None else len(names)
            raise AttarError(f"An array of {array.shape[1]} columns needs as many names=[...], and {given} were given.")
        return _built(names, lambda name, at: _of_array(name, array[:, at]), "the table", without)
    own = list(frame.columns if names is None else names)
    if len(own) != frame.shape[1]:
        raise AttarError(f"{len(own)} names were given for the {frame.shape[1]} columns of {where}: give one a column.")
    return _built(own, lambda name, at: _of_series(name, frame.iloc[:, at]), where, without)


def _built(names: Sequence[str], make: Callable[[str, int], RawColumn], where: str, without: Collection[str]) -> Source:
    """The columns, if all have names of their own; a first one without, which counts the rows, is left out."""
    names = [str(name).strip() for name in names]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise AttarError(f"Two columns of {where} are named '{twice}': rename one of them.")
    nameless = [at for at, name in enumerate(names) if not name]
    notes: tuple[str, ...] = ()
    if nameless == [0] and len(names) > 1 and _counts_rows(make("", 0)):
        notes = ("a first column without a name, which counts the rows, was left out",)
    elif nameless:
        raise AttarError(f"Column {nameless[0] + 1} of {where} has no name: give it one.")
    columns = tuple(make(name, at) for at, name in enumerate(names) if name and name not in without)
    return Source(columns, where, left_out=tuple(name for name in names if name in without), notes=notes)


def _parquet(path: Path) -> pd.DataFrame:
    try:
        import pandas as pd

        return pd.read_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise AttarError(f"Parquet files need the extra 'tables' ({error}): pip install 'attar[tables]'.") from error
    except (OSError, ValueError) as error:
        raise AttarError(f"{path} is not a whole Parquet file ({error}): write it again.") from error


def _counts_rows(column: RawColumn) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    if not column.numeric or not len(column.levels) or column.levels[0] not in (0, 1):
        return False
    return bool((np.diff(column.levels) == 1).all() and (column.codes == np.arange(len(column.codes))).all())


def _of_series(name: str, series: pd.Series) -> RawColumn:
    """A column of a pandas frame."""
    if hasattr(series, "cat"):
        labels = [_cell(name, row, value) for row, value in enumerate(series.cat.categories)]
        column = _coded(name, labels, series.cat.codes.to_numpy(np.int64), keep_order=True)
        return replace(column, declared="ordinal" if series.cat.ordered else "categorical")
    if series.dtype.kind in "iuf":
        return _of_array(name, series.to_numpy(np.float64, na_value=np.nan))
    if series.dtype.kind in "mM":
        raise dates_refused(name)
    return _of_array(name, series.to_numpy(object))


def _of_array(name: str, values: np.ndarray) -> RawColumn:
    """A column of numbers, or of any plain values."""
    if values.dtype.kind in "mM":
        raise dates_refused(name)
    if values.dtype.kind not in "iuf":
        return _of_text(name, [_cell(name, row, value) for row, value in enumerate(values.tolist())])
    values = values.astype(np.float64) + 0.0  # no -0, which is 0 and has other bytes
    levels, codes = np.unique(values, return_inverse=True)
    known = ~np.isnan(values)
    return RawColumn(name, levels[~np.isnan(levels)], np.where(known, codes.reshape(-1), -1))


def _of_text(name: str, cells: Iterable[str]) -> RawColumn:
    """A column of text, which holds numbers where all that is there are."""
    index: dict[str, int] = {}
    codes = np.array([index.setdefault(cell, len(index)) for cell in cells], dtype=np.int64)
    missing = {cell for cell in index if cell.lower() in MISSING}
    if all(cell in missing or NUMBER.fullmatch(cell) for cell in index):  # what `_coded` does, for many numbers quicker
        return _of_array(name, np.array([math.nan if cell in missing else float(cell) for cell in index])[codes])
    return _coded(name, list(index), codes)


def _coded(name: str, labels: Sequence[str], codes: np.ndarray, keep_order: bool = False) -> RawColumn:
    """A column whose rows have the labels of these codes, of which some may stand for nothing and some for the same."""
    known = {label for label in labels if label.lower() not in MISSING}
    boolean = {label.lower() for label in known} <= {"true", "false"}
    numbers = all(map(NUMBER.fullmatch, known))
    means: dict[str, Any] = {
        label: (float(label) + 0.0 if numbers else label.capitalize() if boolean else label)
        for label in labels
        if label in known
    }
    levels = list(dict.fromkeys(means.values()))
    levels = levels if keep_order else sorted(levels)
    place = {level: code for code, level in enumerate(levels)}
    table = np.array([place[means[label]] if label in means else -1 for label in labels] + [-1], dtype=np.int64)
    found = RawColumn(name, np.array(levels, dtype=np.float64 if numbers else object), table[codes])
    return found.take(np.arange(len(codes)))


def _cell(name: str, row: int, value: Any) -> str:
    """One value as text."""
    if isinstance(value, str):
        return value.strip()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return ""
    if isinstance(value, bool | np.bool_ | Real) or hasattr(value, "is_nan"):  # the last: decimal.Decimal
        return str(value)
    if hasattr(value, "isoformat") or type(value).__name__ in ("Period", "Interval"):
        return str(value)
    raise AttarError(
        f"Column '{name}' holds {type(value).__name__} in row {row + 1:,}: a cell is a number, a word or a truth value."
    )


def dates_refused(name: str) -> AttarError:
    """What is said of a column of days or times."""
    return AttarError(
        f"Column '{name}' holds dates or times, which are no numbers: turn them into days since one of them, or leave it out by "
        f"types={{'{name}': 'drop'}}."
    )
