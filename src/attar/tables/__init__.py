"""Tables as they are: real columns with names and kinds, rows that may weigh, and how many rows they stand for."""

from attar.tables.columns import Column
from attar.tables.contingency import (
    contingency_rows,
    counted,
    drawn,
    hard_rows,
    reweighted,
    rounded,
    soft_rows,
    vertex_rows,
)
from attar.tables.encoding import Encoding
from attar.tables.estimating import Equations, adjusted_rows, solving_rows
from attar.tables.margins import Gap, Margins
from attar.tables.moments import Moments, as_numbers, real_row_ids, real_rows, real_rows_of_stream
from attar.tables.schema import Schema
from attar.tables.statistics import Statistics
from attar.tables.table import Table
from attar.tables.vertex import vertex

__all__ = [
    "Column",
    "Encoding",
    "Equations",
    "Gap",
    "Margins",
    "Moments",
    "Schema",
    "Statistics",
    "Table",
    "adjusted_rows",
    "as_numbers",
    "contingency_rows",
    "counted",
    "drawn",
    "hard_rows",
    "real_row_ids",
    "real_rows",
    "real_rows_of_stream",
    "reweighted",
    "rounded",
    "soft_rows",
    "solving_rows",
    "vertex",
    "vertex_rows",
]
