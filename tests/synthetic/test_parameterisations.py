"""How rows are stored: decoded by hand, differentiated, started, projected, refused; and learned by any objective."""

import doctest
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

import attar
from attar import rng
from attar.batches import Images
from attar.checkpoint import load_tree, save_tree
from attar.data import toy as toys
from attar.estimate import rehearse
from attar.jobs import prepare
from attar.objectives import FeatureMatch, GradientMatch
from attar.plan import Plan
from attar.selection import INITIALS, RandomReal
from attar.surrogates import Fresh
from attar.synthetic import Bases, Codes, Latents, Memory, MultiFormation, Pixels, Synthetic
from attar.synthetic.generator import generated
from attar.synthetic.images import side_within
from attar.synthetic.pace import paced, reach, stretch
from attar.training.optimisers import SGD, Adam
from attar.types import AttarError, Budget, Normalisation
from attar.views import PerClass

NOTHING = Images(torch.zeros(0, 1, 4, 4))
DM = attar.Matching(FeatureMatch(), Fresh("convnet2-8"), {"data": SGD(1.0, momentum=0.5)}, real_rows=PerClass(8))
PARTS = [
    MultiFormation(2),
    Bases(hallucinators=2),
    Memory(rows=2),
    Codes(codes=2, decoders=2, width=2),
    Latents(rows=2, dim=4, fit=5),
]
NAMES = [type(part).__name__ for part in PARTS]


def _numbers(*shape, seed=0):
    return torch.randn(shape, generator=rng.generator(seed, "numbers"), dtype=torch.float64)


def _built(part, problem, budget=None, seed=0):
    budget = budget or Budget(per_class=2)
    part.check(problem, budget)
    rows = RandomReal()(problem, budget, rng.generator(seed, "rows"), part.each)
    return rows, Synthetic.start(part, rows, problem, rng.generator(seed, "synthetic"))


def _walk(method, problem, steps, budget=None):
    return [step.state for step in attar.run(method, problem, budget or Budget(per_class=2), steps=steps)][-1]


def _tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _same(a, b):
    left, right = _tensors(a), _tensors(b)
    return len(left) == len(right) and all(torch.equal(x, y) for x, y in zip(left, right, strict=True))


# -- multi-formation


def test_tiles_are_enlarged_each_by_itself():
    """Two constant halves and a ramp: bilinear enlargement of 2 to 4 pixels is 1, 3/4, 1/4 and 0 parts of the first."""
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, :2, 2:] = 5.0
    x[0, 0, 2:, :2] = torch.tensor([[0.0, 4.0], [0.0, 4.0]])
    rows = MultiFormation(2).restore({"x": x}, NOTHING)(torch.tensor([3]))
    assert rows.y.tolist() == [3, 3, 3, 3]
    assert (rows.x[0] == 0).all()
    assert (rows.x[1] == 5).all()
    assert torch.equal(rows.x[2, 0], torch.tensor([0.0, 1.0, 3.0, 4.0]).expand(4, 4))
    assert (rows.x[3] == 0).all()


def test_sides_that_do_not_divide_have_longer_first_tiles():
    """7 by 3 is 3, 2, 2: every stored pixel is in one tile, and none is invented."""
    x = _numbers(1, 1, 7, 7)
    rows = MultiFormation(3).restore({"x": x}, NOTHING)(None).x
    edges = [(0, 3), (3, 5), (5, 7)]
    for row, (a, b) in enumerate(edges):
        for column, (c, d) in enumerate(edges):
            wanted = F.interpolate(x[:, :, a:b, c:d], size=(7, 7), mode="bilinear")
            assert torch.equal(rows[3 * row + column], wanted[0])


def test_labels_of_every_kind_are_repeated_beside_their_rows():
    part, x = MultiFormation(2), _numbers(2, 1, 4, 4)
    assert part.restore({"x": x}, NOTHING)(torch.tensor([1, 0])).y.tolist() == [1] * 4 + [0] * 4
    soft = torch.tensor([[0.9, 0.1], [0.3, 0.7]], requires_grad=True)
    rows = part.restore({"x": x}, NOTHING)(soft)
    assert torch.equal(rows.y[4:], soft[1].expand(4, 2))
    [slope] = torch.autograd.grad(rows.y.sum(), [soft])
    assert (slope == 4).all()


def test_a_stored_image_starts_as_real_ones_of_its_class_shrunk(toy):
    rows, module = _built(MultiFormation(2), toy)
    assert len(rows) == 4 * 6
    wanted = F.interpolate(rows.x[5:6], size=(4, 4), mode="bilinear", antialias=True)
    assert torch.allclose(module.rows.x[1:2, :, :4, 4:], wanted, atol=1e-6)
    assert torch.equal(module().y, rows.y)


def test_a_factor_of_one_stores_images_as_they_are(toy):
    rows, module = _built(MultiFormation(1), toy)
    assert torch.equal(module().x, rows.x)
    assert torch.equal(module().y, rows.y)


def test_stored_pixels_stay_within_raw_bounds_after_every_update(toy):
    normalisation = toy.spec.normalisation
    for clamp in (True, False):
        method = replace(DM, synthetic=MultiFormation(2, clamp=clamp), optimisers={"data": SGD(300.0)})
        raw = normalisation.undo(_walk(method, toy, 2)["synthetic"]["rows.x"])
        inside = raw.min() >= -1e-6 and raw.max() <= 1 + 1e-6
        assert bool(inside) == clamp


def test_projecting_leaves_what_is_within_bounds_bit_by_bit():
    scale = Normalisation((0.3,), (0.7,))
    x = scale.apply(torch.tensor([0.0, 0.1, 0.5, 1.0, -0.2, 1.3]).reshape(1, 1, 2, 3))
    rows = MultiFormation(1).restore({"x": x}, NOTHING)
    with torch.no_grad():
        rows.project(scale)
    assert torch.equal(rows.x.flatten()[:4], x.flatten()[:4])
    assert torch.equal(rows.x.flatten()[4:], x.flatten()[[0, 3]])


def test_classes_with_fewer_rows_than_tiles_give_them_again():
    problem = toys.images(classes=3, per_class=12, imbalance=4)
    value = replace(DM, synthetic=MultiFormation(3)).finish
    state = replace(DM, synthetic=MultiFormation(3)).init(problem, Budget(per_class=2), rng.generator(0))
    assert torch.bincount(value(problem, state).data.y).tolist() == [18, 18, 18]


@pytest.mark.parametrize("budget", [Budget(per_class=2), Budget(size=7), Budget(fraction=0.2)])
@pytest.mark.parametrize("name", INITIALS)
def test_starting_values_give_several_rows_for_each_of_the_budget(name, budget):
    problem = toys.images(classes=3, per_class=40, imbalance=3)
    rows = INITIALS[name](problem, budget, rng.generator(0), 2)
    wanted = budget.counts([len(ids) for ids in problem.members.values()])
    assert torch.bincount(rows.y, minlength=3).tolist() == [2 * count for count in wanted]
    assert rows.y.tolist() == sorted(rows.y.tolist())
    assert torch.equal(rows.x, INITIALS[name](problem, budget, rng.generator(0), 2).x)


# -- the others by hand


def test_memory_mixes_bases():
    bases = torch.tensor([[1.0, 2.0], [10.0, 20.0]]).reshape(2, 1, 1, 2)
    addresses = torch.tensor([[1.0, 0.0], [0.5, -1.0], [2.0, 2.0]])
    rows = Memory().restore({"bases": bases, "addresses": addresses}, Images(torch.zeros(0, 1, 1, 2)))
    rows = rows(torch.tensor([0, 1, 2]))
    assert rows.x.flatten(1).tolist() == [[1, 2], [-9.5, -19], [22, 44]]
    assert rows.y.tolist() == [0, 1, 2]


def test_memory_starts_at_the_best_approximation_of_its_rank(toy):
    rows, module = _built(Memory(rows=2, bases=5), toy)
    sizes = torch.linalg.svdvals(rows.x.flatten(1))
    left = float((module().x.detach() - rows.x).square().sum())
    assert left == pytest.approx(float(sizes[5:].square().sum()), rel=1e-3)
    assert torch.allclose(module.rows.addresses.T @ module.rows.addresses, torch.eye(5), atol=1e-5)


def test_memory_serves_rows_of_any_shape():
    rows = Memory().restore({"bases": torch.ones(1, 3), "addresses": torch.ones(2, 1)}, Images(torch.zeros(0, 3)))
    assert rows(None).x.shape == (2, 3)


def test_bases_pass_through_every_hallucinator():
    """A window that picks its centre, scaled by 2 and moved by 1, then by 3 and 0: inside, 2 b + 1 and 3 b."""
    pick = torch.zeros(2, 1, 1, 3, 3)
    pick[..., 1, 1] = 1
    places = torch.ones(2, 1, 2, 2)
    bases = torch.arange(32.0).reshape(2, 1, 4, 4)
    tensors = {
        "bases": bases,
        "encoder_weight": pick,
        "encoder_bias": torch.zeros(2, 1),
        "scale": places * torch.tensor([2.0, 3.0]).reshape(2, 1, 1, 1),
        "shift": places * torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1),
        "decoder_weight": pick,
        "decoder_bias": torch.tensor([[0.0], [0.5]]),
    }
    rows = Bases(2).restore(tensors, NOTHING)(torch.tensor([4, 5]))
    assert rows.y.tolist() == [4, 4, 5, 5]
    inside = rows.x[:, 0, 1:3, 1:3]
    for row, (basis, scale, shift) in enumerate([(0, 2, 1), (0, 3, 0.5), (1, 2, 1), (1, 3, 0.5)]):
        assert torch.equal(inside[row], scale * bases[basis, 0, 1:3, 1:3] + shift)
    assert torch.equal(rows.x[0, 0, 0], torch.tensor([11.0, 11.0, 13.0, 13.0]))  # the edge is that of the inside
    smaller = Bases(2).restore({**tensors, "bases": torch.full((1, 1, 2, 2), 7.0)}, NOTHING)(None).x
    assert (smaller[0] == 15).all()


def test_codes_pass_through_every_decoder():
    """The first decoder adds what is positive and what is negative, the second takes what is positive twice."""
    inward, outward = torch.zeros(2, 2, 1, 3, 3), torch.zeros(2, 1, 2, 3, 3)
    inward[:, 0, 0, 1, 1], inward[:, 1, 0, 1, 1] = 1, -1
    outward[0, 0, :, 1, 1], outward[1, 0, 0, 1, 1] = torch.tensor([1.0, -1.0]), 2
    tensors = {
        "codes": torch.tensor([3.0, -4.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2),
        "inward_weight": inward,
        "inward_bias": torch.zeros(2, 2),
        "outward_weight": outward,
        "outward_bias": torch.tensor([[0.0], [1.0]]),
    }
    rows = Codes(1, 2, 2).restore(tensors, NOTHING)(torch.tensor([0, 1]))
    assert rows.x.shape == (4, 1, 4, 4)
    assert [row.unique().tolist() for row in rows.x] == [[3], [7], [-4], [1]]
    assert rows.y.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("part", "each"), [(Bases(2, size=(8, 8)), 2), (Codes(2, 2, 2, size=(8, 8)), 2)], ids=["bases", "codes"]
)
def test_networks_start_near_the_rows_they_are_given(toy, part, each):
    rows, module = _built(part, toy)
    wanted = rows.x.repeat_interleave(each, 0)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    error = (module().x.detach() - wanted)[inside].square().mean() / wanted.square().mean()
    assert 0 < float(error) < 0.25
    assert not torch.equal(module().x[0], module().x[1])  # equal networks would learn the same for ever


def test_a_generator_is_a_linear_map_and_two_convolutions():
    weights = {
        "spread": torch.tensor([[1.0], [-1.0]]),
        "spread_bias": torch.tensor([0.0, 1.0]),
        "inner": torch.zeros(2, 2, 3, 3),
        "inner_bias": torch.tensor([0.0, -1.0]),
        "outer": torch.zeros(1, 2, 3, 3),
        "outer_bias": torch.tensor([10.0]),
    }
    weights["inner"][0, 0, 1, 1], weights["inner"][1, 1, 1, 1] = 2, 3
    weights["outer"][0, :, 1, 1] = torch.tensor([1.0, 100.0])
    # of z = 2: (2, -1) -> (2, 0) -> (4, -1) -> (4, 0) -> 14; of z = -1: (-1, 2) -> (0, 2) -> (0, 5) -> 510
    rows = generated(weights, torch.tensor([[2.0], [-1.0]]), (1, 4, 3))
    assert (rows[0] == 14).all()
    assert (rows[1] == 510).all()


def test_a_trained_generator_reconstructs_rows_of_the_data(toy):
    errors = []
    for fit in (0, 200):
        rows, module = _built(Latents(rows=2, dim=6, width=6, fit=fit), toy)
        errors.append(float((module().x.detach() - rows.x).square().mean() / rows.x.square().mean()))
    assert errors[1] < 0.7 * errors[0]


class Linear(nn.Module):
    """Makes rows of 8 x 8 of latents, linearly."""

    def __init__(self):
        super().__init__()
        with rng.seeded(0):
            self.layer = nn.Linear(6, 64)

    def forward(self, z):
        return self.layer(z).unflatten(1, (1, 8, 8))


def test_a_generator_of_ones_own_is_inverted_left_alone_and_its_rows_counted(toy, tmp_path):
    own = Linear().eval()
    before = own.layer.weight.detach().clone()
    part = Latents(rows=2, dim=6, fit=400, generator=own)
    rows, module = _built(part, toy)
    weight, bias = own.layer.weight.detach(), own.layer.bias.detach()
    best = torch.linalg.lstsq(weight, (rows.x.flatten(1) - bias).T).solution.T @ weight.T + bias
    least = float((best - rows.x.flatten(1)).square().sum())
    assert float((module().x - rows.x).square().sum()) < 1.05 * least
    method = replace(DM, synthetic=part, optimisers={"data": SGD(10.0)})
    state = _walk(method, toy, 2)
    assert torch.equal(own.layer.weight, before)
    assert not torch.equal(
        state["synthetic"]["rows.latents"],
        method.init(toy, Budget(2), rng.generator(0, "method"))["synthetic"]["rows.latents"],
    )
    value = method.finish(toy, state)
    # latents, the scale and labels; and the rows with theirs, without which nobody could train on it
    assert value.nbytes == 12 * 6 * 4 + 4 + 12 * 8 + 12 * 64 * 4 + 12 * 8
    assert f"({value.nbytes:,} bytes: x, y, stored" in value.summary()
    value.save(tmp_path / "set")
    loaded = attar.Distilled.load(tmp_path / "set")
    assert torch.equal(loaded.data.x, value.data.x)
    assert loaded.nbytes == value.nbytes
    (tmp_path / "set" / "decoded.safetensors").unlink()
    with pytest.raises(AttarError, match=r"Latents, .*:Linear, which attar cannot build from a card"):
        attar.Distilled.load(tmp_path / "set")


def test_a_generator_in_training_mode_or_of_other_rows_is_refused(toy):
    with pytest.raises(AttarError, match=r"call generator\.eval\(\)"):
        Latents(generator=Linear())
    part = Latents(dim=6, generator=nn.Sequential(nn.Linear(6, 9), nn.Unflatten(1, (1, 3, 3))).eval())
    with pytest.raises(AttarError, match=r"a row of shape \(1, 1, 3, 3\), and rows of toy are \(1, 8, 8\)"):
        part.check(toy, Budget(per_class=1))


def test_the_examples_of_the_parts_hold():
    for part in (MultiFormation, Memory, Pixels):
        module = sys.modules[part.__module__]
        found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        assert found.failed == 0
        assert found.attempted > 0


# -- gradients


def test_gradients_agree_with_difference_quotients():
    small = Images(torch.zeros(0, 1, 3, 4, dtype=torch.float64))
    cases = [
        (MultiFormation(2), {"x": _numbers(2, 1, 3, 4)}),
        (Memory(), {"bases": _numbers(2, 1, 3, 4), "addresses": _numbers(3, 2)}),
        (
            Bases(2),
            {
                "bases": _numbers(2, 1, 2, 2),
                "encoder_weight": _numbers(2, 1, 1, 3, 3),
                "encoder_bias": _numbers(2, 1),
                "scale": _numbers(2, 1, 1, 2),
                "shift": _numbers(2, 1, 1, 2),
                "decoder_weight": _numbers(2, 1, 1, 3, 3),
                "decoder_bias": _numbers(2, 1),
            },
        ),
        (
            Codes(1, 2, 2),
            {
                "codes": _numbers(2, 1, 2, 2),
                "inward_weight": _numbers(2, 2, 1, 3, 3),
                "inward_bias": _numbers(2, 2),
                "outward_weight": _numbers(2, 1, 2, 3, 3),
                "outward_bias": _numbers(2, 1),
            },
        ),
    ]
    for part, tensors in cases:
        names = list(tensors)
        module = part.restore(tensors, small)

        def rows(*values, module=module, names=names):
            return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (None,)).x

        inputs = [tensors[name].clone().requires_grad_() for name in names]
        assert torch.autograd.gradcheck(rows, inputs), part


def test_the_stretch_of_a_matrix_is_its_largest_singular_value_squared():
    matrix = _numbers(6, 4)
    param = _numbers(4).requires_grad_()
    found = stretch(matrix @ param, param, rng.generator(0))
    assert float(found) == pytest.approx(float(torch.linalg.svdvals(matrix)[0] ** 2), rel=0.02)


def test_shared_parameters_are_paced_by_how_far_they_move_the_rows(toy):
    """Of x = A B a step on A moves rows by the square of the largest singular value of B."""
    _, module = _built(Memory(rows=2, bases=5), toy)
    [pace] = paced(module, "addresses", rng.generator(0))
    largest = torch.linalg.svdvals(module.rows.bases.detach().flatten(1))[0]
    assert pace == pytest.approx(1 / float(largest) ** 2, rel=0.02)
    [pace] = paced(module, "data", rng.generator(0))
    assert pace == pytest.approx(1, rel=0.02)


def test_the_reach_of_a_matrix_is_its_largest_sum_of_a_row():
    for seed in range(5):
        matrix = _numbers(20, 7, seed=seed)
        param = _numbers(7).requires_grad_()
        found = reach(matrix @ param, param, rng.generator(0))
        sums = matrix.abs().sum(1)
        assert 0.8 * float(sums.max()) <= float(found) <= float(sums.max()) * (1 + 1e-9)


class Given:
    """Starts at rows that are given."""

    def __init__(self, rows):
        self.rows = rows

    def __call__(self, problem, budget, generator, each=1):
        return self.rows


@pytest.mark.parametrize("optimiser", [SGD(0.1), SGD(0.1, momentum=0.5), Adam(0.001)], ids=["sgd", "momentum", "adam"])
@pytest.mark.parametrize(
    "part", [Memory(rows=2), Codes(2, 2, 2), Bases(2), Bases(3, size=(8, 8))], ids=["memory", "codes", "bases", "large"]
)
def test_what_rows_share_moves_no_row_further_than_a_step_on_the_rows_would(toy, part, optimiser):
    """The first step, with the same optimiser from the same rows; Adam's does not go by the size of gradients."""
    budget = Budget(per_class=2)
    method = replace(DM, synthetic=part, optimisers={"data": optimiser})
    start = method.init(toy, budget, rng.generator(0, "method"))
    after, _ = method.step(toy, start)

    def rows(tensors):
        return Synthetic.restore(part, tensors, toy.train, "hard")().detach()

    before = rows(start["synthetic"])
    own = "rows.codes" if isinstance(part, Codes) else "rows.bases"  # the group "data"
    moved = rows({**after["synthetic"], own: start["synthetic"][own]}).x - before.x

    pixels = replace(method, synthetic=Pixels(), initial=Given(before))
    free = pixels.init(toy, budget, rng.generator(0, "method"))
    wanted = pixels.step(toy, free)[0]["synthetic"]["rows.x"] - free["synthetic"]["rows.x"]

    def largest(x):
        return float(x.flatten(1).norm(dim=1).max())

    assert 0 < largest(moved) <= largest(wanted)
    if isinstance(optimiser, Adam):
        assert float(moved.abs().max()) <= 0.001 * 1.05  # any number of a row, as in a step on the rows


def test_a_step_on_latents_moves_rows_as_far_as_one_on_the_rows(toy):
    _, module = _built(Latents(rows=2, dim=4, width=4, fit=20), toy)
    assert float(stretch(module().x, module.rows.latents, rng.generator(1))) == pytest.approx(1, rel=0.1)


# -- in a method


@pytest.mark.parametrize("labels", ["hard", "soft", "learned"])
@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_any_of_them_serves_any_objective_after_one_replace(toy, tmp_path, part, labels):
    """dm and dc with their own optimisers alone; every group moves; what is saved is loaded, decoded or not."""
    for objective in (FeatureMatch(), GradientMatch()):
        optimisers = {**DM.optimisers, **({"labels": SGD(1.0)} if labels == "learned" else {})}
        method = replace(DM, objective=objective, synthetic=part, labels=labels, optimisers=optimisers)
        start = method.init(toy, Budget(per_class=2), rng.generator(0, "method"))["synthetic"]
        state = _walk(method, toy, 2)
        fixed = {name for name in start if isinstance(part, Latents) and name != "rows.latents"}
        moved = {
            name
            for name in start
            if start[name].is_floating_point() and not torch.equal(start[name], state["synthetic"][name])
        }
        learned = {name for name in start if start[name].is_floating_point()} - fixed
        learned |= {"y"} if labels == "learned" else set()
        assert moved == (learned if labels != "soft" else learned - {"y"})
    value = method.finish(toy, state)
    value.save(tmp_path / "set")
    loaded = attar.Distilled.load(tmp_path / "set")
    assert torch.equal(loaded.data.x, value.data.x)
    assert torch.equal(loaded.data.y, value.data.y)
    assert loaded.nbytes == value.nbytes
    assert (loaded.data.y.dim() == 1) == (labels == "hard")
    loaded.save(tmp_path / "again")
    for file in ("data.safetensors", "decoded.safetensors"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "set" / file).read_bytes()
    (tmp_path / "set" / "decoded.safetensors").unlink()
    alone = attar.Distilled.load(tmp_path / "set")
    assert torch.equal(alone.data.x, value.data.x)
    assert torch.equal(alone.data.y, value.data.y)


@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_a_saved_state_goes_on_as_if_nothing_had_been(toy, tmp_path, part):
    method = replace(DM, synthetic=part)
    straight = _walk(method, toy, 4)
    save_tree(_walk(method, toy, 2), tmp_path / "state")
    state = load_tree(tmp_path / "state")
    for _ in range(2):
        kept = [leaf.clone() for leaf in _tensors(state)]
        after, _ = method.step(toy, state)
        assert all(torch.equal(a, b) for a, b in zip(kept, _tensors(state), strict=True))
        state = after
    assert _same(state, straight)


@pytest.mark.parametrize("part", [MultiFormation(3), Bases(hallucinators=2)], ids=["tiles", "bases"])
def test_a_run_that_was_left_and_resumed_ends_with_the_same_files(tmp_path, part):
    problem, method = toys.images(), replace(DM, synthetic=part)
    settings = {"budget": Budget(per_class=2), "steps": 4, "seed": 1, "plan": Plan()}
    attar.distill(method, problem, out=tmp_path / "straight", **settings)
    for step in prepare(method, problem, out=tmp_path / "left", **settings):
        if step.index == 2:
            break
    attar.resume(tmp_path / "left", problem=problem)
    for file in ("data.safetensors", "decoded.safetensors"):
        straight, left = ((tmp_path / run / "distilled" / file).read_bytes() for run in ("straight", "left"))
        assert straight == left


@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_a_run_is_rehearsed_without_numbers(toy, part):
    method = replace(DM, synthetic=part)
    state = method.init(toy, Budget(per_class=2), rng.generator(0, "method"))
    assert rehearse(method, toy, state, Plan()) > 0


def test_a_group_with_an_optimiser_of_its_own_is_not_paced(toy):
    method = replace(DM, synthetic=Memory(rows=2), optimisers={"data": SGD(1.0), "addresses": Adam(0.001)})
    state = _walk(method, toy, 1)
    assert "paces" not in state
    start = method.init(toy, Budget(per_class=2), rng.generator(0, "method"))["synthetic"]
    step = (state["synthetic"]["rows.addresses"] - start["rows.addresses"]).abs()
    assert float(step.max()) == pytest.approx(0.001, rel=0.01)  # Adam's first step, whatever the gradient


def test_a_paced_step_is_that_of_the_data_times_the_pace(toy):
    budget, paces = Budget(per_class=2), []
    moves = []
    for optimisers in ({"data": SGD(1.0)}, {"data": SGD(1.0), "addresses": SGD(1.0)}):
        method = replace(DM, synthetic=Memory(rows=2), optimisers=optimisers)
        start = method.init(toy, budget, rng.generator(0, "method"))
        paces += [start.get("paces", {}).get("addresses", [None])[0]]
        after, _ = method.step(toy, start)
        moves.append(after["synthetic"]["rows.addresses"] - start["synthetic"]["rows.addresses"])
    assert torch.allclose(moves[0], paces[0] * moves[1], atol=1e-7)
    assert 0 < float(paces[0]) < 1


# -- what is stored, and what is refused


def test_bytes_by_hand(toy):
    """Three classes of 2 images of 8 x 8: 6 * 64 numbers; labels are 8 bytes each."""

    def nbytes(part):
        state = replace(DM, synthetic=part).init(toy, Budget(per_class=2), rng.generator(0, "method"))
        return replace(DM, synthetic=part).finish(toy, state).nbytes

    assert nbytes(MultiFormation(2)) == 6 * 64 * 4 + 6 * 8
    # two hallucinators of 9 + 1 + 2 * 36 + 9 + 1 numbers; (384 - 184) / 6 leaves bases of 5 x 5
    assert nbytes(Bases(hallucinators=2)) == (2 * 92 + 6 * 25) * 4 + 6 * 8
    # six labels more are 12 numbers less, 372; k (64 + 12) <= 372: four bases
    assert nbytes(Memory(rows=2)) == 4 * (64 + 12) * 4 + 12 * 8
    # two decoders of 18 + 2 + 18 + 1 numbers; (372 - 78) / 12 leaves codes of 4 x 4
    assert nbytes(Codes(codes=2, decoders=2, width=2)) == (78 + 12 * 16) * 4 + 12 * 8
    # latents of 4; a generator of width w has 20 w + 9 w w + w + 9 w + 1 numbers: 324 - 1 leave w = 4 (265), not 5 (376)
    assert nbytes(Latents(rows=2, dim=4, fit=0)) == (12 * 4 + 1 + 265) * 4 + 12 * 8


@pytest.mark.parametrize("labels", ["hard", "soft"])
@pytest.mark.parametrize("part", [*PARTS, Memory(rows=4), Codes(3, 1, 2), Latents(rows=4, dim=8, fit=0)], ids=repr)
def test_no_part_takes_more_bytes_than_the_rows_of_its_budget_labels_and_all(toy, part, labels):
    for count in (1, 2, 5, 10):
        budget, sizes = Budget(per_class=count), []
        for synthetic in (Pixels(), part):
            method = replace(DM, synthetic=synthetic, labels=labels)
            sizes.append(method.finish(toy, method.init(toy, budget, rng.generator(0, "method"))).nbytes)
        assert sizes[1] <= sizes[0], count


def test_soft_labels_of_many_classes_leave_less_room():
    """Forty probabilities are 40 numbers: 40 (8 * 8 - 40) = 960 numbers, of which a base of 64 + 80 addresses takes 144."""
    problem = toys.images(classes=40, per_class=6)
    for labels, bases in (("hard", 40 * (64 - 2) // 144), ("learned", 40 * (64 - 40) // 144)):
        method = replace(DM, synthetic=Memory(rows=2), labels=labels, optimisers={**DM.optimisers, "labels": SGD(1.0)})
        state = method.init(problem, Budget(per_class=1), rng.generator(0))
        assert len(state["synthetic"]["rows.bases"]) == bases
    wide = toys.images(classes=70, per_class=6)
    with pytest.raises(AttarError, match="The bytes of 70 rows hold no base"):
        Memory(rows=2).check(wide, Budget(per_class=1), "soft")


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 5), (1, 5, 9)])
def test_a_stored_side_is_the_largest_that_fits(shape):
    for numbers in (40, 100, 333, 10_000):
        found = side_within(shape, 3, numbers)
        if found is None:
            assert 3 * shape[0] > numbers
            continue
        h, w = found
        assert 3 * shape[0] * h * w <= numbers
        assert (h, w) == shape[1:] or 3 * shape[0] * (h + 1) * max(1, round(shape[2] * (h + 1) / shape[1])) > numbers
    assert side_within((1, 8, 8), 100, 99) is None


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (MultiFormation(9), r"Images of 8 x 8 have no 9 tiles a side: give a factor of 8 or less"),
        (Bases(40), "40 hallucinators hold .* leaves no room for bases"),
        (Bases(1, size=(9, 8)), r"Bases\(size=\(9, 8\)\) does not fit images of 8 x 8"),
        (Codes(decoders=40), "40 decoders hold .* leaves no room for codes"),
        (Codes(width=1), "cannot carry 1 channels through a ReLU: give 2 or more"),
        (Memory(bases=100), "more bases than 24 rows of 64 values can use: give 24 or fewer"),
        (Memory(rows=1000), "hold no base and its addresses for 6000 rows"),
        (Latents(dim=64), "leave no room for a generator"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(toy, part, said, monkeypatch):
    monkeypatch.setattr(RandomReal, "__call__", lambda *_: pytest.fail("rows were drawn before the check"))
    with pytest.raises(AttarError, match=said):
        replace(DM, synthetic=part).init(toy, Budget(per_class=2), rng.generator(0))


@pytest.mark.parametrize("part", [MultiFormation(2), Bases(), Codes(), Latents()])
def test_image_parameterisations_refuse_rows_that_are_no_images(toy, part):
    table = replace(toy, train=toy.train.replace(x=toy.train.x.flatten(1)))
    with pytest.raises(AttarError, match=rf"{type(part).__name__} stores images .* rows of toy are \('n', 64\)"):
        part.check(table, Budget(per_class=1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MultiFormation(0),
        lambda: Bases(0),
        lambda: Memory(rows=0),
        lambda: Codes(decoders=0),
        lambda: Latents(dim=0),
    ],
)
def test_nothing_is_refused(make):
    with pytest.raises(AttarError, match="give"):
        make()


def test_per_view_targets_are_refused(toy):
    rows = RandomReal()(toy, Budget(per_class=4), rng.generator(0))
    rows = rows.replace(y=torch.rand(3, 12, 3), views=torch.arange(3))
    with pytest.raises(AttarError, match="per-view targets belong to the rows as they are"):
        Synthetic.start(MultiFormation(2), rows, toy, rng.generator(0), "soft")


@pytest.mark.parametrize("part", [Codes(size=3), Bases(size=3)])
def test_a_size_that_is_no_pair_is_refused_in_a_sentence(toy, part):
    with pytest.raises(AttarError, match=r"size=3\) does not fit images of 8 x 8"):
        part.check(toy, Budget(per_class=2))
