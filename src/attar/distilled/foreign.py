"""Sets that others made: the .pt files of public repositories, and npz files. Tensors are read, and nothing is run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attar.batches import Images
from attar.distilled.card import Training
from attar.distilled.dataset import Distilled
from attar.distilled.unpacking import all_tensors, arrays_in, children_of, tensors_in
from attar.errors import AttarError
from attar.types import Normalisation, Problem

__all__ = ["is_foreign", "read_foreign"]

_LABELS = ("y", "label", "labels", "label_syn", "target", "targets", "train_labels", "y_train")
"""Names by which labels are known where several tensors have a number a row."""

_HOW = (
    "give --normalisation data for images normalised by the data's mean and std (as DC, DSA, DM, DataDAM and MTT save "
    "them), none for images in [0, 1] (IDC), or MEAN/STD with a number a channel, such as 0.1307/0.3081"
)


def is_foreign(path: str | Path) -> bool:
    """Whether a path names a file of others, by its ending: .pt, .pth or .npz."""
    return Path(path).suffix.lower() in (".pt", ".pth", ".npz")


def read_foreign(
    path: str | Path, problem: Problem, normalisation: str | None = None, experiment: int | None = None
) -> Distilled:
    """Read a set that another program saved.

    The images are found by their shape, and the labels by their number, wherever they lie in lists, tuples and
    dictionaries: ``{"data": [[images, labels], ...]}`` (DC, DSA, DM, DataDAM), ``[images, labels]`` (IDC), or images alone
    with ``labels_*.pt`` beside ``images_*.pt`` and where there is one the learned step size in ``lr_*.pt`` (MTT and its
    descendants). Of an npz the arrays' names do not matter either. Labels that are nowhere are taken to be so many images
    a class, in order.

    Args:
        path: a .pt, .pth or .npz file.
        problem: whose images and classes these are to stand for.
        normalisation: what was done to the images: "data" (normalised as the problem's are), "none" (they are in [0, 1]),
            or "MEAN/STD" with one number or a number a channel, separated by commas. It need not be given for 8 bit
            images and those that lie within [0, 1].
        experiment: which set of a file of several, from 0; the last by default. DC, DSA and DM save one set an experiment;
            DataDAM saves the set after each evaluation, the finished one last.

    Returns:
        The set in raw units. ``made_by["notes"]`` says what was taken for granted.

    Raises:
        AttarError: if the file cannot be read or holds more than numbers, has no images of that size, no such set, labels
            that do not fit, or values that are not finite; or if it cannot be known how its images were normalised.
    """
    path = Path(path)
    tree = arrays_in(path) if path.suffix.lower() == ".npz" else tensors_in(path)
    shape: tuple[int, ...] = tuple(problem.test.x.shape[1:])
    classes = len(problem.spec.class_names)
    try:
        sets = _sets(path, tree, shape, classes)
    except RecursionError as error:
        raise AttarError(f"{path} holds lists within themselves: save [images, labels] by torch.save.") from error
    if not sets:
        there = (
            ", ".join(str(tuple(tensor.shape)) for tensor in list(all_tensors(tree))[:6])
            or "none, as numpy's are not read"
        )
        raise AttarError(
            f"{path} holds no images of {shape}, which {problem.spec.name} has; its tensors: {there}: name the data that the "
            "set was made from, at its size."
        )
    number = len(sets) - 1 if experiment is None else experiment
    if not 0 <= number < len(sets):
        raise AttarError(f"{path} has the sets 0 to {len(sets) - 1}, and no {number}: give --experiment one of them.")
    notes = [f"{path.name} holds {len(sets)} sets; this is number {number}, from 0."] if len(sets) > 1 else []
    images, labels = sets[number]
    beside = _beside(path, "labels")
    if labels is None and beside is not None:
        labels = _labels_of(beside, {"images": images, "labels": _one(beside)}, "images", len(images), classes)
        notes.append(
            "If its images were whitened by ZCA (MTT on CIFAR), which no file says, these scores do not count."
        )
    y = _labels(path, labels, len(images), problem, notes)
    x, scale = _raw(path, images, problem, normalisation, notes)
    step_size = _step_size(path, notes)
    training = Training(
        problem.spec.normalisation,
        labels="hard" if y.dim() == 1 else "soft",
        class_names=problem.spec.class_names,
        step_size=step_size,
        augmentation=problem.spec.augmentation,
    )
    made_by = {"name": path.name, "file": str(path), "normalisation": scale, "notes": notes}
    return Distilled(Images(x, y), training, made_by)


def _sets(path: Path, tree: Any, shape: tuple[int, ...], classes: int) -> list[tuple[Tensor, Tensor | None]]:
    """All sets of a tree in their order: images ``(n, c, h, w)`` and the labels that stand beside them."""
    if isinstance(tree, Tensor):
        images = _images(tree, shape)
        return [] if images is None else [(images, None)]
    children = children_of(tree)
    tensors = {key: child for key, child in children if isinstance(child, Tensor)}
    here = {key: images for key, child in tensors.items() if (images := _images(child, shape)) is not None}
    if len(here) > 1:
        raise AttarError(
            f"{path} holds {len(here)} tensors of images side by side ({', '.join(map(str, here))}): save the one to judge "
            "with its labels."
        )
    if here:
        [(key, images)] = here.items()
        return [(images, _labels_of(path, tensors, key, len(images), classes))]
    return [found for _, child in children for found in _sets(path, child, shape, classes)]


def _images(tensor: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """``(n, c, h, w)``, where a tensor is images of this shape with channels first, last or, of grey ones, left out."""
    channels, height, width = shape
    each = tuple(tensor.shape[1:])
    if not len(each) or not len(tensor):
        return None
    if each == shape:
        return tensor
    if each == (height, width, channels):
        return tensor.movedim(-1, 1)
    return tensor[:, None] if channels == 1 and each == (height, width) else None


def _labels_of(path: Path, tensors: Mapping[Any, Tensor], images: Any, rows: int, classes: int) -> Tensor | None:
    """The labels among the tensors beside images; None where nothing could be labels."""
    others = {
        key: tensor
        for key, tensor in tensors.items()
        if key != images and tensor.dim() in (1, 2) and (tensor.numel() > 1 or rows == 1)
    }
    fitting = {key: item for key, item in others.items() if tuple(item.shape) in ((rows,), (rows, 1), (rows, classes))}
    named = {key: item for key, item in fitting.items() if str(key).lower() in _LABELS} or fitting
    if len(named) > 1:
        raise AttarError(f"{path} has several tensors that could be labels ({', '.join(map(str, named))}): save one.")
    if others and not named:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in others.values())
        raise AttarError(
            f"The labels in {path} are of shape {shapes} for {rows} images in {classes} classes: save a class id an image, "
            "or a probability a class."
        )
    return next(iter(named.values()), None)


def _beside(path: Path, what: str) -> Path | None:
    """``labels_best.pt`` of ``images_best.pt``, where it is there."""
    other = path.with_name(re.sub(r"^images(_zca)?", what, path.name))
    return other if other != path and other.is_file() else None


def _one(path: Path) -> Tensor:
    """The only tensor of a file."""
    tree = tensors_in(path)
    if not isinstance(tree, Tensor):
        raise AttarError(f"{path} is to be one tensor of labels, and is not: save it by torch.save(labels, path).")
    return tree


def _labels(path: Path, labels: Tensor | None, rows: int, problem: Problem, notes: list[str]) -> Tensor:
    """Class ids ``(n,)``, int64, or probabilities ``(n, classes)``, float32, checked."""
    classes = len(problem.spec.class_names)
    if labels is None:
        each, left = divmod(rows, classes)
        if left:
            raise AttarError(
                f"{path} has no labels for its {rows} images, which are not as many of each of the {classes} classes of "
                f"{problem.spec.name}: save [images, labels]."
            )
        images = "1 image a class was" if each == 1 else f"{each} images a class were"
        notes.append(f"{path.name} has no labels: {images} assumed, in the order of the classes.")
        return torch.arange(classes).repeat_interleave(each)
    labels = labels.detach()
    if labels.dim() == 2 and labels.shape[1] == classes and classes > 1:
        soft = labels.float()
        if bool((soft < 0).any()) or not torch.allclose(soft.sum(1), torch.ones(rows), atol=1e-3):
            raise AttarError(
                f"The soft labels of {path} are no probabilities (a row of them is to sum to 1): save their softmax, where they "
                "are logits."
            )
        ids = bool(((soft == 0) | (soft == 1)).all())  # one-hot
        return soft.argmax(1) if ids else soft
    numbers = labels.flatten().double()
    if (
        not bool((numbers.isfinite() & (numbers == numbers.round())).all())
        or not 0 <= int(numbers.min()) <= int(numbers.max()) < classes
    ):
        raise AttarError(
            f"The labels of {path} run from {numbers.min().item():g} to {numbers.max().item():g}, and the class ids of "
            f"{problem.spec.name} are 0 to {classes - 1}: name the data that the set was made from."
        )
    missing = classes - len(numbers.unique())
    if missing:
        notes.append(f"{path.name} has no image of {missing} of the {classes} classes.")
    return numbers.long()


def _raw(
    path: Path, images: Tensor, problem: Problem, asked: str | None, notes: list[str]
) -> tuple[Tensor, dict[str, list[float]]]:
    """Images in raw units, float32, and the normalisation that was undone."""
    x = images.detach().float()
    bits = not images.is_floating_point()
    if bits and bool((x > 1).any()):
        x = x / 255
    if not bool(x.isfinite().all()):
        wrong = int((~x.isfinite()).flatten(1).any(1).sum())
        raise AttarError(f"{wrong} of {len(x)} images in {path} hold values that are not finite: save the set again.")
    low, high = x.min().item(), x.max().item()
    within = low >= 0 and high <= 1
    if asked is None and not within:
        raise AttarError(
            f"{path} does not say how its images, with values from {low:.3g} to {high:.3g}, were normalised: {_HOW}."
        )
    scale = _scale("none" if asked is None else asked, problem)
    if bits and asked not in (None, "none"):
        raise AttarError(
            f"The images of {path} are whole numbers, so they are not normalised: leave --normalisation out."
        )
    if asked == "none" and not -1 <= low <= high <= 2:
        raise AttarError(f"The images of {path} have values from {low:.3g} to {high:.3g}, far outside [0, 1]: {_HOW}.")
    if asked in (None, "none"):
        notes.append(
            "Its images were taken for raw ones in [0, 1], one image each: those that hold several (IDC with a factor above 1) "
            "have to be decoded first."
        )
    else:
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (scale.mean, scale.std))
        seldom = "; all lie within [0, 1], as normalised ones seldom do" if within else ""
        notes.append(f"Its images were taken for normalised by mean {mean} and std {std}{seldom}.")
    return scale.undo(x).contiguous(), {"mean": list(scale.mean), "std": list(scale.std)}


def _scale(asked: str, problem: Problem) -> Normalisation:
    """The normalisation that was applied, by what the user says of it."""
    channels = len(problem.spec.normalisation.mean)
    if asked == "none":
        return Normalisation((0.0,) * channels, (1.0,) * channels)
    if asked == "data":
        if problem.spec.normalisation.whitening is not None:
            raise AttarError(
                f"--normalisation data says nothing where {problem.spec.name} is whitened: give the numbers, as MEAN/STD."
            )
        return problem.spec.normalisation
    if asked.lower() == "zca":
        raise AttarError(
            "Sets of ZCA-whitened images cannot be judged, since test images would have to be whitened alike: save them with "
            "the whitening undone (MTT's images_zca_*.pt), and give --normalisation none."
        )
    try:
        mean, std = (tuple(float(value) for value in part.split(",")) for part in asked.split("/"))
    except ValueError as error:
        raise AttarError(f"'{asked}' is no normalisation: {_HOW}.") from error
    mean, std = (values * channels if len(values) == 1 else values for values in (mean, std))
    if {len(mean), len(std)} != {channels} or not all(map(math.isfinite, mean + std)) or min(std) <= 0:
        raise AttarError(
            f"The normalisation '{asked}' is to be finite numbers, std above 0, one or {channels} each: {_HOW}."
        )
    return Normalisation(mean, std)


def _step_size(path: Path, notes: list[str]) -> float | None:
    """The learned step size that lies beside images, as MTT's descendants save it."""
    file = _beside(path, "lr")
    if file is None:
        return None
    found = tensors_in(file)
    value = found.item() if isinstance(found, Tensor) and found.numel() == 1 else found
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise AttarError(f"{file} is to be a step size above 0, and is not: move it away, or save it again.")
    notes.append(f"Networks were trained with the learned step size {value:.3g} of {file.name}.")
    return float(value)
