"""What all tests share."""

import inspect
import os
from pathlib import Path

import pytest
import torch

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
if "ATTAR_DATA" not in os.environ and _SHARED.is_dir():
    os.environ["ATTAR_DATA"] = str(_SHARED)

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real datasets, where there is one."""
    if "ATTAR_DATA" not in os.environ:
        pytest.skip("needs real data: set ATTAR_DATA")
    return Path(os.environ["ATTAR_DATA"])


@pytest.fixture(scope="session")
def toy():
    """A small learnable image problem: 3 classes, 8 x 8."""
    from attar.data import toy

    return toy.images()


@pytest.fixture(scope="session")
def toy_experts(toy, tmp_path_factory):
    """Two experts on the toy problem, which end with nearly all of its rows right."""
    from attar.experts import Course, record
    from attar.plan import Plan

    course = Course("convnet2-16", epochs=6, lr=0.05, batch=16)
    return record(toy, course, 2, out=tmp_path_factory.mktemp("experts") / "toy", plan=Plan(threads=1))


@pytest.fixture(scope="session")
def made(request):
    """A published method by its name, with the toy's experts where it cannot be made without any."""
    from attar.methods import find

    def of(name, **settings):
        make = find(name)
        if "experts" in inspect.signature(make).parameters:
            settings["experts"] = request.getfixturevalue("toy_experts")
        return make(**settings)

    return of


@pytest.fixture(scope="session")
def train_rows():
    """Which training rows a coreset holds ``(n,)``, by what its table calls them."""

    def of(value, problem):
        places = {origin: row for row, origin in enumerate(problem.origins or range(len(problem.train)))}
        return torch.tensor([places[record["row"]] for record in value.selected])

    return of
