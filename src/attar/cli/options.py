"""Options that several commands share, and what they print."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from attar.errors import AttarError
from attar.signatures import Amount, Count, Real, Whole, whole

__all__ = [
    "DataOptions",
    "Flag",
    "Json",
    "RunOptions",
    "StepOptions",
    "command_line",
    "names",
    "numbers",
    "print_json",
    "speaks_of_columns",
]

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON alone on standard output.")]
Flag = Annotated[bool, Parameter(negative="")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How the data is found.

    Args:
        data_dir: folder to look in first for a dataset by name.
        test: held-out images, a folder or file like the data's.
        size: side that images are resized to; the median side, at most 64, where none is given.
        zca: whiten rows by ZCA, fitted on the training rows, as MTT and its followers do on CIFAR.
        target: of a table, the column that is predicted.
        treatment: of a table, the column whose effect is asked for.
        types: of a table, kinds of columns where they are others than its values suggest: age=continuous,grade=low|middle|high,id=drop.
        impute: of a table, fill in missing values by means and most frequent categories.
        drop_missing: of a table, leave out rows that miss a value.
    """

    data_dir: Path | None = None
    test: Path | None = None
    size: Count | None = None
    zca: Annotated[bool | None, Parameter(negative="")] = None
    target: str | None = None
    treatment: str | None = None
    types: str | None = None
    impute: Annotated[bool | None, Parameter(negative="")] = None
    drop_missing: Annotated[bool | None, Parameter(negative="")] = None


def speaks_of_columns(options: DataOptions) -> bool:
    """Whether columns of a table are named."""
    return any((options.target, options.treatment, options.types))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How many rows, where and by which seed.

    Args:
        per_class: rows to keep of each class.
        rows: rows to keep in all, instead.
        fraction: share of the training rows to keep, instead.
        validation: share of the training rows set aside for validation; what the data bring where none is given, 0 for none.
        seed: of everything that is drawn.
        device: auto, cpu or cuda.
        out: folder of the run; runs/DATA-METHOD-BUDGET where none is given.
        exact: compute by the plain fp32 reference.
    """

    per_class: Annotated[int | None, Parameter(name=["--per-class", "--ipc"], converter=whole)] = None
    rows: Whole | None = None
    fraction: Real | None = None
    validation: Real | None = None
    seed: Whole = 0
    device: str = "auto"
    out: Path | None = None
    exact: Flag = False


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """What only a method that takes steps can be told.

    Args:
        steps: steps in all; what the recipe says for this data, else as many as fit ten minutes here.
        time_budget: seconds after which the run ends early.
        memory: gigabytes that may be used; what is free where none is given.
        candidates: sets to keep along the way, the result the last of them, for attar evaluate --select to choose among.
    """

    steps: Whole | None = None
    time_budget: Amount | None = None
    memory: Amount | None = None
    candidates: Count | None = None


def names(text: str | None) -> list[str] | None:
    """Names separated by commas."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def numbers(text: str, option: str) -> list[int]:
    """Whole numbers separated by commas.

    Raises:
        AttarError: if one is none.
    """
    wrong = next((name for name in names(text) or [""] if not name.isdecimal()), None)
    if wrong is not None:
        raise AttarError(f"{option} {text}: '{wrong}' is no whole number; give them as in {option} 1,10,50.")
    return [int(name) for name in names(text) or []]


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def command_line() -> str:
    return shlex.join(["attar", *sys.argv[1:]])
