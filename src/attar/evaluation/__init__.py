"""How good a small set is: networks trained from scratch on it, scored on the real test data.

It judges sets from anywhere, and knows nothing of how they were made.
"""

from attar.evaluation.evaluate import Run, Subject, evaluate, run_once, subject
from attar.evaluation.groups import Groups, amplification
from attar.evaluation.protocol import Protocol
from attar.evaluation.scores import Score, Scores, comparable

__all__ = [
    "Groups",
    "Protocol",
    "Run",
    "Score",
    "Scores",
    "Subject",
    "amplification",
    "comparable",
    "evaluate",
    "run_once",
    "subject",
]
