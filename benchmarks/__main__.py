"""``make bench``: the steps of all methods. Other benchmarks have commands of their own (see benchmarks/README.md)."""

from benchmarks import steps

steps.main()
