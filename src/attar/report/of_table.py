"""What the page of a run shows of a distilled table: its rows, what they keep, and the causal conclusions drawn from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attar.causal.independence import suited
from attar.checkpoint import write_json
from attar.data import table_of
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable
from attar.evaluation.causal import CausalScores, causal_evaluation
from attar.evaluation.conclusions import EffectQuery
from attar.evaluation.decided import KERNEL_WORK, kernel_tests, read_alike
from attar.report.along import along_the_run
from attar.report.causal import causal_section
from attar.report.page import Cost, Page, Score
from attar.report.render import unfold
from attar.report.verdict import sentence
from attar.report.words import points
from attar.runs import RunDirectory
from attar.tables import Table
from attar.types import AttarError, Problem

__all__ = ["RowsShown", "causal_scores", "causal_sentence", "of_directory", "score_causal", "shown_rows", "table_page"]

FILE = "causal.json"
LINES = 30  # rows of a table that a page shows
COLUMNS = 14
MOST_COLUMNS = 25  # of a table whose causal conclusions are drawn without being asked for
MOST_TESTS = 2_000  # of each order
BOOTSTRAPS = 5


@dataclass(frozen=True)
class RowsShown:
    """The rows of a table as text: heads, and of each row its cells; how many rows and columns are left out."""

    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    more: int
    left_out: int


def shown_rows(value: DistilledTable) -> RowsShown:
    """The first rows and columns: categories by name, of a soft cell the most probable one with its probability, the heaviest rows
    first."""
    table = value.data
    order = table.shares.argsort(descending=True, stable=True)[:LINES]
    names = table.names[:COLUMNS]
    cells = [[f"{share * table.size:,.4g}" for share in table.shares[order].tolist()]]
    for name in names:
        column, found = table.column(name), table.values[order, table.place(name)].tolist()
        if not column.discrete:
            cells.append([f"{number:,.5g}" for number in found])
            continue
        words = [str(column.categories[int(code)]) for code in found]
        if name in table.soft:
            chances = table.soft[name][order].amax(dim=1).tolist()
            words = [
                word if chance > 0.995 else f"{word} {chance:.2f}" for word, chance in zip(words, chances, strict=True)
            ]
        cells.append(words)
    lines = tuple(zip(*cells, strict=True))
    return RowsShown(("stands for", *names), lines, len(table) - len(order), len(table.names) - len(names))


def score_causal(value: DistilledTable, problem: Problem, folder: Path, checksum: str) -> CausalScores | str:
    """Draw causal conclusions from the rows and from all training rows, and keep them beside the run; a sentence where they
    cannot be drawn."""
    full = table_of(problem)
    if len(full.names) > MOST_COLUMNS:
        said = (
            f"Causal conclusions of {len(full.names)} columns take long and are not drawn here: attar.evaluation.causal_evaluation does, "
            "on the columns that matter."
        )
        write_json(folder / FILE, {"checksum": checksum, "refused": said})
        return said
    try:
        full = read_alike(full, value.data)
        found = causal_evaluation(value.data, full, effects=_effects(value, full), **_bounded(full))
    except AttarError as error:
        said = f"No causal conclusions were drawn: {error}"
        write_json(folder / FILE, {"checksum": checksum, "refused": said})
        return said
    found = found.in_words_of(table_of(problem))
    write_json(folder / FILE, {"checksum": checksum, "scores": found.to_json()})
    return found


def _bounded(full: Table) -> dict[str, Any]:
    """How much is asked: of the kernel test, which takes a millisecond and more for each thousand rows, far less than of others."""
    if suited(full) != "kernel":
        return {"depth": 2, "most": MOST_TESTS, "bootstraps": BOOTSTRAPS}
    small = len(full) * len(full.names) ** 2 <= KERNEL_WORK
    return {
        "algorithm": "pc" if small else None,
        "depth": 1,
        "most": kernel_tests(full),
        "bootstraps": 2,
    }


def causal_scores(folder: Path, checksum: str) -> CausalScores | str | None:
    """What `score_causal` kept; None where it is not there, or of another state of the set."""
    try:
        record = json.loads((folder / FILE).read_text())
        if record["checksum"] != checksum:
            return None
        return record["refused"] if "refused" in record else CausalScores.from_json(record["scores"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def causal_sentence(scores: CausalScores, rows: int) -> str:
    """What the conclusions say in one sentence; nothing where no decisions were compared."""
    if scores.decisions is None or isinstance(scores.decisions, str):
        return ""
    floor = next((floor.mean("decisions.equal") for floor in scores.noise), None)
    beside = "" if floor is None else f"; a bootstrap of all rows draws {points(floor)} %"
    return (
        f"{rows:,} rows draw {points(scores.decisions.equal)} % of the {scores.decisions.tests:,} decisions on independence that all "
        f"{scores.full_size:,.0f} draw{beside}."
    )


def _effects(value: DistilledTable, full: Table) -> Sequence[EffectQuery]:
    """The effect of the treatment on the target, adjusted for all other columns, where both are named."""
    if not (value.treatment and value.target and value.treatment != value.target):
        return ()
    rest = tuple(name for name in full.names if name not in (value.treatment, value.target))
    arms = len(full.values[:, full.place(value.treatment)].unique()) == 2
    return (
        EffectQuery(value.treatment, value.target, rest, ("regression", "ipw", "aipw") if arms else ("regression",)),
    )


def of_directory(directory: RunDirectory, value: Distilled | DistilledTable) -> dict[str, Any]:
    """What a page says of how its set was made, as fields of `Page`."""
    settings, cost = directory.settings, directory.result or {}
    return {
        "method": settings["name"],
        "data": settings["problem"]["name"],
        "command": settings.get("command", ""),
        "loss": [(int(line["step"]), line["loss"]) for line in directory.metrics()],
        "settings": {
            **dict(unfold(settings["method"])),
            "seed": settings["seed"],
            "steps": cost.get("steps", 0),
            "plan": settings["plan"],
        },
        "cost": Cost(value.made_by.get("seconds"), cost.get("memory"), value.nbytes, cost.get("own_memory")),
        "versions": value.made_by.get("versions", {}),
        "fingerprint": settings["problem"]["fingerprint"],
        "along": along_the_run(directory, value.card()["checksum"]),
    }


def table_page(
    directory: RunDirectory,
    value: DistilledTable,
    title: str,
    scores: Sequence[Score],
    metric: str,
    protocol: Mapping[str, Any],
    notes: Sequence[str],
) -> Page:
    """The page of a run that distilled a table.

    Args:
        directory: of the run.
        value: its result.
        title: of the page.
        scores: of models that were trained on it, on random rows and on all; none without a target.
        metric: what they measure.
        protocol: under which.
        notes: sentences that a reader should see.
    """
    settings, card = directory.settings, value.card()
    drawn = causal_scores(directory.path, card["checksum"])
    causal = drawn if isinstance(drawn, CausalScores) else None
    kept = f"{len(value):,} rows"
    told = [sentence(scores, settings["name"], kept)] if scores or causal is None else []
    told += [causal_sentence(causal, len(value))] if causal is not None else []
    return Page(
        title=title,
        sentence=" ".join(part for part in told if part),
        budget=kept,
        class_names=(),
        distilled=None,
        scores=scores,
        metric=metric,
        protocol=protocol,
        **of_directory(directory, value),
        notes=[*notes, *([drawn] if isinstance(drawn, str) else [])],
        rows=shown_rows(value),
        keeps=[
            *([f"They keep {'; '.join(value.keeps)}."] if value.keeps else []),
            *([card["sample_size"]] if card["sample_size"] else []),
            *value.warnings,
        ],
        causal=causal_section(causal) if causal is not None else "",
    )
