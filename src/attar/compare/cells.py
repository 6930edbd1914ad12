"""The cells of a comparison: settle how a method's sets are made, make one, measure one. Each leaves its file behind.

What a cell does is decided by its fields and the study alone, so that cells may be done in any order, side by side.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch

from attar import jobs, rng
from attar.checkpoint import write_json
from attar.compare.selected import Selected, choose
from attar.compare.study import BOOTSTRAP, RANDOM, WHOLE_NAMES, Study, versions
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.evaluation import Protocol, Score, evaluate, judges
from attar.evaluation.saved import plan_for
from attar.method import is_iterative
from attar.methods import random
from attar.record import describe, inputs
from attar.types import Batch, Budget, Problem

__all__ = ["Cell", "Make", "Measure", "Settle", "drawn_again", "random_rows_with_labels", "with_hard_labels"]

FIRST = 0
"""The seed whose set the clock ends under a time budget; the sets of the others take as many steps."""

BEYOND_ESTIMATE = 100
"""An estimate of a few steps may be high: the first set may take so many times its steps until the clock ends it."""


@dataclass(frozen=True)
class Settle:
    """Settle plan and number of steps once for the sets of all seeds.

    Under a time budget the first seed's set is made for that. No estimate or pilot tells how many steps fit where some train
    networks and most do not; the clock does.
    """

    method: str
    per_class: int

    def __str__(self) -> str:
        return f"{self.method}, {self.per_class} a class"

    def do(self, study: Study, problem: Problem) -> None:
        method = study.method(self.method, self.per_class)
        if study.time_budget is None:
            job = _prepared(study, problem, self.method, self.per_class, steps=study.steps)
            steps = job.steps
        else:
            timed = {"steps": study.steps, "time_budget": study.time_budget}
            job = _opened(study, problem, Make(self.method, self.per_class, FIRST), timed)
            if study.steps is None and jobs.published_steps(method, problem, job.budget) is None:
                job.steps *= BEYOND_ESTIMATE
            steps = _done(job).stats.steps
        record = {"method": describe(method), "inputs": inputs(method), "steps": steps, "plan": asdict(job.plan)}
        write_json(study.settled_path(self.method, self.per_class), record)


@dataclass(frozen=True)
class Make:
    """Make the set of a method, a budget and a seed: an ordinary run, which goes on from where it was stopped; or choose it along
    such a run."""

    method: str
    per_class: int
    seed: int

    def __str__(self) -> str:
        return f"{self.method}, {self.per_class} a class, seed {self.seed}"

    def do(self, study: Study, problem: Problem) -> None:
        method = study.methods[self.method, self.per_class]
        if isinstance(method, Selected):
            source, path = (study.set_path(name, self.per_class, self.seed) for name in (method.of, self.method))
            choose(study, problem, method, source, path, self.seed)
            return
        settled = study.settled(self.method, self.per_class) if is_iterative(method) else None
        job = _opened(study, problem, self, {"steps": settled.steps, "plan": settled.plan} if settled else {})
        if settled:  # a first set that is made again takes as many steps as it did
            job.steps, job.time_budget = settled.steps, None
        _done(job)


def _prepared(study: Study, problem: Problem, method: str, per_class: int, **options: Any) -> jobs.Job:
    """A new job; `options` as of `jobs.prepare`."""
    return jobs.prepare(
        study.method(method, per_class),
        problem,
        Budget(per_class=per_class),
        exact=study.exact,
        device=study.device,
        **options,
    )


def _opened(study: Study, problem: Problem, cell: Make, options: Mapping[str, Any]) -> jobs.Job:
    """The job of a cell's set, the one that was begun or a new one with these options."""
    path = study.set_path(cell.method, cell.per_class, cell.seed)
    if (path / "settings.json").is_file():
        shutil.rmtree(path / "distilled", ignore_errors=True)  # unfinished or damaged, or it were not made again
        return jobs.reopen(path, study.method(cell.method, cell.per_class), problem)
    kept = study.candidates(cell.method, cell.per_class)
    told = {"seed": cell.seed, "out": path, "command": study.command, "candidates": kept}
    return _prepared(study, problem, cell.method, cell.per_class, **told, **options)


def _done(job: jobs.Job) -> jobs.Result:
    for _ in job:
        pass
    return job.finish()


@dataclass(frozen=True)
class Measure:
    """Train a network on a set and score it.

    Args:
        method: whose set; "full" for full data, "bootstrap" for as many rows drawn of these with replacement.
        per_class: its budget, None for full data and what is drawn of it.
        model: name of the network.
        labels: "hard", or "soft", "learned" or "regression" as the set has them.
        seed: of the set and of the network.
        labels_from: of random rows that take another method's labels, that method.
        augmented: under the protocol's augmentation, or under none.
    """

    method: str
    per_class: int | None
    model: str
    labels: str
    seed: int
    labels_from: str | None = None
    augmented: bool = True

    def __str__(self) -> str:
        words = [
            WHOLE_NAMES[BOOTSTRAP]
            if self.method == BOOTSTRAP
            else self.method
            if self.labels_from is None
            else f"{self.method} rows with the labels of {self.labels_from}",
            "" if self.per_class is None else f"{self.per_class} a class",
            self.model,
            "" if self.labels == "hard" or self.labels_from else f"{self.labels} labels",
            "" if self.augmented else "no augmentation",
            f"seed {self.seed}",
        ]
        return ", ".join(word for word in words if word)

    def path(self, study: Study) -> Path:
        """Its file."""
        return study.score_path(
            self.method,
            None if self.labels_from is None else f"labels of {self.labels_from}",
            None if self.per_class is None else str(Budget(per_class=self.per_class)),
            self.model,
            self.labels,
            None if self.augmented else "no augmentation",
            self.seed,
        )

    def measured(self, study: Study) -> tuple[Score, Mapping[str, str]] | None:
        """What was measured, and the versions that did; None where it was not, or on another state of the set."""
        try:
            record = json.loads(self.path(study).read_text())
            if record["checksum"] != self._checksum(study):
                return None
            return Score.from_json(record["score"]), dict(record.get("versions", {}))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def do(self, study: Study, problem: Problem) -> None:
        protocol = study.protocol if self.augmented else without_augmentation(study.protocol)
        value = self._value(study, problem)
        if judges.learns(self.model):
            problem = problem.planned(plan_for(value, problem, protocol, study.networks, study.device, study.exact))
        [score] = evaluate(value, problem, [self.model], study.networks, protocol, self.seed)
        record = {"checksum": self._checksum(study), "versions": versions(), "score": score.to_json()}
        write_json(self.path(study), record)

    def _value(self, study: Study, problem: Problem) -> Distilled | Batch | None:
        """What is trained on, None for full data."""
        if self.method == BOOTSTRAP:
            return drawn_again(problem, self.seed)
        if self.per_class is None:
            return None
        path = study.set_path(self.labels_from or self.method, self.per_class, self.seed)
        value = Distilled.load(path)
        if self.labels_from is not None:
            return random_rows_with_labels(value, problem, rng.generator(self.seed, "method"))
        return with_hard_labels(value) if self.labels == "hard" and judges.learns(self.model) else value

    def _checksum(self, study: Study) -> str | None:
        """Of the set that it is about; None for full data, which the study's fingerprint names."""
        if self.per_class is None:
            return None
        made = study.made(self.labels_from or self.method, self.per_class, self.seed)
        return made.checksum if made else "none"


Cell: TypeAlias = Settle | Make | Measure


def without_augmentation(protocol: Protocol) -> Protocol:
    """The protocol with plain rows."""
    return replace(protocol, name=f"{protocol.name} without augmentation", augmentation="")


def with_hard_labels(value: Distilled) -> Distilled:
    """A set whose rows have the most probable class as their label, and no soft labels to store; numbers in place of a table's
    categories stay, of which `evaluate` takes the most probable class."""
    if isinstance(value, DistilledTable):
        if value.labels == "hard":  # of probabilities of grades, which are numbers, the mean is learned
            return value
        soft = {name: shares for name, shares in value.data.soft.items() if name != value.target}
        return replace(value, data=value.data.replace(soft=soft), label_form="hard")
    if value.data.y is None or value.data.y.dim() == 1:
        return value
    data = value.data.replace(y=value.labels, views=None)
    stored = dict(value.stored)
    if "y" in stored:  # of a set whose rows are decoded, each stored row's
        stored["y"] = value.labels[:: len(value) // stored["y"].shape[-2]]
    return replace(value, data=data, stored=stored, training=replace(value.training, labels="hard"))


def drawn_again(problem: Problem, seed: int) -> Batch:
    """As many rows as the training data have, drawn of them with replacement: what chance in the rows does to a score."""
    count = len(problem.train)
    return problem.train.take(torch.randint(count, (count,), generator=rng.generator(seed, "bootstrap")))


def random_rows_with_labels(like: Distilled, problem: Problem, generator: torch.Generator) -> Distilled:
    """Random rows of the training data that take a set's labels: those of its rows of the same class, in order.

    They are the rows of the method "random" where the set has as many of each class and the generator is the same. A
    step size that was learned for the set's own rows is not taken.

    Args:
        like: the set, whose labels are ``(n, classes)`` or per view ``(views, n, classes)``.
        problem: the training data.
        generator: of the draw.

    Raises:
        AttarError: if a class has too few rows.
    """
    names, spec = problem.spec.class_names, problem.spec
    shares = spec.schema.split(like.data)[1] if isinstance(like, DistilledTable) and spec.schema is not None else None
    labels = like.labels if shares is None else shares.argmax(dim=1)
    quotas = dict(zip(names, torch.bincount(labels, minlength=len(names)).tolist(), strict=True))
    drawn = random(quotas=quotas).choose(problem, Budget(per_class=1), generator)  # class by class
    rows = torch.empty(len(like), dtype=torch.long)
    rows[labels.argsort(stable=True)] = drawn.rows
    batch = problem.train.take(rows).to("cpu")
    if shares is not None:
        table = spec.schema.table(batch.x, shares)  # type: ignore[union-attr]
        return DistilledTable(table, spec.schema.target, made_by={"name": RANDOM})  # type: ignore[return-value]
    data = batch.replace(
        x=spec.normalisation.undo(batch.x), y=like.data.y, views=like.data.views, weight=None, attribute=None
    )
    training = replace(like.training, normalisation=spec.normalisation, step_size=None, step_sizes=(), own=None)
    return Distilled(data, training, {"name": RANDOM})
