"""AlexNet for small images."""

from __future__ import annotations

from torch import nn

from attar.models.network import Network, Shape, enlarge, require_side

__all__ = ["AlexNet"]


class AlexNet(Network):
    """AlexNet as the literature scales it to 32 x 32: five convolutions without normalisation, one linear layer.

    Args:
        shape: ``(c, h, w)`` of an image, at least 8 x 8.
        classes: number of classes.

    Raises:
        AttarError: if the images are too small.

    Reference: Krizhevsky et al., ImageNet classification with deep convolutional neural networks, NeurIPS 2012.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        require_side("alexnet", shape, 8)
        extra, height, breadth = enlarge(shape)
        layers = [(128, 5, True), (192, 5, True), (256, 3, False), (192, 3, False), (192, 3, True)]
        blocks: list[nn.Module] = []
        channels = shape[0]
        for width, kernel, pooled in layers:
            padding = kernel // 2 + (0 if blocks else extra)
            block = [nn.Conv2d(channels, width, kernel, padding=padding), nn.ReLU(inplace=True)]
            blocks.append(nn.Sequential(*block, *([nn.MaxPool2d(2)] if pooled else [])))
            channels = width
        super().__init__(blocks, nn.Linear(channels * (height // 8) * (breadth // 8), classes))
