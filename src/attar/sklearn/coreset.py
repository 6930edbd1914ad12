"""Choosing rows: ``CoresetSampler(...).fit_resample(X, y)``."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, cast

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from attar import methods, rng
from attar.batches import Images
from attar.distilled.dataset import LEFT_OUT, SELECTED, write_table
from attar.selection import Coreset
from attar.selection.random_rows import counts_beside_quotas
from attar.sklearn.sampler import Sampler, taken
from attar.types import AttarError, Batch, Budget, Normalisation, Problem, Spec, Task

__all__ = ["CoresetSampler"]

_METHODS: Mapping[str, Callable[..., Any]] = {
    "random": methods.random,
    "kmeans": methods.kmeans,
    "herding": methods.herding,
    "k_center": methods.k_center,
    "facility_location": methods.facility_location,
    "graph_cut": methods.graph_cut,
}
"""The rules that look at rows alone and train no network."""

_FIXED = {"centres", "features", "epochs", "choice"}
"""What those rules take of images and networks."""

WHOLE = "its class is kept whole"

_Choice: TypeAlias = tuple[int, float, float, str]
"""Row, score, rows represented and reason."""


class CoresetSampler(Sampler):
    """Keep a few real rows, chosen by a rule, for training in place of all.

    Without a budget it balances: every class gets as many rows as the smallest one has (imbalanced-learn's "auto"). With
    `per_class`, `size` or `fraction` it shrinks to that. It drops rows and changes none.

    It passes imbalanced-learn's checks of samplers (`imblearn.utils.estimator_checks`, version 0.14). Three of them do not
    apply: `check_samplers_string` and `check_samplers_nan`, since there is no distance between texts or missing values, and
    `check_param_validation`, which reads a private table of scikit-learn's: wrong settings are refused by sentences of
    attar's own, a ValueError, when it is fitted.

    Args:
        method: "random", "kmeans" (the rows nearest to centres), "herding", "k_center", "facility_location" or "graph_cut".
        sampling_strategy: where no budget is given: "auto", or rows to keep by class, the classes not named being kept whole.
        per_class: rows to keep of each class.
        size: rows to keep in all, shared between classes as in the data, at least one each.
        fraction: share of the rows to keep, in (0, 1], likewise shared.
        by: "class" chooses within each class by itself, "all" among all rows at once, whose classes then fall as they may.
        keep: positions of rows that must stay; they count towards the budget.
        quotas: rows to keep by class, in place of what the budget gives it; with `size` and `fraction` the other classes share
            what they leave.
        deduplicate: leave out near-duplicates first.
        duplicates_within: rows are near-duplicates up to this share of the median distance to the nearest other row.
        prefer_duplicate: which of near-duplicates stays: the "first", the "last" or the most "central".
        scale: "standard" compares columns in units of their standard deviation, so that none counts for its unit of
            measurement; None compares raw values. Rows come out as they went in.
        options: of the method, such as ``{"greedy": "stochastic"}`` for facility location.
        random_state: seed, generator, or None for another choice each time.

    Attributes:
        sample_indices_: positions of the chosen rows ``(k,)`` in the order of choosing, by="class" class by class.
        scores_: the rule's number for each, of standardised rows: a distance, a gain ``(k,)``.
        weights_: how many rows each stands for ``(k,)``, in its class or among all; good as a ``sample_weight``.
        chosen_classes_: the class of each.
        reasons_: one phrase each: "covers 312 rows", "its class is kept whole".
        sampling_strategy_: rows that were kept, by class.
        left_out_: with `deduplicate` a record of each near-duplicate that could not be chosen: ``row``, its position,
            ``class``, and ``nearly_repeats``, the position of the row that stayed in its place; else empty.
        n_features_in_: number of columns.
        feature_names_in_: their names, where X has them.

    Example:
        >>> from attar.sklearn import CoresetSampler
        >>> X, y = np.arange(12.0).reshape(6, 2), ["cat"] * 4 + ["dog"] * 2
        >>> sampler = CoresetSampler("k_center", per_class=2)
        >>> rows, labels = sampler.fit_resample(X, y)
        >>> labels, sampler.sample_indices_.tolist(), sampler.weights_.tolist()
        (['cat', 'cat', 'dog', 'dog'], [1, 3, 4, 5], [2.0, 2.0, 1.0, 1.0])
    """

    _chooses = True

    def __init__(
        self,
        method: str = "k_center",
        *,
        sampling_strategy: str | Mapping[Any, int] = "auto",
        per_class: int | None = None,
        size: int | None = None,
        fraction: float | None = None,
        by: Literal["class", "all"] = "class",
        keep: Sequence[int] = (),
        quotas: Mapping[Any, int] | None = None,
        deduplicate: bool = False,
        duplicates_within: float = 0.1,
        prefer_duplicate: Literal["first", "last", "central"] = "first",
        scale: Literal["standard"] | None = "standard",
        options: Mapping[str, Any] | None = None,
        random_state: Any = 0,
    ):
        self.method = method
        self.sampling_strategy = sampling_strategy
        self.per_class = per_class
        self.size = size
        self.fraction = fraction
        self.by = by
        self.keep = keep
        self.quotas = quotas
        self.deduplicate = deduplicate
        self.duplicates_within = duplicates_within
        self.prefer_duplicate = prefer_duplicate
        self.scale = scale
        self.options = options
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Choose rows.

        Args:
            X: ``(n, d)`` numbers: an array, a list of rows, a data frame or a sparse matrix. Rows are compared dense, in n x d
                numbers of memory.
            y: a class each ``(n,)``, of any kind, or indicators of one class each ``(n, classes)``.

        Returns:
            This sampler, with the choice in its attributes.

        Raises:
            ValueError: for rows or labels that cannot be chosen from, or settings that do not suit them.
        """
        labels = self._labels(y)
        rows, labels = self._rows(X, labels)
        classes, ids = np.unique(labels, return_inverse=True)
        coreset = self._coreset()
        counts = self._counts(classes.tolist(), np.bincount(ids))
        chosen, left_out = self._chosen(coreset, self._scaled(rows), classes, ids, counts)
        self.sample_indices_ = np.array([row for row, *_ in chosen], dtype=np.intp)
        self.scores_ = np.array([score for _, score, *_ in chosen], dtype=float)
        self.weights_ = np.array([weight for *_, weight, _ in chosen], dtype=float)
        self.reasons_ = tuple(reason for *_, reason in chosen)
        self.chosen_classes_ = classes[ids[self.sample_indices_]]
        kept = np.bincount(ids[self.sample_indices_], minlength=len(classes))
        self.sampling_strategy_ = dict(zip(classes.tolist(), kept.tolist(), strict=True))
        names = classes.tolist()  # as y has them, and not as text
        self.left_out_ = tuple({**record, "class": names[ids[record["row"]]]} for record in left_out)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Choose rows, and return them and their labels as they were: of the same type, dtypes, columns and index.

        Args and errors are those of `fit`.
        """
        self.fit(X, y)
        return taken(X, self.sample_indices_), taken(y, self.sample_indices_)

    def write_selected(self, path: str | Path) -> None:
        """Write the choice as a CSV file, a line a row, with the columns of a coreset's `selected.csv`; `row` is its position.

        Near-duplicates that were left out are written beside it: as `left_out.csv` beside `selected.csv`, as
        `a_left_out.csv` beside `a.csv`. Where there are none, such a list of an earlier choice is removed.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        path = Path(path)
        columns = {
            "row": self.sample_indices_.tolist(),
            "class": self.chosen_classes_.tolist(),
            "score": self.scores_.tolist(),
            "represents": self.weights_.tolist(),
            "reason": self.reasons_,
        }
        lines = enumerate(zip(*columns.values(), strict=True))
        write_table(path, [{"position": place, **dict(zip(columns, line, strict=True))} for place, line in lines])
        beside = path.with_name(LEFT_OUT if path.name == SELECTED else f"{path.stem}_left_out{path.suffix}")
        if self.left_out_:
            write_table(beside, self.left_out_)
        else:
            beside.unlink(missing_ok=True)

    def _coreset(self) -> Callable[..., Coreset]:
        """The method, but for what is asked of each choice."""
        if self.method not in _METHODS:
            raise AttarError(f"There is no method '{self.method}' for rows: give {', '.join(_METHODS)}.")
        if self.scale not in ("standard", None):
            raise AttarError(f"scale={self.scale!r} is no scale: give 'standard' or None.")
        make = _METHODS[self.method]
        known = [name for name in inspect.signature(make).parameters if name not in _FIXED]
        odd = next((name for name in self.options or {} if name not in known), None)
        if odd is not None:
            raise AttarError(f"{self.method} has no option '{odd}': it has {', '.join(known) or 'none'}.")
        given = {"centres": "medoids"} if self.method == "kmeans" else {}
        asked = {name: getattr(self, name) for name in ("by", "deduplicate", "duplicates_within", "prefer_duplicate")}
        choose = functools.partial(make, **given, **(self.options or {}), **asked)
        choose()  # refuses what it does not know
        return choose

    def _counts(self, classes: list[Any], there: np.ndarray) -> list[int]:
        """Rows to keep of each class ``(classes,)``."""
        strategy, budget = self.sampling_strategy, self._asked()
        if budget is not None:
            quotas = _by_class(self.quotas or {}, classes, [None] * len(classes))
            return counts_beside_quotas(budget, there.tolist(), [str(name) for name in classes], quotas)
        if isinstance(strategy, Mapping):
            counts = _by_class(strategy, classes, there.tolist())
        elif strategy != "auto":
            raise AttarError(f"sampling_strategy={strategy!r} is not known: give 'auto' or rows to keep by class.")
        elif len(classes) < 2:
            raise AttarError("y has one class, so there is nothing to balance: give per_class, size or fraction.")
        else:
            counts = [int(there.min())] * len(classes)
        return _by_class(self.quotas or {}, classes, counts)

    def _scaled(self, rows: Any) -> torch.Tensor:
        """What rows are compared by ``(n, d)``, dense."""
        dense = rows.toarray() if hasattr(rows, "toarray") else rows
        return torch.from_numpy(StandardScaler(with_std=self.scale == "standard").fit_transform(dense))

    def _chosen(
        self, make: Callable[..., Coreset], x: torch.Tensor, classes: np.ndarray, ids: np.ndarray, counts: list[int]
    ) -> tuple[list[_Choice], Sequence[Mapping[str, Any]]]:
        """Each choice, class by class, and the records of the rows that were left out."""
        names = tuple(map(str, classes.tolist()))
        keep = self._kept(len(x))
        seed = self._seed()
        problem = _problem(x, torch.from_numpy(ids), names)
        if self.by == "all":
            if self.quotas or isinstance(self.sampling_strategy, Mapping):
                raise AttarError(
                    "Rows by class suit by='class'; by='all' takes rows whatever their class: leave one out."
                )
            return _picked(make(keep=keep), problem, Budget(size=sum(counts)), seed)
        sizes = np.bincount(ids).tolist()
        # a class that is kept whole needs no rule, which could be long at it
        whole = {group for group, count in enumerate(counts) if count == sizes[group] and not self.deduplicate}
        quotas = {name: 0 if group in whole else counts[group] for group, name in enumerate(names)}
        left = [row for row in keep if ids[row] not in whole]
        found, left_out = (
            _picked(make(keep=left, quotas=quotas), problem, Budget(per_class=1), seed)
            if any(quotas.values())
            else ([], ())
        )
        found += [(row, 0.0, 1.0, WHOLE) for row in np.flatnonzero(np.isin(ids, list(whole))).tolist()]
        return sorted(found, key=lambda choice: ids[choice[0]]), left_out  # stable: in the order of choosing

    def _kept(self, rows: int) -> list[int]:
        """Positions that must stay, checked."""
        for row in self.keep:
            if not isinstance(row, numbers.Integral) or not 0 <= row < rows:
                raise AttarError(f"The row {row!r} that must stay is not among the rows 0 to {rows - 1}.")
        return [int(row) for row in self.keep]


@dataclasses.dataclass(frozen=True)
class _Groups:
    """The part of a task that choosing asks for: whose rows are whose."""

    groups: tuple[int, ...]

    def members(self, batch: Batch) -> dict[int, torch.Tensor]:
        assert batch.y is not None
        return {group: torch.nonzero(batch.y == group).flatten() for group in self.groups}


def _problem(x: torch.Tensor, ids: torch.Tensor, names: tuple[str, ...]) -> Problem:
    """Rows and class ids as the problem that a coreset is chosen from."""
    rows, none = Images(x, ids), Images(x[:0], ids[:0])
    width = x.shape[1]
    spec = Spec("rows", "", names, Normalisation((0.0,) * width, (1.0,) * width))
    return Problem(cast(Task, _Groups(tuple(range(len(names))))), rows, none, none, spec)


def _picked(
    coreset: Coreset, problem: Problem, budget: Budget, seed: int
) -> tuple[list[_Choice], Sequence[Mapping[str, Any]]]:
    """Each choice, and the records of the rows that were left out."""
    value = coreset.finish(problem, budget, rng.generator(seed, "sampler"))
    return [(row["row"], row["score"], row["represents"], row["reason"]) for row in value.selected], value.left_out


def _by_class(asked: Mapping[Any, int], classes: list[Any], others: Sequence[Any]) -> list[Any]:
    """Rows by class where they are asked for, `others` elsewhere."""
    counts = list(others)
    for name, count in asked.items():
        if name not in classes:
            raise AttarError(
                f"Rows of the class {name!r} are asked for, which is not in y: {', '.join(map(repr, classes))}."
            )
        if not isinstance(count, numbers.Integral) or count < 0:
            raise AttarError(f"{count!r} rows of the class {name!r} are no number of rows: give 0 or more.")
        counts[classes.index(name)] = int(count)
    return counts
