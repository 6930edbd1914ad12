"""What all samplers share: how many rows are asked for, what is asked of labels, and what both libraries ask of samplers."""

from __future__ import annotations

import dataclasses
import numbers
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils import InputTags, Tags, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from attar.types import AttarError, Budget

__all__ = ["Sampler", "taken"]


class Sampler(OneToOneFeatureMixin, BaseEstimator):
    """A sampler of tables: a subclass has the settings below, `fit` and `fit_resample`."""

    _estimator_type = "sampler"
    _chooses: ClassVar[bool]
    """Whether its rows are those at `sample_indices_`."""

    sampling_strategy: Any
    per_class: int | None
    size: int | None
    fraction: float | None
    random_state: Any

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn and imbalanced-learn ask of a sampler: it takes sparse rows and frames, and tells indices or not."""
        tags = super().__sklearn_tags__()
        known = {field.name: getattr(tags, field.name) for field in dataclasses.fields(tags)}
        known["estimator_type"] = "sampler"
        known["target_tags"] = dataclasses.replace(tags.target_tags, required=True)
        known["input_tags"] = _InputTags(sparse=True)
        return _Tags(**known, sampler_tags=_SamplerTags(self._chooses))

    def _asked(self) -> Budget | None:
        """The budget, None where none is given and `sampling_strategy` says how many rows."""
        budget: dict[str, Any] = {name: getattr(self, name) for name in ("per_class", "size", "fraction")}
        budget = {name: value for name, value in budget.items() if value is not None}
        wrong = next((name for name, value in budget.items() if not isinstance(value, numbers.Real)), None)
        if wrong is not None:
            raise AttarError(f"{wrong}={budget[wrong]!r} is no number of rows: give a number.")
        if budget and self.sampling_strategy != "auto":
            raise AttarError("sampling_strategy and a budget both say how many rows there are to be: give one of them.")
        if not budget:
            return None
        Budget(**budget)  # refuses what is out of range, and 2.5 rows
        # plain numbers, as a set's record has no others
        plain: dict[str, Any] = {name: float(n) if name == "fraction" else int(n) for name, n in budget.items()}
        return Budget(**plain)

    def _labels(self, y: Any) -> np.ndarray:
        """A label each ``(n,)``."""
        if y is None:
            raise AttarError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        check_classification_targets(y)
        if type_of_target(y) == "multilabel-indicator":
            indicators = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
            if (indicators.sum(axis=1) != 1).any():
                raise AttarError("Multilabel and multioutput targets are not supported: give each row one class.")
            return indicators.argmax(axis=1)
        return column_or_1d(y)

    def _rows(self, X: Any, labels: np.ndarray) -> tuple[Any, np.ndarray]:
        """Rows ``(n, d)`` of finite numbers, sparse ones as CSR, and their labels ``(n,)``.

        Raises:
            ValueError: for anything else.
        """
        text = [str(name) for name in X.columns if _is_text(X[name])] if hasattr(X, "iloc") else []
        if text:
            raise AttarError(
                f"X has columns that are no numbers ({', '.join(text[:5])}{', ...' if len(text) > 5 else ''}): "
                "encode them as numbers, or leave them out."
            )
        kind = [np.float64, np.float32]
        try:
            rows, labels = validate_data(self, X, labels, accept_sparse="csr", dtype=kind, ensure_all_finite=False)
        except ValueError as error:
            if "could not convert string" not in str(error):
                raise
            raise AttarError(
                f"X has text ({str(error).partition(': ')[2]}): encode it as numbers, or leave it out."
            ) from error
        bad = ~np.isfinite(rows.data if hasattr(rows, "tocsr") else rows)
        if bad.any():
            first = "" if hasattr(rows, "tocsr") else f", the first in row {np.argwhere(bad)[0, 0]}"
            raise AttarError(
                f"X contains NaN or inf in {np.count_nonzero(bad):,} places{first}: {type(self).__name__} takes finite "
                "numbers, so fill them in or leave out these rows."
            )
        return rows, labels

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))


def _is_text(column: Any) -> bool:
    """Whether a frame's column holds text or dates; what is "object" or "category" may hold numbers, too."""
    kind = getattr(column.dtype, "kind", "O")
    return kind in "mM" or (kind == "O" and any(isinstance(value, str) for value in column))


def taken(rows: Any, ids: np.ndarray) -> Any:
    """Some of the rows of a frame, a series, a list, an array or a sparse matrix."""
    if hasattr(rows, "iloc"):
        return rows.iloc[ids]
    if isinstance(rows, list | tuple):
        return type(rows)([rows[row] for row in ids])
    return (rows.tocsr() if hasattr(rows, "tocsr") else rows)[ids]


@dataclasses.dataclass
class _SamplerTags:
    """imbalanced-learn's tag of samplers that tell which rows they took."""

    sample_indices: bool = True


@dataclasses.dataclass
class _InputTags(InputTags):
    """scikit-learn's tags, and imbalanced-learn's of samplers that keep frames."""

    dataframe: bool = True


@dataclasses.dataclass
class _Tags(Tags):
    """scikit-learn's tags, with imbalanced-learn's of samplers."""

    sampler_tags: _SamplerTags = dataclasses.field(default_factory=_SamplerTags)
