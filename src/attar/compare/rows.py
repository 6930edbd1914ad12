"""From scores to the rows of the table: means, spreads, paired differences, DD-Ranking."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from attar.compare.cells import Cell, Make, Measure, Settle
from attar.compare.study import BOOTSTRAP, FULL, RANDOM, WHOLE_NAMES, Made
from attar.evaluation import Groups, Score, amplification, judges
from attar.evaluation.groups import over_runs
from attar.evaluation.paired import Paired, paired
from attar.evaluation.ranking import augmentation_robust, label_robust
from attar.evaluation.scores import mean_known, spread

__all__ = ["Results", "Row", "rows_of", "with_labels"]


@dataclass
class Results:
    """What is known so far.

    Args:
        made: finished sets by method, rows a class and seed.
        scores: by cell.
        failed: sentences by cell.
        versions: of the software that measured each score.
    """

    made: dict[tuple[str, int, int], Made] = field(default_factory=dict)
    scores: dict[Measure, Score] = field(default_factory=dict)
    failed: dict[Cell, str] = field(default_factory=dict)
    versions: dict[Measure, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One line of the table. Accuracies are in [0, 1].

    Args:
        method: its name; "full" for full data, "bootstrap" for as many rows of a table drawn of these with replacement, "random" for
            random rows.
        per_class: rows of each class, None for full data and what is drawn of it.
        model: name of the network.
        labels: "hard", or "soft", "learned" or "regression" as the set has them; None where it could not be made.
        labels_from: of random rows that take another method's labels, that method.
        mean: of `scores`, None where there are none.
        std: their sample standard deviation, None for one.
        runs: number of scores.
        scores: final test accuracies, seed by seed.
        seeds: that they are of.
        validation: mean accuracy on the validation set, None where there is none.
        rows: training rows.
        bytes: of all that the set stores.
        seconds: that making a set took, mean over seeds; None for full data.
        memory: peak bytes that making a set took beyond the rows, the largest of the seeds; None for full data, and where
            it is not known.
        steps: that made it, 0 for direct methods.
        coreset: whether it is one.
        against_random: paired difference to random rows with the same labels, over seeds; None for one seed.
        against_best_coreset: paired difference to `best_coreset`, likewise.
        best_coreset: the coreset, random rows among them, with the best validation accuracy at this budget with this
            network; None for soft labels, which no coreset has, and where nothing was validated.
        label_robust: DD-Ranking's score, from means over the seeds that all it takes have been measured with; None for
            full data and random rows, and where there are no such seeds.
        augmentation_robust: likewise, where sets were measured without augmentation, too.
        without_augmentation: mean accuracy there.
        worst_group: mean accuracy of the worst group of test rows, None where these have no attribute.
        worst_group_std: sample standard deviation of that over `scores`, None for one.
        amplification: how much larger the set makes the differences between groups than full data do (see
            `attar.evaluation.amplification`); None for full data, and where groups or full data were not measured.
        lost: of the judge "decisions", whose scores are shares of decisions alike, the mean share of the full data's dependences that
            are not found.
        invented: likewise of the independences that are rejected.
        failed: what went wrong, where a cell failed.
    """

    method: str
    per_class: int | None
    model: str
    labels: str | None
    labels_from: str | None = None
    mean: float | None = None
    std: float | None = None
    runs: int = 0
    scores: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    validation: float | None = None
    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    memory: int | None = None
    steps: int | None = None
    coreset: bool = False
    against_random: Paired | None = None
    against_best_coreset: Paired | None = None
    best_coreset: str | None = None
    label_robust: float | None = None
    augmentation_robust: float | None = None
    without_augmentation: float | None = None
    worst_group: float | None = None
    worst_group_std: float | None = None
    amplification: float | None = None
    lost: float | None = None
    invented: float | None = None
    failed: str | None = None

    @property
    def name(self) -> str:
        """The method in words."""
        if self.method in WHOLE_NAMES:
            return WHOLE_NAMES[self.method]
        return self.method if self.labels_from is None else f"{self.method}, labels of {self.labels_from}"

    @property
    def full_name(self) -> str:
        """The method in words, with its kind of labels."""
        return with_labels(self.name, self.labels, self.labels_from)

    def by_seed(self) -> dict[int, float]:
        """Mean over the networks of each seed."""
        networks = len(self.scores) // max(len(self.seeds), 1)
        each = (self.scores[start : start + networks] for start in range(0, len(self.scores), networks or 1))
        return {seed: statistics.mean(scores) for seed, scores in zip(self.seeds, each, strict=True)}

    def against(self, other: Row) -> Paired | None:
        """The paired difference to another row over the seeds of both; None for fewer than two."""
        return _difference(self.by_seed(), other.by_seed())


def _difference(mine: Mapping[int, float], others: Mapping[int, float]) -> Paired | None:
    common = [seed for seed in mine if seed in others]
    return paired([mine[seed] for seed in common], [others[seed] for seed in common])


def with_labels(name: str, labels: str | None, labels_from: str | None) -> str:
    """A method's name with its kind of labels, where they are not hard and not told in the name, as another method's are."""
    return name if labels in ("hard", None) or labels_from else f"{name}, {labels} labels"


@dataclass(frozen=True)
class _Line:
    """A row with what it was worked out from, seed by seed.

    Args:
        row: by itself.
        test: mean test accuracy of each seed.
        validation: mean accuracy on the validation set of each seed that was measured there.
        plain: mean test accuracy without augmentation, likewise.
        groups: of the test rows, over all seeds.
    """

    row: Row
    test: Mapping[int, float]
    validation: Mapping[int, float]
    plain: Mapping[int, float]
    groups: Groups | None = None


_NOTHING = _Line(Row("", None, "", None), {}, {}, {})
"""Stands where a row has nothing to be beside."""


def rows_of(
    results: Results,
    methods: Sequence[str],
    budgets: Sequence[int],
    models: Sequence[str],
    seeds: int,
    accuracies: bool = True,
) -> list[Row]:
    """The table so far: by network, full data first, then budget by budget random rows and the methods in order. DD-Ranking's scores
    are of accuracies: where scores are R² there are none."""
    found = []
    for model in models:
        full = _line(results, Measure(FULL, None, model, _full_labels(results, model), 0), seeds)
        drawn = _line(results, Measure(BOOTSTRAP, None, model, full.row.labels or "hard", 0), seeds)
        found += [line.row for line in (full, drawn) if line.row.runs or line.row.failed]
        for per_class in budgets:
            cells = [cell for method in methods for cell in _cells(results, method, per_class, model, seeds)]
            here = [_line(results, cell, seeds) for cell in cells]
            best = _best_coreset(here)
            told = [line for line in here if line.row.runs or line.row.failed]
            ranked = accuracies and judges.learns(model)
            found += [_beside(line, here, full, best, ranked) for line in told]
    return found


def _full_labels(results: Results, model: str) -> str:
    """The kind of labels that full data have."""
    measured = [cell for cell in (*results.scores, *results.failed) if isinstance(cell, Measure)]
    return next((cell.labels for cell in measured if cell.method == FULL and cell.model == model), "hard")


def _cells(results: Results, method: str, per_class: int, model: str, seeds: int) -> Iterator[Measure]:
    """A method's rows at a budget, by their cells of seed 0: hard labels, its own soft ones, random rows with those."""
    made = [results.made[key] for seed in range(seeds) if (key := (method, per_class, seed)) in results.made]
    kinds = dict.fromkeys(["hard", *(item.labels for item in made)]) if made else [""]
    kinds = kinds if judges.learns(model) else list(kinds)[:1]  # which reads the rows as they are, once
    for kind in kinds:
        yield Measure(method, per_class, model, kind, 0)
        if kind not in ("hard", ""):
            yield Measure(RANDOM, per_class, model, kind, 0, labels_from=method)


def _line(results: Results, cell: Measure, seeds: int) -> _Line:
    """The row of a cell and its likes of the other seeds, by itself."""
    alike = [replace(cell, seed=seed) for seed in range(seeds)]
    scored = [one for one in alike if one in results.scores]
    without = {one.seed: results.scores.get(replace(one, augmented=False)) for one in alike}
    # Per-view labels bring an augmentation of their own.
    plain = {seed: score.mean for seed, score in without.items() if score is not None and not score.augmentation}
    found = [results.scores[one] for one in scored]
    scores = tuple(number for score in found for number in score.scores)
    seen = {one.seed: results.scores[one].validation for one in scored}
    validation = {seed: accuracy for seed, accuracy in seen.items() if accuracy is not None}
    by_group = [score.groups for score in found if score.groups is not None]
    groups = over_runs(by_group) if by_group else None
    maker = cell.labels_from or cell.method
    made = [results.made[key] for one in scored if (key := (maker, cell.per_class or 0, one.seed)) in results.made]
    row = Row(
        method=cell.method,
        per_class=cell.per_class,
        model=cell.model,
        labels=cell.labels or None,
        labels_from=cell.labels_from,
        mean=statistics.mean(scores) if scores else None,
        std=spread(scores),
        runs=len(scores),
        scores=scores,
        seeds=tuple(one.seed for one in scored),
        validation=statistics.mean(validation.values()) if validation else None,
        rows=found[0].rows if found else None,
        bytes=found[0].bytes if found else None,
        seconds=statistics.mean(item.seconds for item in made) if made else None,
        memory=max((item.memory for item in made if item.memory is not None), default=None),
        steps=made[0].steps if made else None,
        coreset=cell.labels == "hard" and bool(made) and cell.labels_from is None and made[0].coreset,
        without_augmentation=statistics.mean(plain.values()) if plain else None,
        worst_group=groups.worst if groups else None,
        worst_group_std=groups.std if groups else None,
        lost=mean_known(score.lost for score in found),
        invented=mean_known(score.invented for score in found),
        failed=_failure(results, alike),
    )
    return _Line(row, row.by_seed(), validation, plain, groups)


def _failure(results: Results, cells: Sequence[Measure]) -> str | None:
    """The first failure of the cells, or of what they need."""
    for cell in cells:
        needed: list[Cell] = [cell, replace(cell, augmented=False)]
        if cell.per_class is not None:
            maker = cell.labels_from or cell.method
            needed = [Settle(maker, cell.per_class), Make(maker, cell.per_class, cell.seed), *needed]
        for one in needed:
            if one in results.failed:
                model = f"{cell.model}, " if isinstance(one, Measure) else ""
                where = "" if isinstance(one, Settle) else f"{model}seed {cell.seed}: "
                return where + results.failed[one]
    return None


def _best_coreset(lines: Sequence[_Line]) -> _Line | None:
    """The coreset of the best validation accuracy over the seeds that all of them have, the first named of equals; test
    accuracy has no say in it."""
    validated = [line for line in lines if line.row.coreset and line.validation and line.row.failed is None]
    means = _means([line.validation for line in validated])
    return validated[means.index(max(means))] if means else None


def _beside(line: _Line, here: Sequence[_Line], full: _Line, best: _Line | None, ranked: bool) -> Row:
    """A row with what it is worth beside the others of its budget and network."""
    row = line.row
    labels_from = None if row.labels == "hard" else row.method
    alike = (one for one in here if one.row.method == RANDOM and one.row.labels_from == labels_from)
    random = _NOTHING if row.method == RANDOM else next(alike, _NOTHING)
    coreset = best if best is not None and row.labels == "hard" else _NOTHING
    hard = next((one for one in here if one.row.method == row.method and one.row.labels == "hard"), _NOTHING)
    return replace(
        row,
        against_random=_difference(line.test, random.test),
        against_best_coreset=None if coreset is line else _difference(line.test, coreset.test),
        best_coreset=coreset.row.method or None,
        label_robust=_ranked(label_robust, full.test, hard.test, line.test, random.test) if ranked else None,
        augmentation_robust=_ranked(augmentation_robust, line.test, random.test, line.plain, random.plain)
        if ranked
        else None,
        amplification=amplification(line.groups, full.groups),
    )


def _ranked(score: Callable[..., float], *accuracies: Mapping[int, float]) -> float | None:
    """A score of means over the same seeds, None where there are none."""
    means = _means(accuracies)
    return score(*means) if means else None


def _means(accuracies: Sequence[Mapping[int, float]]) -> list[float]:
    """The mean of each over the seeds that all of them have, for a hard seed that only one has would count against it.

    Empty where there is no such seed.
    """
    common = set.intersection(*map(set, accuracies)) if accuracies else set()
    return [statistics.mean(one[seed] for seed in common) for one in accuracies] if common else []
