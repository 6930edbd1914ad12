"""What is learned."""

import pytest
import torch

from attar import checks, rng
from attar.batches import Images
from attar.data import toy
from attar.synthetic import Bases, Codes, Latents, Memory, MultiFormation, Pixels, Synthetic
from attar.synthetic.synthetic import LEAST_STEP_SIZE
from attar.types import AttarError, Normalisation

PIXELS = Pixels()
PARAMETERISATIONS = [
    PIXELS,
    MultiFormation(2),
    MultiFormation(3, clamp=False),
    Bases(hallucinators=2),
    Bases(hallucinators=3, channels=2, size=(4, 5)),
    Memory(rows=3),
    Memory(rows=2, bases=5),
    Codes(codes=2, decoders=3, width=2),
    Latents(rows=2, dim=5, fit=5),
]


def _rows(**fields):
    return Images(
        torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 1, 2])
    ).replace(**fields)


def _start(rows, labels="hard", step_size=None, part=PIXELS):
    """A module that starts at rows of three classes."""
    problem = toy.images()
    return Synthetic.start(part, rows, problem, rng.generator(0, "synthetic"), labels, step_size)


@pytest.mark.parametrize("part", PARAMETERISATIONS, ids=repr)
def test_parameterisations_pass_the_public_checks(part):
    checks.check_synthetic(part)


def test_rows_start_where_they_are_told_to_and_are_a_copy():
    rows = _rows()
    module = _start(rows)
    assert torch.equal(module().x, rows.x)
    with torch.no_grad():
        module.rows.x.add_(1)
    assert rows.x.max() <= 1


def test_hard_labels_are_kept_and_not_learned():
    module = _start(_rows())
    assert module().y.tolist() == [0, 0, 1, 2]
    assert list(module.groups()) == ["data"]
    assert module.learned == {}


def test_class_ids_become_targets_where_labels_are_soft_or_learned():
    for labels, groups in (("soft", ["data"]), ("learned", ["data", "labels"])):
        module = _start(_rows(), labels)
        assert torch.equal(module().y, torch.eye(3)[[0, 0, 1, 2]])
        assert list(module.groups()) == groups


def test_soft_rows_are_not_taken_for_hard_ones():
    with pytest.raises(AttarError, match="start with soft labels"):
        _start(_rows(y=torch.eye(3)[[0, 0, 1, 2]]))


def test_a_learned_step_size_stays_positive_whatever_it_is_stepped_by():
    module = _start(_rows(), "hard", 0.01)
    assert module.learned["step_size"].item() == pytest.approx(0.01)
    with torch.no_grad():
        module.step_size.sub_(50)
    module.project(Normalisation((0.0,), (1.0,)))
    assert module.learned["step_size"].item() == pytest.approx(LEAST_STEP_SIZE)


@pytest.mark.parametrize(("labels", "step_size"), [("hard", None), ("soft", None), ("learned", 0.02)])
def test_a_module_is_restored_from_its_tensors(labels, step_size):
    module = _start(_rows(weight=None), labels, step_size)
    with torch.no_grad():
        for param in module.parameters():
            param.add_(0.5)
    tensors = module.tensors()
    again = Synthetic.restore(Pixels(), tensors, _rows(), labels)
    assert torch.equal(again().x, module().x)
    assert torch.equal(again().y, module().y)
    assert {name: value.item() for name, value in again.learned.items()} == {
        n: v.item() for n, v in module.learned.items()
    }
    assert list(again.groups()) == list(module.groups())


def test_the_tensors_are_copies():
    module = _start(_rows(), "learned", 0.1)
    tensors = module.tensors()
    with torch.no_grad():
        for param in module.parameters():
            param.add_(1)
    assert all(not torch.equal(value, tensors[name]) for name, value in module.tensors().items())


def test_restored_rows_do_not_take_over_fields_of_the_rows_they_are_like():
    like = _rows(weight=torch.ones(4), attribute=torch.zeros(4))
    tensors = _start(_rows()).tensors()
    batch = Synthetic.restore(Pixels(), tensors, like, "hard")()
    assert batch.weight is None
    assert batch.attribute is None


def test_per_view_targets_survive():
    targets = torch.rand(5, 4, 3)
    rows = _rows(y=targets, views=torch.arange(5))
    module = _start(rows, "learned")
    again = Synthetic.restore(Pixels(), module.tensors(), _rows(), "learned")()
    assert torch.equal(again.y, targets)
    assert again.views.tolist() == [0, 1, 2, 3, 4]


def test_row_weights_survive():
    """A coreset's weights at the start are there at the end."""
    module = _start(_rows(weight=torch.tensor([1.0, 2.0, 3.0, 4.0])))
    again = Synthetic.restore(Pixels(), module.tensors(), _rows(), "hard")()
    assert module().weight.tolist() == [1, 2, 3, 4]
    assert again.weight is not None
    assert again.weight.tolist() == [1, 2, 3, 4]
