"""What is said of a comparison, and that nothing is chosen by its test score."""

import dataclasses

import pytest

from attar.report.comparison import Difference, Line, Table
from attar.report.finding import find, sentence_of

FULL = Line("full", None, "convnet3", "hard", 0.994, 0.001, 3)
RANDOM = Line("random", 10, "convnet3", "hard", 0.948, 0.004, 3, validation=0.945)
DM = Line(
    "dm", 10, "convnet3", "hard", 0.972, 0.001, 3, validation=0.970, against_random=Difference(0.024, 0.02, 0.028)
)
KMEANS = Line("kmeans", 10, "convnet3", "hard", 0.955, 0.002, 3, validation=0.953)


def said(*lines: Line) -> str:
    return sentence_of(Table("mnist", lines))


def but(line: Line, **fields) -> Line:
    return dataclasses.replace(line, **fields)


def test_what_pays_is_said_with_what_it_is_measured_by():
    assert (
        said(FULL, RANDOM, KMEANS, DM)
        == "10 images a class keep 97.2 of 99.4 points (dm, chosen by validation); random rows keep 94.8."
    )
    assert said(FULL, RANDOM, DM) == "10 images a class keep 97.2 of 99.4 points (dm); random rows keep 94.8."
    assert said(DM) == "10 images a class reach 97.2 points (dm); random rows with the same labels were not evaluated."


def test_of_what_is_decided_shares_are_told_and_nothing_is_chosen():
    judged = [but(line, model="decisions", validation=None, against_random=None) for line in (FULL, RANDOM, KMEANS, DM)]
    judged[0] = but(judged[0], mean=1.0)
    assert (
        said(*judged)
        == "10 images a class keep 95.5 with kmeans and 97.2 with dm of 100 decisions on independence; random rows keep 94.8."
    )
    assert said(*judged, FULL, RANDOM, DM) == said(FULL, RANDOM, DM)  # of a network, where there is one
    again = but(FULL, method="bootstrap", mean=0.99)
    assert said(FULL, again, RANDOM, DM) == said(FULL, RANDOM, DM)


def test_a_start_is_no_method_to_choose():
    start = but(DM, method="dm-start", mean=0.99, validation=0.99)
    assert said(FULL, RANDOM, start, DM) == said(FULL, RANDOM, DM)
    ours = but(DM, method="dm+lr=10"), but(start, method="dm-start+lr=10")
    assert said(FULL, RANDOM, *ours) == said(FULL, RANDOM, ours[0])
    assert "dm-start" in said(FULL, RANDOM, start)  # somebody's own name, where there is no dm


def test_the_choice_is_validation_not_test():
    lucky = but(KMEANS, mean=0.98)  # best on test, not by validation
    assert "97.2 of 99.4 points (dm, chosen by validation)" in said(FULL, RANDOM, lucky, DM)


def test_without_validation_no_method_is_called_the_best():
    blind = said(FULL, RANDOM, but(KMEANS, validation=None), DM)
    assert blind == (
        "10 images a class keep 95.5 with kmeans and 97.2 with dm of 99.4 points; random rows keep 94.8; "
        "no method was chosen, as not all have a validation score."
    )
    many = [but(KMEANS, method=f"m{i}", validation=None, mean=0.95 + i / 1000) for i in range(6)]
    assert "keep between 95.0 and 95.5 of 99.4 points" in said(FULL, RANDOM, *many)
    assert "m5" not in said(FULL, RANDOM, *many)


@pytest.mark.parametrize(
    ("mean", "std", "against", "pays"),
    [
        (0.972, 0.001, Difference(0.024, 0.020, 0.028), True),
        (0.950, 0.001, Difference(0.002, -0.001, 0.005), False),
        (0.950, 0.001, Difference(0.002, 0.001, 0.003), True),  # the paired interval speaks before the spreads
        (0.950, 0.001, None, False),
        (0.9525, 0.001, None, True),
    ],
)
def test_what_does_not_pay_is_said_to_bring_no_gain(mean, std, against, pays):
    text = said(FULL, RANDOM, but(DM, mean=mean, std=std, against_random=against))
    assert text.startswith("No gain over random: 10 images a class reach") is not pays
    if not pays:
        assert "random rows 94.8 ± 0.4, full data 99.4" in text


def test_a_budget_without_a_score_is_no_headline():
    failed = but(DM, per_class=500, mean=None, std=None, runs=0, failed="class '3' has 90 training rows")
    assert said(FULL, RANDOM, DM, failed).startswith("10 images a class keep 97.2")


def test_a_gain_that_may_be_chance_is_said_to_be_so():
    text = said(FULL, RANDOM, but(DM, against_random=Difference(0.024, -0.001, 0.049)))
    assert text == (
        "10 images a class keep 97.2 of 99.4 points (dm); random rows keep 94.8; so few runs do not rule out chance."
    )


def test_a_method_that_a_coreset_equals_is_told():
    assert "no gain over the best coreset" in said(RANDOM, but(DM, against_coreset=Difference(0.001, -0.002, 0.004)))
    assert "coreset" not in said(RANDOM, but(DM, against_coreset=Difference(0.01, 0.002, 0.02)))


def test_without_full_data_nothing_is_kept_of_it():
    text = said(RANDOM, DM)
    assert text == "10 images a class reach 97.2 points (dm); random rows reach 94.8."
    above = said(but(FULL, mean=0.96), RANDOM, DM)
    assert above == "10 images a class reach 97.2 points (dm); random rows reach 94.8; full data reach 96.0."


def test_failed_methods_are_named():
    failed = Line("dc", 10, "convnet3", "hard", None, failed="out of memory")
    assert said(FULL, RANDOM, DM, failed).endswith("random rows keep 94.8; dc failed.")
    assert "no method has a score beside them; dc failed" in said(FULL, RANDOM, failed)
    assert said(failed) == "10 images a class: nothing has a score; dc failed."
    assert "failed" not in said(
        FULL, RANDOM, DM, but(DM, labels="soft", mean=None, failed="x")
    )  # it has one of the two


def test_one_run_is_said_to_be_one():
    text = said(FULL, but(RANDOM, std=None, runs=1), but(DM, std=None, runs=1, against_random=None))
    assert text.endswith("random rows keep 94.8 (one run each, so chance is not told apart).")
    assert "±" not in text


def test_soft_labels_are_compared_with_random_rows_of_the_same():
    soft = but(DM, labels="soft", mean=0.98, validation=0.979)
    random = but(RANDOM, labels="soft", mean=0.96)
    text = said(FULL, RANDOM, DM, random, soft)
    assert text == (
        "10 images a class keep 98.0 of 99.4 points (dm, chosen by validation, soft labels); random rows keep 96.0."
    )


def test_random_rows_that_take_the_labels_of_a_method_stand_beside_that_method():
    kmeans = but(KMEANS, labels="soft", mean=0.96, validation=0.95)
    dm = but(DM, labels="soft", against_random=None)
    rows = [
        but(RANDOM, method=f"random, labels of {name}", labels="soft", labels_from=name, mean=mean, validation=0.999)
        for name, mean in (("kmeans", 0.80), ("dm", 0.90))
    ]
    assert "97.2 of 99.4 points (dm, chosen by validation); random rows keep 90.0." in said(FULL, *rows, kmeans, dm)


def test_a_method_that_has_only_some_of_its_runs_is_not_chosen():
    part = but(KMEANS, mean=0.99, validation=0.99, runs=1, failed="seed 1: out of memory")
    assert said(FULL, RANDOM, part, DM).endswith("97.2 of 99.4 points (dm); random rows keep 94.8; kmeans failed.")


def test_the_first_sentence_is_of_the_largest_budget_and_one_image_is_one():
    one = [but(line, per_class=1) for line in (RANDOM, DM)]
    table = Table("mnist", [FULL, *one, RANDOM, DM])
    assert sentence_of(table).startswith("10 images a class keep")
    assert sentence_of(table, find(table, 1)).startswith("1 image a class keeps 97.2")
    assert sentence_of(Table("mnist", [])) == "Nothing has been compared yet."


def test_what_is_not_finished_is_said_to_be_so():
    rows = [{"method": "dm", "per_class": 10, "mean": 0.9}]
    assert sentence_of(Table.from_json({"rows": rows, "complete": False})).startswith("So far: 10 images a class reach")
    assert sentence_of(Table.from_json({"rows": rows, "complete": True})).startswith("10 images a class reach")
    failed = [*rows, {"method": "dc", "per_class": 10, "failed": "x"}]  # complete it is not, nor is anything left to do
    assert sentence_of(Table.from_json({"rows": failed, "complete": False})).startswith("10 images a class reach")


def test_a_network_speaks_before_ridge_regression_wherever_it_is_named():
    by_ridge = [but(line, model="ridge-ntk", mean=0.5, validation=0.5) for line in (RANDOM, DM)]
    assert said(*by_ridge, FULL, RANDOM, DM) == said(FULL, RANDOM, DM)
    assert said(*by_ridge).startswith("10 images a class reach 50.0 points")
