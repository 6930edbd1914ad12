"""Matching: the one iterative method. Five parts, an optimiser a group, a sampler a side."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from attar import augment, rng
from attar.augment import Augment, DCAugment, Siamese
from attar.distilled import Distilled, Own, Training
from attar.objectives import Objective
from attar.record import describe
from attar.selection import Balanced, Initial, RandomReal, Rare
from attar.surrogates import Source
from attar.synthetic import Parameterisation, Pixels, Synthetic
from attar.synthetic.pace import paced, reach, stretch
from attar.synthetic.synthetic import GROUPS, LEARNED, OF_CLASSES, LabelForm
from attar.training.optimisers import SGD, Adam, Optimiser, update
from attar.types import AttarError, Batch, Budget, Problem
from attar.views import Everything, PerClass, Sampler, View

__all__ = ["Matching"]


_PARTS = {
    "objective": ("one of attar.objectives", ("reads",)),
    "surrogates": ("one of attar.surrogates", ("yields",)),
    "synthetic": ("one of attar.synthetic", ("build",)),
    "initial": ("one of attar.selection, such as RandomReal() or KMeans()", ("__call__",)),
}
"""What is owed by the parts that others build on, and where there are some."""

START_LEFT = 0.1
"""Share of a running mean that its start may have at the end without a word."""


@dataclass(frozen=True)
class Matching:
    """Minimise ``E[objective(task, surrogate, synthetic, real)]`` over the synthetic data by stochastic gradients.

    A published method is a function that returns one of these; ``dataclasses.replace`` swaps a part.

    Args:
        objective: what is minimised.
        surrogates: where a step's network comes from.
        optimisers: one for each group of learned parameters: "data", "labels", "step_size", ... What a parameterisation
            shares between rows ("addresses", "hallucinators", "decoders") and has none here takes that of "data", its
            step size scaled so that a step moves the rows no further than a step on the rows would (see
            `attar.synthetic.pace`). Those of attar's groups that the parts at hand do not have are passed over.
        synthetic: how rows are stored.
        initial: where they start.
        augmentation: the views that are compared, the same transform on both sides: "default" for the data's own DSA
            strategy, "" for none, a strategy's name, or a part of `attar.augment`.
        real_augmentation: of drawn real rows alone, in its place; None for the same as the synthetic rows'.
        labels: "hard", "soft" (fixed targets), "learned", "logits" (learned as logits, of which the set has the softmax), or
            "regression" (learned targets of the squared loss, that networks are trained by on the set).
        step_size: starting value of a learned step size of training, or of several, one for each update that the objective
            makes; None for none.
        real_rows: how real rows are drawn; by odds that are worked out once (see `attar.selection.odds`), or alike.
        synthetic_rows: how synthetic rows are drawn.
        average: share of itself that a running mean of rows and labels keeps at each step; that mean is the result. None
            for the last state.
        name: the published name, under which recipes and reports know it.
    """

    objective: Objective
    surrogates: Source
    optimisers: Mapping[str, Optimiser] = field(default_factory=lambda: {"data": SGD(1.0, momentum=0.5)})
    synthetic: Parameterisation = field(default_factory=Pixels)
    initial: Initial = field(default_factory=RandomReal)
    augmentation: str | Augment = "default"
    real_augmentation: Augment | None = None
    labels: LabelForm = "hard"
    step_size: float | tuple[float, ...] | None = None
    real_rows: Sampler | Balanced | Rare = field(default_factory=PerClass)
    synthetic_rows: Sampler = field(default_factory=Everything)
    average: float | None = None
    name: str = "matching"

    def __post_init__(self) -> None:
        for name, (what, owes) in _PARTS.items():
            part = getattr(self, name)
            if isinstance(part, type) or not all(hasattr(part, each) for each in owes):
                made = f": make it, as {part.__name__}()" if isinstance(part, type) else f": give {what}"
                raise AttarError(f"{name}={part!r} is no part of a method{made}.")
        if self.surrogates.yields not in self.objective.reads:
            wanted = " or ".join(kind.__name__ for kind in self.objective.reads)
            raise AttarError(
                f"{type(self.objective).__name__} reads {wanted}, but {type(self.surrogates).__name__} yields "
                f"{self.surrogates.yields.__name__}: choose another source of surrogates or another objective."
            )
        for part, taken in ((self.objective, OF_CLASSES), (self.surrogates, (*OF_CLASSES, "regression"))):
            taken = getattr(part, "labels", taken)
            if self.labels not in taken:
                raise AttarError(
                    f"{type(part).__name__} takes labels that are {', '.join(taken[:-1])} or {taken[-1]}, and not "
                    f"'{self.labels}': choose one of these, or another part."
                )
        if self.average is not None and not 0 < self.average < 1:
            raise AttarError(
                f"A running mean that keeps {self.average} of itself is none: give a share between 0 and 1."
            )
        paces = self.step_size if isinstance(self.step_size, tuple) else (self.step_size,)
        if not paces or any(pace is not None and not pace > 0 for pace in paces):
            raise AttarError(f"A network cannot be trained at step size {self.step_size}: give more than 0.")
        for group, wanted_when in (
            ("labels", self.labels in LEARNED),
            ("step_size", self.step_size is not None),
        ):
            if wanted_when and group not in self.optimisers:
                raise AttarError(f"Learned {group} need an optimiser: add optimisers={{..., '{group}': SGD(...)}}.")

    def cautions(self, steps: int) -> list[str]:
        """What of its settings does not suit a run of so many steps, a sentence each."""
        found = list(getattr(self.surrogates, "cautions", lambda steps: [])(steps))
        left = 0.0 if self.average is None else self.average**steps
        if steps and left > START_LEFT:
            digits = 10 ** len(str(steps))  # rounded down, or it would not suit them either
            fewer = math.floor(START_LEFT ** (1 / steps) * digits) / digits
            found.append(
                f"the set is a running mean over the steps, of which its start still has {100 * left:.0f} % after {steps:,}: a mean that "
                f"keeps less of itself at each (average {fewer:g}) suits them"
            )
        return found

    def init(self, problem: Problem, budget: Budget, generator: torch.Generator) -> dict[str, Any]:
        """The state before the first step; every number drawn later comes from the seed in it."""
        if isinstance(self.real_rows, Balanced | Rare):
            self.real_rows.check(problem)
        if problem.train.x.dim() != 4 and (self._strategy(problem) or self.real_augmentation is not None):
            raise AttarError(
                f"An augmentation changes images, and rows of {problem.spec.name} are none: leave it out (augmentation='')."
            )
        self.synthetic.check(problem, budget, self.labels)
        seed = rng.draw_seed(generator)
        start = rng.generator(seed, "initial")
        each = self.synthetic.each
        rows = self.initial(problem, budget, start) if each == 1 else self.initial(problem, budget, start, each)
        rows = rows.replace(attribute=None)  # what a row shows when it has been learned is not what it began with
        source = rng.generator(seed, "synthetic")
        module = Synthetic.start(self.synthetic, rows, problem, source, self.labels, self.step_size)
        self._check_groups(list(module.groups()))
        measure = reach if isinstance(self.optimisers.get("data"), Adam) else stretch
        paces = {name: paced(module, name, source, measure) for name in module.groups() if name not in self.optimisers}
        prepared = {**getattr(self.initial, "prepared", {}), **getattr(self.surrogates, "prepared", {})}
        return {
            "seed": seed,
            "step": 0,
            **({"prepared": prepared} if prepared else {}),
            "synthetic": module.tensors(),
            **({} if self.average is None else {"average": module.tensors()}),
            **({"paces": paces} if paces else {}),
            "optimisers": {},
            "surrogates": self.surrogates.init(problem, rng.generator(seed, "surrogates")),
            "objective": self.objective.init(problem, rng.generator(seed, "objective")),
        }

    def step(self, problem: Problem, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """One update of the synthetic data. The given state is left as it is."""
        state = {**state, **self._odds(problem, state)}
        module = self._module(problem, state)
        synthetic, real = self._views(problem, module, state)
        source = rng.generator(state["seed"], "network", state["step"])
        surrogate, surrogates = self.surrogates.next(state["surrogates"], problem, synthetic, real, source)
        loss, info, objective = self.objective.loss(problem.task, surrogate, synthetic, real, state["objective"])
        after = {**state, "step": state["step"] + 1, "surrogates": surrogates, "objective": objective}
        if not loss.requires_grad and "skipped" not in info:
            raise AttarError(
                f"The loss of {type(self.objective).__name__} does not depend on the rows, so nothing is learned from it: "
                "an objective that skips a step says so (see attar.objectives)."
            )
        if "skipped" in info:
            after["skipped"] = state.get("skipped", 0) + int(not loss.requires_grad)
        if loss.requires_grad:
            after["optimisers"] = self._update(module, loss, state)
            module.project(problem.spec.normalisation)
            after["synthetic"] = module.tensors()
        if self.average is not None:
            after["average"] = self._averaged(state["average"], after["synthetic"])
        return after, {"loss": loss.detach(), **info}

    def finish(self, problem: Problem, state: dict[str, Any]) -> Distilled:
        """The synthetic data in raw units.

        Its record has what was made before the run (``prepared``: by kind a record with ``seconds`` and ``count``), and how
        many steps were skipped.
        """
        made_by: dict[str, Any] = {name: state[name] for name in ("prepared", "skipped") if name in state}
        module = self._module(problem, state, "synthetic" if self.average is None else "average")
        each = module.learned["step_size"].tolist() if "step_size" in module.learned else None
        training = Training(
            normalisation=problem.spec.normalisation,
            labels="learned" if self.labels == "logits" else self.labels,
            class_names=problem.spec.class_names,
            step_size=sum(each) / len(each) if isinstance(each, list) else each,
            augmentation=self._strategy(problem),
            step_sizes=tuple(each) if isinstance(each, list) else (),
            own=self._own(problem, state, module),
        )
        undo = problem.spec.normalisation.undo
        if not self.synthetic.decodes:
            with torch.no_grad():
                rows = module().detach().to("cpu")
            return self._settled(problem, state, Distilled(rows.replace(x=undo(rows.x)), training, made_by))
        stored = {name: value.to("cpu") for name, value in module.stored().items()}
        like = problem.train.take(torch.tensor([], dtype=torch.long)).to("cpu")
        tensors = dict(stored)
        y = tensors.pop("y", None)
        with torch.no_grad():  # of what is stored and on the CPU, as whoever loads the set decodes it
            rows = self.synthetic.restore(tensors, like)(y).detach()
        return Distilled(
            rows.replace(x=undo(rows.x)), training, made_by, stored=stored, decoder=describe(self.synthetic)
        )

    def _settled(self, problem: Problem, state: dict[str, Any], value: Distilled) -> Distilled:
        """The set after what its objective does to finished rows, if anything."""
        settle = getattr(self.objective, "settle", None)
        return value if settle is None else settle(problem, state["objective"], value)

    def _own(self, problem: Problem, state: dict[str, Any], module: Synthetic) -> Own | None:
        """The updates that networks make on the rows from their start, where objective and surrogates have them do so."""
        how, source = getattr(self.objective, "own", None), self.surrogates
        if how is None or not hasattr(source, "fixed_start"):
            return None
        with torch.no_grad():
            rows = len(module())
        return how(problem.task, source.model, rows, source.fixed_start(problem, state["surrogates"]))  # type: ignore[attr-defined]

    def _strategy(self, problem: Problem) -> str:
        """By name; of a part of `attar.augment` the nearest that has one."""
        if isinstance(self.augmentation, DCAugment):
            return "dc"
        if not isinstance(self.augmentation, str):
            return getattr(self.augmentation, "strategy", "")
        return problem.spec.augmentation if self.augmentation == "default" else self.augmentation

    def _check_groups(self, groups: list[str]) -> None:
        """Refuse an optimiser of a group that there is not, which would be of no use in silence, and rows of which nothing
        is learned, or not by any optimiser."""
        part = type(self.synthetic).__name__
        if not groups:
            raise AttarError(
                f"Nothing would be learned: the rows of {part} stay as they are, so learn labels (labels='logits') or a step_size."
            )
        if "data" not in self.optimisers and not set(groups) <= set(self.optimisers):
            lacking = [name for name in groups if name not in self.optimisers]
            raise AttarError(f"{part} learns {lacking}, for which there is no optimiser: add it to optimisers=.")
        known = list(dict.fromkeys([*groups, *GROUPS]))
        for name in self.optimisers:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise AttarError(
                    f"There is no group of parameters '{name}' for an optimiser: {hint}{part} has {', '.join(groups)}."
                )

    def _module(self, problem: Problem, state: dict[str, Any], which: str = "synthetic") -> Synthetic:
        tensors = {name: value.clone() for name, value in state[which].items()}
        return Synthetic.restore(self.synthetic, tensors, problem.train, self.labels)

    def _views(self, problem: Problem, module: Synthetic, state: dict[str, Any]) -> tuple[View, View]:
        if isinstance(self.augmentation, str):
            strategy = self._strategy(problem)
            changes: tuple[Augment, Augment] = (
                augment.named(strategy, shared=True),
                augment.named(strategy, shared=False),
            )
        else:
            part = self.augmentation
            # shared by both sides; rows that networks are trained on are changed each by itself
            changes = part, replace(part, shared=False) if isinstance(part, Siamese) else part
        seed, step = state["seed"], state["step"]
        shared = rng.derive(seed, "augment", step)
        rows: Batch = module()
        members = {group: ids.cpu() for group, ids in problem.task.members(rows).items()}
        synthetic = View(
            rows, members, self.synthetic_rows, *changes, rng.derive(seed, "synthetic", step), shared, module.learned
        )
        drawn = self.real_rows
        sampler = drawn.sampler(state["odds"]) if isinstance(drawn, Balanced | Rare) else drawn
        if self.real_augmentation is not None:
            changes = self.real_augmentation, self.real_augmentation
        real = View(problem.train, problem.members, sampler, *changes, rng.derive(seed, "real", step), shared)
        return synthetic, real

    def _odds(self, problem: Problem, state: dict[str, Any]) -> dict[str, Any]:
        """Those of the real rows, where they are drawn by any: worked out in the first step, whose seconds count them."""
        drawn = self.real_rows
        if "odds" in state or not isinstance(drawn, Balanced | Rare):
            return {}
        return {"odds": drawn.odds(problem, rng.derive(state["seed"], "odds"))}

    def _update(self, module: Synthetic, loss: Tensor, state: dict[str, Any]) -> dict[str, Any]:
        before, paces = state["optimisers"], state.get("paces", {})
        groups = module.groups()
        params = [param for group in groups.values() for param in group]
        slopes = torch.autograd.grad(loss, params, allow_unused=True)
        for param, slope in zip(params, slopes, strict=True):
            param.grad = slope
        after = {}
        for name, group in groups.items():
            if all(param.grad is None for param in group):
                raise AttarError(
                    f"{type(self.objective).__name__} does not depend on the group '{name}', so it cannot learn it: "
                    f"keep it fixed, or choose an objective that reads it."
                )
            if name in paces:
                after[name] = self._paced(group, paces[name], before.get(name, {}), state["step"])
            else:
                after[name] = update(self.optimisers[name], group, before.get(name), state["step"])
        return after

    def _averaged(self, before: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The running mean of rows and learned labels; class ids and the step size are as they are now."""
        assert self.average is not None
        mean = {}
        for name, value in now.items():
            fixed = name == "step_size" or not value.is_floating_point()
            mean[name] = value if fixed else before[name].lerp(value, 1 - self.average)
        return mean

    def _paced(self, group: list[Any], paces: list[float], before: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Each parameter by the optimiser of the data, at its own share of the step size: Adam would not notice gradients
        that are scaled."""
        setting = self.optimisers["data"]
        return {
            str(index): update(replace(setting, lr=setting.lr * pace), [param], before.get(str(index)), step)
            for index, (param, pace) in enumerate(zip(group, paces, strict=True))
        }
