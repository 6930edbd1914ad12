"""What may judge a set, by name: networks, and beside them kernel ridge regression, the learners of tables, and the decisions on
independence that a table draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attar.errors import AttarError
from attar.evaluation import decisions, learners, ridge
from attar.evaluation.protocol import Protocol

__all__ = [
    "check",
    "check_rows",
    "draws",
    "fits",
    "is_network",
    "leading",
    "learns",
    "metric_of",
    "notes",
    "protocol_lines",
]


def is_network(name: str) -> bool:
    """Whether a name is meant for a network, which a protocol says how to train."""
    return learns(name) and not ridge.is_named(name) and not learners.is_named(name)


def learns(name: str) -> bool:
    """Whether a model of this name learns to predict from the rows, and is scored on test rows."""
    return not decisions.is_named(name)


def metric_of(names: Iterable[str], predicted: str) -> str:
    """What scores of models of these names are: `predicted`, "accuracy" or "R²", of all that learn; "score" of several kinds."""
    kinds = {predicted if learns(name) else decisions.METRIC for name in names}
    return "score" if len(kinds) > 1 else next(iter(kinds), predicted)


def check(name: str) -> bool:
    """Refuse what no such name may be; whether it is a name of no network, which is still to be checked elsewhere if not.

    Raises:
        AttarError: says why.
    """
    if ridge.is_named(name):
        ridge.named(name)
    elif learners.is_named(name):
        learners.check(name)
    else:
        return decisions.is_named(name)
    return True


def draws(name: str) -> bool:
    """Whether a model draws anything, so that several runs tell more than one."""
    return learners.draws(name) if learners.is_named(name) else is_network(name)


def fits(name: str, rows: int) -> bool:
    """Whether a model of this name can be fitted to so many rows."""
    return not ridge.is_named(name) or ridge.fits(name, rows)


def check_rows(names: Iterable[str], per_class: int, rows: int) -> None:
    """Refuse models that cannot be fitted to the rows of a budget.

    Args:
        names: models.
        per_class: the budget.
        rows: that it makes of all classes.

    Raises:
        AttarError: names the model and the budget.
    """
    solved = next((name for name in names if not fits(name, rows)), None)
    if solved is not None:
        told = f"{per_class:,} rows" if per_class == rows else f"{per_class:,} rows of each class are {rows:,}, which"
        raise AttarError(
            f"'{solved}' solves a system of its rows, and {told} are more than the {ridge.MOST:,} that fit: "
            f"leave out the budget {per_class:,}, or compare by {solved} at the other budgets and by networks at this one."
        )


def leading(names: Sequence[str]) -> str:
    """The name of which a finding speaks: the first network, or where there is none the first that learns, or else the first."""
    first = (name for kind in (is_network, learns) for name in names if kind(name))
    return next(first, names[0])


def names() -> list[str]:
    """What judges beside networks, kinds of ridge regression aside."""
    return [*learners.names(), decisions.DECISIONS]


def notes(names: Iterable[str]) -> list[str]:
    """What a reader should know of scores of models of these names, of which a protocol says how networks are trained."""
    given = list(dict.fromkeys(names))
    solved = [name for name in given if learns(name) and not learners.is_named(name)]
    told = [decisions.note()] if any(map(decisions.is_named, given)) else []
    return [*ridge.notes(solved), *learners.notes(given), *told]


def protocol_lines(protocol: Protocol, names: Iterable[str]) -> list[str]:
    """How networks among models of these names are trained; nothing where there is none."""
    return [protocol.describe()] if any(map(is_network, names)) else []
