"""Kernel ridge regression: what a model that was fitted in closed form on the synthetic rows says of the real ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from attar import rng
from attar.augment import slight
from attar.distances import Convolutional, FullyConnected, blocks, neural_kernel
from attar.distilled import Distilled, Training
from attar.estimate import roughly
from attar.matching import Matching
from attar.objectives import RidgeMatch
from attar.selection import Initial, InitialName, RandomReal
from attar.selection import named as starting_values
from attar.selection.random_rows import budget_counts
from attar.surrogates import FixedKernel, Population, RandomFeatures
from attar.training.optimisers import Adam
from attar.types import AttarError, Budget, Problem
from attar.views import Uniform

__all__ = ["LabelSolve", "form_of_labels", "frepo", "kip", "label_solve", "rfad"]

_FORMS: dict[str, Any] = {"hard": "hard", "learned": "regression"}

ROWS = 4096
"""Real rows whose kernel is held at a time."""

TIMED = 0.2
"""Seconds that a few rows take at least where the time of all is foreseen by theirs."""

TOLD_FROM = 60
"""Seconds from which on a solution is foreseen in words."""


def kip(
    kernel: str = "ntk",
    lr: float = 0.04,
    batch: int = 5000,
    labels: Literal["hard", "learned"] = "hard",
    jitter: float = 1e-6,
    augmentation: str = "",
    initial: InitialName = "real",
) -> Matching:
    """Kernel inducing points: rows on which kernel ridge regression predicts the real ones.

    ``min_S mean_t | y_t - K_ts (K_ss + jitter tr(K_ss) / n I)^-1 y_s |^2``, K the kernel of an infinitely wide network.

    Args:
        kernel: "ntk" or "nngp" of a fully connected network, "conv-ntk" or "conv-nngp" of a convolutional one; with a depth,
            "ntk-3".
        lr: step size of Adam, on the rows and on learned labels.
        batch: real rows a step, of all classes.
        labels: "learned" learns targets of regression beside the rows.
        jitter: penalty, as a share of the mean of the kernel's diagonal.
        augmentation: slight changes of each real row, operations of crop, flip, scale and rotate joined by "_"; "" for none.
        initial: where the rows start.

    Returns:
        The method; a step is one batch.

    Reference:
        Nguyen, Chen, Lee: Dataset Meta-Learning from Kernel Ridge-Regression, ICLR 2021.
    """
    return Matching(
        name="kip",
        objective=RidgeMatch(jitter),
        surrogates=FixedKernel(neural_kernel(kernel)),
        optimisers={"data": Adam(lr), "labels": Adam(lr)},
        initial=starting_values(initial),
        augmentation="",
        real_augmentation=slight(augmentation) if augmentation else None,
        labels=form_of_labels(labels),
        real_rows=Uniform(batch),
    )


def rfad(
    model: str = "convnet3-256-none",
    networks: int = 8,
    lr: float = 1e-3,
    batch: int = 5120,
    loss: Literal["cross-entropy", "squared"] = "cross-entropy",
    labels: Literal["hard", "learned"] = "learned",
    jitter: float = 5e-3,
    initial: InitialName = "real",
) -> Matching:
    """Random feature approximation: as kip, by a kernel that random networks estimate anew each step.

    Args:
        model: name of the random networks, without norms as the kernel that they estimate.
        networks: how many a step.
        lr: step size of Adam, on the rows and on learned labels.
        batch: real rows a step, of all classes.
        loss: "cross-entropy" of the predictions times a learned temperature (Platt scaling), or "squared".
        labels: "learned" learns targets of regression beside the rows.
        jitter: penalty, as a share of the mean of the kernel's diagonal.
        initial: where the rows start.

    Returns:
        The method; a step is one batch.

    Reference:
        Loo, Hasani, Amini, Rus: Efficient Dataset Distillation using Random Feature Approximation, NeurIPS 2022.
    """
    made = kip(lr=lr, batch=batch, labels=labels, initial=initial)
    return replace(
        made,
        name="rfad",
        objective=RidgeMatch(jitter, loss),
        surrogates=RandomFeatures(model, networks),
    )


def frepo(
    model: str = "convnet3",
    lr: float = 1e-3,
    batch: int = 1024,
    networks: int = 10,
    updates: int = 100,
    lr_model: float = 3e-4,
    labels: Literal["hard", "learned"] = "learned",
    jitter: float = 1e-6,
    initial: InitialName = "real",
) -> Matching:
    """Neural feature regression with pooling: ridge regression on the features of networks that learn from the rows.

    As kip, by the features' inner product under a network drawn from a pool, whose networks are trained on the synthetic
    rows an update at a time and begin anew.

    Args:
        model: name of the networks.
        lr: step size of Adam, on the rows and on learned labels.
        batch: real rows a step, of all classes.
        networks: in the pool.
        updates: of a network until it begins anew.
        lr_model: step size of Adam on the networks.
        labels: "learned" learns targets of regression beside the rows, kept apart by a margin.
        jitter: penalty, as a share of the mean of the kernel's diagonal.
        initial: where the rows start.

    Returns:
        The method; a step is one batch.

    Reference:
        Zhou, Nezhadarya, Ba: Dataset Distillation using Neural Feature Regression, NeurIPS 2022.
    """
    made = kip(lr=lr, batch=batch, labels=labels, initial=initial)
    return replace(
        made,
        name="frepo",
        objective=RidgeMatch(jitter, margin=1.0 if labels == "learned" else 0.0),
        surrogates=Population(model, networks, updates, optimiser=Adam(lr_model)),
    )


def label_solve(kernel: str = "ntk", jitter: float = 1e-6, initial: InitialName = "real") -> LabelSolve:
    """Real rows with the labels by which kernel ridge regression predicts all rows best, in closed form.

    Args:
        kernel: as of kip.
        jitter: penalty, as a share of the mean of the kernel's diagonal.
        initial: which rows.

    Returns:
        The method.

    Reference:
        Nguyen, Chen, Lee: Dataset Meta-Learning from Kernel Ridge-Regression, ICLR 2021.
    """
    return LabelSolve(neural_kernel(kernel), jitter, starting_values(initial))


@dataclass(frozen=True)
class LabelSolve:
    """``y_s = argmin sum_t | y_t - K_ts (K_ss + jitter tr(K_ss) / n I)^-1 y_s |^2`` over all training rows t, in one pass.

    Args:
        kernel: from rows to values.
        jitter: penalty, as a share of the mean of the kernel's diagonal.
        initial: the rows s.
    """

    kernel: FullyConnected | Convolutional = field(default_factory=FullyConnected)
    jitter: float = 1e-6
    initial: Initial = field(default_factory=RandomReal)
    name: str = "label_solve"

    def __post_init__(self) -> None:
        if not self.jitter > 0:
            raise AttarError(f"Ridge regression with jitter={self.jitter} does not work: give more than 0.")

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> Distilled:
        rows = self.initial(problem, budget, rng.generator(rng.draw_seed(generator), "initial"))
        y = self._solved(problem, rows.x).to(rows.x.dtype)
        spec = problem.spec
        training = Training(spec.normalisation, labels="regression", class_names=spec.class_names)
        data = rows.replace(x=spec.normalisation.undo(rows.x), y=y, weight=None, attribute=None).to("cpu")
        return Distilled(data, training)

    def foreseen(self, problem: Problem, budget: Budget) -> str:
        """What the result takes, in words; empty where that is less than a minute.

        By the time of the first rows' kernel: after one that warms up of twice as many until they take long enough to be timed.
        """
        t, kept = problem.train.x, sum(budget_counts(problem, budget).values())
        s = t[:kept]
        self._took(t[:1], s)
        rows = 1
        while (spent := self._took(t[:rows], s)) < TIMED and rows < min(ROWS, len(t)):
            rows = min(2 * rows, ROWS, len(t))
        seconds = spent * len(t) / rows
        if seconds < TOLD_FROM:
            return ""
        told = f"{len(t) * kept:,} kernel values of {len(t):,} training rows and {kept:,} kept ones"
        return f"{told}, which take about {roughly(seconds)} on this machine"

    def _took(self, t: Tensor, s: Tensor) -> float:
        start = time.perf_counter()
        float(blocks(self.kernel, t, s)[-1, -1])  # waits for the device
        return time.perf_counter() - start

    def _solved(self, problem: Problem, s: Tensor) -> Tensor:
        """``(K_ss + ...) (K_st K_ts)^+ K_st y_t`` ``(n, classes)``: K_st K_ts and K_st y_t are sums over blocks of rows t."""
        targets = problem.task.trained_by("squared").targets(problem.train).double()
        inner = torch.zeros(len(s), len(s), dtype=torch.float64, device=s.device)
        outer = torch.zeros(len(s), targets.shape[1], dtype=torch.float64, device=s.device)
        for ids in torch.arange(len(problem.train)).split(ROWS):
            k_ts = blocks(self.kernel, problem.train.x[ids], s).double()
            inner += k_ts.T @ k_ts
            outer += k_ts.T @ targets[ids]
        within = blocks(self.kernel, s.double(), s.double())
        penalised = (
            within + torch.eye(len(s), dtype=within.dtype, device=s.device) * self.jitter * within.diagonal().mean()
        )
        # on the CPU, whose driver alone takes rows that are alike
        found = torch.linalg.lstsq(inner.cpu(), outer.cpu(), driver="gelsd").solution
        return penalised @ found.to(s.device)


def form_of_labels(labels: str) -> Any:
    """The form of labels under the name that a method's user gives."""
    if labels not in _FORMS:
        raise AttarError(f"Labels are {' or '.join(_FORMS)}, not '{labels}'.")
    return _FORMS[labels]
