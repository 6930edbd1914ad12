"""Ridge regression on the synthetic rows: its loss by hand, its gradient, and what it learns itself."""

from dataclasses import replace

import pytest
import torch

from attar import methods, rng
from attar.augment import NoAugment
from attar.distances import FullyConnected
from attar.objectives import RidgeMatch
from attar.surrogates import FixedKernel, Kernel, Online, Weights
from attar.tasks import ImageClassification
from attar.training.optimisers import SGD, Adam
from attar.types import AttarError
from attar.views import Everything, View

CLASSES = 3


def _view(batch):
    members = {
        group: torch.nonzero(batch.y.reshape(len(batch), -1).argmax(1) == group)[:, 0] for group in range(CLASSES)
    }
    if batch.y.dim() == 1:
        members = {group: torch.nonzero(batch.y == group)[:, 0] for group in range(CLASSES)}
    return View(batch, members, Everything(), NoAugment(), NoAugment(), 1, 2)


def _kernel():
    return Kernel(lambda batch, learned: batch.x.flatten(1), lambda a, b: a @ b.T + 1)


def _targets(y):
    return torch.nn.functional.one_hot(y, CLASSES).double() - 1 / CLASSES


def test_the_loss_is_what_ridge_regression_leaves(scene):
    task, _, synthetic, real = scene
    loss, info, _ = RidgeMatch(jitter=0.1).loss(task, _kernel(), _view(synthetic), _view(real), {})
    s, t = synthetic.x.flatten(1), real.x.flatten(1)
    k_ss, k_ts = s @ s.T + 1, t @ s.T + 1
    coefficients = torch.linalg.inv(k_ss + 0.1 * k_ss.trace() / 5 * torch.eye(5)) @ _targets(synthetic.y)
    predicted = k_ts @ coefficients
    assert float(loss) == pytest.approx(float(((predicted - _targets(real.y)) ** 2).sum() / 14), rel=1e-9)
    assert float(info["accuracy"]) == pytest.approx(float((predicted.argmax(1) == real.y).double().mean()))


def test_the_gradient_of_rows_and_labels(scene):
    task, _, synthetic, real = scene
    soft = _targets(synthetic.y) + 0.1 * torch.randn(5, CLASSES, generator=rng.generator(0), dtype=torch.float64)

    def loss(x, y):
        rows = synthetic.replace(x=x, y=y)
        kernel = Kernel(lambda batch, learned: batch.x, FullyConnected(2))
        return RidgeMatch(jitter=1e-2, margin=0.5).loss(task, kernel, _view(rows), _view(real), {})[0]

    x, y = synthetic.x.clone().requires_grad_(), soft.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (x, y))


def test_the_margin_is_the_mean_gap_up_to_a_class_s_share(scene):
    task, _, synthetic, real = scene
    y = torch.tensor([[0.5, 0.0, -0.5], [0.1, 0.3, 0.0], [0.0, 0.0, 0.0], [0.2, 0.1, 0.0], [1.0, 0.9, 0.0]]).double()
    rows = _view(synthetic.replace(y=y))
    plain, margined = (
        RidgeMatch(0.1, margin=margin).loss(task, _kernel(), rows, _view(real), {})[0] for margin in (0.0, 2.0)
    )
    assert float(plain - margined) == pytest.approx(2 * (1 / 3 + 0.2 + 0.0 + 0.1 + 0.1) / 5)


def test_a_network_s_kernel_is_its_features_inner_product(scene):
    task, weights, synthetic, real = scene
    features = {
        name: task.features(weights.model, weights.params, batch)[-1].flatten(1)
        for name, batch in (("s", synthetic), ("t", real))
    }
    given = Kernel(lambda batch, learned: features["s" if learned else "t"], lambda a, b: a @ b.T)
    ours, by_hand = (
        RidgeMatch(1e-3).loss(task, surrogate, _view(synthetic), _view(real), {})[0] for surrogate in (weights, given)
    )
    assert isinstance(weights, Weights)
    assert float(ours) == pytest.approx(float(by_hand), rel=1e-6)


def test_the_temperature_goes_down_the_cross_entropy(scene, toy):
    task, _, synthetic, real = scene
    objective = RidgeMatch(0.1, "cross-entropy", temperature=SGD(0.5))
    state = objective.init(toy, rng.generator(0))
    loss, _, after = objective.loss(task, _kernel(), _view(synthetic), _view(real), state)
    s, t = synthetic.x.flatten(1), real.x.flatten(1)
    k_ss = s @ s.T + 1
    found = torch.linalg.solve(k_ss + 0.1 * k_ss.trace() / 5 * torch.eye(5), _targets(synthetic.y))
    predicted, log = (t @ s.T + 1) @ found, torch.zeros((), dtype=torch.float64, requires_grad=True)
    wanted = torch.nn.functional.cross_entropy(log.exp() * predicted, real.y)
    wanted.backward()
    assert float(loss) == pytest.approx(float(wanted), rel=1e-9)
    assert float(after["log_temperature"]) == pytest.approx(-0.5 * float(log.grad), rel=1e-6)
    assert float(state["log_temperature"]) == 0, "the given state is left as it is"


def test_what_makes_no_sense_is_refused(toy):
    with pytest.raises(AttarError, match="judged by 'hinge'"):
        RidgeMatch(loss_form="hinge")
    with pytest.raises(AttarError, match="jitter=0"):
        RidgeMatch(jitter=0)
    task = ImageClassification((1, 8, 8), CLASSES)
    assert FixedKernel().yields is Kernel
    assert task.trained_by("squared").training_loss == "squared"


def test_labels_go_with_objectives_that_know_what_to_do_with_them():
    """Targets of regression mean nothing to a cross-entropy, nor probabilities beside centred class ids to ridge regression."""
    optimisers = {"data": Adam(0.01), "labels": Adam(0.01)}
    for method in (methods.dm(), methods.dc(), methods.cafe(), methods.dd()):
        with pytest.raises(AttarError, match="takes labels that are .*, and not 'regression'"):
            replace(method, labels="regression", optimisers={**method.optimisers, **optimisers})
    for labels in ("soft", "learned", "logits"):
        with pytest.raises(
            AttarError, match=f"RidgeMatch takes labels that are hard or regression, and not '{labels}'"
        ):
            replace(methods.kip(), labels=labels)
    with pytest.raises(AttarError, match="Online takes labels that are .*, and not 'regression'"):
        replace(methods.frepo(), surrogates=Online("convnet2-8"))
    replace(methods.frepo(), surrogates=Online("convnet2-8", data="real"))
    replace(methods.frepo(labels="hard"), surrogates=Online("convnet2-8"))
