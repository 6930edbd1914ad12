"""Where the nodes and edges of a picture lie."""

import random

import pytest

from attar.report.layers import ROW, downward, layered


def test_edges_lead_down_and_the_first_wish_counts():
    assert downward(3, [(0, 1), (1, 0), (1, 2), (2, 0)]) == [(0, 1), (1, 2), (0, 2)]
    assert downward(2, []) == []


def random_graph(nodes, edges, seed):
    draw = random.Random(seed)
    pairs = [(first, second) for first in range(nodes) for second in range(first + 1, nodes)]
    return [draw.choice((40.0, 70.0, 130.0)) for _ in range(nodes)], draw.sample(pairs, edges)


@pytest.mark.parametrize(("nodes", "edges"), [(8, 12), (15, 30), (25, 40)])
def test_no_node_covers_another_and_no_edge_runs_through_one(nodes, edges):
    widths, pairs = random_graph(nodes, edges, seed=nodes)
    layout = layered(widths, pairs, room=400)
    boxes = [(x - width / 2, x + width / 2, y) for (x, y), width in zip(layout.nodes, widths, strict=True)]
    for at, (left, right, y) in enumerate(boxes):
        assert left >= 0
        assert right <= layout.width
        assert 0 < y < layout.height
        for other_left, other_right, other_y in boxes[:at]:
            assert y != other_y or right + 1 < other_left or other_right + 1 < left
    assert set(layout.routes) == set(pairs)
    for (upper, lower), way in layout.routes.items():
        assert [y for _, y in way] == sorted(y for _, y in way)
        assert way[0][1] == layout.nodes[upper][1] + ROW / 2
        assert way[-1][1] == pytest.approx(layout.nodes[lower][1] - ROW / 2)
        assert boxes[upper][0] < way[0][0] < boxes[upper][1]
        for place, (x, y) in enumerate(way[1:-1]):
            beside = [box for box in boxes if abs(box[2] - (y + ROW / 2 if place % 2 == 0 else y - ROW / 2)) < 1e-6]
            assert all(x < left or right < x for left, right, _ in beside)


def test_what_can_be_drawn_without_a_crossing_is():
    """Two chains, their nodes named crosswise."""
    layout = layered([40.0] * 6, [(0, 3), (1, 2), (3, 4), (2, 5)], room=300)
    across = [x for x, _ in layout.nodes]
    assert (across[0] - across[1]) * (across[3] - across[2]) > 0
    assert (across[3] - across[2]) * (across[4] - across[5]) > 0


def test_the_same_graph_has_the_same_layout_and_none_has_none():
    widths, pairs = random_graph(12, 20, seed=1)
    assert layered(widths, pairs, 330) == layered(widths, pairs, 330)
    assert layered([], [], 330).nodes == ()
    alone = layered([100.0] * 5, [], 330)
    assert alone.routes == {}
    assert len({y for _, y in alone.nodes}) == 3
