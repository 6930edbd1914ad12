"""Learning by meta-gradients: the training of a network on the synthetic rows is differentiated.

What networks make of the rows is judged by their loss on real ones, so nothing stands between the rows and what they are for.
`attar evaluate --protocol own` makes the very updates that a set was distilled for.
"""

from __future__ import annotations

from attar.matching import Matching
from attar.objectives import Unrolled
from attar.selection import InitialName, Smoothed
from attar.selection import named as starting_values
from attar.surrogates import Fresh, Online
from attar.synthetic import Memory, Pixels
from attar.training.optimisers import SGD, Adam, Decay
from attar.training.unroll import Backward
from attar.views import PerClass, Uniform

__all__ = ["dd", "ld", "linba"]


def dd(
    model: str = "convnet3",
    inner_steps: int = 30,
    inner_batch: int = 1,
    fixed: bool = False,
    lr: float = 0.01,
    step_size: float = 0.02,
    lr_step: float = 2e-4,
    halve_every: int = 2000,
    batch: int = 1024,
    backward: Backward = "checkpoint",
    augmentation: str = "",
    initial: InitialName = "noise",
) -> Matching:
    """Dataset distillation: a few gradient steps on the rows, each of a step size of its own, teach a network the data.

    ``min_{S, a} E_{w_0} L(w_N; real rows)``: w_N is reached from w_0 by N updates of plain SGD on S, update i on its own rows
    at the learned step size a_i.

    Args:
        model: network that is trained on the rows.
        inner_steps: its updates, N.
        inner_batch: rows of each class an update; the rows are divided into such batches, in the order in which they are
            stored, and gone through again and again.
        fixed: whether networks always start from the same weights, for which the rows are then made, and for no others.
        lr: step size of Adam on the rows.
        step_size: those of the updates, at the start.
        lr_step: step size of Adam on them.
        halve_every: steps after which both step sizes of Adam are halved, again and again.
        batch: real rows a step, of all classes.
        backward: "checkpoint" keeps the weights of each update, "store" its graph (faster, memory grows with the updates).
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: where the rows start.

    Returns:
        The method; a step is one network.

    Reference:
        Wang, Zhu, Torralba, Efros: Dataset Distillation, arXiv 1811.10959, 2018.
    """
    decay = Decay(0.5, every=halve_every)
    return Matching(
        name="dd",
        objective=Unrolled(inner_steps, in_order=inner_batch, backward=backward),
        surrogates=Fresh(model, fixed=fixed),
        optimisers={
            "data": Adam(lr, betas=(0.5, 0.999), decay=decay),
            "step_size": Adam(lr_step, betas=(0.5, 0.999), decay=decay),
        },
        initial=starting_values(initial),
        augmentation=augmentation,
        step_size=(step_size,) * inner_steps,
        real_rows=Uniform(batch),
    )


def ld(
    model: str = "convnet3",
    matchings: int = 100,
    inner_batch: int = 50,
    lr_inner: float = 0.01,
    lr_labels: float = 0.01,
    smoothing: float = 0.5,
    lr_model: float = 0.01,
    momentum_model: float = 0.9,
    batch: int = 1024,
    augmentation: str = "",
    initial: InitialName = "real",
) -> Matching:
    """Label distillation: real rows stay as they are, and soft labels are learned that teach a network all data.

    ``min_Y E_w L(w - a grad L(w; X, Y); real rows)``: w is a network on its way, which is trained on (X, Y) between the steps and
    at last replaced by another.

    Args:
        model: network that is trained on the rows.
        matchings: steps that a network serves for, one update of it between two.
        inner_batch: rows an update.
        lr_inner: step size of the update that is differentiated, a.
        lr_labels: step size of Adam on the labels' logits.
        smoothing: share of all classes alike in the labels at the start, the rest being a row's own class.
        lr_model: step size of the network's training between steps.
        momentum_model: of it.
        batch: real rows a step, of all classes.
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: which rows.

    Returns:
        The method; a step is one update of a network.

    Reference:
        Bohdal, Yang, Hospedales: Flexible Dataset Distillation: Learn Labels Instead of Images, arXiv 2006.08572, 2020.
    """
    return Matching(
        name="ld",
        objective=Unrolled(1, inner_batch, lr=lr_inner),
        surrogates=Online(model, ((1, matchings, 1),), lr_model, inner_batch, momentum=momentum_model, updates=1),
        optimisers={"labels": Adam(lr_labels)},
        synthetic=Pixels(learned=False),
        initial=Smoothed(starting_values(initial), smoothing),
        augmentation=augmentation,
        labels="logits",
        real_rows=Uniform(batch),
    )


def linba(
    model: str = "convnet3",
    inner_steps: int = 150,
    inner_batch: int | None = None,
    expand: int = 4,
    bases: int | None = None,
    lr: float = 0.1,
    momentum: float = 0.5,
    clip: float = 2.0,
    lr_inner: float = 0.01,
    momentum_inner: float = 0.9,
    window: int | None = None,
    random_end: bool = False,
    batch: int = 64,
    backward: Backward = "checkpoint",
    augmentation: str = "",
    initial: InitialName = "real",
) -> Matching:
    """Addressable memories: rows are mixtures of bases that all classes share, learned through a long training with momentum.

    ``min_{A, B} E_{w_0} L(w_N; real rows)``: w_N is reached from w_0 by N updates of SGD with momentum on the rows A B. With
    `window` and `random_end` this is random truncated backpropagation through time (RaT-BPTT).

    Args:
        model: network that is trained on the rows.
        inner_steps: its updates, N.
        inner_batch: synthetic rows an update, shuffled; None for all.
        expand: training rows for each row of the budget.
        bases: how many; None for as many as take no more bytes than the budget's rows, with addresses and labels.
        lr: step size on bases and addresses.
        momentum: of their updates.
        clip: norm that their gradients are shortened to, where they are longer.
        lr_inner: step size of the network's updates, which is not learned.
        momentum_inner: of these updates.
        window: updates that are differentiated, the last ones; None for all.
        random_end: draw N anew at each step, from window to inner_steps.
        batch: real rows of each class a step.
        backward: "checkpoint" keeps the weights of each update, "store" its graph (faster, memory grows with the updates).
        augmentation: DSA strategy, "default" for the data's own, "" for none.
        initial: rows that the bases start from.

    Returns:
        The method; a step is one network.

    Reference:
        Deng, Russakovsky: Remember the Past: Distilling Datasets into Addressable Memories for Neural Networks, NeurIPS 2022;
        Feng, Vedantam, Kempe: Embarrassingly Simple Dataset Distillation, ICLR 2024, for the window and its random end.
    """
    return Matching(
        name="linba",
        objective=Unrolled(
            inner_steps,
            inner_batch,
            lr=lr_inner,
            momentum=momentum_inner,
            backward=backward,
            window=window,
            random_end=random_end,
        ),
        surrogates=Fresh(model),
        optimisers={"data": SGD(lr, momentum=momentum, clip=clip)},
        synthetic=Memory(expand, bases),
        initial=starting_values(initial),
        augmentation=augmentation,
        real_rows=PerClass(batch),
    )
