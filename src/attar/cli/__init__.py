"""The command: words to calls. Options of a method are its function's parameters; no mathematics lives here."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the command ``attar``."""
    try:
        from attar.cli.application import run  # late: these imports may be interrupted, too

        run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        print("attar: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
