"""A step of trajectory matching by each way back: seconds, memory, and how far the approximation is off.

    python -m benchmarks.trajectory cost                        # 10, 20, 40 and 80 inner steps, each in a process of its own
    python -m benchmarks.trajectory expert                      # updates of an expert, plain and fast in turn
    python -m benchmarks.trajectory agreement runs/mnist-experts

MNIST, ConvNet-3-128, 10 images a class, all rows each inner step. "plain" is a loop in the manner of the public scripts: eager
fp32, the whole graph stored, the system's allocator.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.nn import functional as F

import attar
from attar import augment, rng
from attar.experts import Course, Experts
from attar.memory import resident
from attar.objectives import TrajectoryMatch
from attar.plan import Plan, keep_freed_memory
from attar.surrogates import Expert, Segment
from attar.surrogates.fresh import random_weights, skeleton
from attar.training.paths import batches, updated
from attar.training.unroll import BACKWARD, Backward
from attar.types import Params, Task
from attar.views import Everything, View

PER_CLASS = 10
STEP_SIZE = 0.01
EXPERT_UPDATES = 10


def side_of(problem: attar.Problem, seed: int = 0) -> View:
    """The synthetic side of a step: random real rows, and a step size that is learned."""
    rows = attar.methods.random().finish(problem, attar.Budget(per_class=PER_CLASS), rng.generator(seed)).normalised()
    strategy = augment.named(problem.spec.augmentation, shared=False)
    batch = rows.replace(x=rows.x.clone().requires_grad_())
    learned = {"step_size": torch.tensor(STEP_SIZE, dtype=torch.float64, requires_grad=True)}
    return View(batch, problem.task.members(rows), Everything(), strategy, strategy, seed, seed, learned)


def segment_of(task: Task) -> Segment:
    """Two networks with random weights: the arithmetic is that of an expert's."""
    start, target = (random_weights(task, "convnet3", rng.generator(index, "weights")) for index in range(2))
    return Segment(skeleton(task, "convnet3"), start, target)


def distance(one: Params, other: Params) -> torch.Tensor:
    return torch.stack([((one[name] - value) ** 2).sum() for name, value in other.items()]).sum()


def plain(problem: attar.Problem, inner_steps: int) -> Callable[[int], None]:
    segment, side = segment_of(problem.task), side_of(problem)
    x, pace = side.batch.x, side.learned["step_size"]

    def run(index: int) -> None:
        view = replace(side, rows_seed=index)
        params = {name: value.clone().requires_grad_() for name, value in segment.start.items()}
        for inner in range(inner_steps):
            rows = view.minibatch(len(x), inner)
            assert rows.y is not None
            loss = F.cross_entropy(torch.func.functional_call(segment.model, params, (rows.x,)), rows.y)
            slopes = torch.autograd.grad(loss, list(params.values()), create_graph=True)
            params = {name: value - pace * slope for (name, value), slope in zip(params.items(), slopes, strict=True)}
        loss = distance(params, segment.target) / distance(segment.start, segment.target)
        torch.autograd.grad(loss, [x, pace])

    return run


def fast(problem: attar.Problem, inner_steps: int, backward: Backward, precision: str) -> Callable[[int], None]:
    planned = problem.planned(replace(Plan.fast("cpu"), precision=precision))  # type: ignore[arg-type]
    segment, side = segment_of(planned.task), side_of(planned)
    objective = TrajectoryMatch(inner_steps, backward=backward)

    def run(index: int) -> None:
        view = replace(side, rows_seed=index)
        loss, _, _ = objective.loss(planned.task, segment, view, view, {})
        torch.autograd.grad(loss, [side.batch.x, side.learned["step_size"]])

    return run


def expert(problem: attar.Problem, kind: str) -> Callable[[int], None]:
    """Some updates of an expert."""
    planned = problem.planned(Plan.fast("cpu")) if kind == "fast" else problem
    model = skeleton(planned.task, "convnet3")
    start = random_weights(planned.task, "convnet3", rng.generator(0, "weights"))
    course = Course(augmentation=problem.spec.augmentation)
    strategy = augment.named(problem.spec.augmentation, shared=False)

    def run(index: int) -> None:
        params = {name: value[None] for name, value in start.items()}
        for _, rows in zip(
            range(EXPERT_UPDATES), batches(planned.task, model, planned.train, course, [0], index), strict=False
        ):
            params, _, _ = updated(planned.task, model, params, {}, rows, course)

    def loop(index: int) -> None:
        network = problem.task.build("convnet3")
        optimiser = torch.optim.SGD(network.parameters(), lr=course.lr)
        order = torch.randperm(len(problem.train))
        for number in range(EXPERT_UPDATES):
            rows = problem.train.take(order[number * course.batch : (number + 1) * course.batch])
            assert rows.y is not None
            optimiser.zero_grad()
            F.cross_entropy(network(strategy(rows.x, index * EXPERT_UPDATES + number)), rows.y).backward()
            optimiser.step()

    return run if kind == "fast" else loop


def worker(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    problem = attar.data.load("mnist")
    torch.manual_seed(0)
    if options.worker != "plain":
        keep_freed_memory()
    if options.what == "expert":
        run = expert(problem, options.worker)
    elif options.worker == "plain":
        run = plain(problem, options.inner_steps[0])
    else:
        run = fast(problem, options.inner_steps[0], options.worker, options.precision or Plan.fast("cpu").precision)
    held = resident()
    run(0)
    first = resident()
    cpu = []
    for index in range(1, options.repeats + 1):
        begun = time.process_time()
        run(index)
        cpu.append(time.process_time() - begun)
    print(json.dumps({"cpu": statistics.median(cpu), "held": held, "first": first, "peak": resident()}))


def measured(options: argparse.Namespace, kind: str, inner_steps: int) -> dict[str, float]:
    settings = ["--worker", kind, "--repeats", str(options.repeats), "--inner-steps", str(inner_steps)]
    settings += ["--precision", options.precision] if options.precision else []
    command = [sys.executable, "-m", "benchmarks.trajectory", options.what, *settings]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def cost(options: argparse.Namespace) -> None:
    """A line a number of inner steps and way back; the plain loop for the least of the former alone, which stores all."""
    print("| inner steps | way back | CPU s | times the plain loop's speed | peak, GB | of it before the first step |")
    print("|---|---|---|---|---|---|")
    for inner_steps in options.inner_steps:
        kinds = ["plain"] if inner_steps <= options.plain_up_to else []
        base = None
        for kind in [*kinds, *(options.ways or BACKWARD)]:
            if kind == "store" and inner_steps > options.plain_up_to:
                continue
            found = measured(options, kind, inner_steps)
            base = found["cpu"] if kind == "plain" else base
            ratio = "" if base is None or kind == "plain" else f"{base / found['cpu']:.2f}"
            print(
                f"| {inner_steps} | {kind} | {found['cpu']:.2f} | {ratio} | {found['peak'] / 1e9:.2f} | {found['held'] / 1e9:.2f} |",
                flush=True,
            )


def expert_cost(options: argparse.Namespace) -> None:
    pairs = [{kind: measured(options, kind, 1) for kind in ("plain", "fast")} for _ in range(options.pairs)]
    updates = -(-60_000 // Course().batch)
    seconds = {
        kind: statistics.median(pair[kind]["cpu"] for pair in pairs) / EXPERT_UPDATES * updates for kind in pairs[0]
    }
    ratio = statistics.median(pair["plain"]["cpu"] / pair["fast"]["cpu"] for pair in pairs)
    print(
        f"an epoch of 60,000 rows: plain {seconds['plain']:.0f} CPU s, attar {seconds['fast']:.0f}, {ratio:.2f} times less"
    )


def agreement(options: argparse.Namespace) -> None:
    """Cosines of the gradient of the rows to the exact one (eager fp32), on pieces of real experts."""
    problem = attar.data.load("mnist", validation=options.validation)
    experts = Experts.load(options.experts)
    planned = {"exact": problem, "fast": problem.planned(Plan.fast("cpu"))}
    print("| inner steps | start epoch | `linear` | `checkpoint` on the fast plan |")
    print("|---|---|---|---|")
    for inner_steps in options.inner_steps:
        for start in options.starts:
            source = Expert(experts, options.span, start, start + 1)
            state = source.init(problem, rng.generator(0, "experts"))
            slopes = {}
            for name, plan, backward in (
                ("exact", "exact", "checkpoint"),
                ("linear", "exact", "linear"),
                ("fast", "fast", "checkpoint"),
            ):
                view, chosen = side_of(problem), planned[plan]
                segment, _ = source.next(state, chosen, view, view, rng.generator(0, "draw"))
                objective = TrajectoryMatch(inner_steps, backward=backward)  # type: ignore[arg-type]
                loss, _, _ = objective.loss(chosen.task, segment, view, view, {})
                slopes[name] = torch.autograd.grad(loss, view.batch.x)[0].flatten()
            cosines = [F.cosine_similarity(slopes[name], slopes["exact"], 0).item() for name in ("linear", "fast")]
            print(f"| {inner_steps} | {start} | {cosines[0]:.4f} | {cosines[1]:.4f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "expert", "agreement"))
    parser.add_argument("experts", nargs="?", help="folder of experts on MNIST, for agreement")
    parser.add_argument("--inner-steps", type=int, nargs="+", default=[10, 20, 40, 80])
    parser.add_argument("--plain-up-to", type=int, default=20, help="inner steps to which whole graphs are stored")
    parser.add_argument("--ways", nargs="+", choices=BACKWARD, help="ways back, all where none are given")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), help="of the student's updates; the machine's own where none is given"
    )
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--span", type=int, default=1)
    parser.add_argument("--starts", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--validation", type=float, default=None, help="as the experts were recorded with")
    parser.add_argument("--worker", choices=("plain", "fast", *BACKWARD), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options)
    elif options.what == "agreement":
        if options.experts is None:
            parser.error("agreement is measured on recorded experts: give their folder.")
        agreement(options)
    else:
        {"cost": cost, "expert": expert_cost}[options.what](options)


if __name__ == "__main__":
    main()
