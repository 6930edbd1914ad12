"""Causal conclusions from few rows beside those from all: ``python -m benchmarks.causal TRIAL``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attar.checkpoint import write_json


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What a file of JSON says, made first where it is not there: a trial goes on where it was stopped."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, make())
    return json.loads(path.read_text())


def real_data() -> Path:
    """The folder of real data."""
    if not os.environ.get("ATTAR_DATA"):
        raise SystemExit("This trial reads real data: set ATTAR_DATA to its folder (see benchmarks/causal.md).")
    return Path(os.environ["ATTAR_DATA"])


def spread(numbers: Sequence[float], form: str = ".1f") -> str:
    """A number, or the mean and standard deviation of several."""
    numbers = [number for number in numbers if not np.isnan(number)]
    if not numbers:
        return ""
    mean = format(float(np.mean(numbers)), form)
    return mean if len(numbers) == 1 else f"{mean} ± {format(float(np.std(numbers, ddof=1)), form)}"
