"""Measures over groups of test rows: by hand, and through an evaluation, a comparison and old files."""

import json

import pytest
import torch

import attar
from attar import data, methods, report
from attar.compare import compare
from attar.evaluation import Groups, Protocol, Score, amplification, evaluate
from attar.evaluation.groups import answers_by_group, groups_of, over_runs
from attar.types import AttarError, Budget

TINY = Protocol("tiny", models=("mlp-8",), runs=2, epochs=14, plain_epochs=10, updates=15, full_updates=20, lr=0.05)

Y = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1])
G = torch.tensor([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
GUESSES = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 0, 1, 1, 1])
"""p(0|0,0) = 3/4, p(1|1,0) = 1/2, p(0|0,1) = 1/2, p(1|1,1) = 1; there is a third class without test rows."""


@pytest.fixture(scope="module")
def by_hand():
    return groups_of([answers_by_group(GUESSES, Y, G, 3)])


@pytest.fixture(scope="module")
def digits():
    return data.load("coloured-digits")


class TestByHand:
    def test_counts(self):
        counts = answers_by_group(GUESSES, Y, G, 3)
        assert counts[0].tolist() == [[3, 1, 0], [0, 2, 2], [0, 0, 0]]
        assert counts[1].tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]

    def test_measures(self, by_hand):
        assert by_hand.accuracy == ((0.75, 0.5, None), (0.5, 1.0, None))
        assert by_hand.worst == 0.5
        assert by_hand.gap == 0.5
        assert by_hand.deo_max == 0.5  # of class 1, where class 0 has 0.25
        assert by_hand.deo_mean == 0.375
        assert by_hand.odds_gap == 0.5
        assert by_hand.std is None

    def test_odds_see_what_rows_are_taken_for(self):
        """Both groups are right half of the time, and wrong in ways of their own."""
        y, g = torch.zeros(4, dtype=torch.long), torch.tensor([0, 0, 1, 1])
        found = groups_of([answers_by_group(torch.tensor([0, 1, 0, 2]), y, g, 3)])
        assert (found.deo_max, found.deo_mean, found.odds_gap) == (0.0, 0.0, 0.5)

    def test_a_group_without_rows_is_no_group(self):
        y, g = torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1])
        found = groups_of([answers_by_group(torch.tensor([0, 1, 0]), y, g, 2)])
        assert found.accuracy == ((1.0, 1.0), (None, 0.0))
        assert (found.worst, found.deo_max, found.deo_mean, found.lowest) == (0.0, 1.0, 0.5, (1, 1))

    def test_the_worst_group_of_each_run_is_its_own(self, by_hand):
        other = answers_by_group(Y, Y, G, 3)  # all right
        both = groups_of([answers_by_group(GUESSES, Y, G, 3), other])
        assert both.scores == (0.5, 1.0)
        assert both.worst == 0.75
        assert both.std == pytest.approx(0.5 / 2**0.5)
        assert both.accuracy == ((0.875, 0.75, None), (0.75, 1.0, None))
        assert both == over_runs([by_hand, groups_of([other])])

    def test_amplification(self, by_hand):
        full = groups_of([answers_by_group(torch.where(torch.arange(12) == 3, Y, GUESSES), Y, G, 3)])
        assert full.deo_mean == 0.5
        assert amplification(by_hand, full) == 0.75
        assert amplification(by_hand, None) is None
        assert amplification(by_hand, groups_of([answers_by_group(Y, Y, G, 3)])) is None
        with pytest.raises(AttarError, match="tested on the same groups: these are not"):
            amplification(by_hand, groups_of([answers_by_group(GUESSES[:8], Y[:8], G[:8], 3)]))


class TestEvaluation:
    def test_a_score_carries_groups_and_its_accuracy_is_theirs(self, digits):
        scores = evaluate(digits.train.take(torch.arange(40)), digits, protocol=TINY)
        [score] = scores
        counts = torch.bincount(digits.test.attribute * 10 + digits.test.y, minlength=100).reshape(10, 10)
        mean = (torch.tensor(score.groups.accuracy) * counts).sum() / counts.sum()
        assert float(mean) == pytest.approx(score.mean, abs=1e-6)
        assert score.worst_group == score.groups.worst == pytest.approx(sum(score.groups.scores) / 2)
        group, label = score.groups.lowest
        names = digits.spec
        assert f"does worst on {names.class_names[label]}, {names.attribute_names[group]}: " in scores.notes[-1]
        assert "worst group %" in scores.table()

    def test_ridge_regression_has_groups_too(self, digits):
        [score] = evaluate(digits.train.take(torch.arange(60)), digits, ["ridge-nngp"], protocol=TINY)
        assert 0 <= score.worst_group < score.mean

    def test_through_json_and_without(self, digits, toy):
        [score] = evaluate(digits.train.take(torch.arange(40)), digits, protocol=TINY)
        assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score
        [plain] = evaluate(toy.train.take(torch.arange(9)), toy, protocol=TINY)
        assert plain.worst_group is None
        old = plain.to_json()
        del old["groups"]  # of before
        assert Score.from_json(old) == plain
        assert "worst group" not in attar.evaluation.Scores((plain,)).table()

    def test_a_comparison_has_worst_groups_and_ratios(self, digits, tmp_path):
        found = compare(digits, ["kmeans"], (1,), seeds=2, out=tmp_path, protocol=TINY, workers=1)
        full, *rows = found.rows
        assert full.amplification is None
        assert 0 <= full.worst_group <= full.mean
        assert all(0 <= row.worst_group <= 1 and row.amplification > 0 for row in rows)
        assert rows[0].worst_group_std is not None
        assert "worst group %" in found.table()
        assert "amplification" in found.csv().partition("\n")[0]
        report.of_comparison(tmp_path)
        page = (tmp_path / "report.html").read_text()
        assert "worst group" in page
        assert "bias amplified" in page

    def test_the_page_of_a_run(self, digits, tmp_path):
        attar.distill(methods.random(), digits, Budget(per_class=1), out=tmp_path / "run")
        found = report.score_run(tmp_path / "run", protocol=TINY, runs=2)
        page = (tmp_path / "run" / "report.html").read_text()
        assert '<th scope="col" class="n">worst group</th>' in page
        assert "differ between groups" in page
        drawn = next(score for score in found["scores"] if score["subject"] == "random")
        assert len(drawn["groups"]["scores"]) == 2


def test_groups_are_read_back_as_they_were(by_hand):
    from dataclasses import asdict

    assert Groups.from_json(json.loads(json.dumps(asdict(by_hand)))) == by_hand


@pytest.mark.slow
def test_balanced_groups_cure_a_bias_that_distillation_amplifies():
    """Digits that have their class's colour on four of five rows: plain matching makes sets that teach colours."""
    digits = data.load("coloured-digits", share=0.8)
    short = Protocol("short", ("convnet2-16",), runs=2, epochs=100, updates=200, lr=0.03)
    scores = {}
    for attribute in ("", "balanced", "density"):
        method = methods.dm("convnet2-16", batch=64, lr=10, attribute=attribute)
        value = attar.distill(method, digits, Budget(per_class=10), steps=150, seed=0).value
        [scores[attribute]] = evaluate(value, digits, protocol=short)
    plain, balanced, dense = scores.values()
    assert plain.worst_group < 0.05 < balanced.worst_group - 0.1
    assert balanced.mean > plain.mean + 0.3
    assert dense.mean > plain.mean + 0.2
    assert amplification(balanced.groups, plain.groups) < 0.5
