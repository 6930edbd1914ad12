"""Training from given weights: the family's schedule, step by step."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from attar import rng
from attar.augment import Siamese
from attar.batches import Images
from attar.plan import Plan
from attar.tasks.images import ImageClassification
from attar.training import Schedule, fit, fitting
from attar.types import AttarError

TASK = ImageClassification((1, 8, 8), 3)


def rows(n=10, seed=0):
    source = torch.Generator().manual_seed(seed)
    return Images(torch.randn(n, 1, 8, 8, generator=source), torch.arange(n) % 3)


def network(name="mlp-16"):
    with rng.seeded(0):
        return TASK.build(name)


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def by_hand(batch, epochs, lr, momentum, decay, size, seed):
    """The family's loop, SGD written out: momentum is forgotten with the step size's fall."""
    model = network()
    params = list(model.parameters())
    velocity = [torch.zeros_like(p) for p in params]
    for epoch in range(epochs + 1):
        order = torch.randperm(len(batch), generator=rng.generator(seed, "shuffle", epoch))
        for chosen in order.split(size):
            slopes = torch.autograd.grad(F.cross_entropy(model(batch.x[chosen]), batch.y[chosen]), params)
            with torch.no_grad():
                for p, v, slope in zip(params, velocity, slopes, strict=True):
                    v.mul_(momentum).add_(slope + decay * p)
                    p -= lr * v
        if epoch == epochs // 2 + 1:
            lr *= 0.1
            velocity = [torch.zeros_like(p) for p in params]
    return flat(model)


@pytest.mark.parametrize("epochs", [0, 1, 4, 7])
def test_the_schedule_is_the_familys(epochs):
    model, batch = network(), rows()
    fit(TASK, model, batch, Schedule(epochs, lr=0.1, momentum=0.9, weight_decay=0.01, batch_size=4), seed=5)
    torch.testing.assert_close(flat(model), by_hand(batch, epochs, 0.1, 0.9, 0.01, 4, 5), rtol=1e-5, atol=1e-6)


def test_passes_and_updates_are_counted_and_the_step_size_falls_once():
    schedule = Schedule(epochs=4, batch_size=4)
    seen = list(fitting(TASK, network(), rows(10), schedule))
    assert [epoch.index for epoch in seen] == [0, 1, 2, 3, 4]
    assert [epoch.updates for epoch in seen] == [3, 6, 9, 12, 15]
    assert [epoch.lr for epoch in seen] == pytest.approx([0.01] * 4 + [0.001])
    assert schedule.total(10) == 15


def test_a_cap_on_updates_stops_within_a_pass():
    schedule = Schedule(epochs=4, batch_size=4, updates=5)
    assert [epoch.updates for epoch in fitting(TASK, network(), rows(10), schedule)] == [3, 5]
    assert schedule.total(10) == 5


def test_a_seed_decides_all_draws():
    batch, schedule = rows(), Schedule(3, lr=0.1, batch_size=4)
    augment = Siamese("crop_cutout", shared=False)

    def trained(seed, transform=augment):
        model = network()
        fit(TASK, model, batch, schedule, augment=transform, seed=seed)
        return flat(model)

    torch.manual_seed(1)
    first = trained(0)
    torch.manual_seed(2)
    assert torch.equal(first, trained(0))
    assert not torch.equal(first, trained(1))
    assert not torch.equal(first, trained(0, None))


def test_soft_labels_give_the_cross_entropy_of_probabilities():
    batch = rows(2).replace(y=torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]]))
    model = network()
    log_p = model(batch.x).log_softmax(1).tolist()
    first = 0.7 * log_p[0][0] + 0.2 * log_p[0][1] + 0.1 * log_p[0][2]
    second = 0.5 * log_p[1][1] + 0.5 * log_p[1][2]
    epoch = fit(TASK, model, batch, Schedule(epochs=0))
    assert float(epoch.loss) == pytest.approx(-(first + second) / 2, rel=1e-5)


def test_a_weight_of_two_is_a_row_twice():
    batch = rows(3)
    weighted, doubled = network(), network()
    fit(TASK, weighted, batch.replace(weight=torch.tensor([2.0, 1.0, 1.0])), Schedule(5, lr=0.1))
    fit(TASK, doubled, batch.take(torch.tensor([0, 0, 1, 2])), Schedule(5, lr=0.1))
    torch.testing.assert_close(flat(weighted), flat(doubled), rtol=1e-4, atol=1e-6)


def test_a_view_brings_its_seed_and_its_targets():
    batch = rows(6)
    targets = torch.stack([torch.full((6, 3), 1 / 3), F.one_hot(batch.y, 3).float()])
    calls = []

    def augment(x, seed):
        calls.append(seed)
        return x + 0.01 * seed

    epochs = list(
        fitting(TASK, network(), batch.replace(y=targets, views=torch.tensor([11, 22])), Schedule(7), augment=augment)
    )
    assert set(calls) == {11, 22}
    model = network()
    view = (11, 22).index(calls[0])
    expected = F.cross_entropy(model(batch.x + 0.01 * calls[0]), targets[view])
    assert float(epochs[0].loss) == pytest.approx(expected.item(), rel=1e-5)


def test_training_leaves_the_rows_alone():
    batch = rows()
    before = batch.x.clone()
    fit(TASK, network(), batch, Schedule(2), augment=Siamese(shared=False))
    assert torch.equal(batch.x, before)


def test_a_loss_that_is_not_finite_stops_with_the_epoch_and_the_step_size():
    bad = rows(4)
    bad.x[0] = float("nan")
    with pytest.raises(AttarError, match=r"epoch 0 at lr 0\.01.*step size"):
        fit(TASK, network(), bad, Schedule(3))
    with pytest.raises(AttarError, match="lr 1e"):
        fit(TASK, network(), rows(4), Schedule(60, lr=1e20))


def test_a_schedule_that_trains_nothing_is_refused():
    with pytest.raises(AttarError, match="batch_size=0"):
        Schedule(3, batch_size=0)
    with pytest.raises(AttarError, match="no rows"):
        fit(TASK, network(), rows(0), Schedule(1))


def test_batch_norm_statistics_are_trained():
    model = network("convnet1-8-bn")
    fit(TASK, model, rows(), Schedule(2))
    moved = [value for name, value in model.named_buffers() if name.endswith("running_mean")]
    assert moved
    assert all(bool(value.abs().sum() > 0) for value in moved)


def test_the_default_fall_of_the_step_size_can_be_replaced():
    schedule = dataclasses.replace(Schedule(3), decay_after=(0, 1))
    assert [epoch.lr for epoch in fitting(TASK, network(), rows(), schedule)] == pytest.approx([1e-2, 1e-3, 1e-4, 1e-4])


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.03)])
@pytest.mark.parametrize(
    "compiled",
    [
        False,
        pytest.param(
            True,
            marks=[pytest.mark.slow, pytest.mark.skipif(not Plan.fast("cpu").compiled, reason="needs a C++ compiler")],
        ),
    ],
)
def test_fast_training_ends_where_plain_training_does(compiled, precision, tolerance):
    if not compiled and precision == "fp32":
        plan = Plan(chunk=3)  # chunks alone
    else:
        plan = Plan(precision=precision, compiled=compiled, chunk=3)
    batch = rows(10).replace(weight=torch.linspace(0.5, 2, 10))
    ends, losses = [], []
    for task in (TASK, dataclasses.replace(TASK, plan=plan)):
        model = network("convnet2-8")
        losses.append(float(fit(task, model, batch, Schedule(10, batch_size=7)).loss))
        ends.append(flat(model))
    assert float((ends[0] - ends[1]).norm() / ends[0].norm()) < tolerance
    assert losses[1] == pytest.approx(losses[0], rel=tolerance)
