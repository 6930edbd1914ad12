"""``make bench``: the short benchmarks. Longer ones have a command of their own (see benchmarks/README.md)."""

from benchmarks import steps

steps.main()
