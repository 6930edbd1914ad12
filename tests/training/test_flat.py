"""Slopes that look for flat minima, by hand and by differences."""

import math

import pytest
import torch

from attar.training.flat import Flat, flat_slopes
from attar.types import AttarError

CURVATURE = torch.tensor([1.0, 4.0])


def _bowl(params):
    """``1/2 (w_1^2 + 4 w_2^2)`` of each network."""
    w = params["w"]
    return {"w": CURVATURE * w}, (CURVATURE * w.square()).sum(1) / 2


def _directions(flat, *points):
    found, losses = flat_slopes(_bowl, {"w": torch.tensor(points)}, flat)
    return found["w"], losses


def test_without_the_gap_it_is_the_gradient_at_the_worst_weights_nearby():
    found, losses = _directions(Flat(rho=5.0, alpha=0.0, adaptive=False), [3.0, 1.0])
    # the gradient is (3, 4) of norm 5, so that the worst weights are (6, 5)
    torch.testing.assert_close(found, torch.tensor([[6.0, 20.0]]))
    assert losses.tolist() == [6.5]


def test_of_the_gradient_the_part_across_that_one_is_taken_off():
    found, _ = _directions(Flat(rho=5.0, alpha=0.5, adaptive=False), [3.0, 1.0])
    # <g, g'> / |g'|^2 = 98 / 436; across = (3, 4) - 98 / 436 (6, 20) = (1.65138, -0.49541)
    torch.testing.assert_close(found, torch.tensor([[6 - 0.5 * 1.6513761, 20 + 0.5 * 0.4954128]]))
    across = found - torch.tensor([[6.0, 20.0]])
    assert abs(float((across * torch.tensor([[6.0, 20.0]])).sum())) < 1e-4


def test_adaptive_measures_in_units_of_the_weights():
    # |w g| = |(9, 4)|, so that rho = sqrt(97) makes the step w^2 g = (27, 4)
    found, _ = _directions(Flat(rho=math.sqrt(97), alpha=0.0, adaptive=True), [3.0, 1.0])
    torch.testing.assert_close(found, torch.tensor([[30.0, 20.0]]))


@pytest.mark.parametrize("adaptive", [False, True])
def test_each_network_is_on_its_own(adaptive):
    flat = Flat(rho=0.7, alpha=0.8, adaptive=adaptive)
    both, losses = _directions(flat, [3.0, 1.0], [-0.2, 5.0])
    for place, point in enumerate(([3.0, 1.0], [-0.2, 5.0])):
        alone, loss = _directions(flat, point)
        torch.testing.assert_close(both[place : place + 1], alone)
        torch.testing.assert_close(losses[place : place + 1], loss)


def test_a_network_at_rest_stays():
    found, _ = _directions(Flat(), [0.0, 0.0])
    assert found.tolist() == [[0.0, 0.0]]


def test_it_agrees_with_differences_of_a_loss_of_several_tensors():
    source = torch.Generator().manual_seed(0)
    mix = torch.randn(5, 6, generator=source, dtype=torch.float64)

    def value(w):
        return (mix @ w).tanh().square().sum()

    def slopes(params):
        w = torch.cat([params["a"].flatten(1), params["b"]], 1)[0].requires_grad_()
        loss = value(w)
        (slope,) = torch.autograd.grad(loss, w)
        return {"a": slope[None, :4].view(1, 2, 2), "b": slope[None, 4:]}, loss.detach()[None]

    w = torch.randn(6, generator=source, dtype=torch.float64)
    params = {"a": w[:4].view(1, 2, 2), "b": w[None, 4:]}
    found, _ = flat_slopes(slopes, params, Flat(rho=0.3, alpha=0.0, adaptive=False))
    here = torch.func.grad(value)(w)
    nearby = w + 0.3 * here / here.norm()
    small = 1e-6
    differences = [
        (value(nearby + small * unit) - value(nearby - small * unit)) / (2 * small)
        for unit in torch.eye(6, dtype=torch.float64)
    ]
    flat = torch.cat([found["a"].flatten(), found["b"].flatten()])
    torch.testing.assert_close(flat, torch.stack(differences), rtol=1e-6, atol=1e-8)


def test_by_default_it_is_as_published():
    assert Flat() == Flat(rho=0.01, alpha=0.3, adaptive=True)


@pytest.mark.parametrize("settings", [{"rho": 0.0}, {"rho": -1.0}, {"alpha": -0.1}, {"rho": math.inf}])
def test_what_looks_nowhere_is_refused(settings):
    with pytest.raises(AttarError, match="give"):
        Flat(**settings)
