"""The comparison: its numbers from its cells, and what is written."""

import csv
import dataclasses
import io
import json
import statistics
from dataclasses import replace

import pytest
import torch
from tests.compare.comparing import DM, TINY, Soft, compare_small, row_of

import attar
from attar import methods, rng
from attar.compare import compare
from attar.compare.cells import Measure, random_rows_with_labels, with_hard_labels
from attar.compare.rows import Results, rows_of
from attar.compare.study import Made
from attar.data import toy as toys
from attar.distilled import Distilled
from attar.evaluation import Score, evaluate, ridge
from attar.evaluation.paired import paired
from attar.evaluation.ranking import augmentation_robust, label_robust
from attar.plan import Plan
from attar.selection import Noise
from attar.synthetic import MultiFormation
from attar.types import AttarError, Budget


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A comparison of everything, its folder and its problem."""
    problem, out = toys.images(), tmp_path_factory.mktemp("table") / "out"
    found = compare_small(
        problem,
        out,
        ["kmeans", ("dm", DM), ("soft", Soft())],
        (1, 2),
        3,
        steps=2,
        ranking=True,
        command="attar compare",
    )
    return found, out, problem


# -- the rows


def test_every_row_that_an_honest_table_owes_is_there_in_order(table):
    found, _, _ = table
    assert [(row.method, row.per_class, row.labels, row.labels_from) for row in found.rows] == [
        ("full", None, "hard", None),
        *(
            row
            for budget in (1, 2)
            for row in [
                ("random", budget, "hard", None),
                ("kmeans", budget, "hard", None),
                ("dm", budget, "hard", None),
                ("soft", budget, "hard", None),
                ("soft", budget, "soft", None),
                ("random", budget, "soft", "soft"),
            ]
        ),
    ]
    assert not found.failed


def test_scores_are_those_of_evaluating_each_set_alone(table):
    found, out, problem = table
    planned = problem.planned(Plan(threads=1))

    def alone(value, seed, **options):
        [score] = evaluate(value, planned, ["mlp-8"], 1, TINY, seed, **options)
        return score.mean

    sets = {
        name: [Distilled.load(out / "sets" / f"{name}-2-per-class-{s}") for s in range(3)] for name in ("dm", "soft")
    }
    assert row_of(found, "full", None).scores == tuple(alone("full", seed) for seed in range(3))
    assert row_of(found, "dm", 2).scores == tuple(alone(sets["dm"][seed], seed) for seed in range(3))
    assert row_of(found, "soft", 2, "soft").scores == tuple(alone(sets["soft"][seed], seed) for seed in range(3))
    hard = tuple(alone(sets["soft"][seed], seed, labels="hard") for seed in range(3))
    assert row_of(found, "soft", 2).scores == hard


def test_a_row_is_worked_out_from_its_scores(table):
    found, out, _ = table
    for row in found.rows:
        assert row.runs == len(row.scores) == 3
        assert row.seeds == (0, 1, 2)
        assert row.mean == pytest.approx(statistics.mean(row.scores))
        assert row.std == pytest.approx(statistics.stdev(row.scores))
        assert 0 <= row.validation <= 1
    dm, random, kmeans = (row_of(found, name, 2) for name in ("dm", "random", "kmeans"))
    assert dm.against_random == paired(dm.scores, random.scores)
    assert dm.bytes == 6 * (8 * 8 * 4 + 8)
    assert dm.rows == 6
    assert (dm.steps, kmeans.steps, row_of(found, "full", None).steps) == (2, 0, None)
    made = [json.loads((out / "sets" / f"dm-2-per-class-{seed}" / "result.json").read_text()) for seed in range(3)]
    assert dm.seconds == pytest.approx(statistics.mean(one["seconds"] for one in made), abs=1e-3)
    assert row_of(found, "full", None).seconds is None
    assert dm.memory == max(one["own_memory"] for one in made)
    assert row_of(found, "full", None).memory is None


def test_the_best_coreset_is_chosen_by_validation(table):
    found, _, _ = table
    for budget in (1, 2):
        random, kmeans = row_of(found, "random", budget), row_of(found, "kmeans", budget)
        best = kmeans if kmeans.validation > random.validation else random
        for row in (row_of(found, "dm", budget), row_of(found, "soft", budget)):
            assert row.best_coreset == best.method
            assert row.against_best_coreset == paired(row.scores, best.scores)
        assert best.against_best_coreset is None
        assert (random.coreset, kmeans.coreset, row_of(found, "dm", budget).coreset) == (True, True, False)
        assert row_of(found, "soft", budget, "soft").against_best_coreset is None


MADE = {True: Made("sha256:1", "hard", 0, 1.0, True), False: Made("sha256:2", "hard", 5, 1.0, False)}


def _results(table, accuracies, plain=None, failed=()):
    """Results of a "mlp-8": by method, (test, validation) accuracy of each seed."""
    [full] = table[0].rows[:1]
    score = Score.from_json(json.loads((table[1] / "scores" / "full,mlp-8,hard,0.json").read_text())["score"])
    assert score.mean == full.scores[0]
    results = Results()
    for augmented, found in ((True, accuracies), (False, plain or {})):
        for method, by_seed in found.items():
            per_class = None if method == "full" else 1
            for seed, (test, validation) in by_seed.items():
                cell = Measure(method, per_class, "mlp-8", "hard", seed, augmented=augmented)
                told = {"mean": test, "scores": (test,), "validation": validation}
                results.scores[cell] = replace(score, **told, augmentation=score.augmentation if augmented else "")
                if per_class:
                    results.made[method, 1, seed] = MADE[method != "dm"]
    results.failed = {Measure(method, 1, "mlp-8", "hard", seed): "no memory" for method, seed in failed}
    return results


def _rows(results, *methods, seeds=2):
    return {row.method: row for row in rows_of(results, methods, [1], ["mlp-8"], seeds)}


def test_validation_and_not_test_accuracy_says_which_coreset_is_the_best(table):
    found = {
        "random": {0: (0.9, 0.5), 1: (0.9, 0.5)},
        "kmeans": {0: (0.4, 0.8), 1: (0.3, 0.8)},
        "dm": {0: (0.95, 0.9), 1: (0.95, 0.9)},  # no coreset, so never the best of them
    }
    rows = _rows(_results(table, found), *found)
    assert {row.best_coreset for row in rows.values()} == {"kmeans"}
    assert rows["dm"].against_best_coreset.mean == pytest.approx(0.6)
    assert rows["random"].against_best_coreset.mean == pytest.approx(0.55)
    assert rows["kmeans"].against_best_coreset is None


def test_coresets_under_way_are_compared_over_the_seeds_that_all_have(table):
    found = {
        "random": {0: (0.5, 0.6), 1: (0.5, 0.2)},  # seed 1 is a hard one
        "kmeans": {0: (0.5, 0.5)},
    }
    assert _rows(_results(table, found), *found)["kmeans"].best_coreset == "random"
    found["kmeans"] = {2: (0.5, 0.5)}
    assert _rows(_results(table, found), *found, seeds=3)["kmeans"].best_coreset is None


def test_dd_ranking_is_of_the_seeds_that_all_have(table):
    found = {
        "full": {0: (0.9, 0.9), 1: (0.7, 0.9)},
        "random": {0: (0.5, 0.5), 1: (0.1, 0.5)},
        "dm": {0: (0.6, 0.5)},
    }
    plain = {"random": {0: (0.4, 0.5), 1: (0.2, 0.5)}, "dm": {0: (0.7, 0.5)}}
    dm = _rows(_results(table, found, plain, [("dm", 1)]), *found)["dm"]
    assert dm.failed == "mlp-8, seed 1: no memory"
    assert dm.label_robust == pytest.approx(label_robust(0.9, 0.6, 0.6, 0.5))
    assert dm.augmentation_robust == pytest.approx(augmentation_robust(0.6, 0.5, 0.7, 0.4))
    found["dm"] = {2: (0.6, 0.5)}
    dm = _rows(_results(table, found, plain), *found, seeds=3)["dm"]
    assert dm.label_robust is dm.augmentation_robust is None


def test_soft_labels_are_compared_with_random_rows_that_have_them(table):
    found, _, _ = table
    soft, hard = row_of(found, "soft", 1, "soft"), row_of(found, "soft", 1)
    random, same = row_of(found, "random", 1), row_of(found, "random", 1, "soft", "soft")
    assert soft.against_random == paired(soft.scores, same.scores)
    assert hard.against_random == paired(hard.scores, random.scores)
    assert same.bytes == random.bytes + 3 * (3 * 4 - 8) == soft.bytes  # three float32 for an int64
    assert soft.bytes - hard.bytes == 3 * (3 * 4 - 8)
    assert random.against_random is None
    assert same.against_random is None


def test_dd_ranking_is_of_the_tables_own_means(table):
    found, _, _ = table
    full, random, dm = row_of(found, "full", None), row_of(found, "random", 1), row_of(found, "dm", 1)
    soft, hard, same = (
        row_of(found, "soft", 1, "soft"),
        row_of(found, "soft", 1),
        row_of(found, "random", 1, "soft", "soft"),
    )
    assert dm.label_robust == pytest.approx(label_robust(full.mean, dm.mean, dm.mean, random.mean))
    assert soft.label_robust == pytest.approx(label_robust(full.mean, hard.mean, soft.mean, same.mean))
    plain = (dm.without_augmentation, random.without_augmentation)
    assert dm.augmentation_robust == pytest.approx(augmentation_robust(dm.mean, random.mean, *plain))
    assert full.label_robust is random.label_robust is same.label_robust is full.augmentation_robust is None


def test_without_augmentation_means_without_augmentation(table):
    found, out, problem = table
    value = Distilled.load(out / "sets" / "dm-1-per-class-1")
    plain = replace(TINY, augmentation="")
    scores = [
        evaluate(Distilled.load(out / "sets" / f"dm-1-per-class-{s}"), problem, ["mlp-8"], 1, plain, s)[0].mean
        for s in range(3)
    ]
    assert row_of(found, "dm", 1).without_augmentation == pytest.approx(statistics.mean(scores))
    assert evaluate(value, problem, ["mlp-8"], 1, TINY)[0].augmentation != ""


def test_ridge_regression_stands_beside_networks_and_is_no_matter_of_augmentation(tmp_path, monkeypatch):
    monkeypatch.setattr(ridge, "MOST", 20)  # full data are too many for it
    soft = Soft(kind="regression")
    found = compare_small(
        toys.images(), tmp_path / "out", [("soft", soft)], models=["ridge-ntk", "mlp-8"], ranking=True
    )
    rows = {(row.model, row.method, row.labels): row for row in found.rows}
    assert ("ridge-ntk", "full", "hard") not in rows
    assert ("mlp-8", "full", "hard") in rows
    for kind in ("hard", "regression"):
        by_kernel, by_network = (rows[model, "soft", kind] for model in ("ridge-ntk", "mlp-8"))
        assert by_kernel.mean > 0.5
        assert by_kernel.without_augmentation is by_kernel.augmentation_robust is None
        assert by_network.without_augmentation is not None
    text = found.table()
    assert text.count("solved in closed form") == 1
    assert "(0 updates)" not in text


def test_a_budget_of_more_rows_than_ridge_regression_solves_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(ridge, "MOST", 7)  # a system of 2 rows of each of 3 classes fits
    said = "'ridge-ntk' solves a system .* 3 rows of each class are 9, which are more than the 7 that fit: leave out the budget 3"
    with pytest.raises(AttarError, match=said):
        compare_small(toys.images(), tmp_path / "out", per_class=(1, 2, 3), models=["mlp-8", "ridge-ntk"])
    assert not (tmp_path / "out").exists()
    found = compare_small(toys.images(), tmp_path / "out", per_class=(1, 2), models=["ridge-ntk"], seeds=1)
    assert {row.per_class for row in found.rows} == {1, 2}, "of full data there is no score, and no refusal"


# -- what is written


def test_the_record_has_what_programs_read(table):
    found, out, problem = table
    record = json.loads((out / "comparison.json").read_text())
    assert record == found.to_json()
    assert record["protocol"]["name"] == "tiny"
    assert record["problem"]["fingerprint"] == problem.spec.fingerprint
    assert (record["data"], record["command"], record["complete"]) == ("toy", "attar compare", True)
    row = next(row for row in record["rows"] if row["method"] == "dm")
    asked = {"method", "per_class", "model", "labels", "mean", "std", "runs", "scores", "bytes", "seconds"}
    assert asked <= set(row)
    assert set(row["against_random"]) == {"mean", "standard_error", "low", "high", "seeds"}
    assert record["rows"][0]["per_class"] is None


def test_the_spreadsheet_holds_the_same_numbers(table):
    found, out, _ = table
    with open(out / "comparison.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(found.rows)
    for line, row in zip(lines, found.rows, strict=True):
        assert (line["method"], float(line["mean"])) == (row.method, row.mean)
        assert [float(score) for score in line["scores"].split()] == list(row.scores)
        assert line["against_random_low"] == ("" if row.against_random is None else str(row.against_random.low))


def test_a_failure_is_no_formula_in_a_spreadsheet(table):
    found, _, _ = table
    failed = replace(found.rows[-1], method="dm", failed='=HYPERLINK("http://example.org")', mean=-0.5)
    [line] = csv.DictReader(io.StringIO(dataclasses.replace(found, rows=(failed,)).csv()))
    assert (line["failed"], line["mean"]) == ('\'=HYPERLINK("http://example.org")', "-0.5")


def test_cells_that_are_left_are_counted(table):
    found, _, _ = table
    assert (found.to_json()["left"], dataclasses.replace(found, left=3).to_json()["left"]) == (0, 3)


def test_the_table_in_latex(table):
    found, out, _ = table
    lines = (out / "comparison.tex").read_text().splitlines()
    body = lines[lines.index(r"\begin{tabular}{lrr}") : lines.index(r"\end{tabular}")]
    assert r"images a class & 1 & 2 \\" in body
    one, two = (row_of(found, "dm", budget) for budget in (1, 2))
    cells = " & ".join(rf"{100 * row.mean:.1f} $\pm$ {100 * row.std:.1f}" for row in (one, two))
    assert rf"dm & {cells} \\" in body
    assert {line.partition(" &")[0] for line in body} >= {
        "random",
        "kmeans",
        "soft, soft labels",
        "random, labels of soft",
    }
    assert any(line.startswith(r"full data & \multicolumn{2}{c}{") for line in body)
    assert all(line.count("{") == line.count("}") for line in lines)
    odd = dataclasses.replace(found, rows=(replace(one, method="a_b&c%"),))
    assert r"a\_b\&c\%" in odd.latex()


def test_the_table_in_plain_text_says_how_it_was_measured(table):
    found, _, _ = table
    text = found.table()
    dm = row_of(found, "dm", 2)
    [line] = [line for line in text.splitlines() if line.split()[1:3] == ["2", "dm"]]
    assert f"{100 * dm.mean:.1f} ± {100 * dm.std:.1f}" in line
    assert str(dm.against_random) in line
    assert "Protocol tiny" in text
    assert "best validation accuracy" in text
    assert "Steps of dm: 2 at 1 a class, 2 at 2 a class." in text
    assert len({len(line) for line in text.splitlines() if line.startswith("mlp-8")}) == 1


def test_the_table_in_plain_text_at_equal_bytes_leaves_out_what_takes_more(table):
    found, _, _ = table
    lines = found.table(equal_bytes=True).splitlines()
    random = row_of(found, "random", 2)
    assert lines[0].split()[:3] == ["up", "to", "bytes"]
    assert [line for line in lines if line.split()[:1] == [f"{random.bytes:,}"] and " dm " in line]
    assert lines[1].split()[0] == "all"
    assert " full data " in lines[1]


# -- random rows with a set's labels


def test_random_rows_take_the_labels_of_the_rows_of_their_class(toy):
    budget = Budget(per_class=3)
    value = Soft().finish(toy, budget, rng.generator(0, "set"))
    scrambled = torch.tensor([4, 0, 8, 3, 1, 7, 2, 6, 5])  # classes in no order
    value = replace(value, data=value.data.take(scrambled), stored={})
    drawn = random_rows_with_labels(value, toy, rng.generator(5, "method"))
    assert torch.equal(drawn.data.y, value.data.y)
    rows = _ids(drawn, toy)
    assert torch.equal(toy.train.y[rows], value.labels)
    assert len(set(rows)) == 9
    random = methods.random().choose(toy, budget, rng.generator(5, "method"))
    assert sorted(rows) == sorted(random.rows.tolist())
    assert drawn.training.labels == "soft"
    assert drawn.training.step_size is None


def _ids(value, problem):
    """Training rows that are those of a set, to rounding."""
    distance = torch.cdist(value.normalised().x.flatten(1).double(), problem.train.x.flatten(1).double())
    assert float(distance.min(1).values.max()) < 1e-4
    return distance.argmin(1).tolist()


def test_more_labels_of_a_class_than_it_has_rows_are_refused(toy):
    value = Soft().finish(toy, Budget(per_class=2), rng.generator(0, "set"))
    data = value.data.join([value.data] * 19)  # 40 of each class, which has 36
    with pytest.raises(AttarError, match="36 rows, fewer than the 40"):
        random_rows_with_labels(replace(value, data=data, stored={}), toy, rng.generator(0, "method"))


def test_hard_labels_cost_what_hard_labels_cost(toy):
    value = Soft().finish(toy, Budget(per_class=2), rng.generator(0, "set"))
    views = torch.stack([value.data.y, value.data.y])
    seen = replace(value, data=value.data.replace(y=views, views=torch.tensor([1, 2])))
    for one in (value, seen):
        hard = with_hard_labels(one)
        assert torch.equal(hard.data.y, one.labels)
        assert (hard.training.labels, hard.data.views) == ("hard", None)
    assert with_hard_labels(seen).nbytes == with_hard_labels(value).nbytes


def test_hard_labels_of_a_decoded_set_cost_an_id_a_stored_row(toy):
    method = replace(DM, synthetic=MultiFormation(2), labels="soft", initial=Noise())
    state = method.init(toy, Budget(per_class=2), rng.generator(0, "method"))
    value = method.finish(toy, state)
    hard = with_hard_labels(value)
    assert (len(hard), hard.nbytes) == (24, 6 * (8 * 8 * 4 + 8))
    assert hard.stored["y"].tolist() == [0, 0, 1, 1, 2, 2]
    assert hard.data.y.tolist() == [0] * 8 + [1] * 8 + [2] * 8


# -- one seed, no validation


def test_one_seed_has_neither_spread_nor_intervals(tmp_path, toy):
    found = compare_small(toy, tmp_path / "out", seeds=1)
    for row in found.rows:
        assert row.std is row.against_random is row.against_best_coreset is None
        assert row.runs == 1
    assert row_of(found, "kmeans", 1).label_robust is not None
    assert "±" not in found.table()


def test_several_networks_a_set_are_averaged_before_they_are_paired(tmp_path, toy):
    found = compare_small(toy, tmp_path / "out", runs=2)
    kmeans, random = row_of(found, "kmeans", 1), row_of(found, "random", 1)
    assert (kmeans.runs, kmeans.seeds) == (4, (0, 1))
    means = [[statistics.mean(row.scores[s : s + 2]) for s in (0, 2)] for row in (kmeans, random)]
    assert kmeans.against_random == paired(*means)


def test_without_validation_no_coreset_is_the_best(tmp_path):
    found = compare_small(toys.images(validation=0.0), tmp_path / "out")
    assert all(row.best_coreset is None and row.against_best_coreset is None for row in found.rows)
    assert all(row.validation is None for row in found.rows)
    assert any("no coreset is called the best" in note for note in found.notes)


def test_named_data_lose_a_tenth_to_validation(tmp_path):
    found = compare("digits", [], (1,), seeds=1, out=tmp_path / "out", protocol=TINY, workers=1)
    rows = found.problem["rows"]
    assert rows["validation"] == pytest.approx(0.1 * (rows["train"] + rows["validation"]), abs=10)
    with pytest.raises(AttarError, match="holds a comparison on"):
        compare("digits", [], (1,), seeds=1, out=tmp_path / "out", protocol=TINY, workers=1, validation=0)


# -- starting values


def test_a_method_is_compared_from_each_of_its_starting_values(tmp_path, toy):
    found = compare_small(toy, tmp_path / "out", ["dm", "kmeans"], seeds=1, steps=0, initial=("noise", "real"))
    assert list(dict.fromkeys(row.method for row in found.rows)) == ["full", "random", "dm-noise", "dm-real", "kmeans"]
    sets = {name: Distilled.load(tmp_path / "out" / "sets" / f"dm-{name}-1-per-class-0") for name in ("noise", "real")}
    raw = toy.spec.normalisation.undo(toy.train.x)
    assert all(any(torch.allclose(row, real, atol=1e-6) for real in raw) for row in sets["real"].data.x)
    assert not any(torch.allclose(row, real, atol=1e-1) for row in sets["noise"].data.x for real in raw)


def test_a_start_is_the_set_that_no_step_has_touched(tmp_path, toy):
    method = replace(DM, synthetic=MultiFormation(2))
    found = compare_small(toy, tmp_path / "out", [("tiles", method)], steps=2, starts=True)
    assert [row.method for row in found.rows] == ["full", "random", "tiles", "tiles-start"]
    for seed in (0, 1):
        start = Distilled.load(tmp_path / f"out/sets/tiles-start-1-per-class-{seed}")
        untouched = attar.distill(method, toy, Budget(per_class=1), steps=0, seed=seed).value
        assert torch.equal(start.data.x, untouched.data.x)
        after = Distilled.load(tmp_path / f"out/sets/tiles-1-per-class-{seed}")
        assert not torch.equal(start.data.x, after.data.x)
    assert row_of(found, "tiles-start", 1).bytes == row_of(found, "tiles", 1).bytes
