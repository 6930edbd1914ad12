"""Drawing real rows by odds: the sampler's counts, odds of groups and of densities, and the means that objectives see."""

import math

import pytest
import torch

import attar
from attar import data, methods, rng
from attar.batches import Images
from attar.checkpoint import load_tree, save_tree
from attar.estimate import rehearse
from attar.objectives import FeatureMatch, GradientMatch
from attar.plan import Plan
from attar.selection import Balanced, Rare
from attar.selection.odds import density
from attar.surrogates import Weights
from attar.tasks import ImageClassification
from attar.training import passes
from attar.types import AttarError, Budget, Normalisation, Problem, Spec
from attar.views import ByOdds, PerClass, View

# by class its groups' sizes: 12 rows give each row of a group as often as any other
SIZES = ((1, 2, 4), (3, 6))


def grouped(seed=0):
    """Two classes of groups of unequal sizes and unlike rows ``(n, 1, 8, 8)``."""
    y = torch.tensor([c for c, sizes in enumerate(SIZES) for size in sizes for _ in range(size)])
    attribute = torch.tensor([g for sizes in SIZES for g, size in enumerate(sizes) for _ in range(size)])
    x = torch.randn(len(y), 1, 8, 8, generator=rng.generator(seed, "rows")) + attribute[:, None, None, None]
    order = torch.randperm(len(y), generator=rng.generator(seed, "order"))
    batch = Images(x[order], y[order], attribute=attribute[order])
    spec = Spec("grouped", "sha256:0", ("a", "b"), Normalisation((0.0,), (1.0,)), augmentation="")
    return Problem(ImageClassification((1, 8, 8), 2), batch, batch.take(torch.arange(0)), batch, spec)


def sides(problem, size=12):
    """A real side that is drawn balanced, and a synthetic one of two rows a class."""
    sampler = Balanced(size)
    drawn = sampler.sampler(sampler.odds(problem, 0))
    method = methods.dm(augmentation="")
    few = Images(torch.randn(4, 1, 8, 8, generator=rng.generator(1, "synthetic")), torch.tensor([0, 0, 1, 1]))
    few.x.requires_grad_()
    members = problem.task.members(few)
    plain = attar.augment.NoAugment()
    real = View(problem.train, problem.members, drawn, plain, plain, 5, 6)
    return View(few, members, method.synthetic_rows, plain, plain, 7, 6), real


def network(problem):
    with rng.seeded(3):
        model = problem.task.build("convnet1-4")
    return model, {name: value.detach() for name, value in model.named_parameters()}


def means_of_groups(problem, values, label):
    """The mean of `values` ``(n, d)`` over each group of a class ``(groups, d)``."""
    batch = problem.train
    return torch.stack([values[(batch.y == label) & (batch.attribute == g)].mean(0) for g in range(len(SIZES[label]))])


class TestByOdds:
    def test_a_row_comes_as_often_as_its_odds_ask_to_the_nearest_whole_row(self):
        odds = torch.tensor([1.0, 2.0, 3.0, 4.0])
        sampler = ByOdds(5, odds)
        total = torch.zeros(4)
        for draw in range(400):
            [(group, rows)] = sampler.rows({0: torch.arange(4)}, 0, None, rng.generator(draw, "draw"))
            counts = torch.bincount(rows, minlength=4)
            share = 5 * odds / odds.sum()
            assert group == 0
            assert len(rows) == 5
            assert ((counts >= share.floor()) & (counts <= share.ceil())).all()
            total += counts
        # of a count between two whole numbers the variance is at most a quarter: five standard errors
        assert (total / 400 - 5 * odds / odds.sum()).abs().max() < 5 * 0.5 / math.sqrt(400)

    def test_groups_are_drawn_alike_however_rare(self):
        problem = data.load("coloured-digits", share=0.8)
        sampler = Balanced(64)
        drawn = sampler.sampler(sampler.odds(problem, 0))
        for draw in range(5):
            for label, rows in drawn.rows(problem.members, None, None, rng.generator(draw, "draw")):
                counts = torch.bincount(problem.train.attribute[rows], minlength=10)
                assert len(rows) == 64
                assert (problem.train.y[rows] == label).all()
                assert set(counts.tolist()) <= {6, 7}

    def test_a_rare_row_is_not_drawn_twice_before_all_of_its_group_were_drawn_once(self):
        problem = grouped()
        sampler = Balanced(9)  # three of each group of the first class, of sizes 1, 2 and 4
        drawn = sampler.sampler(sampler.odds(problem, 0))
        [(_, rows)] = drawn.rows(problem.members, 0, None, rng.generator(0, "draw"))
        for group, size in enumerate(SIZES[0]):
            counts = torch.bincount(rows[problem.train.attribute[rows] == group])
            counts = counts[counts > 0]
            assert int(counts.sum()) == 3
            assert len(counts) == min(size, 3)

    def test_a_view_draws_equal_rows_for_equal_seeds_and_asks_for_other_sizes(self):
        problem = grouped()
        _, first = sides(problem)
        _, second = sides(problem)
        assert torch.equal(first.draw(0).x, second.draw(0).x)
        assert not torch.equal(first.draw(0).x, second.draw().x[:12])
        assert len(first.draw(1, 4)) == 4
        assert len(first.draw()) == 24


class TestBalanced:
    def test_odds_by_hand(self):
        problem = grouped()
        found = Balanced().odds(problem, 0)
        expected = torch.tensor(
            [1 / (len(SIZES[c]) * SIZES[c][g]) for c, g in zip(problem.train.y, problem.train.attribute, strict=True)]
        )
        assert torch.allclose(found["odds"].float(), expected)
        for rows in problem.members.values():
            assert float(found["odds"][rows].sum()) == pytest.approx(1)

    def test_features_are_matched_to_the_mean_of_the_means_of_groups(self):
        """And the sum over groups of squared distances, FairDD's, is as many times this with a constant on top."""
        problem = grouped()
        synthetic, real = sides(problem)
        model, params = network(problem)
        loss, _, _ = FeatureMatch().loss(problem.task, Weights(model, params), synthetic, real, {})
        (slope,) = torch.autograd.grad(loss, synthetic.batch.x)
        every = passes.features_of(problem.task, model, params, problem.train)[0].flatten(1)
        mine = passes.features_of(problem.task, model, params, synthetic.batch)[0].flatten(1)
        ours, sums, constants = [], [], []
        for label in range(2):
            groups, centre = means_of_groups(problem, every, label), mine[synthetic.members[label]].mean(0)
            target = groups.mean(0)
            ours.append(((target - centre) ** 2).sum())
            sums.append(((groups - centre) ** 2).sum())
            constants.append(((groups - target) ** 2).sum())
            assert torch.allclose(sums[-1], len(groups) * ours[-1] + constants[-1], rtol=1e-4)
        assert torch.allclose(loss, sum(ours), rtol=1e-4)
        (brute,) = torch.autograd.grad(sum(ours), synthetic.batch.x, retain_graph=True)
        assert torch.allclose(slope, brute, rtol=1e-3, atol=1e-6)
        (of_sums,) = torch.autograd.grad(sums[0], synthetic.batch.x)  # of the first class, of three groups
        assert torch.allclose(of_sums[:2], 3 * slope[:2], rtol=1e-3, atol=1e-6)

    def test_gradients_are_matched_to_the_mean_of_the_gradients_of_groups(self):
        problem = grouped()
        synthetic, real = sides(problem)
        model, params = network(problem)
        loss, _, _ = GradientMatch().loss(problem.task, Weights(model, params), synthetic, real, {})
        (slope,) = torch.autograd.grad(loss, synthetic.batch.x)
        batch, total = problem.train, torch.zeros(())
        for label in range(2):
            each = [
                passes.gradient(
                    problem.task,
                    model,
                    params,
                    batch.take(torch.nonzero((batch.y == label) & (batch.attribute == g))[:, 0]),
                )[0]
                for g in range(len(SIZES[label]))
            ]
            target = {name: torch.stack([one[name] for one in each]).mean(0) for name in params}
            own = synthetic.batch.take(synthetic.members[label])
            total = total + passes.gradient_distance(
                problem.task, model, params, own, target, attar.distances.layerwise_cosine
            )
        (brute,) = torch.autograd.grad(total, synthetic.batch.x)
        assert torch.allclose(loss, total, rtol=1e-4)
        assert torch.allclose(slope, brute, rtol=1e-3, atol=1e-5)

    def test_a_table_has_no_attribute_to_load_but_densities(self):
        with pytest.raises(AttarError, match=r"is a table, and no column of it is an attribute.*attribute='density'"):
            Balanced().check(data.toy.table())
        assert (Rare().odds(data.toy.table(), 0)["odds"] > 0).all()

    @pytest.mark.parametrize("method", [methods.dm, methods.dc])
    def test_rows_without_an_attribute_are_refused_before_any_work(self, toy, method, tmp_path):
        made = method("convnet1-4", attribute="balanced")
        sentence = r"rows of toy have no attribute, by whose groups .* attribute='density', which needs none"
        with pytest.raises(AttarError, match=sentence):
            attar.distill(made, toy, Budget(per_class=1), steps=1, out=tmp_path / "run")
        with pytest.raises(AttarError, match=sentence):
            attar.compare(toy, ["kmeans", ("fair", made)], (1,), out=tmp_path / "table")
        assert not any(tmp_path.iterdir())

    def test_names_of_no_use(self):
        with pytest.raises(AttarError, match="no use 'colour' of an attribute: give balanced or density"):
            methods.dm(attribute="colour")
        with pytest.raises(AttarError, match="A batch of 0 rows"):
            Balanced(0)
        with pytest.raises(AttarError, match="A density with bandwidth=0 "):
            Rare(bandwidth=0)


class TestDensity:
    def test_by_hand(self):
        """Two rows alike and one at a right angle, at length one: squared distances 0, 2 and 2, of which 2 is the median."""
        x = torch.tensor([[3.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
        near = math.exp(-2 / (2 * 0.5**2 * 2))
        found = density(x, 0.5, 10, rng.generator(0, "density"))
        assert found.tolist() == pytest.approx([(1 + 1 + near) / 3, (2 + near) / 3, (1 + 2 * near) / 3], rel=1e-5)

    def test_a_part_of_the_rows_stands_for_all(self):
        x = torch.randn(400, 5, generator=rng.generator(0, "x"))
        whole = density(x, 0.5, 400, rng.generator(0, "density"))
        part = density(x, 0.5, 200, rng.generator(0, "density"))
        assert torch.corrcoef(torch.stack([whole, part]))[0, 1] > 0.85
        assert part.mean() == pytest.approx(float(whole.mean()), rel=0.1)

    def test_rows_that_are_all_alike_or_alone(self):
        assert density(torch.ones(4, 3), 0.5, 10, rng.generator(0, "density")).tolist() == pytest.approx([1.0] * 4)
        assert density(torch.ones(1, 3), 0.5, 10, rng.generator(0, "density")).tolist() == [1.0]

    def test_digits_in_other_colours_than_most_of_their_class_get_most_of_the_odds(self):
        problem = data.load("coloured-digits", share=0.9)
        odds = Rare(features="values").odds(problem, 0)["odds"]
        for label, rows in problem.members.items():
            other = problem.train.attribute[rows] != label
            share = float(odds[rows][other].sum() / odds[rows].sum())
            assert share > 3 * float(other.double().mean()), f"class {label}"


@pytest.mark.parametrize("attribute", ["balanced", "density"])
class TestRuns:
    def test_odds_are_worked_out_in_the_first_step_and_kept(self, attribute, tmp_path):
        problem = grouped()
        method = methods.dm("convnet1-4", batch=6, attribute=attribute)
        start = method.init(problem, Budget(per_class=1), rng.generator(0, "method"))
        state, _ = method.step(problem, start)
        assert "odds" not in start
        assert method.finish(problem, state).data.attribute is None
        save_tree(state, tmp_path / "state")
        resumed, _ = method.step(problem, load_tree(tmp_path / "state"))
        on, _ = method.step(problem, state)
        assert on["synthetic"].keys() == resumed["synthetic"].keys()
        assert all(torch.equal(value, resumed["synthetic"][name]) for name, value in on["synthetic"].items())
        assert torch.equal(on["odds"]["odds"], state["odds"]["odds"])

    def test_memory_can_be_foreseen_before_the_first_step_and_after(self, attribute):
        problem = grouped()
        method = methods.dc("convnet1-4", batch=6, attribute=attribute)
        state = method.init(problem, Budget(per_class=1), rng.generator(0, "method"))
        assert rehearse(method, problem, state, Plan(threads=1)) > 0
        later, _ = method.step(problem, state)
        assert rehearse(method, problem, later, Plan(threads=1)) > 0


def test_plain_methods_draw_as_before():
    assert methods.dm().real_rows == PerClass(256)
    assert methods.dc(batch=64).real_rows == PerClass(64)
    assert methods.dm(batch=64, attribute="balanced").real_rows == Balanced(64)
    assert methods.dc(batch=64, attribute="density").real_rows == Rare(64)
