"""Network: what every network of attar is, a list of blocks and a head."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from torch import Tensor, nn

from attar.types import AttarError

__all__ = ["Network", "Norm", "Shape", "enlarge", "normalise", "require_side"]

Shape = tuple[int, int, int]
Norm = Literal["in", "bn", "ln", "gn", "none"]


class Network(nn.Module):
    """Blocks one after the other, then a head on the flattened output of the last.

    A family subclasses this to build its blocks and its head, and overrides nothing else. A network that ends in global
    pooling has the pooling as its last block.

    Args:
        blocks: modules from ``(n, c, h, w)`` on, in order.
        head: a module from the flattened output of the last block ``(n, d)`` to logits ``(n, classes)``.
    """

    def __init__(self, blocks: Iterable[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.head = head

    def forward(self, x: Tensor, features: bool = False) -> Tensor | tuple[Tensor, ...]:
        """Logits, or the output of every block.

        Args:
            x: images ``(n, c, h, w)``.
            features: return the blocks' outputs and leave the head out.

        Returns:
            Logits ``(n, classes)``; with `features` one tensor a block, first to last, spatial ones ``(n, c, h, w)``.
            The last one flattened is the embedding.
        """
        outputs = []
        for block in self.blocks:
            x = block(x)
            if features:  # else the activations of earlier blocks would be kept alive where no gradient needs them
                outputs.append(x)
        return tuple(outputs) if features else self.head(x.flatten(1))


def enlarge(shape: Shape) -> tuple[int, int, int]:
    """How the first convolution makes 28 x 28 images 32 x 32, as the field does for MNIST: by two pixels more padding.

    Returns:
        The additional padding (2, or 0 for every other size), and the height and width that it makes.
    """
    _, height, width = shape
    extra = 2 if (height, width) == (28, 28) else 0
    return extra, height + 2 * extra, width + 2 * extra


def require_side(name: str, shape: Shape, least: int) -> None:
    """Refuse images whose shorter side, once enlarged, is below `least` pixels.

    Raises:
        AttarError: saying what the network needs and what to do.
    """
    _, height, width = enlarge(shape)
    if min(height, width) < least:
        raise AttarError(
            f"{name} needs images of at least {least} x {least} pixels and these are {height} x {width}: "
            "resize the images, or take a shallower network (convnet2, mlp)."
        )


def normalise(norm: Norm, channels: int, height: int, width: int) -> nn.Module:
    """The normalisation layer for maps ``(n, channels, height, width)``.

    "in" is a group norm with a group a channel and a learned scale and shift, which is what the field calls instance
    norm; "gn" has four groups; "ln" normalises over channels and pixels with a scale and shift for each.

    Raises:
        AttarError: if "gn" is asked for channels that four does not divide.
    """
    match norm:
        case "in":
            return nn.GroupNorm(channels, channels)
        case "bn":
            return nn.BatchNorm2d(channels)
        case "ln":
            return nn.LayerNorm([channels, height, width])
        case "gn":
            if channels % 4:
                raise AttarError(f"Norm 'gn' has 4 groups and 4 does not divide {channels} channels: change the width.")
            return nn.GroupNorm(4, channels)
        case "none":
            return nn.Identity()
