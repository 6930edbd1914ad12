"""Coreset: the one method of choosing real rows. A rule, and what is asked of the choice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypedDict

import torch
from torch import Tensor

from attar import rng
from attar.distilled import Distilled, Training
from attar.selection.picked import Picked, joined
from attar.selection.random_rows import budget_counts, counts_beside_quotas
from attar.selection.rows import Rows, blocks, squared_distances
from attar.selection.rules import AtRandom, Rule
from attar.types import AttarError, Batch, Budget, Problem

__all__ = ["Choice", "Coreset", "as_distilled"]


class Choice(TypedDict, total=False):
    """What may be asked of any choice of real rows.

    Args:
        by: "class" chooses within each class by itself, "all" among all rows at once, whose classes then fall as they may.
        keep: rows that must stay, by their number in the source, or for a folder by their file (cat/1.jpg); they count towards
            the budget. On the command line once for each.
        quotas: rows of a class by its name, in place of the budget's (on the command line cat=3,dog=5); of a budget of rows in
            all the other classes share what they leave.
        weighted: give each row the weight of the rows that it stands for.
        deduplicate: leave out near-duplicates first.
        duplicates_within: rows are near-duplicates up to this distance in values, as a share of the median distance to the
            nearest other row.
        prefer_duplicate: which of near-duplicates stays: the "first" or "last" in the source, or the most "central".
    """

    by: Literal["class", "all"]
    keep: tuple[str, ...]
    quotas: Mapping[str, int]
    weighted: bool
    deduplicate: bool
    duplicates_within: float
    prefer_duplicate: Literal["first", "last", "central"]


@dataclass(frozen=True)
class Coreset:
    """Real rows that a rule chooses; a direct method. Arguments beside these are those of `Choice`.

    Args:
        rule: by what rows are chosen.
        name: the published name.
    """

    rule: Rule = field(default_factory=AtRandom)
    name: str = "coreset"
    by: Literal["class", "all"] = "class"
    keep: Sequence[str | int] = ()
    quotas: Mapping[str, int] = field(default_factory=dict)
    weighted: bool = False
    deduplicate: bool = False
    duplicates_within: float = 0.1
    prefer_duplicate: Literal["first", "last", "central"] = "first"

    def __post_init__(self) -> None:
        if self.by not in ("class", "all"):
            raise AttarError(f"by='{self.by}' is no way to choose: give class or all.")
        if self.by == "all" and self.quotas:
            raise AttarError("Quotas are of classes, and by='all' takes rows whatever their class: leave one out.")
        for name, count in self.quotas.items():
            if count < 0:
                raise AttarError(
                    f"A quota of {count} rows for the class '{name}' is no number of rows: give 0 or more."
                )
        if not 0 <= self.duplicates_within < math.inf:
            raise AttarError(
                f"duplicates_within={self.duplicates_within:g} is no distance: give a finite one, 0 or more."
            )
        if self.prefer_duplicate not in ("first", "last", "central"):
            raise AttarError(f"prefer_duplicate='{self.prefer_duplicate}' is none: give first, last or central.")

    @property
    def passes(self) -> int:
        """Passes over the training rows that its rule makes to train networks."""
        return self.rule.passes

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> Distilled:
        """The chosen rows as a set; errors as in `choose`."""
        picked, pool = self._chosen(problem, budget, generator)
        return self._result(problem, picked, pool)

    def choose(self, problem: Problem, budget: Budget, generator: torch.Generator) -> Picked:
        """The choice itself, its ids those of training rows.

        Raises:
            AttarError: if a class has fewer rows than are to be kept of it, or there is no such row to keep.
        """
        return self._chosen(problem, budget, generator)[0]

    def _chosen(self, problem: Problem, budget: Budget, generator: torch.Generator) -> tuple[Picked, _Pool]:
        """The choice, and what it was chosen from."""
        seed = rng.draw_seed(generator)
        counts = self.counts(problem, budget)
        members = problem.members if self.by == "class" else {None: torch.arange(len(problem.train))}
        kept = self._kept(problem)
        # before more memory is taken: what it does may be shared, with the memory that it took (see `attar.reuse`)
        look = self.rule.look(problem, seed)
        pool_of_all = self._distinct(problem, kept)
        parts = []
        for group, rows in members.items():
            pool = rows[pool_of_all.stay[rows]]
            fixed = torch.nonzero(torch.isin(pool, kept)).flatten()
            self._check(problem, group, len(pool), len(fixed), counts[group])
            if not counts[group]:
                continue
            draws = rng.generator(seed, "pick", -1 if group is None else group)
            try:
                picked = look(pool, counts[group], fixed, draws)
                _check_kept_promises(picked, len(pool), counts[group], fixed)
                parts.append(picked.among(pool))
            except AttarError as error:  # a rule knows rows and no classes
                where = "" if group is None else f"Class '{problem.spec.class_names[group]}': "
                raise AttarError(f"{where}{error}") from error
        return joined(parts), pool_of_all

    def counts(self, problem: Problem, budget: Budget) -> dict[int | None, int]:
        """Rows that it chooses of each class, or of None for all together.

        Raises:
            AttarError: for a quota of a class that there is not, or quotas that leave nothing.
        """
        if self.by == "all":
            return {None: sum(budget_counts(problem, budget).values())}
        names = problem.spec.class_names
        for name in self.quotas:
            if name not in names:
                raise AttarError(f"A quota is for the class '{name}', which is not among {', '.join(names)}.")
        members = problem.members
        quotas = [None if group is None else self.quotas.get(names[group]) for group in members]
        counts = counts_beside_quotas(budget, [len(rows) for rows in members.values()], names, quotas)
        if not any(counts):
            raise AttarError("The quotas leave no rows to choose: give some class 1 or more.")
        return dict(zip(members, counts, strict=True))

    def _kept(self, problem: Problem) -> Tensor:
        """Training rows that must stay ``(k,)``."""
        if not self.keep:
            return torch.tensor([], dtype=torch.long)
        origins = problem.origins or range(len(problem.train))
        where = {str(origin): row for row, origin in enumerate(origins)}
        aside = {str(name): part for part, names in problem.set_aside.items() for name in names}
        found = set()
        for row in map(str, self.keep):
            # the longest first: a test file in a folder of its own may end like a training file
            name = next((name for name in _names_of(row) if name in where or name in aside), "")
            if name not in where:
                raise AttarError(_not_for_training(row, aside.get(name), origins))
            found.add(where[name])
        return torch.tensor(sorted(found), dtype=torch.long)

    def _distinct(self, problem: Problem, kept: Tensor) -> _Pool:
        """What is left to choose from: within a class, one of each group of near-duplicates."""
        stay = torch.ones(len(problem.train), dtype=torch.bool)
        near = torch.arange(len(problem.train))
        distances = {}
        if self.deduplicate:
            from attar.selection.deduplicate import near_duplicates

            for group, rows in problem.members.items():
                x = problem.train.take(rows.to(problem.train.x.device)).x.flatten(1).cpu()
                found = near_duplicates(x, self.duplicates_within, prefer=self.prefer_duplicate)
                near[rows] = rows[found.stands_for]
                distances[group] = found.distance
            stay = near == torch.arange(len(near))
        stay[kept] = True
        return _Pool(stay, near, distances)

    def _check(self, problem: Problem, group: int | None, there: int, fixed: int, count: int) -> None:
        what = "the data" if group is None else f"class '{problem.spec.class_names[group]}'"
        if fixed > count:
            raise AttarError(
                f"{fixed} row{'' if fixed == 1 else 's'} of {what} must stay, and the budget gives it {count}: raise it, or keep fewer."
            )
        if there < count:
            left = " after near-duplicates were left out" if self.deduplicate else ""
            raise AttarError(
                f"{what} has {there} row{'' if there == 1 else 's'}{left}, fewer than the {count} to choose: lower the budget or the quota."
            )

    def _result(self, problem: Problem, picked: Picked, pool: _Pool) -> Distilled:
        batch = problem.train.take(picked.rows.to(problem.train.x.device)).to("cpu")
        weights = (picked.represents * len(picked) / picked.represents.sum()).to(batch.x.dtype)
        if self.weighted:
            batch = batch.replace(weight=weights if batch.weight is None else weights * batch.weight)
        value = as_distilled(problem, batch)
        origins = problem.origins if problem.origins is not None else range(len(problem.train))
        selected = [
            {
                "position": position,
                "row": origins[row],
                **({} if None in problem.members else {"class": value.class_names[label]}),
                "score": float(f"{score:.6g}"),
                "represents": round(stands_for, 3),
                "weight": round(weight, 6) if self.weighted else 1.0,
                "reason": reason,
            }
            for position, (row, label, score, stands_for, weight, reason) in enumerate(
                zip(
                    picked.rows.tolist(),
                    [0] * len(picked) if None in problem.members else value.labels.tolist(),
                    picked.scores.tolist(),
                    picked.represents.tolist(),
                    weights.tolist(),
                    picked.reasons,
                    strict=True,
                )
            )
        ]
        if not self.deduplicate:
            return replace(value, selected=tuple(selected))
        left_out = [
            {
                "row": origins[row],
                "class": value.class_names[group or 0],
                "nearly_repeats": origins[int(pool.near[row])],
            }
            for group, rows in problem.members.items()
            for row in rows[~pool.stay[rows]].tolist()
        ]
        made_by = {
            "near_duplicates_left_out": len(left_out),
            "near_duplicates_of_test_rows": _repeat_test_rows(problem, picked.rows, pool.distances),
        }
        return replace(value, made_by=made_by, selected=tuple(selected), left_out=tuple(left_out))


@dataclass(frozen=True)
class _Pool:
    """What is chosen from.

    Args:
        stay: which training rows ``(n,)`` bool.
        near: the row that each near-duplicate repeats, its own number for the others ``(n,)``.
        distances: up to which rows of a class are near-duplicates.
    """

    stay: Tensor
    near: Tensor
    distances: Mapping[int | None, float]


def _names_of(row: str) -> Iterator[str]:
    """What a source may call a row: what was given, and for a file its path without ever more of its beginning."""
    yield row
    parts = row.replace("\\", "/").split("/")
    yield from ("/".join(parts[start:]) for start in range(len(parts)))


def _not_for_training(row: str, part: str | None, origins: Sequence[int | str]) -> str:
    """Why a row that must stay cannot."""
    there = f"the {len(origins):,} training rows, which are called like '{origins[0]}'"
    if part is None:
        return f"The row '{row}' that must stay is not among {there}: look for its name, or for another row."
    return f"The row '{row}' that must stay is a {part} row, which no set may hold: name one of {there}."


def _repeat_test_rows(problem: Problem, chosen: Tensor, distances: Mapping[int | None, float]) -> int:
    """How many of the chosen rows are near-duplicates of a test row of their class, whose score then says little."""
    if not len(problem.test):
        return 0
    tests, count = problem.task.members(problem.test), 0
    for group, rows in problem.members.items():
        mine, theirs = chosen[torch.isin(chosen, rows)], tests.get(group, chosen[:0])
        if len(mine) and len(theirs):
            both = [
                part.take(ids.to(part.x.device)).x.flatten(1).cpu()
                for part, ids in ((problem.train, mine), (problem.test, theirs))
            ]
            rows_of_both = Rows(torch.cat(both))
            right = rows_of_both.take(slice(len(mine), None))
            gaps = [squared_distances(rows_of_both.take(part), right).amin(1) for part in blocks(len(mine), 64)]
            count += int((torch.cat(gaps) <= distances[group] ** 2).sum())
    return count


def _check_kept_promises(picked: Any, there: int, count: int, fixed: Tensor) -> None:
    """Refuse what a rule of the user's own may give."""
    broken = None
    if not isinstance(picked, Picked) or not isinstance(picked.rows, Tensor) or picked.rows.dtype != torch.long:
        broken = "it gives no attar.selection.Picked of row ids (torch.long)"
    elif len(picked) != count or len(picked.rows.unique()) != count:
        broken = f"it gives {len(picked.rows.unique())} different rows where {count} are asked for"
    elif not bool(((picked.rows >= 0) & (picked.rows < there)).all()):
        broken = f"it gives rows that are not among 0 to {there - 1}, the places in what it was shown"
    elif not bool(torch.isin(fixed, picked.rows).all()):
        broken = "it leaves out rows that must stay (its argument `fixed`)"
    if broken:
        raise AttarError(f"The rule breaks its promise: {broken}.")


def as_distilled(problem: Problem, batch: Batch) -> Distilled:
    """Normalised rows as a distilled set in raw units."""
    spec = problem.spec
    training = Training(spec.normalisation, class_names=spec.class_names, augmentation=spec.augmentation)
    return Distilled(batch.replace(x=spec.normalisation.undo(batch.x)), training)
