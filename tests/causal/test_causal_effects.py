"""Effects: against least squares, against estimators by hand, and on data where the effect is known."""

import math

import numpy as np
import pytest
import torch

from attar.causal import effect
from attar.causal.propensity import RIDGE, logistic
from attar.errors import AttarError
from attar.tables import Column, Table

COLUMNS = (
    Column("treated", "categorical", ("no", "yes")),
    Column("outcome"),
    Column("age"),
    Column("city", "categorical", ("Rome", "Oslo", "Bern")),
    Column("dose"),
)


def study(rows, seed=0):
    """The effect of `treated` is 2 for all; age and city decide on the treatment and on the outcome."""
    rng = np.random.default_rng(seed)
    age, city = rng.normal(50, 10, rows), rng.integers(0, 3, rows)
    chance = 1 / (1 + np.exp(-(age - 50) / 12 - np.array([-0.5, 0, 0.6])[city]))
    treated = (rng.random(rows) < chance).astype(float)
    outcome = 2 * treated + 0.1 * age + np.array([0.0, 1, -1])[city] + rng.normal(size=rows)
    return Table(torch.tensor(np.stack([treated, outcome, age, city, rng.normal(size=rows) + age / 10], 1)), COLUMNS)


@pytest.fixture(scope="module")
def table():
    return study(400)


def one_hot(table):
    treated, outcome, age, city, _ = table.values.numpy().T
    return outcome, np.stack([np.ones(len(table)), treated, age, city == 1, city == 2], axis=1)


def test_regression_is_weighted_least_squares(table):
    """Estimate and classical error as in textbooks: ``(X' W X)^-1 X' W y``, and ``sum w r^2 / (n - k)`` times the inverse."""
    weight = torch.rand(len(table), generator=torch.Generator().manual_seed(0)).double() + 0.2
    weighed = table.replace(weight=weight, n_represented=float(len(table)))
    y, x = one_hot(table)
    root = np.sqrt(weight.numpy())
    wanted = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
    scale = (weight.numpy() * (y - x @ wanted) ** 2).sum() / (len(table) - 5)
    error = math.sqrt(scale * np.linalg.inv(x.T @ (x * weight.numpy()[:, None]))[1, 1])
    found = effect(weighed, "treated", "outcome", ["age", "city"])
    assert found.estimate == pytest.approx(wanted[1], rel=1e-10)
    assert found.error == pytest.approx(error, rel=1e-9)
    assert found.high - found.estimate == pytest.approx(1.959963984540054 * found.error)
    slope = effect(table, "dose", "outcome", [])
    dose = table.values[:, 4].numpy()
    assert slope.estimate == pytest.approx(np.polyfit(dose, y, 1)[0], rel=1e-10)


@pytest.mark.parametrize("estimator", ["regression", "ipw", "aipw"])
def test_the_known_effect_is_in_reach_of_its_error(estimator):
    found = effect(study(4000, seed=1), "treated", "outcome", ["age", "city"], estimator)
    assert abs(found.estimate - 2) < 3 * found.error < 0.4
    assert found.low < 2 < found.high
    plain = effect(study(4000, seed=1), "treated", "outcome", (), estimator)
    assert plain.low > 2.3


@pytest.mark.parametrize("estimator", ["regression", "ipw", "aipw"])
def test_weights_are_repeated_rows_and_errors_read_the_size(table, estimator):
    weight = torch.randint(1, 4, (len(table),), generator=torch.Generator().manual_seed(0))
    repeated = table.take(torch.arange(len(table)).repeat_interleave(weight))
    weighed = table.replace(weight=weight.double(), n_represented=float(weight.sum()))
    settings = ("treated", "outcome", ["age", "city"], estimator)
    one, other = effect(weighed, *settings), effect(repeated, *settings)
    assert one.estimate == pytest.approx(other.estimate, rel=1e-8)
    assert one.error == pytest.approx(other.error, rel=1e-8)
    assert one.effective == pytest.approx(other.effective, rel=1e-8)
    more = effect(weighed.replace(n_represented=4.0 * float(weight.sum())), *settings)
    assert more.estimate == one.estimate
    assert one.error / more.error == pytest.approx(2, rel=0.01)


def test_rows_with_the_same_moments_have_the_same_regression(table):
    """The treatment is between 0 and 1 there, and the city no city: nothing but means and covariances are kept."""
    y, x = one_hot(table)
    z = torch.tensor(np.column_stack([x[:, 1:], y]))
    root = torch.linalg.cholesky(torch.cov(z.T, correction=0))
    corners = torch.linalg.qr(torch.cat([torch.ones(6, 1), torch.eye(6)[:, :5]], 1).double())[0][:, 1:] * 6**0.5
    few = Table(z.mean(0) + corners @ root.T, tuple(map(Column, "tabcy")), n_represented=400.0)
    own, full = effect(few, "t", "y", "abc"), effect(table, "treated", "outcome", ["age", "city"])
    assert own.estimate == pytest.approx(full.estimate, rel=1e-8)
    assert own.error == pytest.approx(full.error, rel=1e-8)


@pytest.mark.parametrize("estimator", ["regression", "ipw", "aipw"])
def test_soft_rows_are_the_rows_that_they_stand_for(estimator):
    odds = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [0.5, 0.5]])
    cities = torch.tensor([[0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0.5, 0.5], [0.5, 0, 0.5]])
    values = torch.tensor([[0, 1.0, 40, 0, 0], [1, 3, 50, 2, 0], [0, 2.5, 60, 1, 0], [0, 0.5, 45, 0, 0]])
    soft = Table(values, COLUMNS, n_represented=320.0, soft={"treated": odds, "city": cities})
    rows = []
    for place, row in enumerate(values.tolist()):
        for t in range(2):
            for c in range(3):
                rows += [[t, *row[1:3], c, 0]] * round(80 * float(odds[place, t] * cities[place, c]))
    hard = Table(torch.tensor(rows).double(), COLUMNS)
    assert len(hard) == 320
    own, full = (effect(t, "treated", "outcome", ["age", "city"], estimator) for t in (soft, hard))
    assert own.estimate == pytest.approx(full.estimate, rel=1e-8)
    assert own.error == pytest.approx(full.error, rel=1e-8)


def test_ipw_and_aipw_in_strata_are_means_of_the_strata(table):
    """With one binary column to adjust for, propensities are shares, and both are the weighted mean of the strata's differences."""
    values = table.values.clone()
    values[:, 3] = (values[:, 2] > 50).double()
    columns = (*COLUMNS[:3], Column("old", "categorical", ("no", "yes")), COLUMNS[4])
    split = Table(values, columns)
    t, y, old = (values[:, k].numpy() for k in (0, 1, 3))
    wanted = sum(
        (old == k).mean() * (y[(old == k) & (t == 1)].mean() - y[(old == k) & (t == 0)].mean()) for k in (0, 1)
    )
    for estimator in ("ipw", "aipw"):
        found = effect(split, "treated", "outcome", ["old"], estimator)
        assert found.estimate == pytest.approx(wanted, abs=1e-4)  # the ridge
        shares = [t[old == k].mean() for k in (0, 1)]
        assert found.propensity == (pytest.approx(min(shares), abs=1e-4), pytest.approx(max(shares), abs=1e-4))
        assert found.clipped == 0
        e = np.where(old == 1, shares[1], shares[0])
        w = t / e + (1 - t) / (1 - e)
        assert found.effective == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-4)


def test_errors_are_the_spread_of_estimates_on_new_data():
    for estimator in ("regression", "ipw", "aipw"):
        found = [effect(study(300, seed=s), "treated", "outcome", ["age", "city"], estimator) for s in range(40)]
        spread = np.std([one.estimate for one in found])
        error = np.mean([one.error for one in found])
        assert 0.75 < error / spread < (2.5 if estimator == "ipw" else 1.35)


def test_the_logistic_regression_is_at_its_minimum(table):
    _, x = one_hot(table)
    x, treated, shares = torch.tensor(x[:, 2:]), torch.tensor(x[:, 1]), table.shares
    left = treated - logistic(x, treated, shares)
    standard = (x - x.mean(0)) / x.std(0, correction=0)
    assert abs(float(shares @ left)) < 1e-12
    assert (standard.T @ (shares * left)).abs().max() < 10 * RIDGE
    doubled = torch.cat([x, x[:, :1] * 3 + 1, torch.ones(len(x), 1)], dim=1)
    assert torch.allclose(logistic(doubled, treated, shares), treated - left, atol=1e-5)


def test_clipping_is_told(table):
    found = effect(table, "treated", "outcome", ["age", "city"], "ipw", clip=0.3)
    assert 0 < found.clipped < 1
    assert found.propensity[0] < 0.3 < 0.7 < found.propensity[1]
    assert found.estimate != effect(table, "treated", "outcome", ["age", "city"], "ipw").estimate


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("treated", "outcome", ["salary"]), "no column 'salary' among treated, outcome"),
        (("treated", "outcome", ["treated"]), "'treated' is named twice"),
        (("city", "outcome"), "'city' has 3 categories without an order"),
        (("dose", "outcome", ["age"], "ipw"), "'dose' takes other values than two"),
        (("treated", "outcome", [], "matching"), "no estimator 'matching': give regression, ipw or aipw"),
    ],
)
def test_what_has_no_effect_is_refused_in_a_sentence(table, settings, said):
    with pytest.raises(AttarError, match=said):
        effect(table, *settings)


def test_effects_that_cannot_be_told_are_refused_in_a_sentence(table):
    values = table.values.clone()
    values[:, 4] = 3 * values[:, 2] - 1
    with pytest.raises(AttarError, match="'dose' is determined by the adjustment"):
        effect(table.replace(values=values), "dose", "outcome", ["age"])
    values[:, 4] = values[:, 0] * 10 + values[:, 1] / 100
    for estimator in ("ipw", "aipw"):
        with pytest.raises(AttarError, match="arms of 'treated' do not overlap"):
            effect(table.replace(values=values), "treated", "outcome", ["dose"], estimator)
    values[:, 0] = 1
    with pytest.raises(AttarError, match="'treated' is constant"):
        effect(table.replace(values=values), "treated", "outcome")
    values[2, 1] = math.nan
    with pytest.raises(AttarError, match="'outcome' misses 1 values"):
        effect(table.replace(values=values), "dose", "outcome")
    few = table.take(table.values[:, 0].argsort()[[0, 1, -2, -1]])
    with pytest.raises(AttarError, match="4 rows are too few for a regression on 3 columns"):
        effect(few, "treated", "outcome", ["age", "dose"])
