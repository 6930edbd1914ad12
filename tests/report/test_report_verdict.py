"""What a report says of scores, and where its charts put them."""

import dataclasses

import pytest

from attar.report import Score, sentence
from attar.report.charts import bars, curve
from attar.report.verdict import judge
from attar.report.words import duration

DM = Score("dm", "convnet3", 0.972, 0.001, 5, rows=100)
RANDOM = Score("random", "convnet3", 0.948, 0.004, 5, rows=100)
FULL = Score("full data", "convnet3", 0.994, 0.0003, 5, rows=60_000)
KEPT = "10 images a class"


def test_the_finding_in_one_sentence():
    assert (
        sentence([RANDOM, DM, FULL], "dm", KEPT) == "10 images a class keep 97.2 of 99.4 points; random rows keep 94.8."
    )
    assert sentence([DM, RANDOM], "dm") == "100 rows reach 97.2 points; random rows reach 94.8."
    assert (
        sentence([DM], "dm", KEPT)
        == "10 images a class reach 97.2 points; random rows with the same labels were not evaluated."
    )
    soft = dataclasses.replace(DM, labels="soft")
    assert sentence([soft, RANDOM], "dm", KEPT) == (
        "10 images a class reach 97.2 points; random rows with hard labels reach 94.8; random rows with the same labels were not "
        "evaluated."
    )
    assert sentence([RANDOM, FULL], "random", KEPT) == "10 images a class keep 94.8 of 99.4 points."
    assert "Not evaluated" in sentence([], "dm", KEPT)


@pytest.mark.parametrize(
    ("mean", "std", "gains"),
    [(0.9525, 0.001, True), (0.952, 0.001, False), (0.94, 0.0, False), (0.96, 0.02, False)],
)
def test_no_gain_is_said_where_the_method_is_within_a_spread_of_random(mean, std, gains):
    scores = [RANDOM, dataclasses.replace(DM, mean=mean, std=std), FULL]
    said = sentence(scores, "dm", KEPT)
    assert said.startswith("No gain over random") is not gains
    if not gains:
        assert "94.8" in said
        assert "full data 99.4" in said


def test_scores_compare_only_with_their_like():
    soft = dataclasses.replace(DM, labels="soft")
    other_model = dataclasses.replace(RANDOM, model="resnet18", mean=0.99)
    fewer = dataclasses.replace(RANDOM, rows=10, mean=0.99)
    verdict = judge([other_model, fewer, RANDOM, DM], "dm")
    assert verdict.random is RANDOM
    assert judge([RANDOM, soft, FULL], "dm").random is None
    assert judge([RANDOM, soft, FULL], "dm").full is FULL
    assert judge([RANDOM, FULL], "dm") is None
    assert judge([RANDOM, FULL, DM]).method is DM


def test_bars_start_at_zero_and_show_the_spread():
    [chart] = bars([RANDOM, DM], "dm")
    assert [(bar.name, bar.kind, bar.width) for bar in chart.bars] == [
        ("random", "other", 94.8),
        ("dm", "method", 97.2),
    ]
    assert (chart.bars[0].low, chart.bars[0].high) == (94.4, 95.2)
    assert chart.description == "random: 94.8 ± 0.4; dm: 97.2 ± 0.1"
    top = dataclasses.replace(DM, mean=0.999, std=0.01)
    assert bars([top], "dm")[0].bars[0].high == 100


def test_each_model_has_a_chart_and_labels_are_told_apart():
    soft = dataclasses.replace(DM, labels="soft")
    charts = bars([DM, soft, dataclasses.replace(RANDOM, model="mlp")], "dm")
    assert [chart.model for chart in charts] == ["convnet3", "mlp"]
    assert [bar.detail for bar in charts[0].bars] == ["hard labels", "soft labels"]


def placed(loss):
    found = curve(loss)
    return found, [tuple(map(float, point.split(","))) for point in found.path.split()]


def test_a_line_lies_where_its_ticks_say():
    found, points = placed([(0, 8.0), (50, 4.0), (100, 2.0)])
    assert [text for _, text in found.ticks] == ["2", "4", "6", "8"]
    assert [x for x, _ in points] == [0, 500, 1000]
    heights = {text: place for place, text in found.ticks}
    assert [y for _, y in points] == [heights["8"], heights["4"], heights["2"]] == [0, pytest.approx(146.7), 220]
    assert "From 8 at step 0 to 2 at step 100" in found.description


def test_a_wide_range_is_drawn_by_decades():
    found, points = placed([(0, 1000.0), (1, 100.0), (2, 1.0)])
    assert found.logarithmic
    assert [text for _, text in found.ticks] == ["1", "10", "100", "1000"]
    assert [y for _, y in points] == [0, pytest.approx(73.3), 220]


def test_long_runs_are_averaged_and_bad_values_left_out():
    found, points = placed([(step, float(step % 2)) for step in range(1200)])
    assert len(points) == 300
    assert found.each == 4
    assert {y for _, y in points} == {points[0][1]}
    found, points = placed([(0, 1.0), (1, float("nan")), (2, float("inf")), (3, 1.0)])
    assert len(points) == 2
    assert curve([(0, 1.0), (1, float("nan"))]) is None


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-7])
def test_a_constant_loss_has_a_scale(value):
    found, points = placed([(0, value), (1, value)])
    assert len(found.ticks) >= 2
    assert all(0 <= y <= 220 for _, y in points)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.44, "8.4 s"), (59.97, "1 min 0 s"), (500.2, "8 min 20 s"), (3599.6, "1 h 0 min"), (11_100, "3 h 5 min")],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


def test_random_rows_with_the_same_labels_and_with_hard_ones_are_both_told():
    learned = dataclasses.replace(DM, labels="learned", mean=0.933)
    same = dataclasses.replace(RANDOM, labels="learned", mean=0.801)
    assert sentence([learned, same, RANDOM, FULL], "dm", KEPT) == (
        "No gain over random: 10 images a class reach 93.3 points, random rows with the same labels 80.1 ± 0.4, with hard ones 94.8, "
        "full data 99.4."
    )
    level = dataclasses.replace(same, mean=0.933)
    assert sentence([learned, level, RANDOM, FULL], "dm", KEPT) == (
        "No gain over random: 10 images a class reach 93.3 points, random rows with the same labels 93.3 ± 0.4, with hard ones "
        "94.8, full data 99.4."
    )


def test_random_rows_with_hard_labels_are_beaten_by_more_than_their_own_spread():
    learned = dataclasses.replace(DM, labels="learned", mean=0.95, std=0.001)
    same = dataclasses.replace(RANDOM, labels="learned", mean=0.801, std=0.001)
    hard = dataclasses.replace(RANDOM, mean=0.93)
    assert judge([learned, same, dataclasses.replace(hard, std=0.001)], "dm").gains
    assert not judge([learned, same, dataclasses.replace(hard, std=0.05)], "dm").gains


def test_what_ridge_regression_says_stands_behind_what_a_network_does():
    kip, random = (
        Score("kip", "ridge-ntk", 0.96, 0.0, 1, rows=100),
        Score("random", "ridge-ntk", 0.75, 0.02, 3, rows=100),
    )
    by_network = [dataclasses.replace(DM, name="kip", mean=0.893), RANDOM]
    assert sentence([*by_network, kip, random], "kip", KEPT) == (
        "No gain over random: 10 images a class reach 89.3 points, random rows 94.8 ± 0.4. By ridge regression (ridge-ntk) 96.0; "
        "random rows 75.0."
    )
    assert sentence([*by_network, kip], "kip", KEPT).endswith("By ridge regression (ridge-ntk) 96.0.")


def test_a_network_speaks_before_ridge_regression():
    by_ridge = [Score("kip", "ridge-ntk", 0.94, 0.0, 1), Score("random", "ridge-ntk", 0.75, 0.02, 3)]
    by_network = [Score("kip", "convnet3", 0.88, 0.01, 3), Score("random", "convnet3", 0.879, 0.01, 3)]
    assert judge([*by_ridge, *by_network], "kip").method.model == "convnet3"
    assert sentence([*by_ridge, *by_network], "kip").startswith("No gain over random")
    assert sentence(by_ridge, "kip").endswith("random rows reach 75.0 (by ridge regression, ridge-ntk).")
