"""Memory that work takes beyond what was there before it."""

import sys

import pytest
import torch

import attar
from attar.memory import Meter, resident

MB = 2**20

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forgets a peak")


def test_the_peak_counts_what_was_freed_again_and_not_what_was_there_before():
    before = torch.ones(64 * MB // 4)
    meter = Meter()
    passing = torch.ones(128 * MB // 4)
    del passing
    held = torch.ones(32 * MB // 4)
    assert 120 * MB < meter.peak() < 150 * MB
    again = Meter()
    assert again.peak() < 16 * MB
    assert len(before) == 2 * len(held)


def test_a_job_tells_the_memory_of_its_own(toy):
    result = attar.distill(attar.methods.random(), toy, attar.Budget(per_class=1))
    assert 0 <= result.stats.own_memory < result.stats.memory


def test_the_peak_of_the_process_is_remembered():
    passing = torch.ones(256 * MB // 4)
    del passing
    before = resident()
    Meter()
    assert resident() >= before
