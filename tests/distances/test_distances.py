"""Distances against values computed by hand and by loops."""

import math

import pytest
import torch

from attar.distances import (
    class_means,
    cosine_distance,
    hidden_l1,
    hidden_squared,
    layerwise_cosine,
    mean_distance,
    squared_distance,
)


def _gradients(seed, dtype=torch.float64):
    source = torch.Generator().manual_seed(seed)
    shapes = {
        "conv.weight": (3, 2, 2, 2),
        "conv.bias": (3,),
        "norm.weight": (3,),
        "head.weight": (4, 12),
        "head.bias": (4,),
    }
    return {name: torch.randn(shape, generator=source, dtype=dtype) for name, shape in shapes.items()}


def test_layerwise_cosine_by_hand():
    a = {"w": torch.tensor([[1.0, 0.0], [1.0, 1.0]]), "b": torch.tensor([9.0, 9.0])}
    b = {"w": torch.tensor([[0.0, 2.0], [3.0, 0.0]]), "b": torch.tensor([-9.0, 0.0])}
    wanted = (1 - 0) + (1 - 3 / (math.sqrt(2) * 3 + 1e-6))
    assert layerwise_cosine(a, b).item() == pytest.approx(wanted, rel=1e-6)


def test_layerwise_cosine_is_the_loop_over_layers_and_output_units():
    a, b = _gradients(0), _gradients(1)
    total = 0.0
    for name in ("conv.weight", "head.weight"):
        for left, right in zip(a[name], b[name], strict=True):
            product = sum(x * y for x, y in zip(left.flatten().tolist(), right.flatten().tolist(), strict=True))
            lengths = [math.sqrt(sum(x * x for x in side.flatten().tolist())) for side in (left, right)]
            total += 1 - product / (lengths[0] * lengths[1] + 1e-6)
    assert layerwise_cosine(a, b).item() == pytest.approx(total, rel=1e-12)


def test_layerwise_cosine_is_nought_for_parallel_and_two_a_unit_for_opposite_gradients():
    a = _gradients(0)
    assert layerwise_cosine(a, {name: 3 * value for name, value in a.items()}).item() == pytest.approx(0, abs=1e-5)
    assert layerwise_cosine(a, {name: -value for name, value in a.items()}).item() == pytest.approx(
        2 * (3 + 4), abs=1e-5
    )


def test_layerwise_cosine_of_a_dead_unit_is_finite():
    a, b = _gradients(0), _gradients(1)
    a["conv.weight"][1] = 0
    value = layerwise_cosine(a, b)
    a["conv.weight"][1] = 1e-30
    assert value.item() == pytest.approx(layerwise_cosine(a, b).item())


def test_squared_distance_counts_every_parameter():
    a = {"w": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([5.0])}
    b = {"w": torch.tensor([[0.0, 4.0]]), "b": torch.tensor([2.0])}
    assert squared_distance(a, b).item() == 1 + 4 + 9


def test_cosine_distance_is_of_the_whole_vector():
    a, b = _gradients(0), _gradients(1)
    left, right = (torch.cat([value.flatten() for value in side.values()]) for side in (a, b))
    wanted = 1 - torch.nn.functional.cosine_similarity(left, right, dim=0)
    assert cosine_distance(a, b).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_hidden_distances_by_hand_leave_out_what_is_flat_and_the_classifier():
    a = {"w": torch.tensor([[1.0, -2.0]]), "b": torch.tensor([9.0]), "head.w": torch.tensor([[5.0]])}
    b = {"w": torch.tensor([[4.0, -1.0]]), "b": torch.tensor([0.0]), "head.w": torch.tensor([[0.0]])}
    assert hidden_l1(a, b).item() == 3 + 1
    assert hidden_squared(a, b).item() == 9 + 1


def test_a_classifier_alone_is_compared():
    a, b = {"w": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([3.0])}, {"w": torch.zeros(1, 2), "b": torch.zeros(1)}
    assert hidden_l1(a, b).item() == 3
    assert hidden_squared(a, b).item() == 5


def test_the_order_of_names_does_not_matter():
    a, b = _gradients(0), _gradients(1)
    turned = dict(reversed(b.items()))
    for distance in (layerwise_cosine, squared_distance, cosine_distance, hidden_l1, hidden_squared):
        assert distance(a, b).item() == distance(a, turned).item()


@pytest.mark.parametrize("distance", [layerwise_cosine, squared_distance, cosine_distance, hidden_l1, hidden_squared])
def test_gradients_of_gradient_distances(distance):
    a, b = _gradients(0), _gradients(1)
    # a distance that leaves names out has no gradient there, which the check would take for one of nought
    names = [name for name in a if distance not in (hidden_l1, hidden_squared) or name == "conv.weight"]
    b = {name: b[name] for name in names}
    leaves = [a[name].requires_grad_() for name in names]
    assert torch.autograd.gradcheck(lambda *values: distance(dict(zip(names, values, strict=True)), b), leaves)


def test_class_means_by_hand():
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]])
    found = class_means(features, torch.tensor([0, 0, 2]), 3)
    assert found.tolist() == [[2.0, 3.0], [0.0, 0.0], [10.0, 20.0]]


def test_class_means_of_soft_labels_weigh_rows_by_their_share():
    features = torch.tensor([[1.0], [5.0]])
    found = class_means(features, torch.tensor([[1.0, 0.0], [0.25, 0.75]]), 2)
    assert found.flatten().tolist() == pytest.approx([(1 + 0.25 * 5) / 1.25, 5.0])


def test_class_means_sum_half_precision_in_full():
    """bf16 has 8 bits: summed in it, 4,096 ones would be 256."""
    features = torch.ones(4096, 1, dtype=torch.bfloat16)
    assert class_means(features, torch.zeros(4096, dtype=torch.long), 1).item() == 1


def _sides(dtype=torch.float64):
    source = torch.Generator().manual_seed(0)
    y_real, y_synthetic = torch.tensor([0, 0, 0, 0, 0, 1, 2, 2, 2]), torch.tensor([0, 1, 1, 2])
    real = [torch.randn(9, *shape, generator=source, dtype=dtype) for shape in ((2, 3, 3), (5,))]
    synthetic = [torch.randn(4, *shape, generator=source, dtype=dtype) for shape in ((2, 3, 3), (5,))]
    return real, y_real, synthetic, y_synthetic


def test_mean_distance_is_the_loop_over_layers_and_imbalanced_classes():
    real, y_real, synthetic, y_synthetic = _sides()
    total = 0.0
    for left, right in zip(real, synthetic, strict=True):
        for group in range(3):
            here = [row.flatten() for row, label in zip(left, y_real, strict=True) if label == group]
            there = [row.flatten() for row, label in zip(right, y_synthetic, strict=True) if label == group]
            gap = sum(here) / len(here) - sum(there) / len(there)
            total += float(gap @ gap)
    assert mean_distance(real, y_real, synthetic, y_synthetic, 3).item() == pytest.approx(total, rel=1e-6)


def test_mean_distance_of_hard_labels_is_that_of_their_one_hot_targets():
    real, y_real, synthetic, y_synthetic = _sides()
    soft = torch.nn.functional.one_hot(y_synthetic, 3).double()
    hard = mean_distance(real, y_real, synthetic, y_synthetic, 3)
    assert mean_distance(real, y_real, synthetic, soft, 3).item() == pytest.approx(hard.item(), rel=1e-12)


def test_mean_distance_of_equal_sides_is_nought():
    real, y_real, _, _ = _sides()
    assert mean_distance(real, y_real, real, y_real, 3).item() == 0


def test_gradients_of_the_mean_distance_reach_features_and_soft_labels():
    real, y_real, synthetic, _ = _sides()
    targets = torch.softmax(torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), 1)
    leaves = [synthetic[0].requires_grad_(), synthetic[1].requires_grad_(), targets.requires_grad_()]
    assert torch.autograd.gradcheck(lambda a, b, y: mean_distance(real, y_real, [a, b], y, 3), leaves)


def test_layers_that_do_not_pair_up_are_refused():
    real, y_real, synthetic, y_synthetic = _sides()
    with pytest.raises(ValueError, match="shorter"):
        mean_distance(real, y_real, synthetic[:1], y_synthetic, 3)
