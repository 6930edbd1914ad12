"""Distances of graphs, by hand and against brute force."""

import math
from itertools import permutations

import pytest

from attar.causal import Changes, Graph, changes, compare
from attar.errors import AttarError

FOUR = ("a", "b", "c", "d")
TRUTH = Graph.dag(FOUR, [("a", "b"), ("b", "c"), ("d", "c")])


def test_equal_graphs_are_no_distance_apart_in_any_order_of_their_nodes():
    found = compare(Graph.dag("dcba", TRUTH.directed), TRUTH)
    assert (found.skeleton_distance, found.cpdag_distance, found.f1, found.directed_f1) == (0, 0, 1, 1)


def test_distances_of_the_skeleton_and_of_the_class_by_hand():
    # a - b turned: the same class. b - c missing: no collider, so d - c is undirected. a - d too many.
    found = compare(Graph.dag(FOUR, [("b", "a"), ("d", "c"), ("a", "d")]), TRUTH)
    assert found.skeleton_distance == 2
    assert found.cpdag_distance == 3  # b - c, a - d, and the direction of d - c
    assert (found.precision, found.recall, found.f1) == (2 / 3, 2 / 3, pytest.approx(2 / 3))
    assert (found.directed_precision, found.directed_recall) == (1 / 3, 1 / 3)
    turned = compare(Graph.dag(FOUR, [("b", "a"), ("b", "c"), ("d", "c")]), TRUTH)
    assert (turned.skeleton_distance, turned.cpdag_distance) == (0, 0)
    assert turned.directed_f1 == pytest.approx(2 / 3)


def test_directions_of_a_class_are_compared_with_those_of_the_class():
    found = compare(TRUTH.cpdag(), TRUTH)
    assert (found.directed_precision, found.directed_recall, found.cpdag_distance) == (1, 1, 0)
    empty = compare(Graph(FOUR), TRUTH)
    assert (empty.precision, empty.recall, empty.f1) == (1, 0, 0)
    assert compare(Graph(FOUR), Graph(FOUR)).f1 == 1


def test_graphs_that_are_no_class_are_compared_as_they_stand():
    square = Graph(FOUR, (), (("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")))
    found = compare(square, TRUTH)
    assert found.skeleton_distance == 1
    assert found.cpdag_distance == 3  # a - d too many, b -> c and d -> c not directed
    assert found.ancestor is None
    assert found.reason == "the judged graph is neither a DAG nor a CPDAG"


def test_a_class_without_undirected_edges_is_compared_with_one_that_has_some():
    pytest.importorskip("gadjid")
    collider, chain = Graph(FOUR, (("a", "c"), ("b", "c"))), Graph(FOUR, (), (("a", "c"), ("b", "c")))
    for found in (compare(collider, chain), compare(chain, collider), compare(Graph(FOUR), chain)):
        assert found.oset is not None
        assert found.sid is None
        assert found.reason == "sid is of two DAGs"


def test_edges_are_kept_turned_lost_and_invented_by_name():
    of = Graph.dag("dcba", [("b", "a"), ("d", "c"), ("a", "d")])
    assert changes(of, TRUTH) == Changes((("d", "c"),), (("b", "a"),), (("b", "c"),), (("a", "d"),))
    # by the classes, b - a is no edge that was turned, and without b -> c nothing directs d - c
    of_class = changes(of.cpdag(), TRUTH)
    assert of_class == Changes((("a", "b"),), (("c", "d"),), (("b", "c"),), (("a", "d"),))
    assert changes(TRUTH, TRUTH).kept == TRUTH.directed


def test_nodes_must_be_the_same():
    with pytest.raises(AttarError, match="graphs are of other nodes: a, b, and a, b, c, d"):
        compare(Graph(("a", "b")), TRUTH)


def test_the_structural_intervention_distance_is_that_of_wrong_parents():
    """Counted by d-separation: the effect of i on j is wrong if adjusting for the found parents of i does not block it, or cuts it."""
    networkx = pytest.importorskip("networkx")
    pytest.importorskip("gadjid")
    found = Graph.dag(FOUR, [("b", "a"), ("c", "b"), ("c", "d")])
    true = networkx.DiGraph(TRUTH.directed)
    wrong = 0
    for i, j in permutations(FOUR, 2):
        parents = set(found.parents(i))
        after = networkx.descendants(true, i)
        if j in parents:  # said to have no effect
            wrong += j in after
            continue
        on_the_way = {node for node in after if node == j or j in networkx.descendants(true, node)}
        forbidden = set.union(set(), *({node} | networkx.descendants(true, node) for node in on_the_way))
        back = true.copy()
        back.remove_edges_from([(i, node) for node in true.successors(i) if node in on_the_way])
        wrong += bool(parents & forbidden) or not networkx.is_d_separator(back, {i}, {j}, parents)
    distance = compare(found, TRUTH)
    assert wrong > 0
    assert distance.sid == pytest.approx(wrong / 12)
    assert distance.parent == pytest.approx(wrong / 12)
    assert distance.reason == ""
    assert not math.isnan(distance.ancestor + distance.oset)


def test_classes_have_adjustment_distances_but_no_sid():
    pytest.importorskip("gadjid")
    same = compare(TRUTH.cpdag(), TRUTH.cpdag())
    assert (same.ancestor, same.oset, same.parent, same.sid) == (0, 0, 0, None)
    assert same.reason == "sid is of two DAGs"
    assert compare(TRUTH.cpdag(), TRUTH).ancestor == 0
    assert compare(Graph(FOUR), TRUTH).ancestor > 0
