"""Coloured digits and the attribute that rows may bring: shares, splits, determinism and what is refused."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from attar import data
from attar.data.coloured import COLOURS, Coloured
from attar.types import AttarError

REAL = os.environ.get("ATTAR_DATA", "")


def colours_by_class(batch):
    """Rows of each class in each colour ``(10, 10)``."""
    return torch.stack([torch.bincount(batch.attribute[batch.y == k], minlength=10) for k in range(10)])


@pytest.fixture(scope="module")
def digits():
    return data.load("coloured-digits")


class TestColours:
    def test_the_share_of_each_class_to_the_nearest_row(self):
        y = np.repeat(np.arange(10), 200)
        painted = Coloured(0.9)("train", np.full((2000, 2, 2, 1), 255, np.uint8), y)
        counts = np.array([np.bincount(painted.attribute[y == k], minlength=10) for k in range(10)])
        assert np.diagonal(counts).tolist() == [180] * 10
        others = counts[~np.eye(10, dtype=bool)]
        assert set(others.tolist()) == {2, 3}, "twenty rows in nine colours are two or three of each"

    def test_test_rows_have_all_colours_alike(self):
        y = np.repeat(np.arange(10), 25)
        painted = Coloured()("test", np.zeros((250, 2, 2, 1), np.uint8), y)
        counts = np.array([np.bincount(painted.attribute[y == k], minlength=10) for k in range(10)])
        assert set(counts.ravel().tolist()) == {2, 3}

    def test_grey_levels_are_kept_on_black(self):
        x = np.array([0, 100, 255], np.uint8).reshape(1, 1, 3, 1)
        painted = Coloured(1.0)("train", np.repeat(x, 10, 0), np.arange(10))
        orange = painted.x[1, 0].tolist()  # (255, 128, 0)
        assert orange == [[0, 0, 0], [100, 50, 0], [255, 128, 0]]
        assert painted.x[:, 0, 2].tolist() == [list(shade) for _, shade in COLOURS]

    def test_no_share_of_rows(self):
        with pytest.raises(AttarError, match=r"share=0.05 is no share .* give a number from 0.1"):
            Coloured(0.05)


class TestDigits:
    def test_need_nothing_and_stand_in_every_colour_in_the_test(self, digits):
        grey = data.load("digits")
        assert digits.task.shape == (3, 8, 8)
        assert len(digits.train) == len(grey.train)
        assert torch.equal(digits.train.y, grey.train.y)
        assert digits.origins == grey.origins
        assert len(digits.test) == 10 * len(grey.test)
        assert (colours_by_class(digits.test) == torch.bincount(grey.test.y)[:, None]).all()
        assert "(3,590 rows)" in digits.spec.split
        assert digits.spec.attribute_names[:3] == ("red", "orange", "yellow")

    def test_rows_are_the_grey_ones_in_the_colour_of_their_attribute(self, digits):
        grey = data.load("digits")
        raw, levels = (problem.spec.normalisation.undo(problem.train.x) for problem in (digits, grey))
        shades = torch.tensor([shade for _, shade in COLOURS])[digits.train.attribute] / 255
        assert torch.allclose(raw, levels * shades[:, :, None, None], atol=0.5 / 255 + 1e-5)

    @pytest.mark.parametrize("part", ["train", "validation"])
    def test_colours_agree_with_labels_where_networks_learn(self, digits, part):
        batch = getattr(digits, part)
        counts = colours_by_class(batch)
        expected = [round(0.95 * count) for count in torch.bincount(batch.y).tolist()]
        assert counts.diagonal().tolist() == expected

    def test_by_seed_and_found_again(self, digits):
        again, other = data.load("coloured-digits"), data.load("coloured-digits", seed=1)
        assert again.spec.fingerprint == digits.spec.fingerprint != other.spec.fingerprint
        half = data.load("coloured-digits", share=0.5)
        assert half.spec.fingerprint != digits.spec.fingerprint
        assert torch.equal(half.train.y, digits.train.y)
        data.check_fingerprint(data.reopen(half.spec.source), half.spec.fingerprint)

    def test_other_data_have_no_share(self):
        with pytest.raises(AttarError, match="share= is of coloured digits, and digits is not coloured"):
            data.load("digits", share=0.9)


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="needs the real data in ATTAR_DATA")
def test_coloured_mnist():
    problem = data.load("coloured-mnist", data_dir=REAL)
    assert tuple(problem.train.x.shape) == (60_000, 3, 28, 28)
    counts = colours_by_class(problem.train)
    assert counts.diagonal().tolist() == [round(0.95 * count) for count in counts.sum(1).tolist()]
    assert int(counts.min()) >= 29
    of_test = colours_by_class(problem.test)
    assert int((of_test.amax(1) - of_test.amin(1)).max()) == 1
    assert problem.spec.fingerprint == "sha256:68431162913ad142cbc0275c35ac9cee5b73dec59ff29c69e1490a7a63a2620b"


class TestAttributes:
    def rows(self, n=40):
        return np.random.default_rng(0).integers(0, 256, (n, 6, 6), dtype=np.uint8), np.arange(n) % 2

    def test_arrays_bring_one_that_stays_with_its_rows(self):
        x, y = self.rows()
        where = np.where(x[:, 0, 0] > 127, "out", "in")
        problem = data.arrays(x, y, attribute=where)
        assert problem.spec.attribute_names == ("in", "out")
        for part in (problem.train, problem.validation, problem.test):
            bright = problem.spec.normalisation.undo(part.x)[:, 0, 0, 0] > 0.5
            assert torch.equal(part.attribute == 1, bright)

    def test_it_counts_in_the_fingerprint_and_its_absence_changes_nothing(self):
        x, y = self.rows()
        plain = data.arrays(x, y)
        assert plain.train.attribute is None
        assert plain.spec.attribute_names == ()
        first, second = (data.arrays(x, y, attribute=(np.arange(40) + k) // 2 % 2) for k in (0, 1))
        assert len({each.spec.fingerprint for each in (plain, first, second)}) == 3
        assert plain.spec.fingerprint == "sha256:dbb41b7a9eb415e2eb45b50630fa8f22a828bafad65396dc2ab3eb2b7106b0dc"

    def test_a_group_of_the_test_alone_is_known(self):
        x, y = self.rows()
        problem = data.arrays(x, y, x, y, attribute=np.arange(40) % 3, attribute_test=np.arange(40) % 4)
        assert problem.spec.attribute_names == ("0", "1", "2", "3")
        assert int(problem.test.attribute.max()) == 3

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ({"attribute": [0, 1]}, "train has 40 rows but 2 values of the attribute: give one a row"),
            ({"attribute": np.zeros(40)}, "'0' in every row, which makes no groups"),
            ({"attribute": np.linspace(0, 1, 40)}, r"attribute of row 1 of train is 0.0256\d*, which is no group"),
            ({"attribute_test": np.arange(40) % 2}, "The test split has an attribute but no images"),
        ],
    )
    def test_what_is_refused(self, given, sentence):
        with pytest.raises(AttarError, match=sentence):
            data.arrays(*self.rows(), **given)

    def test_one_split_without_is_refused(self):
        x, y = self.rows()
        with pytest.raises(AttarError, match="train has an attribute and test has none: give it of every split"):
            data.arrays(x, y, x, y, attribute=y)

    def test_npz(self, tmp_path):
        x, y = self.rows()
        np.savez(tmp_path / "a.npz", X=x, y=y, X_test=x, y_test=y, attribute=1 - y, attribute_test=y)
        problem = data.npz(tmp_path / "a.npz")
        assert torch.equal(problem.test.attribute, problem.test.y)
        assert torch.equal(problem.train.attribute, 1 - problem.train.y)

    def test_folders_below_those_of_the_classes(self, tmp_path):
        for label in ("cat", "dog"):
            for place in ("in", "out"):
                (tmp_path / label / place).mkdir(parents=True)
                for k in range(4):
                    Image.new("L", (6, 6), 255 * (place == "out")).save(tmp_path / label / place / f"{k}.png")
        problem = data.folder(tmp_path, subgroups=True, validation=0)
        assert problem.spec.attribute_names == ("in", "out")
        assert torch.equal(problem.train.attribute == 1, problem.train.x[:, 0, 0, 0] > 0)
        data.check_fingerprint(data.reopen(problem.spec.source), problem.spec.fingerprint)
        assert data.folder(tmp_path).train.attribute is None
        Image.new("L", (6, 6)).save(tmp_path / "cat" / "alone.png")
        with pytest.raises(AttarError, match=r"cat/alone.png lies in its class's folder itself"):
            data.folder(tmp_path, subgroups=True)
