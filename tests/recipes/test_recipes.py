"""Published settings and scores."""

import inspect

import pytest

from attar import recipes
from attar.data import catalogue
from attar.methods import METHODS
from attar.types import Budget


def test_every_method_has_a_recipe_and_every_recipe_a_method():
    assert set(recipes.names()) == set(METHODS)


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_says_what_listings_print(name):
    recipe = recipes.recipe(name)
    assert recipe["name"] == name
    for key in ("family", "modality", "title", "paper"):
        assert recipe[key]


@pytest.mark.parametrize("name", recipes.names())
def test_settings_are_arguments_of_the_method_for_data_that_exist(name):
    arguments = {*inspect.signature(METHODS[name]).parameters, "steps"}
    known = {dataset.name if hasattr(dataset, "name") else dataset["name"] for dataset in catalogue()}
    tables = [*recipes.recipe(name).get("settings", ()), *recipes.recipe(name).get("reported", ())]
    for table in recipes.recipe(name).get("settings", ()):
        assert set(table) - {"data", "per_class"} <= arguments
    assert {table["data"] for table in tables if "data" in table} <= known


@pytest.mark.parametrize("name", recipes.names())
def test_reported_scores_are_percentages_with_their_source(name):
    for row in recipes.recipe(name).get("reported", ()):
        assert 1 < row["score"] <= 100
        assert 0 <= row.get("spread", 0) < 10  # a paper may give none
        assert row["source"]
        assert row["model"]


def test_settings_go_by_data_and_rows_a_class():
    assert recipes.settings("dm", "cifar10", Budget(per_class=10)) == {"steps": 20000}
    assert recipes.settings("dc", "mnist", Budget(per_class=10)) == {"steps": 10000}
    assert recipes.settings("dc", "mnist", Budget(per_class=7)) == {}
    assert recipes.settings("dc", "my-photos", Budget(per_class=10)) == {}
    assert recipes.settings("mine", "mnist", Budget(per_class=10)) == {}


def test_linba_has_as_many_rows_as_the_published_bases_leave_room_for():
    image, bases, classes = 3 * 32 * 32, 16, 10
    room = classes * image - bases * image // 4  # of one image a class, less bases of half the side
    found = recipes.settings("linba", "cifar10", Budget(per_class=1))
    assert found == {"expand": room // (bases * classes), "inner_batch": 32 * classes}


def test_tables_without_data_or_rows_hold_for_any_and_later_ones_win(monkeypatch):
    tables = [{"lr": 1.0, "steps": 5}, {"data": "mnist", "steps": 7}, {"data": "mnist", "per_class": 50, "lr": 10.0}]
    monkeypatch.setattr(recipes, "recipe", lambda name: {"settings": tables})
    assert recipes.settings("x", "svhn", Budget(size=30)) == {"lr": 1.0, "steps": 5}
    assert recipes.settings("x", "mnist", Budget(size=30)) == {"lr": 1.0, "steps": 7}
    assert recipes.settings("x", "mnist", Budget(per_class=50)) == {"lr": 10.0, "steps": 7}


def test_reported_scores_go_by_data_and_rows_a_class():
    [row] = recipes.reported("dm", "cifar10", Budget(per_class=10))
    assert (row["score"], row["spread"]) == (48.9, 0.6)
    assert recipes.reported("dm", "cifar10", Budget(per_class=11)) == []
    assert [recipes.reported("dsa", "cifar10", Budget(per_class=n))[0]["score"] for n in (1, 10, 50)] == [
        28.8,
        52.1,
        60.6,
    ]
