"""report.html of a run: one file that opens anywhere, without a network."""

from attar.report.of_run import of_run, score_run
from attar.report.page import Cost, Page, Pictures, Score
from attar.report.render import render, write
from attar.report.verdict import sentence

__all__ = ["Cost", "Page", "Pictures", "Score", "of_run", "render", "score_run", "sentence", "write"]
