"""ConvNet: the network of the dataset distillation literature."""

from __future__ import annotations

from torch import nn

from attar.models.network import Network, Norm, Shape, enlarge, normalise
from attar.types import AttarError

__all__ = ["ConvNet"]


class ConvNet(Network):
    """``depth`` blocks of 3 x 3 convolution, normalisation, ReLU and 2 x 2 average pooling, then a linear layer.

    ConvNet-3-128 with instance norm is the literature's default: 320,010 parameters for 3 x 32 x 32 images and 10
    classes, 317,706 for 1 x 28 x 28. Its embedding has 128 x 4 x 4 = 2,048 numbers.

    Args:
        shape: ``(c, h, w)`` of an image.
        classes: number of classes.
        depth: number of blocks; each halves the sides.
        width: channels of every block.
        norm: "in", "bn", "ln", "gn" (four groups) or "none".

    Raises:
        AttarError: if the images are too small for the depth.

    Reference: Gidaris and Komodakis, Dynamic few-shot visual learning without forgetting, CVPR 2018; Zhao et al.,
    Dataset condensation with gradient matching, ICLR 2021, section 4.1.
    """

    def __init__(self, shape: Shape, classes: int, depth: int = 3, width: int = 128, norm: Norm = "in") -> None:
        extra, height, breadth = enlarge(shape)
        greatest = min(height, breadth).bit_length() - 1
        if depth > greatest:
            raise AttarError(
                f"convnet{depth} halves the image {depth} times and {shape[1]} x {shape[2]} pixels allow {greatest}: "
                + (f"use convnet{greatest} or less." if greatest else "use mlp, or resize the images.")
            )
        blocks, channels, padding = [], shape[0], 1 + extra
        for _ in range(depth):
            convolution = nn.Conv2d(channels, width, 3, padding=padding)
            layer = normalise(norm, width, height, breadth)
            blocks.append(nn.Sequential(convolution, layer, nn.ReLU(inplace=True), nn.AvgPool2d(2)))
            channels, padding, height, breadth = width, 1, height // 2, breadth // 2
        super().__init__(blocks, nn.Linear(width * height * breadth, classes))
