"""Kernels in blocks, and the system of kernel ridge regression."""

import pytest
import torch

from attar.distances import FullyConnected, blocks, ridge
from attar.types import AttarError


def _normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class _Watched:
    """A kernel that remembers the blocks that it was asked for, and whether it could be differentiated."""

    def __init__(self):
        self.asked = []

    def __call__(self, a, b):
        self.asked.append((len(a), len(b), torch.is_grad_enabled()))
        return FullyConnected()(a, b)


@pytest.mark.parametrize(("rows", "columns"), [(3, None), (3, 2), (100, 2), (1, 1)])
def test_blocks_are_the_whole(rows, columns):
    a, b = _normal(7, 2, 3), _normal(5, 2, 3, seed=1)
    torch.testing.assert_close(blocks(FullyConnected(), a, b, rows, columns), FullyConnected()(a, b))


def test_blocks_are_no_larger_than_asked_and_keep_no_graph():
    kernel = _Watched()
    assert not blocks(kernel, _normal(7, 3), _normal(5, 3), 3, 4).requires_grad
    assert kernel.asked == [(n, m, False) for n in (3, 3, 1) for m in (4, 1)]


@pytest.mark.parametrize("learned", [(True, False), (False, True), (True, True)])
def test_blocks_have_the_gradient_of_the_whole_and_are_computed_again_for_it(learned):
    sides = [_normal(7, 3).requires_grad_(learned[0]), _normal(5, 3, seed=1).requires_grad_(learned[1])]
    asked = [side for side in sides if side.requires_grad]
    kernel, weights = _Watched(), _normal(7, 5, seed=2)
    found = torch.autograd.grad((blocks(kernel, *sides, 3) * weights).sum(), asked)
    wanted = torch.autograd.grad((FullyConnected()(*sides) * weights).sum(), asked)
    torch.testing.assert_close(found, wanted)
    assert len(kernel.asked) == 6


def test_kernels_of_no_rows_are_empty():
    assert blocks(FullyConnected(), _normal(0, 3), _normal(5, 3), 2).shape == (0, 5)
    assert blocks(FullyConnected(), _normal(5, 3), _normal(0, 3), 2).shape == (5, 0)


def test_blocks_of_nothing_are_refused():
    with pytest.raises(AttarError, match="Blocks of 0"):
        blocks(FullyConnected(), _normal(2, 3), _normal(2, 3), 0)


def test_ridge_solves_its_system():
    x, y = _normal(6, 4), _normal(6, 3, seed=1)
    kernel = FullyConnected()(x, x)
    system = kernel + 0.1 * kernel.trace() / 6 * torch.eye(6, dtype=torch.float64)
    torch.testing.assert_close(system @ ridge(kernel, y, 0.1), y)


def test_gradients_of_ridge():
    def of(x, y):
        return ridge(FullyConnected(2)(x, x), y, 1e-3)

    assert torch.autograd.gradcheck(of, [_normal(4, 3).requires_grad_(), _normal(4, 2, seed=1).requires_grad_()])


def test_ridge_runs_without_numbers():
    kernel = torch.ones(4, 4, device="meta", requires_grad=True)
    assert ridge(kernel, torch.ones(4, 2, device="meta"), 1e-6).shape == (4, 2)


def test_singular_kernels_say_what_to_raise():
    twice = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
    y = torch.ones(2, 1)
    with pytest.raises(AttarError, match=r"2 rows is singular with a jitter of 0,.*to 1e-06.*or compute .* in float64"):
        ridge(twice, y, 0.0)
    with pytest.raises(AttarError, match=r"singular with a jitter of 1e-09,.*to 1e-06 for instance.*float64"):
        ridge(twice, y, 1e-9)
    assert torch.isfinite(ridge(twice, y, 1e-6)).all()
    with pytest.raises(AttarError, match=r"raise the jitter, to 1e-06 for instance\.$"):
        ridge(-twice.double(), y.double(), 0.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0)])
def test_kernels_that_are_not_finite_say_so(value, place):
    kernel = torch.eye(2)
    kernel[place] = value
    with pytest.raises(AttarError, match="not finite"):
        ridge(kernel, torch.ones(2, 1), 1e-6)


def test_wrong_systems_are_refused():
    with pytest.raises(AttarError, match="jitter of -1"):
        ridge(torch.eye(2), torch.ones(2, 1), -1.0)
    with pytest.raises(AttarError, match=r"got \(2, 2\) and \(3, 1\)"):
        ridge(torch.eye(2), torch.ones(3, 1), 1e-6)
