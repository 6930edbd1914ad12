"""Objectives: what "as good as the real data" means. Every iterative method minimises

    E [ objective( task, surrogate, synthetic, real ) ]     over the synthetic data,

and differs from the others only in the objective, in whose eyes judge (`attar.surrogates`), in what is learned
(`attar.synthetic`), in the views that are compared (`attar.augment`) and in where it starts (`attar.selection.initial`).

An objective is a frozen part with

- ``reads``: the kinds of surrogate that it can read;
- ``init(problem, generator) -> state``, often an empty dictionary;
- ``loss(task, surrogate, synthetic, real, state) -> (loss, info, state)``: a scalar differentiable in the synthetic view,
  numbers worth logging, and the next state. A step that is to change nothing has a loss without a
  gradient; an objective that may skip steps gives ``skipped``, nought or one, among the numbers of each;
- where it takes other forms of labels than those of `attar.synthetic.synthetic.OF_CLASSES`, ``labels``, which;
- where it trains networks on the synthetic rows from their start, ``own(task, model, rows, start) -> Own``: how, for the
  record of the set (see `attar.distilled.own`);
- where its start takes long and hardly bears on what a step costs, ``rehearsed(problem) -> (objective, what it leaves out)``: one by
  which a run is foreseen;
- where it has something to do to the finished rows, or to say of them, ``settle(problem, state, value) -> Distilled``.
"""

from attar.objectives.characteristic import CharacteristicMatch
from attar.objectives.features import FeatureMatch
from attar.objectives.gradients import ContrastiveGradientMatch, GradientMatch
from attar.objectives.layerwise import LayerwiseMatch
from attar.objectives.mechanisms import Mechanisms
from attar.objectives.objective import Objective
from attar.objectives.regularised import ClassAware
from attar.objectives.ridge import RidgeMatch
from attar.objectives.trajectory import TrajectoryMatch
from attar.objectives.unrolled import Unrolled
from attar.objectives.weighted_sum import WeightedSum

__all__ = [
    "CharacteristicMatch",
    "ClassAware",
    "ContrastiveGradientMatch",
    "FeatureMatch",
    "GradientMatch",
    "LayerwiseMatch",
    "Mechanisms",
    "Objective",
    "RidgeMatch",
    "TrajectoryMatch",
    "Unrolled",
    "WeightedSum",
]
