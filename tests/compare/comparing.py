"""What the tests of comparisons share: a tiny protocol, methods that are soft or broken, and short ways to compare."""

import json
from dataclasses import dataclass, replace

import torch

from attar import methods, rng
from attar.compare import compare
from attar.distilled import Distilled
from attar.evaluation import Protocol
from attar.types import AttarError

TINY = Protocol("tiny", models=("mlp-8",), runs=1, epochs=14, plain_epochs=10, updates=15, full_updates=20, lr=0.05)
DM = methods.dm("convnet1-4", batch=8)


@dataclass(frozen=True)
class Soft:
    """Random rows with labels of 0.8 for their class."""

    name: str = "soft"
    kind: str = "soft"

    def finish(self, problem, budget, generator):
        value = methods.random().finish(problem, budget, generator)
        classes = len(problem.spec.class_names)
        y = torch.full((len(value), classes), 0.2 / (classes - 1))
        y[torch.arange(len(value)), value.data.y] = 0.8
        training = replace(value.training, labels=self.kind, step_size=0.1)
        return Distilled(value.data.replace(y=y, weight=None), training)


@dataclass(frozen=True)
class Broken:
    """Fails at one budget until a file is there."""

    mended: str
    name: str = "broken"
    error: type = AttarError

    def finish(self, problem, budget, generator):
        import pathlib

        if budget.per_class == 2 and not pathlib.Path(self.mended).exists():
            raise self.error("it does\nnot work")
        return methods.random().finish(problem, budget, rng.generator(7, "broken"))


def compare_small(problem, out, named=("kmeans",), per_class=(1,), seeds=2, **options):
    return compare(problem, named, per_class, seeds=seeds, out=out, **{"protocol": TINY, "workers": 1, **options})


def without_costs(out):
    record = json.loads((out / "comparison.json").read_text())
    for row in record["rows"]:
        del row["seconds"], row["memory"]
    return record


def row_of(found, method, per_class, labels="hard", labels_from=None):
    key = (method, per_class, labels, labels_from)
    [row] = [row for row in found.rows if (row.method, row.per_class, row.labels, row.labels_from) == key]
    return row
