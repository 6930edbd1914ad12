"""Tables as they are: real columns with names and kinds, rows that may weigh, and how many rows they stand for."""

from attar.tables.columns import Column
from attar.tables.encoding import Encoding
from attar.tables.table import Table

__all__ = ["Column", "Encoding", "Table"]
