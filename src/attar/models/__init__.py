"""Networks for images, by name.

A name is a family, then its options in this order, joined by dashes::

    convnetDEPTH[-WIDTH][-NORM]   DEPTH 1 to 9; WIDTH channels (128); NORM in, bn, ln, gn or none (in)
    mlp[-WIDTH]                   WIDTH hidden units (128)
    lenet
    alexnet
    vgg11[-NORM]                  NORM in or bn (in)
    resnet18[-NORM]               NORM in or bn (in)
    timm:NAME                     any network of timm, with the extra "zoo"; timm/NAME is the same

For example ``convnet3``, ``convnet3-64-bn``, ``mlp-256``, ``resnet18-bn``, ``timm:resnet10t``. "in" is instance norm,
the default of the DC family for ConvNet, VGG-11 and ResNet-18 alike. As there, the first convolution of ConvNet, LeNet,
AlexNet and VGG-11 pads images of 28 x 28 to 32 x 32. Weights start as torch's modules start them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attar.models.alexnet import AlexNet
from attar.models.convnet import ConvNet
from attar.models.lenet import LeNet
from attar.models.mlp import MLP
from attar.models.network import Network, Shape
from attar.models.resnet import ResNet18
from attar.models.vgg import VGG11
from attar.types import AttarError

__all__ = [
    "MLP",
    "VGG11",
    "AlexNet",
    "ConvNet",
    "LeNet",
    "Network",
    "ResNet18",
    "build",
    "names",
    "rows_are_independent",
]

_FAMILIES: dict[str, Callable[..., Network]] = {
    r"convnet(?P<depth>[1-9])(-(?P<width>[1-9]\d*))?(-(?P<norm>in|bn|ln|gn|none))?": ConvNet,
    r"mlp(-(?P<width>[1-9]\d*))?": MLP,
    r"lenet": LeNet,
    r"alexnet": AlexNet,
    r"vgg11(-(?P<norm>in|bn))?": VGG11,
    r"resnet18(-(?P<norm>in|bn))?": ResNet18,
}

_NAMES = {
    "convnet3": "the field's ConvNet: 3 blocks of 128 channels, instance norm (convnet4, convnet3-64, ...)",
    "convnet3-bn": "ConvNet with batch norm",
    "mlp": "three linear layers, 128 hidden units (mlp-256, ...)",
    "lenet": "LeNet-5 with ReLU and max pooling",
    "alexnet": "AlexNet for 32 x 32 images, no normalisation",
    "vgg11": "VGG-11 with instance norm",
    "vgg11-bn": "VGG-11 with batch norm",
    "resnet18": "ResNet-18 with a 3 x 3 stem and instance norm",
    "resnet18-bn": "ResNet-18 with a 3 x 3 stem and batch norm",
    "timm:NAME": "any network of timm, e.g. timm:resnet10t (pip install 'attar[zoo]')",
}

_GRAMMAR = (
    "convnetDEPTH[-WIDTH][-in|bn|ln|gn|none], mlp[-WIDTH], lenet, alexnet, vgg11[-in|bn], resnet18[-in|bn], timm:NAME"
)


def build(name: str, shape: Shape, classes: int) -> nn.Module:
    """A new network with random weights from torch's global generator (see `attar.rng.seeded`).

    Args:
        name: see the top of this module.
        shape: ``(c, h, w)`` of an image.
        classes: number of classes.

    Returns:
        A `Network`: ``model(x)`` gives logits ``(n, classes)``, ``model(x, features=True)`` the outputs of its blocks.

    Raises:
        AttarError: if there is no such name, or the network does not take images of this shape.

    Example:
        >>> model = build("convnet3-64-bn", (1, 28, 28), 10)
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    zoo = re.fullmatch(r"timm[:/](.+)", name)
    if zoo:
        from attar.models.zoo import Zoo  # late: timm is an extra and takes seconds to import

        return Zoo(zoo[1], shape, classes)
    for pattern, family in _FAMILIES.items():
        match = re.fullmatch(pattern, name)
        if match:
            given = {option: value for option, value in match.groupdict().items() if value is not None}
            options = {option: int(value) if value.isdigit() else value for option, value in given.items()}
            return family(shape, classes, **options)
    near = difflib.get_close_matches(name.lower(), [known for known in _NAMES if known != "timm:NAME"], n=3)
    hint = f"did you mean {' or '.join(near)}? Names are" if near else "names are"
    raise AttarError(f"There is no network named '{name}': {hint} {_GRAMMAR}.")


def names() -> dict[str, str]:
    """The usual names and one line on each; options make more (see the top of this module)."""
    return dict(_NAMES)


def rows_are_independent(model: nn.Module) -> bool:
    """Whether, in training, the output for a row is the same whichever rows stand beside it: false with batch norm."""
    return not any(isinstance(module, _BatchNorm) for module in model.modules())
