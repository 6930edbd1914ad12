"""``python -m attar``: the command ``attar``."""

from attar.cli import main

if __name__ == "__main__":
    main()
