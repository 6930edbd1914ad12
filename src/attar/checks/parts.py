"""What every objective and every parameterisation owes."""

from __future__ import annotations

import torch

from attar import augment, rng
from attar.checkpoint import load_tree, save_tree
from attar.data import toy
from attar.objectives import Objective
from attar.selection import RandomReal
from attar.surrogates import Source
from attar.synthetic import Parameterisation, Synthetic
from attar.types import Batch, Budget, Problem
from attar.views import Everything, PerClass, View

__all__ = ["check_objective", "check_synthetic"]


def check_objective(objective: Objective, surrogates: Source, *, problem: Problem | None = None) -> None:
    """Check an objective on toy data.

    It reads what the source yields; its loss is one finite number that is the same when drawn again and does not change
    the batches; its gradient reaches the synthetic rows and agrees with a difference quotient; going down it makes the
    loss smaller; its state survives a checkpoint.

    Args:
        objective: what to check.
        surrogates: a source that it reads; give it a small network.
        problem: data; None for three classes of 8 x 8 images.

    Raises:
        AssertionError: naming the broken promise.
    """
    assert surrogates.yields in objective.reads, (
        f"{type(objective).__name__} does not read {surrogates.yields.__name__}"
    )
    problem = problem if problem is not None else toy.images()
    rows = RandomReal()(problem, Budget(per_class=2), rng.generator(0, "rows"))
    members = {group: ids.cpu() for group, ids in problem.task.members(rows).items()}
    state = objective.init(problem, rng.generator(0, "objective"))
    source = surrogates.init(problem, rng.generator(0, "surrogates"))

    def loss_at(x: torch.Tensor) -> torch.Tensor:
        nothing = augment.NoAugment()
        synthetic = View(rows.replace(x=x), members, Everything(), nothing, nothing, 1, 3)
        real = View(problem.train, problem.members, PerClass(32), nothing, nothing, 2, 3)
        surrogate, _ = surrogates.next(source, problem, synthetic, real, rng.generator(0, "network"))
        loss, _, after = objective.loss(problem.task, surrogate, synthetic, real, state)
        assert loss.dim() == 0, f"the loss has the shape {tuple(loss.shape)}, not ()"
        assert torch.isfinite(loss), "the loss is not finite"
        _check_tree(after)
        return loss

    x = rows.x.clone().requires_grad_()
    loss = loss_at(x)
    assert torch.equal(loss, loss_at(x)), "the same draw gave another loss"
    [slope] = torch.autograd.grad(loss, [x])
    assert slope.abs().sum() > 0, "the loss does not depend on the synthetic rows"
    direction = slope / slope.norm()
    here = x.detach()
    # small steps: the gradient of a network with ReLUs jumps where one opens, and matched gradients jump with it
    quotients = [
        float((loss_at(here + h * direction) - loss_at(here - h * direction)).detach()) / (2 * h)
        for h in (1e-3, 3e-4, 1e-4)
    ]
    wanted = float((slope * direction).sum())
    assert min(abs(quotient - wanted) for quotient in quotients) < 0.05 * abs(wanted) + 1e-4, (
        f"the gradient says {wanted:.4g} along itself, difference quotients say {quotients}"
    )
    assert loss_at(here - 1e-4 * direction) < loss, "a small step down the gradient does not make the loss smaller"


def check_synthetic(parameterisation: Parameterisation, *, problem: Problem | None = None) -> None:
    """Check a parameterisation on toy data.

    Its rows have the data's shape and as many labels as rows, in equal numbers for each stored row; they start within reach
    of the data; every parameter is in one group, "data" among these, and receives a gradient; equal generators build equal
    modules; a module restored from its tensors gives the same rows, also from those that a set stores; it decodes without
    numbers, as an estimate does; building it leaves the given rows alone.

    Args:
        parameterisation: what to check.
        problem: data; None for three classes of 8 x 8 images.

    Raises:
        AssertionError: naming the broken promise.
    """
    problem = problem if problem is not None else toy.images()
    budget = Budget(per_class=2)
    parameterisation.check(problem, budget)
    rows = RandomReal()(problem, budget, rng.generator(0, "rows"), parameterisation.each)
    kept = rows.x.clone()

    def build() -> Synthetic:
        return Synthetic.start(parameterisation, rows, problem, rng.generator(0, "synthetic"), "learned", 0.1)

    module = build()
    batch = module()
    assert torch.equal(rows.x, kept), "building the module changed the rows that it started from"
    assert torch.equal(build()().x, batch.x), "equal generators built modules that give other rows"
    assert module.y is not None, "rows came without labels"
    _check_decoded(batch, module, problem)
    _check_groups(batch, module)
    _check_restored(parameterisation, module, problem)
    assert torch.equal(rows.x, kept), "using the module changed the rows that it started from"
    _check_tree(module.tensors())


def _check_decoded(batch: Batch, module: Synthetic, problem: Problem) -> None:
    assert batch.x.shape[1:] == problem.train.x.shape[1:], f"rows have the shape {tuple(batch.x.shape[1:])}"
    assert batch.y is not None, "rows came without labels"
    assert len(batch.y) == len(batch.x), f"{len(batch.x)} rows came with {len(batch.y)} labels"
    assert module.y is not None
    each = len(batch) // len(module.rows)
    assert len(module.y) == len(module.rows), "stored rows and their labels differ in number"
    assert torch.equal(batch.y, module.y.repeat_interleave(each, 0)), "rows do not have the labels of their stored rows"
    assert torch.isfinite(batch.x).all(), "rows are not finite"
    reach = 10 * float(problem.train.x.abs().max())
    assert float(batch.x.detach().abs().max()) < reach, "rows start far from the data"


def _check_groups(batch: Batch, module: Synthetic) -> None:
    assert "data" in module.groups(), "there is no group 'data'"
    grouped = [param for group in module.groups().values() for param in group]
    assert {id(p) for p in grouped} == {id(p) for p in module.parameters()}, "groups and parameters differ"
    assert len(grouped) == len({id(p) for p in grouped}), "a parameter is in two groups"
    assert batch.y is not None
    loss = (batch.x**2).sum() + (batch.y**2).sum() + sum(value.sum() for value in module.learned.values())
    if batch.weight is not None:
        loss = loss + (batch.weight**2).sum()
    for slope in torch.autograd.grad(loss, grouped, allow_unused=True):
        assert slope is not None and torch.isfinite(slope).all(), "a parameter receives no finite gradient"


def _check_restored(parameterisation: Parameterisation, module: Synthetic, problem: Problem) -> None:
    module.project(problem.spec.normalisation)
    wanted = module()
    restored = Synthetic.restore(parameterisation, module.tensors(), problem.train, "learned")()
    assert torch.equal(restored.x, wanted.x), "restored from its tensors, the rows differ"
    stored = module.stored()
    alone = parameterisation.restore(stored, problem.train.take(torch.tensor([], dtype=torch.long)))
    assert torch.equal(alone(stored.pop("y", None)).x, wanted.x), "restored from what a set stores, the rows differ"
    nowhere = {name: value.to("meta") for name, value in module.tensors().items()}
    rehearsed = Synthetic.restore(parameterisation, nowhere, problem.train.to("meta"), "learned")
    rehearsed.project(problem.spec.normalisation)
    assert rehearsed().x.shape == wanted.x.shape, "rehearsed without numbers, the rows have another shape"


def _check_tree(state: object) -> None:
    """States are trees, so that they can be checkpointed."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        try:
            save_tree(state, Path(folder) / "state")  # type: ignore[arg-type]
        except TypeError as error:
            raise AssertionError(f"the state cannot be checkpointed: {error}") from error
        load_tree(Path(folder) / "state")
