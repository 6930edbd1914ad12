"""Scores of difficulty against hand-computed values and, for gradients, against autograd row by row."""

import pytest
import torch

from attar import models
from attar.selection.rules import ByDifficulty
from attar.selection.training_dynamics import SCORES, error_norms, forgetting_events, gradient_norms
from attar.types import AttarError


def test_forgetting_counts_falls_from_right_to_wrong_and_puts_what_was_never_learned_last():
    right = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 0, 1], [0, 1, 0, 1]]).bool()
    assert forgetting_events(right).tolist() == [2, 0, 5, 0]


def test_el2n_is_the_mean_length_of_the_error():
    probabilities = torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]])
    found = error_norms(probabilities, torch.tensor([0, 1]))
    assert found.tolist() == pytest.approx([(0 + 2**0.5) / 2, 0.5**0.5])


def test_grand_is_the_norm_of_each_rows_own_gradient():
    torch.manual_seed(0)
    model = models.build("convnet3-8", (1, 8, 8), 3)
    x, y = torch.randn(35, 1, 8, 8), torch.arange(35) % 3  # more than one block
    expected = []
    for row, label in zip(x, y, strict=True):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(row[None]), label[None]).backward()
        expected.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm())
    torch.testing.assert_close(gradient_norms(model, x, y), torch.stack(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("score", SCORES)
def test_noise_under_a_label_is_harder_than_the_class_itself(toy, score):
    """Rows whose label is wrong are the hardest of their class."""
    wrong = torch.arange(0, len(toy.train), 12)
    y = toy.train.y.clone()
    y[wrong] = (y[wrong] + 1) % 3
    problem = type(toy)(toy.task, toy.train.replace(y=y), toy.validation, toy.test, toy.spec)
    found = SCORES[score](problem, "mlp-32", 8, 2, 0)
    right = torch.ones(len(y), dtype=torch.bool)
    right[wrong] = False
    assert found[wrong].mean() > found[right].mean()
    assert torch.equal(found, SCORES[score](problem, "mlp-32", 8, 2, 0))


@pytest.mark.parametrize(("prefer", "expected"), [("hard", [1, 4]), ("easy", [3, 0]), ("middle", [2])])
def test_preference(prefer, expected):
    scores = torch.tensor([0.2, 0.9, 0.3, 0.1, 0.8])
    picked = ByDifficulty("el2n", prefer=prefer)._picked(scores, len(expected), torch.tensor([], dtype=torch.long))
    assert picked.rows.tolist() == expected
    assert picked.represents.sum() == 5


def test_reasons_name_the_rank():
    picked = ByDifficulty("el2n")._picked(torch.tensor([0.2, 0.9, 0.3]), 2, torch.tensor([0]))
    assert picked.rows.tolist() == [0, 1]
    assert picked.reasons == ("asked for", "error 0.9: hardest 1 of 3")
    alike = ByDifficulty("el2n")._picked(torch.tensor([0.2, 0.9, 0.2]), 2, torch.tensor([], dtype=torch.long))
    assert alike.reasons[1] == "error 0.2: hardest 2 to 3 of 3, all alike"


def test_a_row_that_was_never_learned_is_called_so():
    picked = ByDifficulty("forgetting", epochs=4)._picked(
        torch.tensor([1.0, 2.0, 5.0]), 3, torch.tensor([], dtype=torch.long)
    )
    told = [reason.partition(":")[0] for reason in picked.reasons]
    assert told == ["never learned", "forgotten 2 times", "forgotten once"]


def test_what_scores_nothing_is_refused(toy):
    with pytest.raises(AttarError, match="no difficulty 'loss'"):
        ByDifficulty("loss")
    with pytest.raises(AttarError, match="nothing to forget: give 2 or more"):
        ByDifficulty("forgetting", epochs=1)
    with pytest.raises(AttarError, match="no preference"):
        ByDifficulty("el2n", prefer="soft")
    with pytest.raises(AttarError, match="batch norm"):
        SCORES["grand"](toy, "convnet3-8-bn", 0, 1, 0)
