"""The demonstration: digits that come with attar, one and ten a class, beside random rows and full data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from attar import data, jobs, methods, report
from attar.progress import follow, say
from attar.runs import RunDirectory
from attar.types import Budget

__all__ = ["demo"]

MODEL, STEPS = "convnet2-32", 200  # images of 8 x 8 leave a third block nothing to pool
PER_CLASS = (1, 10)


def demo(out: Path, seed: int = 0, command: str = "") -> dict[str, Any]:
    """Distil, evaluate, compare, write the pages.

    Args:
        out: folder; each budget gets a run in it. An earlier demonstration there is made anew.
        seed: of everything that is drawn.
        command: for the page.

    Returns:
        ``runs``, a list of what `attar.report.score_run` returns, and ``report``, the page of both; JSON values.
    """
    problem = data.load("digits", seed=seed)
    scored = []
    for per_class in PER_CLASS:
        path = out / f"digits-dm-{per_class}-per-class"
        if (path / "settings.json").is_file():
            RunDirectory(path)  # only what attar wrote is removed
            shutil.rmtree(path)
        job = jobs.prepare(
            methods.dm(model=MODEL),
            problem,
            Budget(per_class=per_class),
            steps=STEPS,
            seed=seed,
            out=path,
            command=command,
        )
        follow(job)
        scored.append(report.score_run(path, protocol="quick", problem=problem, models=[MODEL]))
        say(f"{scored[-1]['sentence']} The page: {scored[-1]['report']}")
    first, *others = [run["run"] for run in scored]
    report.of_run(first, problem, beside=others)
    shutil.copyfile(Path(first) / "report.html", out / "report.html")
    say(f"open {out / 'report.html'}")
    return {"runs": scored, "report": str(out / "report.html")}
