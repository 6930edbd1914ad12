"""Plans."""

import pytest
import torch

from attar.errors import AttarError
from attar.plan import Plan, keep_freed_memory


def test_the_plain_plan_is_fp32_and_not_compiled():
    plan = Plan.on("cpu")
    assert (plan.device, plan.precision, plan.compiled) == ("cpu", "fp32", False)
    assert plan.threads == torch.get_num_threads()


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Plan.on("auto").device == "cuda"
    assert Plan.on("cuda:1").chunk is None
    with pytest.raises(AttarError, match="no 'cuda:2' here"):
        Plan.on("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "tpu:0", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(AttarError, match="Unknown device"):
        Plan.on(name)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AttarError, match="use --device cpu"):
        Plan.on("cuda")


def test_without_a_compiler_the_fast_plan_is_the_plain_one(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert Plan.fast("cpu") == Plan.on("cpu")
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    assert Plan.fast("cpu").compiled


def test_keeping_freed_memory_is_harmless():
    keep_freed_memory()
    assert torch.zeros(1000, 1000).sum() == 0
