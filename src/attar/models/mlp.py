"""MLP: a network that sees no neighbourhoods."""

from __future__ import annotations

from torch import nn

from attar.models.network import Network, Shape

__all__ = ["MLP"]


class MLP(Network):
    """Three linear layers with ReLU between them.

    Args:
        shape: ``(c, h, w)`` of an image.
        classes: number of classes.
        width: units of the two hidden layers.
    """

    def __init__(self, shape: Shape, classes: int, width: int = 128) -> None:
        channels, height, breadth = shape
        first = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * breadth, width), nn.ReLU(inplace=True))
        second = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True))
        super().__init__([first, second], nn.Linear(width, classes))
