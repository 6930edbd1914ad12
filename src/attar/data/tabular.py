"""Tables of any source: columns told apart by kind, what is wrong with them said in one sentence, and what was done recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from attar.data.kinds import Asked, as_column, check_values, typed
from attar.data.paths import names_near
from attar.data.raw_columns import RawColumn, Source, open_source
from attar.errors import AttarError
from attar.tables import Table
from attar.tables.columns import Kind

__all__ = ["Reading", "Roles", "Types", "fingerprint", "read", "roles"]

Types: TypeAlias = Kind | Mapping[str, Kind | Literal["drop"] | Sequence[str | float]]
"""What columns are: by name a kind, the order of the categories, or "drop"; or one kind for all of them."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A table, and what was done to have it.

    Args:
        table: complete, without weights.
        rows: which rows of the source these are ``(n,)``, int64.
        filled: by the name of a column how many of its values were filled in, and by what.
        left_out: columns that were left out.
        notes: sentences that a user should see.
    """

    table: Table
    rows: Tensor
    filled: Mapping[str, tuple[int, str | float]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are for.

    Args:
        target: the column that is predicted; an effect is one on it.
        treatment: the column whose effect is asked for.
        covariates: all others, in order.
        goal: regression of numbers, or classification.
        notes: sentences that a user should see.
    """

    target: str
    treatment: str | None
    covariates: tuple[str, ...]
    goal: Literal["regression", "classification"]
    notes: tuple[str, ...] = ()


def read(
    source: Any,
    types: Types | None = None,
    impute: bool = False,
    drop_missing: bool = False,
    *,
    names: Sequence[str] | None = None,
    separator: str | None = None,
    like: Table | None = None,
    required: Collection[str] = (),
    asked: Collection[str] = (),
) -> Reading:
    """A table from a pandas frame, a file or an array.

    What nobody says otherwise of (by `types`) goes by these rules. Text that is numbers throughout is numbers.

    - Words are categorical, with their categories in alphabetical order; so are truth values (False, True).
    - Whole numbers with one or two different values are categorical.
    - Whole numbers with 3 to 10 different values are ordinal, if there are five rows or more for each value: their categories are
      these numbers.
    - All other numbers are continuous.
    - Categoricals of pandas keep their categories: ordinal where they are ordered, else categorical. Categories without rows are left out.
    - Dates and times are refused, and so are numbers among words, words with as many different values as there are rows or more
      than 256, columns of one value, and columns that hold the same values as another.

    A value is missing where the source has none, or has one of "", ?, NA, N/A, NaN, None, null, NaT, in any capitals.

    Args:
        source: a frame; a path of a Parquet file, or of a text file with a line a row (csv, tsv, txt, ...; gzip as well); or an
            array ``(n, p)`` with `names`. Text is held in memory while it is read: millions of rows are better in Parquet.
        types: columns by name: "continuous", "ordinal" (numbers), "categorical", a list that gives the order of an ordinal
            column, ``["low", "middle", "high"]``, or "drop"; or one kind for all columns.
        impute: fill in missing values: the mean in continuous columns (a whole number where all are), the most frequent category
            in others.
        drop_missing: leave out rows that miss a value.
        names: of the columns, where the source has none.
        separator: of the cells of a text file; default what is found (see `delimited.read_delimited`).
        like: a table that was read before, such as the training part: its columns are taken by their names with their kinds and
            categories, others are left out, and values are filled in by its means and categories. A full stop at the end of all
            values of a column, which its categories lack, is passed over.
        asked: columns that have a use, such as target and treatment: where one takes one value only, it is not advised to be left out.
        required: columns that are never filled in, such as the target: rows that miss one are left out where `impute` is given.

    Raises:
        AttarError: if the source cannot be read, or for what is refused above: the column, the row (counted from 1) or the line
            of the file, and what to do.

    Example:
        >>> found = read(np.array([[1.5, 0], [2.0, 1], [0.5, 1]]), names=["dose", "cured"])
        >>> [column.kind for column in found.table.columns]
        ['continuous', 'categorical']
    """
    if impute and drop_missing:
        raise AttarError(
            "Missing values are filled in by impute=True, or their rows left out by drop_missing=True: give one of them."
        )
    if types is not None and like is not None:
        raise AttarError("The kinds of columns are those of the table like=..., or given by types: give one of them.")
    by_name: Mapping[str, Any] = types if isinstance(types, Mapping) else {}
    out = {name for name, kind in by_name.items() if isinstance(kind, str) and kind == "drop"}
    found = open_source(source, names, separator, out)
    _check_types(types, found, required)
    if len(found) < (2 if like is None else 1):
        raise AttarError(
            f"{_capital(found.where)} has {len(found)} row{'' if len(found) == 1 else 's'}: give 2 or more."
        )
    unused: tuple[str, ...] = ()
    if like is not None:
        found, unused = _only(found, like.names)
    for raw in found.columns if like is None else ():
        check_values(raw, found)
    complete, kept = _complete(found, impute, drop_missing, required)
    table = _typed(complete, types, {*required, *asked}) if like is None else _alike(complete, like)
    filled, table = _fill(table, table if like is None else like)
    notes = [*found.notes, *(_notes(complete, table, types) if like is None else ())]
    if len(kept) < len(found):
        notes.append(f"{len(found) - len(kept):,} of {len(found):,} rows miss a value and were left out")
    if filled:
        said = (f"{name} ({count:,} by {value})" for name, (count, value) in filled.items())
        notes.append(f"missing values were filled in: {', '.join(said)}")
    return Reading(table, torch.from_numpy(kept), filled, (*found.left_out, *unused), tuple(notes))


def roles(table: Table, target: str, treatment: str | None = None) -> Roles:
    """What the columns of a table are for. A target of numbers is for regression: a continuous one, or an ordinal one whose
    categories are numbers; any other is for classification.

    Args:
        table: real rows.
        target: name of the column that is predicted.
        treatment: name of the column whose effect is asked for.

    Raises:
        AttarError: if there is no such column, one takes one value only, misses values or has a category without rows, or both are
            the same.
    """
    if treatment == target:
        raise AttarError(f"'{target}' cannot be target and treatment at once: name another column as treatment.")
    for use, name in (("target", target), ("treatment", treatment)):
        if name is not None:
            check_varies(table, name, use)
    column = table.column(target)
    notes: tuple[str, ...] = ()
    if column.kind == "ordinal" and column.numeric:
        notes = (
            f"the target '{target}' is taken for numbers (regression); types={{'{target}': 'categorical'}} makes it classes",
        )
    covariates = tuple(name for name in table.names if name not in (target, treatment))
    if not covariates and treatment is None:
        raise AttarError(
            f"The table has no column but the target '{target}': give it what the target is predicted from."
        )
    return Roles(target, treatment, covariates, "regression" if column.numeric else "classification", notes)


def fingerprint(table: Table) -> str:
    """ "sha256:..." of the names, kinds, categories and values of a table, and of weights and soft cells where it has them."""
    digest = hashlib.sha256()
    columns = [[column.name, column.kind, list(column.categories)] for column in table.columns]
    digest.update(json.dumps([columns, list(table.values.shape), table.n_represented]).encode())
    parts = {
        "values": table.values,
        "weight": table.weight,
        **{f"soft {name}": table.soft[name] for name in table.soft},
    }
    for name, values in sorted(parts.items()):
        if values is not None:
            digest.update(name.encode())
            # adding 0 makes -0, which equals 0 and has other bytes, 0
            digest.update((values.double().cpu() + 0.0).contiguous().numpy().astype("<f8", copy=False).tobytes())
    return f"sha256:{digest.hexdigest()}"


def _check_types(types: Types | None, source: Source, required: Collection[str]) -> None:
    """Refuse kinds that there are not, and names of columns that are not there."""
    known = [*(column.name for column in source.columns), *source.left_out]
    by_name: Mapping[str, Any] = types if isinstance(types, Mapping) else {}
    for name in (*by_name, *required):
        _check_name(name, known, source.where)
    kinds = by_name.values() if isinstance(types, Mapping) else [] if types is None else [types]
    wrong = next((kind for kind in kinds if isinstance(kind, str) and kind not in (*get_args(Kind), "drop")), None)
    if wrong is not None or types == "drop":
        raise AttarError(
            f"'{wrong or types}' is no kind of column: give continuous, ordinal, categorical, or drop by name."
        )
    if not source.columns:
        raise AttarError(f"{_capital(source.where)} has no columns left: drop fewer of them.")


def _check_name(name: str, known: Sequence[str], where: str) -> None:
    if name not in known:
        near = names_near(name, list(known))
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known[:20])}."
        raise AttarError(f"There is no column '{name}' in {where}: {hint}")


def check_varies(table: Table, name: str, use: str) -> None:
    """Refuse a target or treatment that is not there, or that nothing can be learned of.

    Args:
        table: real rows.
        name: of the column.
        use: "target" or "treatment", for errors.
    """
    _check_name(name, table.names, "the table")
    value = table.values[:, table.place(name)]
    if bool(value.isnan().any()):
        raise AttarError(f"The {use} '{name}' misses {int(value.isnan().sum()):,} values: leave out these rows.")
    if len(value.unique()) < 2 and name not in table.soft:
        raise AttarError(
            f"The {use} '{name}' takes one value only, so there is nothing to learn of it: add other rows."
        )
    column = table.column(name)
    unseen = sorted(set(range(len(column.categories))) - {int(code) for code in value}) if not column.numeric else []
    if unseen and name not in table.soft:
        raise AttarError(
            f"The {use} '{name}' has no row of {_listed([repr(column.categories[code]) for code in unseen])}: leave "
            f"{'it' if len(unseen) == 1 else 'them'} out of the order of categories (and of test rows), or add rows."
        )


def _only(source: Source, names: Sequence[str]) -> tuple[Source, tuple[str, ...]]:
    """The columns of these names, in their order, and the names of the others."""
    by_name = {column.name: column for column in source.columns}
    for name in names:
        _check_name(name, list(by_name), source.where)
    return replace(source, columns=tuple(by_name[name] for name in names)), tuple(n for n in by_name if n not in names)


def _complete(source: Source, impute: bool, drop_missing: bool, required: Collection[str]) -> tuple[Source, np.ndarray]:
    """The source without the rows that are left out for what they miss, and which rows stay."""
    missing = {column.name: column.codes < 0 for column in source.columns if (column.codes < 0).any()}
    every = np.arange(len(source))
    if not missing:
        return source, every
    if not impute and not drop_missing:
        rows = int(np.any(list(missing.values()), axis=0).sum())
        raise AttarError(
            f"Values are missing in {_listed([f'{name} ({int(where.sum()):,})' for name, where in missing.items()])} of "
            f"{source.where}, in {rows:,} of {len(source):,} rows: fill them in by impute=True, leave these rows out by "
            f"drop_missing=True, or leave out a column by types={{'{next(iter(missing))}': 'drop'}}."
        )
    decisive = [where for name, where in missing.items() if drop_missing or name in required]
    if not decisive:
        return source, every
    kept = every[~np.any(decisive, axis=0)]
    if len(kept) < 2:
        raise AttarError(f"Only {len(kept)} rows of {source.where} miss no value: fill values in by impute=True.")
    return source.take(kept), kept


def _typed(source: Source, types: Types | None, used: Collection[str]) -> Table:
    """The columns by the rules, or as a user calls them."""
    columns, values = [], []
    for raw in source.columns:
        asked: Asked = types.get(raw.name) if isinstance(types, Mapping) else types  # type: ignore[assignment]
        column, value = typed(raw, asked, source)
        columns.append(column)
        values.append(value)
    _check_constant(source, used)
    _check_same(source)
    return Table(torch.from_numpy(np.stack(values, axis=1)), tuple(columns))


def _alike(source: Source, like: Table) -> Table:
    """The columns as another table has them."""
    values = [as_column(raw, column, source) for raw, column in zip(source.columns, like.columns, strict=True)]
    return Table(torch.from_numpy(np.stack(values, axis=1)), like.columns)


def _check_constant(source: Source, asked: Collection[str]) -> None:
    constant = [raw.name for raw in source.columns if len(raw.levels) == 1]
    needed = next((name for name in constant if name in asked), None)
    if needed is not None:
        raise AttarError(
            f"'{needed}', which is asked for, takes one value only in {source.where}, so there is nothing to learn of it: "
            "add other rows, or name another column."
        )
    if constant:
        raise AttarError(
            f"{_capital(source.where)} has the same value in all rows of {_listed(constant)}: leave out such columns by "
            f"types={{'{constant[0]}': 'drop'}}."
        )


def _check_same(source: Source) -> None:
    """Refuse columns that hold the same values as another."""
    seen: dict[tuple[bytes, ...], str] = {}
    for raw in source.columns:
        levels = raw.levels.tobytes() if raw.numeric else "\0".join(raw.levels).encode()
        first = seen.setdefault((levels, hashlib.sha256(raw.codes.tobytes()).digest()), raw.name)
        if first != raw.name:
            raise AttarError(
                f"Columns '{first}' and '{raw.name}' of {source.where} hold the same values: leave one out by "
                f"types={{'{raw.name}': 'drop'}}."
            )


def _fill(table: Table, like: Table) -> tuple[dict[str, tuple[int, str | float]], Table]:
    """What was filled in, and the table without missing values."""
    values, filled = table.values.clone(), {}
    for place, column in enumerate(table.columns):
        missing = table.values[:, place].isnan()
        if not bool(missing.any()):
            continue
        known = like.values[:, place][~like.values[:, place].isnan()]
        mean = known.mean().round() if column.whole else known.mean()
        fill = torch.bincount(known.long()).argmax() if column.discrete else mean  # of equally frequent ones the first
        values[missing, place] = fill
        said = column.categories[int(fill)] if column.discrete else float(fill)
        filled[column.name] = (int(missing.sum()), said)
    return filled, table.replace(values=values)


def _notes(source: Source, table: Table, types: Types | None) -> list[str]:
    """What a user may want otherwise: numbers that became categories, counters of rows, columns that tell the same."""
    found = []
    pairs = list(zip(source.columns, table.columns, strict=True))
    free = [(raw, column) for raw, column in pairs if not raw.declared and not _said(column.name, types)]
    guessed = [f"{column.name} ({column.kind})" for raw, column in free if raw.numeric and column.discrete]
    if guessed:
        found.append(f"whole numbers of few values were taken for categories: {_listed(guessed)}")
    for raw, column in pairs:
        if column.whole and len(raw.levels) == len(source) > 10 and np.ptp(raw.levels) == len(source) - 1:
            found.append(
                f"'{raw.name}' has every whole number once, as ids do: types={{'{raw.name}': 'drop'}} leaves it out"
            )
    seen: dict[bytes, str] = {}
    for raw, _ in pairs:
        if 2 * len(raw.levels) <= len(source):
            first = seen.setdefault(_partition(raw), raw.name)
            if first != raw.name:
                found.append(
                    f"'{first}' and '{raw.name}' tell the same, under other values: each is certain given the other"
                )
    return found


def _said(name: str, types: Types | None) -> bool:
    """Whether a user says of what kind a column is."""
    return name in types if isinstance(types, Mapping) else types is not None


def _partition(raw: RawColumn) -> bytes:
    """Which rows have equal values, whatever these are."""
    _, first, place = np.unique(raw.codes, return_index=True, return_inverse=True)
    return hashlib.sha256(first[place.reshape(-1)].tobytes()).digest()


def _listed(names: Sequence[str]) -> str:
    """Up to eight names, and how many more there are."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _capital(where: str) -> str:
    """What a table is called at the beginning of a sentence; a file's name stays as it is."""
    return "The table" if where == "the table" else where
