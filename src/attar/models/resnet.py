"""ResNet-18 for small images."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from attar.models.network import Network, Norm, Shape, normalise, require_side

__all__ = ["ResNet18"]


class Residual(nn.Module):
    """Two 3 x 3 convolutions added to their input, which a 1 x 1 convolution adapts where the shape changes.

    Args:
        channels: channels in.
        width: channels out.
        side: height and width of the output.
        stride: of the first convolution.
        norm: normalisation after each convolution.
    """

    def __init__(self, channels: int, width: int, side: tuple[int, int], stride: int, norm: Norm) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False),
            normalise(norm, width, *side),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            normalise(norm, width, *side),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            adapt = nn.Conv2d(channels, width, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(adapt, normalise(norm, width, *side))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, h, w)`` to ``(n, width, *side)``."""
        return F.relu(self.main(x) + self.shortcut(x))


class ResNet18(Network):
    """The form for small images: a 3 x 3 stem without pooling, four stages of 64 to 512 channels, global pooling.

    Its blocks are the stem, the four stages and the pooling. It takes 28 x 28 images as they are.

    Args:
        shape: ``(c, h, w)`` of an image; with instance norm at least 9 x 9, because the last stage of smaller ones has
            a single pixel, whose instance norm is the same for every image.
        classes: number of classes.
        norm: "in" (the default of the DC family) or "bn".

    Raises:
        AttarError: if the images are too small.

    Reference: He et al., Deep residual learning for image recognition, CVPR 2016.
    """

    def __init__(self, shape: Shape, classes: int, norm: Norm = "in") -> None:
        if norm == "in":
            require_side("resnet18 with instance norm", shape, 9)
        channels, height, breadth = 64, shape[1], shape[2]
        stem = nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)
        layer = normalise(norm, channels, height, breadth)
        blocks: list[nn.Module] = [nn.Sequential(stem, layer, nn.ReLU(inplace=True))]
        for width, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
            height, breadth = -(-height // stride), -(-breadth // stride)
            first = Residual(channels, width, (height, breadth), stride, norm)
            blocks.append(nn.Sequential(first, Residual(width, width, (height, breadth), 1, norm)))
            channels = width
        blocks.append(nn.AdaptiveAvgPool2d(1))
        super().__init__(blocks, nn.Linear(channels, classes))
