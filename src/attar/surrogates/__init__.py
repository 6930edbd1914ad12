"""Surrogates: the networks whose eyes judge a step, and where they come from.

A **source** is a frozen part with

- ``yields``: the kind of surrogate that it gives, a member of the closed family in `kinds`;
- ``init(problem, generator) -> state``;
- ``next(state, problem, synthetic, real, generator) -> (surrogate, state)``, where `synthetic` and `real` are the views of
  the step, for sources that train their network between steps;
- where it trains networks on the synthetic rows, and not by any form of labels, ``labels``, by which;
- where networks come untrained, ``model`` and ``fixed_start(problem, state)``: what tells the one start that all steps have,
  or None (see `attar.distilled.own`);
- where the first steps do less than the later ones, ``underway(state)``: a state as after many steps, by which a run is foreseen;
- where it trains whole networks now and then, ``trains(steps)``: how many in so many steps.
"""

from attar.surrogates.expert import Expert
from attar.surrogates.fresh import Fresh
from attar.surrogates.kernel import FixedKernel, RandomFeatures
from attar.surrogates.kinds import Kernel, Segment, Source, Surrogate, Weights
from attar.surrogates.online import Online
from attar.surrogates.pool import Pool
from attar.surrogates.population import Population
from attar.surrogates.queue import Queue
from attar.surrogates.watched import Watched

__all__ = [
    "Expert",
    "FixedKernel",
    "Fresh",
    "Kernel",
    "Online",
    "Pool",
    "Population",
    "Queue",
    "RandomFeatures",
    "Segment",
    "Source",
    "Surrogate",
    "Watched",
    "Weights",
]
