"""The comparison: its numbers from its cells, what is refused, what fails, and what goes on after a stop."""

import csv
import dataclasses
import io
import json
import statistics
from dataclasses import dataclass, replace

import pytest
import torch

from attar import methods, rng
from attar.compare import compare
from attar.compare.cells import Measure, random_rows_with_labels, with_hard_labels
from attar.compare.rows import Results, rows_of
from attar.compare.study import Made
from attar.data import toy as toys
from attar.distilled import Distilled
from attar.evaluation import Protocol, Score, evaluate
from attar.evaluation.paired import paired
from attar.evaluation.ranking import augmentation_robust, label_robust
from attar.method import name_of
from attar.plan import Plan
from attar.types import AttarError, Budget

TINY = Protocol("tiny", models=("mlp-8",), runs=1, epochs=14, plain_epochs=10, updates=15, full_updates=20, lr=0.05)
DM = methods.dm("convnet1-4", batch=8)


@dataclass(frozen=True)
class Soft:
    """Random rows with labels of 0.8 for their class."""

    name: str = "soft"
    kind: str = "soft"

    def finish(self, problem, budget, generator):
        value = methods.random().finish(problem, budget, generator)
        classes = len(problem.spec.class_names)
        y = torch.full((len(value), classes), 0.2 / (classes - 1))
        y[torch.arange(len(value)), value.data.y] = 0.8
        training = replace(value.training, labels=self.kind, step_size=0.1)
        return Distilled(value.data.replace(y=y, weight=None), training)


@dataclass(frozen=True)
class Broken:
    """Fails at one budget until a file is there."""

    mended: str
    name: str = "broken"
    error: type = AttarError

    def finish(self, problem, budget, generator):
        import pathlib

        if budget.per_class == 2 and not pathlib.Path(self.mended).exists():
            raise self.error("it does\nnot work")
        return methods.random().finish(problem, budget, rng.generator(7, "broken"))


def _compare(problem, out, named=("kmeans",), per_class=(1,), seeds=2, **options):
    return compare(problem, named, per_class, seeds=seeds, out=out, **{"protocol": TINY, "workers": 1, **options})


def _without_seconds(out):
    record = json.loads((out / "comparison.json").read_text())
    for row in record["rows"]:
        del row["seconds"], row["memory"]
    return record


def _row(found, method, per_class, labels="hard", labels_from=None):
    key = (method, per_class, labels, labels_from)
    [row] = [row for row in found.rows if (row.method, row.per_class, row.labels, row.labels_from) == key]
    return row


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A comparison of everything, its folder and its problem."""
    problem, out = toys.images(), tmp_path_factory.mktemp("table") / "out"
    found = _compare(
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
    assert _row(found, "full", None).scores == tuple(alone("full", seed) for seed in range(3))
    assert _row(found, "dm", 2).scores == tuple(alone(sets["dm"][seed], seed) for seed in range(3))
    assert _row(found, "soft", 2, "soft").scores == tuple(alone(sets["soft"][seed], seed) for seed in range(3))
    hard = tuple(alone(sets["soft"][seed], seed, labels="hard") for seed in range(3))
    assert _row(found, "soft", 2).scores == hard


def test_a_row_is_worked_out_from_its_scores(table):
    found, out, _ = table
    for row in found.rows:
        assert row.runs == len(row.scores) == 3
        assert row.seeds == (0, 1, 2)
        assert row.mean == pytest.approx(statistics.mean(row.scores))
        assert row.std == pytest.approx(statistics.stdev(row.scores))
        assert 0 <= row.validation <= 1
    dm, random, kmeans = (_row(found, name, 2) for name in ("dm", "random", "kmeans"))
    assert dm.against_random == paired(dm.scores, random.scores)
    assert dm.bytes == 6 * (8 * 8 * 4 + 8)
    assert dm.rows == 6
    assert (dm.steps, kmeans.steps, _row(found, "full", None).steps) == (2, 0, None)
    made = [json.loads((out / "sets" / f"dm-2-per-class-{seed}" / "result.json").read_text()) for seed in range(3)]
    assert dm.seconds == pytest.approx(statistics.mean(one["seconds"] for one in made), abs=1e-3)
    assert _row(found, "full", None).seconds is None
    assert dm.memory == max(one["own_memory"] for one in made) and _row(found, "full", None).memory is None


def test_the_best_coreset_is_chosen_by_validation(table):
    found, _, _ = table
    for budget in (1, 2):
        random, kmeans = _row(found, "random", budget), _row(found, "kmeans", budget)
        best = kmeans if kmeans.validation > random.validation else random
        for row in (_row(found, "dm", budget), _row(found, "soft", budget)):
            assert row.best_coreset == best.method
            assert row.against_best_coreset == paired(row.scores, best.scores)
        assert best.against_best_coreset is None
        assert (random.coreset, kmeans.coreset, _row(found, "dm", budget).coreset) == (True, True, False)
        assert _row(found, "soft", budget, "soft").against_best_coreset is None


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
    soft, hard = _row(found, "soft", 1, "soft"), _row(found, "soft", 1)
    random, same = _row(found, "random", 1), _row(found, "random", 1, "soft", "soft")
    assert soft.against_random == paired(soft.scores, same.scores)
    assert hard.against_random == paired(hard.scores, random.scores)
    assert same.bytes == random.bytes + 3 * (3 * 4 - 8) == soft.bytes  # three float32 for an int64
    assert soft.bytes - hard.bytes == 3 * (3 * 4 - 8)
    assert random.against_random is None
    assert same.against_random is None


def test_dd_ranking_is_of_the_tables_own_means(table):
    found, _, _ = table
    full, random, dm = _row(found, "full", None), _row(found, "random", 1), _row(found, "dm", 1)
    soft, hard, same = _row(found, "soft", 1, "soft"), _row(found, "soft", 1), _row(found, "random", 1, "soft", "soft")
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
    assert _row(found, "dm", 1).without_augmentation == pytest.approx(statistics.mean(scores))
    assert evaluate(value, problem, ["mlp-8"], 1, TINY)[0].augmentation != ""


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
    one, two = (_row(found, "dm", budget) for budget in (1, 2))
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
    dm = _row(found, "dm", 2)
    [line] = [line for line in text.splitlines() if line.split()[1:3] == ["2", "dm"]]
    assert f"{100 * dm.mean:.1f} ± {100 * dm.std:.1f}" in line
    assert str(dm.against_random) in line
    assert "Protocol tiny" in text
    assert "best validation accuracy" in text
    assert "Steps of dm: 2 at 1 a class, 2 at 2 a class." in text
    assert len({len(line) for line in text.splitlines() if line.startswith("mlp-8")}) == 1


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


# -- one seed, no validation


def test_one_seed_has_neither_spread_nor_intervals(tmp_path, toy):
    found = _compare(toy, tmp_path / "out", seeds=1)
    for row in found.rows:
        assert row.std is row.against_random is row.against_best_coreset is None
        assert row.runs == 1
    assert _row(found, "kmeans", 1).label_robust is not None
    assert "±" not in found.table()


def test_several_networks_a_set_are_averaged_before_they_are_paired(tmp_path, toy):
    found = _compare(toy, tmp_path / "out", runs=2)
    kmeans, random = _row(found, "kmeans", 1), _row(found, "random", 1)
    assert (kmeans.runs, kmeans.seeds) == (4, (0, 1))
    means = [[statistics.mean(row.scores[s : s + 2]) for s in (0, 2)] for row in (kmeans, random)]
    assert kmeans.against_random == paired(*means)


def test_without_validation_no_coreset_is_the_best(tmp_path):
    found = _compare(toys.images(validation=0.0), tmp_path / "out")
    assert all(row.best_coreset is None and row.against_best_coreset is None for row in found.rows)
    assert all(row.validation is None for row in found.rows)
    assert any("no coreset is called the best" in note for note in found.notes)


def test_named_data_lose_a_tenth_to_validation(tmp_path):
    found = compare("digits", [], (1,), seeds=1, out=tmp_path / "out", protocol=TINY, workers=1)
    rows = found.problem["rows"]
    assert rows["validation"] == pytest.approx(0.1 * (rows["train"] + rows["validation"]), abs=10)
    with pytest.raises(AttarError, match="another data, split or seed"):
        compare("digits", [], (1,), seeds=1, out=tmp_path / "out", protocol=TINY, workers=1, validation=0)


# -- going on


def test_what_is_done_is_not_done_again(tmp_path, toy):
    out = tmp_path / "out"
    first = _compare(toy, out, [("dm", DM)], steps=1)
    before = {path: path.stat().st_mtime_ns for name in ("sets", "scores") for path in (out / name).rglob("*.*")}
    again = _compare(toy, out, [("dm", DM)], steps=1)
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in before} == before
    more = _compare(toy, out, ["kmeans", ("dm", DM)], (1, 2), 3, steps=1, models=["mlp-8", "mlp-4"])
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {row.model for row in more.rows} == {"mlp-8", "mlp-4"}
    grown = next(row for row in more.rows if (row.model, row.method, row.per_class) == ("mlp-8", "dm", 1))
    assert grown.scores[:2] == _row(first, "dm", 1).scores
    fewer = _compare(toy, out, ["kmeans"], (1,), 1, steps=1)
    held = len(list((out / "scores").glob("*.json")))
    assert any(f"holds {held - 3} more scores" in note for note in fewer.notes)  # shown: full data, random, kmeans
    assert not any("more scores" in note for note in more.notes)


def test_a_set_that_was_made_anew_is_measured_anew(tmp_path, toy):
    import shutil

    out = tmp_path / "out"
    _compare(toy, out, [("dm", DM)], steps=1, seeds=1)
    score = out / "scores" / "dm,1-per-class,mlp-8,hard,0.json"
    old = json.loads(score.read_text())["checksum"]
    other = tmp_path / "other"
    _compare(toy, other, [("dm", DM)], steps=3, seeds=1)
    shutil.rmtree(out / "sets" / "dm-1-per-class-0")
    shutil.copytree(other / "sets" / "dm-1-per-class-0", out / "sets" / "dm-1-per-class-0")
    _compare(toy, out, [("dm", DM)], steps=1, seeds=1)
    assert json.loads(score.read_text())["checksum"] != old


def test_a_set_whose_rows_are_damaged_is_made_again(tmp_path, toy):
    out = tmp_path / "out"
    first = _compare(toy, out, ["kmeans", ("dm", DM)], steps=1, seeds=1)
    saved = {
        name: out / "sets" / f"{name}-1-per-class-0" / "distilled" / "data.safetensors" for name in ("kmeans", "dm")
    }
    whole = {name: path.read_bytes() for name, path in saved.items()}
    for damage in (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), lambda path: path.unlink()):
        for path in saved.values():
            damage(path)
        again = _compare(toy, out, ["kmeans", ("dm", DM)], steps=1, seeds=1)
        assert not again.failed
        assert {name: path.read_bytes() for name, path in saved.items()} == whole
        assert [row.scores for row in again.rows] == [row.scores for row in first.rows]


def test_the_record_has_the_versions_that_measured(tmp_path, toy, monkeypatch):
    from attar.compare import study

    out, mine = tmp_path / "out", study.versions()
    found = _compare(toy, out, seeds=1)
    assert json.loads((out / "protocol.json").read_text())["versions"] == mine == found.versions
    assert all(json.loads(path.read_text())["versions"] == mine for path in (out / "scores").iterdir())
    assert not any("several versions" in note for note in found.notes)
    monkeypatch.setattr(study, "version", lambda _: "999.1")
    assert _compare(toy, out, seeds=1).versions == mine  # what measured them, not what reads them
    more = _compare(toy, out, seeds=2)
    both = f"{mine['attar']}, 999.1"
    assert (more.versions["attar"], more.versions["torch"]) == (both, mine["torch"])
    assert any(both in note for note in more.notes)
    for path in (out / "scores").iterdir():  # as scores were written before versions were
        record = json.loads(path.read_text())
        del record["versions"]
        path.write_text(json.dumps(record))
    assert _compare(toy, out, seeds=2).versions["attar"] == "unknown"


def test_what_killed_processes_left_is_no_hindrance_and_goes(tmp_path, toy):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".protocol.json.123.partial").write_text("{")
    (out / "lock").write_text("123")
    _compare(toy, out, seeds=1)
    made = out / "sets" / "random-1-per-class-0"
    kept = sorted(out.rglob("*"))
    assert out / ".protocol.json.123.partial" not in kept
    for path in (out / ".comparison.json.9.partial", made / ".settings.json.9.partial"):
        path.write_text("{")
    for word in ("new", "old"):
        (made / f".distilled.0123.{word}").mkdir()
        (made / f".distilled.0123.{word}" / "card.json").write_text("{")
    _compare(toy, out, seeds=1)
    assert sorted(out.rglob("*")) == kept
    assert (out / "lock").read_text() == ""


def test_interrupted_it_keeps_what_is_done_and_goes_on(tmp_path, toy, monkeypatch):
    out, straight = tmp_path / "out", tmp_path / "straight"
    named = [("dm", DM), "kmeans"]
    _compare(toy, straight, named, steps=2)
    clusters = type(methods.kmeans())
    whole = clusters.finish

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(clusters, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _compare(toy, out, named, steps=2)
    partial = json.loads((out / "comparison.json").read_text())
    assert not partial["complete"]
    assert {row["method"] for row in partial["rows"]} == {"full", "random", "dm"}
    monkeypatch.setattr(clusters, "finish", whole)
    _compare(toy, out, named, steps=2)
    assert _without_seconds(out) == _without_seconds(straight)


# -- failing


@pytest.mark.parametrize(
    ("error", "sentence"), [(AttarError, "it does\nnot work"), (ValueError, "ValueError: it does not work")]
)
def test_a_failed_cell_is_shown_the_rest_goes_on_and_it_is_tried_again(tmp_path, toy, error, sentence):
    mended, out = tmp_path / "mended", tmp_path / "out"
    named = ["kmeans", ("broken", Broken(str(mended), error=error))]
    found = _compare(toy, out, named, (1, 2))
    [failed] = found.failed
    assert (failed.method, failed.per_class, failed.mean, failed.runs) == ("broken", 2, None, 0)
    assert failed.failed == f"seed 0: {sentence}"
    assert _row(found, "broken", 1).runs == _row(found, "kmeans", 2).runs == 2
    record = json.loads((out / "comparison.json").read_text())
    assert not record["complete"]
    assert "failed" in found.table()
    assert sentence in found.table()
    assert r"& failed \\" in found.latex()
    mended.touch()
    again = _compare(toy, out, named, (1, 2))
    assert not again.failed
    assert _row(again, "broken", 2).runs == 2


def test_a_budget_that_a_class_cannot_give_fails_alone(tmp_path, toy):
    found = _compare(toy, tmp_path / "out", [("dm", DM)], (1, 500), steps=1)
    assert {(row.method, row.per_class) for row in found.failed} == {("random", 500), ("dm", 500)}
    assert all("fewer than the 500" in row.failed for row in found.failed)
    assert _row(found, "dm", 1).mean is not None


def test_a_network_that_fails_leaves_the_others(tmp_path, toy, monkeypatch):
    from attar.tasks import ImageClassification

    build = ImageClassification.build
    calls = []

    def failing(self, name):
        calls.append(name)
        if name == "mlp-4" and len(calls) > 2:
            raise RuntimeError("no")
        return build(self, name)

    monkeypatch.setattr(ImageClassification, "build", failing)
    found = _compare(toy, tmp_path / "out", seeds=1, models=["mlp-8", "mlp-4"])
    assert {row.model for row in found.failed} == {"mlp-4"}
    assert all(row.failed == "mlp-4, seed 0: RuntimeError: no" for row in found.failed)
    assert all(row.mean is not None for row in found.rows if row.model == "mlp-8")


# -- refused


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"protocol": replace(TINY, lr=0.02)}, "another protocol (lr 0.05, now lr 0.02)"),
        ({"runs": 2}, "another number of networks a set (1, now 2)"),
        ({"steps": 2}, "another number of steps (1, now 2)"),
        ({"problem": toys.images(seed=1)}, "another data, split or seed"),
        ({"named": [("dm", methods.dm("convnet1-4", batch=4))]}, "'dm' with other settings"),
    ],
)
def test_another_comparison_in_the_folder_is_refused(tmp_path, toy, change, sentence):
    arguments = {"problem": toy, "out": tmp_path / "out", "named": [("dm", DM)], "steps": 1, "seeds": 1}
    _compare(**arguments)
    before = (tmp_path / "out" / "comparison.json").read_bytes()
    with pytest.raises(AttarError) as refused:
        _compare(**{**arguments, **change})
    assert sentence in str(refused.value)
    assert (tmp_path / "out" / "comparison.json").read_bytes() == before


def test_a_protocol_of_a_newer_attar_is_refused_by_what_it_adds(tmp_path, toy):
    out = tmp_path / "out"
    _compare(toy, out, seeds=1)
    record = json.loads((out / "protocol.json").read_text())
    record["protocol"]["warmth"] = 3
    (out / "protocol.json").write_text(json.dumps(record))
    with pytest.raises(AttarError, match=r"another protocol \(warmth 3, now warmth None\)"):
        _compare(toy, out, seeds=1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"named": ["kmean"]}, "did you mean kmeans"),
        ({"named": [("dm", DM), ("dm", methods.dm("mlp-8"))]}, "Two different methods are called 'dm'"),
        ({"named": [("random", DM)]}, "no name for a method"),
        ({"named": [("a,b", DM)]}, "no name for a method"),
        ({"named": [("dm", methods.dm)]}, "is no method"),
        ({"models": ["convnet33x"]}, "no network named"),
        ({"per_class": (0,)}, "out of range"),
        ({"per_class": ()}, "no budget"),
        ({"seeds": 0}, "seeds=0"),
        ({"runs": 0}, "runs=0"),
        ({"workers": 0}, "workers=0"),
        ({"steps": -1}, "steps=-1"),
        ({"time_budget": 0}, "time budget"),
        ({"device": "tpu"}, "Unknown device"),
        ({"validation": 0.2}, "as it is"),
        ({"protocol": "slow"}, "no protocol 'slow'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(tmp_path, toy, change, sentence):
    out = tmp_path / "out"
    with pytest.raises(AttarError, match=sentence):
        _compare(toy, out, **change)
    assert not out.exists()


def test_other_files_are_left_alone(tmp_path, toy):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AttarError, match="holds other files"):
        _compare(toy, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_method_of_another_process_alone_is_refused_where_there_are_several_workers(tmp_path, toy):
    @dataclass(frozen=True)
    class Local:
        def finish(self, problem, budget, generator):
            raise AssertionError

    with pytest.raises(AttarError, match="cannot be sent to other processes"):
        _compare(toy, tmp_path / "out", [("local", Local())], workers=2)


def test_a_time_budget_becomes_steps_once_for_all_seeds(tmp_path, toy):
    out = tmp_path / "out"
    _compare(toy, out, [("dm", DM)], time_budget=0.05)
    [settled] = [json.loads(path.read_text())["steps"] for path in (out / "sets").glob("*.json")]
    done = [json.loads(path.read_text())["steps"] for path in out.glob("sets/dm-*/result.json")]
    assert done == [settled, settled]
    assert settled >= 1


def test_published_names_take_their_recipes_settings_for_each_budget(toy):
    from attar.compare.study import methods_of

    found = methods_of(["dm", "full", "random"], [10, 100], toy)
    assert list(found) == [("random", 10), ("random", 100), ("dm", 10), ("dm", 100)]
    assert name_of(found["dm", 10]) == "dm"
    rates = [found["dm", budget].optimisers["data"].lr for budget in (10, 100)]
    assert rates == [1.0, 10.0]  # the recipe's step from 100 rows a class on
