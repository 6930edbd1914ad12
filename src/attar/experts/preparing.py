"""What is asked of a recording, settled before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from attar.experts.foreseen import Foreseen, disk_free, foresee_scoring, foresee_time, skeleton
from attar.experts.recording import DIFFICULTY, Recording, blocks_lacking, refuse_others, settings_in
from attar.plan import WORTH_COMPILING, Plan
from attar.record import describe
from attar.training.experts import FORMAT, Course, Experts
from attar.training.shards import PRECISIONS, shard_bytes
from attar.types import AttarError, Problem

__all__ = ["prepare", "record"]

_RECORD_BYTES = 2**14
"""Room for what is written of an expert beside its shard."""


def prepare(
    problem: Problem,
    course: Course,
    count: int,
    *,
    out: str | Path,
    seed: int = 0,
    precision: Literal["fp32", "bf16"] = "fp32",
    together: int | None = None,
    plan: Plan | None = None,
    device: str = "auto",
    exact: bool = False,
    command: str = "",
) -> Recording:
    """Make a recording ready: settle how it is computed, foresee what it takes, and see that nothing is in its way.

    Args:
        problem: the data.
        course: how each expert is trained.
        count: experts in all, those that are there already among them.
        out: their folder; one of the same settings is gone on with.
        seed: of everything that is drawn.
        precision: of the stored weights; "bf16" takes half the disk. Training is the same.
        together: experts trained at a time; None for the recorded number, else for one on a CPU, where several take longer
            than one after the other, and on a GPU for as many as are fastest.
        plan: how they are computed; None for the recorded one, else chooses (see `attar.plan`).
        device: "auto", "cpu" or "cuda".
        exact: compute by the plain fp32 reference.
        command: the command line, for the record.

    Raises:
        AttarError: if something of this makes no sense, the folder holds something else, or the disk has not the room.
    """
    _check(problem, course, count, precision, together)
    path = Path(out)
    before = settings_in(path)
    if course.augmentation == "default":
        course = replace(course, augmentation=problem.spec.augmentation)
    Plan.on(device)  # refused in a sentence where it is not there
    if before is not None and plan is None:
        plan = _recorded(path, before, device, exact)
    settled = plan is not None
    plan = plan or _chosen(problem, course, count, together, device, exact)
    if plan.threads is None and plan.device == "cpu":  # recorded, so that a recording that goes on rounds alike
        plan = replace(plan, threads=torch.get_num_threads())
    if (together or 1) > 1 and (plan.compiled or plan.precision != "fp32"):
        raise AttarError(
            f"{together} experts at a time are computed by the plain reference, and these by the fast plan: train one at a time."
        )
    settings = _about(problem, course, count, seed, precision, plan, command)
    if before is not None:
        refuse_others(path, before, settings)
        together = together or before["together"]
    missing = len(set(range(count)).difference([] if before is None else Experts(str(path)).numbers))
    foreseen = Foreseen(0, course.epochs, 1, 0.0, 0, 0)
    if missing:
        plan, at_once, seconds = foresee_time(problem, course, plan, together, missing, settled)
        settings.update(plan=describe(plan)["fields"], together=at_once)
        blocks = -(-count // at_once) if before is None else len(blocks_lacking(path, count, at_once))
        disk = missing * shard_bytes(settings, count - 1)
        staged = None if (path / DIFFICULTY).is_file() else course.staged
        scoring = 0.0 if staged is None else foresee_scoring(problem, staged, plan)
        foreseen = Foreseen(missing, course.epochs, at_once, blocks * seconds, disk, disk_free(path), scoring)
        if foreseen.disk_free < disk + missing * _RECORD_BYTES:
            raise AttarError(
                f"These experts take {disk:,} bytes and {foreseen.disk_free:,} are free at {path}: make room, record fewer "
                "or shorter ones, or store them in bf16."
            )
    return Recording(problem.planned(plan), course, count, path, settings, foreseen)


def record(
    problem: Problem,
    course: Course,
    count: int,
    *,
    out: str | Path,
    seed: int = 0,
    precision: Literal["fp32", "bf16"] = "fp32",
    together: int | None = None,
    plan: Plan | None = None,
    device: str = "auto",
    exact: bool = False,
) -> Experts:
    """Record experts, or go on recording them. Arguments and errors as in `prepare`.

    Returns:
        The experts in the folder.

    Example:
        >>> problem = attar.data.load("mnist")  # doctest: +SKIP
        >>> experts = record(problem, Course(epochs=10), 10, out="runs/mnist-experts")  # doctest: +SKIP
    """
    how: dict[str, Any] = {"together": together, "plan": plan, "device": device, "exact": exact}
    recording = prepare(problem, course, count, out=out, seed=seed, precision=precision, **how)
    for _ in recording:
        pass
    return recording.finish()


def _check(problem: Any, course: Any, count: int, precision: str, together: int | None) -> None:
    """Refuse what makes no sense, before anything is done."""
    if not isinstance(problem, Problem):
        raise AttarError(f"{problem!r} is no problem: load the data first, as in attar.data.load('mnist').")
    if not isinstance(course, Course):
        raise AttarError(f"{course!r} is no course: give one, as Course(epochs=10).")
    if count < 1:
        raise AttarError(f"{count} experts are none: give a count of 1 or more.")
    if precision not in PRECISIONS:
        raise AttarError(f"Weights are not stored in '{precision}': give {' or '.join(PRECISIONS)}.")
    if together is not None and together < 1:
        raise AttarError(f"{together} experts at a time are none: give 1 or more.")
    model = skeleton(problem.task, course.model)
    if course.staged is not None:
        skeleton(problem.task, course.staged.model)
    if together is not None and together > 1 and not problem.task.independent(model):
        raise AttarError(
            f"{course.model} has batch norm, whose running means no two networks share: train one expert at a time."
        )


def _recorded(path: Path, before: Mapping[str, Any], device: str, exact: bool) -> Plan:
    """The plan of a folder; it is kept to, so that all its experts are computed alike."""
    try:
        plan = Plan(**before["plan"])
    except TypeError as error:
        raise AttarError(
            f"{path / 'experts.json'} is damaged (its plan cannot be made: {error}): record the experts in another folder."
        ) from error
    if device != "auto" and device != plan.device:
        raise AttarError(f"The experts in {path} are computed on {plan.device}, not on {device}: leave the device out.")
    if exact and (plan.compiled or plan.precision != "fp32"):
        raise AttarError(
            f"The experts in {path} are not computed by the plain reference: give another folder for exact ones."
        )
    Plan.on(plan.device)  # refused in a sentence where it is not there
    return plan


def _about(
    problem: Problem, course: Course, count: int, seed: int, precision: str, plan: Plan, command: str
) -> dict[str, Any]:
    """What experts.json says, but for how many are trained together."""
    params = dict(skeleton(problem.task, course.model).named_parameters())
    spec = problem.spec
    return {
        "format": FORMAT,
        "course": describe(course),
        "problem": {
            "name": spec.name,
            "fingerprint": spec.fingerprint,
            "source": describe(dict(spec.source)),
            "notes": [spec.split, *spec.notes],
            "classes": len(problem.task.groups),
            "shape": list(problem.train.x.shape[1:]),
            "normalisation": describe(spec.normalisation),
        },
        "seed": seed,
        "precision": precision,
        "plan": describe(plan)["fields"],
        "parameters": {name: list(value.shape) for name, value in params.items()},
        "count": count,
        "command": command,
        "scored": 0.0,
    }


def _chosen(problem: Problem, course: Course, count: int, together: int | None, device: str, exact: bool) -> Plan:
    """The fast plan where the network has kernels and it is worth compiling for them, else the plain one.

    For flat minima it is in fp32: their two gradients are taken at weights so near that bf16 rounds them to the same.
    """
    plain, fast = Plan.on(device), Plan.fast(device)
    if course.flat is not None:
        fast = replace(fast, precision="fp32")
    shown = problem.train.x[:, 0].numel() * course.epochs * count * (1 if course.flat is None else 2)
    if exact or fast == plain or (together or 1) > 1 or shown < WORTH_COMPILING:
        return plain
    task = problem.planned(fast).task
    return plain if task.kernels(skeleton(task, course.model)) is None else fast
