"""Tables as numbers: every column's encoding by hand, and the way back."""

import json
import math

import pytest
import torch

from attar.errors import AttarError
from attar.tables import Column, Table
from attar.tables.encoding import Encoding

DOSE = Column("dose", low=0.5, high=4.0)
AGE = Column("age", low=20, high=60, whole=True)
GRADE = Column("grade", "ordinal", (1, 2, 4))
SIZE = Column("size", "ordinal", ("small", "large"))
CITY = Column("city", "categorical", ("Rome", "Oslo", "Bern"))
CURED = Column("cured", "categorical", ("no", "yes"))
COLUMNS = (DOSE, AGE, GRADE, SIZE, CITY, CURED)


@pytest.fixture
def rows():
    values = [[1.5, 30, 0, 0, 0, 0], [2.5, 41, 2, 1, 1, 1], [0.5, 28, 1, 1, 1, 1], [4.0, 55, 2, 0, 2, 0]]
    return Table(torch.tensor(values), COLUMNS)


def test_each_kind_of_column_becomes_what_it_should(rows):
    found = Encoding.fit(rows)
    assert found.groups == {
        "dose": slice(0, 1), "age": slice(1, 2), "grade": slice(2, 3), "size": slice(3, 4), "city": slice(4, 7),
        "cured": slice(7, 8),
    }  # fmt: skip
    x = found.encode(rows)
    assert x.shape == (4, found.width)
    assert x.dtype == torch.float64
    # dose: mean 8.5 / 4, variance (1.5^2 + 2.5^2 + 0.5^2 + 4^2) / 4 - mean^2
    torch.testing.assert_close(x[:, 0], (rows.values[:, 0] - 2.125) / math.sqrt(6.1875 - 2.125**2))
    # grade: the numbers 1, 4, 2, 4 and not the codes 0, 2, 1, 2
    torch.testing.assert_close(x[:, 2], (torch.tensor([1.0, 4, 2, 4]).double() - 2.75) / math.sqrt(9.25 - 2.75**2))
    assert x[:, 3].tolist() == [-1, 1, 1, -1]  # size: words with an order are 0, 1
    assert x[:, 4:].tolist() == [[1, 0, 0, 0], [0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 1, 0]]


def test_means_and_deviations_are_by_the_weights_of_the_rows(rows):
    counted = rows.take(torch.tensor([0, 1, 1, 1, 2, 3, 3]))
    weighed = rows.replace(weight=torch.tensor([1.0, 3, 1, 2]) * 0.7)
    one, other = Encoding.fit(counted), Encoding.fit(weighed)
    assert one.mean == pytest.approx(other.mean)
    assert one.std == pytest.approx(other.std)


def test_rows_come_back_as_they_were_and_encode_alike(rows):
    found = Encoding.fit(rows)
    x = found.encode(rows)
    again = found.decode(x)
    torch.testing.assert_close(again.values, rows.values, rtol=0, atol=1e-12)
    assert torch.equal(again.values[:, 1:], rows.values[:, 1:])  # whole numbers and categories to the bit
    assert again.columns == rows.columns
    torch.testing.assert_close(found.encode(again), x, rtol=0, atol=1e-12)


def test_decoded_rows_are_ones_that_the_source_could_have(rows):
    found = Encoding.fit(rows)
    x = found.encode(rows)
    x[0, :4] = 9.0  # far above all ranges
    x[1, 1] += 0.4 / found.std[1]
    x[2, 2] = (3.4 - found.mean[2]) / found.std[2]  # nearer to 4 than to 2
    x[3, 4:] = torch.tensor([0.4, -2.0, 0.3, 0.6])
    again = found.decode(x)
    assert again.values[0, :4].tolist() == [4.0, 60, 2, 1]
    assert again.values[1, 1] == 41
    assert again.values[2, 2] == 2
    assert again.values[3, 4:].tolist() == [0, 1]
    free = found.decode(x, clip=False, whole=False)
    assert free.values[0, 0] == pytest.approx(9 * found.std[0] + found.mean[0])
    assert free.values[1, 1] == pytest.approx(41.4)
    assert free.values[0, 2] == 2  # categories stay categories


def test_soft_cells_are_the_nearest_probabilities(rows):
    found = Encoding.fit(rows)
    x = found.encode(rows)
    x[0, 4:] = torch.tensor([0.5, 0.5, 0.3, 1.7])  # the three share the surplus of 0.3
    x[1, 4:] = torch.tensor([2.0, 0.9, -3.0, 0.25])  # threshold 1 leaves the first alone
    x[2, 4:] = torch.tensor([0.2, 0.3, 0.5, -1.0])
    again = found.decode(x, soft=True, weight=torch.tensor([1.0, 2, 3, 4]), n_represented=100.0)
    city, cured = again.soft["city"], again.soft["cured"]
    torch.testing.assert_close(city[0], torch.tensor([0.4, 0.4, 0.2]).double())
    torch.testing.assert_close(city[1:3], torch.tensor([[1.0, 0, 0], [0.2, 0.3, 0.5]]).double())
    torch.testing.assert_close(cured[:3], torch.tensor([[0, 1], [0.75, 0.25], [1, 0]]).double())
    assert set(again.soft) == {"city", "cured"}
    assert again.codes("city").tolist() == [0, 0, 2, 2]
    assert again.size == 100
    assert again.weight.tolist() == [1, 2, 3, 4]
    torch.testing.assert_close(found.encode(again)[2, 4:], torch.tensor([0.2, 0.3, 0.5, 0.0]).double())


def test_the_simplex_projection_is_the_nearest_point():
    column = Column("c", "categorical", ("a", "b", "c", "d"))
    found = Encoding((column,), (0.0,), (1.0,))
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(20, 4, generator=draw, dtype=torch.float64)
    nearest = found.decode(x, soft=True).soft["c"]
    others = -torch.rand(5000, 4, generator=draw, dtype=torch.float64).log()
    others = others**2 / (others**2).sum(dim=1, keepdim=True)  # all over the simplex, its edges too
    best = torch.cdist(x, others).min(dim=1).values
    assert bool((torch.linalg.vector_norm(x - nearest, dim=1) <= best + 1e-12).all())
    # and where the nearest point is known: x less its surplus, as long as that leaves nothing below 0
    inside = torch.tensor([[0.4, 0.5, 0.6, 0.3]]).double()
    torch.testing.assert_close(found.decode(inside, soft=True).soft["c"], inside - 0.2)


def test_columns_are_left_out_and_found_by_name(rows):
    found = Encoding.fit(rows, without=["cured", "age"])
    assert list(found.groups) == ["dose", "grade", "size", "city"]
    shuffled = rows.only(["cured", "city", "size", "grade", "age", "dose"])
    assert torch.equal(found.encode(shuffled), found.encode(rows))
    assert found.decode(found.encode(rows)).names == ("dose", "grade", "size", "city")
    with pytest.raises(AttarError, match="no column 'weight'"):
        Encoding.fit(rows, without=["weight"])


def test_a_column_of_one_value_is_0_and_comes_back():
    columns = (Column("x"), Column("only", "categorical", ("a",)), Column("y"))
    rows = Table(torch.tensor([[0.1, 0, 1], [0.1, 0, 2], [0.1, 0, 4]]).double(), columns, torch.tensor([1.0, 2, 4]))
    found = Encoding.fit(rows)
    assert found.groups["only"] == slice(1, 1)
    assert found.width == 2
    x = found.encode(rows)
    assert x[:, 0].tolist() == [0, 0, 0]
    assert torch.equal(found.decode(x).values[:, :2], rows.values[:, :2])


def test_a_record_of_json_makes_the_same_encoding(rows):
    bare = rows.replace(columns=(Column("dose"), *COLUMNS[1:]))  # a column without known bounds
    found = Encoding.fit(bare)
    text = json.dumps(found.to_json(), allow_nan=False)
    again = Encoding.from_json(json.loads(text))
    assert again.to_json() == found.to_json()
    assert again.columns[1:] == found.columns[1:]
    assert torch.equal(again.encode(bare), found.encode(bare))
    for broken in ({}, {"columns": [], "mean": None, "std": []}, {"columns": [{"name": "x"}], "mean": [0], "std": [1]}):
        with pytest.raises(AttarError, match="no record of an encoding"):
            Encoding.from_json(broken)


def test_what_cannot_be_encoded_or_decoded_is_refused(rows):
    found = Encoding.fit(rows)
    for place in (0, 2, 4):
        values = rows.values.clone()
        values[1, place] = math.nan
        with pytest.raises(AttarError, match=f"'{COLUMNS[place].name}' misses 1 values"):
            found.encode(rows.replace(values=values))
    with pytest.raises(AttarError, match="had Rome, Oslo, Bern where the encoding was fitted"):
        other = Column("city", "categorical", ("Bern", "Oslo", "Rome"))
        found.encode(rows.replace(columns=(*COLUMNS[:4], other, CURED)))
    with pytest.raises(AttarError, match="'age' is ordinal, and was continuous"):
        whole = rows.replace(values=rows.values[:, [2, 2, 2, 3, 4, 5]])
        found.encode(whole.replace(columns=(DOSE, Column("age", "ordinal", (1, 2, 4)), *COLUMNS[2:])))
    with pytest.raises(AttarError, match="which has 8 columns"):
        found.decode(torch.zeros(2, 7))
    with pytest.raises(AttarError, match="not finite"):
        found.decode(torch.full((1, 8), math.inf))
