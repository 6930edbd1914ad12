"""Discovery: known structures are found, weights and sizes are read, knowledge is obeyed."""

import numpy as np
import pytest
import torch

from attar.causal import Graph, Knowledge, discover
from attar.errors import AttarError

pytest.importorskip("causallearn")

CHAIN_AND_COLLIDER = [("x0", "x1"), ("x1", "x2"), ("x2", "x4"), ("x3", "x4")]


@pytest.fixture(scope="module")
def truth():
    return Graph.dag([f"x{k}" for k in range(5)], CHAIN_AND_COLLIDER)


@pytest.mark.parametrize("algorithm", ["pc", "ges"])
def test_the_class_of_a_chain_and_a_collider_is_found(gaussian, truth, algorithm):
    found = discover(gaussian, algorithm)
    assert found.graph == truth.cpdag()
    assert found.graph.directed == (("x2", "x4"), ("x3", "x4"))
    assert found.directed is None


def test_pc_is_that_of_causal_learn_by_its_own_test(gaussian):
    from causallearn.search.ConstraintBased.PC import pc

    rng = np.random.default_rng(0)
    for _ in range(3):
        x = rng.normal(size=(200, 6)) @ (np.eye(6) + np.triu(rng.normal(size=(6, 6)) * (rng.random((6, 6)) < 0.4), 1))
        table = gaussian.replace(
            values=torch.tensor(x), columns=(*gaussian.columns, type(gaussian.columns[0])("x5")), weight=None
        )
        theirs = pc(x, 0.05, "fisherz", show_progress=False).G.graph
        own = discover(table, alpha=0.05).graph.matrix().numpy()
        assert np.array_equal(own == 1, (theirs == -1) & (theirs.T == 1))
        assert np.array_equal(own == 2, (theirs == -1) & (theirs.T == -1))


def test_pc_of_categories_is_that_of_causal_learn_by_its_own_test(discrete):
    from causallearn.search.ConstraintBased.PC import pc

    theirs = pc(discrete.values.long().numpy(), 0.01, "gsq", show_progress=False).G.graph
    own = discover(discrete).graph.matrix().numpy()
    assert np.array_equal(own == 1, (theirs == -1) & (theirs.T == 1))
    assert np.array_equal(own == 2, (theirs == -1) & (theirs.T == -1))


def test_counted_rows_have_the_graph_of_all_rows(discrete, counted):
    few = counted(discrete)
    for algorithm in ("pc", "ges"):
        own, full = discover(few, algorithm).graph, discover(discrete, algorithm).graph
        assert own == full
        assert own.edges
    assert discover(few.replace(n_represented=None, weight=None)).graph != discover(discrete).graph


def test_few_rows_of_numbers_have_the_graph_of_all_at_the_size_they_stand_for(gaussian, numbers, truth):
    root = torch.linalg.cholesky(torch.cov(gaussian.values.T, correction=0))
    corners = torch.linalg.qr(torch.cat([torch.ones(6, 1), torch.eye(6)[:, :5]], 1).double())[0][:, 1:] * 6**0.5
    rows = numbers(corners @ root.T, n_represented=600.0)
    for algorithm in ("pc", "ges"):
        assert discover(rows, algorithm).graph == truth.cpdag()
    assert discover(rows.replace(n_represented=None)).graph.edges == ()


@pytest.fixture(scope="module")
def laplace(numbers):
    """1,000 rows of b -> a, a -> c, b -> c with Laplace noise."""
    rng = np.random.default_rng(1)
    e = rng.laplace(size=(1000, 3))
    b = e[:, 1]
    a = b + e[:, 0]
    return numbers(np.stack([a, b, 0.8 * a + 0.5 * b + 0.7 * e[:, 2]], 1), "abc")


def test_lingam_finds_the_directions_of_a_full_graph(laplace):
    assert discover(laplace, "lingam").graph.directed == (("a", "c"), ("b", "a"), ("b", "c"))


def test_lingam_reads_weights_as_rows(laplace):
    weight = torch.randint(1, 3, (len(laplace),), generator=torch.Generator().manual_seed(0))
    weighed = laplace.replace(weight=weight.double(), n_represented=float(weight.sum()))
    assert discover(weighed, "lingam").graph == discover(laplace, "lingam").graph
    parts = laplace.replace(weight=weight.double(), n_represented=1000.0)
    with pytest.raises(AttarError, match="give a generator that draws some"):
        discover(parts, "lingam")
    drawn = discover(parts, "lingam", generator=torch.Generator().manual_seed(0))
    assert drawn.graph == discover(laplace, "lingam").graph


def test_pc_obeys_what_is_known(gaussian):
    def graph(**edges):
        return discover(gaussian, knowledge=Knowledge(**edges)).graph

    assert ("x0", "x1") in graph(required=[("x0", "x1")]).directed
    assert ("x1", "x2") in graph(required=[("x0", "x1")]).directed  # which follows
    assert ("x1", "x0") in graph(forbidden=[("x0", "x1")]).directed
    assert ("x0", "x3") in graph(required=[("x0", "x3")]).directed  # against the data
    apart = graph(forbidden=[("x2", "x1"), ("x1", "x2")])
    assert "x2" not in {name for edge in apart.edges if "x1" in edge for name in edge}


def test_lingam_obeys_what_is_known(laplace):
    turned = discover(laplace, "lingam", knowledge=Knowledge(required=[("a", "b")])).graph
    assert ("a", "b") in turned.directed
    without = discover(laplace, "lingam", knowledge=Knowledge(forbidden=[("b", "a"), ("a", "b")])).graph
    assert without.directed == (("a", "c"), ("b", "c"))
    around = [("a", "b"), ("b", "c"), ("c", "a")]
    with pytest.raises(AttarError, match="finds no order of the columns"):
        discover(laplace, "lingam", knowledge=Knowledge(forbidden=around))


def test_bootstraps_count_edges_and_are_drawn_by_the_generator(gaussian):
    def found():
        return discover(gaussian.only(["x2", "x3", "x4"]), bootstraps=4, generator=torch.Generator().manual_seed(1))

    one, other = found(), found()
    assert one.directed.tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    assert one.adjacent.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    assert torch.equal(one.directed, other.directed)
    assert torch.equal(one.undirected, other.undirected)
    pair = discover(gaussian.only(["x0", "x1"]), bootstraps=2, generator=torch.Generator().manual_seed(1))
    assert pair.undirected.tolist() == [[0, 1], [1, 0]]
    assert pair.adjacent.tolist() == [[0, 1], [1, 0]]


def test_bootstraps_that_lack_a_rare_category_are_left_out_and_counted(numbers):
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rare = numbers(torch.cat([x, torch.eye(8)[:, :1].double()], 1), "abc")  # one row of eight has it
    found = discover(rare, "ges", bootstraps=12, generator=torch.Generator().manual_seed(0))
    assert 0 < found.left_out < 12
    assert found.bootstraps == 12 - found.left_out
    assert found.directed.shape == (3, 3)
    assert found.note.startswith(
        f"{found.left_out} of 12 bootstraps were left out, the last one for this: Column 'c' is constant"
    )


def test_bootstraps_of_made_rows_say_that_they_mean_little(gaussian, counted, discrete):
    weighed = gaussian.only(["x2", "x3", "x4"]).replace(n_represented=1e4)
    settings = {"bootstraps": 1, "generator": torch.Generator().manual_seed(0)}
    assert "say little of how sure an edge of their source is" in discover(weighed, **settings).note
    assert discover(weighed).note == ""
    assert discover(counted(discrete), **settings).note == ""


def test_pc_tests_no_further_than_it_is_told_to(gaussian):
    assert len(discover(gaussian, order=0).graph.edges) > len(discover(gaussian).graph.edges)


def test_pc_says_nothing(gaussian, capfd):
    discover(gaussian)
    discover(gaussian, "ges")
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"algorithm": "fci"}, "no algorithm 'fci': give pc, ges or lingam"),
        ({"alpha": 0.0}, "alpha=0.0 is no level"),
        ({"bootstraps": 2}, "drawn by a generator"),
        ({"algorithm": "ges", "alpha": 0.05}, "alpha, test and order are those of pc, and ges makes no tests"),
        ({"algorithm": "lingam", "alpha": 0.01}, "lingam makes no tests"),
        ({"algorithm": "ges", "knowledge": Knowledge(forbidden=[("x0", "x1")])}, "GES takes no required or forbidden"),
        ({"knowledge": Knowledge(forbidden=[("x0", "y")])}, "a node 'y' that is not among x0, x1"),
    ],
)
def test_what_cannot_be_discovered_is_refused_in_a_sentence(gaussian, settings, said):
    with pytest.raises(AttarError, match=said):
        discover(gaussian, **settings)


def test_tables_that_an_algorithm_cannot_score_are_refused_in_a_sentence(gaussian, discrete, numbers):
    soft = discrete.replace(soft={"x0": discrete.probabilities("x0")})
    with pytest.raises(AttarError, match="GES scores categories by whole rows, and these are soft"):
        discover(soft, "ges")
    with pytest.raises(AttarError, match="'x0' has 3 categories without an order"):
        discover(discrete, "lingam")
    x = gaussian.values
    with pytest.raises(AttarError, match="'x5' is determined by the columns before it"):
        discover(numbers(torch.cat([x, x[:, :1] + x[:, 3:4]], 1)), "ges")
    with pytest.raises(AttarError, match="'x5' is constant"):
        discover(numbers(torch.cat([x, torch.ones(len(x), 1)], 1)), "lingam")


def test_knowledge_that_contradicts_itself_is_refused():
    with pytest.raises(AttarError, match="a -> b is required and forbidden"):
        Knowledge(required=[("a", "b")], forbidden=[("a", "b")])
    with pytest.raises(AttarError, match="close a cycle, a -> b -> a|more than one edge"):
        Knowledge(required=[("a", "b"), ("b", "a")])
