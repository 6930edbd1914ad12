"""Causal graphs side by side: what is kept, lost and invented, at the same places."""

import re

import pytest

from attar.causal import Graph
from attar.errors import AttarError
from attar.report.graphs import MOST, Change, changes, counts_sentence, graphs_side_by_side

NAMES = ("a", "b", "c", "d")
FULL = Graph(NAMES, (("a", "b"), ("b", "c"), ("b", "d")))
OF = Graph(NAMES, (("a", "b"), ("c", "b"), ("c", "d")))


def drawn(text):
    """Of each picture the places of its nodes, and its strokes with their kinds."""
    pictures = re.findall(r"<svg role=\"img\".*?</svg>", text, re.S)
    places = [re.findall(r'<rect x="(.*?)" y="(.*?)"', one) for one in pictures]
    strokes = [
        re.findall(r'<g class="stroke"><title>(.*?)</title><path class="edge (\w+)" d="(.*?)"', p) for p in pictures
    ]
    return places, strokes


def test_edges_are_kept_turned_lost_and_invented():
    assert changes(OF, FULL) == [
        Change(("a", "b"), True, "kept"),
        Change(("c", "b"), True, "turned", "b → c"),
        Change(("c", "d"), True, "invented"),
        Change(("b", "d"), True, "lost"),
    ]
    unsure = Graph(NAMES, (), (("a", "b"), ("b", "c"), ("b", "d")))
    assert [change.kind for change in changes(unsure, FULL)] == ["kept"] * 3  # the same class
    collider = Graph(NAMES[:3], (("a", "b"), ("c", "b")))
    chain = Graph(NAMES[:3], (), (("a", "b"), ("b", "c")))
    assert [(change.kind, change.was) for change in changes(chain, collider)] == [
        ("turned", "a → b"),
        ("turned", "c → b"),
    ]


def test_the_counts_are_told():
    told = counts_sentence(OF, FULL, "the few", "the many")
    assert told == (
        "Of the 3 edges in the graph of the many, that of the few keeps 2 (directs 1 of them otherwise) and loses 1, and it "
        "invents 1."
    )
    none = Graph(NAMES)
    assert counts_sentence(OF, none, "x", "y") == "The graph of y has no edges; that of x invents 3."
    assert counts_sentence(none, none, "x", "y").endswith("invents none.")


def test_both_pictures_have_the_same_places(reader):
    text = graphs_side_by_side(FULL, OF)
    places, strokes = drawn(text)
    assert len(places) == 2
    assert places[0] == places[1]
    assert len(places[0]) == 4
    assert [[stroke[:2] for stroke in one] for one in strokes] == [
        [("a → b, kept", "kept"), ("b → c, kept", "kept"), ("b → d, kept", "kept")],
        [("a → b, kept", "kept"), ("c → b, directed otherwise", "turned"), ("b → d, lost", "lost"),
         ("c → d, invented", "invented")],
    ]  # fmt: skip
    way = {name: line for name, _, line in strokes[0]}, {name: line for name, _, line in strokes[1]}
    assert way[0]["b → d, kept"] == way[1]["b → d, lost"]  # in the place it would have
    found = reader(text)
    rows = re.findall(r'named">(.*?)</span>.*?</svg>(.*?)</span>', text)
    assert rows == [("b → d", "lost"), ("c → d", "invented"), ("c → b", "directed otherwise, was b → c")]
    assert "against the full data: 1 kept, 1 directed otherwise, 1 lost and 1 invented" in found.text
    assert len({one["id"] for one in found.all("title") if "id" in one}) == 2
    assert text == graphs_side_by_side(FULL, OF)


def test_the_truth_stands_beside_them_and_nodes_may_come_in_another_order(reader):
    truth = Graph(("d", "c", "b", "a"), (("a", "b"), ("c", "d")))
    text = graphs_side_by_side(FULL, OF, truth)
    places, strokes = drawn(text)
    assert len(places) == 3
    assert places[0] == places[1] == places[2]
    assert {kind for _, kind, _ in strokes[0]} == {"kept"}
    assert {name for name, kind, _ in strokes[1] if kind == "lost"} == {"c → d, lost"}
    assert "linked in the truth" in reader(text).text
    assert re.findall(r"</span></td><td>(\w+)</td>", text) == ["no", "yes", "no"]


def test_undirected_edges_have_no_head():
    text = graphs_side_by_side(Graph(("a", "b"), (), (("a", "b"),)), Graph(("a", "b"), (("b", "a"),)))
    first, second = re.findall(r"<svg role=\"img\".*?</svg>", text, re.S)
    assert 'class="head' not in first
    assert second.count('class="head') == 1
    assert "a — b" in first


def test_names_are_escaped_and_long_ones_cut(reader):
    odd = ('<b>&"x"', "y" * 60)
    text = graphs_side_by_side(Graph(odd, ((odd[0], odd[1]),)), Graph(odd))
    assert "<b>" not in text
    assert '&"' not in text
    found = reader(text)
    assert f"{odd[0]} → {odd[1]}" in found.text
    assert "yyy…" in found.text


@pytest.mark.parametrize("names", [(), ("alone",)])
def test_graphs_of_no_node_or_one(names, reader):
    found = reader(graphs_side_by_side(Graph(names), Graph(names), Graph(names)))
    assert "has no edges" in found.text
    assert found.all("rect") == [] if not names else len(found.all("rect")) == 3
    assert found.all("table") == []


def test_too_many_nodes_are_not_drawn(reader):
    names = tuple(f"n{place}" for place in range(MOST + 1))
    found = reader(graphs_side_by_side(Graph(names, (("n0", "n1"),)), Graph(names)))
    assert "none is drawn above 60" in found.text
    assert found.all("rect") == []
    assert "n0 → n1" in found.text


def test_graphs_of_other_nodes_are_refused():
    with pytest.raises(AttarError, match="other nodes"):
        graphs_side_by_side(FULL, Graph(("a", "b")))
