"""DD-Ranking's scores against numbers worked out by hand, and paired differences against printed tables of t."""

import math

import pytest

from attar.evaluation.paired import paired, t_quantile
from attar.evaluation.ranking import augmentation_robust, hard_label_recovery, improvement_over_random, label_robust
from attar.types import AttarError


def test_the_two_differences():
    assert hard_label_recovery(full=0.9, hard=0.6) == pytest.approx(0.3)
    assert improvement_over_random(own=0.65, random=0.6) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("full", "hard", "own", "random", "expected"),
    [
        (0.9, 0.6, 0.65, 0.6, (0.8824969 - 0.3678794) / 2.3504024),  # alpha = 0.5 * 0.05 - 0.5 * 0.3 = -0.125
        (0.8, 0.8, 0.8, 0.8, (1 - 0.3678794) / 2.3504024),  # alpha = 0: nothing lost, nothing gained
        (0.0, 1.0, 1.0, 0.0, 1.0),  # alpha = 1, the best there is
        (1.0, 0.0, 0.0, 1.0, 0.0),  # alpha = -1, the worst
    ],
)
def test_label_robust_by_hand(full, hard, own, random, expected):
    assert label_robust(full, hard, own, random) == pytest.approx(expected, abs=1e-7)


def test_label_robust_on_fractions_is_not_the_saturated_value_of_the_public_release():
    on_percent = (math.exp(0.5 * 5 - 0.5 * 30) - math.exp(-1)) / (math.e - math.exp(-1))
    assert on_percent == pytest.approx(-0.1565, abs=1e-4)
    assert label_robust(full=0.9, hard=0.6, own=0.65, random=0.6) == pytest.approx(0.219, abs=1e-3)


def test_the_weight_moves_label_robust_between_its_two_parts():
    gain_only = label_robust(0.9, 0.6, 0.65, 0.6, weight=1.0)
    loss_only = label_robust(0.9, 0.6, 0.65, 0.6, weight=0.0)
    assert gain_only == pytest.approx((math.exp(0.05) - math.exp(-1)) / (math.e - math.exp(-1)))
    assert loss_only == pytest.approx((math.exp(-0.3) - math.exp(-1)) / (math.e - math.exp(-1)))


def test_augmentation_robust_by_hand():
    # beta = 0.5 * (0.70 - 0.60) + 0.5 * (0.52 - 0.50) = 0.06
    expected = (1.0618365 - 0.3678794) / 2.3504024
    assert augmentation_robust(0.7, 0.6, 0.52, 0.5) == pytest.approx(expected, abs=1e-7)
    # a set that gains by augmentation alone: weight 0 looks at the plain accuracies only
    assert augmentation_robust(0.9, 0.1, 0.5, 0.5, weight=0.0) == pytest.approx(0.6321206 / 2.3504024, abs=1e-7)


@pytest.mark.parametrize(
    "call",
    [
        lambda: label_robust(90.0, 60.0, 65.0, 60.0),
        lambda: label_robust(0.9, 0.6, 0.65, -0.1),
        lambda: augmentation_robust(0.7, 0.6, 52.0, 0.5),
        lambda: label_robust(0.9, 0.6, 0.65, 0.6, weight=2.0),
        lambda: label_robust(float("nan"), 0.6, 0.65, 0.6),
    ],
)
def test_percent_is_refused(call):
    with pytest.raises(AttarError, match="fractions"):
        call()


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (10, 2.228), (30, 2.042), (120, 1.980)],
)
def test_quantiles_of_t_are_those_of_printed_tables(freedom, expected):
    assert t_quantile(0.975, freedom) == pytest.approx(expected, abs=5e-4)


def test_a_quantile_of_another_probability():
    assert t_quantile(0.95, 7) == pytest.approx(1.895, abs=5e-4)
    assert t_quantile(0.5, 3) == pytest.approx(0.0, abs=1e-9)


def test_a_paired_difference_by_hand():
    # differences 0.02, 0.04, 0.06: mean 0.04, deviation 0.02, error 0.02 / sqrt(3), interval of 4.303 errors
    found = paired([0.52, 0.64, 0.96], [0.50, 0.60, 0.90])
    assert found.mean == pytest.approx(0.04)
    assert found.standard_error == pytest.approx(0.0115470)
    assert (found.low, found.high) == (pytest.approx(-0.0096828, abs=1e-6), pytest.approx(0.0896828, abs=1e-6))
    assert found.seeds == 3
    assert str(found) == "+4.0 [-1.0, +9.0]"


def test_one_pair_has_no_interval():
    assert paired([0.5], [0.4]) is None
    assert paired([], []) is None


def test_equal_differences_have_an_interval_of_no_width():
    found = paired([0.75, 0.5], [0.5, 0.25])
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)
