"""Comparisons that are kept, each with its page: ``python -m benchmarks.studies digits``, or `make bench-digits` and the like.

Each goes on where it was stopped, and prints its table in Markdown when all is done. The pages beside this file hold what came
out. Data other than the digits are looked for in ``ATTAR_DATA``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import attar
from attar import methods, report
from attar.method import Method
from attar.plan import keep_freed_memory
from attar.types import Problem
from benchmarks.method_lists import (
    BESIDE,
    IDC,
    KERNELS,
    KIP,
    KIP_AUGMENTED,
    MATCHING,
    NARROW,
    SELECTION,
    SETTINGS,
    SPURIOUS_LONGER,
    TABLES,
    grid,
    spurious,
    trajectories,
    trajectory_batches,
    trajectory_settings,
)
from benchmarks.printed import group_table, table


def adult() -> Problem:
    """Adult of the census of 1994: whether an income is above 50,000 dollars. Left out are the sampling weight, and the education in words,
    of which another column is the rank."""
    folder = Path(os.environ.get("ATTAR_DATA", ".")) / "adult"
    return attar.data.table(
        folder / "adult.data",
        target="Y",
        test=folder / "adult.test",
        types={"education": "drop", "fnlwgt": "drop"},
        impute=True,
        validation=0.1,
        name="adult",
    )


def coloured_digits() -> Problem:
    """Digits inside the package, four of five in their class's colour: for 95 % a class has too few others."""
    return attar.data.load("coloured-digits", share=0.8)


def whitened_cifar10() -> Problem:
    """CIFAR-10 as trajectory matching takes it, for every method alike."""
    return attar.data.load("cifar10", validation=0.1, zca=True)


def held_out() -> Problem:
    """MNIST without its test rows: a tenth of the training rows stands in their place, so that none of them chooses a
    setting."""
    problem = attar.data.load("mnist", validation=0.1)
    split = f"Test: {len(problem.validation):,} rows of the training part, a stratified tenth; none of the source's test rows."
    return replace(
        problem,
        test=problem.validation,
        validation=problem.validation.take(torch.arange(0)),
        spec=replace(problem.spec, split=split),
    )


Asked = str | tuple[str, Method | Mapping[str, Any]]


@dataclass(frozen=True)
class Study:
    """The arguments of `attar.compare`; methods that need something made before are made of the studies' folder."""

    data: str | Callable[[], Problem]
    methods: Sequence[Asked] | Callable[[Path], Sequence[Asked]]
    per_class: Sequence[int]
    seeds: int = 3
    options: Mapping[str, Any] = field(default_factory=dict)


STUDIES = {
    "digits": Study(  # 8 x 8 images suit two blocks
        "digits",
        ("kmeans", "herding", "k_center", "facility_location", ("dm", methods.dm("convnet2-32"))),
        (1, 10),
        options={"steps": 100, "models": ["convnet2-32"]},
    ),
    "mnist": Study("mnist", MATCHING, (10,), seeds=2, options={"time_budget": 300.0, "protocol": "paper"}),
    "mnist-settings": Study(held_out, SETTINGS, (10,), seeds=1, options={"time_budget": 80.0, "models": ["convnet3"]}),
    "parameterisations": Study("mnist", tuple(grid()), (10,), seeds=1, options={"time_budget": 60.0}),
    "trajectory-settings": Study(
        held_out, trajectory_settings, (1,), seeds=1, options={"time_budget": 60.0, "models": [NARROW]}
    ),
    "trajectory-batches": Study(
        held_out, trajectory_batches, (10,), seeds=1, options={"time_budget": 150.0, "models": [NARROW]}
    ),
    "trajectory": Study(
        "mnist",
        trajectories,
        (1, 10),
        seeds=2,
        options={"time_budget": 300.0, "protocol": "paper", "models": [NARROW]},
    ),
    "trajectory-beside": Study(
        "mnist", BESIDE, (1, 10), seeds=2, options={"time_budget": 300.0, "protocol": "paper", "models": [NARROW]}
    ),
    "trajectory-selected": Study(  # the last set of a run beside the one that validation rows choose
        "mnist",
        trajectories,
        (1,),
        seeds=1,
        options={"time_budget": 200.0, "protocol": "paper", "models": [NARROW], "candidates": 5},
    ),
    "trajectory-cifar10": Study(
        whitened_cifar10,
        lambda out: trajectories(out, "cifar10", 2, ("plain",)),
        (1, 10),
        seeds=1,
        options={"time_budget": 100.0, "models": [NARROW]},
    ),
    "kip-settings": Study(held_out, KIP, (50,), seeds=1, options={"time_budget": 300.0, "models": ["ridge-ntk"]}),
    "kip-augmented": Study(
        "mnist", KIP_AUGMENTED, (50,), seeds=1, options={"time_budget": 1300.0, "models": ["ridge-ntk"]}
    ),
    "kernels": Study(
        "mnist",
        KERNELS,
        (1, 10, 50),
        seeds=2,
        options={"time_budget": 300.0, "protocol": "paper", "models": ["ridge-ntk", "convnet3"]},
    ),
    "spurious": Study(
        "coloured-mnist",
        tuple(spurious(NARROW)),
        (10, 50),
        seeds=2,
        options={"time_budget": 60.0, "protocol": "paper", "models": [NARROW]},
    ),
    "spurious-longer": Study(
        "coloured-mnist",
        SPURIOUS_LONGER,
        (50,),
        seeds=1,
        options={"time_budget": 240.0, "protocol": "paper", "models": [NARROW]},
    ),
    "spurious-digits": Study(
        coloured_digits,
        tuple(spurious("convnet2-16")),
        (10,),
        seeds=1,
        options={"steps": 150, "models": ["convnet2-16"]},
    ),
    "adult": Study(
        adult,
        TABLES,
        (5, 25, 100),
        options={"time_budget": 40.0, "models": ["trees", "forest", "linear", "knn", "mlp"]},
    ),
    "idc-settings": Study(held_out, IDC, (10,), seeds=1, options={"time_budget": 300.0, "models": ["convnet3"]}),
    "selection-mnist": Study("mnist", SELECTION, (1, 10, 50)),
    "selection-cifar10": Study("cifar10", SELECTION, (1, 10)),
}


def _called(item: Asked) -> str:
    """The name that a study gives a method."""
    return item if isinstance(item, str) else item[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", choices=list(STUDIES))
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder of the comparisons' folders")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seeds", type=int, help="instead of the study's")
    parser.add_argument("--per-class", help="budgets instead of the study's, separated by commas")
    parser.add_argument("--time-budget", type=float, help="seconds instead of the study's, in a folder of their own")
    parser.add_argument("--models", help="instead of the study's, separated by commas, in a folder of their own")
    parser.add_argument("--only", help="methods of the study, separated by commas")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="what seconds and time budgets count: cpu for those of this process, on a machine that does other work besides",
    )
    chosen = parser.parse_args()
    keep_freed_memory()
    if chosen.clock == "cpu":
        time.perf_counter = time.process_time
    for name in chosen.studies:
        study, out = STUDIES[name], chosen.out / name
        options = dict(study.options)
        if chosen.time_budget is not None and chosen.time_budget != options.get("time_budget"):
            options["time_budget"] = chosen.time_budget
            out = out.with_name(f"{name}-{chosen.time_budget:g}-s")
        if chosen.models:
            options["models"] = chosen.models.split(",")
            out = out.with_name(f"{out.name}-{chosen.models.replace(',', '-')}")
        given = [
            f"--{key.replace('_', '-')} {value}"
            for key, value in vars(chosen).items()
            if key != "studies" and value and value != "wall"
        ]
        asked = study.methods(chosen.out) if callable(study.methods) else study.methods
        command = " ".join(["python -m benchmarks.studies", name, *given])
        found = attar.compare(
            study.data if isinstance(study.data, str) else study.data(),
            [item for item in asked if not chosen.only or _called(item) in chosen.only.split(",")],
            [int(budget) for budget in chosen.per_class.split(",")] if chosen.per_class else study.per_class,
            seeds=chosen.seeds or study.seeds,
            workers=chosen.workers,
            out=out,
            command=command,
            **options,
        )
        report.of_comparison(out)
        best = ", ".join(
            f"{name} at {per_class} a class"
            for per_class, name in {row.per_class: row.best_coreset for row in found.rows if row.best_coreset}.items()
        )
        print(
            f"\n{name}. {found.protocol.describe()} The best coreset by validation: {best}.\n\n{table(out)}\n\n"
            f"{group_table(out)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
