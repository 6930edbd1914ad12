"""The pages in a real browser: they load without an error, fit three widths, and can be used by mouse and keyboard."""

import json
import re
import shutil

import numpy as np

from attar import rng
from attar.methods import random
from attar.report import Page, Pictures, Table, of_run, render_comparison, write
from attar.report.render import save
from attar.report.sets import SetOnDisk
from attar.runs import RunDirectory
from attar.types import Budget

WIDTHS = (360, 768, 1280)


def fits(page) -> None:
    """Nothing lies beyond the right edge, but for what scrolls in its own box."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= seen, width


def test_the_page_of_a_run(tab, tmp_path, page_of_a_run):
    write(page_of_a_run, tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.get_by_role("heading", name="pets, distilled by dm").is_visible()
    assert tab.get_by_text("<b>bird</b>").first.is_visible()
    assert all(tab.evaluate("[...document.images].map((image) => image.complete && image.naturalWidth)"))
    tab.get_by_text("The numbers of: Accuracy against size").click()
    assert tab.get_by_role("region", name="Numbers of: Accuracy against size").is_visible()
    fits(tab)


def test_what_was_not_compared_does_not_widen_the_page(tab, tmp_path, comparison_record):
    record = comparison_record()
    last = max(row["per_class"] or 0 for row in record["rows"])
    record["rows"] = [row for row in record["rows"] if (row["method"], row["per_class"]) != ("kmeans", last)]
    save(render_comparison(Table.from_json(record)), tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.get_by_text("not compared").count()
    fits(tab)


def test_the_page_of_a_comparison(tab, tmp_path, comparison_record):
    draw = np.random.default_rng(0)
    images = Pictures(draw.random((40, 1, 28, 28), dtype=np.float32), np.arange(10).repeat(4))
    record = comparison_record(notes=["x" * 120], command="attar compare " + "--flag value " * 30)
    sets = [SetOnDisk(method, budget, images, (), None) for method in ("random", "dm") for budget in (10, 50)]
    save(render_comparison(Table.from_json(record), sets, images), tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.get_by_text("50 images a class keep 98.3 of 99.4 points").is_visible()
    tab.get_by_label("why: sentence 1").first.click()
    assert tab.url.endswith("#failure-1")
    every = tab.get_by_text("50 lines with all that was measured")
    every.focus()
    tab.keyboard.press("Enter")
    assert tab.get_by_role("region", name="All that was measured").is_visible()
    closed = tab.get_by_role("region", name="Pictures, 10 a class")
    assert not closed.is_visible()
    tab.locator("summary", has_text=re.compile("^10 images a class")).last.click()
    assert closed.is_visible()
    fits(tab)
    tab.emulate_media(color_scheme="dark")
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.emulate_media(color_scheme="light")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_the_settings_of_methods_unfold_by_keyboard(tab, tmp_path, comparison_record, settings_record):
    record = comparison_record(methods=settings_record)
    save(render_comparison(Table.from_json(record)), tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    rate = tab.get_by_role("row", name="optimisers data lr 10.0")
    assert not rate.is_visible()
    tab.locator("summary", has_text="dm: 1,000 steps, 1 setting differs from the defaults of dm").press("Enter")
    assert rate.is_visible()
    assert tab.get_by_role("table", name="Settings of dm").get_by_role("rowheader").all_inner_texts() == [
        "steps", "Other than the defaults of dm", "optimisers data lr", "Defaults of dm", "type", "optimisers data",
        "optimisers data momentum", "name",
    ]  # fmt: skip
    fits(tab)


def test_a_score_is_seen_beside_a_long_name_on_a_phone(tab, tmp_path, comparison_record):
    record = json.dumps(comparison_record()).replace('"dm"', '"kmeans+by=all+centres=medoids+deduplicate=0.95"')
    record = json.loads(record.replace('"dc"', f'"a-function-of-ones-own{"x" * 40}"'))
    save(render_comparison(Table.from_json(record)), tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    fits(tab)
    tab.set_viewport_size({"width": 360, "height": 900})
    for row in tab.get_by_role("region", name="convnet3, hard labels").locator("tr").all():
        box = row.locator(".n").first.bounding_box()
        assert box["x"] + box["width"] <= 360 - 16
    assert [word for word in broken(tab, ".grid tbody") if "xxx" not in word] == []


def test_what_is_wider_than_the_page_fades_out_until_its_end(tab, tmp_path, comparison_record):
    save(render_comparison(Table.from_json(comparison_record())), tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    region = tab.get_by_role("region", name="convnet3, hard labels")

    def fading() -> float:
        tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return region.evaluate("(div) => parseFloat(getComputedStyle(div).getPropertyValue('--more-x'))")

    assert fading() == 0  # all of it is seen
    tab.set_viewport_size({"width": 360, "height": 900})
    assert fading() > 20
    region.focus()
    assert region.evaluate("(div) => getComputedStyle(div).maskImage") == "none"  # its outline is whole
    region.evaluate("(div) => div.scrollTo(div.scrollWidth, 0)")
    assert fading() == 0


def test_the_table_of_chosen_rows_scrolls_by_keyboard(tab, tmp_path):
    images = Pictures(np.random.default_rng(0).random((60, 1, 8, 8), dtype=np.float32), np.arange(6).repeat(10))
    records = [{"row": f"photos/of/a/long/name/{row}.jpg", "class": "cat", "reason": "far " * 9} for row in range(60)]
    page = Page(
        title="pets, rows chosen by k_center", sentence="x", method="k_center", data="pets", budget="10 images a class",
        command="attar", class_names=list("abcdef"), distilled=images, real=images, chosen=records,
    )  # fmt: skip
    write(page, tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.get_by_role("list", name="10 chosen images of b").get_by_role("listitem").count() == 10
    region = tab.get_by_role("region", name="Why these rows")
    region.focus()
    tab.keyboard.press("PageDown")
    for _ in range(100):
        if region.evaluate("(div) => div.scrollTop") > 50:
            break
        tab.wait_for_timeout(20)
    assert region.evaluate("(div) => div.scrollTop") > 50
    head = region.locator("thead th").first
    assert abs(head.bounding_box()["y"] - region.bounding_box()["y"]) < 2  # the head stays
    fits(tab)


def test_the_key_leaves_the_address_and_is_kept(tab, runs, serving):
    address = serving(runs).address("/")
    tab.goto(address)
    assert "key" not in tab.url
    tab.reload()
    assert tab.get_by_role("link", name="done", exact=True).is_visible()


def test_the_list_sorts_filters_and_leads_on(tab, runs, serving):
    tab.goto(serving(runs).address("/"))

    def names() -> list[str]:
        return [link.strip() for link in tab.locator("tbody tr:not([hidden]) th > a").all_inner_texts()]

    fits(tab)
    tab.get_by_role("button", name="name", exact=True).press("Enter")
    assert names() == ["deep/going", "done", "stopped", "table"]
    tab.get_by_role("button", name="name", exact=True).click()
    assert names() == ["table", "stopped", "done", "deep/going"]
    tab.get_by_role("button", name="accuracy").click()
    assert names()[0] == "done"  # the only one that has a score
    assert tab.locator("th[aria-sort]").inner_text().strip() == "accuracy"
    tab.get_by_label("Filter").fill("UNDER way")
    assert names() == ["deep/going"]
    assert tab.locator("#count").inner_text() == "1 of 4"
    tab.get_by_label("Filter").fill("")
    side = tab.get_by_role("button", name="Two side by side")
    assert side.is_disabled()
    tab.get_by_label("choose done").press("Space")
    tab.get_by_label("choose deep/going").click()
    assert tab.get_by_label("choose stopped").is_disabled()
    side.click()
    assert tab.get_by_role("heading", name="What differs").is_visible()
    assert tab.locator(".live").count() == 2
    fits(tab)
    tab.get_by_role("link", name="attar · view").click()
    tab.get_by_role("link", name="report of table").click()
    assert tab.title() == "the table"


def test_the_list_is_seen_whole_at_any_width(tab, runs, serving, comparison_record):
    record = json.dumps(comparison_record()).replace('"dm"', '"kmeans+by=all+centres=medoids+deduplicate=0.95"')
    (runs / "table" / "comparison.json").write_text(record.replace('"dc"', '"facility_location+features=convnet3"'))
    tab.goto(serving(runs).address("/"))
    region = tab.get_by_role("region", name="Runs and comparisons")
    done = tab.get_by_role("row", name="done")
    for width in (1280, 768, 360):
        tab.set_viewport_size({"width": width, "height": 900})
        assert region.evaluate("(div) => div.scrollWidth - div.clientWidth") <= 0, width
        assert broken(tab, ".listing tbody") == [], width
        for seen in (done.get_by_text("finished"), done.get_by_text("90.0"), done.get_by_role("link", name="report")):
            box = seen.bounding_box()
            assert box["x"] >= 0, width
            assert box["x"] + box["width"] <= width, width
    tab.get_by_role("button", name="accuracy").click()
    assert tab.locator("tbody th > a").first.inner_text() == "done"
    tab.get_by_label("Filter").fill("under way")
    assert not done.is_visible()


def test_a_run_that_begins_joins_the_list_and_all_else_stays(tab, runs, serving, new_run, toy):
    tab.goto(serving(runs).address("/"))

    def names() -> list[str]:
        return [link.strip() for link in tab.locator("tbody tr:not([hidden]) th > a").all_inner_texts()]

    tab.get_by_role("button", name="name", exact=True).click()
    tab.get_by_label("Filter").fill("toy")
    tab.get_by_label("choose stopped").check()
    tab.get_by_role("link", name="stopped").focus()
    new_run(runs / "a-new-one", name="dc")
    new_run(runs / "another", name="dc")  # filtered out: it is of other data
    settings = json.loads((runs / "another" / "settings.json").read_text())
    settings["problem"]["name"] = "mnist"
    (runs / "another" / "settings.json").write_text(json.dumps(settings))
    tab.get_by_role("link", name="a-new-one").wait_for()
    assert names() == ["a-new-one", "deep/going", "done", "stopped"]
    assert tab.locator("#count").inner_text() == "4 of 6"
    assert tab.get_by_label("choose stopped").is_checked()
    assert tab.get_by_role("link", name="stopped").evaluate("(link) => link === document.activeElement")
    assert tab.locator("#said").inner_text() == "New: a-new-one, stopped."
    tab.get_by_label("choose a-new-one").check()  # it is one of the two that may be chosen
    assert tab.get_by_label("choose done").is_disabled()
    tab.get_by_role("button", name="state", exact=True).click()
    assert names()[-1] == "deep/going"
    tab.get_by_role("link", name="deep/going").focus()
    going = RunDirectory(runs / "deep" / "going")
    going.finish(random().finish(toy, Budget(per_class=1), rng.generator(0, "x")), {"seconds": 20.0}, True)
    tab.get_by_role("row", name="deep/going").locator(".badge.finished").wait_for()
    assert names()[:2] == ["done", "deep/going"]  # it has moved up
    assert tab.get_by_role("link", name="deep/going").evaluate("(link) => link === document.activeElement")
    assert tab.locator("#said").inner_text() == "deep/going: finished."
    shutil.rmtree(runs / "stopped")
    tab.get_by_role("link", name="stopped").wait_for(state="detached")
    assert tab.get_by_label("choose done").is_enabled()


def test_what_is_looked_at_in_a_long_list_stays_where_it_is(tab, runs, serving, new_run):
    for place in range(40):
        new_run(runs / f"run-{place:02}")
    tab.goto(serving(runs).address("/"))
    tab.get_by_role("button", name="name", exact=True).click()
    link = tab.get_by_role("link", name="run-30")
    link.scroll_into_view_if_needed()
    tab.wait_for_timeout(50)
    before = link.bounding_box()["y"]
    new_run(runs / "a-new-one")
    tab.get_by_role("link", name="a-new-one").wait_for()
    assert abs(link.bounding_box()["y"] - before) < 2


def test_the_first_run_of_a_folder_shows_itself(tab, tmp_path, serving, new_run):
    (tmp_path / "empty").mkdir()
    tab.goto(serving(tmp_path / "empty").address("/"))
    assert tab.get_by_text("no run and no comparison in this folder yet").is_visible()
    new_run(tmp_path / "empty" / "first")
    tab.get_by_role("link", name="first").wait_for()


def test_the_settings_of_two_runs_keep_their_words_whole_on_a_phone(tab, runs, serving):
    going = runs / "deep" / "going"
    settings = json.loads((going / "settings.json").read_text())
    other = {"function": "attar.distances.distributions:characteristic_distance", "initial": "RandomReal"}
    settings["method"]["fields"] |= other
    settings["command"] = "attar distill dm toy --keep one,another,a-third-one,all-of-the-others"
    (going / "settings.json").write_text(json.dumps(settings))
    tab.goto(serving(runs).address("/runs?run=done&run=deep/going"))
    fits(tab)
    tab.set_viewport_size({"width": 360, "height": 900})
    assert broken(tab, ".settings") == []


def broken(page, where: str) -> list[str]:
    """The words that stand on two lines, and may not be divided: each piece between two places for a break is a word."""
    return page.evaluate(
        """(where) => {
          const found = [];
          const walk = document.createTreeWalker(document.querySelector(where), NodeFilter.SHOW_TEXT);
          for (let node = walk.nextNode(); node; node = walk.nextNode())
            for (const word of node.data.matchAll(/[\\w.:,]+/g)) {
              const range = document.createRange();
              range.setStart(node, word.index);
              range.setEnd(node, word.index + word[0].length);
              if (new Set([...range.getClientRects()].map((part) => Math.round(part.top))).size > 1) found.push(word[0]);
            }
          return found;
        }""",
        where,
    )


def test_pictures_are_enlarged_by_mouse_and_keyboard(tab, runs, serving):
    tab.goto(serving(runs).address("/runs?run=done"))
    first = tab.locator(".zoom").first
    first.click()
    dialog = tab.get_by_role("dialog")
    assert dialog.is_visible()
    name = tab.locator("#enlarged-name")
    assert name.inner_text() == first.get_attribute("data-name")
    tab.keyboard.press("ArrowRight")
    assert name.inner_text() == tab.locator(".zoom").nth(1).get_attribute("data-name")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowLeft")
    assert name.inner_text() == tab.locator(".zoom").last.get_attribute("data-name")
    fits(tab)
    tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert first.evaluate("(button) => button === document.activeElement")


def test_a_run_under_way_is_followed_to_its_end(tab, runs, serving, toy):
    tab.goto(serving(runs).address("/runs?run=deep/going"))
    assert tab.get_by_text("step 4 of 10").is_visible()
    going = RunDirectory(runs / "deep" / "going")
    tab.locator(".zoom").nth(1).focus()
    for step in range(5, 11):
        going.log(step, 2.0 * step, {"loss": 8.0 / step})
    tab.get_by_text("step 10 of 10").wait_for()
    assert "at step 10" in tab.locator("figcaption").inner_text()
    assert tab.locator(".zoom").nth(1).evaluate("(button) => button === document.activeElement")
    going.finish(random().finish(toy, Budget(per_class=1), rng.generator(0, "x")), {"seconds": 20.0}, True)
    tab.locator(".badge.finished").wait_for()
    assert tab.locator("#said").inner_text() == "deep/going is finished."


def test_a_report_served_is_the_report(tab, runs, serving, toy):
    done = runs / "done"
    settings = json.loads((done / "settings.json").read_text())
    settings["plan"] = {"device": "cpu"}
    settings["problem"]["fingerprint"] = "sha256:1"
    (done / "settings.json").write_text(json.dumps(settings))
    (done / "scores.json").unlink()
    of_run(done, toy)
    tab.goto(serving(runs).address("/report?of=done"))
    assert tab.get_by_role("heading", name="toy, rows chosen by dm").is_visible()
    assert all(tab.evaluate("[...document.images].map((image) => image.complete && image.naturalWidth)"))
    fits(tab)
