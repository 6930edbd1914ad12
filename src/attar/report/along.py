"""What the page of a run shows of its candidates: validation scores by step, the chosen one, and what test rows say of it and of the
last."""

from __future__ import annotations

from dataclasses import dataclass

from attar.evaluation.selected import selection_in
from attar.report.plots import Plot, Point, Style, count_ticks, plot
from attar.report.words import spread_text
from attar.runs import RunDirectory

__all__ = ["Along", "along_the_run"]

CANDIDATES, CHOSEN = "candidates", "chosen"


@dataclass(frozen=True)
class Along:
    """The candidates of a run.

    Args:
        said: what was chosen, a sentence.
        chart: validation scores by step, the chosen one marked; None of a single candidate.
        steps: of the chosen one and of the last.
        scores: by model the test scores of the last and of the chosen one, in words.
        metric: what they measure.
        protocol: under which.
    """

    said: str
    chart: Plot | None
    steps: tuple[int, int]
    scores: tuple[tuple[str, str, str], ...]
    metric: str
    protocol: str


def along_the_run(directory: RunDirectory, checksum: str) -> Along | None:
    """What was chosen among a run's candidates; None where nothing was, or from an earlier state of its result than `checksum` names."""
    found = selection_in(directory.path, checksum)
    if found is None:
        return None
    selection, scores = found
    drawn = {CANDIDATES: [Point(one.step, one.mean, one.std) for one in selection.candidates]}
    drawn[CHOSEN] = [Point(selection.step, selection.chosen.mean, selection.chosen.std)]
    look = {CANDIDATES: Style("random"), CHOSEN: Style("method")}
    title = f"Validation {selection.metric} of {selection.model} along the run"
    told = [spread_text(score.mean, score.std) for score in scores]
    models = [score.model for score in scores[::2]]  # of each the last and the chosen one
    return Along(
        selection.sentence(),
        plot(title, "steps", drawn, look, count_ticks, unit="{:,.0f}".format),
        (selection.step, selection.final.step),
        tuple(zip(models, told[::2], told[1::2], strict=True)),
        selection.metric,
        scores[0].protocol.name if scores else selection.protocol.name,
    )
