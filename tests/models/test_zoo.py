"""Networks of timm."""

import importlib
import importlib.util
import types

import pytest
import torch

from attar import models, rng
from attar.models import zoo
from attar.types import AttarError

if importlib.util.find_spec("timm") is None:
    pytest.skip("needs the extra zoo", allow_module_level=True)


@pytest.mark.parametrize(
    ("name", "shape", "embedding", "independent"),
    [
        ("timm:resnet10t", (3, 32, 32), 512, False),
        ("timm/mobilenetv3_small_050", (1, 28, 28), 1024, False),
        ("timm:vit_tiny_patch16_224", (3, 32, 32), 192, True),
    ],
)
def test_a_network_of_timm_gives_logits_and_its_embedding(name, shape, embedding, independent):
    with rng.seeded(0):
        model = models.build(name, shape, 7)
    x = torch.randn(4, *shape, generator=rng.generator(0))
    features = model(x, features=True)
    assert features[-1].shape == (4, embedding)
    model.eval()
    assert torch.equal(model(x), model.head(model(x, features=True)[-1]))
    assert models.rows_are_independent(model) is independent
    model.train()
    model(x).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_building_moves_no_running_statistics():
    with rng.seeded(0):
        model = models.build("timm:resnet10t", (3, 32, 32), 7)
    means = [b for name, b in model.named_buffers() if name.endswith("running_mean")]
    assert means
    assert all((mean == 0).all() for mean in means)
    assert model.training
    assert all(module.training for module in model.modules())


def test_an_unknown_network_gets_near_names():
    with pytest.raises(AttarError, match=r"no network named 'resnet10': did you mean .*resnet10t"):
        models.build("timm:resnet10", (3, 32, 32), 7)


def test_images_too_small_for_a_patch_are_refused():
    with pytest.raises(AttarError, match=r"vit_tiny_patch16_224 does not take images of shape \(1, 8, 8\)"):
        models.build("timm:vit_tiny_patch16_224", (1, 8, 8), 7)


def test_a_matching_torchvision_is_left_alone(monkeypatch):
    before = list(zoo._declared)
    monkeypatch.setattr(importlib, "import_module", types.ModuleType)
    assert zoo._import_timm().__name__ == "timm"
    assert zoo._declared == before


def test_without_timm_the_error_names_the_extra(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(AttarError, match=r"No module named 'timm'.*pip install 'attar\[zoo\]'"):
        models.build("timm:resnet10t", (3, 32, 32), 7)
