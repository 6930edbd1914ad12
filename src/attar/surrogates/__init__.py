"""Surrogates: the networks whose eyes judge a step, and where they come from.

A **source** is a frozen part with

- ``yields``: the kind of surrogate that it gives, a member of the closed family in `kinds`;
- ``init(problem, generator) -> state``;
- ``next(state, problem, synthetic, real, generator) -> (surrogate, state)``, where `synthetic` and `real` are the views of
  the step, for sources that train their network between steps.
"""

from attar.surrogates.expert import Expert
from attar.surrogates.fresh import Fresh
from attar.surrogates.kinds import Segment, Source, Surrogate, Weights
from attar.surrogates.online import Online
from attar.surrogates.pool import Pool
from attar.surrogates.queue import Queue
from attar.surrogates.watched import Watched

__all__ = ["Expert", "Fresh", "Online", "Pool", "Queue", "Segment", "Source", "Surrogate", "Watched", "Weights"]
