"""Pure functions between tensors, with the reduction visible."""

from attar.distances.attention import SpatialAttention, spatial_attention
from attar.distances.characteristic import characteristic_distance, characteristic_function
from attar.distances.convolutional import Convolutional
from attar.distances.features import MeanDistance, class_means, mean_distance
from attar.distances.gradients import cosine_distance, hidden_l1, hidden_squared, layerwise_cosine, squared_distance
from attar.distances.kernels import RBF, GaussianMMD, estimated, gaussian_mmd, median_width
from attar.distances.named import neural_kernel
from attar.distances.neural import ArcCosine, FullyConnected
from attar.distances.ridge import blocks, ridge

__all__ = [
    "RBF",
    "ArcCosine",
    "Convolutional",
    "FullyConnected",
    "GaussianMMD",
    "MeanDistance",
    "SpatialAttention",
    "blocks",
    "characteristic_distance",
    "characteristic_function",
    "class_means",
    "cosine_distance",
    "estimated",
    "gaussian_mmd",
    "hidden_l1",
    "hidden_squared",
    "layerwise_cosine",
    "mean_distance",
    "median_width",
    "neural_kernel",
    "ridge",
    "spatial_attention",
    "squared_distance",
]
