"""Kernel ridge regression in place of a network: what an infinitely wide one, trained to its end, would say."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from attar.distances import blocks, neural_kernel, ridge
from attar.distances.named import NEURAL_KERNELS
from attar.tasks.tables import determination
from attar.types import AttarError, Batch, Task

__all__ = ["accuracy", "fits", "guesses", "is_named", "named", "notes", "solved"]

JITTER = 1e-6
"""Penalty, as a share of the mean of the kernel's diagonal; that of KIP and FRePo."""

MOST = 10_000
"""Rows whose system is solved: its matrix takes 0.8 GB, and the penalised one and its factor as much again each."""

PREFIX = "ridge-"
KERNELS = ", ".join(PREFIX + name for name in NEURAL_KERNELS.split(", "))

Kernel = Callable[[Tensor, Tensor], Tensor]


def is_named(name: str) -> bool:
    """Whether a name is meant for ridge regression and not for a network: "ridge-" and the name of a kernel; whatever else begins so
    is meant for it, too, and refused by `named`."""
    return name.startswith("ridge")


def fits(name: str, rows: int) -> bool:
    """Whether a model of this name can be fitted to so many rows: networks to any, ridge regression to `MOST`."""
    return not is_named(name) or rows <= MOST


def notes(names: Iterable[str]) -> list[str]:
    """What a reader should know of scores of models of these names, of which a protocol says how networks are trained."""
    given = list(dict.fromkeys(names))
    found = [name for name in given if is_named(name)]
    if not found:
        return []
    ending = "; the protocol is that of networks" if len(found) < len(given) else ""
    return [
        f"{' and '.join(found)}: kernel ridge regression on the rows as they are, solved in closed form with a penalty of "
        f"{JITTER:g} of the kernel's mean diagonal{ending}."
    ]


def named(name: str) -> Kernel:
    """The kernel of such a name (see `attar.distances.neural_kernel`).

    Raises:
        AttarError: if there is none.
    """
    try:
        return neural_kernel(name.removeprefix(PREFIX) if name.startswith(PREFIX) else "")
    except AttarError as error:
        raise AttarError(f"There is no ridge regression '{name}': give {KERNELS}, DEPTH from 1 to 9.") from error


def solved(kernel: Kernel, batch: Batch, task: Task, probabilities: bool) -> Tensor:
    """Coefficients ``(n, classes)`` of ridge regression on rows, in float64; weights of rows count as in a weighted loss.

    Args:
        kernel: from rows to values.
        batch: rows with labels.
        task: makes class ids targets.
        probabilities: whether labels that are no class ids are probabilities, which are centred as class ids are.

    Raises:
        AttarError: if there are too many rows, their targets are per view, or the system is singular.
    """
    if len(batch) > MOST:
        raise AttarError(
            f"Ridge regression solves a system of its rows, and {len(batch):,} are more than the {MOST:,} that fit: judge these "
            "rows by a network."
        )
    if batch.views is not None:
        raise AttarError("Ridge regression takes one target a row, and this set has one for each of several views.")
    y = task.trained_by("squared").targets(batch).double()
    numbers = None in task.groups  # a target of numbers, standardised
    if probabilities and batch.y is not None and batch.y.dim() == 2 and not numbers:  # class ids are centred already
        y = y - 1 / y.shape[1]
    x = batch.x.double()
    k_ss = blocks(kernel, x, x)
    if batch.weight is None:
        return ridge(k_ss, y, JITTER)
    root = (batch.weight / batch.weight.mean()).double().sqrt()[:, None]
    return root * ridge(root * k_ss * root.T, root * y, JITTER)


def accuracy(kernel: Kernel, batch: Batch, coefficients: Tensor, data: Batch) -> float:
    """Share of rows, in [0, 1], whose largest prediction is their class; of one target of numbers R squared."""
    assert data.y is not None
    if coefficients.shape[1] == 1:
        found = [blocks(kernel, rows, batch.x).double() @ coefficients for rows in data.x.split(1024)]
        return determination(torch.cat(found), data.y)
    truth = data.y if data.y.dim() == 1 else data.y.argmax(-1)
    return float((guesses(kernel, batch, coefficients, data) == truth).double().mean())


def guesses(kernel: Kernel, batch: Batch, coefficients: Tensor, data: Batch) -> Tensor:
    """The classes ``(n,)`` of the largest predictions."""
    found = [(blocks(kernel, rows, batch.x).double() @ coefficients).argmax(1) for rows in data.x.split(1024)]
    return torch.cat(found)
