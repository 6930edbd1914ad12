"""Pure functions between tensors, with the reduction visible."""

from attar.distances.features import class_means, mean_distance
from attar.distances.gradients import cosine_distance, layerwise_cosine, squared_distance

__all__ = ["class_means", "cosine_distance", "layerwise_cosine", "mean_distance", "squared_distance"]
