"""The archetypal image of each class: distilled, mean and medoid."""

from dataclasses import replace

import numpy as np
import torch

import attar
from attar.data import toy as toys
from attar.distilled import Distilled, Training
from attar.report import Pictures
from attar.report.archetypes import archetypes, centres
from attar.report.pictures import embed
from attar.report.render import render


def _set(toy, labels, y=None):
    x = torch.rand(len(labels), 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = attar.batches.Images(x, torch.tensor(labels) if y is None else y)
    return Distilled(batch, Training(toy.spec.normalisation, "hard" if y is None else "learned"))


def test_the_mean_and_the_row_nearest_to_it_in_raw_units(toy):
    found = centres(toy, _set(toy, [2, 0, 0, 2]))
    assert [(one.label, one.place) for one in found] == [(0, 1), (2, 0)], "class 1 has no distilled image"
    rows = toy.spec.normalisation.undo(toy.train.x[toy.members[2]])
    assert np.allclose(found[1].mean, rows.mean(0).numpy(), atol=1e-6)
    distances = [float(((row - rows.mean(0)) ** 2).sum()) for row in rows]
    assert np.array_equal(found[1].medoid, rows[int(np.argmin(distances))].numpy())


def test_of_learned_labels_the_row_that_is_most_of_its_class_stands_for_it(toy):
    y = torch.tensor([[0.4, 0.3, 0.3], [0.9, 0.1, 0.0], [0.0, 0.2, 0.8]])
    assert [(one.label, one.place) for one in centres(toy, _set(toy, [0, 0, 2], y))] == [(0, 1), (2, 2)]


def test_a_distilled_image_of_each_class_stands_beside_them(toy):
    value = _set(toy, [2, 0, 0, 2])
    pictures = Pictures(value.data.x.numpy(), value.labels.numpy())
    shown = archetypes(pictures, centres(toy, value))
    assert [label for label, _ in shown.rows] == [0, 2]
    kinds = dict(shown.rows[0][1])
    assert kinds["distilled"] == embed(value.data.x[1].numpy())
    assert list(kinds) == ["distilled", "mean", "medoid"]
    assert archetypes(pictures, []) is None


def test_the_page_of_a_run_asks_the_question(toy, tmp_path):
    attar.distill(attar.methods.kip(batch=32), toy, attar.Budget(per_class=1), steps=2, seed=0, out=tmp_path / "run")
    page = attar.report.of_run(tmp_path / "run", toy)
    assert "archetypal image of each class" in render(page)
    assert "archetypal image of each class" not in render(replace(page, centres=[]))
    attar.distill(attar.methods.random(), toy, attar.Budget(per_class=1), seed=0, out=tmp_path / "rows")
    assert not attar.report.of_run(tmp_path / "rows", toy).centres, "chosen rows are medoids of a kind themselves"


def test_many_classes_run_down_the_page_and_lie_within_its_width(tab, tmp_path):
    many = toys.images(classes=40, per_class=5, size=32)
    attar.distill(attar.methods.kip(batch=32), many, attar.Budget(per_class=1), steps=1, out=tmp_path / "run")
    (tmp_path / "page.html").write_text(render(attar.report.of_run(tmp_path / "run", many)))
    tab.set_viewport_size({"width": 1200, "height": 900})
    tab.goto((tmp_path / "page.html").as_uri())
    region = tab.get_by_role("region", name="Archetypes of the classes")
    assert region.locator("tbody tr").count() == 40
    assert region.locator("thead th").all_inner_texts() == ["class", "distilled", "mean", "medoid"]
    wide, seen = region.evaluate("(box) => [box.scrollWidth, box.clientWidth]")
    assert wide <= seen, "nothing to scroll to"
