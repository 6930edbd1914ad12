"""Trajectory matching: a network trained on synthetic rows goes the way that experts went on real ones.

All need recorded experts: ``attar experts DATA --out FOLDER``, or `attar.experts.record`. Results of the papers are the best of
many evaluations on test data, which attar never takes.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Literal

from attar.matching import Matching
from attar.objectives import TrajectoryMatch
from attar.selection import InitialName, RightlyClassified
from attar.selection import named as starting_values
from attar.surrogates import Expert
from attar.training.experts import Experts
from attar.training.optimisers import SGD
from attar.training.unroll import Backward
from attar.types import AttarError

__all__ = ["datm", "ftd", "mtt", "pad", "tesla"]


def mtt(
    experts: str | Experts,
    inner_steps: int = 30,
    span: int = 2,
    start_before: int = 20,
    lr: float = 100.0,
    momentum: float = 0.5,
    step_size: float = 0.01,
    lr_step: float = 1e-5,
    batch: int | None = None,
    backward: Backward = "checkpoint",
    augmentation: str = "default",
    initial: InitialName = "real",
) -> Matching:
    """Dataset distillation by matching training trajectories.

    ``min_{S, a} E |w_N - w*_{t+M}|^2 / |w*_t - w*_{t+M}|^2``: w_N is reached from the expert's weights w*_t by N updates of plain
    SGD on S at the learned step size a.

    Args:
        experts: folder of recorded experts (attar experts), or an `Experts`.
        inner_steps: updates of the student, N.
        span: epochs of the expert's that these are to make up for, M.
        start_before: the expert's epoch t is drawn from those before this one.
        lr: step size on the rows.
        momentum: of the updates of the rows, and of the student's step size.
        step_size: the student's step size at the start.
        lr_step: step size on it.
        batch: synthetic rows an update of the student; None for all.
        backward: "checkpoint" keeps the weights of each update of the student, "store" its graph (faster, memory grows with the
            updates), "linear" approximates (see tesla).
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: where the rows start.

    Returns:
        The method; a step is one student.

    Reference:
        Cazenavette, Wang, Torralba, Efros, Zhu: Dataset Distillation by Matching Training Trajectories, CVPR 2022.
    """
    return Matching(
        name="mtt",
        objective=TrajectoryMatch(inner_steps, batch, backward),
        surrogates=Expert(_opened(experts), span, bound=start_before),
        optimisers={"data": SGD(lr, momentum=momentum), "step_size": SGD(lr_step, momentum=momentum)},
        initial=starting_values(initial),
        augmentation=augmentation,
        step_size=step_size,
    )


def tesla(
    experts: str | Experts,
    inner_steps: int = 30,
    span: int = 2,
    start_before: int = 20,
    lr: float = 100.0,
    momentum: float = 0.5,
    step_size: float = 0.01,
    lr_step: float = 1e-5,
    batch: int | None = None,
    labels: Literal["hard", "soft"] = "hard",
    augmentation: str = "default",
    initial: InitialName = "real",
) -> Matching:
    """Trajectory matching at constant memory: the student's gradients are held fixed on the way back.

    ``|w*_t - a sum_i g_i - w*_{t+M}|^2 / |w*_t - w*_{t+M}|^2``, each g_i taken as a function of its own rows alone: mtt's gradient
    for one update of the student, an approximation for more.

    Args:
        experts: folder of recorded experts (attar experts), or an `Experts`.
        inner_steps: updates of the student.
        span: epochs of the expert's that these are to make up for.
        start_before: the expert's start is drawn from the epochs before this one.
        lr: step size on the rows.
        momentum: of the updates of the rows, and of the student's step size.
        step_size: the student's step size at the start.
        lr_step: step size on it.
        batch: synthetic rows an update of the student; None for all.
        labels: "soft" gives each starting row the experts' probabilities, which stay; `initial` is then "real".
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: where the rows start.

    Returns:
        The method; a step is one student.

    Reference:
        Cui, Wang, Si, Hsieh: Scaling Up Dataset Distillation to ImageNet-1K with Constant Memory, ICML 2023.
    """
    made = mtt(
        experts,
        inner_steps,
        span,
        start_before,
        lr,
        momentum,
        step_size,
        lr_step,
        batch,
        "linear",
        augmentation,
        initial,
    )
    if labels not in ("hard", "soft") or (labels == "soft" and initial != "real"):
        raise AttarError(
            f"tesla with labels='{labels}' and initial='{initial}': give hard labels, or soft ones of real rows."
        )
    start = RightlyClassified(_opened(experts)) if labels == "soft" else made.initial
    return replace(made, name="tesla", labels=labels, initial=start)


def ftd(
    experts: str | Experts,
    inner_steps: int = 30,
    span: int = 2,
    start_before: int = 20,
    lr: float = 100.0,
    momentum: float = 0.5,
    step_size: float = 0.01,
    lr_step: float = 1e-5,
    batch: int | None = None,
    average: float = 0.9995,
    backward: Backward = "checkpoint",
    augmentation: str = "default",
    initial: InitialName = "real",
) -> Matching:
    """Trajectory matching on flat experts (attar experts DATA --flat), and a running mean of the rows.

    As mtt; an expert that looked for flat minima has a path from which the student's errors grow less.

    Args:
        experts: folder of recorded experts (attar experts), or an `Experts`.
        inner_steps: updates of the student.
        span: epochs of the expert's that these are to make up for.
        start_before: the expert's start is drawn from the epochs before this one.
        lr: step size on the rows.
        momentum: of the updates of the rows, and of the student's step size.
        step_size: the student's step size at the start.
        lr_step: step size on it.
        batch: synthetic rows an update of the student; None for all.
        average: share of itself that the running mean of the rows keeps at each step.
        backward: "checkpoint", "store" or "linear" (see mtt).
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: where the rows start.

    Returns:
        The method; a step is one student, the result the running mean.

    Reference:
        Du, Jiang, Tan, Zhou, Li: Minimizing the Accumulated Trajectory Error to Improve Dataset Distillation, CVPR 2023.
    """
    made = mtt(
        experts,
        inner_steps,
        span,
        start_before,
        lr,
        momentum,
        step_size,
        lr_step,
        batch,
        backward,
        augmentation,
        initial,
    )
    return replace(made, name="ftd", average=average)


def datm(
    experts: str | Experts,
    inner_steps: int = 80,
    span: int = 2,
    start_from: int = 0,
    start_before: int = 20,
    early_before: int | None = 10,
    rising: int = 1000,
    lr: float = 100.0,
    momentum: float = 0.5,
    lr_labels: float = 2.0,
    step_size: float = 0.01,
    lr_step: float = 1e-5,
    batch: int | None = None,
    threshold: float = 1.0,
    average: float | None = None,
    backward: Backward = "checkpoint",
    augmentation: str = "default",
) -> Matching:
    """Trajectory matching aligned in difficulty: which epochs are matched goes by the budget, and labels are learned.

    As mtt, with logits of labels learned beside the rows. Few rows match early epochs, where experts learn what is easy; the
    bound on the epoch rises as distillation goes on. Rows start where an expert is right, with the experts' probabilities.

    Args:
        experts: folder of recorded experts (attar experts, published with --flat), or an `Experts`.
        inner_steps: updates of the student.
        span: epochs of the expert's that these are to make up for.
        start_from: the first epoch of the expert's that is drawn.
        start_before: the expert's start is drawn from the epochs before this one.
        early_before: this bound at the first step, `start_before` at most; None for the same throughout.
        rising: steps until it has risen.
        lr: step size on the rows.
        momentum: of the updates of the rows, and of the student's step size.
        lr_labels: step size on the logits of the labels (momentum 0.9).
        step_size: the student's step size at the start.
        lr_step: step size on it.
        batch: synthetic rows an update of the student; None for all.
        threshold: steps with a larger loss change nothing.
        average: share of itself that a running mean of rows and labels keeps; None for no mean, as in the released code.
        backward: "checkpoint", "store" or "linear" (see mtt).
        augmentation: DSA strategy, "default" for the data's own, "" for none.

    Returns:
        The method; a step is one student.

    Reference:
        Guo, Wang, Cazenavette, Li, Zhang, You: Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory
        Matching, ICLR 2024.
    """
    opened = _opened(experts)
    early = None if early_before is None else min(early_before, start_before)
    made = mtt(opened, inner_steps, span, start_before, lr, momentum, step_size, lr_step, batch, backward, augmentation)
    return replace(
        made,
        name="datm",
        objective=TrajectoryMatch(inner_steps, batch, backward, threshold=threshold),
        surrogates=Expert(opened, span, start_from, start_before, early, rising),
        optimisers={**made.optimisers, "labels": SGD(lr_labels, momentum=0.9)},
        initial=RightlyClassified(opened),
        labels="logits",
        average=average,
    )


def pad(
    experts: str | Experts,
    inner_steps: int = 80,
    span: int = 2,
    start_from: int = 0,
    start_before: int = 20,
    early_before: int | None = 10,
    rising: int = 1000,
    lr: float = 100.0,
    momentum: float = 0.5,
    lr_labels: float = 2.0,
    step_size: float = 0.01,
    lr_step: float = 1e-5,
    batch: int | None = None,
    threshold: float = 1.0,
    shallow: float = 0.5,
    backward: Backward = "checkpoint",
    augmentation: str = "default",
) -> Matching:
    """Prioritised alignment: datm on experts that learned from easy rows to hard ones, matching deep weights alone.

    As datm; the distance leaves out the shallow weights, and experts are recorded with --staged.

    Args:
        experts: folder of recorded experts (attar experts, published with --flat --staged), or an `Experts`.
        inner_steps: updates of the student.
        span: epochs of the expert's that these are to make up for.
        start_from: the first epoch of the expert's that is drawn.
        start_before: the expert's start is drawn from the epochs before this one.
        early_before: this bound at the first step, `start_before` at most; None for the same throughout.
        rising: steps until it has risen.
        lr: step size on the rows.
        momentum: of the updates of the rows, and of the student's step size.
        lr_labels: step size on the logits of the labels (momentum 0.9).
        step_size: the student's step size at the start.
        lr_step: step size on it.
        batch: synthetic rows an update of the student; None for all.
        threshold: steps with a larger loss change nothing.
        shallow: share of the weights, from the input on, that the distance leaves out.
        backward: "checkpoint", "store" or "linear" (see mtt).
        augmentation: DSA strategy, "default" for the data's own, "" for none.

    Returns:
        The method; a step is one student.

    Reference:
        Li, Guo, Zhao, Zhang, Cheng, Khaki, Sajedi, Plataniotis, Wang, You: Prioritize Alignment in Dataset Distillation,
        arXiv 2408.03360, 2024.
    """
    made = datm(
        experts,
        inner_steps,
        span,
        start_from,
        start_before,
        early_before,
        rising,
        lr,
        momentum,
        lr_labels,
        step_size,
        lr_step,
        batch,
        threshold,
        backward=backward,
        augmentation=augmentation,
    )
    return replace(made, name="pad", objective=TrajectoryMatch(inner_steps, batch, backward, shallow, threshold))


def _opened(experts: str | Experts) -> Experts:
    if isinstance(experts, Experts):
        return experts
    if not isinstance(experts, str | os.PathLike):
        raise AttarError(
            f"{experts!r} is no folder of experts: give the path of one (attar experts DATA --out FOLDER)."
        )
    return Experts.load(experts)
