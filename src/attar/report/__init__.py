"""report.html of a run: one file that opens anywhere, without a network."""

from attar.report.page import Cost, Page, Pictures, Score
from attar.report.render import render, write
from attar.report.verdict import sentence

__all__ = ["Cost", "Page", "Pictures", "Score", "render", "sentence", "write"]
