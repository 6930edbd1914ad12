"""Tables: what rows stand for, in numbers, in counts and in words."""

import math

import pytest
import torch

from attar.errors import AttarError
from attar.tables import Column, Table

DOSE = Column("dose", low=0.0, high=9.0)
AGE = Column("age", low=20, high=60, whole=True)
GRADE = Column("grade", "ordinal", (1.0, 2.0, 4.0))
CITY = Column("city", "categorical", ("Rome", "Oslo", "Bern"))
CURED = Column("cured", "categorical", ("no", "yes"))

VALUES = torch.tensor([[1.5, 30, 0, 0, 0], [2.5, 41, 2, 1, 1], [0.5, 28, 1, 1, 1], [4.0, 55, 2, 2, 0]])


@pytest.fixture
def rows():
    return Table(VALUES, (DOSE, AGE, GRADE, CITY, CURED))


def test_rows_stand_for_themselves_or_for_as_many_as_they_say(rows):
    assert rows.size == 4
    assert rows.replace(n_represented=1000.0).size == 1000
    assert rows.replace(weight=torch.tensor([1.0, 1, 1, 5])).size == 4
    assert torch.equal(
        rows.replace(weight=torch.tensor([1.0, 1, 1, 5])).shares, torch.tensor([1, 1, 1, 5]).double() / 8
    )


def test_counts_are_weighted_and_sum_to_what_the_rows_stand_for(rows):
    weighed = rows.replace(weight=torch.tensor([1.0, 1, 1, 5]), n_represented=80.0)
    assert weighed.counts(["cured"]).tolist() == [60, 20]
    assert weighed.counts(["cured", "city"]).tolist() == [[10, 0, 50], [0, 20, 0]]
    assert weighed.counts(["city", "cured"]).tolist() == [[10, 0], [0, 20], [50, 0]]


def test_counts_of_a_soft_row_are_those_of_independent_columns(rows):
    soft = {"cured": torch.tensor([[1, 0], [0, 1], [0.25, 0.75], [0.5, 0.5]])}
    half = rows.replace(soft=soft)
    assert half.counts(["cured"]).tolist() == [1.75, 2.25]
    assert half.counts(["cured", "city"]).tolist() == [[1, 0.25, 0.5], [0, 1.75, 0.5]]
    city = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]])
    both = half.replace(soft={**soft, "city": city})
    assert both.counts(["city", "cured"])[2].tolist() == [0.5 * 0.25 + 0.5, 0.5 * 0.75 + 0.5]


def test_ordinal_columns_are_numbers_and_unordered_ones_are_not(rows):
    assert rows.numbers(["grade", "cured"]).tolist() == [[1, 0], [4, 1], [2, 1], [4, 0]]
    words = rows.replace(columns=(DOSE, AGE, Column("grade", "ordinal", ("low", "middle", "high")), CITY, CURED))
    assert words.numbers(["grade"])[:, 0].tolist() == [0, 2, 1, 2]
    soft = rows.replace(soft={"grade": torch.tensor([[1, 0, 0], [0, 0, 1], [0.5, 0, 0.5], [0, 0, 1]])})
    assert soft.numbers(["grade"])[:, 0].tolist() == [1, 4, 2.5, 4]
    with pytest.raises(AttarError, match="'city' has 3 categories without an order"):
        rows.numbers()


def test_missing_values_stay_missing(rows):
    values = VALUES.clone()
    values[1, 0] = values[2, 2] = values[3, 3] = math.nan
    rows = rows.replace(values=values)
    assert rows.numbers(["dose", "grade"]).isnan().tolist() == [
        [False, False],
        [True, False],
        [False, True],
        [False, False],
    ]
    assert rows.frame().isna().sum().tolist() == [1, 0, 1, 1, 0]
    with pytest.raises(AttarError, match="'city' misses 1 values"):
        rows.counts(["city"])


def test_a_frame_has_the_names_types_and_order_of_the_source(rows):
    frame = rows.frame()
    assert list(frame.columns) == ["dose", "age", "grade", "city", "cured"]
    assert frame["age"].tolist() == [30, 41, 28, 55]
    assert frame["age"].dtype.kind == "i"
    assert frame["grade"].tolist() == [1, 4, 2, 4]
    assert frame["grade"].cat.ordered
    assert not frame["city"].cat.ordered
    assert frame["city"].tolist() == ["Rome", "Oslo", "Oslo", "Bern"]


def test_resampled_rows_have_the_shares_that_weights_and_probabilities_say(rows):
    soft = {"cured": torch.tensor([[1, 0], [0, 1], [0.25, 0.75], [0.5, 0.5]])}
    given = rows.replace(weight=torch.tensor([1.0, 1, 1, 5]), soft=soft, n_represented=9.0)
    drawn = given.resampled(40_000, torch.Generator().manual_seed(0))
    assert (drawn.weight, drawn.soft, drawn.size) == (None, {}, 40_000)
    wanted = given.counts(["city", "cured"]) / 9
    assert torch.allclose(drawn.counts(["city", "cured"]) / 40_000, wanted, atol=0.01)


def test_columns_are_taken_in_the_order_that_is_asked_for(rows):
    found = rows.replace(soft={"cured": torch.full((4, 2), 0.5)}).only(["cured", "dose"])
    assert found.names == ("cured", "dose")
    assert found.values[:, 1].tolist() == VALUES[:, 0].tolist()
    assert found.only(["dose"]).soft == {}
    assert rows.take(torch.tensor([2, 0])).values[:, 1].tolist() == [28, 30]


def test_bytes_are_those_of_values_probabilities_and_weights(rows):
    assert rows.nbytes == 8 * 4 * 5
    assert rows.replace(weight=torch.ones(4)).nbytes == 8 * 4 * 6
    assert rows.replace(soft={"city": torch.full((4, 3), 1 / 3)}).nbytes == 8 * 4 * (4 + 3)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"columns": (DOSE, DOSE, GRADE, CITY, CURED)}, "Two columns are named 'dose'"),
        ({"columns": (DOSE,)}, "no table of 1 columns"),
        ({"weight": torch.tensor([1.0, 0, 1, 1])}, "positive number for each of the 4 rows"),
        ({"weight": torch.ones(3)}, "positive number for each of the 4 rows"),
        ({"n_represented": 0.0}, "n_represented=0.0 is no number of rows"),
        ({"values": VALUES + 0.5}, "'grade' holds codes that none of its 3 categories has"),
        ({"values": VALUES * torch.tensor([math.inf, 1, 1, 1, 1])}, "'dose' holds infinite values"),
        ({"soft": {"dose": torch.ones(4, 1)}}, "not those of column 'dose'"),
        ({"soft": {"city": torch.full((4, 3), 0.5)}}, "with a sum of 1 in every row"),
        ({"soft": {"town": torch.full((4, 3), 0.5)}}, "no column 'town' among dose, age, grade, city, cured"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(rows, fields, said):
    with pytest.raises(AttarError, match=said):
        rows.replace(**fields)


def test_what_is_no_column_is_refused_in_a_sentence():
    with pytest.raises(AttarError, match="'x' is categorical, so it needs its categories"):
        Column("x", "categorical")
    with pytest.raises(AttarError, match="'x' is continuous, so it has no categories, and some were given"):
        Column("x", categories=("a",))
    with pytest.raises(AttarError, match="'x' names a category twice"):
        Column("x", "ordinal", (1.0, 1.0))
    with pytest.raises(AttarError, match="cannot be of kind 'text'"):
        Column("x", "text")
