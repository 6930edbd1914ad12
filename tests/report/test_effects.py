"""Effects with intervals, and prediction against kept decisions."""

import pytest

from attar.errors import AttarError
from attar.report.effects import HEIGHT, effect_intervals, forests, trade_off, traded


def estimate(value, wide):
    return {"estimate": value, "low": value - wide, "high": value + wide}


ROW = {
    "effect": "dose on <recovery>", "estimator": "ipw", "unit": "days a mg", "full": estimate(4.0, 1.0),
    "of": estimate(2.0, 2.0), "floor": (3.5, 4.5), "errors": -3.9, "truth": 4.25,
}  # fmt: skip


def test_intervals_lie_where_the_axis_says():
    (chart,) = forests([ROW])
    at = {float(text): place for place, text in chart.ticks}
    low, high = min(at), max(at)
    (line,) = chart.lines

    def place(value):
        return pytest.approx(100 * (value - low) / (high - low), abs=0.01)

    assert (line.full.low, line.full.at, line.full.high) == (place(3), place(4), place(5))
    assert (line.of.low, line.of.at, line.of.high) == (place(0), place(2), place(4))
    assert line.of.cut == (False, False)
    assert (line.floor[0], sum(line.floor)) == (place(3.5), place(4.5))
    assert line.truth == place(4.25)
    assert chart.zero == place(0)


def test_numbers_stand_in_the_text(reader):
    found = reader(effect_intervals([ROW]))
    for told in ("4.00", "(3.00 to 5.00)", "2.00", "(0.00 to 4.00)", "-3.90", "days a mg", "dose on <recovery>", "ipw"):
        assert told in found.text
    (picture,) = [one for one in found.all("svg") if one.get("role") == "img"]
    assert "full data 4.00 (3.00 to 5.00), distilled rows 2.00 (0.00 to 4.00), truth 4.25" in picture["aria-label"]


def test_a_very_wide_interval_is_cut_and_says_so():
    (chart,) = forests([{**ROW, "of": estimate(4.1, 500)}])
    (line,) = chart.lines
    assert line.of.cut == (True, True)
    assert (line.of.low, line.of.high) == (0, 100)
    assert line.full.high - line.full.low > 15
    assert line.texts[1] == ("4.10", "(-495.90 to 504.10)")


def test_effects_of_other_units_have_other_axes():
    charts = forests([ROW, {**ROW, "unit": "points", "full": estimate(400, 1)}, {**ROW, "estimator": "aipw"}])
    assert [(chart.unit, len(chart.lines)) for chart in charts] == [("days a mg", 2), ("points", 1)]


def test_a_refused_estimate_says_why(reader):
    why = "The arms of 'dose' do not overlap."
    (chart,) = forests([{**ROW, "of": why}])
    assert chart.lines[0].of is None
    assert why in reader(effect_intervals([{**ROW, "of": why}, {**ROW, "full": why, "of": why}])).text
    assert reader(effect_intervals([{"effect": "e", "estimator": "ipw", "full": why, "of": why}])).text
    assert effect_intervals([]) == ""
    with pytest.raises(AttarError, match="'e' has no 'of'"):
        forests([{"effect": "e", "estimator": "ipw", "full": why}])


POINTS = [
    {"weight": 1.0, "kept": 0.9, "score": 0.80, "kept_std": 0.01, "score_std": 0.02},
    {"weight": 0.0, "kept": 0.7, "score": 0.85},
]


def test_points_of_a_trade_off_lie_where_the_axes_say():
    chart = traded(POINTS, full=0.9, random=(0.6, 0.75), bootstrap=0.95)
    assert [mark.label for mark in chart.marks] == ["0", "1"]  # by weight
    across, levels = ({text: place for place, text in ticks} for ticks in (chart.across, chart.levels))
    assert chart.marks[0].x == across["70"]
    assert chart.marks[1].x == across["90"]
    assert chart.marks[0].y == levels["85"]
    assert chart.marks[1].y == levels["80"]
    assert chart.full == levels["90"]
    assert chart.random == (across["60"], levels["75"])
    assert chart.bootstrap == pytest.approx((across["90"] + across["100"]) / 2)
    assert chart.marks[0].wide is None
    left, right = chart.marks[1].wide
    assert (left + right) / 2 == pytest.approx(chart.marks[1].x)
    assert left < right
    low, high = chart.marks[1].high
    assert 0 <= high < chart.marks[1].y < low <= HEIGHT


def test_numbers_of_a_trade_off_stand_in_the_text(reader):
    found = reader(trade_off(POINTS, full=0.9, random=(0.6, 0.75), bootstrap=0.95, metric="accuracy <of> trees"))
    for told in ("80.0 ± 2.0", "90.0 ± 1.0", "85.0", "full data: 90.0", "random rows: 75.0 at 60.0 kept",
                 "a bootstrap keeps 95.0", "accuracy <of> trees", "weight 0: 70.0 kept, score 85.0"):  # fmt: skip
        assert told in found.text
    assert trade_off([]) == ""


def test_one_point_and_points_at_one_place_are_drawn():
    assert len(traded(POINTS[:1]).marks) == 1
    perfect = [{"weight": weight, "kept": 1.0, "score": 1.0} for weight in (0.1, 1.0)]
    chart = traded(perfect, full=1.0)
    assert len({mark.beside for mark in chart.marks}) == 2  # their labels lie apart
    assert max(float(text) for _, text in chart.across) == 100
