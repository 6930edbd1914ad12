"""Seconds of a step: attar's fast plan beside a plain loop, in turn, each in a process of its own.

    python benchmarks/steps.py              # all operations, one and two threads
    python benchmarks/steps.py dm --threads 2 --pairs 3

The plain loop does what the public scripts of DC, DSA and DM do (METHOD, class by class, eager fp32, the system's
allocator), on the same data. MNIST, ConvNet-3-128, 10 images a class, 256 real ones a class and step.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

import attar
from attar import augment, rng
from attar.distances import layerwise_cosine
from attar.evaluation import Protocol
from attar.plan import Plan, keep_freed_memory
from attar.training import Schedule, fit

OPERATIONS = ("dm", "dc", "evaluation")
PER_CLASS, REAL = 10, 256
EPOCHS = 50  # of the evaluation that is timed; the protocol's 1,000 cost twenty times as much


def plain(operation: str, problem: attar.Problem) -> Callable[[int], None]:
    """The operation as a plain loop."""
    rows = attar.methods.random().finish(problem, attar.Budget(per_class=PER_CLASS), rng.generator(0)).normalised()
    x = rows.x.clone().requires_grad_()
    optimiser = torch.optim.SGD([x], lr=1.0, momentum=0.5)
    strategy = augment.Siamese(problem.spec.augmentation)

    def sides(group: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        members = problem.members[group]
        real = problem.train.x[members[torch.randperm(len(members))[:REAL]]]
        return strategy(real, index), strategy(x[group * PER_CLASS : (group + 1) * PER_CLASS], index)

    def dm(index: int) -> None:
        network = problem.task.build("convnet3")
        loss = torch.zeros(())
        for group in range(10):
            real, synthetic = sides(group, index)
            with torch.no_grad():
                target = network(real, features=True)[-1].flatten(1).mean(0)
            loss = loss + ((network(synthetic, features=True)[-1].flatten(1).mean(0) - target) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def dc(index: int) -> None:
        network = problem.task.build("convnet3")
        weights = list(network.parameters())
        names = [name for name, _ in network.named_parameters()]
        loss = torch.zeros(())
        for group in range(10):
            real, synthetic = sides(group, index)
            wanted = torch.autograd.grad(F.cross_entropy(network(real), torch.full((len(real),), group)), weights)
            found = torch.autograd.grad(
                F.cross_entropy(network(synthetic), torch.full((PER_CLASS,), group)), weights, create_graph=True
            )
            loss = loss + layerwise_cosine(dict(zip(names, found, strict=True)), dict(zip(names, wanted, strict=True)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        training = torch.optim.SGD(weights, lr=0.01)
        for epoch in range(50):
            training.zero_grad()
            F.cross_entropy(network(strategy(x.detach(), epoch)), rows.y).backward()
            training.step()

    def evaluation(index: int) -> None:
        network = problem.task.build("convnet3")
        training = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        each = augment.Siamese(problem.spec.augmentation, shared=False)
        for epoch in range(EPOCHS + 1):
            training.zero_grad()
            F.cross_entropy(network(each(rows.x, epoch)), rows.y).backward()
            training.step()

    return {"dm": dm, "dc": dc, "evaluation": evaluation}[operation]


def fast(operation: str, problem: attar.Problem) -> Callable[[int], None]:
    """The operation as attar does it."""
    planned = problem.planned(Plan.fast("cpu"))
    budget = attar.Budget(per_class=PER_CLASS)
    if operation == "evaluation":
        rows = attar.methods.random().finish(problem, budget, rng.generator(0)).normalised()
        strategy = Protocol.paper.strategy(problem.spec.augmentation)

        def evaluate(index: int) -> None:
            network = planned.task.build("convnet3")
            fit(
                planned.task, network, rows, Schedule(EPOCHS), augment=augment.named(strategy, shared=False), seed=index
            )

        return evaluate
    # one matching and one training a step, as an outer step of the public script
    method = attar.methods.dm() if operation == "dm" else attar.methods.dsa()
    state = {"now": method.init(planned, budget, rng.generator(0))}
    if operation == "dc":
        state["now"], _ = method.step(
            planned, state["now"]
        )  # the first matching of a network has no training before it

    def step(index: int) -> None:
        state["now"], _ = method.step(planned, state["now"])

    return step


def worker(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    if options.kind == "fast":
        keep_freed_memory()
    problem = attar.data.load("mnist")
    torch.manual_seed(0)
    run = (plain if options.kind == "plain" else fast)(options.operation, problem)
    start = time.perf_counter()
    run(0)
    first = time.perf_counter() - start
    cpu, wall = [], []
    for index in range(1, options.repeats + 1):
        start, begun = time.perf_counter(), time.process_time()
        run(index)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        json.dumps({"cpu": statistics.median(cpu), "wall": statistics.median(wall), "first": first, "gigabytes": peak})
    )


def compare(operation: str, threads: int, pairs: int, repeats: int) -> dict[str, object]:
    """Both kinds in turn; medians and the ratio pair by pair."""
    found: dict[str, list[dict[str, float]]] = {"plain": [], "fast": []}
    for _ in range(pairs):
        for kind, results in found.items():
            command = [
                sys.executable,
                __file__,
                operation,
                "--kind",
                kind,
                "--threads",
                str(threads),
                "--repeats",
                str(repeats),
            ]
            results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    row: dict[str, object] = {"operation": operation, "threads": threads}
    for what in ("cpu", "wall"):
        ratios = [p[what] / f[what] for p, f in zip(found["plain"], found["fast"], strict=True)]
        row |= {
            f"{what}_{kind}": round(statistics.median(r[what] for r in results), 3) for kind, results in found.items()
        }
        row[f"{what}_ratio"] = round(statistics.median(ratios), 2)
    row |= {f"gigabytes_{kind}": round(max(r["gigabytes"] for r in results), 2) for kind, results in found.items()}
    row["first_fast"] = round(max(r["first"] for r in found["fast"]), 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("operation", nargs="?", choices=OPERATIONS)
    parser.add_argument("--kind", choices=("plain", "fast"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.kind:
        worker(options)
        return
    for operation in (options.operation,) if options.operation else OPERATIONS:
        for threads in (options.threads,) if options.threads else (1, 2):
            print(json.dumps(compare(operation, threads, options.pairs, options.repeats)), flush=True)


if __name__ == "__main__":
    main()
