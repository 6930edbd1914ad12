"""Choosing rows by the gradients that they give a classifier's last layer: CRAIG and GLISTER.

The gradient of the cross-entropy of row i by a last layer of weights and bias ``(c, e + 1)`` is ``a_i (x) f_i``: the outer
product of the softmax residual ``a_i = softmax(z_i) - onehot(y_i)`` and the feature with a one behind it. It is never laid
out: ``<a (x) f, b (x) g> = <a, b> <f, g>``, so n rows take n (c + e + 1) numbers and not n c (e + 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from attar import rng
from attar.selection.picked import ASKED_FOR, Picked
from attar.selection.rows import Rows, asked_for, main_directions, represented
from attar.selection.submodular import cover_greedily, estimated
from attar.types import AttarError

__all__ = ["LastLayer", "craig", "glister", "last_layer_gradients", "validation_gradient"]


class LastLayer:
    """Gradients ``(n, c, e)`` held as their factors.

    Args:
        residuals: ``(n, c)``.
        features: ``(n, e)``, with the one of a bias where there is one.
    """

    def __init__(self, residuals: Tensor, features: Tensor):
        self.residuals, self.features = residuals, features
        self.norms = residuals.square().sum(1) * features.square().sum(1)

    def __len__(self) -> int:
        return len(self.residuals)

    def dense(self) -> Tensor:
        """All gradients laid out ``(n, c * e)``, for small ones and for tests."""
        return (self.residuals[:, :, None] * self.features[:, None, :]).flatten(1)

    def along(self, direction: Tensor) -> Tensor:
        """Inner products ``(n,)`` with one gradient ``(c, e)``."""
        return ((self.features @ direction.T) * self.residuals).sum(1)

    def total(self) -> Tensor:
        """The sum of all gradients ``(c, e)``."""
        return self.residuals.T @ self.features

    def take(self, ids: Tensor | slice) -> Self:
        part = object.__new__(type(self))
        part.residuals, part.features, part.norms = self.residuals[ids], self.features[ids], self.norms[ids]
        return part

    def products(self, others: Self) -> Tensor:
        return (self.features @ others.features.T).mul_(self.residuals @ others.residuals.T)

    def total_products(self, others: Self) -> Tensor:
        return self.along(others.total()).double()

    def apart(self, others: Self) -> Tensor:
        # a (x) f - b (x) g = (a - b) (x) f + b (x) (f - g)
        a, f, b, g = (part.double() for part in (self.residuals, self.features, others.residuals, others.features))
        left, right = a - b, f - g
        cross = (left * b).sum(1) * (f * right).sum(1)
        found = left.square().sum(1) * f.square().sum(1) + b.square().sum(1) * right.square().sum(1) + 2 * cross
        return found.clamp_(min=0)

    def sketch(self, width: int, generator: torch.Generator) -> Self:
        part = self.take(slice(None))
        if self.features.shape[1] > width:
            part.features = self.features @ main_directions(self.features, width, generator)
        return part


def last_layer_gradients(logits: Tensor, y: Tensor, features: Tensor, *, bias: bool = True) -> LastLayer:
    """The gradient of each row's cross-entropy by the weights and bias of the last layer, as factors.

    Args:
        logits: ``(n, c)``.
        y: class ids ``(n,)`` or probabilities ``(n, c)``.
        features: what the last layer reads ``(n, e)``.
        bias: whether it has a bias.

    Raises:
        AttarError: on shapes that do not fit, class ids that the logits do not have, or values that are not finite.
    """
    n, classes = logits.shape if logits.ndim == 2 else (len(logits), 0)
    if not classes or not n or features.ndim != 2 or len(features) != n or y.shape not in {(n,), (n, classes)}:
        raise AttarError(
            f"Logits (n, c), labels (n,) or (n, c) and features (n, e) are needed, and these are {tuple(logits.shape)}, "
            f"{tuple(y.shape)} and {tuple(features.shape)}: take all three from the same rows."
        )
    if y.ndim == 1 and not bool(((y >= 0) & (y < classes)).all()):
        raise AttarError(f"Class ids run from {int(y.min())} to {int(y.max())} and the logits have {classes} classes.")
    if not bool(logits.isfinite().all() and features.isfinite().all() and y.isfinite().all()):
        raise AttarError(
            "Logits, labels or features hold values that are not finite (NaN or infinite): look at the network."
        )
    logits, features = logits.detach(), features.detach()
    wide = logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
    target = F.one_hot(y, classes) if y.ndim == 1 else y.detach()
    seen = features.to(wide.dtype)
    return LastLayer(wide.softmax(1) - target.to(wide.dtype), F.pad(seen, (0, 1), value=1.0) if bias else seen)


def craig(
    gradients: Tensor | LastLayer,
    count: int,
    *,
    fixed: Tensor | None = None,
    greedy: str = "stochastic",
    generator: torch.Generator | None = None,
    sample: int | None = None,
) -> Picked:
    """Rows whose gradients, each weighted by the rows that it stands for, sum nearly to the gradient of all.

    Greedy facility location with similarity ``M - |g_i - g_j|``, since ``sum_i min_{j in S} |g_i - g_j|`` bounds the error of
    the weighted sum. `Picked.represents` are the weights. The paper chooses within each class.

    Args:
        gradients: ``(n, d)``, or `last_layer_gradients`.
        count: rows to choose.
        fixed: ids that are chosen first, in this order.
        greedy: "exact" or "stochastic", as in `facility_location`; equal up to 8,192 rows.
        generator: draws the sample of the stochastic search; None draws the same one each time.
        sample: rows that the stochastic search covers, as in `facility_location`.

    Returns:
        The choice. Scores are gains in ``sum_i M - min_{j in S} |g_i - g_j|``.

    Raises:
        AttarError: on values that are not finite, a count above the rows, or `fixed` ids that repeat or do not exist.

    Reference:
        Mirzasoleiman, Bilmes and Leskovec, "Coresets for data-efficient training of machine learning models", ICML 2020,
        algorithm 1.
    """
    if greedy not in ("exact", "stochastic"):
        raise AttarError(f"There is no greedy search '{greedy}': give exact or stochastic.")
    rows = Rows(gradients) if isinstance(gradients, Tensor) else gradients
    must = asked_for(fixed, count, len(rows))
    screen = estimated(rows, count, generator or rng.generator(0, "craig"), sample) if greedy == "stochastic" else None
    chosen, gains = cover_greedily(rows, count, must, squared=False, screen=screen)
    weights = represented(rows, chosen)
    reasons = [ASKED_FOR] * len(must) + [
        f"its gradient stands for {'that of 1 row' if int(part) == 1 else f'those of {int(part)} rows'}"
        for part in weights[len(must) :]
    ]
    return Picked(chosen.cpu(), gains, weights, tuple(reasons))


def validation_gradient(
    logits: Tensor, y: Tensor, features: Tensor, *, bias: bool = True
) -> Callable[[Tensor], Tensor]:
    """What gives the gradient of the mean validation loss by the last layer, at a change of that layer.

    The loss of the last layer alone is known in closed form, so this is exact: the logits move by ``features @ change.T``.

    Args:
        logits: of the validation rows ``(m, c)``.
        y: class ids ``(m,)`` or probabilities ``(m, c)``.
        features: ``(m, e)``.
        bias: whether the layer has one.

    Returns:
        A function from a change of the weights ``(c, e + 1)`` to the gradient there ``(c, e + 1)``.

    Raises:
        AttarError: as `last_layer_gradients`.
    """
    start = last_layer_gradients(logits, y, features, bias=bias)

    def at(change: Tensor) -> Tensor:
        moved = logits.detach() + start.features @ change.to(start.features.dtype).T
        return last_layer_gradients(moved, y, features, bias=bias).total() / len(start)

    return at


def glister(
    gradients: Tensor | LastLayer,
    count: int,
    validation: Tensor | Callable[[Tensor], Tensor],
    *,
    step_size: float = 0.1,
    fixed: Tensor | None = None,
) -> Picked:
    """Rows whose training steps lower the validation loss most, greedily, to first order.

    Training on row i moves the weights by ``-step_size g_i``, which lowers the validation loss by about
    ``step_size <g_i, v>`` with v its gradient. The best row is taken, the weights move, and v is computed anew.

    Args:
        gradients: ``(n, d)``, or `last_layer_gradients`.
        count: rows to choose.
        validation: what gives the validation gradient at a change of the weights (`validation_gradient`), in the shape of one
            row's gradient. Or that gradient itself, which then never changes: the rows that lie most along it.
        step_size: of the training steps.
        fixed: ids that are chosen first, in this order.

    Returns:
        The choice. Scores are first-order gains in the validation loss; each represents n / count rows.

    Raises:
        AttarError: on values that are not finite, a validation gradient of another shape, a step size that is not above 0, a
            count above the rows, or `fixed` ids that repeat or do not exist.

    Reference:
        Killamsetty et al., "GLISTER: generalization based data subset selection for efficient and robust learning", AAAI 2021,
        equation 6 and algorithm 2.
    """
    if not 0 < step_size < float("inf"):
        raise AttarError(f"The step size of glister is {step_size}: give a finite number above 0.")
    if isinstance(gradients, Tensor):
        Rows(gradients)  # refuses what is no finite matrix
        layer, shape = LastLayer(gradients.new_ones((len(gradients), 1)), gradients), gradients.shape[1:]
    else:
        layer, shape = gradients, gradients.take(slice(0, 1)).total().shape
    must = asked_for(fixed, count, len(layer))
    change = torch.zeros_like(layer.take(slice(0, 1)).total())
    free = torch.zeros_like(layer.norms)
    chosen: list[int] = []
    scores: list[float] = []
    for step in range(count):
        slope = validation if isinstance(validation, Tensor) else validation(change.reshape(shape))
        if slope.shape != shape or not bool(slope.isfinite().all()):
            raise AttarError(
                f"The validation gradient is {tuple(slope.shape)} and a row's {tuple(shape)}, or it is not finite: "
                "take both from the same layer, and lower the step size if the weights exploded."
            )
        gains = layer.along(slope.to(change).reshape(change.shape)) * step_size
        best = must[step] if step < len(must) else int((gains + free).argmax())
        change -= step_size * layer.take(slice(best, best + 1)).total()
        free[best] = -torch.inf
        chosen.append(best)
        scores.append(float(gains[best]))
    reasons = [ASKED_FOR] * len(must) + [
        f"most along the validation gradient, after those before it: gain {gain:.3g}" for gain in scores[len(must) :]
    ]
    each = torch.full((count,), len(layer) / count, dtype=torch.float64)
    return Picked(torch.tensor(chosen), torch.tensor(scores), each, tuple(reasons))
