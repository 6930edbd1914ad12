"""Comparisons that are kept, each with its page: ``python -m benchmarks.studies digits``, or `make bench-digits` and the like.

Each goes on where it was stopped, and prints its table in Markdown when all is done. The pages beside this file hold what came
out. Data other than the digits are looked for in ``ATTAR_DATA``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import torch

import attar
from attar import methods, report
from attar.experts import Course, Flat, Staged
from attar.method import Method, Start
from attar.plan import keep_freed_memory
from attar.selection import AttributeUse
from attar.synthetic import Bases, Codes, Memory, MultiFormation, Pixels
from attar.training import Adam
from attar.types import Problem
from benchmarks.printed import group_table, table

SELECTION: Sequence[str | tuple[str, Method]] = (
    "kmeans",
    ("kmeans-medoids", methods.kmeans(centres="medoids")),
    "herding",
    "k_center",
    "facility_location",
    "graph_cut",
    "craig",
    "glister",
    "forgetting",
    "el2n",
    ("el2n-easy", methods.el2n(prefer="easy")),
    "grand",
)


# Settings as chosen on held-out rows: see mnist.md.
MATCHING: Sequence[str | tuple[str, Method]] = (
    "kmeans",
    ("dm", methods.dm(batch=64, lr=10)),
    ("datadam", methods.datadam(batch=64, lr=100)),
    ("random-multi-formation", Start(methods.m3d())),
    ("m3d", methods.m3d(batch=64, lr=10)),
    ("dm-multi-formation", replace(methods.dm(batch=64, lr=3), synthetic=MultiFormation(2))),
    ("ncfm", methods.ncfm(batch=128, networks=4, updates=100, lr=0.1)),
    ("cafe", methods.cafe(batch=64, watch=16, epochs=3, initial="real", lr=0.1)),
    ("dsa", methods.dsa(batch=64, epochs=10, lr_model=0.05, lr=0.2)),
    ("dc", methods.dc(batch=64, epochs=10, lr_model=0.05, lr=0.3, initial="real")),
    ("dcc", methods.dcc(batch=64, epochs=10, lr_model=0.05, warm_up=0, lr=0.3)),
    ("idc", methods.idc(distance="l1", augmentation="color_crop", cutmix=0.0, matchings=5, lr=0.0003)),
    ("idm", methods.idm(batch=64, trained=1, updates=2, lr=2)),
)

# Each from its recipe, made cheaper where a step would take a good part of the budget, at several step sizes.
SETTINGS: Sequence[tuple[str, Method | Mapping[str, Any]]] = (
    ("random-multi-formation", Start(methods.m3d())),
    ("dm", {"batch": 64, "lr": 10}),
    *(("datadam", {"batch": 64, "lr": lr}) for lr in (10, 100, 1000)),
    *(("idc", {"updates": 2, "lr": lr}) for lr in (0.001, 0.01, 0.05, 0.2)),
    *(("cafe", {"batch": 64, "watch": 16, "epochs": 3, "initial": "real", "lr": lr}) for lr in (0.01, 0.1)),
    ("cafe", {"batch": 64, "watch": 16, "epochs": 3, "lr": 0.1}),
    *(("m3d", {"batch": 64, "lr": lr}) for lr in (1, 10)),
    *(("ncfm", {"batch": 128, "networks": 4, "updates": 100, "lr": lr}) for lr in (0.0325, 0.1)),
    ("ncfm", {"batch": 128, "networks": 3, "updates": 30, "lr": 0.1}),
    *(
        (f"dm-multi-formation-lr-{lr}", replace(methods.dm(batch=64, lr=lr), synthetic=MultiFormation(2)))
        for lr in (1, 3)
    ),
    *(("idm", {"batch": 64, "trained": 1, "updates": 2, "lr": lr}) for lr in (0.2, 2, 20)),
    *(("dcc", {"batch": 64, "epochs": 10, "lr_model": 0.05, "warm_up": 0, "lr": lr}) for lr in (0.05, 0.3)),
)


# By the kernel and by a network; `rfad` and `frepo` on networks of which a processor does some steps in minutes.
KERNELS: Sequence[str | tuple[str, Method]] = (
    "kmeans",
    "label_solve",
    ("kip", methods.kip()),
    ("kip-learned", methods.kip(labels="learned")),
    ("rfad", methods.rfad("convnet3-64-none", networks=2, batch=1024, lr=0.01)),
    ("frepo", methods.frepo("convnet3-32", lr=0.003, lr_model=1e-3)),
)

# Networks are kept for 100 matchings as published, of which five minutes have forty.
IDC: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("idc", {"matchings": 5, "updates": 2, "lr": 0.001}),
    ("idc", {"matchings": 5, "updates": 8, "lr": 0.0003}),
    ("idc", {"matchings": 20, "updates": 8, "lr": 0.0003}),
)

NARROW = "convnet3-32"
COURSES = {
    "plain": Course(NARROW, epochs=5),
    "flat": Course(NARROW, epochs=5, flat=Flat()),
    "staged": Course(NARROW, epochs=5, flat=Flat(), staged=Staged(full_at=2, removals=((3, 0.1),), epochs=2)),
}


def experts(out: Path, kind: str) -> str:
    """The folder of five experts on MNIST without its validation rows, recorded where they are not there yet."""
    problem = attar.data.load("mnist", validation=0.1)
    return attar.experts.record(problem, COURSES[kind], 5, out=out / f"mnist-experts-{kind}").path


def trajectories(out: Path) -> Sequence[tuple[str, Method]]:
    """Few epochs: networks learn MNIST in five. The experts' seconds come on top of the time budget and are in the table;
    "trajectory-beside" with a larger `--time-budget` gives `dm` and `dsa` as many."""
    settings: dict[str, Any] = {"inner_steps": 50, "span": 1, "start_before": 3, "step_size": 0.02}
    rising: dict[str, Any] = {"early_before": 2, "rising": 50, "lr_labels": 2.0}
    plain, flat, staged = (experts(out, kind) for kind in COURSES)
    return (
        *BESIDE,
        ("mtt", methods.mtt(plain, **settings)),
        ("tesla", methods.tesla(plain, **settings)),
        ("ftd", methods.ftd(flat, average=0.95, **settings)),  # published for thousands of steps
        ("datm", methods.datm(flat, **settings, **rising)),
        ("pad", methods.pad(staged, **settings, **rising)),
    )


BESIDE: Sequence[tuple[str, Method]] = (
    ("dm", methods.dm(NARROW, batch=64, lr=10)),
    ("dsa", methods.dsa(NARROW, batch=64, epochs=10, lr_model=0.05, lr=0.2)),
)


def trajectory_settings(out: Path) -> Sequence[tuple[str, Method]]:
    """Of `mtt`: its step sizes, and how far its student goes."""
    found = experts(out, "plain")
    return tuple(
        (
            f"mtt-{inner_steps}-lr-{lr}-from-{step_size}",
            methods.mtt(found, inner_steps=inner_steps, span=1, start_before=3, lr=lr, step_size=step_size),
        )
        for inner_steps, lr, step_size in (
            (20, 30, 0.05),
            (20, 100, 0.05),
            (20, 300, 0.05),
            (20, 1000, 0.05),
            (20, 100, 0.02),
            (20, 100, 0.1),
            (50, 100, 0.02),
            (50, 100, 0.05),
            (10, 100, 0.1),
        )
    )


def spurious(model: str = "convnet3") -> Iterator[tuple[str, Method]]:
    """`dm` and `dc` with settings as for MNIST in grey (see mnist.md), as they are, with groups balanced and by densities; of
    ten colours a draw of 64 has six or seven rows each."""
    for attribute in get_args(AttributeUse):
        ending = f"-{attribute}" if attribute else ""
        yield f"dm{ending}", methods.dm(model, batch=64, lr=10, attribute=attribute)
        yield (
            f"dc{ending}",
            methods.dc(model, batch=64, epochs=10, lr_model=0.05, lr=0.3, initial="real", attribute=attribute),
        )


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


# Real rows, centres and made rows, with weights where they have any.
TABLES: Sequence[str | tuple[str, Mapping[str, Any]]] = (
    "kmeans",
    ("kmeans", {"weighted": True}),
    "agglomerative",
    ("agglomerative", {"weighted": True}),
    ("facility_location", {"weighted": True}),
    "herding",
    "dm",
    "kip",
    ("causal", {"weight": 0.0}),
    ("causal", {"weight": 1.0}),
)


def coloured_digits() -> Problem:
    """Digits inside the package, four of five in their class's colour: for 95 % a class has too few others."""
    return attar.data.load("coloured-digits", share=0.8)


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


def grid() -> Iterator[tuple[str, Method]]:
    """Objectives by parameterisations, all of as many bytes."""
    objectives = {
        "dm": methods.dm("convnet3-32", batch=64, lr=10),
        "datadam": methods.datadam("convnet3-32", batch=64, lr=100),
        "m3d": methods.m3d("convnet3-32", factor=1, batch=64, lr=10),
        "dc": methods.dc("convnet3-32", batch=64, epochs=10, lr_model=0.05, lr=0.3, initial="real"),
        "idc": methods.idc("convnet3-32", distance="l1", augmentation="color_crop", cutmix=0.0, updates=2, lr=0.001),
    }
    parts = {
        "pixels": Pixels(),
        "multi-formation": MultiFormation(2),
        "bases": Bases(hallucinators=3),
        "memory": Memory(),
        "codes": Codes(),
    }
    shared = {name: Adam(0.01) for name in ("hallucinators", "addresses", "decoders")}
    for name, part in parts.items():
        yield f"start-{name}", Start(replace(objectives["dm"], synthetic=part))
    for objective, method in objectives.items():
        for name, part in parts.items():
            optimisers = {**method.optimisers, **shared}
            yield f"{objective}-{name}", replace(method, synthetic=part, optimisers=optimisers)


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
    "kernels": Study(
        "mnist",
        KERNELS,
        (1, 10, 50),
        seeds=2,
        options={"time_budget": 300.0, "protocol": "paper", "models": ["ridge-ntk", "convnet3"]},
    ),
    "spurious": Study(
        "coloured-mnist",
        tuple(spurious()),
        (10, 50),
        seeds=2,
        options={"time_budget": 300.0, "protocol": "paper", "models": ["convnet3"]},
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
