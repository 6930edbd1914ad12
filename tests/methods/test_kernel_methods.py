"""Methods by kernel ridge regression: what they are made of, and that their closed form is one."""

import pytest
import torch

from attar import distances, jobs, methods, progress, rng
from attar.augment import slight
from attar.distances import Convolutional, FullyConnected
from attar.methods import kernel_ridge
from attar.objectives import RidgeMatch
from attar.surrogates import FixedKernel, Population, RandomFeatures
from attar.types import AttarError, Budget


def test_kip_is_ridge_regression_by_a_fixed_kernel():
    method = methods.kip()
    assert method.objective == RidgeMatch(1e-6)
    assert method.surrogates == FixedKernel(FullyConnected(1, "ntk"))
    assert (method.labels, method.real_rows.size, method.optimisers["data"].lr) == ("hard", 5000, 0.04)
    assert methods.kip("conv-nngp-2", labels="learned").surrogates.kernel == Convolutional(2, "nngp")
    assert methods.kip(labels="learned").labels == "regression"
    assert methods.kip().real_augmentation is None
    assert methods.kip(augmentation="crop_rotate").real_augmentation == slight("crop_rotate")


def test_rfad_and_frepo_estimate_their_kernels():
    assert methods.rfad().surrogates == RandomFeatures("convnet3-256-none", 8)
    assert methods.rfad().objective == RidgeMatch(5e-3, "cross-entropy")
    assert methods.frepo().surrogates == Population("convnet3", 10, 100)
    assert methods.frepo().objective.margin == 1
    assert methods.frepo(labels="hard").objective.margin == 0


def test_kernels_and_labels_that_there_are_not(toy):
    with pytest.raises(AttarError, match="no kernel 'rbf'"):
        methods.kip("rbf")
    with pytest.raises(AttarError, match="hard or learned"):
        methods.kip(labels="soft")
    with pytest.raises(AttarError, match="jitter=0"):
        methods.label_solve(jitter=0)


def test_solved_labels_are_best_of_all(toy):
    """Any other labels of the same rows leave a larger squared error over all training rows."""
    method = methods.label_solve("nngp")
    value = method.finish(toy, Budget(per_class=2), rng.generator(0, "method"))
    kernel, s, t = FullyConnected(1, "nngp"), value.normalised().x.double(), toy.train.x.double()
    wanted = torch.nn.functional.one_hot(toy.train.y, 3).double() - 1 / 3
    k_ss = kernel(s, s)
    inverse = torch.linalg.inv(k_ss + 1e-6 * k_ss.trace() / 6 * torch.eye(6))

    def error(y):
        return float(((kernel(t, s) @ inverse @ y - wanted) ** 2).sum())

    y = value.data.y.double()
    least = error(y)
    by_hand = torch.linalg.lstsq(kernel(t, s) @ inverse, wanted).solution
    assert least == pytest.approx(error(by_hand), rel=1e-4)
    source = rng.generator(1)
    for _ in range(5):
        assert error(y + 0.05 * torch.randn(y.shape, generator=source, dtype=torch.float64)) > least
    assert value.training.labels == "regression"


def _slow(monkeypatch, seconds):
    """A clock that goes on by so many seconds for each block of a kernel, whatever it takes."""
    clock, done = [0.0], []

    def computed(kernel, a, b):
        done.append(len(a))
        clock[0] += seconds * len(a)
        return distances.blocks(kernel, a, b)

    monkeypatch.setattr(kernel_ridge, "blocks", computed)
    monkeypatch.setattr(kernel_ridge.time, "perf_counter", lambda: clock[0])
    return done


def test_a_long_solution_is_foreseen_by_a_few_rows_before_it_begins(toy, monkeypatch, capsys):
    done = _slow(monkeypatch, seconds=10)
    method, count = methods.label_solve("conv-ntk-1"), len(toy.train)
    said = f"{6 * count:,} kernel values of {count:,} training rows and 6 kept ones, which take about {10 * count / 60:.0f} min"
    assert method.foreseen(toy, Budget(per_class=2)) == f"{said} on this machine"
    assert done == [1, 1], "one row takes long enough to be timed, after one that warms up"
    progress.follow(jobs.prepare(method, toy, Budget(per_class=2)))
    assert f"attar: label_solve: {said}" in capsys.readouterr().err
    monkeypatch.undo()
    assert method.foreseen(toy, Budget(per_class=2)) == "", "a short one needs no words"


def test_rows_are_timed_in_growing_numbers_until_they_take_long_enough(toy, monkeypatch):
    done = _slow(monkeypatch, seconds=kernel_ridge.TIMED / 3)
    methods.label_solve().foreseen(toy, Budget(per_class=1))
    assert done == [1, 1, 2, 4]
