"""Learners of tables in place of a network: trees, forests, linear models and neighbours judge a set as networks do.

All are trained on the rows with their weights, which count as in a weighted loss, and on soft labels as they are: a row of
probabilities is a row of each class, as heavy as it is probable. One setting of each is chosen on validation rows from a short
list, the same for every set; test rows choose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attar.tasks.tables import determination
from attar.types import AttarError, Batch

__all__ = ["Learner", "check", "draws", "fitted", "guesses", "is_named", "names", "notes", "score"]

Answers = Callable[[Tensor], Tensor]
"""From rows ``(n, d)``, float64 on the CPU, to an answer for each class, or the number, ``(n, outputs)``."""


@dataclass(frozen=True, eq=False)
class Learner:
    """A learner that was trained on rows.

    Args:
        name: see `names`.
        classes: of the target; 0 where it is a number.
        answers: what it says of rows.
        setting: what was chosen: "smallest leaf", "penalty" or "neighbours".
        value: of the setting.
        tried: pairs of a value and its score on validation rows; empty where none was chosen.
        validated: validation rows.
    """

    name: str
    classes: int
    answers: Answers
    setting: str
    value: float
    tried: tuple[tuple[float, float], ...] = ()
    validated: int = 0

    @property
    def validation(self) -> float | None:
        """The score on validation rows, None where nothing was chosen on them."""
        return dict(self.tried).get(self.value)

    def describe(self) -> str:
        """One line on the setting, e.g. "trees: smallest leaf 3, the best of 1, 3, 5 on 300 validation rows (accuracy 84.2 %)"."""
        if self.validation is None:
            return f"{self.name}: {self.setting} {self.value:g}, as stated, for no validation rows tell which is best"
        values = ", ".join(f"{value:g}" for value, _ in self.tried)
        found = f"accuracy {100 * self.validation:.1f} %" if self.classes else f"R squared {self.validation:.3f}"
        return f"{self.name}: {self.setting} {self.value:g}, the best of {values} on {self.validated:,} validation rows ({found})"


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows to train on, float64 on the CPU.

    Args:
        x: ``(n, d)``.
        y: probabilities of classes, or real targets, ``(n, outputs)``.
        weight: ``(n,)``, positive, of mean 1.
        of_classes: whether `y` are probabilities.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    of_classes: bool


@dataclass(frozen=True)
class _Family:
    """A kind of learner: what it is, and the setting that is chosen among values or, without validation rows, stated."""

    line: str
    setting: str
    values: tuple[float, ...]
    stated: float
    fit: Callable[[_Rows, float, int], Answers]
    drawn: bool = False


def is_named(name: str) -> bool:
    """Whether a name is meant for one of these learners and not for a network."""
    return name in _FAMILIES


def names() -> dict[str, str]:
    """The learners and one line on each."""
    return {name: family.line for name, family in _FAMILIES.items()}


def draws(name: str) -> bool:
    """Whether a learner draws anything, so that several runs tell more than one."""
    return _FAMILIES[name].drawn


def notes(given: Iterable[str]) -> list[str]:
    """A sentence on each learner among these names, for who reads its scores."""
    asked = set(given)
    return [
        f"{name}: {family.line}; {family.setting} {', '.join(f'{value:g}' for value in family.values)}, whichever is best on "
        f"validation rows, and {family.stated:g} where there are none."
        for name, family in _FAMILIES.items()
        if name in asked
    ]


def check(name: str) -> None:
    """Refuse names of no learner, and learners whose library is missing.

    Raises:
        AttarError: says which.
    """
    if not is_named(name):
        raise AttarError(f"There is no learner '{name}': give {', '.join(_FAMILIES)}.")
    if name != "knn":
        try:
            import sklearn  # noqa: F401
        except ImportError as error:
            raise AttarError(f"The learner '{name}' needs scikit-learn: pip install 'attar[selection]'.") from error


def fitted(name: str, batch: Batch, classes: int, validation: Batch | None = None, seed: int = 0) -> Learner:
    """Train a learner on rows with their weights.

    Args:
        name: see `names`.
        batch: rows ``(n, ...)``, flattened, with class ids ``(n,)``, probabilities or other targets of classes ``(n, classes)``,
            whose largest then is the guess, or numbers ``(n, 1)``.
        classes: of the target; 0 where it is a number.
        validation: rows that choose the setting: by accuracy, or R squared; of equals the first.
        seed: of what is drawn.

    Raises:
        AttarError: if there is no such learner, its library is missing, or the rows are not such rows.

    Example:
        >>> learner = fitted("trees", problem.train, problem.task.classes, problem.validation)  # doctest: +SKIP
        >>> score(learner, problem.test)  # doctest: +SKIP
        0.866
    """
    check(name)
    family, rows = _FAMILIES[name], _rows(batch, classes)
    if validation is None or not _tells(validation, classes):
        return Learner(name, classes, family.fit(rows, family.stated, seed), family.setting, family.stated)
    best, tried = None, list[tuple[float, float]]()
    for value in family.values:
        learner = Learner(name, classes, family.fit(rows, value, seed), family.setting, value)
        found = score(learner, validation)
        if best is None or found > max(before for _, before in tried):
            best = learner
        tried.append((value, found))
    assert best is not None
    return Learner(name, classes, best.answers, best.setting, best.value, tuple(tried), len(validation))


def guesses(learner: Learner, x: Tensor) -> Tensor:
    """What a learner takes rows ``(n, ...)`` for: class ids ``(n,)``, or numbers ``(n, 1)``."""
    found = learner.answers(_flat(x))
    return (found.argmax(1) if learner.classes else found).to(x.device)


def score(learner: Learner, data: Batch) -> float:
    """Accuracy in [0, 1]; of a target of numbers R squared, 1 at best and below 0 where the mean would do better.

    Weights of these rows are not read.

    Raises:
        AttarError: if rows have no target, or numbers are all the same, so that there is no R squared.
    """
    if not _tells(data, learner.classes):
        raise AttarError("These rows cannot judge: they need targets, and where these are numbers more than one value.")
    assert data.y is not None
    found, truth = guesses(learner, data.x), data.y.to(data.x.device)
    if not learner.classes:
        return determination(found, truth.double().reshape(-1, 1))
    return float((found == (truth if truth.dim() == 1 else truth.argmax(-1))).double().mean())


def _tells(data: Batch, classes: int) -> bool:
    """Whether rows can tell a good learner from a poor one."""
    if len(data) == 0 or data.y is None:
        return False
    return bool(classes) or bool((data.y != data.y.flatten()[0]).any())


def _rows(batch: Batch, classes: int) -> _Rows:
    """Rows as learners take them, those of no weight left out."""
    y = batch.y
    if len(batch) == 0 or y is None:
        raise AttarError(f"The rows to learn from have no {'targets' if len(batch) else 'rows'}: learners need both.")
    if batch.views is not None:
        raise AttarError("These learners take one target a row, and this set has one for each of several views.")
    if y.dim() == 1 and classes:
        y = _one_hot(y, classes)
    y = y.detach().cpu().double().reshape(len(batch), -1)
    if y.shape[1] != (classes or 1):
        raise AttarError(f"The targets are {y.shape[1]} numbers a row, and learners of this table take {classes or 1}.")
    weight = torch.ones(len(batch)).double() if batch.weight is None else batch.weight.detach().cpu().double()
    if not bool((weight >= 0).all()) or not 0 < float(weight.sum()) < float("inf"):
        raise AttarError("Learners take weights of 0 or more, one of them above 0, and these are not: give others.")
    kept = weight > 0
    x, y, weight = _flat(batch.x)[kept], y[kept], weight[kept]
    if not bool(x.isfinite().all()) or not bool(y.isfinite().all()):
        raise AttarError("The rows to learn from hold values that are no finite numbers: encode or impute them first.")
    of_classes = classes > 0 and bool((y >= 0).all()) and bool(((y.sum(1) - 1).abs() < 1e-4).all())
    return _Rows(x, y, weight / weight.mean(), of_classes)


def _flat(x: Tensor) -> Tensor:
    return x.detach().cpu().double().flatten(1)


def _one_hot(ids: Tensor, classes: int) -> Tensor:
    ids = ids.cpu()
    if ids.is_floating_point() or not 0 <= int(ids.min()) <= int(ids.max()) < classes:
        raise AttarError(f"Class ids are whole numbers from 0 to {classes - 1}, and some of these rows have others.")
    return torch.nn.functional.one_hot(ids.long(), classes)


# -- the learners


def _trees(rows: _Rows, leaf: float, seed: int) -> Answers:
    """Gradient boosting on histograms, whose bins are the values themselves where a column has no more than 255 of them."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options = {
        "max_iter": 100,
        "learning_rate": 0.1,
        "max_depth": 3,
        "early_stopping": False,
        "random_state": seed % 2**32,
    }
    if not rows.of_classes:
        return _each_output(lambda: HistGradientBoostingRegressor(min_samples_leaf=int(leaf), **options), rows)
    return _by_class(
        lambda copies: HistGradientBoostingClassifier(min_samples_leaf=round(leaf * copies), **options), rows
    )


def _forest(rows: _Rows, leaf: float, seed: int) -> Answers:
    """A forest that regresses probabilities: the squared error of all outputs together is the Gini impurity."""
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(
        n_estimators=100,
        min_samples_leaf=int(leaf),
        max_features="sqrt" if rows.y.shape[1] > 1 else 1.0,
        random_state=seed % 2**32,
        n_jobs=torch.get_num_threads(),
    )
    model = _trained(model, rows.x, rows.y.squeeze(1) if rows.y.shape[1] == 1 else rows.y, rows.weight)
    model.n_jobs = 1  # threads would add up the trees' answers in the order in which they end
    return lambda x: _told(model.predict, x)


def _linear(rows: _Rows, penalty: float, seed: int) -> Answers:
    """``min mean_w loss + penalty |b|^2``, half of that of logistic regression: weights are scaled to a sum of 1, so that rows
    that stand for a table are penalised as the table is."""
    from sklearn.linear_model import LogisticRegression, Ridge

    rows = _Rows(rows.x, rows.y, rows.weight / rows.weight.sum(), rows.of_classes)
    if not rows.of_classes:
        return _each_output(lambda: Ridge(alpha=penalty), rows)
    return _by_class(lambda _: LogisticRegression(C=1 / penalty, max_iter=2000, tol=1e-6), rows)


def _neighbours(rows: _Rows, count: float, seed: int) -> Answers:
    """Weighted mean of the targets of the nearest rows and of all that are as near as the last of them, so that the order of rows
    decides nothing."""
    centre = rows.x.mean(0)
    here = rows.x - centre
    norms = (here**2).sum(1)

    def answers(x: Tensor) -> Tensor:
        found = []
        for part in (x - centre).split(max(2**21 // len(here), 1)):
            gaps = torch.addmm(
                norms, part, here.T, alpha=-2
            )  # squared distances, less what is the same for all of a line
            last = gaps.topk(min(int(count), len(here)), largest=False).values[:, -1:]
            slack = 1e-12 * (1 + norms.max() + (part**2).sum(1, keepdim=True))  # what rounding makes of equal distances
            votes = (gaps <= last + slack) * rows.weight
            found.append(votes @ rows.y / votes.sum(1, keepdim=True))
        return torch.cat(found)

    return answers


_LEAVES = (1, 3, 5)

_FAMILIES = {
    "trees": _Family("100 gradient-boosted trees of depth 3 at a rate of 0.1", "smallest leaf", _LEAVES, 1, _trees),
    "forest": _Family("a random forest of 100 trees", "smallest leaf", _LEAVES, 1, _forest, drawn=True),
    "linear": _Family(
        "logistic regression, of a target of numbers ridge regression, on the weighted mean loss",
        "penalty",
        (10, 1, 0.1, 0.01, 0.001, 0.0001),
        0.01,
        _linear,
    ),
    "knn": _Family(
        "weighted vote, or mean, of the nearest rows and of those as near as the last of them",
        "neighbours",
        (1, 3, 5),
        1,
        _neighbours,
    ),
}


# -- scikit-learn's estimators on such rows


def _by_class(make: Callable[[float], Any], rows: _Rows) -> Answers:
    """Probabilities of all classes, by an estimator that takes class ids: rows come once for every class that they may be of.

    Args:
        make: an estimator, given how many rows each row became in the mean.
        rows: with probabilities.
    """
    row, ids = torch.nonzero(rows.y, as_tuple=True)
    present, classes = ids.unique(), rows.y.shape[1]
    if len(present) == 1:
        return lambda x: _one_hot(present, classes).double().expand(len(x), classes)
    model = _trained(make(len(row) / len(rows.x)), rows.x[row], ids, rows.weight[row] * rows.y[row, ids])

    def answers(x: Tensor) -> Tensor:
        return torch.zeros(len(x), classes).double().index_copy(1, present, _told(model.predict_proba, x))

    return answers


def _each_output(make: Callable[[], Any], rows: _Rows) -> Answers:
    """Numbers, by an estimator of one number for each output."""
    models = [_trained(make(), rows.x, y, rows.weight) for y in rows.y.T]
    return lambda x: torch.cat([_told(model.predict, x) for model in models], dim=1)


def _trained(model: Any, x: Tensor, y: Tensor, weight: Tensor) -> Any:
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    with threadpool_limits(1):  # threads add up partial sums in the order in which they end
        return model.fit(x.numpy(), y.numpy(), sample_weight=weight.numpy())


def _told(predict: Callable[[Any], Any], x: Tensor) -> Tensor:
    """Answers ``(n, outputs)`` of an estimator."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return torch.from_numpy(predict(x.numpy())).double().reshape(len(x), -1)
