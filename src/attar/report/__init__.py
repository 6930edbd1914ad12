"""report.html of a run or a comparison: one file that opens anywhere, without a network. `live` serves a folder of them."""

from attar.report.comparison import Table
from attar.report.finding import sentence_of
from attar.report.of_comparison import of_comparison, render_comparison
from attar.report.of_run import of_run
from attar.report.page import Cost, Page, Pictures, Score
from attar.report.render import render, write
from attar.report.scoring import score_run
from attar.report.verdict import sentence

__all__ = [
    "Cost",
    "Page",
    "Pictures",
    "Score",
    "Table",
    "of_comparison",
    "of_run",
    "render",
    "render_comparison",
    "score_run",
    "sentence",
    "sentence_of",
    "write",
]
