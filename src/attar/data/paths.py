"""Paths that users give."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from attar.types import AttarError

__all__ = ["existing", "names_near"]


def existing(path: str | os.PathLike[str]) -> Path:
    """The path, if there is something.

    Raises:
        AttarError: if not, with names near it.
    """
    given = Path(path).expanduser()
    if given.exists():
        return given
    parent = given.parent
    near = names_near(given.name, [p.name for p in parent.iterdir()] if parent.is_dir() else [])
    hint = f"did you mean {' or '.join(str(parent / name) for name in near)}?" if near else "check the spelling."
    raise AttarError(f"There is nothing at {given}: {hint}")


def names_near(name: str, known: list[str]) -> list[str]:
    """Up to three known names that look like the one given, capitals aside."""
    by_lower = {k.lower(): k for k in known}
    return [by_lower[n] for n in difflib.get_close_matches(name.lower(), list(by_lower), n=3)]
