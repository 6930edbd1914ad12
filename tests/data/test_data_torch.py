"""Torch datasets of pictures, arrays and tensors."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from attar import data
from attar.types import AttarError


class Listed(Dataset):
    def __init__(self, images, labels, classes=None):
        self.images, self.labels = images, labels
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.images[row], self.labels[row]


def raw(problem):
    return problem.spec.normalisation.undo(problem.train.x)


X = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
Y = [0, 1] * 10
EXPECTED = torch.from_numpy(X).permute(0, 3, 1, 2) / 255


@pytest.mark.parametrize("form", ["pil", "numpy", "tensor"])
def test_every_kind_of_image_gives_the_same_rows(form):
    images = {
        "pil": [Image.fromarray(x) for x in X],
        "numpy": list(X),
        "tensor": list(torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255),
    }[form]
    problem = data.torch(Listed(images, Y, ["left", "right"]), test=Listed(images, Y), validation=0)
    assert torch.allclose(raw(problem), EXPECTED, atol=1e-5)
    assert problem.spec.class_names == ("left", "right")
    assert problem.spec.name == "listed"


def test_pictures_survive_and_are_resized():
    images = [Image.fromarray(x) for x in X]
    assert data.torch(Listed(images, Y), size=16).task.shape == (3, 16, 16)
    assert images[0].size == (8, 8)
    assert np.array_equal(np.asarray(images[0]), X[0])


def test_tensor_labels_and_a_set_aside_test_split():
    problem = data.torch(TensorDataset(EXPECTED, torch.tensor(Y)), name="mine")
    assert (len(problem.train), len(problem.validation), len(problem.test)) == (14, 2, 4)
    assert problem.spec.name == "mine"
    assert problem.spec.source == {}


def test_what_does_not_fit_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([])

    for wrong in (Stream(), [1, 2, 3], TensorDataset(EXPECTED)):
        with pytest.raises(AttarError, match=r"train dataset does not give an image and a label"):
            data.torch(wrong)
    with pytest.raises(AttarError, match=r"Images of train have shapes \(8, 8\) and \(9, 9\)"):
        data.torch(Listed([np.zeros((8, 8)), np.zeros((9, 9))], [0, 1]))
    with pytest.raises(AttarError, match="size= resizes PIL pictures only"):
        data.torch(Listed(list(X), Y), size=4)
    with pytest.raises(AttarError, match="undoing any normalisation"):
        data.torch(TensorDataset(EXPECTED - 0.5, torch.tensor(Y)))
    with pytest.raises(AttarError, match="arrays in memory"):
        data.reopen(data.torch(Listed(list(X), Y)).spec.source)
