"""Published methods by name: functions that compose parts and carry the paper's defaults.

`METHODS` lists them all; packages add their own by an entry point in the group ``attar.methods``.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from attar import recipes
from attar.errors import AttarError
from attar.method import Method, is_iterative
from attar.methods.causal import causal
from attar.methods.coresets import (
    agglomerative,
    craig,
    el2n,
    facility_location,
    forgetting,
    glister,
    grand,
    graph_cut,
    herding,
    k_center,
    kmeans,
    random,
)
from attar.methods.distribution_matching import cafe, datadam, dm, m3d, ncfm
from attar.methods.gradient_matching import dc, dcc, dsa, idc
from attar.methods.improved_distribution import idm
from attar.methods.kernel_ridge import frepo, kip, label_solve, rfad
from attar.methods.meta_learning import dd, ld, linba
from attar.methods.tables import contingency, effects, moments
from attar.methods.trajectory_matching import datm, ftd, mtt, pad, tesla
from attar.types import Budget

__all__ = [
    "METHODS",
    "agglomerative",
    "cafe",
    "catalogue",
    "causal",
    "contingency",
    "craig",
    "datadam",
    "datm",
    "dc",
    "dcc",
    "dd",
    "dm",
    "dsa",
    "effects",
    "el2n",
    "facility_location",
    "find",
    "forgetting",
    "frepo",
    "ftd",
    "glister",
    "grand",
    "graph_cut",
    "herding",
    "idc",
    "idm",
    "k_center",
    "kip",
    "kmeans",
    "label_solve",
    "ld",
    "linba",
    "m3d",
    "moments",
    "mtt",
    "ncfm",
    "pad",
    "published",
    "random",
    "rfad",
    "tesla",
]

METHODS: Mapping[str, Callable[..., Method]] = {
    "agglomerative": agglomerative,
    "cafe": cafe,
    "causal": causal,
    "contingency": contingency,
    "craig": craig,
    "datadam": datadam,
    "datm": datm,
    "dc": dc,
    "dcc": dcc,
    "dd": dd,
    "dm": dm,
    "dsa": dsa,
    "effects": effects,
    "el2n": el2n,
    "facility_location": facility_location,
    "forgetting": forgetting,
    "frepo": frepo,
    "ftd": ftd,
    "glister": glister,
    "grand": grand,
    "graph_cut": graph_cut,
    "herding": herding,
    "idc": idc,
    "idm": idm,
    "k_center": k_center,
    "kip": kip,
    "kmeans": kmeans,
    "label_solve": label_solve,
    "ld": ld,
    "linba": linba,
    "m3d": m3d,
    "moments": moments,
    "mtt": mtt,
    "ncfm": ncfm,
    "pad": pad,
    "random": random,
    "rfad": rfad,
    "tesla": tesla,
}
"""Every method of attar by its published name."""


def find(name: str) -> Callable[..., Method]:
    """The function of a published name, attar's own or an installed package's.

    Raises:
        AttarError: if there is none.
    """
    if name in METHODS:
        return METHODS[name]
    others = {entry.name: entry for entry in entry_points(group="attar.methods")}
    if name in others:
        try:
            return others[name].load()
        except Exception as error:
            raise AttarError(
                f"The package that has the method '{name}' does not load ({error}): mend or remove it."
            ) from error
    known = sorted([*METHODS, *others])
    near = difflib.get_close_matches(name, known, n=1)
    raise AttarError(
        f"There is no method '{name}'{f': did you mean {near[0]}?' if near else '.'} Known methods: {', '.join(known)}."
    )


def published(name: str, data: str, budget: Budget, given: Mapping[str, Any]) -> Method:
    """A method by its published name, with its recipe's settings for a dataset and a budget.

    Args:
        name: its name.
        data: name of the dataset, "" for one that no recipe knows.
        budget: how many rows to keep.
        given: settings in place of the recipe's.

    Raises:
        AttarError: if there is no such method, it cannot be made of these settings, or what is made is no method.
    """
    make = find(name)
    settings = {**recipes.settings(name, data, budget), **given}
    settings.pop("steps", None)  # of the run, not of the method
    missing = next((key for key in _needed(make) if key not in settings), None)
    if missing is not None:
        raise AttarError(f"The method '{name}' cannot be made without {missing}='...': give it a value.")
    try:
        method = make(**settings)
    except TypeError as error:
        how = f"with {', '.join(given)}" if given else "from its name alone"
        raise AttarError(
            f"The method '{name}' cannot be made {how} ({error}): 'attar distill {name} --help' lists its settings."
        ) from error
    if not (is_iterative(method) or hasattr(method, "finish")):
        raise AttarError(f"The method '{name}' gives a {type(method).__name__}, which is no method.")
    return method


def _needed(make: Callable[..., Any]) -> list[str]:
    """The parameters that have no default."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(make).parameters.values()
    return [one.name for one in parameters if one.default is one.empty and one.kind not in several]


def catalogue() -> list[dict[str, str]]:
    """Every method, attar's and installed packages', by name.

    Returns:
        For each ``name``, ``family``, ``modality`` and ``paper``, from its recipe or, for a package's, its docstring.
    """
    rows = []
    for entry in sorted({*METHODS, *(entry.name for entry in entry_points(group="attar.methods"))}):
        known = recipes.recipe(entry)
        first_line = "" if known else _first_line(entry)
        rows.append(
            {
                "name": entry,
                "family": known.get("family", "plug-in"),
                "modality": known.get("modality", "any"),
                "paper": known.get("paper", first_line),
            }
        )
    return rows


def _first_line(name: str) -> str:
    try:
        return (find(name).__doc__ or "").strip().partition("\n")[0]
    except AttarError as error:
        return str(error)
