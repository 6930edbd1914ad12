"""A section of a page: which causal conclusions distilled rows keep, each beside its noise floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attar.causal import Effect, Graph
from attar.evaluation.causal import CausalScores, EffectScore
from attar.evaluation.causal_text import DECISIONS, STRUCTURE, is_share
from attar.report.effects import effect_intervals
from attar.report.graphs import graphs_side_by_side
from attar.report.render import template
from attar.report.words import listed, points, spread_text, told

__all__ = ["causal_section"]


def causal_section(
    scores: CausalScores | Mapping[str, Any],
    *,
    identifier: str = "causal",
) -> str:
    """Graphs, decisions on independence and effects, as far as they were asked for.

    Args:
        scores: `CausalScores`, or the record that its `to_json` writes.
        identifier: of the section in the page's document.

    Returns:
        HTML, to stand in a page that has causal.css; every text in it is escaped.
    """
    found = scores if isinstance(scores, CausalScores) else CausalScores.from_json(scores)
    graphs = ""
    if isinstance(found.graph, Graph) and found.full_graph is not None:
        graphs = graphs_side_by_side(found.full_graph, found.graph, found.truth, identifier=f"{identifier}-graphs")
    return template("causal.html").render(
        identifier=identifier,
        algorithm=found.questions.algorithm,
        read=_read(found),
        graphs=graphs,
        decisions=_decisions(found),
        heads=["distilled rows", *(["full data"] if found.full_measures else []), *map(_floor_name, found.noise)],
        floors=_floors(found),
        effects=effect_intervals(
            [_effect_row(effect, found) for effect in found.effects], identifier=f"{identifier}-effects"
        ),
        level=_level(found.effects),
        bootstraps=next((floor.samples for floor in found.noise if floor.kind == _floor_kind(found)), 0),
        floor_kind=_floor_kind(found),
        notes=(*found.notes, *_unkept(found.effects)),
    )


def _unkept(effects: Sequence[EffectScore]) -> list[str]:
    """Which estimates read more than the distilled rows keep, in a sentence; none where these keep all."""
    names = [effect.label for effect in effects if isinstance(effect.of, Effect) and not effect.of.valid]
    if not names:
        return []
    are = "is an estimate" if len(names) == 1 else "are estimates"
    return [f"Of the distilled rows {listed(names)} {are} of these rows alone: they do not keep what is read for it."]


def _read(scores: CausalScores) -> str:
    """For how many rows they stand, in a sentence."""
    few = "The one distilled row stands" if scores.rows == 1 else f"The {scores.rows:,} distilled rows stand"
    return f"{few} for {scores.size:,.6g}, the sample size that tests read; the full data have {scores.full_size:,.6g} rows."


def _decisions(scores: CausalScores) -> str:
    """How many decisions are equal, lost and invented, beside the floors, in a sentence; empty where none were asked for."""
    if scores.decisions is None or isinstance(scores.decisions, str):
        return ""
    agreed, asked = scores.decisions, scores.questions
    tests = f"{agreed.tests:,} test{'' if agreed.tests == 1 else 's'}"
    beside = [
        f"{spread_text(mean, floor.std('decisions.equal'))} % of {_floor_name(floor)}"
        for floor in scores.noise
        if (mean := floor.mean("decisions.equal")) is not None
    ]
    against = f", beside {listed(beside)}" if beside else ""
    return (
        f"Of {tests} of independence ({asked.test}, given up to {asked.order} columns, at {asked.alpha:g}), "
        f"{points(agreed.equal)} % are decided as by the full data{against}; {agreed.lost_count:,} dependence"
        f"{' is' if agreed.lost_count == 1 else 's are'} lost and {agreed.invented_count:,} invented."
    )


def _floors(scores: CausalScores) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Every measure beside its noise floors, in groups; measures that nobody has are left out."""
    groups = [
        ("graph, against the full data's", {f"graph.{name}": words for name, words in STRUCTURE.items()}),
        ("graph, against the truth", {f"truth.{name}": words for name, words in STRUCTURE.items()}),
        ("decisions on independence", {f"decisions.{name}": words for name, words in DECISIONS.items()}),
        (
            "effects, away from the full data's, in its standard errors",
            {effect.label: effect.label for effect in scores.effects},
        ),
    ]
    found = []
    for head, measures in groups:
        rows = [(words, _cells(scores, name)) for name, words in measures.items()]
        rows = [(words, cells) for words, cells in rows if any(cells)]
        if rows:
            found.append((head, rows))
    return found


def _cells(scores: CausalScores, measure: str) -> list[str]:
    def say(value: float) -> str:
        return points(value) if is_share(measure) else f"{value:.2f}".removesuffix(".00")

    cells = [told(scores.measures.get(measure), say)]
    cells += [told(scores.full_measures.get(measure), say)] if scores.full_measures else []
    for floor in scores.noise:
        std = floor.std(measure)
        cells.append(told(floor.mean(measure), say) + ("" if std is None else f" ± {say(std)}"))
    return cells


def _effect_row(effect: EffectScore, scores: CausalScores) -> dict[str, Any]:
    """A row of `effect_intervals`; the band is as wide as the samples' estimates are away from the full data's on average."""
    query = effect.query
    given = f" given {', '.join(query.adjust)}" if query.adjust else ""
    floor = None
    noise = next((floor for floor in scores.noise if floor.kind == _floor_kind(scores)), None)
    away = noise.mean(effect.label) if noise is not None else None
    if away is not None and isinstance(effect.full, Effect):
        wide = away * effect.full.error
        floor = (effect.full.estimate - wide, effect.full.estimate + wide)
    return {
        "effect": f"{query.treatment} on {query.outcome}{given}",
        "estimator": effect.estimator,
        "unit": effect.unit,
        "full": effect.full if isinstance(effect.full, str) else vars(effect.full),
        "of": effect.of if isinstance(effect.of, str) else vars(effect.of),
        "errors": effect.errors,
        "floor": floor,
    }


def _floor_kind(scores: CausalScores) -> str:
    """Which floor the effects' bands are of: the fairer one, of fresh rows, where there is one."""
    kinds = [floor.kind for floor in scores.noise]
    return "fresh rows" if "fresh rows" in kinds else next(iter(kinds), "")


def _floor_name(floor: Any) -> str:
    """ "10 bootstraps", "3 samples of fresh rows"."""
    several = "" if floor.samples == 1 else "s"
    named = f"{floor.samples:,} bootstrap{several}"
    return named if floor.kind == "bootstrap" else f"{floor.samples:,} sample{several} of {floor.kind}"


def _level(effects: Sequence[EffectScore]) -> str:
    levels = {part.level for effect in effects for part in (effect.full, effect.of) if isinstance(part, Effect)}
    return listed([f"{100 * level:g} %" for level in sorted(levels)])
