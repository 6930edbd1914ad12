"""Tables of any source: what columns are taken for, and one sentence for each thing that is wrong."""

import gzip
import math
import sys

import numpy as np
import pytest
import torch

from attar.data.tabular import fingerprint, read, roles
from attar.errors import AttarError

pd = pytest.importorskip("pandas")

ROWS = 20
CITIES = ["Rome", "Oslo", "Bern", "Oslo"] * 5


def frame(**columns):
    """Twenty rows of a number, a city and whatever a test adds."""
    dose = np.linspace(0.5, 3.0, ROWS) ** 2
    return pd.DataFrame({"dose": dose, "city": CITIES, **columns})


def refused(match, source, **how):
    with pytest.raises(AttarError, match=match) as caught:
        read(source, **how)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith((".", "?"))


def column(found, name):
    return found.table.column(name)


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_told_apart_by_the_rules():
    found = read(
        frame(
            cured=[True, False] * 10,
            ward=[1, 2] * 10,
            stage=[0, 1, 2, 3] * 5,
            rare=[0, 1, 2, 3, 4] + [9] * 15,  # six values want thirty rows
            age=range(30, 50),
            half=[0.5, 1.5] * 10,
            grade=pd.Categorical(["low", "high"] * 10, ["low", "middle", "high"], ordered=True),
            blood=pd.Categorical(["B", "A", "A", "B"] * 5, ["B", "A"]),
            word=["3", "1"] * 10,
        )
    )
    kinds = {each.name: (each.kind, each.categories) for each in found.table.columns}
    assert kinds == {
        "dose": ("continuous", ()),
        "city": ("categorical", ("Bern", "Oslo", "Rome")),
        "cured": ("categorical", ("False", "True")),
        "ward": ("categorical", (1, 2)),
        "stage": ("ordinal", (0, 1, 2, 3)),
        "rare": ("continuous", ()),
        "age": ("continuous", ()),
        "half": ("continuous", ()),
        "grade": ("ordinal", ("low", "high")),
        "blood": ("categorical", ("B", "A")),
        "word": ("categorical", (1, 3)),
    }
    assert found.table.codes("city")[:4].tolist() == [2, 1, 0, 1]
    assert found.table.numbers(["stage"])[:4, 0].tolist() == [0, 1, 2, 3]
    assert (column(found, "age").low, column(found, "age").high, column(found, "age").whole) == (30, 49, True)
    assert not column(found, "dose").whole
    assert any("ward (categorical), stage (ordinal), word (categorical)" in note for note in found.notes)
    assert any("'age' has every whole number once" in note for note in found.notes)


def test_a_user_says_what_columns_are():
    given = frame(stage=[0, 1, 2, 3] * 5, grade=["low", "high", "middle", "low"] * 5, name=[f"n{i}" for i in range(20)])
    types = {"stage": "categorical", "grade": ["low", "middle", "high", "top"], "name": "drop"}
    found = read(given, types=types)
    assert (column(found, "stage").kind, column(found, "stage").categories) == ("categorical", (0, 1, 2, 3))
    assert column(found, "grade").categories == ("low", "middle", "high", "top")
    assert found.table.codes("grade")[:4].tolist() == [0, 2, 1, 0]
    assert found.left_out == ("name",)
    assert not any("taken for categories" in note for note in found.notes)
    more = read(given, types={**types, "stage": "continuous"})
    assert column(more, "stage").kind == "continuous"
    levels = read(given, types={"stage": np.array([3, 2, 1, 0]), "grade": "drop", "name": "drop"})
    assert levels.table.codes("stage")[:4].tolist() == [3, 2, 1, 0]
    assert column(levels, "stage").categories == (3, 2, 1, 0)
    every = read(np.array([[1, 2], [2, 1], [1, 1], [3, 1]] * 3), names=["a", "b"], types="categorical")
    assert [each.kind for each in every.table.columns] == ["categorical"] * 2


def test_what_a_user_says_must_suit_the_values():
    refused("no column 'dosis' in the table: did you mean dose", frame(), types={"dosis": "continuous"})
    refused("'number' is no kind of column", frame(), types={"dose": "number"})
    refused("'city' of the table is to be continuous, and holds 'Bern' in row 3", frame(), types={"city": "continuous"})
    refused("words, whose order is not known.*'city': \\['Bern', 'Oslo', ", frame(), types={"city": "ordinal"})
    refused(
        "holds 'Bern' in row 3, which is not among its categories Rome, Oslo:",
        frame(),
        types={"city": ["Rome", "Oslo"]},
    )
    refused("21 categories and the table 20 rows", frame(), types={"city": [f"c{i}" for i in range(21)]})
    refused("no columns left", frame(), types={"city": "drop", "dose": "drop"})


def test_text_files_are_read_whatever_separates_the_cells(tmp_path):
    rows = [("1.5", "Rome", "1"), ("2.5", "New York", "0"), ("0.25", "Rome", "0"), ("4", "New York", "1")]
    head = ("dose", "city", "cured")
    found = []
    for separator, name in ((",", "a.csv"), (" ; ", "b.txt"), ("\t", "c.tsv"), (", ", "d.data")):
        text = "\n".join(separator.join(row) for row in (head, *rows)) + "\n\n"
        found.append(read(written(tmp_path / name, text)).table)
    quoted = "\r\n".join("  ".join(f'"{cell}"' for cell in row) for row in (head, *rows))
    found.append(read(written(tmp_path / "e.txt", quoted)).table)
    with gzip.open(tmp_path / "f.csv.gz", "wt") as file:
        file.write("\n".join(",".join(row) for row in (head, *rows)))
    found.append(read(tmp_path / "f.csv.gz").table)
    found.append(read(written(tmp_path / "g.csv", "\n".join("|".join(r) for r in (head, *rows))), separator="|").table)
    found.append(read(written(tmp_path / "h.csv", "\n".join(",".join(r) for r in rows)), names=head).table)
    assert found[0].values.tolist() == [[1.5, 1, 1], [2.5, 0, 0], [0.25, 1, 0], [4, 0, 1]]
    assert {fingerprint(table) for table in found} == {fingerprint(found[0])}


def test_decimal_commas_and_a_saved_index_are_understood(tmp_path):
    found = read(written(tmp_path / "a.csv", "dose;city\n1,5;Rome, Italy\n,25;Oslo\n2;Oslo\n"))
    assert found.table.values[:, 0].tolist() == [1.5, 0.25, 2]
    assert found.notes[0] == "commas were read as decimal points in dose"
    frame().to_csv(tmp_path / "b.csv")
    again = read(tmp_path / "b.csv")
    assert "a first column without a name, which counts the rows, was left out" in again.notes
    assert fingerprint(again.table) == fingerprint(read(frame()).table)


def test_parquet_and_the_frame_of_a_table_come_back_as_they_were(tmp_path):
    pytest.importorskip("pyarrow")
    given = frame(
        grade=pd.Categorical(["low", "high", "middle", "low"] * 5, ["low", "middle", "high"], ordered=True),
        stage=pd.array([0, 1, 2, None] * 5, dtype="Int64"),
        cured=pd.array([True, False, None, True] * 5, dtype="boolean"),
    )
    given.to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", impute=True)
    assert fingerprint(found.table) == fingerprint(read(given, impute=True).table)
    assert column(found, "grade").categories == ("low", "middle", "high")
    assert fingerprint(read(found.table.frame()).table) == fingerprint(found.table)
    refused("is not a whole Parquet file", written(tmp_path / "b.parquet", "dose,city\n1,2\n"))


def test_parquet_without_its_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    refused(r"need the extra 'tables' .*pip install 'attar\[tables\]'", written(tmp_path / "a.parquet", ""))
    text = written(tmp_path / "a.csv", "dose,cured\n1.5,yes\n2.5,no\n0.5,no\n")
    assert len(read(text).table) == 3  # text needs none


def test_a_file_that_is_no_table_is_refused_by_its_line(tmp_path):
    refused("is empty", written(tmp_path / "a.csv", "\n \n"))
    refused("no rows below", written(tmp_path / "b.csv", "dose,city\n"))
    refused("has 1 row: give 2", written(tmp_path / "c.csv", "dose,city\n1,Rome\n"))
    refused(r"Line 4 of .*d\.csv has 2 cells and line 1 has 3", written(tmp_path / "d.csv", "a,b,c\n1,2,3\n\n1,2\n"))
    refused(r"Line 3 of .*e\.csv has 4 cells", written(tmp_path / "e.csv", "a,b,c\n1,2,3\n1,2,3,4\n"))
    refused(
        r"Line 3 of .*n\.csv cannot be read", written(tmp_path / "n.csv", 'a,b\n1,"x\n2,y\n')
    )  # a quote without its end
    refused("holds numbers and no names", written(tmp_path / "f.csv", "1,0.5\n2,0.7\n"))
    refused("named 'a'", written(tmp_path / "g.csv", "a,b,a\n1,2,3\n4,5,7\n"))
    refused("Column 2 of h.csv has no name", written(tmp_path / "h.csv", "a,,b\n1,2,3\n4,5,7\n"))
    refused("a pickle, which attar never opens", written(tmp_path / "i.pkl", "x"))
    refused("There is nothing at", tmp_path / "j.csv")
    refused("3 names were given for the 2 columns", written(tmp_path / "k.csv", "1,2\n3,4\n"), names=["a", "b", "c"])
    (tmp_path / "l.csv").write_bytes(b"caf\xe9,b\n1,2\n")
    refused("no text in UTF-8", tmp_path / "l.csv")
    (tmp_path / "m.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n3,4\n" * 50)[:-9])
    refused("cannot be read", tmp_path / "m.csv.gz")
    refused("needs as many names", np.zeros((3, 2)))
    refused("give one of these", np.zeros(3), names=["a"])


def test_missing_values_are_counted_and_filled_in_or_left_out(tmp_path):
    given = frame(age=np.arange(30.0, 50), stage=[1, 2, 2, 3] * 5)
    given.loc[3, "dose"] = math.nan
    given.loc[[3, 5], "city"] = ["?", None]
    given.loc[7, "age"] = math.nan
    refused(
        r"missing in dose \(1\), city \(2\), age \(1\) of the table, in 3 of 20 rows: .*impute=True.*drop_missing=True",
        given,
    )
    found = read(given, impute=True)
    known = np.delete(given["dose"].to_numpy(), 3)
    assert found.table.values[3, 0] == pytest.approx(known.mean())
    assert found.table.codes("city")[[3, 5]].tolist() == [1, 1]  # eight of Oslo are left
    assert found.table.values[7, 2] == round(np.delete(np.arange(30.0, 50), 7).mean())
    assert {name: count for name, (count, _) in found.filled.items()} == {"dose": 1, "city": 2, "age": 1}
    assert found.filled["city"][1] == "Oslo"
    assert column(found, "age").whole
    left = read(given, drop_missing=True)
    assert left.rows.tolist() == [row for row in range(20) if row not in (3, 5, 7)]
    assert fingerprint(left.table) == fingerprint(read(given.drop([3, 5, 7])).table)
    assert left.notes[-1] == "3 of 20 rows miss a value and were left out"
    target = read(given, impute=True, required=["city"])
    assert target.rows.tolist() == [row for row in range(20) if row not in (3, 5)]
    assert set(target.filled) == {"age"}
    refused("give one of them", given, impute=True, drop_missing=True)
    refused("Column 'none' of the table holds no values", frame(none=[None] * 20), impute=True)
    tokens = ["", "?", "NA", "n/a", "NaN", "None", "null", "2", "3", "4"]
    path = written(tmp_path / "a.csv", "x,y\n" + "".join(f"{cell},{row}.5\n" for row, cell in enumerate(tokens)))
    refused(r"missing in x \(7\) of a.csv, in 7 of 10 rows", path)


def test_columns_that_nothing_can_be_learned_of_are_refused(tmp_path):
    refused("same value in all rows of a, b: .*'a': 'drop'", frame(a=1.5, b=["x"] * 20))
    refused("'dose' and 'again' of the table hold the same values", frame(again=frame()["dose"]))
    refused("'city' and 'town' of the table hold the same", frame(town=CITIES))
    refused("'name' of the table has 20 categories and the table 20 rows", frame(name=[f"n{i}" for i in range(20)]))
    refused("20 categories and the table 20 rows", frame(n=range(20)), types={"n": "categorical"})
    many = pd.DataFrame({"x": np.arange(600) ** 0.5, "word": [f"w{i % 300}" for i in range(600)]})
    refused("has 300 categories, more than 256", many)
    assert column(read(many, types={"word": "categorical"}), "word").levels == 300
    refused("holds dates or times", frame(day=pd.date_range("2020-01-01", periods=20)))
    refused("holds dates or times", frame(day=["2020-01-01", "2020-02-01"] * 10))
    refused("'odd' holds list in row 1", frame(odd=[[1]] * 20))
    refused("infinite number in row 5", frame(x=[1.5, 2, 3.5, 4, math.inf] * 4))
    left = {"day": "drop", "odd": "drop", "a": "drop"}
    assert read(frame(day=pd.date_range("2020-01-01", periods=20), odd=[[1]] * 20, a=1), types=left).left_out == tuple(
        left
    )


def test_numbers_among_words_are_refused_by_the_first_row_that_is_odd(tmp_path):
    cells = ["41", "35", "unknown", "29", "unknown"]
    path = written(tmp_path / "a.csv", "age,x\n" + "".join(f"{cell},{row}.5\n" for row, cell in enumerate(cells)))
    refused(r"'age' of a.csv holds numbers and words \('unknown' in line 4\)", path)
    refused(r"\('7' in row 4\)", frame(word=["a", "b", "c", 7] * 5))
    found = read(path, types={"age": "categorical"})
    assert column(found, "age").categories == ("29", "35", "41", "unknown")


def test_columns_that_tell_the_same_are_noted():
    found = read(frame(zip=[100, 305, 207, 305] * 5))
    assert any("'city' and 'zip' tell the same" in note for note in found.notes)
    assert not any("tell the same" in note for note in read(frame(other=[1, 2, 3, 3] * 5)).notes)


def test_a_second_part_is_read_as_the_first(tmp_path):
    train = read(frame(stage=[0, 1, 2, 3] * 5, cured=["no", "yes"] * 10))
    text = "cured,extra,stage,city,dose\nyes.,1,3,Oslo,100\nno.,1,?,Oslo,0.5\n"
    path = written(tmp_path / "test.csv", text)
    found = read(path, like=train.table, impute=True)
    assert found.table.columns == train.table.columns
    assert found.table.values.tolist() == [[100, 1, 3, 1], [0.5, 1, 0, 0]]  # of equally frequent stages the first
    assert found.left_out == ("extra",)
    refused("missing in stage", path, like=train.table)
    strange = "cured,stage,city,dose\nyes,3,Oslo,1\nno,4,Paris,2\n"
    refused(
        "'city' of b.csv holds 'Paris' in line 3, which is not among",
        written(tmp_path / "b.csv", strange),
        like=train.table,
    )
    refused("no column 'dose' in c.csv", written(tmp_path / "c.csv", "stage,city,cured\n1,Rome,no\n"), like=train.table)
    refused("give one of them", path, like=train.table, types={"city": "drop"})


def test_roles_say_what_is_learned():
    table = read(frame(stage=[0, 1, 2, 3] * 5, cured=["no", "yes"] * 10, treated=[0, 0, 1, 1] * 5)).table
    effect = roles(table, "dose", "treated")
    assert (effect.goal, effect.covariates) == ("regression", ("city", "stage", "cured"))
    assert roles(table, "cured").goal == "classification"
    assert roles(table, "city").goal == "classification"
    numbers = roles(table, "stage")
    assert numbers.goal == "regression"
    assert "types={'stage': 'categorical'} makes it classes" in numbers.notes[0]
    with pytest.raises(AttarError, match="no column 'curd' in the table: did you mean cured"):
        roles(table, "curd")
    with pytest.raises(AttarError, match="cannot be target and treatment at once"):
        roles(table, "dose", "dose")
    some = table.take(torch.tensor([0, 1, 4, 5]))
    with pytest.raises(AttarError, match="treatment 'treated' takes one value only"):
        roles(some, "cured", "treated")
    with pytest.raises(AttarError, match="target 'treated' takes one value only"):
        roles(some, "treated")
    with pytest.raises(AttarError, match="no column but the target"):
        roles(table.only(["dose"]), "dose")
    four = read(frame(), types={"city": ["Bern", "Oslo", "Paris", "Rome"]}).table
    with pytest.raises(
        AttarError, match="target 'city' has no row of 'Paris': leave it out of the order of categories"
    ):
        roles(four, "city")


def test_a_target_of_one_value_is_not_advised_to_be_left_out():
    alike = frame().assign(cured="yes")
    with pytest.raises(AttarError, match="'cured', which is asked for, takes one value only"):
        read(alike, required=["cured"])
    with pytest.raises(AttarError, match="leave out such columns"):
        read(alike)


def test_the_fingerprint_is_of_all_that_a_table_says():
    table = read(frame()).table
    same = fingerprint(table)
    assert fingerprint(read(frame()).table) == same
    values = table.values.clone()
    values[3, 0] += 1e-12
    renamed = read(frame().rename(columns={"dose": "amount"})).table
    ordered = read(frame(), types={"city": ["Bern", "Oslo", "Rome"]}).table
    others = [
        table.replace(values=values),
        renamed,
        ordered,
        table.only(["city", "dose"]),
        table.take(torch.arange(19)),
        table.replace(weight=torch.arange(1.0, 21)),
        table.replace(n_represented=100.0),
        table.replace(soft={"city": torch.full((20, 3), 1 / 3)}),
    ]
    assert len({same, *map(fingerprint, others)}) == 1 + len(others)
    assert fingerprint(read(frame(x=[0.0, 1.5] * 10)).table) == fingerprint(read(frame(x=[-0.0, 1.5] * 10)).table)


def test_real_tables_are_read(real_data):
    adult = real_data / "adult"
    refused(
        r"workclass \(1,836\), occupation \(1,843\), native-country \(583\) of adult.data, in 2,399",
        adult / "adult.data",
    )
    train = read(adult / "adult.data", impute=True, required=["Y"])
    test = read(adult / "adult.test", impute=True, like=train.table)
    assert train.table.counts(["Y"]).round().tolist() == [24_720, 7_841]
    assert test.table.counts(["Y"]).round().tolist() == [12_435, 3_846]
    assert train.table.column("education").levels == 16
    assert train.table.column("age").kind == "continuous"
    names = ["treatment", "y_factual", "y_cfactual", "mu0", "mu1", *(f"x{at}" for at in range(1, 26))]
    trial = read(real_data / "ihdp" / "ihdp_npci_1.csv", names=names).table
    assert (len(trial), int(trial.codes("treatment").sum())) == (747, 139)
    gain = trial.numbers(["mu1"]) - trial.numbers(["mu0"])
    assert float(gain.mean()) == pytest.approx(4.016, abs=1e-3)
    network = read(real_data / "bnlearn" / "sachs.10000.txt").table
    assert network.names == tuple(f"X{at}" for at in range(1, 12))
    assert {each.categories for each in network.columns} == {(1, 2, 3)}
    cells = read(real_data / "sachs" / "cyto_full_data.csv").table
    assert cells.values.shape == (7_466, 11)
    assert {each.kind for each in cells.columns} == {"continuous"}
