"""How good a small set is: networks trained from scratch on it, scored on the real test data; and of a table, which causal
conclusions it draws beside the full one.

It judges sets from anywhere, and knows nothing of how they were made.
"""

from attar.evaluation.causal import CausalReference, CausalScores, causal_evaluation
from attar.evaluation.conclusions import EffectQuery, Questions
from attar.evaluation.evaluate import Run, Subject, evaluate, run_once, subject
from attar.evaluation.groups import Groups, amplification
from attar.evaluation.intervened import Intervened
from attar.evaluation.protocol import Protocol
from attar.evaluation.scores import Score, Scores, comparable
from attar.evaluation.selected import candidates_of, evaluate_selected
from attar.evaluation.selection import Selection, select

__all__ = [
    "CausalReference",
    "CausalScores",
    "EffectQuery",
    "Groups",
    "Intervened",
    "Protocol",
    "Questions",
    "Run",
    "Score",
    "Scores",
    "Selection",
    "Subject",
    "amplification",
    "candidates_of",
    "causal_evaluation",
    "comparable",
    "evaluate",
    "evaluate_selected",
    "run_once",
    "select",
    "subject",
]
