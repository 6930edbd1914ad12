"""report.html: one inert, self-contained, accessible file that says what was measured."""

import base64
import dataclasses
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import attar.report
from attar.errors import AttarError
from attar.report import Cost, Page, Pictures, Score, render, write

SCORES = (
    Score("random", "convnet3", 0.948, 0.004, 5, rows=4, bytes=500, seconds=0.1),
    Score("dm", "convnet3", 0.972, 0.001, 5, rows=4, bytes=500, seconds=500.0, reported=0.975),
    Score("full data", "convnet3", 0.994, 0.0, 1, rows=60_000, bytes=188_000_000),
)


def page(classes: int = 2, each: int = 2, shape: tuple[int, ...] = (1, 6, 6), **fields) -> Page:
    draw = np.random.default_rng(0)
    images = draw.random((classes * each, *shape), dtype=np.float32)
    labels = np.arange(classes).repeat(each)
    first = Page(
        title="pets, distilled by dm",
        sentence="2 images a class keep 97.2 of 99.4 points.",
        method="dm",
        data="pets",
        budget="2 images a class",
        command="attar distill dm pets --per-class 2",
        class_names=[f"kind{i}" for i in range(classes)],
        distilled=Pictures(images, labels),
        real=Pictures(images[::-1].copy(), labels),
        evolution=[(step, images[::each]) for step in (0, 1, 2, 4, 8, 16, 32, 64, 128, 200)],
        scores=SCORES,
        protocol={"name": "quick", "epochs": 30},
        loss=[(step, 5.0 / (step + 1)) for step in range(200)],
        settings={
            "type": "attar.matching:Matching",
            "fields": {"objective": {"type": "a:Features", "fields": {"k": 2}}},
        },
        cost=Cost(seconds=500.2, memory=640 << 20, bytes=500),
        versions={"attar": "0.1.0"},
        fingerprint="sha256:abcd",
        notes=["Images are resized."],
    )
    return dataclasses.replace(first, **fields)


def test_the_page_says_what_was_measured(reader):
    text = reader(render(page())).text
    for part in (
        "2 images a class keep 97.2 of 99.4 points.", "97.2 ± 0.1", "94.8 ± 0.4", "60,000", "8 min 20 s", "640 MiB",
        "attar distill dm pets --per-class 2", "quick", "sha256:abcd", "Images are resized.", "Features", "kind1",
    ):  # fmt: skip
        assert part in text, part
    assert "99.4 ± 0" not in text  # one run has no spread


def test_reported_scores_have_a_column_of_their_own_only_where_there_are_some(reader):
    assert "97.5" in reader(render(page())).text
    without = [dataclasses.replace(score, reported=None) for score in SCORES]
    assert "reported" not in reader(render(page(scores=without))).text


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def test_every_text_is_inert(reader):
    score = dataclasses.replace(SCORES[1], name=HOSTILE, model=HOSTILE, labels=HOSTILE)
    attacked = page(
        title=HOSTILE, sentence=HOSTILE, method=HOSTILE, data=HOSTILE, budget=HOSTILE, command=HOSTILE, metric=HOSTILE,
        class_names=[HOSTILE, HOSTILE], scores=(*SCORES, score), protocol={HOSTILE: HOSTILE},
        settings={HOSTILE: [HOSTILE]}, versions={HOSTILE: HOSTILE}, fingerprint=HOSTILE, notes=[HOSTILE],
    )  # fmt: skip
    text = render(attacked)
    read = reader(text)
    assert not read.all("script")
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert all(image["src"].startswith("data:image/png;base64,") for image in read.all("img"))
    assert read.text.count("<script>alert(1)</script>") > 10


def test_nothing_is_loaded_from_elsewhere(reader):
    text = render(page())
    read = reader(text)
    [policy] = [meta["content"] for meta in read.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert not read.all("link")
    for _, attributes in read.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            assert attributes.get(name, "data:").startswith("data:")
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_can_be_read_without_eyes_and_without_a_mouse(reader):
    text = render(page())
    read = reader(text)
    assert text.startswith("<!doctype html>")
    assert read.all("html")[0]["lang"] == "en"
    assert len(read.all("h1")) == 1
    assert len(read.all("caption")) == len(read.all("table")) > 0
    assert all(cell.get("scope") in ("row", "col") for cell in read.all("th"))
    assert all("alt" in image for image in read.all("img"))
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    charts = [svg for svg in read.all("svg") if svg.get("role") == "img"]
    assert len(charts) == 2
    named = [name for svg in charts for name in svg["aria-labelledby"].split()]
    named += [section["aria-labelledby"] for section in read.all("section")]
    assert set(named) <= set(ids)
    for region in (div for div in read.all("div") if div.get("class") == "scroll"):
        assert region["tabindex"] == "0"
        assert region["aria-label"]
    strips = [div["aria-label"] for div in read.all("div") if "strip" in div.get("class", "")]
    assert strips == [f"2 {kind} images of kind{i}" for i in (0, 1) for kind in ("distilled", "real")]


def test_charts_are_well_formed_svg():
    for chart in re.findall(r"<svg class=.*?</svg>\s*(?:<text.*?</svg>)?", render(page()), re.DOTALL):
        ElementTree.fromstring(chart)


def test_pictures_are_the_images_clipped(reader):
    made = page()
    made.distilled.x[0, 0, 0, :2] = (-3.0, 3.0)
    source = reader(render(made)).all("img")[0]["src"]
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))
    wanted = np.rint(made.distilled.x[0, 0].clip(0, 1) * 255)
    np.testing.assert_array_equal(drawn, wanted)
    assert list(drawn[0, :2]) == [0, 255]


def test_the_evolution_shows_the_first_and_the_last_of_many_steps(reader):
    alts = [image["alt"] for image in reader(render(page())).all("img") if image["alt"].startswith("kind0")]
    assert len(alts) == 8
    assert (alts[0], alts[-1]) == ("kind0 at step 0", "kind0 at step 200")


def test_a_page_of_what_little_is_known(reader):
    made = page(
        scores=(), evolution=(), loss=(), real=None, protocol={}, settings={}, cost=Cost(), versions={}, notes=()
    )
    text = reader(render(made)).text
    assert "images kept" in text
    assert "The loss" not in text
    assert "real images" not in text


@pytest.mark.parametrize(
    ("classes", "each", "shape"), [(100, 10, (3, 32, 32)), (10, 50, (3, 224, 224)), (1000, 1, (3, 64, 64))]
)
def test_a_page_stays_below_five_megabytes_and_says_what_it_leaves_out(classes, each, shape):
    made = page(classes, each, shape, evolution=[(0, np.random.default_rng(1).random((classes, *shape)))] * 10)
    text = render(made)
    assert len(text) < 5_000_000
    if classes == 1000:
        assert re.search(r"The first \d+ of 1000 classes are shown", text)
    if each == 50:
        assert re.search(r"The first \d of each class are shown", text)


def test_a_class_without_distilled_images_has_no_row(reader):
    made = page(distilled=Pictures(np.zeros((1, 1, 6, 6), np.float32), np.array([1])))
    labels = [div["aria-label"] for div in reader(render(made)).all("div") if "strip" in div.get("class", "")]
    assert labels == ["1 distilled image of kind1", "2 real images of kind1"]


RECORD = {
    "position": 0,
    "class": "kind0",
    "score": 12623.063695,
    "represents": 13.0,
    "weight": 1.25,
    "reason": "covers",
}


def chosen_page(count: int = 4, each: int = 2, **fields) -> Page:
    records = [{**RECORD, "row": f"kind/{row}.png" if row % 2 else row} for row in range(100, 100 + count)]
    return page(each=each, evolution=(), loss=(), title="pets, rows chosen by dm", chosen=records, **fields)


def test_chosen_rows_are_called_so_and_stand_with_their_row_and_reason(reader):
    text = render(chosen_page(of_choice=["12 near-duplicates were left out, listed in distilled/left_out.csv."]))
    read = reader(text)
    for part in (
        "The chosen rows", "rows chosen 4", "to choose them", "drawn at random", "Why these rows", "distilled/left_out.csv",
        "row class score stands for weight why", "kind/101.png kind0 12,623.1 13 1.25 covers",
    ):  # fmt: skip
        assert part in read.text, part
    assert "distilled" not in read.text.replace("distilled/left_out.csv", "")
    assert "to distil" not in read.text
    strips = [(name, found) for name, found in read.elements if "strip" in found.get("class", "")]
    assert [(name, found["aria-label"]) for name, found in strips] == [
        ("ul", "2 chosen images of kind0"),
        ("div", "2 random images of kind0"),
        ("ul", "2 chosen images of kind1"),
        ("div", "2 random images of kind1"),
    ]
    under = [span["title"] for span in read.all("span") if span.get("class") == "origin"]
    assert under == ["row 100", "row kind/101.png", "row 102", "row kind/103.png"]
    [region] = [div for div in read.all("div") if "tall" in div.get("class", "")]
    assert region["tabindex"] == "0"
    assert region["role"] == "region"
    assert region["aria-labelledby"] == "why"


def test_a_picture_has_the_row_of_its_own_place_whatever_the_order_of_classes(reader):
    mixed = Pictures(np.zeros((3, 1, 6, 6), np.float32), np.array([1, 0, 1]))
    read = reader(render(dataclasses.replace(chosen_page(3), distilled=mixed, real=None)))
    assert [span["title"] for span in read.all("span") if span.get("class") == "origin"] == [
        "row kind/101.png",
        "row 100",
        "row 102",
    ]


def test_pictures_of_both_sides_are_of_one_size_where_their_numbers_differ(reader):
    made = page(each=5, evolution=())
    few = Pictures(made.real.x[::5], made.real.labels[::5])
    read = reader(render(dataclasses.replace(made, real=few)))
    assert {div["style"] for div in read.all("div") if "strip" in div.get("class", "")} == {"--columns: 5"}


def test_many_chosen_rows_are_cut_with_a_sentence(reader):
    read = reader(render(chosen_page(1300, 650, shape=(1, 2, 2))))
    assert "And 1,100 more, in distilled/selected.csv." in read.text
    assert len(read.all("tr")) < 230
    assert "more, in" not in reader(render(chosen_page())).text


def test_the_choice_of_a_damaged_card_is_left_out(reader):
    assert "The distilled images" in reader(render(chosen_page(3))).text  # four images


def test_own_memory_is_told_before_that_of_the_whole_process(reader):
    text = reader(render(page(cost=Cost(1.0, 640 << 20, 500, 7 << 20)))).text
    assert "7 MiB more memory" in text
    assert "memory added 7 MiB peak memory of the process 640 MiB" in text
    assert "640 MiB of memory at most" in reader(render(page())).text  # of older runs


def test_a_page_is_written_whole_or_refused(tmp_path):
    write(page(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(page())
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(AttarError, match="missing"):
        write(page(), tmp_path / "missing" / "report.html")


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2 between two colours "#rrggbb"."""

    def luminance(colour: str) -> float:
        shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_and_bars_stand_out_in_light_and_dark():
    style = (Path(attar.report.__file__).parent / "page.css").read_text()
    palettes = [
        dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    screens = [palette for palette in palettes if "other" in palette and "wash" in palette][:2]
    assert len(screens) == 2
    for colours in screens:
        for text in ("ink", "soft", "accent"):
            for ground in ("paper", "wash", "raised"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for line in ("s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "other", "full"):
            assert contrast(colours[line], colours["paper"]) >= 3, line
        for bar in ("accent", "other", "full"):
            assert contrast(colours[bar], colours["track"]) >= 3, bar
