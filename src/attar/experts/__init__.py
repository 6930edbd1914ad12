"""Recording experts: weight paths of networks trained on real data, which trajectory matching learns from.

The folder is that of `attar.training.experts`. It is written expert by expert, each whole or not at all; the same call goes on
with those that are missing, and one that asks for more adds to them. An expert depends on the seed and its number alone: bit for
bit where one is trained at a time, and up to rounding where several are trained together, as on a GPU.
"""

from attar.experts.foreseen import Foreseen
from attar.experts.preparing import prepare, record
from attar.experts.recording import Passed, Recording
from attar.training.experts import Course, Experts, Flat, Staged

__all__ = ["Course", "Experts", "Flat", "Foreseen", "Passed", "Recording", "Staged", "prepare", "record"]
