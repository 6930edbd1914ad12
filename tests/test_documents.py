"""What the documents say of names, options and files is so."""

import inspect
import re
from pathlib import Path

import pytest

from attar import recipes
from attar.distilled import OPEN_WITHOUT_ATTAR
from attar.evaluation import Protocol
from attar.methods import METHODS
from attar.selection import Choice

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", METHODS)
def test_a_methods_page_names_all_its_settings(name):
    page = text(f"docs/methods/{name}.md")
    if "all others" in page:  # dsa has the settings of dc
        page += text("docs/methods/dc.md")
    for parameter in inspect.signature(METHODS[name]).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            assert "(../selection.md)" in page
        else:
            assert f"--{parameter.name.replace('_', '-')}" in page, parameter


def test_the_page_on_choosing_rows_names_every_method_and_all_that_may_be_asked():
    page = text("docs/selection.md")
    for option in Choice.__annotations__:
        assert f"`--{option.replace('_', '-')}" in page, option
    for name in METHODS:
        if recipes.recipe(name)["family"] == "coresets":
            assert f"(methods/{name}.md)" in page, name


@pytest.mark.parametrize("name", METHODS)
def test_reported_scores_on_a_page_are_those_of_its_recipe(name):
    page = text(f"docs/methods/{name}.md")
    for entry in recipes.recipe(name).get("reported", ()):
        spread = f" ± {entry['spread']}" if "spread" in entry else ""
        row = f"| {entry['per_class']} | {entry['score']}{spread} |"
        assert row in page, row


def test_the_ten_lines_are_those_that_are_tested():
    assert OPEN_WITHOUT_ATTAR in text("docs/distilled-format.md")


def test_the_protocol_table_has_the_protocols_numbers():
    page = text("docs/evaluation.md").replace(",", "")
    for field in ("runs", "epochs", "plain_epochs", "updates", "full_updates", "lr"):
        paper, quick = getattr(Protocol.paper, field), getattr(Protocol.quick, field)
        assert f"| {paper} | {quick} |" in page, field


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_files_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    for target in targets:
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
