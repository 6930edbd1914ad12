"""Starting values that experts classify rightly."""

import pytest
import torch

from attar import rng
from attar.selection import RightlyClassified
from attar.surrogates.fresh import skeleton
from attar.training import passes
from attar.types import Budget


def _answers(problem, experts, index, epoch=None):
    params = experts.weights(index, experts.epochs if epoch is None else epoch)
    return passes.logits(problem.task, skeleton(problem.task, experts.course.model), params, problem.train)


def _ids(problem, batch):
    return torch.tensor([int(torch.nonzero((problem.train.x == row).flatten(1).all(1))[0]) for row in batch.x])


def test_rows_are_right_and_labels_are_the_mean_answer_of_those_that_know(toy, toy_experts):
    batch = RightlyClassified(toy_experts)(toy, Budget(per_class=3), rng.generator(0, "initial"))
    ids, truth = _ids(toy, batch), toy.train.y
    logits = torch.stack([_answers(toy, toy_experts, index) for index in range(2)])
    right = logits.argmax(-1) == truth
    assert right[0][ids].all()
    assert truth[ids].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for row, label in zip(ids, batch.y, strict=True):
        known = logits[:, row][right[:, row]]
        assert torch.allclose(label, known.mean(0).softmax(-1), atol=1e-5)
    assert len(set(ids.tolist())) == 9


def test_class_ids_where_labels_are_hard(toy, toy_experts):
    batch = RightlyClassified(toy_experts, soft=False)(toy, Budget(per_class=2), rng.generator(1, "initial"), each=2)
    assert batch.y.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_where_too_few_are_right_others_fill_up(toy, tmp_path, monkeypatch):
    """Experts that learned nothing have next to no rows of some class right."""
    from attar.experts import Course, record

    poor = record(toy, Course("convnet2-6", epochs=1, lr=1e-6, batch=64), 1, out=tmp_path / "poor")
    counts = torch.bincount(toy.train.y[_answers(toy, poor, 0).argmax(-1) == toy.train.y], minlength=3)
    many = min(len(rows) for rows in toy.members.values())
    assert int(counts.min()) < many  # else this test would test nothing
    batch = RightlyClassified(poor)(toy, Budget(per_class=many), rng.generator(0, "initial"))
    ids = _ids(toy, batch)
    assert len(set(ids.tolist())) == len(ids) == 3 * many
    assert torch.isfinite(batch.y).all()
    assert batch.y.sum(-1) == pytest.approx(torch.ones(len(batch)))
