"""Choosing among many rows takes no matrix of all pairs."""

import pytest
import torch

from attar.memory import Meter
from attar.selection.clusters import medoids
from attar.selection.geometry import herding, k_center
from attar.selection.submodular import facility_location, graph_cut

ROWS = 20_000


def _kmeans(x, count):
    return medoids(x, count, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rule", [k_center, herding, facility_location, graph_cut, _kmeans])
def test_memory_stays_below_all_pairs_of_rows(rule):
    x = torch.randn((ROWS, 8), generator=torch.Generator().manual_seed(0))
    rule(x[:100], 10)  # what it imports is no memory of the choice
    meter = Meter()
    assert len(rule(x, 10).rows) == 10
    peak = meter.peak()
    if peak is None:
        pytest.skip("the system does not tell the memory of a piece of work")
    assert peak < ROWS * ROWS * 4 / 2  # 66 MB and less by themselves, 330 in a process that keeps freed memory
