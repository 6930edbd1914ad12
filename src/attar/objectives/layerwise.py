"""Match class means layer by layer, and let the synthetic ones tell real rows apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from attar.distances import MeanDistance, class_means
from attar.surrogates import Weights
from attar.training import passes
from attar.types import Problem, Task
from attar.views import View

__all__ = ["LayerwiseMatch"]


@dataclass(frozen=True)
class LayerwiseMatch:
    """``sum_l w_l sum_c | mean f_l(real_c) - mean f_l(synthetic_c) |^2 + d sum_i CE( f_L(real_i) M^T, y_i )``

    f_l are the outputs of a network's blocks, M ``(classes, d)`` the class means of the synthetic rows' last features:
    real rows shall be classified rightly by the nearest of them, by inner product.

    The real side passes in chunks of which class sums and last features are kept, so its memory does not grow with the
    maps of the lower layers.

    Args:
        distance: the first sum, with its weights of layers.
        discrimination: d.

    Reference:
        Wang et al.: CAFE: Learning to Condense Dataset by Aligning Features, CVPR 2022.
    """

    distance: MeanDistance = MeanDistance()
    discrimination: float = 0.01

    reads: ClassVar[tuple[type, ...]] = (Weights,)

    def init(self, problem: Problem, generator: torch.Generator) -> dict[str, Any]:
        return {}

    def loss(
        self, task: Task, surrogate: Weights, synthetic: View, real: View, state: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        model, params, classes = surrogate.model, surrogate.params, len(task.groups)
        rows, drawn = real.draw(), synthetic.draw()
        share, targets = passes.shares(task, rows), passes.shares(task, drawn)
        embedded, *sums = passes.features(task, model, params, rows, "all", _last_and_sums, share)
        means = [layer / share.sum(0).clamp_min(1e-12)[:, None] for layer in sums]
        outputs = passes.features_of(task, model, params, drawn, "all")
        each = torch.arange(classes, device=rows.x.device)
        aligned = self.distance(means, each, outputs, targets, classes)
        logits = embedded @ class_means(outputs[-1], targets, classes).T
        told_apart = -(share * F.log_softmax(logits, 1)).sum()
        info = {"alignment": aligned.detach(), "discrimination": told_apart.detach()}
        return aligned + self.discrimination * told_apart, info, state


def _last_and_sums(features: list[Tensor], share: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The last features ``(n, d)``, and class sums ``(classes, d)`` of each layer."""
    return [features[-1].flatten(1)], [share.T @ layer.flatten(1) for layer in features]
