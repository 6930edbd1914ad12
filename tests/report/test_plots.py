"""Where charts of scores put their points."""

import math

import pytest

from attar.report.plots import COLOURS, SHAPES, Point, byte_ticks, count_ticks, plot, second_ticks, styles

LOOK = styles(["random", "dm"], "random", "full data")


def drawn(**series):
    return plot("t", "images a class", series, LOOK, count_ticks, full=0.9)


def test_points_lie_on_a_logarithmic_axis_where_its_ticks_say():
    chart = drawn(dm=[Point(100, 0.8), Point(1, 0.4), Point(10, 0.6, 0.1)])
    assert [mark.left for mark in chart.series[0].marks] == [5.0, 50.0, 95.0]
    assert chart.ticks == ((5.0, "1"), (50.0, "10"), (95.0, "100"))
    levels = {text: place for place, text in chart.levels}
    assert [mark.top for mark in chart.series[0].marks] == [levels["40"], levels["60"], levels["80"]]
    middle = chart.series[0].marks[1]
    assert middle.top - middle.high == pytest.approx(middle.low - middle.top)
    assert middle.low - middle.top == pytest.approx((levels["40"] - levels["60"]) / 2, abs=0.1)
    assert chart.series[0].marks[0].low is None
    assert chart.line == (pytest.approx((levels["80"] + levels["100"]) / 2), "full data 90.0")


def test_the_axis_of_accuracy_ends_at_100():
    for points in (
        [Point(1, 0.97, 0.06), Point(10, 1.0)],
        [Point(1, 1.0), Point(10, 1.0)],
        [Point(1, 0.01, 0.05), Point(9, 0.2)],
    ):
        chart = plot("t", "images a class", {"dm": points}, LOOK, count_ticks, full=points[-1].mean)
        assert all(0 <= float(text) <= 100 for _, text in chart.levels)
        ends = [end for mark in chart.series[0].marks for end in (mark.top, mark.low, mark.high) if end is not None]
        assert all(0 <= end <= chart.height for end in ends)


def test_the_numbers_behind_a_chart_are_those_of_the_points():
    chart = plot("t", "size", {"dm": [Point(10, 0.6, 0.1, "1 image a class"), Point(20, 0.7)]}, LOOK, byte_ticks)
    assert chart.series[0].rows == (("10 (1 image a class)", "60.0 ± 10.0"), ("20", "70.0"))
    assert chart.description == "dm: 60.0 ± 10.0 at 10 (1 image a class) to 70.0 at 20"


def test_a_single_place_makes_no_chart_and_zero_lies_at_the_left_end():
    assert drawn(dm=[Point(10, 0.5)], random=[Point(10, 0.4)]) is None
    assert drawn() is None
    chart = drawn(dm=[Point(0.0, 0.5), Point(1, 0.5), Point(10, 0.6)])
    assert [mark.left for mark in chart.series[0].marks] == [5.0, 5.0, 95.0]


@pytest.mark.parametrize("ticks", [byte_ticks, second_ticks])
@pytest.mark.parametrize("span", [(0.5, 3e6), (2, 2.5), (1000, 60_000), (1e-4, 1e9)])
def test_an_axis_has_some_ticks_in_order_and_inside(ticks, span):
    chart = plot("t", "x", {"dm": [Point(x, 0.5) for x in span]}, LOOK, ticks)
    places = [place for place, _ in chart.ticks]
    assert 2 <= len(places) <= 5
    assert places == sorted(places)
    assert all(5 <= place <= 95 for place in places)


def test_many_budgets_are_thinned_but_their_ends_stay():
    kept = [value for value, _ in count_ticks([float(x) for x in range(1, 13)])]
    assert (kept[0], kept[-1]) == (1, 12)
    assert len(kept) <= 5


def test_every_method_has_a_look_of_its_own():
    looks = styles([f"m{i}" for i in range(COLOURS * SHAPES)], "random", "full")
    assert len(set(looks.values())) == COLOURS * SHAPES + 2
    assert math.gcd(COLOURS, SHAPES) == 1
