"""Real data as a `Problem`: published datasets by name, the user's own from anywhere, toys for tests.

Every source goes the same way: a reader gives raw rows by split (`rows`), and `images.problem` checks them, sets aside
what is missing, takes the fingerprint and normalises. Nothing that could run code, such as a pickle, is ever opened.
"""

from attar.data import toy
from attar.data.catalogue import Dataset, catalogue
from attar.data.folders import folder
from attar.data.hub import hf
from attar.data.lookup import listing, load
from attar.data.opening import check_fingerprint, find, reopen
from attar.data.sources import arrays, npz, torch
from attar.data.tables import is_table, table, table_of

__all__ = [
    "Dataset",
    "arrays",
    "catalogue",
    "check_fingerprint",
    "find",
    "folder",
    "hf",
    "is_table",
    "listing",
    "load",
    "npz",
    "reopen",
    "table",
    "table_of",
    "torch",
    "toy",
]
