"""The honest table: full data, random rows, every coreset and every method, measured under one protocol.

A seed is one draw of everything, of the set as of the networks' first weights, and all rows of the table share their
seeds, so that differences are paired. What is done lies in the comparison's folder, a file a cell::

    protocol.json      what all cells share; a comparison with other settings is refused. And the versions that began it
    sets/              an ordinary run for each method, budget and seed
    scores/            a file for each set, network, kind of labels and seed
    comparison.json    the table, and comparison.csv, comparison.tex; written anew as cells finish
    lock               names the process that works on it; empty when none does
"""

from attar.compare.driver import compare
from attar.compare.rows import Row
from attar.compare.table import Comparison

__all__ = ["Comparison", "Row", "compare"]
