"""Ridge regression on the synthetic rows predicts the real ones: its closed form is differentiated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from attar.distances import ridge
from attar.surrogates import Kernel, Weights
from attar.synthetic.synthetic import LabelForm
from attar.training import passes
from attar.training.optimisers import Adam, Optimiser, update
from attar.types import AttarError, Batch, Problem, Task
from attar.views import View

__all__ = ["RidgeMatch"]


@dataclass(frozen=True)
class RidgeMatch:
    """``mean_t | y_t - f_t |^2  -  margin mean_s min(gap_s, 1 / classes)``, ``f = K_ts (K_ss + jitter tr(K_ss) / n I)^-1 y_s``

    f are the predictions for real rows t of ridge regression on the synthetic rows s, y the targets: of class ids one
    for a row's class and nought for the others, less their mean. K is the surrogate's kernel, of a network its features' inner
    product. Rows that weigh count as often, as in a weighted squared loss. Systems are built and solved in float64.

    Args:
        jitter: ridge penalty, as a share of the mean of K_ss's diagonal.
        loss_form: "squared" as above, or "cross-entropy" of ``temperature f`` in place of the first term: Platt scaling, by a
            temperature that is learned along, from 1.
        margin: weight of the second term; gap_s is how far the largest of a row's learned targets is above the next, so that
            labels stay apart.
        temperature: optimiser of the temperature's logarithm.

    Reference:
        Nguyen, Chen, Lee: Dataset Meta-Learning from Kernel Ridge-Regression, ICLR 2021 (KIP); Loo, Hasani, Amini, Rus:
        Efficient Dataset Distillation using Random Feature Approximation, NeurIPS 2022 (cross-entropy); Zhou, Nezhadarya,
        Ba: Dataset Distillation using Neural Feature Regression, NeurIPS 2022 (margin, as in its public code).
    """

    jitter: float = 1e-6
    loss_form: Literal["squared", "cross-entropy"] = "squared"
    margin: float = 0.0
    temperature: Optimiser = Adam(1e-2)

    reads: ClassVar[tuple[type, ...]] = (Kernel, Weights)
    labels: ClassVar[tuple[LabelForm, ...]] = ("hard", "regression")

    def __post_init__(self) -> None:
        if self.loss_form not in ("squared", "cross-entropy"):
            raise AttarError(f"Predictions are not judged by '{self.loss_form}': give squared or cross-entropy.")
        if not self.jitter > 0:
            raise AttarError(f"Ridge regression with jitter={self.jitter} has no penalty: give more than 0.")
        if not self.margin >= 0:
            raise AttarError(f"A margin of {self.margin} would push labels together: give 0 or more.")

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        if self.loss_form == "squared":
            return {}
        nought = torch.zeros((), dtype=torch.float64, device=problem.train.x.device)
        return {"step": 0, "log_temperature": nought, "optimiser": None}

    def loss(
        self, task: Task, surrogate: Kernel | Weights, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        rows, shown = real.draw(), synthetic.draw()
        kernel = surrogate if isinstance(surrogate, Kernel) else _of_features(task, surrogate)
        there, here = kernel.represent(rows, False), kernel.represent(shown, True)
        centred = task.trained_by("squared").targets
        targets, wanted = centred(shown).double(), centred(rows).double()
        within = here.double()  # a small system, and a jitter that float32 would not see
        root = torch.ones_like(targets[:, :1]) if shown.weight is None else _root(shown.weight)
        solved = root * ridge(root * kernel.between(within, within) * root.T, root * targets, self.jitter)
        predicted = kernel.between(there, here).double() @ solved
        numbers = None in task.groups  # a target of numbers, of which there is no accuracy
        if numbers and self.loss_form != "squared":
            raise AttarError(
                "The target is a number and no class, so its loss is the squared one: choose a method of that loss, as kip."
            )
        info = {} if numbers else {"accuracy": (predicted.argmax(1) == wanted.argmax(1)).double().mean().detach()}
        if self.loss_form == "squared":
            loss, after = ((wanted - predicted) ** 2).sum(1).mean(), state
        else:
            loss, after = self._scaled(predicted, wanted.argmax(1), state)
            info["temperature"] = state["log_temperature"].exp()
        if self.margin and targets.shape[1] > 1:
            top = targets.topk(2, 1).values
            loss = loss - self.margin * (top[:, 0] - top[:, 1]).clamp_max(1 / targets.shape[1]).mean()
        return loss, info, after

    def _scaled(self, predicted: Tensor, classes: Tensor, state: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """The cross-entropy, and the state after the temperature went down it as well."""
        log = state["log_temperature"].detach().clone().requires_grad_()
        loss = F.cross_entropy(log.exp() * predicted, classes)
        [slope] = torch.autograd.grad(loss, [log], retain_graph=True)
        moved = log.detach().clone()
        moved.grad = slope
        kept = update(self.temperature, [moved], state["optimiser"], state["step"])
        return loss, {**state, "step": state["step"] + 1, "log_temperature": moved.detach(), "optimiser": kept}


def _root(weight: Tensor) -> Tensor:
    """By which a row is as many rows as it weighs ``(n, 1)``: the root of weights of mean 1."""
    return (weight / weight.mean()).double().sqrt().unsqueeze(1)


def _of_features(task: Task, network: Weights) -> Kernel:
    """The inner product of a network's last features."""

    def represent(batch: Batch, learned: bool) -> Tensor:
        found = passes.features_of if learned else passes.features
        return found(task, network.model, network.params, batch)[-1].flatten(1)

    return Kernel(represent, lambda a, b: a @ b.T)
