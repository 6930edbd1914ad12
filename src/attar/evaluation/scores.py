"""Scores: what an evaluation found, with all that is needed to know what it may be compared with."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attar.evaluation import judges
from attar.evaluation.groups import Groups
from attar.evaluation.protocol import Protocol
from attar.types import Spec

__all__ = [
    "Score",
    "Scores",
    "comparable",
    "mean_known",
    "near_chance",
    "percent",
    "plain",
    "spread",
    "tuples",
    "worst_groups",
]


@dataclass(frozen=True)
class Score:
    """One kind of network, trained several times on one set. Accuracies are in [0, 1].

    Args:
        subject: what was trained on: "dm", "full data", "64 rows", ...
        data: name of the problem whose test data judged it.
        fingerprint: the problem's.
        model: name of the network.
        labels: "hard", "soft", "learned" or "regression".
        mean: of `scores`.
        std: sample standard deviation of `scores`, None for one run.
        scores: final test accuracy of each run.
        validation: mean final accuracy on the problem's validation set, None where it has none.
        runs: number of runs.
        seeds: of the runs.
        rows: training rows.
        bytes: of all that the set stores.
        seconds: of training, all runs together.
        epochs: as the protocol counts them; training made one pass more, or stopped at `updates` within its first.
        updates: of each run; nought where it was solved, and not trained.
        lr: step size at the start, learned or the protocol's.
        augmentation: strategy, "" for none.
        plan: how it was computed: device, precision and so on.
        protocol: the protocol asked for; models and runs may be others than its own.
        guess: share of the largest class in the test data, which a constant guess reaches; None where it is not known.
        tested: test rows.
        whitening: how rows were whitened, those that were trained on and those that judged; "" where they were not.
        groups: how it does on each group of test rows, where these have an attribute.
        lost: of the judge "decisions", the share of the full data's dependences that are not found; its `scores` are the share
            of decisions alike.
        invented: likewise the share of independences that are rejected.
    """

    subject: str
    data: str
    fingerprint: str
    model: str
    labels: str
    mean: float
    std: float | None
    scores: tuple[float, ...]
    validation: float | None
    runs: int
    seeds: tuple[int, ...]
    rows: int
    bytes: int
    seconds: float
    epochs: int
    updates: int
    lr: float
    augmentation: str
    plan: Mapping[str, Any]
    protocol: Protocol
    guess: float | None = None
    tested: int | None = None
    whitening: str = ""
    groups: Groups | None = None
    lost: float | None = None
    invented: float | None = None

    @property
    def worst_group(self) -> float | None:
        """Mean accuracy of the worst group of test rows, None where they have no attribute."""
        return None if self.groups is None else self.groups.worst

    def __str__(self) -> str:
        """The accuracy in per cent, e.g. "94.4 ± 0.2"."""
        return percent(self.mean) + ("" if self.std is None else f" ± {percent(self.std)}")

    def to_json(self) -> dict[str, Any]:
        """JSON values, by field."""
        return plain(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Score:
        """The score that `to_json` wrote."""
        protocol = {name: tuples(field) for name, field in value["protocol"].items()}
        fields = {name: tuples(field) for name, field in value.items()}
        found = value.get("groups")  # scores of before there were groups have none
        groups = None if found is None else Groups.from_json(found)
        return cls(**{**fields, "protocol": Protocol(**protocol), "groups": groups})


@dataclass(frozen=True)
class Scores:
    """Scores of one set, a network each, and what a reader should know of them.

    Args:
        items: in the order in which the networks were asked for.
        notes: sentences.
    """

    items: tuple[Score, ...]
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Score]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Score:
        return self.items[index]

    def to_json(self) -> dict[str, Any]:
        """``{"scores": [...], "notes": [...]}``, JSON values."""
        return {"scores": [score.to_json() for score in self.items], "notes": list(self.notes)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Scores:
        """The scores that `to_json` wrote."""
        return cls(tuple(Score.from_json(score) for score in value["scores"]), tuple(value["notes"]))

    @property
    def metric(self) -> str:
        """What the scores are: "accuracy", or "R²" of a target of numbers, which nobody guesses by its largest class, and of a judge
        that learns nothing what it scores; "score" where both are there."""
        learned = [score for score in self.items if judges.learns(score.model)]
        predicted = "R²" if learned and all(score.guess is None for score in learned) else "accuracy"
        return judges.metric_of([score.model for score in self.items], predicted)

    def table(self) -> str:
        """A table in plain text, a line a network, with the protocol and the notes below it."""
        columns = {
            "trained on": [score.subject for score in self],
            "tested on": [score.data for score in self],
            "model": [score.model for score in self],
            "labels": [score.labels if judges.learns(score.model) else "-" for score in self],
            f"{self.metric} %": [str(score) for score in self],
            "validation %": [percent(score.validation) for score in self],
            **({"worst group %": [percent(score.worst_group) for score in self]} if _grouped(self) else {}),
            **_shares("lost %", [score.lost for score in self]),
            **_shares("invented %", [score.invented for score in self]),
            "runs": [str(score.runs) for score in self],
            "rows": [f"{score.rows:,}" for score in self],
            "bytes": [f"{score.bytes:,}" for score in self],
            "epochs": ["-" if not judges.is_network(score.model) else str(score.epochs) for score in self],
            "updates": ["-" if not judges.is_network(score.model) else f"{score.updates:,}" for score in self],
            "seconds": [f"{score.seconds:.1f}" for score in self],
        }
        padded = [_aligned([head, *cells]) for head, cells in columns.items()]
        text = ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]
        protocols = dict.fromkeys(line for s in self.items for line in judges.protocol_lines(s.protocol, [s.model]))
        return "\n".join([*text, "", *protocols, *(f"Note: {note}" for note in self.notes)])


def comparable(a: Score, b: Score) -> bool:
    """Whether two scores may stand in one column: equal protocols, judged by the same data."""
    return a.protocol == b.protocol and a.fingerprint == b.fingerprint


def near_chance(scores: Iterable[Score]) -> list[str]:
    """A sentence for each score that the best constant guess would have reached by chance: its rows may teach nothing, or
    training was too short, or too few rows test it.

    Rows of unequal classes above all are learned slowly: 200 updates of the short protocol can leave a network at one class.
    """
    told = []
    for score in scores:
        if score.guess is None:
            continue
        tested = max(score.tested or 1, 1)
        chance = 2 * math.sqrt(score.guess * (1 - score.guess) / tested)
        if score.mean > score.guess + chance:
            continue
        guess = f"guessing the largest class {percent(score.guess)} %"
        reached = f"{score.model} on {score.subject} reaches {percent(score.mean)} %, and {guess}: "
        if score.mean > score.guess:
            told.append(f"{reached}{tested:,} test rows do not tell these apart.")
        elif score.updates:
            few = f"{score.updates:,} updates are too few; a longer protocol tells which."
            told.append(f"{reached}either these rows teach nothing, or {few}")
        else:
            told.append(f"{reached}these rows teach nothing.")
    return told


def worst_groups(scores: Iterable[Score], spec: Spec) -> list[str]:
    """A sentence for each score on the group of test rows that it does worst on; `spec` is of the data that judged."""
    told = []
    for score in scores:
        if score.groups is not None:
            group, label = score.groups.lowest
            name = spec.attribute_names[group] if group < len(spec.attribute_names) else f"group {group}"
            told.append(
                f"{score.model} on {score.subject} does worst on {spec.class_names[label]}, {name}: "
                f"{percent(score.groups.accuracy[group][label])} %."
            )
    return told


def spread(scores: Sequence[float]) -> float | None:
    """Sample standard deviation, None for one score."""
    return statistics.stdev(scores) if len(scores) > 1 else None


def mean_known(shares: Iterable[float | None]) -> float | None:
    """The mean of those that are known, None where none is."""
    known = [share for share in shares if share is not None]
    return statistics.mean(known) if known else None


def _grouped(scores: Iterable[Score]) -> bool:
    return any(score.groups is not None for score in scores)


def _shares(head: str, found: Sequence[float | None]) -> dict[str, list[str]]:
    """A column of shares; nothing where none is known."""
    return {head: list(map(percent, found))} if any(share is not None for share in found) else {}


def plain(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def tuples(value: Any) -> Any:
    """A list of JSON as the tuple that it was."""
    return tuple(value) if isinstance(value, list) else value


def percent(share: float | None) -> str:
    """ "94.4", "-" for None."""
    return "-" if share is None else f"{100 * share:.1f}"


def _aligned(cells: Sequence[str]) -> list[str]:
    """Cells of one width: numbers to the right, words to the left, by the second cell."""
    width = max(map(len, cells))
    numeric = cells[1][:1].isdigit()
    return [cell.rjust(width) if numeric else cell.ljust(width) for cell in cells]
