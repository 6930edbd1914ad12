"""What rows are compared by: their own values, a trained network's features, or features that a user brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from attar import rng
from attar.reuse import once
from attar.training import Schedule, fit
from attar.training import passes as through
from attar.types import AttarError, Problem

__all__ = ["Features", "features_of", "is_file", "trained", "untrained", "whole_schedule"]

Features: TypeAlias = str | Callable[[Tensor], Tensor]
"""``"values"``; the name of a network, which is then trained on the training rows; a ``.npy`` file of one row of features
``(d,)`` a row, or an ``.npz`` file of ``features`` and the ``rows`` that they are of, by name; or a function (a network,
say) of normalised rows ``(n, ...)`` that gives ``(n, ...)``."""

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
        found = (
            _from_file(problem, Path(features)) if is_file(features) else _by_network(problem, features, epochs, seed)
        )
    elif callable(features):
        found = _by_function(problem, features)
    else:
        raise AttarError(
            f"features={features!r} says nothing: give 'values', a network's name, a .npy or .npz file or a function."
        )
    if not torch.isfinite(found).all():
        row = int(torch.nonzero(~torch.isfinite(found).all(1))[0])
        raise AttarError(f"The features of row {row} are not finite: mend the rows, or whatever makes the features.")
    return found.float()


def trained(problem: Problem, model: str, epochs: int, seed: int) -> nn.Module:
    """A network trained on all training rows, without augmentation, for so many passes, or as many more as make 300 updates
    of a small set; none leaves it random. Others may be given the same network: leave it as it is."""
    if epochs < 0:
        raise AttarError(f"epochs={epochs} trains nothing: give 0 or more.")
    return once(problem, ("trained", model, epochs, seed), lambda: _trained(problem, model, epochs, seed))


def untrained(problem: Problem, model: str, seed: int) -> nn.Module:
    """A network at the random weights that `trained` starts from."""
    with rng.seeded(rng.derive(seed, "network")):
        return problem.task.build(model)


def _trained(problem: Problem, model: str, epochs: int, seed: int) -> nn.Module:
    network = untrained(problem, model, seed)
    if epochs:
        with problem.task.plan.applied():
            fit(problem.task, network, problem.train, whole_schedule(epochs, len(problem.train)), seed=seed)
    return network.eval()


def schedule(epochs: int, rows: int) -> Schedule:
    """So many passes over the training rows; the step size falls tenfold for the last quarter of them.

    Batches are smaller where there are few rows, so that a pass makes about twenty updates or more.
    """
    return Schedule(
        epochs - 1, lr=0.03, batch_size=min(max(rows // 20, 8), 256), decay_after=(epochs - epochs // 4 - 1,)
    )


def whole_schedule(epochs: int, rows: int) -> Schedule:
    """`schedule` of at least `LEAST_UPDATES`, by which `trained` trains."""
    batches = -(-rows // schedule(epochs, rows).batch_size)
    return schedule(max(epochs, -(-LEAST_UPDATES // batches)), rows)


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


def is_file(features: object) -> bool:
    """Whether features are to be read from a file."""
    return isinstance(features, str) and features.endswith((".npy", ".npz"))


def _from_file(problem: Problem, path: Path) -> Tensor:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                found, names = file["features"], [str(name) for name in file["rows"]]
        else:
            found, names = np.load(path, mmap_mode="r", allow_pickle=False), None
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf" or not found.size:
            raise ValueError("it holds no numbers")
        if names is not None and len(names) != len(found):
            raise ValueError(f"it has {len(names)} rows' names and {len(found)} features")
    except (OSError, ValueError, KeyError) as error:
        why = "it holds no plain arrays of numpy" if "pickle" in str(error) else str(error)
        raise AttarError(
            f"{path} cannot be read as features ({why}): save an array by numpy.save, or by numpy.savez("
            "path, features=array, rows=names of the rows)."
        ) from error
    rows = _named(problem, found, names, path) if names is not None else _in_order(problem, found, path)
    return torch.from_numpy(np.array(rows, dtype=np.float32)).flatten(1)


def _named(problem: Problem, found: np.ndarray, names: list[str], path: Path) -> np.ndarray:
    """The training rows' features by what the source calls the rows: files of a folder, else numbers."""
    where = {name: place for place, name in enumerate(names)}
    origins = [str(origin) for origin in problem.origins or range(len(problem.train))]
    lost = [origin for origin in origins if origin not in where]
    if lost:
        raise AttarError(
            f"{path} has no features of {len(lost)} of {len(origins)} training rows, '{lost[0]}' among them: name in `rows` every "
            "row as selected.csv does."
        )
    return found[[where[origin] for origin in origins]]


def _in_order(problem: Problem, found: np.ndarray, path: Path) -> np.ndarray:
    """A row for each training row, or for each row of the source where it numbers them."""
    numbers = [i for i in problem.origins or () if isinstance(i, int)]
    if found.ndim >= 2 and len(found) == len(problem.train):
        return found
    if found.ndim >= 2 and len(numbers) == len(problem.train) and max(numbers) < len(found):
        return found[numbers]  # of all the rows that the source has, also those that were set aside
    raise AttarError(
        f"{path} holds {found.shape} features and there are {len(problem.train)} training rows: give one row of features for each, "
        "in their order, or for each row of numbered data; features of files go by name, in an .npz file of `features` and `rows`."
    )
