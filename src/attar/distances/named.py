"""Kernels of networks by name."""

from __future__ import annotations

import re

from attar.distances.convolutional import Convolutional
from attar.distances.neural import FullyConnected
from attar.types import AttarError

__all__ = ["NEURAL_KERNELS", "kernel_name", "neural_kernel"]

NEURAL_KERNELS = "ntk[-DEPTH], nngp[-DEPTH], conv-ntk[-DEPTH], conv-nngp[-DEPTH]"

_DEPTHS = ("", *(f"-{depth}" for depth in range(1, 10)))  # the depth that needs no name before its number

_NAME = re.compile(r"(?P<conv>conv-)?(?P<kind>ntk|nngp)(-(?P<depth>[1-9]))?")


def neural_kernel(name: str) -> FullyConnected | Convolutional:
    """The kernel of a ReLU network of DEPTH hidden layers (1), or with "conv-" of so many convolutions that keep an image's size,
    flattened (3).

    Example:
        >>> neural_kernel("nngp-2").depth
        2

    Raises:
        AttarError: if there is none.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise AttarError(f"There is no kernel '{name}': give {NEURAL_KERNELS}, DEPTH from 1 to 9.")
    kind = found["kind"]
    if found["conv"]:
        return Convolutional(int(found["depth"] or 3), kind)  # type: ignore[arg-type]
    return FullyConnected(int(found["depth"] or 1), kind)  # type: ignore[arg-type]


def kernel_name(kernel: object) -> str | None:
    """The name by which `neural_kernel` gives this kernel, None where it has none.

    Example:
        >>> kernel_name(neural_kernel("nngp-2"))
        'nngp-2'
    """
    names = [f"{network}{kind}{depth}" for network in ("", "conv-") for kind in ("ntk", "nngp") for depth in _DEPTHS]
    return next((name for name in names if neural_kernel(name) == kernel), None)
