"""What the fast plan changes: networks trained from equal seeds by the plain fp32 plan and by the fast one.

    python benchmarks/precision.py --epochs 200 --lr 0.03 --runs 3

MNIST, ConvNet-3-128, 10 random rows a class; a schedule shorter than the paper's, since the plain plan takes long.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time

import torch

import attar
from attar import rng
from attar.distances import layerwise_cosine
from attar.evaluation import Protocol
from attar.plan import Plan, keep_freed_memory
from attar.surrogates.fresh import random_weights, skeleton
from attar.training import passes


def agreement(problem: attar.Problem) -> dict[str, float]:
    """Relative error of features and cosine of gradients, fast against plain, on one class of real rows."""
    rows = problem.train.take(problem.members[3][:256])
    found = {}
    for name, plan in (("plain", Plan.on("cpu")), ("fast", Plan.fast("cpu"))):
        task = problem.planned(plan).task
        model, params = skeleton(task, "convnet3"), random_weights(task, "convnet3", rng.generator(0))
        [features] = passes.features(task, model, params, rows)
        slopes, _ = passes.gradient(task, model, params, rows)
        found[name] = features.flatten(1), slopes
    (plain, left), (fast, right) = found["plain"], found["fast"]
    flat = [torch.cat([value.flatten() for value in slopes.values()]) for slopes in (left, right)]
    return {
        "features, relative error": float((plain - fast).norm() / plain.norm()),
        "gradient, one minus cosine": 1 - float(torch.cosine_similarity(*flat, dim=0)),
        "gradient, layerwise distance": float(layerwise_cosine(left, right)),
    }


def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--lr", type=float, default=0.03)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    problem = attar.data.load("mnist")
    print(json.dumps(agreement(problem), indent=1), flush=True)
    value = attar.methods.random().finish(problem, attar.Budget(per_class=10), rng.generator(0))
    protocol = dataclasses.replace(Protocol.paper, name="shorter", epochs=options.epochs, lr=options.lr)
    for name, plan in (("plain", Plan.on("cpu")), ("fast", Plan.fast("cpu"))):
        start = time.process_time()
        [score] = attar.evaluate(value, problem.planned(plan), runs=options.runs, protocol=protocol)
        print(
            name,
            score,
            [round(100 * s, 2) for s in score.scores],
            f"{time.process_time() - start:.0f} CPU s",
            flush=True,
        )


if __name__ == "__main__":
    main()
