"""Operations as plain loops, in the manner of the public scripts: eager fp32, no chunks, no kernels, the system's allocator.

Each is ``operation(problem) -> run``, and ``run(index)`` does it once. MNIST-like images, 10 synthetic rows a class.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

import attar
from attar import augment, rng
from attar.distances import hidden_l1, layerwise_cosine, spatial_attention

PER_CLASS, REAL = 10, 256
EPOCHS = 50  # of the evaluation that is timed; the protocol's 1,000 cost twenty times as much

Run = Callable[[int], None]


class Sides:
    """The synthetic rows, and both sides of a class under one augmentation."""

    def __init__(self, problem: attar.Problem, strategy: augment.Siamese, lr: float = 1.0) -> None:
        budget = attar.Budget(per_class=PER_CLASS)
        self.problem, self.strategy = problem, strategy
        self.rows = attar.methods.random().finish(problem, budget, rng.generator(0)).normalised()
        self.x = self.rows.x.clone().requires_grad_()
        self.optimiser = torch.optim.SGD([self.x], lr=lr, momentum=0.5)

    def real(self, group: int, index: int, count: int = REAL) -> Tensor:
        members = self.problem.members[group]
        return self.strategy(self.problem.train.x[members[torch.randperm(len(members))[:count]]], index)

    def synthetic(self, group: int) -> Tensor:
        return self.x[group * PER_CLASS : (group + 1) * PER_CLASS]

    def update(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


def slopes(network: torch.nn.Module, x: Tensor, group: int, create_graph: bool = False) -> dict[str, Tensor]:
    """Gradient of the mean loss of rows of one class with respect to the weights."""
    names, weights = zip(*network.named_parameters(), strict=True)
    loss = F.cross_entropy(network(x), torch.full((len(x),), group))
    return dict(zip(names, torch.autograd.grad(loss, weights, create_graph=create_graph), strict=True))


def dm(problem: attar.Problem) -> Run:
    sides = Sides(problem, augment.Siamese(problem.spec.augmentation))

    def run(index: int) -> None:
        network = problem.task.build("convnet3")
        loss = torch.zeros(())
        for group in range(10):
            with torch.no_grad():
                target = network(sides.real(group, index), features=True)[-1].flatten(1).mean(0)
            found = network(sides.strategy(sides.synthetic(group), index), features=True)[-1].flatten(1).mean(0)
            loss = loss + ((found - target) ** 2).sum()
        sides.update(loss)

    return run


def dc(problem: attar.Problem) -> Run:
    """An outer step at 10 rows a class: a matching of all classes, and 50 epochs of training."""
    sides = Sides(problem, augment.Siamese(problem.spec.augmentation))

    def run(index: int) -> None:
        network = problem.task.build("convnet3")
        loss = torch.zeros(())
        for group in range(10):
            wanted = slopes(network, sides.real(group, index), group)
            found = slopes(network, sides.strategy(sides.synthetic(group), index), group, create_graph=True)
            loss = loss + layerwise_cosine(found, wanted)
        sides.update(loss)
        training = torch.optim.SGD(network.parameters(), lr=0.01)
        for epoch in range(50):
            training.zero_grad()
            F.cross_entropy(network(sides.strategy(sides.x.detach(), epoch)), sides.rows.y).backward()
            training.step()

    return run


def idc(problem: attar.Problem) -> Run:
    """A pass of the inner loop on MNIST at 10 rows a class, factor 2: each class's matching with an update of its own, then
    8 updates of the network on real rows."""
    sides = Sides(problem, augment.Siamese("color_crop", mode="multiple"), lr=0.00105)
    each = augment.Siamese("color_crop", mode="multiple", shared=False)
    network = problem.task.build("convnet3")
    training = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def unfolded(x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        tiles = [x[:, :, i : i + half, j : j + half] for i in (0, half) for j in (0, half)]
        return torch.cat([F.interpolate(tile, size=x.shape[-2:], mode="bilinear") for tile in tiles])

    def run(index: int) -> None:
        for group in range(10):
            wanted = slopes(network, sides.real(group, index, 64), group)
            seen = sides.strategy(unfolded(sides.synthetic(group)), index)
            sides.update(hidden_l1(slopes(network, seen, group, create_graph=True), wanted))
        train = problem.train
        assert train.y is not None
        for rows in torch.randperm(len(train))[:512].split(64):
            training.zero_grad()
            F.cross_entropy(network(each(train.x[rows], index)), train.y[rows]).backward()
            training.step()

    return run


def datadam(problem: attar.Problem) -> Run:
    """A step: both sides of all classes through the network in one batch each, as the public script does."""
    sides = Sides(problem, augment.Siamese(problem.spec.augmentation))

    def means(features: list[Tensor], of_each: int) -> list[Tensor]:
        *below, last = features
        maps = [*(spatial_attention(layer) for layer in below), last.flatten(1)]
        return [value.unflatten(0, (10, of_each)).mean(1) for value in maps]

    def run(index: int) -> None:
        network = problem.task.build("convnet3")
        with torch.no_grad():
            targets = means(network(torch.cat([sides.real(group, index) for group in range(10)]), features=True), REAL)
        found = means(network(sides.strategy(sides.x, index), features=True), PER_CLASS)
        *below, last = [((a - b) ** 2).sum() for a, b in zip(found, targets, strict=True)]
        sides.update(torch.stack(below).sum() + 0.01 * last)

    return run


def evaluation(problem: attar.Problem) -> Run:
    """Passes of the paper's training of a network on 100 rows."""
    rows = Sides(problem, augment.Siamese(problem.spec.augmentation)).rows
    each = augment.Siamese(problem.spec.augmentation, shared=False)

    def run(index: int) -> None:
        network = problem.task.build("convnet3")
        training = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        for epoch in range(EPOCHS + 1):
            training.zero_grad()
            F.cross_entropy(network(each(rows.x, epoch)), rows.y).backward()
            training.step()

    return run


LOOPS: dict[str, Callable[[attar.Problem], Run]] = {
    "dm": dm,
    "dc": dc,
    "idc": idc,
    "datadam": datadam,
    "evaluation": evaluation,
}
