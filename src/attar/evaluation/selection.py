"""Selection: which of several sets along a run is best on validation rows. Test rows have no say in it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from attar import rng
from attar.distilled import Distilled
from attar.evaluation import judges, learners
from attar.evaluation.evaluate import default_models, evaluate
from attar.evaluation.protocol import Protocol, protocol_named
from attar.evaluation.scores import percent, plain, tuples
from attar.types import AttarError, Problem

__all__ = ["Candidate", "Selection", "chosen_of", "judged_on_validation", "select", "without_validation"]


@dataclass(frozen=True)
class Candidate:
    """A set along a run, as validation rows score it.

    Args:
        step: steps that made it.
        mean: of `scores`.
        std: their sample standard deviation, None for one.
        scores: of each network on the validation rows.
    """

    step: int
    mean: float
    std: float | None
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Selection:
    """What was chosen among the candidates of a run, by whom, and from what.

    Args:
        step: of the chosen one.
        candidates: all of them by step; the last is the run's result.
        model: that was trained on each.
        protocol: how.
        seed: of the choice.
        rows: validation rows that it was scored on.
        tuned: further validation rows, on which a learner of tables chose its setting.
        metric: "accuracy", or "R²" of a target of numbers.
        seconds: that choosing took.
    """

    step: int
    candidates: tuple[Candidate, ...]
    model: str
    protocol: Protocol
    seed: int
    rows: int
    tuned: int
    metric: str
    seconds: float

    @property
    def chosen(self) -> Candidate:
        """The candidate that was chosen."""
        return next(candidate for candidate in self.candidates if candidate.step == self.step)

    @property
    def final(self) -> Candidate:
        """The last one, which is the run's result."""
        return self.candidates[-1]

    def sentence(self) -> str:
        """What was chosen, by what, and what it gained on the rows that chose."""
        first, final, runs = self.candidates[0].step, self.final, len(self.final.scores)
        found = f"step {self.step:,} was chosen, with {percent(self.chosen.mean)} %"
        beside = f" beside {percent(final.mean)} % of the last, which is the run's result"
        if self.step == final.step:
            found, beside = f"the last, which is the run's result, was chosen, with {percent(final.mean)} %", ""
        tuned = f" ({self.tuned:,} others chose its setting)" if self.tuned else ""
        return (
            f"Of {len(self.candidates):,} candidates along the run (steps {first:,} to {final.step:,}), {found} {self.metric} of "
            f"{self.model} on {self.rows:,} validation rows{tuned}{beside} (protocol {self.protocol.name}, {runs} "
            f"run{'' if runs == 1 else 's'} each). Test rows had no say"
            + (
                "; those that are scored on them are other networks."
                if judges.draws(self.model) and not self.protocol.as_distilled
                else "."
            )
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values, by field."""
        return plain(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Selection:
        """The selection that `to_json` wrote."""
        candidates = tuple(Candidate(**_fields(one)) for one in value["candidates"])
        return cls(**{**value, "candidates": candidates, "protocol": Protocol(**_fields(value["protocol"]))})


def select(
    candidates: Mapping[int, Distilled],
    problem: Problem,
    models: Sequence[str] | str | None = None,
    runs: int | None = None,
    protocol: Protocol | Literal["paper", "quick", "own"] = Protocol.paper,
    seed: int = 0,
    labels: Literal["hard", "soft"] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Selection:
    """Train models on every candidate of a run, score them on validation rows, and choose the best; of equals the latest.

    The problem's test rows are not read. The networks that choose have seeds of their own, so that those that `evaluate` scores
    afterwards with the same seed owe the choice nothing. A learner of tables chooses its settings on validation rows, too: one
    half of them, stratified, then chooses its settings and the other scores.

    Args:
        candidates: sets, or tables, by step; the last is the run's result.
        problem: whose validation rows choose; it is the data that the sets were distilled from, split as it was for that.
        models: as in `evaluate`; the first that learns chooses, alone.
        runs: trained on each candidate, the protocol's number by default.
        protocol: as in `evaluate`.
        seed: of the choice.
        labels: as in `evaluate`.
        tell: takes a line for people before the first candidate and after each; None says nothing.

    Raises:
        AttarError: before any training, if there are no validation rows or too few, no candidates, or sets that were distilled
            from other data.

    Example:
        >>> candidates = attar.evaluation.candidates_of("runs/mtt10")  # doctest: +SKIP
        >>> select(candidates, problem, "convnet3").step  # doctest: +SKIP
        400
    """
    if not candidates:
        raise AttarError("There are no candidates to choose among: distil with candidates=10 (--candidates 10).")
    protocol = protocol_named(protocol)
    asked = [models] if isinstance(models, str) else list(models or ())
    own = protocol.as_distilled and not asked  # the network of a set's own updates is the set's to say
    learned = [] if own else [name for name in asked or default_models(problem, protocol) if judges.learns(name)]
    if not own and not learned:
        raise AttarError(
            "Candidates are chosen by a model that predicts validation rows, and none is asked for: name one."
        )
    named = None if own else learned[:1]
    judged = judged_on_validation(problem, named[0] if named else "")
    started, seeded = time.perf_counter(), rng.derive(seed, "selection") % 2**31
    found, steps = [], sorted(candidates)
    tell = tell or (lambda line: None)
    tell(_beforehand(steps, named[0] if named else "", runs or protocol.runs, len(judged.test)))
    for step in steps:
        [score] = evaluate(candidates[step], judged, named, runs, protocol, seeded, labels, strict=True)
        found.append(Candidate(step, score.mean, score.std, score.scores))
        tell(f"step {step:,}: {percent(score.mean)} % on validation rows ({len(steps) - len(found):,} to do)")
    best = max(found, key=lambda candidate: (candidate.mean, candidate.step))
    return Selection(
        step=best.step,
        candidates=tuple(found),
        model=score.model,
        protocol=score.protocol,
        seed=seed,
        rows=len(judged.test),
        tuned=len(judged.validation),
        metric="R²" if None in problem.task.groups else "accuracy",
        seconds=time.perf_counter() - started,
    )


def _beforehand(steps: Sequence[int], model: str, runs: int, rows: int) -> str:
    """What is about to be done: by which model, or "" for the updates that each set says."""
    judge = model or "the network of its own updates"
    each = f", {runs:,} run{'' if runs == 1 else 's'} each" if not model or judges.draws(model) else ""
    among = f"{len(steps):,} candidates (steps {steps[0]:,} to {steps[-1]:,})"
    return f"choosing among {among} by {judge}{each}, on {rows:,} validation rows"


def judged_on_validation(problem: Problem, model: str) -> Problem:
    """The problem with its validation rows in place of the test rows, which are gone.

    Args:
        problem: whose rows.
        model: that judges. For a learner of tables half of the validation rows stay what they are.

    Raises:
        AttarError: if there are none, or too few to tell one set from another.
    """
    rows = problem.validation
    if len(rows) == 0:
        raise AttarError(without_validation(problem.spec.name))
    everything = torch.arange(len(rows))
    tuning, scoring = _halves(problem) if learners.is_named(model) else (everything[:0], everything)
    judged = replace(problem, validation=rows.take(tuning), test=rows.take(scoring))
    y = judged.test.y
    if len(scoring) == 0 or (None in problem.task.groups and (y is None or len(y.unique()) < 2)):
        raise AttarError(
            f"{len(rows):,} validation rows of {problem.spec.name} are too few to choose by: set more of them aside, by a larger "
            "validation=... (--validation)."
        )
    return judged


def without_validation(name: str) -> str:
    """Why nothing can be chosen among the candidates of a run on data of this name, and what to do."""
    return (
        f"{name} has no validation rows, so nothing can choose among candidates: set some training rows aside before distilling, by "
        "validation=0.1 (--validation 0.1)."
    )


def chosen_of(selection: Selection, candidates: Mapping[int, Distilled]) -> Distilled:
    """The set, or table, that was chosen, with a record that says so; its seconds are those of the whole run and of the choice.

    Args:
        selection: what was chosen.
        candidates: all of them, by step.
    """
    value, final = candidates[selection.step], candidates[selection.final.step]
    told = {
        "step": selection.step,
        "steps": selection.final.step,
        "candidates": [candidate.step for candidate in selection.candidates],
        "by": f"{selection.metric} of {selection.model} on {selection.rows} validation rows",
        "protocol": selection.protocol.name,
        "runs": len(selection.final.scores),
        "seed": selection.seed,
        "validation": selection.chosen.mean,
        "validation of the last": selection.final.mean,
        "seconds": round(selection.seconds, 3),
    }
    seconds = final.made_by.get("seconds", 0.0) + selection.seconds
    return replace(value, made_by={**value.made_by, "seconds": round(seconds, 3), "selection": told})


def _halves(problem: Problem) -> tuple[Tensor, Tensor]:
    """Ids of two halves of the validation rows, drawn class by class; of an odd number the first is larger."""
    source, members = rng.generator(0, "halves of the validation rows"), problem.task.members(problem.validation)
    shuffled = [rows.cpu()[torch.randperm(len(rows), generator=source)] for rows in members.values()]
    order = torch.cat(shuffled)
    return order[::2].sort().values, order[1::2].sort().values


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuples(value) for name, value in record.items()}
