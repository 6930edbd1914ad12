"""Tests of independence against loops, scipy and causal-learn; weights, sizes and soft rows."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from attar.causal import agreement, discover, independence, independent
from attar.errors import AttarError
from attar.tables import Column, Moments, Table

stats = pytest.importorskip("scipy.stats")


def test_every_pair_is_tested_given_every_set_of_others_once(gaussian):
    found = independence(gaussian, order=2)
    tests = [found.columns(place) for place in range(len(found))]
    assert len(tests) == 10 * (1 + 3 + 3)
    assert len({(frozenset(names[:2]), frozenset(names[2:])) for names in tests}) == 70
    assert found.order.bincount().tolist() == [10, 30, 30]
    assert tests[0] == ("x0", "x1")
    assert tests[-1] == ("x3", "x4", "x1", "x2")
    assert found.valid.all()


def test_tests_are_bounded_by_drawing_the_same_ones_of_every_table(gaussian):
    """Of an order with no more tests than that, all are made."""
    all_tests, few = independence(gaussian, order=2), independence(gaussian, order=2, most=20)
    assert few.order.bincount().tolist() == [10, 20, 20]
    p = {all_tests.columns(place): float(all_tests.p[place]) for place in range(len(all_tests))}
    assert [p[few.columns(place)] for place in range(len(few))] == pytest.approx(few.p.tolist())
    half = independence(gaussian.take(torch.arange(300)), order=2, most=20)
    assert agreement(half, few).tests == 50
    other = independence(gaussian, order=2, most=20, seed=1)
    assert not torch.equal(other.given, few.given)
    with pytest.raises(AttarError, match="At most 0 tests are none"):
        independence(gaussian, most=0)


def test_fisher_z_is_that_of_residuals_of_least_squares(gaussian):
    x, n = gaussian.values.numpy(), len(gaussian)
    found = independence(gaussian, "fisher_z", order=3)
    for place in range(len(found)):
        i, j, *given = (gaussian.place(name) for name in found.columns(place))
        z = np.c_[np.ones(n), x[:, given]]
        left = x[:, [i, j]] - z @ np.linalg.lstsq(z, x[:, [i, j]], rcond=None)[0]
        r = np.corrcoef(left.T)[0, 1]
        statistic = math.sqrt(n - len(given) - 3) * abs(np.arctanh(r))
        assert found.statistic[place] == pytest.approx(statistic, abs=1e-9)
        assert found.p[place] == pytest.approx(2 * stats.norm.sf(statistic), rel=1e-8, abs=1e-12)
        assert found.freedom[place] == n - len(given) - 3


def test_fisher_z_is_that_of_causal_learn(gaussian):
    cit = pytest.importorskip("causallearn.utils.cit")
    theirs = cit.CIT(gaussian.values.numpy(), "fisherz")
    found = independence(gaussian, "fisher_z", order=3)
    for place in range(len(found)):
        i, j, *given = (gaussian.place(name) for name in found.columns(place))
        assert found.p[place] == pytest.approx(theirs(i, j, given), abs=1e-10)


def g2_by_hand(codes, weight, i, j, given):
    """A loop over strata: statistic and degrees of freedom."""
    statistic, freedom = 0.0, 0
    for stratum in {tuple(row) for row in codes[:, given]}:
        rows = (codes[:, given] == stratum).all(axis=1)
        table = np.zeros((codes[:, i].max() + 1, codes[:, j].max() + 1))
        np.add.at(table, (codes[rows, i], codes[rows, j]), weight[rows])
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        seen = table > 0
        statistic += 2 * (table[seen] * np.log(table[seen] / expected[seen])).sum()
        freedom += (table.shape[0] - 1) * (table.shape[1] - 1)
    return statistic, freedom


def test_g2_is_that_of_a_loop_over_strata(discrete):
    codes, weight = discrete.values.long().numpy(), np.ones(len(discrete))
    found = independence(discrete, "g2")
    frees = set()
    for place in range(len(found)):
        i, j, *given = (discrete.place(name) for name in found.columns(place))
        statistic, freedom = g2_by_hand(codes, weight, i, j, given)
        assert found.statistic[place] == pytest.approx(statistic, abs=1e-9)
        assert found.freedom[place] == freedom
        assert found.p[place] == pytest.approx(stats.chi2.sf(statistic, freedom) if freedom else 1.0, abs=1e-9)
        frees.add(
            freedom
            == (discrete.columns[i].levels - 1)
            * (discrete.columns[j].levels - 1)
            * max(1, math.prod(discrete.columns[k].levels for k in given))
        )
    assert frees == {True, False}  # some strata are empty, some tests have none of these


def test_g2_is_that_of_causal_learn_and_of_scipy(discrete):
    cit = pytest.importorskip("causallearn.utils.cit")
    codes = discrete.values.long().numpy()
    theirs = cit.CIT(codes, "gsq")
    found = independence(discrete, "g2")
    for place in range(len(found)):
        i, j, *given = (discrete.place(name) for name in found.columns(place))
        assert found.p[place] == pytest.approx(theirs(i, j, given), abs=1e-9)
    table = discrete.counts(["x1", "x3"]).numpy()
    wanted = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    one = independent(discrete, "x3", "x1")
    assert float(one.statistic) == pytest.approx(wanted.statistic, abs=1e-10)
    assert float(one.p) == pytest.approx(wanted.pvalue, rel=1e-9)


def test_strata_of_many_columns_are_counted_where_they_occur(categories):
    codes = np.random.default_rng(0).integers(0, 6, size=(300, 8))
    codes[:, 7] = (codes[:, 0] + codes[:, 6] // 3) % 6
    table = categories(codes)
    given = ["x1", "x2", "x3", "x4", "x5"]
    statistic, freedom = g2_by_hand(codes, np.ones(300), 6, 7, [1, 2, 3, 4, 5])
    one = independent(table, "x6", "x7", given)
    assert float(one.statistic) == pytest.approx(statistic, abs=1e-9)
    assert float(one.freedom) == freedom
    assert float(independent(table, "x7", "x6", given[::-1]).statistic) == pytest.approx(statistic, abs=1e-9)


@pytest.mark.parametrize("test", ["fisher_z", "kernel"])
def test_weights_of_numbers_are_repeated_rows(gaussian, test):
    weight = torch.randint(1, 4, (len(gaussian),), generator=torch.Generator().manual_seed(0))
    repeated = gaussian.take(torch.arange(len(gaussian)).repeat_interleave(weight))
    weighed = gaussian.replace(weight=weight.double() / 7, n_represented=float(weight.sum()))
    one, other = (independence(table, test, order=1) for table in (weighed, repeated))
    assert torch.allclose(one.statistic, other.statistic, rtol=1e-7, atol=1e-9)
    assert torch.allclose(one.p, other.p, atol=1e-8)
    assert one.valid.all()


def test_counted_rows_decide_as_the_full_table_does(discrete, counted):
    few = counted(discrete)
    assert len(few) < len(discrete) / 5
    own, full = independence(few), independence(discrete)
    assert torch.equal(own.reject, full.reject)
    assert torch.allclose(own.p, full.p, atol=1e-12)
    assert torch.equal(own.freedom, full.freedom)
    assert not torch.equal(independence(few.replace(n_represented=None, weight=None)).reject, full.reject)


def test_counted_rows_of_asia_decide_as_all_of_its_rows(real_data, categories, counted):
    codes = np.loadtxt(real_data / "bnlearn/asia.10000.txt", skiprows=1) - 1
    full = categories(codes)
    few = counted(full)
    assert len(few) == 55
    compared = agreement(independence(few), independence(full))
    assert (compared.tests, compared.equal, compared.lost_count, compared.invented_count) == (616, 1, 0, 0)
    assert compared.spearman == pytest.approx(1)


def test_few_rows_with_the_same_moments_decide_alike_at_the_size_they_stand_for(gaussian, numbers):
    x = gaussian.values
    root = torch.linalg.cholesky(torch.cov(x.T, correction=0))
    corners = torch.linalg.qr(torch.cat([torch.ones(6, 1), torch.eye(6)[:, :5]], 1).double())[0][:, 1:] * 6**0.5
    rows = numbers(x.mean(dim=0) + corners @ root.T, n_represented=600.0)
    own, full = independence(rows), independence(gaussian)
    assert torch.allclose(own.p, full.p, atol=1e-9)
    assert torch.equal(own.reject, full.reject)
    assert own.valid.all()
    lost = agreement(independence(rows.replace(n_represented=None)), full)
    assert lost.lost > 0.9  # read as six rows


def test_soft_rows_are_tested_by_the_counts_they_stand_for(discrete):
    few = discrete.take(torch.arange(40))
    hard = {name: few.probabilities(name) for name in few.names}
    one, other = independence(few.replace(soft=hard)), independence(few)
    assert torch.allclose(one.statistic, other.statistic, atol=1e-9)
    assert torch.equal(one.freedom, other.freedom)

    soft = {"x0": torch.tensor([[0.5, 0.5, 0], [0, 0.25, 0.75]]), "x1": torch.tensor([[1, 0], [0.5, 0.5]])}
    pair = few.take(torch.tensor([0, 1])).replace(soft=soft, weight=torch.tensor([1.0, 3]), n_represented=400.0)
    table = 100 * np.array([[0.5, 0], [0.5 + 0.375, 0.375], [1.125, 1.125]])
    assert float(independent(pair, "x0", "x1").statistic) == pytest.approx(
        stats.chi2_contingency(table, lambda_="log-likelihood").statistic
    )


def test_a_category_that_stands_for_no_row_takes_no_degree_of_freedom(categories):
    table = categories(np.array([[0, 0], [1, 1], [2, 0]]), n_represented=100.0)
    sure = table.replace(soft={"x0": torch.tensor([[1, 0, 0], [1e-6, 1 - 1e-6, 0], [0.5, 0.5, 0]])})
    assert float(independent(sure, "x0", "x1").freedom) == 1
    nearly = sure.replace(soft={"x0": torch.tensor([[0.999, 0, 0.001], [0, 1, 0], [0.5, 0.499, 0.001]])})
    assert float(independent(nearly, "x0", "x1").freedom) == 1
    assert float(independent(nearly.replace(n_represented=1e4), "x0", "x1").freedom) == 2


def test_soft_numbers_vary_within_their_rows():
    """A row that is 0 or 1 with equal odds is no row of a half."""
    columns = (Column("a", "categorical", ("no", "yes")), Column("b"))
    table = Table(torch.tensor([[0.0, 1], [0, 2], [1, 3], [1, 4]]), columns, n_represented=80.0)
    soft = table.replace(soft={"a": torch.tensor([[0.5, 0.5], [1, 0], [0.25, 0.75], [0, 1]])})
    rows = [(0, 1), (1, 1), (0, 2), (0, 2), (0, 3), (1, 3), (1, 3), (1, 3), (1, 4), (1, 4)]
    shares = torch.tensor([2.0, 2, 2, 2, 1, 1, 1, 1, 2, 2])
    hard = Table(torch.tensor(rows).double(), columns, weight=shares, n_represented=80.0)
    assert float(independent(soft, "a", "b", test="fisher_z").p) == pytest.approx(
        float(independent(hard, "a", "b", test="fisher_z").p), abs=1e-12
    )


def test_constant_and_collinear_columns_are_handled_as_stated(gaussian, numbers):
    x = gaussian.values
    more = torch.cat([x, 0.1 * torch.ones(len(x), 1), 2 * x[:, :1] - 3 * x[:, 3:4]], dim=1)
    table = numbers(more)  # x5 is constant, x6 is made of x0 and x3
    p = lambda i, j, *given: float(independent(table, i, j, given).p)  # noqa: E731
    assert p("x5", "x0") == 1
    assert p("x6", "x1", "x0", "x3") == 1
    assert p("x6", "x3", "x0") < 1e-300
    assert p("x2", "x4", "x5") == pytest.approx(p("x2", "x4"), rel=0.1)
    both, fewer = (independent(table, "x2", "x4", given) for given in (["x0", "x3", "x6"], ["x0", "x3"]))
    assert float(both.statistic / fewer.statistic) == pytest.approx(math.sqrt(594 / 595))


def test_too_few_rows_decide_nothing(numbers):
    table = numbers(np.random.default_rng(0).normal(size=(5, 4)))
    found = independence(table)
    assert found.freedom.unique().tolist() == [0, 1, 2]
    assert (found.p[found.freedom == 0] == 1).all()


def test_p_values_are_valid_where_rows_say_what_they_stand_for(gaussian, discrete):
    weight = torch.rand(len(gaussian), generator=torch.Generator().manual_seed(0)) + 0.1
    unsaid = gaussian.replace(weight=weight)
    assert not independence(unsaid, order=0).valid.any()
    said = unsaid.replace(n_represented=5000.0)
    assert independence(said, "fisher_z", order=0).valid.all()
    assert not independence(said, "kernel", order=0).valid.any()
    kept = independence(discrete, order=2, kept=lambda names: len(names) <= 3)
    assert torch.equal(kept.valid, kept.order <= 1)


def test_agreement_counts_lost_and_invented_dependences(gaussian):
    full = independence(gaussian, order=1, alpha=0.01)
    p = full.p.clone()
    dependent, other = full.reject.nonzero()[:, 0], (~full.reject).nonzero()[:, 0]
    p[dependent[:3]], p[other[:1]] = 0.5, 0.001
    changed = type(full)(**{**vars(full), "p": p})
    found = agreement(changed, full)
    tests, d = len(full), len(dependent)
    assert (found.lost_count, found.invented_count) == (3, 1)
    assert found.equal == pytest.approx(1 - 4 / tests)
    assert (found.lost, found.invented) == (pytest.approx(3 / d), pytest.approx(1 / (tests - d)))
    share = (d - 2) / tests
    chance = share * d / tests + (1 - share) * (1 - d / tests)
    assert found.kappa == pytest.approx((found.equal - chance) / (1 - chance))
    assert found.spearman == 1


def test_spearman_is_that_of_scipy_with_ties(gaussian):
    one = independence(gaussian, order=1)
    rounded = type(one)(**{**vars(one), "statistic": one.statistic.round()})
    jumbled = type(one)(**{**vars(one), "statistic": (one.statistic * 7.7 % 3).round(decimals=1)})
    wanted = stats.spearmanr(rounded.statistic, jumbled.statistic).statistic
    assert agreement(rounded, jumbled).spearman == pytest.approx(wanted)


def test_the_test_suits_the_columns(gaussian, discrete):
    assert independent(gaussian, "x0", "x1").test == "fisher_z"
    assert independent(discrete, "x0", "x1").test == "g2"
    mixed = Table(torch.cat([gaussian.values[:500, :1], discrete.values], 1), (Column("dose"), *discrete.columns))
    assert independent(mixed, "dose", "x1").test == "fisher_z"
    assert independent(mixed, "dose", "x0").test == "kernel"


def test_what_cannot_be_tested_is_refused_in_a_sentence(gaussian, discrete):
    with pytest.raises(AttarError, match="'x0' is continuous"):
        independence(gaussian, "g2")
    with pytest.raises(AttarError, match="'x0' has 3 categories without an order"):
        independence(discrete, "fisher_z")
    with pytest.raises(AttarError, match="no test 'chi': give fisher_z, g2, kernel"):
        independence(discrete, "chi")
    for named in (("x0", "x1"), ("x0",), (["x0"],), (None, "x1")):
        with pytest.raises(
            AttarError, match="tests every pair of columns by a test .*; for one pair call .*independent"
        ):
            independence(discrete, *named)
    with pytest.raises(AttarError, match=r"call attar.causal.independent\(table, 'x0', 'x1'\)\.$"):
        independence(discrete, "x0", "x1")
    with pytest.raises(AttarError, match="alpha=1 is no level"):
        independence(discrete, alpha=1)
    with pytest.raises(AttarError, match="'x1' is named twice"):
        independent(gaussian, "x0", "x1", ["x1"])
    with pytest.raises(AttarError, match="given 2 of 1 columns"):
        independence(gaussian.only(["x0"]))
    with pytest.raises(AttarError, match="and these are of other columns, another test or another order"):
        agreement(independence(gaussian, order=0), independence(gaussian, order=1))
    values = gaussian.values.clone()
    values[3, 2] = math.nan
    with pytest.raises(AttarError, match="'x2' misses 1 values"):
        independence(gaussian.replace(values=values))


def test_soft_rows_under_the_kernel_test_are_the_combinations_that_they_may_be(discrete):
    """A row of certain probabilities is that row, and one of two halves is two rows of half its weight."""
    few = discrete.take(torch.arange(40))
    certain = few.replace(soft={name: few.probabilities(name) for name in few.names})
    torch.testing.assert_close(independence(certain, "kernel", 1).p, independence(few, "kernel", 1).p)
    name = few.names[0]
    shares = few.probabilities(name)
    shares[0] = torch.tensor([0.5, 0.5] + [0.0] * (shares.shape[1] - 2))
    twice = few.take(torch.cat([torch.tensor([0]), torch.arange(40)]))
    values = twice.values.clone()
    values[0, 0], values[1, 0] = 0.0, 1.0
    weight = torch.ones(41)
    weight[:2] = 0.5
    split = twice.replace(values=values, weight=weight, n_represented=40.0)
    half = few.replace(soft={name: shares}, n_represented=40.0)
    torch.testing.assert_close(independence(half, "kernel", 1).p, independence(split, "kernel", 1).p)


@pytest.mark.parametrize("pair", list(combinations("abc", 2)))
def test_collider_and_fork_are_told_apart_of_nonlinear_columns(numbers, pair):
    """a and b are independent causes of c, which neither line nor square of one tells alone; the kernel sees all of it."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 400))
    table = numbers(np.stack([a, b, np.abs(a) * 2 + np.cos(2 * b) + 0.3 * rng.normal(size=400)], 1), "abc")
    (third,) = set("abc") - set(pair)
    assert bool(independent(table, *pair, test="kernel").reject) == ("c" in pair)
    assert bool(independent(table, *pair, [third], test="kernel").reject)


def test_the_kernel_test_decides_as_that_of_causal_learn(numbers):
    cit = pytest.importorskip("causallearn.utils.cit")
    rng = np.random.default_rng(2)
    z, e, f = rng.normal(size=(3, 300))
    fork = np.stack([np.sin(2 * z) + 0.3 * e, z**2 + 0.3 * f, z], 1)
    cause = np.stack([e, np.tanh(e) * f + z**2 + e**2, z], 1)
    apart = np.stack([e, f, z], 1)
    for rows, given, dependent in [
        (fork, [], True),
        (fork, [2], False),
        (cause, [2], True),
        (apart, [], False),
        (apart, [2], False),
    ]:
        theirs = cit.CIT(rows, "kci")(0, 1, given)
        own = independent(numbers(rows), "x0", "x1", [f"x{k}" for k in given], "kernel")
        assert (bool(own.reject), theirs <= 0.01) == (dependent, dependent)


def test_the_kernel_test_takes_categories_and_constants(numbers):
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 300)
    x = (group == 1) + 0.5 * rng.normal(size=300)
    y = (group == 1) - 1.0 * (group == 2) + 0.5 * rng.normal(size=300)
    columns = (Column("group", "categorical", tuple("abc")), Column("x"), Column("y"), Column("one"))
    table = Table(torch.tensor(np.stack([group, x, y, 0 * x + 0.1], 1)), columns)
    assert float(independent(table, "group", "x").p) < 1e-6
    assert float(independent(table, "x", "y").p) < 1e-4
    assert float(independent(table, "x", "y", ["group"]).p) > 0.05
    assert float(independent(table, "x", "one", test="kernel").p) == 1


def test_rows_that_were_made_are_no_counted_rows_even_where_each_stands_for_a_whole_number():
    x = torch.randn(1000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    made = Moments.of(Table(x, tuple(Column(name) for name in "abc"))).rows()
    assert (len(made), made.size) == (4, 1000)  # 250 each
    assert not independence(made, "kernel", 0).valid.any()
    assert independence(made, "fisher_z", 0).valid.all()


def test_a_number_of_given_columns_below_nought_is_refused():
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(AttarError, match="order=-1 columns"):
        discover(Table(x, tuple(Column(name) for name in "abc")), order=-1)
    for asked in ({"test": "fisher_z"}, {"order": 1}):
        with pytest.raises(AttarError, match="test and order are those of pc, and lingam makes no tests"):
            discover(Table(x, tuple(Column(name) for name in "abc")), "lingam", **asked)
