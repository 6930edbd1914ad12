"""Commands that look: show, view, methods, datasets."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attar.cli.options import Flag, Json, print_json
from attar.signatures import Whole

__all__ = ["datasets", "methods", "show", "view"]


def show(path: Path, *, json_: Json = False) -> None:
    """Print what a distilled set is and where it comes from; of a run also which candidates it kept and what was chosen of them.

    Args:
        path: a run, or a folder with a distilled set.
    """
    from attar.distilled import Distilled

    value = Distilled.load(path)
    if json_:
        print_json(value.card())
    else:
        print(value.summary())
        if (path / "settings.json").is_file() and (kept := _candidates(path, value.card()["checksum"])):
            print(f"{'candidates':<16}{kept}")


def _candidates(path: Path, checksum: str) -> str:
    """The sets that a run kept along the way, and which of them validation rows chose; "" where it kept the result alone.

    Args:
        path: the run.
        checksum: of its result.
    """
    from attar.evaluation.selected import selection_in
    from attar.runs import SELECTED_FOLDER, RunDirectory

    directory = RunDirectory(path)
    if directory.settings.get("candidates") is None:
        return ""
    last = (directory.result or {}).get("steps", 0)
    steps = [*(step for step in directory.candidates() if step < last), last]
    kept = "the result alone" if len(steps) == 1 else f"{len(steps):,}, of steps {steps[0]:,} to {last:,}"
    found = selection_in(path, checksum)
    if found is None:
        return f"{kept}; none chosen yet (attar evaluate {path} --select)"
    chosen = f"step {found[0].step:,}, chosen on {found[0].rows:,} validation rows by {found[0].model}"
    return f"{kept}; {chosen}, is in {path / SELECTED_FOLDER}"


def view(folder: Path = Path("runs"), *, port: Whole = 0, browser: Flag = False) -> None:
    """Serve a folder of runs and comparisons to whoever has the address that it prints: lists, pairs, live progress.

    Args:
        folder: whose runs; nothing outside it can be read through the page.
        port: of 127.0.0.1; a free one where none is given.
        browser: open it in the browser.
    """
    from attar.report.live import serve

    serve(folder, port, open_browser=browser)


def methods(*, json_: Json = False) -> None:
    """List the methods."""
    from attar.methods import catalogue

    rows = catalogue()
    if json_:
        print_json(rows)
        return
    for line in _aligned(rows, ("name", "family", "modality"), "paper"):
        print(line)


def _aligned(rows: Sequence[Mapping[str, str]], columns: Sequence[str], last: str) -> Iterator[str]:
    """Rows as lines: columns as wide as their longest word. On a terminal the last one is folded within its own column,
    or below where there is little room for it; a pipe gets a line a row."""
    widths = [max((len(row[name]) for row in rows), default=0) for name in columns]
    indent = sum(widths) + 2 * len(widths)
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in rows:
        first = "".join(f"{row[name]:{width}}  " for name, width in zip(columns, widths, strict=True))
        if room is None:
            yield first + row[last]
        elif room - indent >= 30:
            yield textwrap.fill(row[last], room, initial_indent=first, subsequent_indent=" " * indent)
        else:
            yield first.rstrip()
            yield textwrap.fill(row[last], room, initial_indent="    ", subsequent_indent="    ")


def datasets(*, data_dir: Path | None = None, json_: Json = False) -> None:
    """List the datasets that attar knows by name, and where they are.

    Args:
        data_dir: folder to look in first.
    """
    from attar.data import listing

    rows = listing(data_dir)
    if json_:
        print_json(rows)
        return
    for row in rows:
        shape = " x ".join(str(side) for side in row["shape"])
        print(
            f"{row['name']:16} {row['classes']:>4} classes  {row['train']:>6} + {row['test']:<6} {shape:12} {row['found'] or 'not here'}"
        )
