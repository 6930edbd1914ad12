"""A table as a Problem: its columns told apart, rows set aside, encoded by the training rows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attar import rng
from attar.batches import Encoded
from attar.data.images import TEST_FRACTION
from attar.data.rows import Part
from attar.data.tabular import Reading, Types, check_varies, fingerprint, read, roles
from attar.tables import Schema, Table
from attar.tasks import TableTask
from attar.types import AttarError, Normalisation, Problem, Spec

__all__ = ["is_table", "of_table", "table", "table_of"]

_ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".data", ".parquet", ".csv.gz", ".tsv.gz", ".txt.gz")
_PARTS: tuple[Part, ...] = ("train", "validation", "test")


def is_table(source: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a table's file, by its ending."""
    return Path(source).name.lower().endswith(_ENDINGS)


def table(
    source: Any,
    target: str = "",
    treatment: str = "",
    *,
    types: Types | str | None = None,
    impute: bool = False,
    drop_missing: bool = False,
    test: Any = None,
    validation: float = 0.0,
    seed: int = 0,
    names: Any = None,
    separator: str | None = None,
    name: str | None = None,
) -> Problem:
    """A table to predict a column of, to ask for the effect of a column in, or to keep the structure of.

    A target of categories makes classification, one of numbers regression. Rows are encoded by what the training rows are (see
    `attar.tables.Encoding`); `table_of` gives them back as columns. Where no test rows are brought, a fifth is set aside before
    anything else, a fifth of each class where there are classes; without a target nothing is set aside, as nothing is predicted.

    Args:
        source: a pandas frame, an array ``(n, p)`` with `names`, a Parquet file, or a text file with a line a row (see
            `attar.data.tabular.read`, which also says what is refused).
        target: name of the column that is predicted; "" for none.
        treatment: name of the column whose effect is asked for; "" for none.
        types: kinds of columns, by name or one for all: "continuous", "ordinal", "categorical", "drop", or a list that gives
            an order; as text "age=continuous,grade=low|middle|high,id=drop".
        impute: fill in missing values by means and most frequent categories of all rows of the source, before any are set aside.
        drop_missing: leave out rows that miss a value.
        test: rows to test on, like `source`.
        validation: share of the training rows, in [0, 1).
        seed: of the cuts.
        names: of the columns, where the source has none.
        separator: of the cells of a text file.
        name: of the problem; that of the file where none is given.

    Raises:
        AttarError: if it cannot be read or learned from; the sentence says where and what to do.

    Example:
        >>> rows = np.stack([np.arange(40.0), np.arange(40) % 2], axis=1)
        >>> problem = table(rows, target="cured", names=["dose", "cured"])
        >>> problem.train, problem.spec.class_names
        (Encoded(32 of (1,)), ('0', '1'))
    """
    if not 0 <= validation < 1:
        raise AttarError(f"validation={validation} is no share of the training rows: give a number in [0, 1).")
    kinds: Any = _parsed(types) if isinstance(types, str) and "=" in types else types
    reading: dict[str, Any] = {
        "impute": impute,
        "drop_missing": drop_missing,
        "names": names,
        "separator": separator,
        "required": [target] if target else [],
    }
    found = read(source, types=kinds, asked=[name for name in (target, treatment) if name], **reading)
    brought = None if test is None else read(test, like=found.table, **reading)
    record: dict[str, Any] = {}
    if isinstance(source, str | os.PathLike):
        record = {"table": str(Path(source).absolute()), "target": target, "treatment": treatment}
        if isinstance(test, str | os.PathLike):
            record["test"] = str(Path(test).absolute())
        given = {
            "name": name,
            "types": kinds,
            "impute": impute,
            "drop_missing": drop_missing,
            "names": names,
            "separator": separator,
        }
        record |= {key: _plain(value) for key, value in given.items() if value}
        record = {} if test is not None and "test" not in record else record
    called = name or (Path(source).name.partition(".")[0] if isinstance(source, str | os.PathLike) else "table")
    return of_table(found, called, target, treatment, brought, validation, seed, record)


def of_table(
    found: Reading,
    name: str,
    target: str = "",
    treatment: str = "",
    test: Reading | None = None,
    validation: float = 0.0,
    seed: int = 0,
    source: Mapping[str, Any] | None = None,
) -> Problem:
    """The problem of a table that was read; arguments as of `table`, `source` how to find it again."""
    notes = list(found.notes)
    for use, asked in (("target", target), ("treatment", treatment)):
        if asked and asked in found.left_out:
            raise AttarError(
                f"The {use} '{asked}' was dropped by types={{'{asked}': 'drop'}}: leave it in, or name another column as {use}."
            )
    if target:
        notes += roles(found.table, target, treatment or None).notes
    elif treatment:
        check_varies(found.table, treatment, "treatment")
    parts, ids, split = _cut(found.table, target, None if test is None else test.table, validation, seed)
    known = parts["train"].columns  # of rows that were set aside no range is known
    ranges = zip(parts["train"].values.amin(0).tolist(), parts["train"].values.amax(0).tolist(), strict=True)
    known = tuple(
        c if c.discrete else replace(c, low=low, high=high) for c, (low, high) in zip(known, ranges, strict=True)
    )
    parts = {part: rows.replace(columns=known) for part, rows in parts.items()}
    schema = Schema.fit(parts["train"], target, treatment)
    batches: dict[str, Encoded] = {}
    for part, rows in parts.items():
        x, y = schema.split(rows)
        batches[part] = Encoded(x, y)
    used = {"seed": seed, "validation": validation}
    return Problem(
        task=TableTask(schema.width, len(schema.classes), schema.target),
        spec=Spec(
            name=name,
            fingerprint=_fingerprint(parts),
            class_names=schema.classes,
            normalisation=Normalisation((0.0,) * schema.width, (1.0,) * schema.width),
            source={**source, **used} if source else {},
            augmentation="",
            split=split,
            notes=tuple(notes),
            schema=schema,
        ),
        origins=found.rows[ids["train"]].tolist(),
        set_aside={
            part: found.rows[ids[part]].tolist() for part in ("validation", "test") if part in ids and len(ids[part])
        },
        **batches,
    )


def table_of(problem: Problem, part: Part = "train") -> Table:
    """The rows of a problem as a table again, up to the rounding of continuous values.

    Raises:
        AttarError: if the problem is not of a table.
    """
    schema = problem.spec.schema
    if schema is None:
        raise AttarError(f"{problem.spec.name} is no table, so it has no columns: load one by attar.data.table(...).")
    batch = getattr(problem, part)
    return schema.table(batch.x, batch.y)


def _cut(
    rows: Table, target: str, test: Table | None, validation: float, seed: int
) -> tuple[dict[str, Table], dict[str, Tensor], str]:
    """The rows of each part, which rows of the source these are, and where they come from in a sentence."""
    column = rows.column(target) if target else None
    groups = torch.zeros(len(rows)).long() if column is None or column.numeric else rows.codes(target)
    ids = {"train": torch.arange(len(rows)), "validation": torch.arange(0), "test": torch.arange(0)}
    how = "a stratified" if column is not None and not column.numeric else "a"
    told = {"test": "none", "validation": "none"}
    if test is not None:
        told["test"] = "rows of their own"
    elif target:
        told["test"] = f"{how} fifth, set aside with seed {seed}"
    for part, share, wanted in (
        ("test", TEST_FRACTION, test is None and bool(target)),
        ("validation", validation, validation > 0 and bool(target)),
    ):
        if wanted:
            left = ids["train"]
            kept, cut = rng.stratified(groups[left], share, rng.generator(seed, "split", part))
            if not len(cut):
                raise AttarError(f"There is no second row to set aside for {part}: add rows, or bring a {part} part.")
            ids["train"], ids[part] = left[kept], left[cut]
    if len(ids["validation"]):
        told["validation"] = f"{how} {100 * validation:g} % of train, cut with seed {seed}"
    parts: dict[str, Table] = {part: rows.take(ids[part]) for part in _PARTS}
    if test is not None:
        parts["test"] = test
        del ids["test"]
    split = (
        f"Test: {told['test']} ({len(parts['test']):,} rows); validation: {told['validation']} "
        f"({len(parts['validation']):,}); {len(parts['train']):,} rows to train on."
    )
    return parts, ids, split


def _fingerprint(parts: Mapping[str, Table]) -> str:
    """Hash of the columns and values of every part."""
    together = " ".join(f"{part} {fingerprint(parts[part])}" for part in _PARTS)
    return f"sha256:{hashlib.sha256(together.encode()).hexdigest()}"


def _parsed(text: str) -> dict[str, Any]:
    """Kinds of columns from words: "age=continuous,grade=low|middle|high"."""
    kinds: dict[str, Any] = {}
    for item in text.split(","):
        column, _, kind = item.partition("=")
        if not column.strip() or not kind.strip():
            raise AttarError(
                f"'{item}' says no kind of a column: give types as in age=continuous,grade=low|middle|high,id=drop."
            )
        order = [value.strip() for value in kind.split("|")]
        kinds[column.strip()] = order if len(order) > 1 else order[0]
    return kinds


def _plain(value: Any) -> Any:
    """JSON values of kinds and names."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return value if isinstance(value, str | bool | int | float) else list(value)
