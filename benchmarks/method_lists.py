"""The methods that the studies compare, each with the settings that its page says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import attar
from attar import methods
from attar.experts import Course, Flat, Staged
from attar.matching import Matching
from attar.method import Method, Start
from attar.selection import AttributeUse
from attar.synthetic import Bases, Codes, Memory, MultiFormation, Pixels
from attar.training import Adam, Decay


def falling(method: Matching, decay: Decay | None) -> Matching:
    """The same method with step sizes that fall."""
    return replace(method, optimisers={name: replace(each, decay=decay) for name, each in method.optimisers.items()})


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
    ("kip-falling", falling(methods.kip(labels="learned"), Decay(0.5, every=400))),
    ("rfad", methods.rfad("convnet3-64-none", networks=2, batch=1024, lr=0.01)),
    ("frepo", methods.frepo("convnet3-32", lr=0.003, lr_model=1e-3)),
    ("frepo-64", methods.frepo("convnet3-64", lr=0.003, lr_model=1e-3)),
)

# What `kip` with learned labels is worth at 50 a class: how its step size falls, and how many real rows a step sees.
KIP: Sequence[tuple[str, Method]] = tuple(
    (name, falling(methods.kip(labels="learned", lr=lr, batch=batch), decay))
    for name, lr, batch, decay in (
        ("kip-constant", 0.04, 5000, None),
        ("kip-falling", 0.04, 5000, Decay(0.5, every=250)),
        ("kip-falling-slow", 0.01, 5000, Decay(0.5, every=400)),
        ("kip-falling-1000-rows", 0.04, 1000, Decay(0.5, every=1000)),
    )
)

# Beside it, with real rows that are changed a little: for longer, as these are learned more slowly.
KIP_AUGMENTED: Sequence[tuple[str, Method]] = (
    (
        "kip-augmented",
        falling(methods.kip(labels="learned", augmentation="crop_scale_rotate"), Decay(0.5, every=500)),
    ),
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


def experts(out: Path, kind: str, data: str = "mnist", count: int = 5) -> str:
    """The folder of experts on the data without its validation rows, recorded where they are not there yet."""
    problem = attar.data.load(data, validation=0.1, zca=data == "cifar10")
    return attar.experts.record(problem, COURSES[kind], count, out=out / f"{data}-experts-{kind}").path


def trajectories(
    out: Path, data: str = "mnist", count: int = 5, kinds: Sequence[str] = tuple(COURSES)
) -> Sequence[tuple[str, Method]]:
    """Those that experts of these kinds allow. Few epochs: networks learn MNIST in five. The experts' seconds come on top of the
    time budget and are in the table; "trajectory-beside" with a larger `--time-budget` gives `dm` and `dsa` as many."""
    settings: dict[str, Any] = {"inner_steps": 50, "span": 1, "start_before": 3, "step_size": 0.02, "batch": 25}
    rising: dict[str, Any] = {"early_before": 2, "rising": 50, "lr_labels": 2.0}
    found = {kind: experts(out, kind, data, count) for kind in kinds}
    makers: Mapping[str, tuple[str, Callable[[str], Method]]] = {
        "mtt": ("plain", lambda path: methods.mtt(path, **settings)),
        "tesla": ("plain", lambda path: methods.tesla(path, **settings)),
        # the mean of rows is published for thousands of steps
        "ftd": ("flat", lambda path: methods.ftd(path, average=0.95, **settings)),
        "datm": ("flat", lambda path: methods.datm(path, **settings, **rising)),
        "pad": ("staged", lambda path: methods.pad(path, **settings, **rising)),
    }
    made = ((name, make(found[kind])) for name, (kind, make) in makers.items() if kind in found)
    return (*BESIDE, *made)


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


def trajectory_batches(out: Path) -> Sequence[tuple[str, Method]]:
    """Of `mtt` at 10 images a class: how many of the rows each of its student's updates sees, and their step size."""
    found = experts(out, "plain")
    settings: dict[str, Any] = {"inner_steps": 50, "span": 1, "start_before": 3, "step_size": 0.02}
    return tuple(
        (f"mtt-batch-{batch}-lr-{lr}", methods.mtt(found, batch=batch, lr=lr, **settings))
        for batch, lr in ((10, 100), (25, 100), (100, 100), (10, 1000), (10, 3000))
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


# At 50 rows a class each has a fifth of the gradient that it has at 10, for which the step size above is.
SPURIOUS_LONGER = tuple(
    (f"dm{'-' if attribute else ''}{attribute}-lr-50", methods.dm(NARROW, batch=64, lr=50, attribute=attribute))
    for attribute in ("", "balanced")
)

# What is born with a person, family, schooling, work and what it brings, each a cause of all that come later: as in Chiappa,
# Path-specific counterfactual fairness, AAAI 2019, with the columns that she leaves out beside those they are like. Of 30,000 rows
# tests find nearly every two columns of Adult dependent, given any one other or two, so that no graph is discovered.
_ADULT = (
    ("age", "sex", "race", "native-country"),
    ("marital-status", "relationship"),
    ("education-num",),
    ("workclass", "occupation", "hours-per-week", "capital-gain", "capital-loss"),
    ("Y",),
)
ADULT_GRAPH = tuple(
    f"{cause}->{effect}"
    for cause_at, effect_at in combinations(_ADULT, 2)
    for cause in cause_at
    for effect in effect_at
)

# Real rows, centres and made rows, with weights where they have any.
TABLES: Sequence[str | tuple[str, Mapping[str, Any]]] = (
    "kmeans",
    ("kmeans", {"weighted": True}),
    ("kmeans", {"centres": "medoids", "weighted": True}),
    "agglomerative",
    ("agglomerative", {"weighted": True}),
    ("facility_location", {"weighted": True}),
    "herding",
    "dm",
    "kip",
    ("causal-prediction", methods.causal(weight=0.0, graph=ADULT_GRAPH)),
    ("causal", methods.causal(graph=ADULT_GRAPH)),
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
