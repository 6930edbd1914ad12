"""`compare`: from the cells that are wanted to those that are done, and their table."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from attar.compare.cells import Cell, Make, Measure, Settle
from attar.compare.counted import Counted
from attar.compare.described import REDRAWN, coreset_note, described, full_note
from attar.compare.earlier import Shown
from attar.compare.given import (
    BUDGETS,
    check_budgets,
    check_judges,
    check_numbers,
    cores,
    distinct,
    judges_of,
    problem_of,
)
from attar.compare.named import Asked, methods_of
from attar.compare.rows import Results, rows_of
from attar.compare.selected import Selected
from attar.compare.selected import notes as selected_notes
from attar.compare.study import BOOTSTRAP, FULL, RANDOM, WHOLE, Study, versions
from attar.compare.table import Comparison
from attar.compare.workers import Workers
from attar.evaluation import Protocol, judges
from attar.evaluation.evaluate import check_models
from attar.evaluation.protocol import protocol_named
from attar.evaluation.selection import judged_on_validation
from attar.evaluation.subject import subject
from attar.method import is_iterative
from attar.plan import Plan
from attar.progress import say
from attar.types import AttarError, Problem

__all__ = ["compare"]

WRITE_SECONDS = 2


def compare(
    data: str | os.PathLike[str] | Problem,
    methods: Sequence[Asked],
    per_class: Sequence[int] | None = None,
    models: Sequence[str] | None = None,
    seeds: int = 3,
    *,
    out: str | os.PathLike[str],
    protocol: str | Protocol = "quick",
    runs: int = 1,
    steps: int | None = None,
    time_budget: float | None = None,
    initial: Sequence[str] = (),
    starts: bool = False,
    candidates: int | None = None,
    ranking: bool = False,
    workers: int | None = None,
    device: str = "auto",
    exact: bool = False,
    validation: float | None = None,
    rows: Sequence[int] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    test: str | os.PathLike[str] | None = None,
    size: int | None = None,
    zca: bool | None = None,
    command: str = "",
    **options: Any,
) -> Comparison:
    """Measure full data, random rows and every method named under one protocol, cell by cell.

    Stopped at any moment, it goes on from there when it is called again with the same arguments; further methods,
    budgets, networks and seeds may be added by naming them alone, and the table keeps what the folder held. A cell that
    fails is shown as failed and tried again at the next start.

    Args:
        data: a dataset's name or path, or a problem. Of the former a validation split is cut, for choosing the best
            coreset; a problem is taken as it is.
        methods: published names, whose recipes' settings are taken; pairs of one and a mapping of settings in their place,
            ``("dm", {"lr": 10})``, in the table "dm+lr=10"; or pairs of a name and a method. Coresets are methods.
        per_class: budgets, rows of each class, or where there are no classes in all; 1, 10 and 50 where None.
        models: as of `attar.evaluate`, and by default the same; for a table whose test is quick "decisions", too.
        seeds: draws of everything: of each set and of the networks trained on it.
        out: folder of the comparison.
        protocol: "quick", "paper" or one of your own.
        runs: networks trained on each set.
        steps: of iterative methods; None for the recipe's, or as many as fit ten minutes on this machine.
        time_budget: seconds that one set may take; the first seed's set settles how many steps that are, and those of all
            seeds take as many.
        initial: starting values ("noise", "real", "kmeans", "herding"), with each of which a published method that has any is
            compared, as "dm-noise" and "dm-real".
        starts: compare what every iterative method begins with, too, as "dm-start": what is gained from there is what its
            steps add.
        candidates: sets that each run of an iterative method keeps along its way; the one that validation rows choose, by the first
            of the models, is compared, too, as "dm-selected", beside the last, "dm".
        ranking: measure all sets without augmentation, too, for DD-Ranking's augmentation-robust score.
        workers: processes side by side, one thread each; as many as there are cores where None, one on a GPU. Results do
            not depend on it, but for the steps that fit a time budget.
        device: "auto", "cpu" or "cuda".
        exact: compute by the plain fp32 reference.
        validation: share of the training rows to cut for validation, instead of a tenth; 0 for none, and then no coreset
            is called the best.
        rows: budgets in rows, in place of `per_class`, of data without classes.
        data_dir: folder to look in first for a dataset by name.
        test: held-out data, as in `attar.data.find`.
        size: side of images, likewise.
        zca: whether rows are whitened, likewise.
        command: the command line, for the record.
        **options: further ones of `attar.data.find`, such as ``target`` of a table.

    Returns:
        The table, which is also written into `out`.

    Raises:
        AttarError: before any work, for names and numbers that make no sense, or a folder that holds something else.

    Example:
        >>> found = attar.compare("digits", ["kmeans", "dm"], (1, 10), steps=100, out="runs/table")  # doctest: +SKIP
        >>> print(found.table())  # doctest: +SKIP
    """
    chosen = protocol_named(protocol)
    budgets = distinct(BUDGETS if per_class is None and rows is None else rows or per_class or ())
    check_numbers(budgets, seeds, runs, workers, steps, time_budget, candidates)
    device = Plan.on(device).device
    check_budgets(per_class, rows)
    problem = problem_of(data, validation, {"data_dir": data_dir, "test": test, "size": size, "zca": zca, **options})
    check_budgets(per_class, rows, problem)
    names = distinct(models or judges_of(problem, chosen))
    check_judges(names, budgets, problem)
    # the first of the comparison that learns, whatever is added to it now
    choosing = next(filter(judges.learns, [*Shown.read(Path(out)).models, *names]), "")
    if candidates is not None and not choosing:
        raise AttarError(
            "Candidates are chosen by a model that predicts validation rows, and none is asked for: leave them out."
        )
    if candidates is not None:
        judged_on_validation(problem, choosing)
    found = methods_of(methods, budgets, problem, distinct(initial), starts, candidates, choosing)
    check_models(problem, names)
    for method in found.values():
        check_rows = getattr(getattr(method, "real_rows", None), "check", None)
        if check_rows is not None:
            check_rows(problem)  # whether they have the attribute that they are drawn by
    study = Study(Path(out), chosen, found, runs, steps, time_budget, device, exact, command)
    plain = ranking and bool(chosen.strategy(problem.spec.augmentation))
    asked = _Asked(study, problem, tuple(budgets), tuple(names), seeds, plain)
    with study.opened(problem, seeds):
        asked.work(workers or cores(device))
    return asked.table(0)


class _Asked:
    """The cells that are asked for, and what is known of them."""

    def __init__(
        self, study: Study, problem: Problem, budgets: tuple[int, ...], models: tuple[str, ...], seeds: int, plain: bool
    ) -> None:
        self.study, self.problem = study, problem
        self.budgets, self.models, self.seeds, self.plain, self.results = budgets, models, seeds, plain, Results()
        methods = tuple(dict.fromkeys(name for name, _ in study.methods))
        self.asked = Shown(methods, budgets, models, seeds, command=study.command)
        self.shown = Shown.read(study.out).with_more(self.asked)

    def work(self, count: int) -> None:
        """Do what is not done yet; the table is written as cells end, and at the end however that comes."""
        cells = list(self._first())
        self._gather()
        with Workers(self.study, self.problem, count) as workers:
            workers.add(cells)
            if cells:
                by = "1 worker" if count == 1 else f"{count} workers"
                say(f"comparing in {self.study.out} with {by}, {self._left(workers):,} cells to do")
            written = time.monotonic()
            try:
                for cell, failure in workers:
                    if failure is not None:
                        self._fail(cell, failure)
                    workers.add(self._after(cell, failure), first=True)
                    say(f"{cell}: {self._outcome(cell, failure)} ({self._left(workers):,} to do)")
                    if time.monotonic() - written > WRITE_SECONDS:
                        self.table(self._left(workers)).write(self.study.out)
                        written = time.monotonic()
            finally:
                self.table(self._left(workers)).write(self.study.out)

    def _left(self, workers: Workers) -> int:
        """Cells that are still to be done, those that others will make possible among them: of a set that is not made yet
        its scores with hard labels, and the set that is chosen along its run."""
        return sum(1 + self._later(cell) for cell in workers.pending)

    def _later(self, cell: Cell) -> int:
        """How many cells a cell will make possible."""
        if isinstance(cell, Measure):
            return 0
        of_a_set = len(self.models) * (2 if self.plain else 1)
        if self.study.selected(cell.method, cell.per_class) is not None:
            of_a_set = 2 * of_a_set + 1
        if isinstance(cell, Make):
            return of_a_set
        made = self.seeds if self.study.time_budget is None else self.seeds - 1  # to settle then makes the first
        return made + self.seeds * of_a_set

    def _fail(self, cell: Cell, failure: str) -> None:
        """Remember why a cell failed; what would have been chosen along its run fails with it."""
        self.results.failed[cell] = failure
        chosen = None if isinstance(cell, Measure) else self.study.selected(cell.method, cell.per_class or 0)
        if chosen is not None:
            self.results.failed[replace(cell, method=chosen)] = failure

    @property
    def counted(self) -> Counted:
        """What sets hold, and what scores are, in words."""
        spec = self.problem.spec
        predicts = spec.schema is None or bool(spec.schema.target)
        return Counted("image" if spec.schema is None else "row", bool(spec.class_names), predicts)

    def table(self, left: int) -> Comparison:
        """What is known, with so many cells still to be done."""
        shown, accuracies = self.shown, None not in self.problem.task.groups
        rows = tuple(rows_of(self.results, shown.methods, shown.budgets, shown.models, shown.seeds, accuracies))
        spec, problem = self.problem.spec, self.problem
        return Comparison(
            data=spec.name,
            problem={
                "fingerprint": spec.fingerprint,
                "source": dict(spec.source),
                "licence": spec.licence,
                "split": spec.split,
                "notes": list(spec.notes),
                "rows": {part: len(getattr(problem, part)) for part in ("train", "validation", "test")},
                "classes": len(spec.class_names),
                "noun": self.counted.noun,
                "predicts": self.counted.predicts,
            },
            protocol=self.study.protocol,
            rows=rows,
            seeds=shown.seeds,
            networks=self.study.networks,
            notes=tuple(self._notes()),
            command=shown.command,
            versions={name: ", ".join(sorted(found)) for name, found in self._versions().items()},
            left=left,
            methods=shown.settings_with(described(self.study)),
        )

    def _first(self) -> Iterator[Cell]:
        """The cells that can be done at once, finished ones passed over: full data first, for it takes longest."""
        kind = subject("full", self.problem, predicts=False).labels
        whole = (FULL, BOOTSTRAP) if self.problem.spec.schema is not None else (FULL,)
        for model in self.models:
            if not judges.fits(model, len(self.problem.train)):
                continue  # a system of all rows would not fit
            yield from self._unknown(
                [Measure(name, None, model, kind, seed) for name in whole for seed in range(self.seeds)]
            )
        for per_class in self.budgets:
            for (name, budget), method in self.study.methods.items():
                if budget != per_class or isinstance(method, Selected):  # which follows its run
                    continue
                if is_iterative(method) and self.study.settled(name, budget) is None:
                    yield Settle(name, budget)
                else:
                    yield from self._sets(name, budget)

    def _gather(self) -> None:
        """Remember what was measured before of what is not asked for this time; nothing of it is done anew."""
        for model in self.shown.models:
            for kind in ("hard", "soft"):
                seeds = range(self.shown.seeds)
                self._unknown([Measure(name, None, model, kind, seed) for name in WHOLE for seed in seeds])
        for name in self.shown.methods:
            for per_class in self.shown.budgets:
                for seed in range(self.shown.seeds):
                    cell = Make(name, per_class, seed)
                    if self._known(cell):
                        list(self._scores(cell, self.shown.models))

    def _sets(self, method: str, per_class: int) -> Iterator[Cell]:
        """A method's sets, or where they are made what follows."""
        for seed in range(self.seeds):
            yield from self._following(Make(method, per_class, seed))

    def _following(self, cell: Make) -> Iterator[Cell]:
        """A set that is to be made, or where it is what is to be measured on it, and what is to be chosen along its run."""
        if not self._known(cell):
            yield cell
            return
        yield from self._scores(cell, self.models)
        chosen = self.study.selected(cell.method, cell.per_class)
        if chosen is not None:
            yield from self._following(replace(cell, method=chosen))

    def _scores(self, made: Make, models: Sequence[str]) -> Iterator[Cell]:
        """What is to be measured on a set: with hard labels, and where it has soft ones with those, and random rows with
        those."""
        kind = self.results.made[made.method, made.per_class, made.seed].labels
        wanted = []
        for model in models:
            for labels in dict.fromkeys(["hard", kind] if judges.learns(model) else ["hard"]):
                wanted.append(Measure(made.method, made.per_class, model, labels, made.seed))
                if labels != "hard":
                    wanted.append(Measure(RANDOM, made.per_class, model, labels, made.seed, labels_from=made.method))
        yield from self._unknown(wanted)
        if self.plain:
            fields = ("method", "per_class", "model", "labels", "seed", "labels_from")
            yield from self._unknown(
                [
                    Measure(**{name: getattr(cell, name) for name in fields}, augmented=False)
                    for cell in wanted
                    if judges.is_network(cell.model)  # which augments nothing
                ]
            )

    def _after(self, cell: Cell, failure: str | None) -> list[Cell]:
        """The cells that a cell makes possible."""
        if failure is not None:
            return []
        if isinstance(cell, Settle):
            return list(self._sets(cell.method, cell.per_class))
        if isinstance(cell, Make):
            return list(self._following(cell)) if self._known(cell) else []
        self._unknown([cell])
        return []

    def _known(self, cell: Make) -> bool:
        """Whether a set is finished, which is then remembered."""
        key = cell.method, cell.per_class, cell.seed
        made = self.study.made(*key)
        if made is not None:
            self.results.made[key] = made
        return made is not None

    def _unknown(self, cells: Sequence[Measure]) -> list[Measure]:
        """Those that are not measured yet; the scores of the others are remembered."""
        for cell in cells:
            measured = cell.measured(self.study)
            if measured is not None:
                self.results.scores[cell], self.results.versions[cell] = measured
            else:
                self.results.scores.pop(cell, None)  # of a set that has been made anew since it was remembered
        return [cell for cell in cells if cell not in self.results.scores]

    def _outcome(self, cell: Cell, failure: str | None) -> str:
        if failure is not None:
            return f"failed: {failure}"
        if isinstance(cell, Settle):
            settled = self.study.settled(cell.method, cell.per_class)
            return f"{settled.steps:,} steps" if settled else "settled"
        if isinstance(cell, Make):
            made = self.results.made.get((cell.method, cell.per_class, cell.seed))
            return f"made in {made.seconds:.1f} s" if made else "made"
        score = self.results.scores.get(cell)
        return f"{100 * score.mean:.1f} %" if score else "measured"

    def _versions(self) -> dict[str, set[str]]:
        """The versions that measured the scores, as far as they are known; this process's where there are none yet."""
        measured = self.results.versions.values()
        return {name: {one.get(name, "unknown") for one in measured} or {mine} for name, mine in versions().items()}

    def _notes(self) -> Iterator[str]:
        """What a reader of the table should know."""
        spec, results, counted = self.problem.spec, self.results, self.counted
        yield from (spec.split, *spec.notes) if spec.split else spec.notes
        if None in self.problem.task.groups and counted.predicts:
            yield "Scores are R², in per cent: 100 at best, and below 0 where the mean of the target would do better."
        for model in self.shown.models:
            full = next((s for c, s in results.scores.items() if c.method == FULL and c.model == model), None)
            if full is not None and full.updates:
                yield full_note(full)
        yield from judges.notes(self.shown.models)
        if spec.schema is not None:
            yield REDRAWN
        steps: dict[str, list[str]] = {}
        for name, per_class in product(self.shown.methods, self.shown.budgets):
            if (settled := self.study.settled(name, per_class)) is not None:
                steps.setdefault(name, []).append(f"{settled.steps:,} at {per_class} {counted.short}")
        yield from (f"Steps of {name}: {', '.join(told)}." for name, told in steps.items())
        if any(map(judges.learns, self.shown.models)):
            yield from coreset_note(counted, len(self.problem.validation))
        yield from selected_notes(self.shown.settings_with(described(self.study)))
        if len({str(sorted(score.plan.items())) for score in results.scores.values() if score.plan}) > 1:
            yield "Short evaluations were computed in fp32, long ones by the fast plan."
        yield (
            "Seconds are the clock's, whatever else the machine did; the first set that a process makes pays in seconds and memory for "
            "what the next ones find there (imports, compiled code), so that those of short work say little."
        )
        before = self.shown.without(self.asked)
        if before:
            yield f"From before, as the folder holds it, and not asked for by the last command: {', '.join(before)}."
        measured_by = sorted(self._versions()["attar"])
        if len(measured_by) > 1:
            yield f"The scores are of several versions of attar, which may train otherwise: {', '.join(measured_by)}."
