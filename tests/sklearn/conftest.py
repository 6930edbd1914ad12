"""The table that tests of samplers share."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def data():
    """60, 30 and 8 rows of three classes, of columns in different units."""
    draws = np.random.default_rng(0)
    y = np.repeat(["ant", "bee", "cow"], [60, 30, 8])
    X = draws.normal(size=(98, 3)) + (y[:, None] == "bee") + 3 * (y[:, None] == "cow")
    order = draws.permutation(98)
    return X[order] * [1, 100, 0.01], y[order]
