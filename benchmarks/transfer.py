"""Sets that were distilled on one network, trained on by others: ``python -m benchmarks.transfer runs/bench/mnist``.

Or scored again from other first weights: ``... --protocol paper --models convnet3 --network 1``. The sets are those of a
comparison's folder, one a method and seed. Each network's score is kept as soon as it is there, with the set's checksum and the
protocol, so that the same command goes on where it was stopped; it prints its table in Markdown.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from dataclasses import replace
from pathlib import Path

import attar
from attar.checkpoint import write_json
from attar.distilled import Distilled
from attar.distilled.dataset import CARD
from attar.evaluation import Protocol
from attar.evaluation.protocol import protocol_named
from attar.evaluation.saved import plan_for, problem_of
from attar.plan import keep_freed_memory

MODELS = ("convnet3", "mlp", "alexnet", "vgg11", "resnet18")

# The paper's protocol for as many updates, of all rows at once, as four networks can be given: VGG-11 does not learn from
# batches of 32, and larger step sizes than 0.01 undo it.
TRANSFER = replace(Protocol.paper, name="transfer", epochs=10_000, plain_epochs=10_000, updates=150)


def score(folder: Path, model: str, protocol: Protocol, seed: int, kept: Path) -> float:
    """Accuracy of one network on test rows, measured once for a set and protocol."""
    card = json.loads((folder / "distilled" / CARD).read_text())
    made_with = {"checksum": card["checksum"], "protocol": dataclasses.asdict(protocol)}
    record = json.loads(kept.read_text()) if kept.is_file() else {}
    if record.get("made_with") != json.loads(json.dumps(made_with)):
        value = Distilled.load(folder)
        problem = problem_of(value)
        problem = problem.planned(plan_for(value, problem, protocol, runs=1))
        found = attar.evaluate(value, problem, model, runs=1, protocol=protocol, seed=seed)
        record = {**found.to_json(), "made_with": made_with}
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, record)
    scores: list[float] = record["scores"][0]["scores"]
    return scores[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("--methods", default="random,dm,datadam,idc", help="as the comparison calls them")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--protocol", choices=("transfer", "paper", "quick"), default="transfer")
    parser.add_argument("--network", type=int, help="seed of the network, instead of the set's own")
    options = parser.parse_args()
    protocol = TRANSFER if options.protocol == "transfer" else protocol_named(options.protocol)
    keep_freed_memory()
    models = options.models.split(",")
    print(protocol.describe(), f"\n\n| distilled by | {' | '.join(models)} |\n|---|{'---|' * len(models)}", flush=True)
    for method in options.methods.split(","):
        cells = []
        for model in models:
            scores = []
            for seed in range(options.seeds):
                network = seed if options.network is None else options.network
                name = f"{method}-{options.per_class}-{seed}-{protocol.name}-{model}-{network}.json"
                folder = options.comparison / "sets" / f"{method}-{options.per_class}-per-class-{seed}"
                scores.append(score(folder, model, protocol, network, options.comparison / "transfer" / name))
            cells.append(f"{100 * statistics.mean(scores):.1f}" + (f" ({len(scores)})" if len(scores) > 1 else ""))
        print(f"| `{method}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
