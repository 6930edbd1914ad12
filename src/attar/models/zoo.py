"""Any network of timm. The one file that imports timm, and with it torchvision."""

from __future__ import annotations

import difflib
import importlib
from types import ModuleType

import torch
from torch import nn

from attar.models.network import Network, Shape
from attar.types import AttarError

__all__ = ["Zoo"]

_declared: list[torch.library.Library] = []  # operators live as long as the library object that declared them


class Zoo(Network):
    """A network of timm with random weights: one block, whose output is timm's embedding before the classifier.

    Args:
        name: timm's name, e.g. "resnet10t".
        shape: ``(c, h, w)`` of an image; networks of one fixed size are built for it.
        classes: number of classes.

    Raises:
        AttarError: if timm is not installed or knows no such network, or if the network does not take such images.
    """

    def __init__(self, name: str, shape: Shape, classes: int) -> None:
        timm = _import_timm()
        if not timm.is_model(name):
            near = difflib.get_close_matches(name, timm.list_models(), n=3)
            hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() lists those that it has."
            raise AttarError(f"timm has no network named '{name}': {hint}")
        settings = timm.get_pretrained_cfg(name)
        sized = {"img_size": shape[1:]} if settings is not None and settings.fixed_input_size else {}
        try:
            backbone = timm.create_model(name, pretrained=False, in_chans=shape[0], num_classes=0, **sized)
            embedding = _embed_one(backbone, shape)
        except (RuntimeError, ValueError, AssertionError, TypeError) as error:
            raise AttarError(
                f"timm's {name} does not take images of shape {shape} ({str(error).splitlines()[0]}): "
                "resize the images, or take another network."
            ) from error
        super().__init__([backbone], nn.Linear(embedding, classes))


@torch.no_grad()
def _embed_one(backbone: nn.Module, shape: Shape) -> int:
    """Length of the embedding of one image, in evaluation mode so that no running statistic moves."""
    backbone.eval()
    length = backbone(torch.zeros(1, *shape)).flatten(1).shape[1]
    backbone.train()
    return length


def _import_timm() -> ModuleType:
    """timm, imported after the operators that a torchvision built for another torch misses are declared.

    Such a torchvision raises RuntimeError on import, because it describes operators that its library could not load.
    Declared without a kernel they satisfy the import; they are for detection, which no network here does.
    """
    try:
        importlib.import_module("torchvision")
    except ImportError:
        pass  # then timm's own import says what is missing
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise AttarError(f"Networks of timm need the extra 'zoo' ({error}): pip install 'attar[zoo]'.") from error
