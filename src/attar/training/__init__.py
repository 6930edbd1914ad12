"""Training of networks from the outside of a method: from given weights, in place, on rows held in memory."""

from attar.training.fit import Epoch, Schedule, fit, fitting
from attar.training.optimisers import SGD, Adam, Cosine, Decay, Optimiser

__all__ = ["SGD", "Adam", "Cosine", "Decay", "Epoch", "Optimiser", "Schedule", "fit", "fitting"]
