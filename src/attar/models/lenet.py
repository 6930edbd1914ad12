"""LeNet."""

from __future__ import annotations

from torch import nn

from attar.models.network import Network, Shape, enlarge, require_side

__all__ = ["LeNet"]


class LeNet(Network):
    """LeNet-5 with ReLU and max pooling: 5 x 5 convolutions of 6 and 16 channels, linear layers of 120 and 84 units.

    Args:
        shape: ``(c, h, w)`` of an image, at least 16 x 16.
        classes: number of classes.

    Raises:
        AttarError: if the images are too small.

    Reference: LeCun et al., Gradient-based learning applied to document recognition, Proceedings of the IEEE 1998.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        require_side("lenet", shape, 16)
        extra, *sides = enlarge(shape)
        height, width = (((side - 4) // 2 - 4) // 2 for side in sides)
        blocks = [
            nn.Sequential(nn.Conv2d(shape[0], 6, 5, padding=extra), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            nn.Sequential(nn.Flatten(), nn.Linear(16 * height * width, 120), nn.ReLU(inplace=True)),
            nn.Sequential(nn.Linear(120, 84), nn.ReLU(inplace=True)),
        ]
        super().__init__(blocks, nn.Linear(84, classes))
