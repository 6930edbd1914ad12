"""The pages on paper: what is folded on a screen is there, on white, within the paper's width."""

import numpy as np

from attar.report import Pictures, Table, render_comparison, write
from attar.report.render import save
from attar.report.sets import SetOnDisk

PAPER = 718
"""Pixels across A4 between the margins that Chromium leaves."""


def prints(page) -> None:
    """On paper nothing is cut off or dark, whatever the screen is."""
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER
    hidden, dark = page.evaluate(
        """() => {
          const all = [...document.querySelectorAll("*")].filter((one) => one.checkVisibility());
          const hides = (one) => !one.matches(".unseen") && one.scrollWidth + one.scrollHeight > one.clientWidth + one.clientHeight;
          const boxes = all.filter((one) => /auto|scroll|hidden/.test(getComputedStyle(one).overflow));
          const dark = all.filter((one) => {
            const colour = getComputedStyle(one).backgroundColor;
            const [red, green, blue, seen = 1] = colour.match(/[\\d.]+/g).map(Number);
            return seen > 0 && (red + green + blue) / (colour.startsWith("color(") ? 1 : 255) < 1.5;
          });
          return [boxes.filter(hides), dark].map((found) => found.map((one) => one.outerHTML.slice(0, 80)));
        }"""
    )
    assert (hidden, dark) == ([], [])


def test_the_page_of_a_comparison_prints(tab, tmp_path, comparison_record, settings_record):
    images = Pictures(np.random.default_rng(0).random((40, 1, 28, 28), dtype=np.float32), np.arange(10).repeat(4))
    models = ("convnet3", "resnet18", "vgg11")
    record = comparison_record(models, command="attar compare " + "--flag value " * 30, methods=settings_record)
    sets = [SetOnDisk(method, budget, images, (), None) for method in ("random", "dm") for budget in (10, 50)]
    save(render_comparison(Table.from_json(record), sets, images), tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    folded = [
        tab.get_by_role("row", name="optimisers data lr 10.0"),
        tab.get_by_role("region", name="Pictures, 10 a class"),
        tab.get_by_role("region", name="Networks, 10 images a class, hard labels"),
        tab.get_by_text("Accuracy, vgg11, soft labels", exact=True).first,
    ]
    assert not any(found.is_visible() for found in folded)
    prints(tab)
    assert all(found.is_visible() for found in folded)
    for left_out in ("All that was measured", "Numbers of: Accuracy, convnet3, hard labels"):
        assert not tab.get_by_role("region", name=left_out, include_hidden=True).is_visible()
    assert not tab.get_by_role("row", name="optimisers data momentum 0.5", include_hidden=True).is_visible()


def test_the_page_of_a_run_prints(tab, tmp_path, page_of_a_run):
    write(page_of_a_run, tmp_path / "report.html")
    tab.goto((tmp_path / "report.html").as_uri())
    prints(tab)
    assert tab.get_by_role("region", name="Evolution over steps").is_visible()
    assert tab.get_by_text("Settings of dm").is_visible()
