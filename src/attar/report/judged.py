"""By what the set of a run is judged beside networks: one that was learned by ridge regression by ridge regression, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attar.distances.named import kernel_name
from attar.evaluation import ridge
from attar.methods.kernel_ridge import LabelSolve
from attar.objectives import RidgeMatch
from attar.record import rebuild
from attar.surrogates import FixedKernel
from attar.types import AttarError

__all__ = ["judge_note", "ridge_judge"]

OTHERWISE = "ntk"
"""The kernel that judges sets of kernels without a name, such as those of finite networks' features."""


def ridge_judge(method: Mapping[str, Any]) -> str:
    """The ridge regression that judges the set of a recorded method beside networks, as "ridge-ntk": with its own kernel where that
    has a name; "" for a method that learns by no ridge regression.

    Example:
        >>> from attar import methods
        >>> from attar.record import describe
        >>> ridge_judge(describe(methods.kip("nngp-2"))), ridge_judge(describe(methods.dm()))
        ('ridge-nngp-2', '')
    """
    learns, own = _kernel(method)
    return f"{ridge.PREFIX}{own or OTHERWISE}" if learns else ""


def judge_note(method: Mapping[str, Any]) -> str:
    """What a reader should know of that judge, "" where there is none."""
    learns, own = _kernel(method)
    name = ridge_judge(method)
    if own:
        return f"{name} is ridge regression with the very kernel that the set was made by."
    return f"{name} judges by a kernel that the set was not made by: its own has no name." if learns else ""


def _kernel(method: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Whether a recorded method learns by ridge regression, and the name of its kernel."""
    fields = method.get("fields", {})  # somebody else's method may call anything so
    if _is(method, LabelSolve):
        return True, _name(fields.get("kernel"))
    if not _is(fields.get("objective"), RidgeMatch):
        return False, None
    surrogates = fields.get("surrogates")
    return True, _name(surrogates["fields"].get("kernel")) if _is(surrogates, FixedKernel) else None


def _is(record: Any, kind: type) -> bool:
    return isinstance(record, Mapping) and record.get("type") == f"{kind.__module__}:{kind.__qualname__}"


def _name(record: Any) -> str | None:
    try:
        return kernel_name(rebuild(record))
    except AttarError:  # a part of one's own that is not installed here
        return None
