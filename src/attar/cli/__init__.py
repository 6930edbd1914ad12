"""The command: words to calls. Options of a method are its function's parameters; no mathematics lives here."""

from __future__ import annotations

import os
import sys

from cyclopts import App

from attar.cli.distil import demo, distil, register, resume
from attar.cli.judge import compare, evaluate, report
from attar.cli.look import datasets, methods, show, view
from attar.errors import AttarError

__all__ = ["app", "main"]

app = App(
    name="attar", help="Turn a dataset into a tiny one that trains as well, and prove it.", help_format="plaintext"
)
for command in (demo, distil, resume, evaluate, compare, report, show, view, methods, datasets):
    app.command(command)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the command ``attar``."""
    from attar.plan import keep_freed_memory

    keep_freed_memory()
    try:
        register()
        app(arguments)
    except AttarError as error:
        print(f"attar: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("attar: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has left, as in "attar show run | head"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None
        where = f" {error.filename}" if error.filename else ""
        print(f"attar: cannot read or write{where}: {error.strerror or error}.", file=sys.stderr)
        raise SystemExit(2) from None
    except MemoryError as error:
        print(
            f"attar: there is not enough memory ({error}): lower the budget, or the size of the images.",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
