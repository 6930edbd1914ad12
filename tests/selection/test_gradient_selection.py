"""CRAIG and GLISTER beside brute force, and the factored gradients beside autograd."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attar.selection.gradients import craig, glister, last_layer_gradients, validation_gradient
from attar.selection.rows import squared_distances
from attar.types import AttarError


@pytest.fixture
def layer():
    """A last layer, features and labels of 60 rows, the last 20 for validation."""
    source = torch.Generator().manual_seed(0)
    features = torch.randn((60, 5), generator=source)
    y = torch.randint(3, (60,), generator=source)
    weight, bias = torch.randn((3, 5), generator=source), torch.randn(3, generator=source)
    return weight, bias, features, y


def _gradients(layer, **options):
    weight, bias, features, y = layer
    return last_layer_gradients(features @ weight.T + bias, y, features, **options)


def test_the_factors_are_the_gradient_of_autograd(layer):
    weight, bias, features, y = layer
    linear = nn.Linear(5, 3)
    linear.weight.data, linear.bias.data = weight, bias
    wanted = []
    for row in range(60):
        loss = F.cross_entropy(linear(features[row : row + 1]), y[row : row + 1])
        by_weight, by_bias = torch.autograd.grad(loss, (linear.weight, linear.bias))
        wanted.append(torch.cat([by_weight, by_bias[:, None]], 1).flatten())
    torch.testing.assert_close(_gradients(layer).dense(), torch.stack(wanted))
    without = torch.stack(wanted).reshape(60, 3, 6)[:, :, :5].flatten(1)
    torch.testing.assert_close(_gradients(layer, bias=False).dense(), without)


def test_probabilities_are_labels_too(layer):
    weight, bias, features, y = layer
    soft = last_layer_gradients(features @ weight.T + bias, F.one_hot(y, 3).float(), features)
    torch.testing.assert_close(soft.dense(), _gradients(layer).dense())


def test_distances_of_factors_are_those_of_the_gradients(layer):
    gradients = _gradients(layer)
    gradients.residuals[7], gradients.features[7] = gradients.residuals[8], gradients.features[8]
    dense = gradients.dense().double()
    gradients = gradients.take(slice(None))
    gradients.norms = gradients.residuals.square().sum(1) * gradients.features.square().sum(1)
    wanted = ((dense[:, None] - dense[None]) ** 2).sum(2)
    found = squared_distances(gradients, gradients)
    assert found[7, 8] == 0
    torch.testing.assert_close(found.double(), wanted, rtol=1e-3, atol=1e-9)
    apart = gradients.apart(gradients.take(torch.arange(59, -1, -1)))
    torch.testing.assert_close(apart, wanted.flip(1).diagonal(), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("factored", [True, False])
def test_craig_is_greedy_facility_location_of_distances(layer, factored):
    gradients = _gradients(layer)
    dense = gradients.dense().double().numpy()
    gaps = np.linalg.norm(dense[:, None] - dense[None], axis=2)
    chosen = []
    while len(chosen) < 12:
        left = [np.inf if i in chosen else gaps[:, [*chosen, i]].min(1).sum() for i in range(60)]
        chosen.append(int(np.argmin(left)))
    picked = craig(gradients if factored else gradients.dense(), 12)
    assert picked.rows.tolist() == chosen
    assert picked.represents.tolist() == np.bincount(gaps[:, chosen].argmin(1), minlength=12).tolist()
    assert picked.reasons[0] == f"its gradient stands for those of {int(picked.represents[0])} rows"


def test_craig_weights_make_the_sum_of_gradients(layer):
    dense = _gradients(layer).dense().double()
    picked = craig(dense, 15)
    error = (picked.represents @ dense[picked.rows] - dense.sum(0)).norm()
    bound = torch.cdist(dense, dense[picked.rows]).min(1).values.sum()
    assert error <= bound
    drawn = [
        (
            60 / 15 * dense[torch.randperm(60, generator=torch.Generator().manual_seed(seed))[:15]].sum(0)
            - dense.sum(0)
        ).norm()
        for seed in range(20)
    ]
    assert error < np.mean(drawn)


def test_craig_on_a_sample_covers_nearly_as_much():
    source = torch.Generator().manual_seed(1)
    x = torch.randn((12, 100), generator=source)[torch.randint(12, (1200,), generator=source)]
    x = 2 * x + torch.randn((1200, 100), generator=source)

    def left(rows):
        return torch.cdist(x, x[rows]).min(1).values.sum()

    exact, sampled = craig(x, 12, greedy="exact"), craig(x, 12, sample=400)
    assert sampled.rows.tolist() != exact.rows.tolist()
    assert left(sampled.rows) < 1.01 * left(exact.rows)


def _loss(weight, bias, features, y, change):
    return F.cross_entropy(features @ (weight + change[:, :5]).T + bias + change[:, 5], y)


def test_the_validation_gradient_is_exact_wherever_the_layer_is(layer):
    weight, bias, features, y = layer
    at = validation_gradient(features @ weight.T + bias, y, features)
    for seed in range(3):
        change = torch.randn((3, 6), generator=torch.Generator().manual_seed(seed), requires_grad=True)
        (wanted,) = torch.autograd.grad(_loss(weight, bias, features, y, change), change)
        torch.testing.assert_close(at(change.detach()), wanted, rtol=1e-4, atol=1e-6)


def test_glister_takes_the_row_that_lowers_the_validation_loss_most(layer):
    weight, bias, features, y = layer
    logits = features @ weight.T + bias
    own = last_layer_gradients(logits[:40], y[:40], features[:40])
    picked = glister(own, 8, validation_gradient(logits[40:], y[40:], features[40:]), step_size=1e-3)
    change, chosen = torch.zeros(3, 6, dtype=torch.float64), []
    steps = own.dense().double().reshape(40, 3, 6)
    held = [part.double() for part in (weight, bias, features[40:])]
    for score in picked.scores.tolist():  # small steps: the true loss after each candidate's step, in float64
        now = _loss(*held, y[40:], change)
        gains = [
            -np.inf if i in chosen else float(now - _loss(*held, y[40:], change - 1e-3 * steps[i])) for i in range(40)
        ]
        chosen.append(int(np.argmax(gains)))
        assert score == pytest.approx(max(gains), rel=2e-2)
        change -= 1e-3 * steps[chosen[-1]]
    assert picked.rows.tolist() == chosen
    assert (
        picked.reasons[0]
        == f"most along the validation gradient, after those before it: gain {picked.scores[0].item():.3g}"
    )


def test_glister_looks_again_after_each_step(layer):
    weight, bias, features, y = layer
    logits = features @ weight.T + bias
    own = last_layer_gradients(logits[:40], y[:40], features[:40])
    at = validation_gradient(logits[40:], y[40:], features[40:])
    still = glister(own, 10, at(torch.zeros(3, 6)), step_size=0.5)
    best = own.along(at(torch.zeros(3, 6))).argsort(descending=True)[:10]
    assert still.rows.tolist() == best.tolist()  # a gradient that never changes: the rows most along it
    moving = glister(own, 10, at, step_size=0.5)
    assert moving.rows.tolist() != still.rows.tolist()

    def after(picked):
        return _loss(weight, bias, features[40:], y[40:], -0.5 * own.take(picked.rows).total())

    assert after(moving) < after(still)


def test_glister_of_dense_gradients_is_that_of_factors(layer):
    weight, bias, features, y = layer
    at = validation_gradient(features @ weight.T + bias, y, features)
    gradients = _gradients(layer)
    laid_out = glister(gradients.dense(), 9, lambda change: at(change.reshape(3, 6)).flatten())
    assert laid_out.rows.tolist() == glister(gradients, 9, at).rows.tolist()


def test_rows_that_help_nothing_say_so():
    picked = glister(torch.tensor([[1.0], [-2.0]]), 2, torch.tensor([1.0]), step_size=1.0)
    assert [reason.rpartition(": ")[2] for reason in picked.reasons] == ["gain 1", "gain -2"]


def test_what_does_not_fit_is_refused(layer):
    weight, bias, features, y = layer
    logits = features @ weight.T + bias
    gradients = _gradients(layer)
    with pytest.raises(AttarError, match="take all three from the same rows"):
        last_layer_gradients(logits, y[:-1], features)
    with pytest.raises(AttarError, match="the logits have 3 classes"):
        last_layer_gradients(logits, y + 1, features)
    with pytest.raises(AttarError, match="not finite"):
        last_layer_gradients(logits * float("nan"), y, features)
    with pytest.raises(AttarError, match=r"\(3, 5\) and a row's \(3, 6\)"):
        glister(gradients, 3, torch.zeros(3, 5))
    with pytest.raises(AttarError, match="step size of glister is 0"):
        glister(gradients, 3, torch.zeros(3, 6), step_size=0)
    with pytest.raises(AttarError, match="61 rows were asked for and there are 60"):
        craig(gradients, 61)
