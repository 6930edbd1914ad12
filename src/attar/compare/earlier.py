"""What a comparison's folder holds from before, so that its table keeps what was not asked for this time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attar.compare.study import WHOLE

__all__ = ["Shown"]


@dataclass(frozen=True)
class Shown:
    """What a table shows.

    Args:
        methods: names, in order, without full data.
        budgets: rows a class.
        models: names of networks.
        seeds: number of them.
        settings: of the methods, as the table that was read tells them (see `attar.compare.described.described`).
        command: the command lines that it came from.
    """

    methods: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    models: tuple[str, ...] = ()
    seeds: int = 0
    settings: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    command: str = ""

    @classmethod
    def read(cls, out: Path) -> Shown:
        """What the table in a folder shows; nothing where there is none, or none that can be read."""
        try:
            record = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
            rows = [row for row in record["rows"] if row["method"] not in WHOLE]
            return cls(
                tuple(dict.fromkeys(str(row["method"]) for row in rows)),
                tuple(sorted({int(row["per_class"]) for row in rows})),
                tuple(dict.fromkeys(str(row["model"]) for row in record["rows"])),
                int(record["seeds"]),
                dict(record.get("methods") or {}),
                str(record.get("command") or ""),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def with_more(self, other: Shown) -> Shown:
        """Both: what is here first, budgets from few to many."""
        if not self.methods:
            return other
        return Shown(
            tuple(dict.fromkeys((*self.methods, *other.methods))),
            tuple(sorted({*self.budgets, *other.budgets})),
            tuple(dict.fromkeys((*self.models, *other.models))),
            max(self.seeds, other.seeds),
            self.settings,
            self._commands(other),
        )

    def settings_with(self, now: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
        """The settings of all methods: those of now, and before them of each method those at budgets that now has not."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for name in {**self.settings, **now}:
            entries = now.get(name, ())
            known = {budget for entry in entries for budget in entry["per_class"]}
            for entry in self.settings.get(name, ()):
                budgets = [budget for budget in entry.get("per_class", ()) if budget not in known]
                if budgets:
                    found.setdefault(name, []).append({**entry, "per_class": budgets})
            found.setdefault(name, []).extend(entries)
        return found

    def _commands(self, other: Shown) -> str:
        """The command lines by which all of it is measured."""
        if not self.without(other):
            return other.command
        if not other.without(self) and other.seeds <= self.seeds:
            return self.command
        return "\n".join(dict.fromkeys([*self.command.splitlines(), other.command]))

    def without(self, other: Shown) -> list[str]:
        """In words what is here and not there."""
        methods = [name for name in self.methods if name not in other.methods]
        budgets = [f"{count:,} a class" for count in self.budgets if count not in other.budgets]
        return methods + budgets + [name for name in self.models if name not in other.models]
