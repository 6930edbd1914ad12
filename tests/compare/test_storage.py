"""The table at equal bytes."""

from attar.compare.rows import Row
from attar.compare.storage import at_equal_bytes, left_out
from attar.compare.table import Comparison
from attar.evaluation import Protocol


def _row(method, per_class, size, labels="hard", model="mlp"):
    return Row(method, per_class, model, labels, mean=0.5, runs=1, scores=(0.5,), bytes=size)


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
