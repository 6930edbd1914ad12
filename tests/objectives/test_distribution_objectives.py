"""Objectives of distribution matching against loops written out on a tiny network."""

from dataclasses import replace

import pytest
import torch

import attar
from attar import augment, checks, rng
from attar.batches import Images
from attar.distances import GaussianMMD, MeanDistance, SpatialAttention, gaussian_mmd, spatial_attention
from attar.objectives import CharacteristicMatch, FeatureMatch, LayerwiseMatch
from attar.objectives.characteristic import FrequencyNetwork
from attar.plan import Plan
from attar.surrogates import Fresh, Pool, Watched, Weights
from attar.tasks import ImageClassification
from attar.training.optimisers import SGD
from attar.types import AttarError
from attar.views import Everything, View

CLASSES = 3
ATTENTION = FeatureMatch(MeanDistance(1.0, 0.01), "all", SpatialAttention())
KERNEL = FeatureMatch(GaussianMMD(), apart=True)


@pytest.fixture(scope="module")
def scene():
    """A float64 problem with uneven classes, a tiny network, and the rows of both sides."""
    task = ImageClassification((1, 8, 8), CLASSES, Plan(chunk=4))
    source = torch.Generator().manual_seed(0)
    with rng.seeded(1):
        model = task.build("convnet2-4").double().requires_grad_(False)
    real = Images(
        torch.randn(14, 1, 8, 8, generator=source, dtype=torch.float64), torch.tensor([0] * 9 + [1] * 4 + [2])
    )
    synthetic = Images(torch.randn(5, 1, 8, 8, generator=source, dtype=torch.float64), torch.tensor([0, 0, 1, 2, 2]))
    return task, Weights(model, dict(model.named_parameters())), synthetic, real


def _view(task, batch, seed):
    nothing = augment.NoAugment()
    return View(batch, task.members(batch), Everything(), nothing, nothing, seed, 3)


def _step(objective, scene, state=None, x=None):
    task, surrogate, synthetic, real = scene
    rows = synthetic if x is None else synthetic.replace(x=x)
    return objective.loss(task, surrogate, _view(task, rows, 1), _view(task, real, 2), state or {})


def _features(scene, batch):
    model = scene[1].model
    with torch.no_grad():
        return [[layer[0] for layer in model(x[None], features=True)] for x in batch.x]


def _means(scene, batch, of):
    """Class means of what `of` makes of a row's layers."""
    values = [of(row) for row in _features(scene, batch)]
    return [torch.stack([v for v, y in zip(values, batch.y, strict=True) if y == c]).mean(0) for c in range(CLASSES)]


def _gap(scene, of):
    sides = (_means(scene, batch, of) for batch in (scene[2], scene[3]))
    return sum(float(((a - b) ** 2).sum()) for a, b in zip(*sides, strict=True))


def test_attention_match_is_the_gap_of_mean_maps_and_of_last_means(scene):
    maps = _gap(scene, lambda layers: spatial_attention(layers[0][None])[0])
    last = _gap(scene, lambda layers: layers[-1].flatten())
    assert _step(ATTENTION, scene)[0].item() == pytest.approx(maps + 0.01 * last, rel=1e-6)


def test_all_layers_are_those_that_there_are(scene):
    named, every = FeatureMatch(layers=(0, 1)), FeatureMatch(layers="all")
    assert _step(every, scene)[0].item() == _step(named, scene)[0].item()


def test_apart_compares_the_rows_of_each_class(scene):
    total = 0.0
    for group in range(CLASSES):
        sides = [
            torch.stack(
                [layers[-1].flatten() for layers in _features(scene, batch.take((batch.y == group).nonzero()[:, 0]))]
            )
            for batch in (scene[3], scene[2])
        ]
        ones = [torch.ones(len(side)).double() for side in sides]
        total += float(gaussian_mmd(sides[0], ones[0], sides[1], ones[1], GaussianMMD().widths, True))
    assert _step(KERNEL, scene)[0].item() == pytest.approx(total, rel=1e-6)


def test_row_weights_count_in_a_distance_of_pairs(scene):
    """A row of weight 2 counts as the same row twice, but for the bandwidth."""
    task, surrogate, synthetic, real = scene
    weight = torch.ones(5).double()
    weight[0] = 2
    fixed = FeatureMatch(_FixedWidth(), apart=True)
    heavy = _step(fixed, (task, surrogate, synthetic.replace(weight=weight), real))[0]
    twice = _step(fixed, (task, surrogate, synthetic.take(torch.tensor([0, 0, 1, 2, 3, 4])), real))[0]
    assert heavy.item() == pytest.approx(twice.item(), rel=1e-9)
    assert heavy.item() != pytest.approx(_step(fixed, scene)[0].item(), rel=1e-3)


class _FixedWidth:
    def __call__(self, real, y_real, synthetic, y_synthetic, classes):
        p, q = y_real[:, 0] / y_real.sum(), y_synthetic[:, 0] / y_synthetic.sum()
        a, b = real[0].flatten(1), synthetic[0].flatten(1)
        kernel = [torch.exp(-(torch.cdist(u, v) ** 2)) for u, v in ((a, a), (a, b), (b, b))]
        return p @ kernel[0] @ p - 2 * p @ kernel[1] @ q + q @ kernel[2] @ q


def test_layerwise_match_is_means_of_all_layers_and_real_rows_told_apart(scene):
    layers = [_gap(scene, lambda layers, index=index: layers[index].flatten()) for index in (0, 1)]
    centres = _means(scene, scene[2], lambda layers: layers[-1].flatten())
    errors = 0.0
    for row, y in zip(_features(scene, scene[3]), scene[3].y, strict=True):
        logits = torch.stack([row[-1].flatten() @ centre for centre in centres])
        errors -= float(torch.log_softmax(logits, 0)[y])
    loss, info, _ = _step(LayerwiseMatch(MeanDistance(0.1), 0.01), scene)
    assert loss.item() == pytest.approx(0.1 * layers[0] + layers[1] + 0.01 * errors, rel=1e-6)
    assert info["discrimination"].item() == pytest.approx(errors, rel=1e-6)


@pytest.mark.parametrize(
    "objective",
    [ATTENTION, KERNEL, LayerwiseMatch(), CharacteristicMatch(16, calibration=0.0)],
    ids=lambda o: type(o).__name__,
)
def test_the_real_side_in_chunks_is_the_real_side_at_once(scene, objective):
    task, *rest = scene
    state = {"seed": 1, "step": 0, "network": {}, "optimiser": None}
    at_once = _step(objective, (replace(task, plan=Plan(chunk=None)), *rest), state)[0]
    assert _step(objective, scene, state)[0].item() == pytest.approx(at_once.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("objective", "source"),
    [
        (ATTENTION, Fresh("convnet2-16")),
        (FeatureMatch(layers="all"), Fresh("convnet2-16")),
        (KERNEL, Fresh("convnet2-16")),
        (LayerwiseMatch(), Watched("convnet2-16", watch=8)),
        (CharacteristicMatch(64, network=None, calibration=0.0), Fresh("convnet2-16")),
        (CharacteristicMatch(64), Pool("convnet2-16", updates=2)),
    ],
    ids=["attention", "all", "kernel", "layerwise", "normal frequencies", "sought frequencies"],
)
def test_objectives_pass_the_public_checks(objective, source):
    checks.check_objective(objective, source)


# -- the network of frequencies


def _start(objective, toy):
    return objective.init(toy, rng.generator(0, "objective"))


def test_frequencies_climb_while_rows_stand_still(scene, toy):
    """The same rows and the same noise: after some steps up, the network's frequencies tell the sides apart better."""
    objective = CharacteristicMatch(64, FrequencyNetwork(16, optimiser=SGD(0.01)), calibration=0.0)
    state = _start(objective, toy)
    first = _step(objective, scene, state)[0].item()
    for _ in range(20):
        _, _, after = _step(objective, scene, state)
        state = {**after, "step": 0}
    assert _step(objective, scene, state)[0].item() > 1.05 * first


def test_a_step_leaves_the_network_it_was_given_alone(scene, toy):
    objective = CharacteristicMatch(64, calibration=0.0)
    _, _, state = _step(objective, scene, _start(objective, toy))
    kept = {name: value.clone() for name, value in state["network"].items()}
    _, _, after = _step(objective, scene, state)
    assert all(torch.equal(state["network"][name], value) for name, value in kept.items())
    assert not torch.equal(after["network"]["0.weight"], kept["0.weight"])
    assert (after["step"], state["step"]) == (2, 1)
    assert not any(value.requires_grad for value in after["network"].values())


def test_frequencies_are_new_each_step_and_share_their_scales_in_groups():
    psi = FrequencyNetwork(8, repeat=4)
    weights = psi.start(6, rng.generator(0))
    first, again, other = (psi.frequencies(weights, 8, rng.generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    many = psi.frequencies(weights, 4000, rng.generator(3)).view(4, 1000, 6)
    ratio = (many[0] / many[1]).abs().log().mean(0)  # equal scales cancel, and a ratio of normals has a median of 1
    assert (ratio.abs() < 0.2).all()


def test_normal_frequencies_learn_nothing(scene, toy):
    objective = CharacteristicMatch(64, network=None, calibration=0.0)
    _, _, after = _step(objective, scene, _start(objective, toy))
    assert after["network"] == {}


def test_calibration_is_the_trained_networks_cross_entropy(scene, toy):
    task, surrogate, synthetic, _ = scene
    teacher = {name: 2 * value for name, value in surrogate.params.items()}
    with_teacher = (task, replace(surrogate, teacher=teacher), *scene[2:])
    state = _start(CharacteristicMatch(16), toy)
    plain, weighed = (
        _step(CharacteristicMatch(16, calibration=weight), with_teacher, state)[0].item() for weight in (0.0, 0.7)
    )
    wanted = task.loss(surrogate.model, teacher, synthetic).item()
    assert weighed - plain == pytest.approx(0.7 * wanted, rel=1e-6)


def test_calibration_without_a_trained_network_is_refused(scene, toy):
    objective = CharacteristicMatch(16)
    with pytest.raises(AttarError, match="calibrates by a trained network, and these surrogates bring none: take Pool"):
        _step(objective, scene, _start(objective, toy))


def test_no_frequencies_are_refused():
    with pytest.raises(AttarError, match="0 frequencies tell nothing apart"):
        CharacteristicMatch(0)


def test_they_are_made_of_parts_that_come_back_from_their_records():
    for name in ("cafe", "datadam", "m3d", "ncfm"):
        method = attar.methods.find(name)()
        assert attar.record.rebuild(attar.record.describe(method.objective)) == method.objective
