"""Budget, Normalisation and Spec."""

import pytest
import torch

from attar.plan import Plan
from attar.types import AttarError, Budget, Normalisation


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "got 0"),
        ({"per_class": 1, "size": 3}, "got 2"),
        ({"per_class": 0}, "per_class=0 is out of range"),
        ({"size": -1}, "size=-1 is out of range"),
        ({"per_class": 1.5}, "per_class=1.5 is out of range"),
        ({"fraction": 0.0}, "out of range"),
        ({"fraction": 1.1}, "out of range"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(given, said):
    with pytest.raises(AttarError, match=said):
        Budget(**given)


def test_per_class_gives_each_class_the_same():
    assert Budget(per_class=2).counts([5, 2, 9]) == (2, 2, 2)


def test_a_class_with_too_few_rows_is_named():
    with pytest.raises(AttarError, match="class 'dog' has 2 training rows, fewer than the 3"):
        Budget(per_class=3).counts([5, 2], ["cat", "dog"])


def test_a_budget_of_rows_without_classes_speaks_of_none():
    with pytest.raises(AttarError, match="There are 4 training rows, fewer than the 30"):
        Budget(per_class=30).counts([4])
    with pytest.raises(AttarError, match="A budget of 30 rows is more than the 4 training rows"):
        Budget(size=30).counts([4])


@pytest.mark.parametrize("available", [[50, 30, 20], [97, 2, 1], [1, 1, 98], [34, 33, 33]])
@pytest.mark.parametrize("total", [3, 7, 10, 41, 99, 100])
def test_a_size_is_shared_as_in_the_data_with_one_row_at_least(available, total):
    counts = Budget(size=total).counts(available)
    assert sum(counts) == total
    for have, got in zip(available, counts, strict=True):
        assert 1 <= got <= have
        exact = 1 + (total - 3) * (have - 1) / (100 - 3)
        assert abs(got - exact) < 1


def test_a_size_is_shared_by_largest_remainders():
    assert Budget(size=10).counts([50, 30, 20]) == (5, 3, 2)


def test_a_fraction_is_of_all_rows():
    assert Budget(fraction=0.1).counts([50, 50]) == (5, 5)
    assert Budget(fraction=1.0).counts([3, 4]) == (3, 4)


@pytest.mark.parametrize("budget", [Budget(size=2), Budget(size=101), Budget(fraction=0.01)])
def test_a_size_that_does_not_fit_is_refused(budget):
    with pytest.raises(AttarError, match="give between 3 and 100 rows"):
        budget.counts([50, 30, 20])


def test_a_budget_prints_as_part_of_a_path():
    names = [str(Budget(per_class=10)), str(Budget(size=500)), str(Budget(fraction=0.01))]
    assert names == ["10-per-class", "500-rows", "0.01-of-rows"]


def test_normalisation_runs_along_channels_and_is_undone():
    normalisation = Normalisation((0.5, 0.0), (0.25, 2.0))
    x = torch.rand(3, 2, 4, 4)
    applied = normalisation.apply(x)
    assert torch.allclose(applied[:, 0], (x[:, 0] - 0.5) / 0.25)
    assert torch.allclose(applied[:, 1], x[:, 1] / 2)
    assert torch.allclose(normalisation.undo(applied), x, atol=1e-6)
    table = torch.rand(5, 2, dtype=torch.float64)
    assert normalisation.apply(table).dtype == torch.float64
    assert torch.allclose(normalisation.undo(normalisation.apply(table)), table)


def test_planned_moves_the_task_to_the_plan_and_leaves_the_problem_as_it_was(toy):
    plan = Plan(chunk=7)
    planned = toy.planned(plan)
    assert planned.task.plan.chunk == 7
    assert toy.task.plan.chunk != 7
    assert planned.spec == toy.spec


def test_the_members_of_a_problem_are_its_training_rows_by_class(toy):
    for group, rows in toy.members.items():
        assert (toy.train.y[rows] == group).all()
    assert sum(map(len, toy.members.values())) == len(toy.train)
