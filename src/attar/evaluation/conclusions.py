"""What causal conclusions a table draws: its graph, its decisions on independence and its effects, each or why it draws none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeVar

from attar import causal
from attar.causal.effects import ESTIMATORS
from attar.causal.independence import Kept, TestName, suited
from attar.errors import AttarError
from attar.rng import generator
from attar.tables import Column, Table

__all__ = [
    "Algorithm",
    "Conclusions",
    "EffectQuery",
    "EffectScore",
    "Questions",
    "answered",
    "asked",
    "concluded",
    "measured",
    "words_of",
]

Algorithm = Literal["pc", "ges", "lingam"]

T = TypeVar("T")


@dataclass(frozen=True)
class EffectQuery:
    """An effect that is asked for, by each estimator (see `attar.causal.effect`).

    Args:
        treatment: a column.
        outcome: another one.
        adjust: columns that are held fixed.
        estimators: of regression, ipw and aipw.

    Raises:
        AttarError: if a column is named twice, or there is no such estimator.
    """

    treatment: str
    outcome: str
    adjust: tuple[str, ...] = ()
    estimators: tuple[str, ...] = ("regression",)

    def __post_init__(self) -> None:
        for name in ("adjust", "estimators"):
            if isinstance(getattr(self, name), str):
                raise AttarError(f"{name}='{getattr(self, name)}' of an effect is one word: give a list of names.")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise AttarError(
                f"Column '{twice}' is named twice: treatment, outcome and adjustment are different columns."
            )
        for estimator in self.estimators or ("none",):
            if estimator not in ESTIMATORS:
                raise AttarError(
                    f"There is no estimator '{estimator}' of effects: give some of {', '.join(ESTIMATORS)}."
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Treatment, outcome and adjustment."""
        return (self.treatment, self.outcome, *self.adjust)

    def label(self, estimator: str) -> str:
        """What names the estimate, such as "dose on recovery given age (aipw)"."""
        given = f" given {', '.join(self.adjust)}" if self.adjust else ""
        return f"{self.treatment} on {self.outcome}{given} ({estimator})"

    def among(self, words: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        """What `words_of` says of treatment and outcome."""
        return {name: words[name] for name in (self.treatment, self.outcome) if name in words}


@dataclass(frozen=True)
class Questions:
    """What tables are asked. Scores compare only where these are equal.

    Args:
        algorithm: that discovers the graph; None for no graph.
        test: of the decisions, and of pc; None for the one that suits the full data's columns.
        order: the largest number of given columns of the decisions; None for no decisions.
        alpha: level of the decisions, and of pc.
        depth: the largest number of given columns that pc tests; None for all.
        most: the largest number of decisions of each order, drawn where there are more; None for all.
        effects: that are estimated.

    Raises:
        AttarError: if `depth` is given where there is no pc.
    """

    algorithm: Algorithm | None = "pc"
    test: TestName | None = None
    order: int | None = 2
    alpha: float = 0.01
    depth: int | None = None
    most: int | None = None
    effects: tuple[EffectQuery, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "effects", tuple(self.effects))
        if self.depth is not None and self.algorithm != "pc":
            raise AttarError(f"depth={self.depth} is of pc, and algorithm={self.algorithm}: leave it out.")

    @property
    def estimates(self) -> tuple[tuple[EffectQuery, str], ...]:
        """Every query with each of its estimators."""
        return tuple((query, estimator) for query in self.effects for estimator in query.estimators)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Questions:
        """What `dataclasses.asdict` gave, lists in place of tuples."""
        return cls(**{**value, "effects": tuple(EffectQuery(**query) for query in value["effects"])})


@dataclass(frozen=True)
class EffectScore:
    """An effect as two tables estimate it.

    Args:
        query: what was asked.
        estimator: one of its estimators.
        of: of the judged table; a sentence where it was refused.
        full: of the full data, likewise.
        words: of treatment and outcome, where they are two words, which counts as 0, and which as 1 (see `words_of`).
    """

    query: EffectQuery
    estimator: str
    of: causal.Effect | str
    full: causal.Effect | str
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What names it, such as "dose on recovery given age (aipw)"."""
        return self.query.label(self.estimator)

    @property
    def unit(self) -> str:
        """What the estimate is of: "recovery a unit of dose", or of words "share of well = yes, arm = drug against arm = placebo"."""
        treatment, outcome = self.query.treatment, self.query.outcome
        counted = f"share of {outcome} = {self.words[outcome][1]}" if outcome in self.words else outcome
        if treatment not in self.words:
            return f"{counted} a unit of {treatment}"
        without, treated = self.words[treatment]
        return f"{counted}, {treatment} = {treated} against {treatment} = {without}"

    @property
    def difference(self) -> float | None:
        """The estimate less the full data's, in units of the outcome a unit of the treatment; None where either was refused."""
        if isinstance(self.of, str) or isinstance(self.full, str):
            return None
        return self.of.estimate - self.full.estimate

    @property
    def errors(self) -> float | None:
        """That difference in standard errors of the full data's estimate; None where that has none."""
        if self.difference is None or isinstance(self.full, str) or self.full.error == 0:
            return None
        return self.difference / self.full.error


@dataclass(frozen=True, eq=False)
class Conclusions:
    """The answers of one table; a sentence in place of each that was refused.

    Args:
        graph: None where none was asked for.
        decisions: None where none were asked for.
        effects: by label, in the order of `Questions.estimates`.
    """

    graph: causal.Graph | str | None = None
    decisions: causal.Decisions | str | None = None
    effects: Mapping[str, causal.Effect | str] = field(default_factory=dict)

    @property
    def refused(self) -> dict[str, str]:
        """Sentences by what was refused: "graph", "decisions", or the label of an effect."""
        parts = {"graph": self.graph, "decisions": self.decisions, **self.effects}
        return {name: part for name, part in parts.items() if isinstance(part, str)}


def words_of(columns: Iterable[Column]) -> dict[str, tuple[str, str]]:
    """Of the columns whose values are two words, by name: the one that effects take for 0, and the one that they take for 1."""
    pairs = (column for column in columns if column.levels == 2 and not column.numeric)
    return {column.name: (str(column.categories[0]), str(column.categories[1])) for column in pairs}


def answered(ask: Callable[[], T]) -> T | str:
    """What is found, or the sentence that refuses it."""
    try:
        return ask()
    except AttarError as error:
        return str(error)


def asked(questions: Questions, table: Table) -> Questions:
    """The questions with the test named that suits the table.

    Raises:
        AttarError: if an effect is of a column that is not there.
    """
    for query in questions.effects:
        for name in query.names:
            table.place(name)
    return replace(questions, test=questions.test or suited(table))


def concluded(table: Table, questions: Questions, seed: int = 0, kept: Kept | None = None) -> Conclusions:
    """Ask a table. It costs a discovery, all tests and all estimates.

    Args:
        table: real or distilled rows.
        questions: with a test that is named.
        seed: of tests that are drawn, and of rows for lingam where a table has none to read.
        kept: which statistics the rows keep (see `attar.causal.independence`).
    """

    def graph() -> causal.Graph:
        algorithm, own = questions.algorithm, questions.algorithm == "pc"
        settings = {"alpha": questions.alpha, "test": questions.test, "order": questions.depth} if own else {}
        source = generator(seed, "rows for discovery")
        return causal.discover(table, algorithm, generator=source, **settings).graph  # type: ignore[arg-type]

    def decisions() -> causal.Decisions:
        order = questions.order if questions.order is not None else 0
        return causal.independence(
            table, questions.test, order, questions.alpha, kept=kept, most=questions.most, seed=seed
        )

    def effect(query: EffectQuery, estimator: Any) -> causal.Effect:
        return causal.effect(table, query.treatment, query.outcome, query.adjust, estimator)

    return Conclusions(
        None if questions.algorithm is None else answered(graph),
        None if questions.order is None else answered(decisions),
        {
            query.label(estimator): answered(partial(effect, query, estimator))
            for query, estimator in questions.estimates
        },
    )


def measured(of: Conclusions, full: Conclusions, truth: causal.Graph | None = None) -> dict[str, float]:
    """How far one table's conclusions are from another's, and from the truth, by the name of the measure.

    Fields of `attar.causal.Comparison` as ``graph.f1`` (against the full data's graph) and ``truth.f1``, of `attar.causal.Agreement`
    as ``decisions.lost``, and by the label of an effect ``|difference| / standard error`` of the full data's. What was refused, or is
    not defined, is not there.
    """
    found: dict[str, Any] = {}
    for name, reference in (("graph", full.graph), ("truth", truth)):
        if isinstance(of.graph, causal.Graph) and isinstance(reference, causal.Graph):
            found |= {f"{name}.{key}": value for key, value in vars(causal.compare(of.graph, reference)).items()}
    if isinstance(of.decisions, causal.Decisions) and isinstance(full.decisions, causal.Decisions):
        agreed = causal.agreement(of.decisions, full.decisions)
        found |= {f"decisions.{key}": value for key, value in vars(agreed).items()}
    for label, effect in of.effects.items():
        other = full.effects[label]
        if isinstance(effect, causal.Effect) and isinstance(other, causal.Effect) and other.error > 0:
            found[label] = abs(effect.estimate - other.estimate) / other.error
    return {
        name: float(value) for name, value in found.items() if isinstance(value, int | float) and not math.isnan(value)
    }
