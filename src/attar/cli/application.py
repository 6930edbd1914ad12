"""The commands together, and how whatever goes wrong is told: ``attar: sentence`` on standard error, exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from attar.cli import wording
from attar.cli.distil import demo, distil, register, resume
from attar.cli.experts import experts
from attar.cli.judge import compare, evaluate, report
from attar.cli.look import datasets, methods, show, view
from attar.errors import AttarError

__all__ = ["app", "run"]

app = App(
    name="attar",
    help="Turn a dataset into a tiny one that trains as well, and prove it.",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # `main` says it in a line
)
for command in (demo, distil, resume, experts, evaluate, compare, report, show, view, methods, datasets):
    app.command(command)

_COMPUTE = {"demo", "distill", "resume", "experts", "evaluate", "compare", "report"}


def run(words: Sequence[str]) -> None:
    """Do what the words say.

    Raises:
        SystemExit: 2 for bad input, after one sentence.
    """
    try:
        _prepare(words)
        app(list(words), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _refuse(wording.sentence(error), wording.help_command(error))
    except AttarError as error:
        _refuse(wording.in_options(str(error)))
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has left, as in "attar show run | head"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None
        where = f" {error.filename}" if error.filename else ""
        _refuse(f"cannot read or write{where}: {error.strerror or error}.")
    except MemoryError as error:
        _refuse(f"there is not enough memory ({error}): lower the budget, or the size of the images.")


def _prepare(words: Sequence[str]) -> None:
    """What takes torch is left to those commands that do."""
    if "distill" in words:
        register()
    if _COMPUTE & set(words[:1]) and not {"--help", "-h"} & set(words):
        from attar.plan import keep_freed_memory

        keep_freed_memory()


def _refuse(sentence: str, more: str = "") -> None:
    print(f"attar: {sentence}", file=sys.stderr)
    if more:
        print(f"try {more}", file=sys.stderr)
    raise SystemExit(2) from None
