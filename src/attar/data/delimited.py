"""Tables in text files: names and cells as they stand, with the line of each row."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attar.errors import AttarError

__all__ = ["NUMBER", "Cells", "read_delimited"]

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf", re.ASCII | re.IGNORECASE)
"""What a number looks like in text."""

_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)

_NOT_TEXT = {
    ".xlsx": "a workbook",
    ".xls": "a workbook",
    ".ods": "a workbook",
    ".pkl": "a pickle, which attar never opens",
    ".pickle": "a pickle, which attar never opens",
    ".feather": "a Feather file",
}


@dataclass(frozen=True, eq=False)
class Cells:
    """What a text file holds.

    Args:
        names: of the columns.
        columns: the cells of each, without spaces around them.
        lines: where each row stands in the file; the first line is 1.
        notes: sentences that a user should see.
    """

    names: tuple[str, ...]
    columns: list[list[str]]
    lines: list[int]
    notes: tuple[str, ...] = ()


def read_delimited(path: Path, separator: str | None = None, names: Sequence[str] | None = None) -> Cells:
    """The cells of a text file with a line a row (csv, tsv, txt and the like; gzip as well). Blank lines are passed over.

    Args:
        path: the file, in UTF-8.
        separator: of cells, " " for any white space; default that of tab, semicolon and comma which makes the most cells of the
            first line, or white space where none of them occurs there. Decimal commas are read where semicolons separate.
        names: of the columns, where the first line is a row already (a first line of just these names is passed over); default
            the first line.

    Raises:
        AttarError: if it is no such file, is empty, has no names, or has a row of another length, by its line.
    """
    lines = _lines(path)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise AttarError(f"{path} is empty: give a file with names in the first line and rows below.")
    if separator is None:
        separator = max("\t;,", key=first.count)
        separator = separator if separator in first else " "
    elif len(separator) != 1:
        raise AttarError(f"'{separator}' cannot separate cells: give one character.")
    rows: list[list[str]] = []
    places: list[int] = []
    for row, line in _split(lines, separator, path):
        if len(row) != len(rows[0] if rows else row):
            raise AttarError(
                f"Line {line} of {path} has {len(row)} cells and line {places[0]} has {len(rows[0])}: mend it, or give the "
                "separator if it is another."
            )
        rows.append(row)
        places.append(line)
    header = _header(rows[0], path, names)
    if names is None or rows[0] == header:
        del rows[0], places[0]
    if not rows:
        raise AttarError(f"{path} has names in its first line and no rows below them.")
    columns = [list(column) for column in zip(*rows, strict=True)]
    return _without_commas(Cells(tuple(header), columns, places), separator)


def _lines(path: Path) -> list[str]:
    """The lines of a text file, with their ends, which quoted cells may go over."""
    wrong = _NOT_TEXT.get(path.suffix.lower())
    if wrong or path.is_dir():
        raise AttarError(f"{path} is {wrong or 'a folder'}: save the table as CSV or Parquet and give that file.")
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
        return list(io.StringIO(text, newline=""))
    except UnicodeDecodeError as error:
        raise AttarError(f"{path} is no text in UTF-8 ({error}): save it as CSV in UTF-8, or as Parquet.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise AttarError(f"{path} cannot be read ({error}): give a whole text file, plain or gzip.") from error


def _split(lines: list[str], separator: str, path: Path) -> list[tuple[list[str], int]]:
    """The cells of each row, and its line."""
    found = []
    one_space = (" ".join(line.split()) for line in lines)
    reader = csv.reader(
        one_space if separator == " " else lines, delimiter=separator, skipinitialspace=True, strict=True
    )
    try:
        for row in reader:
            if any(row) or len(row) > 1:
                found.append(([cell.strip() for cell in row], reader.line_num))
    except csv.Error as error:
        raise AttarError(f"Line {reader.line_num} of {path} cannot be read ({error}): mend it.") from error
    return found


def _header(first: list[str], path: Path, names: Sequence[str] | None) -> list[str]:
    """The names of the columns; refuse rows without any."""
    if names is not None:
        if len(names) != len(first):
            raise AttarError(
                f"{len(names)} names were given for the {len(first)} columns of {path}: give one a column."
            )
        return list(names)
    numbered = [*map(str, range(len(first)))], [*map(str, range(1, len(first) + 1))]
    if all(map(NUMBER.fullmatch, first)) and first not in numbered:
        raise AttarError(f"The first line of {path} holds numbers and no names: give the columns names=[...].")
    return first


def _without_commas(cells: Cells, separator: str) -> Cells:
    """Decimal points in place of decimal commas, in columns that hold only such numbers and whole ones."""
    if separator != ";":
        return cells
    columns, changed = [], []
    for name, column in zip(cells.names, cells.columns, strict=True):
        kinds = {cell: bool(_COMMA.fullmatch(cell)) for cell in set(column)}
        if any(kinds.values()) and all(comma or not cell or NUMBER.fullmatch(cell) for cell, comma in kinds.items()):
            column = [cell.replace(",", ".") for cell in column]
            changed.append(name)
        columns.append(column)
    note = (f"commas were read as decimal points in {', '.join(changed)}",) if changed else ()
    return Cells(cells.names, columns, cells.lines, (*cells.notes, *note))
