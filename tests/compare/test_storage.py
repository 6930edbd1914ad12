"""The table at equal bytes."""

from dataclasses import replace

import pytest

from attar.compare.rows import Row
from attar.compare.storage import at_equal_bytes, left_out
from attar.compare.table import Comparison
from attar.evaluation import Protocol
from attar.evaluation.paired import paired


def _row(method, per_class, size, labels="hard", model="mlp"):
    return Row(method, per_class, model, labels, mean=0.5, runs=1, scores=(0.5,), seeds=(0,), bytes=size)


def test_what_takes_as_much_storage_stands_together():
    rows = [
        _row("full", None, 9000),
        _row("random", 1, 100),
        _row("soft", 1, 130, "soft"),
        _row("small", 1, 20),
        _row("random", 10, 1000),
        _row("soft", 10, 1300, "soft"),
        _row("small", 10, 200),
        _row("small", 50, 900),
    ]
    places = at_equal_bytes(rows)
    assert [(place.bytes, place.per_class) for place in places] == [(100, 1), (1000, 10)]
    told = [[(row.method, row.per_class) for row in place.rows] for place in places]
    assert told == [[("random", 1), ("small", 1)], [("random", 10), ("soft", 1), ("small", 50)]]


def test_differences_are_to_random_rows_of_the_same_storage():
    def row(method, per_class, size, *scores, labels="hard", labels_from=None):
        return Row(
            method,
            per_class,
            "mlp",
            labels,
            labels_from,
            sum(scores) / 2,
            runs=2,
            scores=scores,
            seeds=(0, 1),
            bytes=size,
        )

    rows = [
        row("random", 1, 100, 0.5, 0.52),
        replace(row("weighted", 1, 104, 0.6, 0.63), against_random=paired([0.6, 0.63], [0.5, 0.52]), best_coreset="x"),
        row("random", 3, 300, 0.7, 0.74),
        row("random", 1, 140, 0.55, 0.55, labels="soft", labels_from="soft"),
        row("soft", 1, 140, 0.8, 0.81, labels="soft"),
    ]
    _, place = at_equal_bytes(rows)
    found = {row.name: row for row in place.rows}
    assert found["weighted"].against_random.mean == pytest.approx(-0.105)
    assert found["weighted"].best_coreset is None
    assert found["soft"].against_random.mean == pytest.approx(0.255)
    assert found["random"].against_random is None


def test_networks_have_tables_of_their_own():
    rows = [_row("random", 1, 100, model=model) for model in ("mlp", "convnet3")]
    assert [(place.model, len(place.rows)) for place in at_equal_bytes(rows)] == [("mlp", 1), ("convnet3", 1)]


def test_what_takes_more_than_random_rows_of_every_budget_is_named():
    rows = [
        _row("random", 1, 100),
        _row("random", 10, 1000),
        _row("soft", 1, 130, "soft"),
        _row("soft", 10, 1300, "soft"),
        _row("large", 1, 5000),
    ]
    assert [(row.method, row.per_class) for row in left_out(rows)] == [("soft", 10), ("large", 1)]
    shown = Comparison("toy", {}, Protocol.quick, tuple(rows), seeds=1, networks=1)
    said = "random rows of every budget: soft, soft labels, 10 a class (1,300 bytes); large, 1 a class (5,000 bytes)."
    assert f"Left out, as they take more than {said}" in shown.table(equal_bytes=True).splitlines()
    assert "Left out" not in shown.table()
    whole = Comparison("toy", {}, Protocol.quick, tuple(rows[:3]), seeds=1, networks=1)
    assert "Left out" not in whole.table(equal_bytes=True)
