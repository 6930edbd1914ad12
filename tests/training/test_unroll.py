"""An unrolled network's end: the two plans against each other, finite differences and a case computed by hand."""

import pytest
import torch
from torch import nn

from attar import rng
from attar.batches import Images
from attar.plan import Plan
from attar.surrogates.fresh import random_weights, skeleton
from attar.tasks import ImageClassification
from attar.training import passes
from attar.training.unroll import follow, unroll
from attar.types import AttarError

SHAPE, CLASSES = (2, 8, 8), 3


def _setting(dtype=torch.float64, chunk=None, soft=True):
    task = ImageClassification(SHAPE, CLASSES, Plan(chunk=chunk))
    source = torch.Generator().manual_seed(0)
    start = {name: value.to(dtype) for name, value in random_weights(task, "convnet2-6", rng.generator(0, "w")).items()}
    x = torch.randn(7, *SHAPE, generator=source, dtype=dtype, requires_grad=True)
    y = torch.softmax(torch.randn(7, CLASSES, generator=source, dtype=dtype), 1).requires_grad_()
    y = y if soft else torch.randint(CLASSES, (7,), generator=source)
    return task, skeleton(task, "convnet2-6"), start, x, y


def _rows(x, y, index):
    """Other rows each update, some of them twice in a run, and each changed a little differently."""
    chosen = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 0], [2, 6, 1, 5]])[index % 3]
    return Images(x[chosen].roll(index, 2) * (1 + 0.1 * index), y[chosen])


def _slopes(setting, steps, memory, pace, **options):
    task, model, start, x, y = setting
    end = unroll(task, model, start, _rows, x, y, pace, steps, memory, **options)
    source = torch.Generator().manual_seed(1)
    loss = sum((value * torch.randn(value.shape, generator=source, dtype=value.dtype)).sum() for value in end.values())
    leaves = [x, pace, *([y] if y.is_floating_point() else [])]
    return loss.detach(), torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-3)])
def test_both_memory_plans_give_one_gradient(dtype, tolerance, soft):
    setting, pace = _setting(dtype, soft=soft), torch.tensor(0.3, dtype=dtype, requires_grad=True)
    (stored, one), (kept, two) = (_slopes(setting, 5, memory, pace) for memory in ("store", "checkpoint"))
    assert float(stored) == pytest.approx(float(kept), rel=tolerance)
    for a, b in zip(one, two, strict=True):
        assert float(a.norm()) > 0
        assert float((a - b).norm()) <= tolerance * float(a.norm())


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("soft", [True, False])
def test_both_memory_plans_give_one_gradient_with_momentum_and_within_a_window(soft, window, each):
    setting = _setting(soft=soft)
    pace = torch.tensor([0.3, 0.1, 0.2, 0.25, 0.05] if each else 0.2, dtype=torch.float64, requires_grad=True)
    plans = ("store", "checkpoint")
    (stored, one), (kept, two) = (_slopes(setting, 5, plan, pace, momentum=0.8, window=window) for plan in plans)
    assert float(stored) == pytest.approx(float(kept), rel=1e-8)
    for a, b in zip(one, two, strict=True):
        assert float(a.norm()) > 0
        assert float((a - b).norm()) <= 1e-8 * float(a.norm())
    if each and window:
        assert not one[1][: 5 - window].any()  # what lies before the window teaches no step size
        assert one[1][5 - window :].all()


def test_a_window_is_an_unrolling_from_where_it_begins():
    """The rows of the first updates are as they are, and their end is a start that was given; without momentum nothing else
    is carried."""
    task, model, start, x, y = _setting()
    pace = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    middle = follow(task, model, start, _rows, x, y, pace, 2)
    assert not any(value.requires_grad for value in middle.values())
    rest = unroll(task, model, middle, lambda x, y, index: _rows(x, y, index + 2), x, y, pace, 3)
    found = unroll(task, model, start, _rows, x, y, pace, 5, window=3)
    whole = unroll(task, model, start, _rows, x, y, pace, 5, window=5)
    slopes = []
    for end in (rest, found, whole):
        assert all(torch.allclose(value, found[name]) for name, value in end.items())
        loss = torch.stack([(value**2).sum() for value in end.values()]).sum()
        slopes.append(torch.autograd.grad(loss, [x, pace]))
    assert torch.allclose(slopes[0][0], slopes[1][0], rtol=1e-10)
    assert slopes[0][1].item() == pytest.approx(slopes[1][1].item(), rel=1e-10)
    assert not torch.allclose(slopes[1][0], slopes[2][0], rtol=1e-3)


def test_the_path_with_momentum_is_that_of_torch():
    task, model, start, x, y = _setting()
    network = task.build("convnet2-6").double()
    network.load_state_dict(start, strict=False)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.2, momentum=0.8)
    for index in range(4):
        optimiser.zero_grad()
        task.loss(network, None, _rows(x.detach(), y.detach(), index)).backward()
        optimiser.step()
    for ends in (
        follow(task, model, start, _rows, x, y, torch.tensor(0.2), 4, 0.8),
        unroll(task, model, start, _rows, x, y, torch.tensor(0.2), 4, "store", 0.8),
        unroll(task, model, start, _rows, x, y, torch.tensor(0.2), 4, "checkpoint", 0.8, window=2),
    ):
        for name, value in network.named_parameters():
            assert torch.allclose(ends[name], value, rtol=1e-6, atol=1e-7), name


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_the_gradient_is_that_of_finite_differences(momentum):
    task, model, start, x, y = _setting()
    pace = torch.tensor([0.3, 0.1, 0.2], dtype=torch.float64, requires_grad=True)  # one step size an update

    def loss(x, y, pace):
        end = unroll(task, model, start, _rows, x, y, pace, 3, "checkpoint", momentum)
        return torch.stack([(value**2).sum() for value in end.values()]).sum()

    slopes = torch.autograd.grad(loss(x, y, pace), [x, y, pace])
    source = torch.Generator().manual_seed(2)
    for position, slope in enumerate(slopes):
        aim = torch.randn(slope.shape, generator=source, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            moved = [x.detach(), y.detach(), pace.detach()]
            moved[position] = moved[position] + sign * 1e-6 * aim
            ends.append(loss(*moved))
        assert float((slope * aim).sum()) == pytest.approx(float(ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_rows_in_chunks_change_nothing():
    whole, parts = _setting(), _setting(chunk=3)
    pace = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    (_, one), (_, two) = (_slopes(setting, 4, "checkpoint", pace) for setting in (whole, parts))
    for a, b in zip(one, two, strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-12)


def test_the_linear_plan_is_exact_for_one_update_and_not_for_more():
    setting, pace = _setting(), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    for steps, same in ((1, True), (4, False)):
        (_, one), (_, two) = (_slopes(setting, steps, memory, pace) for memory in ("checkpoint", "linear"))
        assert torch.allclose(one[0], two[0], rtol=1e-8, atol=1e-12) is same


class _Line(nn.Module):
    """``w x`` for numbers x."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))


class _Squares:
    """Half the squared error, for a case that can be computed by hand."""

    plan = Plan(chunk=None)

    def kernels(self, model):
        return None

    def loss(self, model, params, batch):
        return ((params["w"] * batch.x - batch.y) ** 2 / 2).mean()

    def independent(self, model):
        return True


@pytest.mark.parametrize(
    ("memory", "of_x", "of_pace"), [("store", -0.29, 3.4), ("checkpoint", -0.29, 3.4), ("linear", -0.33, 4.2)]
)
def test_two_updates_with_momentum_by_hand(memory, of_x, of_pace):
    """As below with m = 0.5: v1 = g0 = -2, w1 = 1.2, v2 = 0.5 v1 + g1 = -1 - 1.2 = -2.2, w2 = 1.42.

    dg0/dx = 2 w0 x - y = 1, so dw1/dx = -0.1, and dg1/dx = 2 w1 x - y + 4 dw1/dx = 1.8 - 0.4 = 1.4, without the Hessian 1.8:
    dw2/dx = -0.1 - a (m 1 + 1.4) = -0.29, without it -0.33. dw1/da = -v1 = 2, dg1/da = 4 dw1/da = 8:
    dw2/da = 2 - v2 - a 8 = 3.4, without it 4.2.
    """
    x = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    pace = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    start = {"w": torch.tensor(1.0, dtype=torch.float64)}
    y = torch.tensor([3.0], dtype=torch.float64)
    end = unroll(_Squares(), _Line(), start, lambda x, y, index: Images(x, y), x, y, pace, 2, memory, 0.5)["w"]
    assert end.item() == pytest.approx(1.42)
    slopes = torch.autograd.grad(end, [x, pace])
    assert [slope.item() for slope in slopes] == pytest.approx([of_x, of_pace])


@pytest.mark.parametrize("memory", ["store", "checkpoint", "linear"])
def test_two_updates_by_hand(memory):
    """w0 = 1, x = 2, y = 3, a = 0.1: g0 = (2 - 3) 2 = -2, w1 = 1.2, g1 = (2.4 - 3) 2 = -1.2, w2 = 1.32.

    dg/dx = 2 w x - y, dg/dw = x^2 = 4: dw2/dx = -a (2 w1 x - y) + (1 - 4 a)(-a)(2 w0 x - y) = -0.18 - 0.06 = -0.24,
    without the Hessian -0.18 - 0.1 = -0.28; dw2/da = -g1 - g0 (1 - 4 a) = 1.2 + 1.2 = 2.4, without it 3.2.
    """
    x = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    pace = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    start = {"w": torch.tensor(1.0, dtype=torch.float64)}
    end = unroll(_Squares(), _Line(), start, lambda x, y, index: Images(x, y), x, y, pace, 2, memory)["w"]
    assert end.item() == pytest.approx(1.32)
    of_x, of_pace = torch.autograd.grad(end, [x, pace])
    assert of_x.item() == pytest.approx(-0.28 if memory == "linear" else -0.24)
    assert of_pace.item() == pytest.approx(3.2 if memory == "linear" else 2.4)


def test_what_cannot_be_unrolled_is_refused():
    task, model, start, x, y = _setting()
    with pytest.raises(AttarError, match="unrolled for 0 updates"):
        unroll(task, model, start, _rows, x, y, torch.tensor(0.1), 0)
    with pytest.raises(AttarError, match="no way back 'some'"):
        unroll(task, model, start, _rows, x, y, torch.tensor(0.1), 1, "some")
    with pytest.raises(AttarError, match="momentum of 1"):
        unroll(task, model, start, _rows, x, y, torch.tensor(0.1), 1, momentum=1)
    with pytest.raises(AttarError, match="window of 0 updates"):
        unroll(task, model, start, _rows, x, y, torch.tensor(0.1), 1, window=0)
    with pytest.raises(AttarError, match="3 step sizes do not fit 2 updates"):
        unroll(task, model, start, _rows, x, y, torch.full((3,), 0.1), 2)


@pytest.mark.parametrize("soft", [True, False])
def test_rows_without_weight_have_no_part_in_a_pullback(soft):
    task, model, start, x, y = _setting(chunk=2, soft=soft)
    weight = torch.tensor([1.0, 2, 0, 0, 0.5, 0, 1], dtype=torch.float64)
    batch = Images(x.detach(), y.detach(), weight)
    heavy = torch.tensor([0, 1, 4, 6])
    cotangent = {name: torch.randn_like(value) for name, value in start.items()}
    found = passes.gradient_pullback(task, model, start, batch, cotangent)
    wanted = passes.gradient_pullback(task, model, start, batch.take(heavy), cotangent)
    assert found.value.item() == pytest.approx(wanted.value.item())
    assert torch.allclose(found.x[heavy], wanted.x)
    assert not found.x[[2, 3, 5]].any()
    for name, slope in wanted.params.items():
        assert torch.allclose(found.params[name], slope), name
    slopes = passes.gradient(task, model, start, batch)[0]
    assert found.value.item() == pytest.approx(sum(float((slopes[name] * cotangent[name]).sum()) for name in start))


def test_the_linear_plan_does_not_ask_for_the_hessian(monkeypatch):
    asked, pullback = [], passes.gradient_pullback

    def watched(*arguments, hessian=True):
        asked.append(hessian)
        return pullback(*arguments, hessian=hessian)

    monkeypatch.setattr(passes, "gradient_pullback", watched)
    setting, pace = _setting(), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    for backward, wanted in (("linear", False), ("checkpoint", True)):
        asked.clear()
        _slopes(setting, 2, backward, pace)
        assert asked == [wanted] * 2
