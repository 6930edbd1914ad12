"""Edges in words."""

import pytest

from attar.causal.edges import graph_of
from attar.errors import AttarError


def test_edges_are_read_also_where_a_name_has_an_arrow():
    graph = graph_of(["a->b", "g", "x--y"], ["a->b->g", "g -- x--y"])
    assert graph.directed == (("a->b", "g"),)
    assert graph.undirected == (("g", "x--y"),)


@pytest.mark.parametrize(
    ("edge", "said"),
    [("a=>g", "is no edge"), ("a->h", "not of two columns among a, g"), ("a->a", "edge to itself")],
)
def test_what_is_no_edge_is_refused(edge, said):
    with pytest.raises(AttarError, match=said):
        graph_of(["a", "g"], [edge])
