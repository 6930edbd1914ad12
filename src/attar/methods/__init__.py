"""Published methods by name: functions that compose parts and carry the paper's defaults.

`METHODS` lists them all; packages add their own by an entry point in the group ``attar.methods``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

from attar import recipes
from attar.errors import AttarError
from attar.method import Method
from attar.methods.coresets import (
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

__all__ = [
    "METHODS",
    "cafe",
    "catalogue",
    "craig",
    "datadam",
    "dc",
    "dcc",
    "dm",
    "dsa",
    "el2n",
    "facility_location",
    "find",
    "forgetting",
    "glister",
    "grand",
    "graph_cut",
    "herding",
    "idc",
    "idm",
    "k_center",
    "kmeans",
    "m3d",
    "ncfm",
    "random",
]

METHODS: Mapping[str, Callable[..., Method]] = {
    "cafe": cafe,
    "craig": craig,
    "datadam": datadam,
    "dc": dc,
    "dcc": dcc,
    "dm": dm,
    "dsa": dsa,
    "el2n": el2n,
    "facility_location": facility_location,
    "forgetting": forgetting,
    "glister": glister,
    "grand": grand,
    "graph_cut": graph_cut,
    "herding": herding,
    "idc": idc,
    "idm": idm,
    "k_center": k_center,
    "kmeans": kmeans,
    "m3d": m3d,
    "ncfm": ncfm,
    "random": random,
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
