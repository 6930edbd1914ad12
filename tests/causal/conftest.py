"""Tables that several tests of causal structure read."""

import numpy as np
import pytest
import torch

from attar.tables import Column, Table


def _numbers(x, names=None, **fields):
    """A table of continuous columns."""
    x = torch.as_tensor(np.asarray(x), dtype=torch.float64)
    names = names or [f"x{place}" for place in range(x.shape[1])]
    return Table(x, tuple(map(Column, names)), **fields)


def _categories(codes, levels=None, names=None, **fields):
    """A table of categorical columns."""
    codes = torch.as_tensor(np.asarray(codes), dtype=torch.float64)
    levels = levels or (codes.amax(dim=0) + 1).int().tolist()
    names = names or [f"x{place}" for place in range(codes.shape[1])]
    columns = [
        Column(name, "categorical", tuple(map(str, range(count)))) for name, count in zip(names, levels, strict=True)
    ]
    return Table(codes, tuple(columns), **fields)


def _counted(table):
    """Its distinct rows, each with how often it is there, standing for all."""
    rows, count = table.values.unique(dim=0, return_counts=True)
    return table.replace(values=rows, weight=count.double(), n_represented=float(len(table)))


@pytest.fixture(scope="session")
def numbers():
    return _numbers


@pytest.fixture(scope="session")
def categories():
    return _categories


@pytest.fixture(scope="session")
def counted():
    return _counted


@pytest.fixture(scope="session")
def gaussian():
    """600 rows of a chain 0 -> 1 -> 2 and a collider 2 -> 4 <- 3, linear with Gaussian noise."""
    rng = np.random.default_rng(3)
    e = rng.normal(size=(600, 5))
    e[:, 1] += 0.8 * e[:, 0]
    e[:, 2] += 0.8 * e[:, 1]
    e[:, 4] += 0.7 * e[:, 2] + 0.7 * e[:, 3]
    return _numbers(e + np.array([0, 5, -2, 100, 1]))


@pytest.fixture(scope="session")
def discrete():
    """500 rows of four columns with 3, 2, 4 and 2 categories that depend on one another, with strata that are empty."""
    rng = np.random.default_rng(5)
    a = rng.choice(3, size=500, p=[0.6, 0.3, 0.1])
    b = (rng.random(500) < 0.2 + 0.25 * a).astype(int)
    c = np.minimum(a + rng.choice(2, size=500, p=[0.7, 0.3]) * (1 + b), 3)
    d = (rng.random(500) < 0.3 + 0.4 * (b == 1)).astype(int)
    return _categories(np.stack([a, b, c, d], axis=1))
