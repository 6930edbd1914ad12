"""The dataset card that people publish names what a set was made from, and not where that lay."""

import torch

from attar.batches import Images
from attar.distilled import Distilled, Training
from attar.types import Normalisation

RECORD = {
    "method": {
        "fields": {
            "surrogates": {"type": "attar.surrogates:Expert", "fields": {"path": "/home/ada/runs/mnist-experts"}}
        }
    },
    "source": {"folder": "D:\\ada\\photos", "size": 32, "files": ["/ada/a.csv", "b.csv"]},
    "column": "/",
}


def test_it_has_the_names_of_folders_and_no_paths(tmp_path):
    value = Distilled(Images(torch.rand(2, 1, 8, 8), torch.arange(2)), Training(Normalisation((0.5,), (0.2,))), RECORD)
    value.save(tmp_path / "set")
    text = (tmp_path / "set" / "README.md").read_text()
    assert "ada" not in text
    for named in (
        '"path": "mnist-experts"',
        '"folder": "photos"',
        '"a.csv"',
        '"b.csv"',
        '"column": "/"',
        "attar.surrogates:Expert",
    ):
        assert named in text
    assert Distilled.load(tmp_path / "set").made_by == RECORD, "the card keeps them"
