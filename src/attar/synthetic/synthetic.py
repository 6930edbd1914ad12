"""Synthetic: the module that holds everything that is learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attar.types import AttarError, Batch

__all__ = ["LabelForm", "Parameterisation", "RowDecoder", "Synthetic"]

LabelForm = Literal["hard", "soft", "learned"]


class RowDecoder(Protocol):
    """The module that a parameterisation builds."""

    def __call__(self, y: Tensor | None) -> Batch:
        """The rows, with the labels that belong to them."""

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Its parameters by group."""

    def state_dict(self) -> dict[str, Tensor]: ...


class Parameterisation(Protocol):
    """How synthetic rows are stored; a frozen part."""

    def build(self, batch: Batch) -> RowDecoder: ...
    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> RowDecoder: ...


class Synthetic(nn.Module):
    """Rows, labels and step size; ``forward()`` is the synthetic batch.

    Groups of parameters: the rows' own ("data", ...), "labels" where labels are learned, "step_size" where it is.

    Args:
        rows: the decoder of the rows.
        y: class ids ``(n,)`` for hard labels, else targets ``(n, k)`` or per-view ``(views, n, k)``.
        labels: "hard", "soft" (fixed targets) or "learned".
        step_size: starting value of a learned step size (kept positive), or None for none.
    """

    def __init__(
        self, rows: RowDecoder, y: Tensor | None, labels: LabelForm = "hard", step_size: float | None = None
    ) -> None:
        super().__init__()
        self.rows = rows
        if labels == "learned" and y is not None:
            self.y: Tensor | None = nn.Parameter(y)
        else:
            self.register_buffer("y", y)
        self.log_step_size = (
            None if step_size is None else nn.Parameter(torch.tensor(step_size, dtype=torch.float64).log())
        )

    @classmethod
    def start(
        cls, parameterisation: Parameterisation, batch: Batch, classes: int, labels: LabelForm, step_size: float | None
    ) -> Synthetic:
        """From the rows that a run starts at; class ids become targets ``(n, classes)`` where labels are not hard."""
        y = batch.y
        if y is not None and labels != "hard" and y.dim() == 1:
            y = F.one_hot(y, classes).to(batch.x.dtype)
        if y is not None and labels == "hard" and y.dim() > 1:
            raise AttarError(
                "These rows start with soft labels, and labels='hard' was asked for: use labels='soft' or 'learned'."
            )
        return cls(parameterisation.build(batch), y, labels, step_size)

    @classmethod
    def restore(
        cls, parameterisation: Parameterisation, tensors: Mapping[str, Tensor], like: Batch, labels: LabelForm
    ) -> Synthetic:
        """From a state's tensors (see `tensors`); `like` is a batch of the same kind."""
        inner = {name.removeprefix("rows."): value for name, value in tensors.items() if name.startswith("rows.")}
        module = cls(parameterisation.restore(inner, like), tensors.get("y"), labels)
        if "log_step_size" in tensors:
            module.log_step_size = nn.Parameter(tensors["log_step_size"])
        return module

    def forward(self) -> Batch:
        return self.rows(self.y)

    @property
    def learned(self) -> dict[str, Tensor]:
        """What is learned beside rows and labels: ``step_size`` ``()`` where there is one."""
        return {} if self.log_step_size is None else {"step_size": self.log_step_size.exp()}

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by group, in a fixed order."""
        groups = dict(self.rows.groups())
        if isinstance(self.y, nn.Parameter):
            groups["labels"] = [self.y]
        if self.log_step_size is not None:
            groups["step_size"] = [self.log_step_size]
        return groups

    def tensors(self) -> dict[str, Tensor]:
        """Copies of everything that `restore` needs."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}
