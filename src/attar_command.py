"""The entry point of the command ``attar``, outside the package, whose import takes a second or two: Ctrl-C in that time
is told in a line, too."""

import sys


def main() -> None:
    try:
        from attar.cli import main as command

        command()
    except KeyboardInterrupt:
        print("attar: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
