"""Accuracy against seconds: distil and keep the set at several steps, then score each under the paper's protocol.

    python benchmarks/curve.py distil runs/bench/mnist-dm-10 dm mnist --per-class 10 --steps 3000 --settings batch=64 lr=10
    python benchmarks/curve.py score runs/bench/mnist-dm-10 --runs 5

Both go on where they were stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import attar
from attar import jobs
from attar.distilled import Distilled
from attar.evaluation.saved import plan_for, problem_of, protocol_named
from attar.plan import keep_freed_memory

MARKS = (0, 30, 100, 300, 600, 1000, 2000, 3000, 5000, 10000, 20000)


def distil(options: argparse.Namespace) -> None:
    settings = {key: json.loads(value) for key, value in (pair.split("=", 1) for pair in options.settings)}
    if (options.out / "settings.json").is_file():
        job = jobs.reopen(options.out)
    else:
        problem = attar.data.find(options.data)
        method = attar.methods.find(options.method)(**settings)
        budget = attar.Budget(per_class=options.per_class)
        job = jobs.prepare(method, problem, budget, steps=options.steps, seed=options.seed, out=options.out)
        print(job.estimate.sentence(job.steps) if job.estimate else "direct", job.plan, flush=True)
    sets = options.out / "sets"
    sets.mkdir(exist_ok=True)
    cpu = time.process_time()
    for step in job:
        if step.index in MARKS or step.index == job.steps:
            keep(job, step.index, step.seconds, time.process_time() - cpu, step.state, sets)
    job.finish().value.save(sets / f"{job.index:06d}")


def keep(job: jobs.Job, index: int, seconds: float, cpu: float, state: object, sets: Path) -> None:
    job.method.finish(job.problem, state).save(sets / f"{index:06d}")  # type: ignore[union-attr,call-arg]
    with open(sets / "seconds.jsonl", "a") as file:
        file.write(
            json.dumps({"step": index, "seconds": round(seconds, 1), "cpu_seconds_of_this_process": round(cpu, 1)})
            + "\n"
        )
    print(index, f"{seconds:.0f} s", f"{cpu:.0f} CPU s", flush=True)


def score(options: argparse.Namespace) -> None:
    protocol = protocol_named(options.protocol)
    whole = Distilled.load(options.out)
    problem = problem_of(whole)
    problem = problem.planned(plan_for(whole, problem, protocol, options.runs))
    chosen = sorted((options.out / "sets").glob("[0-9]*")) if not options.last else [options.out / "distilled"]
    for path in chosen:
        file = options.out / f"scores-{protocol.name}-{path.name}-{options.runs}.json"
        if file.is_file():
            scores = json.loads(file.read_text())["scores"][0]["scores"]
        else:
            start, cpu = time.perf_counter(), time.process_time()
            found = attar.evaluate(Distilled.load(path), problem, runs=options.runs, protocol=protocol)
            scores = list(found[0].scores)
            spent = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
            file.write_text(json.dumps({**found.to_json(), **spent}, indent=1))
        spread = statistics.stdev(scores) if len(scores) > 1 else float("nan")
        print(
            path.name,
            f"{100 * statistics.mean(scores):.2f} ± {100 * spread:.2f}",
            [round(100 * s, 2) for s in scores],
            flush=True,
        )


def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("distil")
    one.add_argument("out", type=Path)
    one.add_argument("method")
    one.add_argument("data")
    one.add_argument("--per-class", type=int, default=10)
    one.add_argument("--steps", type=int)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--settings", nargs="*", default=[])
    one.set_defaults(run=distil)
    two = verbs.add_parser("score")
    two.add_argument("out", type=Path)
    two.add_argument("--runs", type=int, default=5)
    two.add_argument("--protocol", default="paper")
    two.add_argument("--last", action="store_true", help="only the final set")
    two.set_defaults(run=score)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
