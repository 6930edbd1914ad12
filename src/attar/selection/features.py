"""What rows are compared by: their own values, a trained network's features, or features that a user brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from attar import rng
from attar.training import Schedule, fit
from attar.training import passes as through
from attar.types import AttarError, Problem

__all__ = ["Features", "features_of", "trained"]

Features: TypeAlias = str | Callable[[Tensor], Tensor]
"""``"values"``; the name of a network, which is then trained on the training rows; a ``.npy`` file of one row of features
``(d,)`` a row; or a function (a network, say) of normalised rows ``(n, ...)`` that gives ``(n, ...)``."""

CHUNK = 256

LEAST_UPDATES = 300
"""Of a network that is to be trained at all: 100 leave a narrow ConvNet near chance in its probabilities."""


def features_of(problem: Problem, features: Features, epochs: int, seed: int) -> Tensor:
    """Features ``(n, d)`` of every training row, float32 on the CPU.

    Args:
        problem: whose training rows.
        features: see `Features`.
        epochs: passes over the training rows, for a network that has to be trained.
        seed: of that training.

    Raises:
        AttarError: if there is no such network or file, or the features do not fit the rows or are not finite.
    """
    if features == "values":
        found = problem.train.x.flatten(1).cpu()
    elif isinstance(features, str):
        from_file = features.endswith(".npy")
        found = _from_file(problem, Path(features)) if from_file else _by_network(problem, features, epochs, seed)
    elif callable(features):
        found = _by_function(problem, features)
    else:
        raise AttarError(
            f"features={features!r} says nothing: give 'values', a network's name, a .npy file or a function."
        )
    if not torch.isfinite(found).all():
        row = int(torch.nonzero(~torch.isfinite(found).all(1))[0])
        raise AttarError(f"The features of row {row} are not finite: mend the rows, or whatever makes the features.")
    return found.float()


def trained(problem: Problem, model: str, epochs: int, seed: int) -> nn.Module:
    """A network trained on all training rows, without augmentation, for so many passes, or as many more as make 300 updates
    of a small set; none leaves it random."""
    if epochs < 0:
        raise AttarError(f"epochs={epochs} trains nothing: give 0 or more.")
    with rng.seeded(rng.derive(seed, "network")):
        network = problem.task.build(model)
    if epochs:
        with problem.task.plan.applied():
            once = schedule(epochs, len(problem.train))
            passes = max(epochs, -(-LEAST_UPDATES // -(-len(problem.train) // once.batch_size)))
            fit(problem.task, network, problem.train, schedule(passes, len(problem.train)), seed=seed)
    return network.eval()


def schedule(epochs: int, rows: int) -> Schedule:
    """So many passes over the training rows; the step size falls tenfold for the last quarter of them.

    Batches are smaller where there are few rows, so that a pass makes about twenty updates or more.
    """
    return Schedule(
        epochs - 1, lr=0.03, batch_size=min(max(rows // 20, 8), 256), decay_after=(epochs - epochs // 4 - 1,)
    )


def _by_network(problem: Problem, name: str, epochs: int, seed: int) -> Tensor:
    network = trained(problem, name, epochs, seed)
    params: Mapping[str, Any] = {key: value.detach() for key, value in network.named_parameters()}
    with problem.task.plan.applied():
        (found,) = through.features(problem.task, network, params, problem.train)
    return found.flatten(1).float().cpu()


def _by_function(problem: Problem, function: Callable[[Tensor], Tensor]) -> Tensor:
    x = problem.train.x
    with torch.no_grad():
        parts = [function(part) for part in x.split(CHUNK)]
    fits = (
        isinstance(part, Tensor) and part.shape[:1] == rows.shape[:1]
        for part, rows in zip(parts, x.split(CHUNK), strict=True)
    )
    if not all(fits):
        raise AttarError(
            "The features of n rows must be a tensor (n, ...): the function given as features= gives another."
        )
    return torch.cat(parts).flatten(1).float().cpu()


def _from_file(problem: Problem, path: Path) -> Tensor:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf" or not found.size:
            raise ValueError("it holds no numbers")
    except (OSError, ValueError) as error:
        raise AttarError(f"{path} cannot be read as an array of features ({error}): save it by numpy.save.") from error
    numbers = [i for i in problem.origins or () if isinstance(i, int)]
    if found.ndim >= 2 and len(found) == len(problem.train):
        rows = found
    elif found.ndim >= 2 and len(numbers) == len(problem.train) and max(numbers) < len(found):
        rows = found[numbers]  # of all the rows that the source has, also those that were set aside
    else:
        raise AttarError(
            f"{path} holds {found.shape} features and there are {len(problem.train)} training rows: give one row of "
            "features for each, in their order."
        )
    return torch.from_numpy(np.array(rows, dtype=np.float32)).flatten(1)
