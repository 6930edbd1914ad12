"""A page as HTML: one file with its pictures, charts and style inside, and no script."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attar.checkpoint import write_whole
from attar.compare.study import RANDOM
from attar.distilled.card import names_of, size_text
from attar.errors import AttarError
from attar.evaluation import judges
from attar.report.archetypes import archetypes
from attar.report.charts import bars, curve
from attar.report.choice import chosen_rows
from attar.report.page import Page, Score
from attar.report.pictures import columns_that_fit, embed, is_small, strips
from attar.report.plots import Plot, Point, Ticks, byte_ticks, count_ticks, plot, second_ticks, styles
from attar.report.verdict import judge
from attar.report.words import FULL_DATA, WHOLE_DATA, Judges, duration, points, spread_text, told

if TYPE_CHECKING:
    import jinja2

__all__ = ["render", "save", "template", "unfold", "write"]

STEPS_SHOWN = 8
REAL = 5  # real images shown of each class, where there are fewer distilled ones


def render(page: Page) -> str:
    """The page as one HTML document. Every text in it is escaped: a class may be called anything."""
    labels = [] if page.distilled is None else [int(label) for label in page.distilled.labels]
    names = names_of(page.class_names, max(labels, default=-1) + 1)
    distilled = None if page.distilled is None else strips(page.distilled)
    chosen = None if page.distilled is None else chosen_rows(page.chosen, len(labels))
    return template("page.html").render(
        page=page,
        names=names,
        numbers=_numbers(page, chosen is not None),
        chosen=chosen,
        distilled=distilled,
        real=None
        if page.real is None or distilled is None
        else strips(page.real, max(distilled.columns, REAL), distilled.rows),
        archetypes=None if chosen or page.distilled is None else archetypes(page.distilled, page.centres),
        evolution=_evolution(page),
        judges=Judges(_models(page)),
        bars=bars(page.scores, page.method),
        plots=_plots(page),
        curve=curve(page.loss),
        scores=[_score_cells(score) for score in page.scores],
        reported=any(score.reported is not None for score in page.scores),
        by_group=any(score.worst_group is not None for score in page.scores),
        settings=list(unfold(page.settings)),
        protocol=list(unfold(page.protocol)),
        costs=_costs(page),
    )


def write(page: Page, path: str | Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        AttarError: if the file cannot be written.
    """
    save(render(page), path)


def save(text: str, path: str | Path) -> None:
    """Write a page's text, whole or not at all.

    Raises:
        AttarError: if the file cannot be written.
    """
    try:
        write_whole(Path(path), text.encode())
    except OSError as error:
        raise AttarError(
            f"{path} cannot be written ({error.strerror}): free some space or give another path."
        ) from error


@cache
def template(name: str) -> jinja2.Template:
    """A template of this folder, in which every text is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _numbers(page: Page, chosen: bool) -> list[tuple[str, str, str]]:
    """The three numbers at the top: figure, what it is, what to read it with. What was not measured is left out."""
    numbers = []
    verdict = judge(page.scores, page.method)
    if verdict is not None:
        drawn = f"{RANDOM} rows{'' if verdict.method.labels == 'hard' else ' with the same labels'}"
        beside = [(FULL_DATA, verdict.full), (drawn, verdict.random)]
        known = ", ".join(f"{name} {points(score.mean)}" for name, score in beside if score is not None)
        numbers.append((points(verdict.method.mean), f"points of {page.metric}", known))
    if page.distilled is not None:
        rows, what = len(page.distilled.x), "rows chosen" if chosen else "images kept"
    else:
        assert page.rows is not None
        rows, what = len(page.rows.lines) + page.rows.more, "rows kept"
    full = verdict.full.rows if verdict is not None and verdict.full is not None else None
    share = f"{100 * rows / full:.2g} % of {full:,}" if full else ""
    size = told(page.cost.bytes, size_text)
    numbers.append((f"{rows:,}", what, ", ".join(part for part in (share, size) if part)))
    if page.cost.seconds is not None:
        own, peak = page.cost.own_memory, page.cost.memory
        memory = f"{size_text(peak)} of memory at most" if peak is not None else ""
        memory = f"{size_text(own)} more memory" if own is not None else memory
        numbers.append((duration(page.cost.seconds), "to choose them" if chosen else "to distil", memory))
    return numbers


def _models(page: Page) -> list[str]:
    return list(dict.fromkeys(score.model for score in page.scores))


def _plots(page: Page) -> list[Plot]:
    """Accuracy against rows, bytes and seconds where sets of several sizes stand beside one another."""
    leading = judges.leading(_models(page)) if page.scores else ""
    mine = [score for score in page.scores if score.model == leading and score.name not in WHOLE_DATA]
    if len({score.rows for score in mine}) < 2:
        return []
    full = next((s.mean for s in page.scores if s.name == FULL_DATA and s.model == mine[0].model), None)
    kinds = len({score.labels for score in mine}) > 1
    axes: list[tuple[str, str, Callable[[Score], float | None], Ticks, Callable[[float], str]]] = [
        ("images", "images", lambda score: score.rows, count_ticks, "{:,.6g}".format),
        ("size", "size of the set", lambda score: score.bytes, byte_ticks, lambda x: size_text(round(x))),
        ("time", "time to make the set", lambda score: score.seconds, second_ticks, duration),
    ]
    charts = []
    for title, across, place, ticks, unit in axes:
        series: dict[str, list[Point]] = {}
        for score in mine:
            x = place(score)
            if x is not None:
                name = f"{score.name}, {score.labels} labels" if kinds else score.name
                series.setdefault(name, []).append(Point(x, score.mean, score.spread))
        series = dict(
            sorted(series.items(), key=lambda item: not item[0].startswith(RANDOM))
        )  # others are drawn over it
        look = styles(list(series), RANDOM, FULL_DATA)
        charts.append(plot(f"Accuracy against {title}", across, series, look, ticks, full, unit))
    return [chart for chart in charts if chart is not None]


def _evolution(page: Page) -> dict[str, Any] | None:
    """Up to eight of the steps, the first and the last among them, by class."""
    if not page.evolution:
        return None
    last = len(page.evolution) - 1
    count = min(len(page.evolution), STEPS_SHOWN)
    shown = [page.evolution[round(place * last / max(count - 1, 1))] for place in range(count)]
    images = shown[0][1]
    labels = list(range(len(images))) if page.evolution_labels is None else list(page.evolution_labels)
    classes, columns = columns_that_fit(images.shape[1:], len(images), count)
    shown = shown[:1] + shown[count - columns + 1 :] if columns < count else shown
    rows = [(labels[place], [(step, embed(x[place])) for step, x in shown]) for place in range(classes)]
    return {
        "heads": [f"{'' if place else 'step '}{step:,}" for place, (step, _) in enumerate(shown)],
        "rows": rows,
        "classes": len(images),
        "small": is_small(images.shape[1:]),
    }


def _score_cells(score: Score) -> dict[str, str]:
    return {
        "name": score.name,
        "model": score.model,
        "labels": score.labels,
        "score": spread_text(score.mean, score.spread),
        "reported": told(score.reported, points),
        "worst_group": told(score.worst_group, points),
        "runs": f"{score.runs}",
        "rows": told(score.rows, "{:,}".format),
        "size": told(score.bytes, size_text),
        "time": told(score.seconds, duration),
    }


def _costs(page: Page) -> list[tuple[str, str]]:
    cost = page.cost
    known = {
        "time": told(cost.seconds, duration),
        "memory added": told(cost.own_memory, size_text),
        "peak memory of the process": told(cost.memory, size_text),
        "size of the set": told(cost.bytes, size_text),
    }
    return [(name, text) for name, text in known.items() if text]


def unfold(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as names, words from the outermost in, and text; a part ``{"type": "attar.objectives:Gradients",
    "fields": ...}`` and a function ``{"function": "attar.selection.geometry:k_center"}`` are shown by their last word."""
    if record.keys() == {"type", "fields"} and isinstance(record["fields"], Mapping):
        yield prefix or "type", _last(record["type"])
        record = record["fields"]
    if record.keys() == {"function"} and isinstance(record["function"], str):
        record = {"function": _last(record["function"])}
    for key, value in record.items():
        name = f"{prefix} {key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from unfold(value, name)
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            yield from unfold({str(place): item for place, item in enumerate(value)}, name)
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value)) or "none"
        else:
            yield name, _word(value)


def _last(name: Any) -> str:
    """What stands behind the module."""
    return str(name).rpartition(":")[2]


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)
