"""Synthetic: the module that holds everything that is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from attar.types import AttarError, Batch, Budget, Normalisation, Problem

__all__ = ["GROUPS", "LEARNED", "OF_CLASSES", "LabelForm", "Parameterisation", "RowDecoder", "Synthetic", "labels_of"]

LabelForm = Literal["hard", "soft", "learned", "logits", "regression"]
"""Class ids, fixed probabilities, probabilities that are learned, learned ones that are the softmax of what is learned, or
learned targets of regression, which begin as one for the class and nought for the others less their mean."""

LEARNED: tuple[LabelForm, ...] = ("learned", "logits", "regression")
"""The forms of labels that are parameters."""

OF_CLASSES: tuple[LabelForm, ...] = ("hard", "soft", "learned", "logits")
"""The forms of labels that a cross-entropy takes."""

LEAST_STEP_SIZE = 1e-6
"""Where a learned step size stops on its way down."""

_LEAST = 1e-6  # probability that a label begins with, so that its logarithm is a number

GROUPS = ("data", "weights", "hallucinators", "addresses", "decoders", "labels", "step_size")
"""The groups of parameters that there are in attar, each part having some of them."""


class RowDecoder(Protocol):
    """The module that a parameterisation builds. It may have a ``project(normalisation)``, called after each update."""

    def __call__(self, y: Tensor | None) -> Batch:
        """All training rows, each with the label of the stored row that it is made of."""

    def __len__(self) -> int:
        """Stored rows, each with a label of its own."""

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Its parameters by group, "data" among them where the rows are learned."""

    def state_dict(self) -> dict[str, Tensor]: ...


class Parameterisation(Protocol):
    """How synthetic rows are stored; a frozen part (see `attar.synthetic`)."""

    decodes: ClassVar[bool]
    """Whether training rows are made of what is stored, and are not what is stored."""

    @property
    def each(self) -> int:
        """Rows to start at for each row of the budget."""

    def check(self, problem: Problem, budget: Budget, labels: LabelForm = "hard") -> None:
        """Refuse data that it does not fit, in a sentence."""

    def build(self, batch: Batch, problem: Problem, generator: torch.Generator) -> RowDecoder:
        """From the rows to start at, those that become one stored row next to each other; they are left as they are, and
        their labels have the form that is stored."""

    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> RowDecoder:
        """From a decoder's tensors; `like` is a batch of rows of the same shape."""


class Synthetic(nn.Module):
    """Rows, labels and step size; ``forward()`` is the synthetic batch.

    Groups of parameters: the rows' own ("data", ...), "labels" where labels are learned, "step_size" where it is.

    Args:
        rows: the decoder of the rows.
        y: class ids ``(n,)`` for hard labels, else targets ``(n, k)`` or per-view ``(views, n, k)``, n stored rows.
        labels: "hard", "soft" (fixed targets), "learned", "logits", where y holds logits, or "regression".
        step_size: starting value of a learned step size (kept positive), or of several, one an update of training; None for
            none.
    """

    def __init__(
        self,
        rows: RowDecoder,
        y: Tensor | None,
        labels: LabelForm = "hard",
        step_size: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.rows = rows
        self.softmax = labels == "logits"
        if labels in LEARNED and y is not None:
            self.y: Tensor | None = nn.Parameter(y)
        else:
            self.register_buffer("y", y)
        device = None if y is None else y.device
        self.step_size = (
            None if step_size is None else nn.Parameter(torch.tensor(step_size, dtype=torch.float64, device=device))
        )

    @classmethod
    def start(
        cls,
        parameterisation: Parameterisation,
        batch: Batch,
        problem: Problem,
        generator: torch.Generator,
        labels: LabelForm = "hard",
        step_size: float | Sequence[float] | None = None,
    ) -> Synthetic:
        """From the rows that a run starts at; class ids become targets ``(n, classes)`` where labels are not hard."""
        y, numbers = batch.y, None in problem.task.groups
        if numbers and labels in ("soft", "logits"):
            raise AttarError(
                f"The target is a number and no class, so there are no labels='{labels}': use labels='hard' (as it is) or "
                "'learned'."
            )
        if y is not None and labels == "hard" and y.dim() > 1 and not numbers:
            raise AttarError(
                "These rows start with soft labels, and labels='hard' was asked for: use labels='soft' or 'learned'."
            )
        if y is not None and labels != "hard" and y.dim() == 1:
            task = problem.task.trained_by("squared") if labels == "regression" else problem.task
            batch = batch.replace(y=task.targets(batch))
        rows = parameterisation.build(batch, problem, generator)
        y = labels_of(batch, len(rows))
        if y is not None and labels == "logits":
            y = y.clamp(min=_LEAST).log()
        return cls(rows, y, labels, step_size)

    @classmethod
    def restore(
        cls, parameterisation: Parameterisation, tensors: Mapping[str, Tensor], like: Batch, labels: LabelForm
    ) -> Synthetic:
        """From a state's tensors (see `tensors`); `like` is a batch of the same kind."""
        inner = {name.removeprefix("rows."): value for name, value in tensors.items() if name.startswith("rows.")}
        module = cls(parameterisation.restore(inner, like), tensors.get("y"), labels)
        if "step_size" in tensors:
            module.step_size = nn.Parameter(tensors["step_size"])
        return module

    def forward(self) -> Batch:
        return self.rows(self.targets)

    @property
    def targets(self) -> Tensor | None:
        """Labels of the stored rows, as networks are trained on them."""
        return self.y.softmax(-1) if self.softmax and self.y is not None else self.y

    @property
    def learned(self) -> dict[str, Tensor]:
        """What is learned beside rows and labels: where there is one, ``step_size`` ``()``, or ``(updates,)`` of several."""
        return {} if self.step_size is None else {"step_size": self.step_size}

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by group, in a fixed order."""
        groups = dict(self.rows.groups())
        if isinstance(self.y, nn.Parameter):
            groups["labels"] = [self.y]
        if self.step_size is not None:
            groups["step_size"] = [self.step_size]
        return groups

    @torch.no_grad()
    def project(self, normalisation: Normalisation) -> None:
        """Put stored rows back to where they may be, if their parameterisation bounds them, and the step size above nought."""
        if self.step_size is not None:
            self.step_size.clamp_(min=LEAST_STEP_SIZE)
        if hasattr(self.rows, "project"):
            self.rows.project(normalisation)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of everything that `restore` needs, laid out as a checkpoint would give them back: sums round by layout."""
        values = self.state_dict().items()
        return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in values}

    def stored(self) -> dict[str, Tensor]:
        """Copies of what the rows are decoded from, their labels as "y"."""
        stored = {name.removeprefix("rows."): value for name, value in self.tensors().items() if name != "step_size"}
        return stored if self.targets is None else {**stored, "y": self.targets.detach()}


def labels_of(batch: Batch, stored: int) -> Tensor | None:
    """Labels of stored rows, each made of as many neighbouring rows of a batch: their class id, or their mean target."""
    each = len(batch) // stored
    if batch.y is None or each == 1:
        return batch.y
    return batch.y[::each] if batch.y.dim() == 1 else batch.y.unflatten(-2, (stored, each)).mean(-2)
