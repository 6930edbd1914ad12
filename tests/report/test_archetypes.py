"""The archetypal images of each class: distilled ones, centres of k-means and medoids."""

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


def test_of_one_image_a_class_the_mean_and_the_row_nearest_to_it_in_raw_units(toy):
    found = centres(toy, _set(toy, [2, 0]))
    assert [(one.label, one.places) for one in found] == [(0, (1,)), (2, (0,))], "class 1 has no distilled image"
    rows = toy.spec.normalisation.undo(toy.train.x[toy.members[2]])
    assert np.allclose(found[1].means[0], rows.mean(0).numpy(), atol=1e-6)
    distances = [float(((row - rows.mean(0)) ** 2).sum()) for row in rows]
    assert np.array_equal(found[1].medoids[0], rows[int(np.argmin(distances))].numpy())


def _two_bunches(toy):
    """The toy with class 0 made of rows about 0.2 and, half as many, about 0.8 of full white."""
    ids = toy.members[0]
    level = torch.where(torch.arange(len(ids)) % 3 == 0, 0.8, 0.2)[:, None, None, None]
    x = toy.train.x.clone()
    x[ids] = toy.spec.normalisation.apply(
        level + 0.01 * torch.rand(x[ids].shape, generator=torch.Generator().manual_seed(1))
    )
    return replace(toy, train=replace(toy.train, x=x)), level


def test_of_several_images_a_class_as_many_centres_of_k_means_the_largest_cluster_first(toy):
    problem, level = _two_bunches(toy)
    (found,) = centres(problem, _set(problem, [0, 0]))
    rows = problem.spec.normalisation.undo(problem.train.x[problem.members[0]])
    for place, bright in enumerate((0.2, 0.8)):
        bunch = rows[(level == bright).flatten()]
        assert np.allclose(found.means[place], bunch.mean(0).numpy(), atol=1e-5)
        nearest = ((bunch - bunch.mean(0)) ** 2).flatten(1).sum(1).argmin()
        assert np.array_equal(found.medoids[place], bunch[nearest].numpy())


def test_more_than_five_images_a_class_stand_beside_five_centres(toy):
    value = _set(toy, [0] * 7 + [1])
    found = centres(toy, value)
    assert [(one.total, one.places, len(one.means)) for one in found] == [(7, (0, 1, 2, 3, 4), 5), (1, (7,), 1)]
    shown = archetypes(Pictures(value.data.x.numpy(), value.labels.numpy()), found)
    assert "the first 5 where there are more" in shown.sentences[0]


def test_where_k_means_cannot_be_made_the_mean_stands_there_and_the_page_says_so(toy):
    x = toy.train.x.clone()
    x[toy.members[0]] = 0.5
    problem = replace(toy, train=replace(toy.train, x=x))
    value = _set(problem, [0, 0])
    found = centres(problem, value)
    assert len(found[0].means) == 1
    assert "it is the mean" in archetypes(Pictures(value.data.x.numpy(), value.labels.numpy()), found).sentences[1]


def test_of_learned_labels_the_rows_that_are_most_of_their_class_stand_for_it(toy):
    y = torch.tensor([[0.4, 0.3, 0.3], [0.9, 0.1, 0.0], [0.0, 0.2, 0.8]])
    assert [(one.label, one.places) for one in centres(toy, _set(toy, [0, 0, 2], y))] == [(0, (1, 0)), (2, (2,))]


def test_distilled_images_of_each_class_stand_beside_them(toy):
    value = _set(toy, [2, 0, 0, 2])
    pictures = Pictures(value.data.x.numpy(), value.labels.numpy())
    shown = archetypes(pictures, centres(toy, value))
    assert [label for label, _ in shown.rows] == [0, 2]
    assert shown.heads == ("distilled", "k-means centres", "medoids")
    assert shown.rows[0][1][0].images == tuple(embed(value.data.x[place].numpy()) for place in (1, 2))
    assert [len(strip.images) for strip in shown.rows[0][1]] == [2, 2, 2]
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


def test_of_many_classes_with_many_images_so_many_are_shown_as_a_page_holds():
    many = toys.images(classes=60, per_class=12, size=32, channels=3)
    labels = [label for label in range(60) for _ in range(6)]
    x = torch.rand(len(labels), 3, 32, 32, generator=torch.Generator().manual_seed(0))
    value = Distilled(attar.batches.Images(x, torch.tensor(labels)), Training(many.spec.normalisation, "hard"))
    shown = archetypes(Pictures(x.numpy(), value.labels.numpy()), centres(many, value))
    assert 10 < len(shown.rows) < 30
    assert shown.sentences[-1] == f"{len(shown.rows)} of 60 classes are shown."
