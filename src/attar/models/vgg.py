"""VGG-11."""

from __future__ import annotations

from torch import nn

from attar.models.network import Network, Norm, Shape, enlarge, normalise, require_side

__all__ = ["VGG11"]


class VGG11(Network):
    """Five stages of 3 x 3 convolutions with normalisation and ReLU, each max pooled, then one linear layer.

    Args:
        shape: ``(c, h, w)`` of an image, at least 32 x 32 (28 x 28 is padded to it).
        classes: number of classes.
        norm: "in" (the default of the DC family) or "bn".

    Raises:
        AttarError: if the images are too small.

    Reference: Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015,
    configuration A, with the classifier of one layer that is usual at 32 x 32.
    """

    def __init__(self, shape: Shape, classes: int, norm: Norm = "in") -> None:
        require_side("vgg11", shape, 32)
        extra, height, breadth = enlarge(shape)
        blocks, channels, padding = [], shape[0], 1 + extra
        for stage in [(64,), (128,), (256, 256), (512, 512), (512, 512)]:
            layers: list[nn.Module] = []
            for width in stage:
                convolution = nn.Conv2d(channels, width, 3, padding=padding)
                layers += [convolution, normalise(norm, width, height, breadth), nn.ReLU(inplace=True)]
                channels, padding = width, 1
            blocks.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
            height, breadth = height // 2, breadth // 2
        super().__init__(blocks, nn.Linear(channels * height * breadth, classes))
