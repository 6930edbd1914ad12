"""The set that validation rows choose along a run, as a row of its own beside the run's result."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attar.evaluation.saved import plan_for
from attar.evaluation.selected import candidates_of
from attar.evaluation.selection import chosen_of, select
from attar.memory import Meter, resident
from attar.method import Method, Stats, name_of
from attar.record import describe, inputs
from attar.runs import RunDirectory
from attar.types import AttarError, Problem

if TYPE_CHECKING:
    from attar.compare.study import Study

__all__ = ["Selected", "check_source", "choose", "notes"]


@dataclass(frozen=True)
class Selected:
    """What makes a chosen set: the runs of an iterative method, and who chooses among their candidates.

    Args:
        method: whose runs.
        of: what the comparison calls it.
        candidates: that each run keeps.
        model: that chooses.
    """

    method: Method
    of: str
    candidates: int
    model: str

    @property
    def name(self) -> str:
        return f"{name_of(self.method)}-selected"


def choose(study: Study, problem: Problem, method: Selected, source: Path, path: Path, seed: int) -> None:
    """Choose among the candidates of a run that is done, under the comparison's protocol, and keep the chosen set as a run.

    Args:
        study: gives the protocol and the number of networks.
        problem: its validation rows choose.
        method: what is chosen.
        source: folder of the run.
        path: folder of the chosen set.
        seed: of the run, and of the choice.
    """
    run = RunDirectory(source)
    candidates = candidates_of(source)
    final = candidates[max(candidates)]
    plan = plan_for(final, problem, study.protocol, study.networks, study.device, study.exact)
    meter = Meter(plan.device)
    selection = select(candidates, problem.planned(plan), method.model, study.networks, study.protocol, seed)
    value = chosen_of(selection, candidates)
    peaks = [peak for peak in ((run.result or {}).get("own_memory"), meter.peak()) if peak is not None]
    stats = Stats(selection.step, value.made_by["seconds"], None, resident(), max(peaks, default=None))
    told = {"name": method.name, "method": describe(method), "inputs": inputs(method), "candidates": None}
    if path.exists():  # one that was stopped before it had a result, or is damaged
        RunDirectory(path)
        shutil.rmtree(path)
    RunDirectory.create(path, {**run.settings, **told}).finish(value, asdict(stats), True)


def check_source(path: Path, settings: Mapping[str, Any], method: Selected) -> None:
    """Refuse a run without the candidates that are asked for.

    Args:
        path: the run's directory.
        settings: that it records; empty where there is no run yet.
        method: what is to be chosen.
    """
    kept = settings.get("candidates")
    if not settings or kept == method.candidates:
        return
    if kept is None:
        raise AttarError(
            f"{path} kept no candidates along its way, among which validation rows could choose: choose another --out, or remove that "
            "folder, so that its set is made again."
        )
    raise AttarError(
        f"{path} kept {kept:,} candidates along its way, and {method.candidates:,} are asked for: give {kept:,}, or choose another --out."
    )


def notes(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """A sentence on the rows of chosen sets, where there are any.

    Args:
        settings: of the methods by name, as `attar.compare.described.described` has them.
    """
    fields: dict[tuple[int, str], list[str]] = {}
    for name, entries in settings.items():
        for record in (entry["method"] for entry in entries[:1]):
            if record.get("type") == f"{Selected.__module__}:{Selected.__qualname__}":
                asked = record["fields"]
                fields.setdefault((asked["candidates"], asked["model"]), []).append(name)
    for (candidates, model), named in fields.items():
        yield (
            f"{', '.join(named)}: of up to {candidates:,} sets along each run, the one from which {model} learns best by the validation "
            "rows, under the same protocol; the row without -selected is of the last. Test rows choose nothing, networks that choose are "
            "others than those that are scored, and the seconds are those of the whole run and of the choice."
        )
