"""What causal conclusions a distilled table draws beside the full one, each beside its noise floor.

Three kinds: the graph that is discovered, the decisions on independence, and the effects that are estimated. Each is measured
against the full data's, and so are samples of the full data's size (`attar.evaluation.noise`): what a fresh sample would change,
a distilled table may change, too. It works on tables alone, real or distilled, and knows nothing of how they were made.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attar import causal
from attar.causal.independence import Kept, TestName
from attar.errors import AttarError
from attar.evaluation.causal_text import described
from attar.evaluation.conclusions import (
    Algorithm,
    Conclusions,
    EffectQuery,
    EffectScore,
    Questions,
    asked,
    concluded,
    measured,
    words_of,
)
from attar.evaluation.noise import Noise, bootstrapped, cut, noise
from attar.tables import Table

__all__ = ["CausalReference", "CausalScores", "EffectScore", "causal_evaluation"]


@dataclass(frozen=True)
class CausalScores:
    """Conclusions of a table beside those of the full data.

    Args:
        questions: what both were asked, with the test that was used.
        rows: of the judged table.
        size: for how many these stand, which tests read.
        full_size: the same of the full data.
        graph: discovered on the judged table; a sentence where that was refused, None where it was not asked for.
        full_graph: on the full data; None where it was not asked for.
        truth: the graph that is known to be true.
        decisions: agreement with the full data's; a sentence where they were refused, None where they were not asked for.
        valid: share of the judged table's p-values that hold at the size that was read; None without decisions.
        effects: in the order of the questions.
        measures: how far from the full data, and from the truth, by name (see `attar.evaluation.conclusions.measured`).
        full_measures: of the full data against the truth, which alone say something of them.
        noise: the floors, of bootstraps and of fresh rows, as far as they were asked for.
    """

    questions: Questions
    rows: int
    size: float
    full_size: float
    graph: causal.Graph | str | None
    full_graph: causal.Graph | None
    truth: causal.Graph | None
    decisions: causal.Agreement | str | None
    valid: float | None
    effects: tuple[EffectScore, ...]
    measures: Mapping[str, float]
    full_measures: Mapping[str, float]
    noise: tuple[Noise, ...] = ()

    @property
    def edges(self) -> causal.Changes | None:
        """Which edges of the full data's graph are kept, turned and lost, and which are invented; None without both graphs."""
        if not isinstance(self.graph, causal.Graph) or self.full_graph is None:
            return None
        return causal.changes(self.graph, self.full_graph)

    @property
    def structure(self) -> causal.Comparison | None:
        """The graph against the full data's; None without both."""
        if not isinstance(self.graph, causal.Graph) or self.full_graph is None:
            return None
        return causal.compare(self.graph, self.full_graph)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences: what was refused, which p-values do not hold, and what was left out of the noise floors."""
        found = [
            f"The judged table has no {name}: {part}"
            for name, part in (("graph", self.graph), ("decisions", self.decisions))
            if isinstance(part, str)
        ]
        for effect in self.effects:
            for whose, part in (("judged table does", effect.of), ("full data do", effect.full)):
                if isinstance(part, str):
                    found.append(f"The {whose} not estimate {effect.label}: {part}")
        if self.valid is not None and self.valid < 1:
            found.append(
                f"{100 * (1 - self.valid):.1f} % of the judged table's p-values do not hold at {self.size:,.6g} rows: it does not keep "
                "what they read."
            )
        return (*found, *(note for floor in self.noise for note in floor.notes))

    def in_words_of(self, source: Table) -> CausalScores:
        """The same scores, where both tables were judged as numbers (see `attar.tables.as_numbers`), with the words of their source."""
        words = words_of(source.columns)
        effects = tuple(dataclasses.replace(one, words=one.query.among(words)) for one in self.effects)
        return dataclasses.replace(self, effects=effects)

    def to_json(self) -> dict[str, Any]:
        """JSON values, by field; null for what is not defined, such as the share lost of no dependences."""
        return _plain(self)  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CausalScores:
        """The scores that `to_json` wrote."""
        graphs = {
            name: causal.Graph.from_json(value[name]) if isinstance(value[name], Mapping) else value[name]
            for name in ("graph", "full_graph", "truth")
        }
        agreed = value["decisions"]
        if isinstance(agreed, Mapping):
            known: dict[str, Any] = {name: math.nan if x is None else x for name, x in agreed.items()}
            agreed = causal.Agreement(**known)
        effects = tuple(
            EffectScore(
                EffectQuery(**one["query"]),
                one["estimator"],
                _effect(one["of"]),
                _effect(one["full"]),
                {name: (str(no), str(yes)) for name, (no, yes) in one.get("words", {}).items()},
            )
            for one in value["effects"]
        )
        rest = {
            "questions": Questions.from_json(value["questions"]),
            "noise": tuple(map(Noise.from_json, value["noise"])),
        }
        return cls(**{**value, **graphs, **rest, "decisions": agreed, "effects": effects})

    def describe(self) -> str:
        """A table in plain text: each measure beside its noise floors, then the edges, the effects and the notes."""
        return described(self)

    def __str__(self) -> str:
        return self.describe()


@dataclass(frozen=True, eq=False)
class CausalReference:
    """What the full data conclude, with the noise floors: made once, it judges many tables.

    Args:
        columns: names of the full data's columns.
        categories: of its discrete columns, by name.
        size: for how many rows it stands.
        questions: what was asked.
        truth: the graph that is known to be true.
        conclusions: of the full data.
        noise: the floors.
        seed: of what is drawn.
        words: of columns of two words, which counts as 0 in effects, and which as 1.
    """

    columns: tuple[str, ...]
    categories: Mapping[str, tuple[str | float, ...]]
    size: float
    questions: Questions
    truth: causal.Graph | None
    conclusions: Conclusions
    noise: tuple[Noise, ...]
    seed: int
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        full: Table,
        questions: Questions | None = None,
        *,
        truth: causal.Graph | None = None,
        bootstraps: int = 10,
        fresh: Table | None = None,
        seed: int = 0,
    ) -> CausalReference:
        """Ask the full data, and samples of their size.

        It costs ``1 + bootstraps + fresh rows / full rows`` times all questions: a discovery, every test up to the order, every
        estimate. With p columns these are nearly ``p^4 / 4`` tests of order up to 2: 3,696 of 12 columns, 32,680 of 20. Fisher's z and
        G2 make ten thousand and more a second on one core; the kernel test takes a millisecond each for every thousand rows, so
        bound it by ``questions.most`` and ``questions.depth``.

        Args:
            full: real rows.
            questions: what is asked; None for the graph by pc and all decisions of order up to 2.
            truth: the graph that is known to be true, of the same columns.
            bootstraps: how many samples are drawn of the full data with replacement. They are noisier than fresh rows, and repeated
                rows look like dependence.
            fresh: other rows of the same source, such as a simulator makes: the fairer floor. Each sample takes as many as the full
                data stand for, in order.
            seed: of what is drawn.

        Raises:
            AttarError: if the full data give no graph or no decisions, or the truth, an effect or fresh rows are of other columns.
        """
        questions = asked(questions or Questions(), full)
        if bootstraps < 0:
            raise AttarError(f"{bootstraps} bootstraps cannot be drawn: give 0 or more.")
        truth = None if truth is None else truth.reordered(full.names)
        samples = {"bootstrap": bootstrapped(full, bootstraps, seed)} if bootstraps else {}
        if fresh is not None:
            samples["fresh rows"] = cut(_alike(fresh, full.names, _categories(full)), round(full.size))
        found = concluded(full, questions, seed)
        for part in ("graph", "decisions"):
            if part in found.refused:
                raise AttarError(f"The full data give no {part} to compare with: {found.refused[part]}")
        floors = tuple(noise(kind, drawn, found, questions, truth, seed) for kind, drawn in samples.items())
        words = words_of(full.columns)
        return cls(full.names, _categories(full), full.size, questions, truth, found, floors, seed, words)

    def judge(self, of: Table, *, kept: Kept | None = None) -> CausalScores:
        """Ask a table the same, once, and measure its answers.

        Args:
            of: rows of the same columns in any order.
            kept: where they keep the statistics of some columns only, whether of the named ones (see `attar.causal.independence`).

        Raises:
            AttarError: if the columns are others.
        """
        of, full = _alike(of, self.columns, self.categories), self.conclusions
        own = concluded(of, self.questions, self.seed, kept)
        decisions: causal.Agreement | str | None = None
        valid = None
        if isinstance(own.decisions, causal.Decisions) and isinstance(full.decisions, causal.Decisions):
            decisions = causal.agreement(own.decisions, full.decisions)
            valid = float(own.decisions.valid.double().mean())
        elif isinstance(own.decisions, str):
            decisions = own.decisions
        against_truth = {name: x for name, x in measured(full, full, self.truth).items() if name.startswith("truth.")}
        return CausalScores(
            questions=self.questions,
            rows=len(of),
            size=of.size,
            full_size=self.size,
            graph=own.graph,
            full_graph=full.graph,  # type: ignore[arg-type]  # no sentence, or there were no reference
            truth=self.truth,
            decisions=decisions,
            valid=valid,
            effects=tuple(
                EffectScore(query, estimator, own.effects[label], full.effects[label], query.among(self.words))
                for query, estimator in self.questions.estimates
                for label in [query.label(estimator)]
            ),
            measures=measured(own, full, self.truth),
            full_measures=against_truth,
            noise=self.noise,
        )


def causal_evaluation(
    of: Table,
    full: Table,
    *,
    truth: causal.Graph | None = None,
    algorithm: Algorithm | None = "pc",
    test: TestName | None = None,
    order: int | None = 2,
    alpha: float = 0.01,
    depth: int | None = None,
    most: int | None = None,
    effects: Sequence[EffectQuery] = (),
    bootstraps: int = 10,
    fresh: Table | None = None,
    seed: int = 0,
    kept: Kept | None = None,
) -> CausalScores:
    """Measure what causal conclusions a table draws beside the full one, and beside samples of the full data's size.

    Where several tables are judged by the same data, `CausalReference.of` does what this does with the full data once. The fields of
    `Questions` say what is asked (`algorithm` to `effects`), and `CausalReference.of` what the rest is and what it costs.

    Args:
        of: the judged table, of the same columns.
        full: the full data.
        truth: the graph that is known to be true.
        algorithm: pc, ges, lingam, or None for no graph.
        test: fisher_z, g2, kernel, or None for the one that suits the full data.
        order: the largest number of given columns, or None for no decisions.
        alpha: level of decisions, and of pc.
        depth: the largest number of given columns that pc tests; None for all.
        most: the largest number of decisions of each order; None for all.
        effects: that are estimated.
        bootstraps: samples of the full data; each asks everything again.
        fresh: other rows of the same source.
        seed: of what is drawn.
        kept: which statistics the judged rows keep; None for all.

    Raises:
        AttarError: as `CausalReference.of` and its `judge` do.

    Example:
        >>> few = Moments.of(full).rows()  # doctest: +SKIP
        >>> causal_evaluation(few, full, effects=[EffectQuery("dose", "recovery", ("age",))]).edges.lost  # doctest: +SKIP
        ()
    """
    questions = Questions(algorithm, test, order, alpha, depth, most, tuple(effects))
    reference = CausalReference.of(full, questions, truth=truth, bootstraps=bootstraps, fresh=fresh, seed=seed)
    return reference.judge(of, kept=kept)


def _categories(table: Table) -> dict[str, tuple[str | float, ...]]:
    return {column.name: column.categories for column in table.columns if column.discrete}


def _alike(table: Table, names: tuple[str, ...], categories: Mapping[str, tuple[str | float, ...]]) -> Table:
    """The table with its columns in the order of the full data's."""
    if set(table.names) != set(names):
        other = sorted(set(table.names) ^ set(names))
        raise AttarError(
            f"Tables are compared column by column, and {', '.join(other)} of these are of one only: read both alike, or where one was "
            "turned into numbers, turn the other by attar.tables.as_numbers."
        )
    for name, own in _categories(table).items():
        if own != categories.get(name, own):
            raise AttarError(
                f"Column '{name}' has the categories {', '.join(map(str, own))} in one table and "
                f"{', '.join(map(str, categories[name]))} in the other: read both alike."
            )
    return table.only(names)


def _effect(value: Any) -> causal.Effect | str:
    if isinstance(value, str):
        return value
    both = value["propensity"]
    return causal.Effect(**{**value, "propensity": None if both is None else tuple(both)})


def _plain(value: Any) -> Any:
    """Records as dictionaries, tuples as lists, and None for what is no finite number."""
    if isinstance(value, causal.Graph):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
