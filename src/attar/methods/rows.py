"""Which methods make rows of a table: those that look at no neighbourhoods and need no work beforehand."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
from collections.abc import Mapping
from typing import Any

from attar import methods, recipes
from attar.augment import NoAugment
from attar.distances import Convolutional
from attar.method import Method, name_of
from attar.selection import Choice
from attar.surrogates import Expert
from attar.synthetic import Memory, MultiFormation, Pixels
from attar.types import AttarError, Budget

__all__ = ["for_rows", "named", "of_tables"]

_OF_IMAGES: Mapping[str, Any] = {"factor": 1, "expand": 1, "augmentation": "", "cutmix": 0.0}
"""Settings by which several images are stored in one or images are changed, and the values at which they are not."""

_NETWORK = "mlp"


def named(name: str, network: str | None, options: Mapping[str, Any], budget: Budget) -> Method:
    """A method by its published name.

    Args:
        name: of the method.
        network: that it learns by; None for an MLP.
        options: settings in place of the recipe's.
        budget: how many rows to make.

    Raises:
        AttarError: if there is no such method, it makes no rows of a table, or it has no such setting.
    """
    make = methods.find(name)
    has = {
        option: parameter.default
        for option, parameter in inspect.signature(make).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    if "experts" in has:
        raise _follows_experts(name)
    open_ended = any(each.kind is each.VAR_KEYWORD for each in inspect.signature(make).parameters.values())
    known = [option for option in has if option != "model"] + list(Choice.__annotations__) * open_ended
    _check_options(name, known, options)
    if network is not None and "model" not in has:
        raise AttarError(f"The method '{name}' learns by no network of a name: leave network= out.")
    settings = {**has, **recipes.settings(name, "", budget), **options}
    wrong = {
        option: off
        for option, off in _OF_IMAGES.items()
        if option in settings and settings[option] not in (off, "default")
    }
    if wrong:
        needed = {**options, **wrong}
        raise AttarError(
            f"The method '{name}' is set for images, which it stores several in one or changes: for rows give options={needed}."
        )
    model = {"model": network or _NETWORK} if "model" in has else {}
    return methods.published(name, "", budget, {**options, **model})


def of_tables(name: str, budget: Budget, given: Mapping[str, Any]) -> Method:
    """A method by its published name for the rows of a table; `given` are settings, a network's name as "model" among them.

    Raises:
        AttarError: if there is no such method, it makes no rows of a table, or it has no such setting.
    """
    options = {key: value for key, value in given.items() if key != "model"}
    return for_rows(named(name, given.get("model"), options, budget))


def _check_options(name: str, known: list[str], options: Mapping[str, Any]) -> None:
    odd = next((option for option in options if option not in known), None)
    if odd is None:
        return
    near = difflib.get_close_matches(str(odd), [*known, "model"], n=1)
    if near == ["model"]:
        raise AttarError(
            f"The network is no option: give network='{_NETWORK}' or one of another width, as '{_NETWORK}-256'."
        )
    hint = f"did you mean {near[0]}? It has" if near else "it has"
    raise AttarError(f"{name} has no option '{odd}': {hint} {', '.join(known)}.")


def for_rows(method: Method) -> Method:
    """A method ready for rows of a table: encoded ones, or for samplers images of a pixel, a channel a column.

    Stored images that are cut into one part are stored as they are, without bounds of pixels.

    Raises:
        AttarError: if one of its parts is for images.
    """
    name, surrogates = name_of(method), getattr(method, "surrogates", None)
    if isinstance(surrogates, Expert):
        raise _follows_experts(name)
    model = getattr(surrogates, "model", _NETWORK)
    if isinstance(model, str) and not re.fullmatch(rf"{_NETWORK}(-[1-9]\d*)?", model):
        raise AttarError(
            f"'{model}' is no network for rows: give '{_NETWORK}' or one of another width, as '{_NETWORK}-256'; others look at "
            "neighbouring pixels, and columns have no neighbours."
        )
    if any(isinstance(getattr(part, "kernel", None), Convolutional) for part in (method, surrogates)):
        raise AttarError(
            "A kernel of convolutions looks at neighbouring pixels, and columns have none: give 'ntk' or 'nngp'."
        )
    changes = [
        getattr(method, "augmentation", ""),
        *(getattr(surrogates, part, None) for part in ("augment", "mixing")),
    ]
    for change in changes:
        if change not in (None, "", "default") and not isinstance(change, NoAugment):
            raise AttarError(f"{change!r} changes images, and columns have no places: make the method without it.")
    return _stored_singly(method)


def _stored_singly(method: Method) -> Method:
    """The method with a stored row for each that comes out, or refused."""
    synthetic = getattr(method, "synthetic", None)
    if isinstance(synthetic, MultiFormation) and synthetic.factor == 1:
        return dataclasses.replace(method, synthetic=Pixels())  # type: ignore[type-var]
    if getattr(synthetic, "decodes", False) and not (isinstance(synthetic, Memory) and synthetic.rows == 1):
        raise AttarError(
            f"{type(synthetic).__name__} makes other rows of those that it stores, or more: give Pixels() or Memory(rows=1)."
        )
    return method


def _follows_experts(name: str) -> AttarError:
    return AttarError(
        f"The method '{name}' follows recorded experts, which tables have none of: give another, as 'dm'."
    )
