"""Arrays in memory: pixels, labels, splits, normalisation, fingerprint."""

import numpy as np
import pytest
import torch

from attar import data
from attar.types import AttarError


def rows(n=20, shape=(8, 8), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def alternating(n=20, classes=2):
    return np.arange(n) % classes


def raw(problem, part="train"):
    return problem.spec.normalisation.undo(getattr(problem, part).x)


class TestPixels:
    def test_uint8_is_a_share_of_255_and_comes_back_by_undoing_the_normalisation(self):
        x = rows()
        problem = data.arrays(x, alternating(), x[:4], alternating(4), validation=0)
        assert torch.allclose(raw(problem)[:, 0], torch.from_numpy(x) / 255, atol=1e-5)
        assert problem.train.x.dtype == torch.float32
        assert problem.train.y.dtype == torch.int64

    def test_normalised_by_the_mean_and_deviation_of_train_alone(self):
        x, test = rows(40, (8, 8, 3)), np.zeros((4, 8, 8, 3), np.uint8)
        problem = data.arrays(x, alternating(40), test, alternating(4), validation=0)
        assert problem.spec.normalisation.mean == pytest.approx(x.mean((0, 1, 2)) / 255, abs=1e-6)
        assert problem.spec.normalisation.std == pytest.approx(x.std((0, 1, 2)) / 255, abs=1e-6)

    def test_a_constant_channel_is_not_divided_by_zero(self):
        x = rows(20, (8, 8, 3))
        x[..., 2] = 7
        problem = data.arrays(x, alternating())
        assert problem.spec.normalisation.std[2] == 1
        assert torch.isfinite(problem.train.x).all()

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((8, 9), (1, 8, 9)),
            ((8, 9, 1), (1, 8, 9)),
            ((8, 9, 3), (3, 8, 9)),
            ((3, 8, 9), (3, 8, 9)),
            ((1, 8, 9), (1, 8, 9)),
        ],
    )
    def test_layouts(self, shape, expected):
        x = rows(20, shape)
        problem = data.arrays(x, alternating(), x, alternating(), validation=0)
        assert problem.task.shape == tuple(problem.train.x.shape[1:]) == expected
        first = x[0] if shape[0] in (1, 3) else x[0].reshape(8, 9, -1).transpose(2, 0, 1)
        assert torch.allclose(raw(problem)[0], torch.from_numpy(first.copy()) / 255, atol=1e-5)

    def test_floats_in_0_1_stay_and_others_are_divided_with_a_note(self):
        x = rows() / 255
        small, large = data.arrays(x, alternating()), data.arrays(x * 255, alternating())
        assert small.spec.notes == ()
        assert large.spec.notes == ("pixels of numbers up to 255 were divided by 255",)
        assert torch.allclose(raw(small), raw(large), atol=1e-5)

    def test_zeros_and_ones_are_black_and_white(self):
        x = rows() > 127
        for form in (x, x.astype(np.uint8), x.astype(np.int64)):
            problem = data.arrays(form, alternating())
            assert raw(problem).max() == pytest.approx(1)
            assert "black and white" in problem.spec.notes[0]

    def test_transparency_goes_on_white(self):
        x = np.zeros((20, 8, 8, 4), np.uint8)
        x[..., 0] = 200
        x[:10, ..., 3] = 255  # opaque red, then fully transparent
        problem = data.arrays(x, alternating(), x, alternating(), validation=0)
        assert torch.allclose(raw(problem)[0, :, 0, 0], torch.tensor([200 / 255, 0, 0]), atol=1e-5)
        assert torch.allclose(raw(problem)[15, :, 0, 0], torch.ones(3), atol=1e-5)

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (np.full((20, 8, 8), np.nan), r"20 images of train hold NaN or infinite pixels, the first in row 0"),
            (np.random.default_rng(0).normal(size=(20, 8, 8)), r"Pixels reach from -.*undoing any normalisation"),
            (np.full((20, 8, 8), 60_000, np.uint16), r"Pixels reach from 60000 to 60000.*dividing 16-bit ones by 257"),
            (np.zeros((20, 64)), r"shape \(20, 64\): give \(n, h, w\)"),
            (np.zeros((20, 8, 8, 5)), r"shape \(20, 8, 8, 5\).*1, 3 or 4 channels"),
            (np.zeros((20, 0, 8)), r"0 x 8 x 1, which leaves no pixels"),
            (np.array([["a"] * 8] * 20), r"are of type <U1"),
            (rows(19), r"train has 19 images but 20 labels"),
            (np.zeros((0, 8, 8)), r"train has 0 images but 20 labels"),
            ([np.zeros((8, 8)), np.zeros((9, 8))], r"different sizes"),
        ],
    )
    def test_what_is_no_image_is_refused(self, x, message):
        with pytest.raises(AttarError, match=message):
            data.arrays(x, alternating())

    def test_the_first_row_with_nan_is_named(self):
        x = rows().astype(float)
        x[7, 3, 3] = np.inf
        with pytest.raises(AttarError, match=r"1 image of train holds .* first in row 7"):
            data.arrays(x, alternating())

    def test_a_test_image_of_another_size_is_refused(self):
        with pytest.raises(AttarError, match="Images of test are 9 x 9 x 1 and those of train 8 x 8 x 1"):
            data.arrays(rows(), alternating(), rows(4, (9, 9)), alternating(4))

    def test_halves_of_a_split_and_no_rows_are_refused(self):
        with pytest.raises(AttarError, match="test split has images but no labels"):
            data.arrays(rows(), alternating(), X_test=rows(4))
        with pytest.raises(AttarError, match="validation split has labels but no images"):
            data.arrays(rows(), alternating(), y_validation=alternating(4))
        with pytest.raises(AttarError, match="X and y are missing"):
            data.arrays(None, None)
        with pytest.raises(AttarError, match="arrays has no training rows"):
            data.arrays(np.zeros((0, 8, 8)), np.zeros(0))

    def test_the_users_arrays_are_left_as_they_are(self):
        x, y = rows().astype(np.float32) / 255, alternating()
        before = x.copy(), y.copy()
        problem = data.arrays(x, y, x, y, validation=0)
        problem.train.x.zero_()
        problem.train.y.zero_()
        assert np.array_equal(x, before[0])
        assert np.array_equal(y, before[1])


class TestLabels:
    @pytest.mark.parametrize(
        ("y", "names"),
        [
            (["cat", "dog"] * 10, ("cat", "dog")),
            (np.array([b"cat", b"dog"] * 10), ("cat", "dog")),
            (np.array(["cat", "dog"] * 10, dtype=object), ("cat", "dog")),
            ([3, 7] * 10, ("3", "7")),
            ([-1, 1] * 10, ("-1", "1")),
            ([0.0, 2.0] * 10, ("0", "2")),
            ([False, True] * 10, ("False", "True")),
            (np.array([0, 1] * 10, np.uint8)[:, None], ("0", "1")),
            (torch.tensor([0, 1] * 10), ("0", "1")),
        ],
    )
    def test_any_labels_become_ids_and_keep_their_names(self, y, names):
        x = rows()
        problem = data.arrays(x, y, x, y, validation=0)
        assert problem.spec.class_names == names
        assert problem.train.y.tolist() == [0, 1] * 10
        assert problem.task.classes == 2

    def test_integers_that_are_not_0_to_c_are_said_to_be_mapped(self):
        mapped = data.arrays(rows(), [3, 7] * 10)
        assert mapped.spec.notes == ("labels 3, 7 became the class ids 0 to 1, in that order",)
        assert data.arrays(rows(), [0, 1] * 10).spec.notes == ()

    def test_names_that_are_numbers_are_ordered_as_numbers(self):
        problem = data.arrays(rows(30), ["10", "9", "1"] * 10)
        assert problem.spec.class_names == ("1", "9", "10")

    def test_class_names_name_the_ids_or_order_the_names(self):
        assert data.arrays(rows(), [0, 1] * 10, class_names=["no", "yes"]).spec.class_names == ("no", "yes")
        x = rows()
        problem = data.arrays(x, ["no", "yes"] * 10, x, ["no", "yes"] * 10, class_names=["yes", "no"], validation=0)
        assert problem.train.y.tolist() == [1, 0] * 10

    @pytest.mark.parametrize(
        ("y", "class_names", "message"),
        [
            ([0] * 20, None, "one class only, '0'"),
            ([0, 1.5] * 10, None, r"label of row 1 of train is 1.5"),
            ([0, float("nan")] * 10, None, r"label of row 1 of train is nan"),
            (["a", None] * 10, None, "label of row 1 of train is missing"),
            (np.eye(2)[[0, 1] * 10], None, r"shape \(20, 2\).*argmax"),
            (np.zeros(20, complex), None, "are of type complex"),
            ([0, 1] * 10, ["a", "b", "c"], "Class 'c' has no training rows"),
            ([0, 2] * 10, ["a", "b"], "Label '2' has no name among the 2 in class_names: name the ids"),
            (["a", "d"] * 10, ["a", "b"], "Label 'd' has no name among the 2 in class_names: add it"),
            ([0, 1] * 10, ["a", "a"], "class_names holds 'a' twice"),
        ],
    )
    def test_what_is_no_class_is_refused(self, y, class_names, message):
        with pytest.raises(AttarError, match=message):
            data.arrays(rows(), y, class_names=class_names)

    def test_a_test_class_that_train_lacks_is_named(self):
        with pytest.raises(AttarError, match="Class 'cow' is in the test split but not in train"):
            data.arrays(rows(), ["cat", "dog"] * 10, rows(2), ["cat", "cow"])
        with pytest.raises(AttarError, match="text in one split and numbers in another"):
            data.arrays(rows(), ["cat", "dog"] * 10, rows(2), [0, 1])


class TestSplits:
    def test_a_stratified_fifth_and_then_a_tenth_are_cut_from_imbalanced_classes(self):
        y = np.repeat([0, 1, 2], [100, 50, 5])
        problem = data.arrays(rows(155), y)
        assert torch.bincount(problem.test.y).tolist() == [20, 10, 1]
        assert torch.bincount(problem.validation.y).tolist() == [8, 4, 1]
        assert torch.bincount(problem.train.y).tolist() == [72, 36, 3]
        assert "a stratified fifth, set aside with seed 0 (31 rows)" in problem.spec.split
        assert "a stratified 10 % of train, cut with seed 0 (13)" in problem.spec.split

    def test_no_row_is_in_two_splits_or_lost(self):
        x = np.arange(50, dtype=np.uint8)[:, None, None] * np.ones((50, 8, 8), np.uint8)
        problem = data.arrays(x, alternating(50))
        ids = [
            round(255 * float(v)) for part in ("train", "validation", "test") for v in raw(problem, part)[:, 0, 0, 0]
        ]
        assert sorted(ids) == list(range(50))

    def test_the_test_rows_do_not_depend_on_the_validation_fraction(self):
        a, b = (data.arrays(rows(50), alternating(50), validation=v) for v in (0.0, 0.3))
        assert torch.equal(raw(a, "test").mul(255).round(), raw(b, "test").mul(255).round())
        assert len(a.validation) == 0
        assert "validation: none" in a.spec.split

    def test_given_splits_are_used_as_they_are(self):
        problem = data.arrays(rows(20), alternating(), rows(6), alternating(6), rows(4), alternating(4))
        assert (len(problem.train), len(problem.validation), len(problem.test)) == (20, 4, 6)
        assert problem.spec.split.count("the source's own split") == 2

    def test_a_fraction_out_of_range_is_refused(self):
        with pytest.raises(AttarError, match=r"validation=1.0 is no share"):
            data.arrays(rows(), alternating(), validation=1.0)

    def test_classes_of_one_row_leave_nothing_to_set_aside(self):
        with pytest.raises(AttarError, match="No class has a second row to set aside for test"):
            data.arrays(rows(2), [0, 1])


class TestFingerprint:
    def test_it_follows_rows_labels_and_splits_and_nothing_else(self):
        x, y = rows(50), alternating(50)
        same = {data.arrays(x, y).spec.fingerprint, data.arrays(x[..., None], y, name="other").spec.fingerprint}
        changed = x.copy()
        changed[3, 2, 1] ^= 1
        others = {
            data.arrays(changed, y).spec.fingerprint,
            data.arrays(x, 1 - y).spec.fingerprint,
            data.arrays(x, y, seed=1).spec.fingerprint,
            data.arrays(x, y, validation=0).spec.fingerprint,
        }
        assert len(same) == 1
        assert len(others | same) == 5

    def test_it_is_the_documented_hash(self):
        import hashlib

        x, y = rows(4), alternating(4)
        problem = data.arrays(x, y, x[:2], y[:2], validation=0)
        digest = hashlib.sha256()
        for part, count in (("train", 4), ("validation", 0), ("test", 2)):
            digest.update(f"{part} uint8 ({count}, 8, 8, 1)".encode())
            digest.update(x[:count].tobytes() + y[:count].astype("<i8").tobytes())
        assert problem.spec.fingerprint == f"sha256:{digest.hexdigest()}"

    def test_a_wrong_one_is_told_with_both(self):
        problem = data.toy.images()
        data.check_fingerprint(problem, problem.spec.fingerprint)
        with pytest.raises(AttarError, match=rf"fingerprint {problem.spec.fingerprint}, recorded sha256:0"):
            data.check_fingerprint(problem, "sha256:0")
