"""Objectives: what "as good as the real data" means. Every iterative method minimises

    E [ objective( task, surrogate, synthetic, real ) ]     over the synthetic data,

and differs from the others only in the objective, in whose eyes judge (`attar.surrogates`), in what is learned
(`attar.synthetic`), in the views that are compared (`attar.augment`) and in where it starts (`attar.selection.initial`).

An objective is a frozen part with

- ``reads``: the kinds of surrogate that it can read;
- ``init(problem, generator) -> state``, often an empty dictionary;
- ``loss(task, surrogate, synthetic, real, state) -> (loss, info, state)``: a scalar differentiable in the synthetic view,
  numbers worth logging, and the next state.
"""

from attar.objectives.features import FeatureMatch
from attar.objectives.gradients import GradientMatch
from attar.objectives.objective import Objective

__all__ = ["FeatureMatch", "GradientMatch", "Objective"]
