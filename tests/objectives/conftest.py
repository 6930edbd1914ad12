"""What the tests of objectives share."""

import pytest
import torch

from attar import rng
from attar.batches import Images
from attar.plan import Plan
from attar.surrogates import Weights
from attar.tasks import ImageClassification

CLASSES = 3


@pytest.fixture(scope="module")
def scene():
    """A float64 problem with uneven classes on both sides, a tiny network, and both views' rows."""
    task = ImageClassification((1, 8, 8), CLASSES, Plan(chunk=4))
    source = torch.Generator().manual_seed(0)
    model = task.build("convnet2-4").double().requires_grad_(False)
    with rng.seeded(1):
        params = {name: value.detach() for name, value in task.build("convnet2-4").double().named_parameters()}
    real = Images(
        torch.randn(14, 1, 8, 8, generator=source, dtype=torch.float64), torch.tensor([0] * 9 + [1] * 4 + [2])
    )
    synthetic = Images(torch.randn(5, 1, 8, 8, generator=source, dtype=torch.float64), torch.tensor([0, 0, 1, 2, 2]))
    return task, Weights(model, params), synthetic, real
