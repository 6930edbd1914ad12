"""Graphs: equivalence classes and extensions against enumeration, reading, and what is refused."""

import json
from itertools import combinations, permutations, product

import pytest

from attar.causal import Graph
from attar.errors import AttarError


def dags(names):
    """Every DAG of these nodes."""
    pairs = list(combinations(names, 2))
    for marks in product((None, 1, -1), repeat=len(pairs)):
        edges = [pair if mark == 1 else pair[::-1] for pair, mark in zip(pairs, marks, strict=True) if mark]
        try:
            yield Graph.dag(names, edges)
        except AttarError:
            continue


def colliders(dag):
    """Unshielded ones."""
    adjacent = {frozenset(edge) for edge in dag.edges}
    return {
        (frozenset(pair), node)
        for node in dag.names
        for pair in combinations(dag.parents(node), 2)
        if frozenset(pair) not in adjacent
    }


@pytest.fixture(scope="module")
def classes():
    """DAGs of four nodes by skeleton and colliders, which is what tells Markov equivalence (Verma and Pearl, 1990)."""
    found = {}
    for dag in dags("abcd"):
        found.setdefault((dag.skeleton, frozenset(colliders(dag))), []).append(dag)
    return found


def test_there_are_as_many_dags_and_classes_of_four_nodes_as_known(classes):
    assert sum(map(len, classes.values())) == 543
    assert len(classes) == 185


def test_the_class_of_a_dag_directs_what_all_of_its_members_direct_alike(classes):
    for members in classes.values():
        alike = set.intersection(*(set(dag.directed) for dag in members))
        for dag in members:
            assert set(dag.cpdag().directed) == alike
        assert members[0].cpdag().is_cpdag


def test_the_extension_of_a_class_is_one_of_its_members(classes):
    for members in classes.values():
        assert members[0].cpdag().extension() in members


def test_the_extension_keeps_directions_that_are_known_and_makes_no_collider():
    graph = Graph(("a", "b", "c", "d"), (("b", "a"),), (("b", "c"), ("c", "d")))
    found = graph.extension()
    assert ("b", "a") in found.directed
    assert found.skeleton == graph.skeleton
    assert colliders(found) == set()
    assert graph.cpdag().directed == ()


def test_contradicting_directions_have_no_extension():
    square = Graph(tuple("abcd"), (), (("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")))
    with pytest.raises(AttarError, match="its directions contradict each other"):
        square.extension()
    assert not square.is_cpdag
    assert not square.is_dag


def test_sachs_has_no_collider_and_asia_five_directed_edges(real_data):
    sachs = Graph.read(real_data / "bnlearn/sachs.graph.txt")
    assert len(sachs) == 11
    assert sachs.is_dag
    assert sachs.parents("X4") == ("X8", "X9", "X11")
    assert len(sachs.cpdag().undirected) == 17
    asia = Graph.read(real_data / "bnlearn/asia.graph.txt")
    assert {end for _, end in asia.cpdag().directed} == {"X6", "X7", "X8"}


def test_a_text_of_a_graph_is_read(tmp_path):
    text = tmp_path / "graph.txt"
    text.write_text("Graph Nodes:\nrain;hose;wet lawn;x\n\nGraph Edges:\n1. rain --> x\n2. hose --- x\n")
    assert Graph.read(text) == Graph(("rain", "hose", "wet lawn", "x"), (("rain", "x"),), (("hose", "x"),))
    text.write_text("Graph Nodes:\na;b\nGraph Edges:\n1. a o-> b\n")
    with pytest.raises(AttarError, match="'1. a o-> b', which is no edge"):
        Graph.read(text)
    text.write_text("a --> b")
    with pytest.raises(AttarError, match="is no text of a graph"):
        Graph.read(text)
    with pytest.raises(AttarError, match="No graph can be read"):
        Graph.read(tmp_path / "none.txt")


def test_a_graph_comes_back_from_its_record():
    graph = Graph(("a", "b", "c"), (("c", "a"),), (("c", "b"),))
    assert Graph.from_json(json.loads(json.dumps(graph.to_json()))) == graph
    with pytest.raises(AttarError, match="no record of a graph"):
        Graph.from_json({"names": ["a"]})


def test_equal_edges_make_equal_graphs_in_whatever_order_they_are_given():
    assert Graph(("a", "b", "c"), (), (("c", "a"), ("b", "a"))) == Graph(("a", "b", "c"), (), (("a", "b"), ("a", "c")))
    edges = [("a", "b"), ("b", "c"), ("a", "c")]
    assert len({Graph.dag("abc", order) for order in permutations(edges)}) == 1


def test_parents_neighbours_order_and_matrix():
    graph = Graph(("a", "b", "c"), (("c", "a"),), (("c", "b"),))
    assert graph.parents("a") == ("c",)
    assert graph.neighbours("c") == ("b",)
    assert graph.matrix().tolist() == [[0, 0, 0], [0, 0, 2], [1, 2, 0]]
    assert Graph.dag("abcd", [("d", "a"), ("a", "c"), ("d", "b")]).order == ("d", "a", "b", "c")
    assert graph.reordered(("c", "b", "a")).matrix().tolist() == [[0, 2, 1], [2, 0, 0], [0, 0, 0]]
    with pytest.raises(AttarError, match="no node 'z' among a, b, c"):
        graph.parents("z")


@pytest.mark.parametrize(
    ("names", "edges", "said"),
    [
        (("a", "b", "a"), [], "Two nodes are named 'a'"),
        (("a", "b"), [("a", "c")], "a node 'c' that is not among a, b"),
        (("a", "b"), [("a", "a")], "'a' has an edge to itself"),
        (("a", "b"), [("a", "b"), ("b", "a")], "nodes b and a have more than one edge"),
        (("a", "b", "c", "d"), [("d", "a"), ("a", "b"), ("b", "c"), ("c", "a")], "close a cycle, a -> b -> c -> a"),
    ],
)
def test_what_is_no_dag_is_refused_in_a_sentence(names, edges, said):
    with pytest.raises(AttarError, match=said):
        Graph.dag(names, edges)
