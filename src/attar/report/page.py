"""What a report is made from: plain data, so that it can be of a run, of a set from elsewhere or of numbers by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from attar.report.along import Along
    from attar.report.archetypes import Centres
    from attar.report.of_table import RowsShown

__all__ = ["Cost", "Page", "Pictures", "Score"]


@dataclass(frozen=True)
class Score:
    """One measured score.

    Args:
        name: what was trained on: the method's name, "random", "full data", a coreset's name.
        model: the network that was trained.
        mean: mean over runs, in [0, 1].
        std: spread over runs, in [0, 1]; not shown for one run.
        runs: networks trained.
        labels: "hard", "soft", "learned" or "regression".
        rows: rows trained on.
        bytes: what they take, labels and weights included.
        seconds: what making them took, networks that it trained included.
        reported: the score that a paper reports, in [0, 1]; shown in a column of its own.
        worst_group: mean accuracy of the worst group of test rows, in [0, 1], where these have an attribute; likewise.
    """

    name: str
    model: str
    mean: float
    std: float
    runs: int
    labels: str = "hard"
    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    reported: float | None = None
    worst_group: float | None = None

    @property
    def spread(self) -> float | None:
        """`std`, None for one run."""
        return self.std if self.runs > 1 else None


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images ``(n, c, h, w)`` in raw units ([0, 1], unclipped) and their class ids ``(n,)``."""

    x: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Cost:
    """What a run took; None where it is not known.

    Args:
        seconds: to make the set.
        memory: peak of the process, in bytes.
        bytes: of the set.
        own_memory: what making the set added to the memory of the process at most, in bytes.
    """

    seconds: float | None = None
    memory: int | None = None
    bytes: int | None = None
    own_memory: int | None = None


@dataclass(frozen=True, eq=False)
class Page:
    """All that a report shows.

    Args:
        title: e.g. "mnist, distilled by dm" or "mnist, rows chosen by k_center".
        sentence: the finding in one plain sentence (see `attar.report.sentence`).
        method: name of the method, as in `scores`.
        data: name of the dataset.
        budget: in words, e.g. "10 images a class".
        command: the exact command.
        class_names: one name a class, by class id.
        distilled: the images of the set, distilled or chosen; None of a table.
        real: real images of the same classes, to compare.
        evolution: ``(step, images (k, c, h, w))``; image i of each step is the first one of the same class.
        evolution_labels: class ids ``(k,)`` of the images in `evolution`; by default the first k classes.
        scores: measured scores, all under `protocol`, in the order in which they are shown.
        metric: what the scores measure.
        protocol: the evaluation's settings.
        loss: ``(step, loss)``.
        settings: the method's settings; records of `attar.record.describe` are unfolded.
        cost: what the run took.
        versions: of the software, by name.
        fingerprint: of the data.
        notes: sentences that a reader should see.
        chosen: of a set of real rows, a record for each image of `distilled`: its row in the source, and why it was
            chosen (see `attar.Distilled.selected`).
        of_choice: sentences about the choice, shown with the chosen rows.
        centres: of k-means on each class's real rows, shown beside distilled images.
        labels_only: whether the images are real ones as they were, and labels alone were learned.
        rows: of a table, shown in place of images.
        keeps: what such rows keep, and what is to be known of them, a sentence each.
        causal: the section on causal conclusions as HTML, made by `attar.report.causal`, where they were drawn.
        along: the candidates of the run, where validation rows chose one.
    """

    title: str
    sentence: str
    method: str
    data: str
    budget: str
    command: str
    class_names: Sequence[str]
    distilled: Pictures | None
    real: Pictures | None = None
    evolution: Sequence[tuple[int, np.ndarray]] = ()
    evolution_labels: Sequence[int] | None = None
    scores: Sequence[Score] = ()
    metric: str = "accuracy"
    protocol: Mapping[str, Any] = field(default_factory=dict)
    loss: Sequence[tuple[int, float]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost = Cost()
    versions: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    notes: Sequence[str] = ()
    chosen: Sequence[Mapping[str, Any]] = ()
    of_choice: Sequence[str] = ()
    centres: Sequence[Centres] = ()
    labels_only: bool = False
    rows: RowsShown | None = None
    keeps: Sequence[str] = ()
    causal: str = ""
    along: Along | None = None
