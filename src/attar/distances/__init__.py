"""Pure functions between tensors, with the reduction visible."""

from attar.distances.attention import SpatialAttention, spatial_attention
from attar.distances.characteristic import characteristic_distance, characteristic_function
from attar.distances.features import MeanDistance, class_means, mean_distance
from attar.distances.gradients import cosine_distance, hidden_l1, hidden_squared, layerwise_cosine, squared_distance
from attar.distances.kernels import GaussianMMD, gaussian_mmd

__all__ = [
    "GaussianMMD",
    "MeanDistance",
    "SpatialAttention",
    "characteristic_distance",
    "characteristic_function",
    "class_means",
    "cosine_distance",
    "gaussian_mmd",
    "hidden_l1",
    "hidden_squared",
    "layerwise_cosine",
    "mean_distance",
    "spatial_attention",
    "squared_distance",
]
