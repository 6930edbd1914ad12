"""Making rows: ``DistilledSampler(...).fit_resample(X, y)``."""

from __future__ import annotations

import dataclasses
import hashlib
import numbers
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from attar import jobs, recipes
from attar.batches import Images
from attar.distilled import Distilled
from attar.method import Method, is_iterative, name_of
from attar.methods.rows import for_rows, named
from attar.plan import Plan
from attar.progress import watch
from attar.selection import Coreset
from attar.sklearn.sampler import Sampler, taken
from attar.tasks import ImageClassification
from attar.types import AttarError, Budget, Normalisation, Problem, Spec

__all__ = ["DistilledSampler"]


class DistilledSampler(Sampler):
    """Make a few rows for training in place of all: a distilled set of a table of numbers.

    The rows are not real ones: they are learned, so that a model that is trained on them does as one that was trained on all.
    They are numbers of any size in the units of their columns: a count may come out as 2.3 and a length below nought. A column
    that is constant stays so. `CoresetSampler` chooses real rows.

    Without a budget it balances: every class gets as many rows as the smallest one has (imbalanced-learn's "auto"), all of
    them made. With `per_class`, `size` or `fraction` it shrinks to that.

    It passes imbalanced-learn's checks of samplers (`imblearn.utils.estimator_checks`, version 0.14). Four of them do not
    apply: `check_samplers_string` and `check_samplers_nan`, since nothing is learned from text or missing values;
    `check_samplers_sampling_strategy_fit_resample`, which leaves a class as it is, where the rows of a distilled set are
    made together; and `check_param_validation`, which reads a private table of scikit-learn's: wrong settings are refused
    by sentences of attar's own, a ValueError, when it is fitted.

    Args:
        method: published name of a method that makes rows ("dm", "kip", ...), or a method of `attar.methods` or one's own.
        per_class: rows to make of each class.
        sampling_strategy: "auto", where no budget is given.
        size: rows to make in all, shared between classes as in the data, at least one each.
        fraction: of the number of rows, in (0, 1], likewise shared.
        steps: of learning; methods that give their result at once have none.
        network: that a method of this name learns by, where it learns by one: "mlp" (where None is given) or "mlp-WIDTH".
            Others look at neighbouring pixels, and columns have no neighbours.
        options: settings of a method of this name, such as ``{"lr": 0.1}``; `attar.methods` has them all.
        scale: "standard" learns from columns in units of their standard deviation, so that none counts for its unit of
            measurement; None learns from raw values. Rows come out in the units of X either way.
        device: "auto" (CUDA where there is one), "cpu" or "cuda".
        random_state: seed, generator, or None for another set each time.
        verbose: say on standard error what learning is expected to take, and how it goes.

    Attributes:
        distilled_: the set as an `attar.Distilled`, to be saved; it holds rows as images of 1 x 1, a channel a column, in float32,
            where a column that varies by less than a millionth of its values loses its digits (the rows returned do not).
        labels_: of each row what it is labelled ``(k, classes)``: a 1 for its class, or what was learned in its place; the
            class of a row in `y` is the largest. Columns are those of `classes_`.
        weights_: of the rows ``(k,)``, good as a ``sample_weight``; None where the method gives none.
        classes_: the classes, sorted.
        sampling_strategy_: rows that were made, by class.
        n_steps_: steps that were done.
        n_features_in_: number of columns.
        feature_names_in_: their names, where X has them.

    Example:
        >>> from attar.sklearn import DistilledSampler
        >>> X, y = np.arange(12.0).reshape(6, 2), ["cat"] * 3 + ["dog"] * 3
        >>> rows, labels = DistilledSampler("dm", per_class=1, steps=3).fit_resample(X, y)
        >>> rows.shape, labels
        ((2, 2), ['cat', 'dog'])
    """

    _chooses = False

    def __init__(
        self,
        method: str | Method = "dm",
        per_class: int | None = None,
        *,
        sampling_strategy: Literal["auto"] = "auto",
        size: int | None = None,
        fraction: float | None = None,
        steps: int = 1_000,
        network: str | None = None,
        options: Mapping[str, Any] | None = None,
        scale: Literal["standard"] | None = "standard",
        device: str = "auto",
        random_state: Any = 0,
        verbose: bool = False,
    ):
        self.method = method
        self.per_class = per_class
        self.sampling_strategy = sampling_strategy
        self.size = size
        self.fraction = fraction
        self.steps = steps
        self.network = network
        self.options = options
        self.scale = scale
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Make rows.

        Args:
            X: ``(n, d)`` numbers: an array, a list of rows, a data frame or a sparse matrix. They are learned from dense, in
                n x d numbers of memory.
            y: a class each ``(n,)``, of any kind, or indicators of one class each ``(n, classes)``; two classes or more.

        Returns:
            This sampler, with the rows in its attributes.

        Raises:
            ValueError: for rows or labels that cannot be learned from, or settings that do not suit them.
        """
        self._made(X, y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Make rows, and return them and their labels.

        Args and errors are those of `fit`.

        Returns:
            Rows of the type that X has, float32 where X is and else float64: a frame has the columns of X, those that are
            floats of their dtype, and is numbered anew. Labels have the type and dtype of y.
        """
        rows, examples = self._made(X, y)
        labels = taken(y, examples)
        return _like(X, rows), labels.reset_index(drop=True) if hasattr(labels, "iloc") else labels

    def _made(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Rows ``(k, d)`` in the units of X, and for each the position of a real row of its class ``(k,)``."""
        labels = self._labels(y)
        rows, labels = self._rows(X, labels)
        rows = rows.toarray() if hasattr(rows, "toarray") else rows
        self.classes_, first, ids = np.unique(labels, return_index=True, return_inverse=True)
        budget = self._budget(np.bincount(ids))
        method = self._method(budget)
        columns = _Columns.of(rows, self.scale)
        problem = _problem(columns.inside(rows), ids, self.classes_, rows)
        result = self._distilled(method, problem, budget)
        made = columns.outside(result.data.x.flatten(1).numpy())
        groups = result.labels.numpy()
        self.distilled_ = dataclasses.replace(
            result,
            data=result.data.replace(x=torch.from_numpy(made).float()[..., None, None]),
            training=dataclasses.replace(result.training, normalisation=columns.normalisation),
            stored={},  # of columns that vary alone, which the rows are no longer decoded from
            decoder=None,
        )
        y_made = result.data.y
        assert y_made is not None
        soft = F.one_hot(y_made, len(self.classes_)) if y_made.dim() == 1 else y_made
        self.labels_ = soft.double().numpy()
        self.weights_ = None if result.data.weight is None else result.data.weight.double().numpy()
        counts = np.bincount(groups, minlength=len(self.classes_))
        self.sampling_strategy_ = dict(zip(self.classes_.tolist(), counts.tolist(), strict=True))
        self.n_steps_ = int(result.made_by["steps"])
        return made.astype(rows.dtype, copy=False), first[groups]

    def _budget(self, there: np.ndarray) -> Budget:
        """Rows to make, of classes that have so many rows ``(classes,)``."""
        if len(there) < 2:
            raise AttarError(
                "y has one class, and a set is learned that tells classes apart: give rows of two or more."
            )
        if self.sampling_strategy != "auto":
            raise AttarError(
                f"sampling_strategy={self.sampling_strategy!r} is not known, as the rows of a distilled set are made together: "
                "give 'auto', or per_class, size or fraction."
            )
        budget = self._asked()
        return Budget(per_class=int(there.min())) if budget is None else budget

    def _method(self, budget: Budget) -> Method:
        """The method, once it is known to suit rows."""
        if self.scale not in ("standard", None):
            raise AttarError(f"scale={self.scale!r} is no scale: give 'standard' or None.")
        if not isinstance(self.steps, numbers.Integral) or self.steps < 0:
            raise AttarError(f"steps={self.steps!r} is no number of steps: give 0 or more.")
        if isinstance(self.method, str):
            return self._making_rows(named(self.method, self.network, self.options or {}, budget))
        for name in ("network", "options"):
            if getattr(self, name) is not None:
                raise AttarError(f"{name}= is for methods by name, and this one is made: make it with these settings.")
        return self._making_rows(self.method)

    @staticmethod
    def _making_rows(method: Method) -> Method:
        if recipes.recipe(name_of(method)).get("modality") == "tables":
            raise AttarError(
                f"The method '{name_of(method)}' keeps the structure of a table with its columns: use attar.data.table and attar.distill."
            )
        if isinstance(method, Coreset):
            raise AttarError(
                f"The method '{name_of(method)}' chooses real rows and makes none: that is what CoresetSampler is for."
            )
        return for_rows(method)

    def _distilled(self, method: Method, problem: Problem, budget: Budget) -> Distilled:
        job = jobs.prepare(
            method,
            problem,
            budget,
            steps=int(self.steps) if is_iterative(method) else None,
            seed=self._seed(),
            plan=Plan.on(self.device),
        )
        if self.verbose:
            watch(job)
        else:
            for _ in job:  # and not jobs.work, which an interrupt would end early with what there is
                pass
        return job.finish().value


@dataclasses.dataclass(frozen=True)
class _Columns:
    """How columns are learned from: in their own units or not, and without those that are constant, which stay as they are.

    Args:
        mean: ``(d,)``, of constant columns their value.
        std: ``(d,)``, of constant columns 1.
        vary: ``(d,)``, whether a column is not constant.
    """

    mean: np.ndarray
    std: np.ndarray
    vary: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, scale: str | None) -> _Columns:
        """Those of rows ``(n, d)``.

        Raises:
            AttarError: if all are constant.
        """
        found = StandardScaler().fit(rows)
        vary = found.scale_ == np.sqrt(found.var_)  # it has 1 where a column varies by no more than rounding
        if not vary.any():
            raise AttarError("All rows of X are alike, so there is nothing to learn from them: give columns that vary.")
        standard = vary & (scale == "standard")
        mean = np.where(vary, np.where(standard, found.mean_, 0.0), rows[0])
        return cls(mean, np.where(standard, found.scale_, 1.0), vary)

    def inside(self, rows: np.ndarray) -> torch.Tensor:
        """Rows ``(n, d)`` as images ``(n, columns that vary, 1, 1)``: a channel a column, as channels have units of their own."""
        scaled = (rows[:, self.vary] - self.mean[self.vary]) / self.std[self.vary]
        return torch.from_numpy(scaled).float()[..., None, None]

    def outside(self, rows: np.ndarray) -> np.ndarray:
        """Rows ``(k, columns that vary)`` in their own units and with all columns ``(k, d)``, float64: in float32 a large
        offset would take their digits."""
        every = np.tile(self.mean, (len(rows), 1))
        every[:, self.vary] += rows * self.std[self.vary]
        return every

    @property
    def normalisation(self) -> Normalisation:
        return Normalisation(tuple(self.mean.tolist()), tuple(self.std.tolist()))


def _problem(x: torch.Tensor, ids: np.ndarray, classes: np.ndarray, rows: np.ndarray) -> Problem:
    """Rows ready to be learned from as a problem, with the fingerprint of the raw ones."""
    digest = hashlib.sha256(np.ascontiguousarray(rows).data)
    digest.update(np.ascontiguousarray(ids, dtype=np.int64).data)
    width, y = x.shape[1], torch.from_numpy(ids)
    as_they_are = Normalisation((0.0,) * width, (1.0,) * width)
    names = tuple(map(str, classes.tolist()))
    spec = Spec("rows", f"sha256:{digest.hexdigest()}", names, as_they_are, augmentation="")
    none = Images(x[:0], y[:0])
    return Problem(ImageClassification((width, 1, 1), len(classes)), Images(x, y), none, none, spec)


def _like(given: Any, rows: np.ndarray) -> Any:
    """Rows ``(k, d)`` as a frame, a list or a sparse matrix, whatever was given."""
    if hasattr(given, "iloc"):
        frame = type(given)(rows, columns=given.columns)
        floats = [getattr(dtype, "kind", "") == "f" for dtype in given.dtypes]
        return frame.astype(given.dtypes[floats])
    if isinstance(given, list | tuple):
        return type(given)(rows.tolist())
    return type(given)(rows) if hasattr(given, "tocsr") else rows
