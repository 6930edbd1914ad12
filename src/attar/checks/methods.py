"""What every method owes."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from attar import recipes, rng
from attar.checkpoint import load_tree, save_tree
from attar.data import toy
from attar.distilled import Distilled
from attar.distilled.tables import DistilledTable, as_table
from attar.evaluation import Protocol, evaluate
from attar.method import Direct, Iterative, Method, is_iterative, name_of
from attar.methods import random
from attar.types import Budget, Problem

__all__ = ["check_method"]

SEEDS = (0, 1, 2, 3, 4)

_of_random_rows: dict[tuple[str, Budget], list[float]] = {}
"""Scores of random rows, which are the same for every method that is checked on the same data."""


def check_method(
    method: Method, *, steps: int = 100, problem: Problem | None = None, per_class: int = 1, gain: bool = True
) -> None:
    """Check a method on toy data.

    All: equal seeds give equal sets, inputs are left untouched, the budget is kept exactly, values are finite, the set
    survives saving and loading. Iterative: other seeds give other sets, a step leaves the given state as it is, a state
    survives its checkpoint and goes on to the same set, and the set trains better than random rows by at least one spread,
    in the paired mean over five fixed seeds. Direct: rows that claim to be of the data are, with their labels, and all
    different.

    Args:
        method: what to check; give it a small network.
        steps: for the comparison with random rows.
        problem: data; None for three classes of 8 x 8 images, or for a method of tables a small one.
        per_class: budget of the comparison.
        gain: whether to make that comparison, most of the time of a check.

    Raises:
        AssertionError: naming the broken promise.
    """
    tabular = recipes.recipe(name_of(method)).get("modality") == "tables"
    problem = problem if problem is not None else toy.table() if tabular else toy.images()
    budget = Budget(per_class=10 if tabular else 2)
    before = [leaf.clone() for leaf in _tensors(problem)]
    first, again, other = (_value(method, problem, budget, seed, 3) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(before, _tensors(problem), strict=True)), (
        "the method changed its input"
    )
    assert _equal(first, again), "equal seeds gave different sets"
    assert not is_iterative(method) or not _equal(first, other), "different seeds gave the same set"
    if problem.spec.schema is None:
        _check_set(first, problem, budget)
    else:
        first = as_table(first, problem.spec.schema)  # type: ignore[assignment]
        _check_table(first, problem, budget)
    _check_saving(first)
    if is_iterative(method):
        _check_states(method, problem, budget)
        if gain:
            _check_gain(method, problem, Budget(per_class=per_class), steps)
    elif problem.spec.schema is None:
        _check_rows(first, problem)


def _value(method: Method, problem: Problem, budget: Budget, seed: int, steps: int) -> Distilled:
    generator = rng.generator(seed, "method")
    if not is_iterative(method):
        return _direct(method).finish(problem, budget, generator)  # type: ignore[return-value]
    state = method.init(problem, budget, generator)
    for _ in range(steps):
        state, info = method.step(problem, state)
        assert all(torch.isfinite(torch.as_tensor(value)).all() for value in info.values()), (
            f"a step's info is not finite: {info}"
        )
        assert "loss" in info, "a step's info has no loss"
    return method.finish(problem, state)


def _direct(method: Any) -> Direct:
    return method


def _check_set(value: Distilled, problem: Problem, budget: Budget) -> None:
    counts = budget.counts([len(rows) for rows in problem.members.values()])
    found = [len(rows) for rows in problem.task.members(value.data).values()]
    each = (
        1 if value.decoder is None else max(len(value) // sum(counts), 1)
    )  # decoders make several rows of a stored one
    assert found == [each * count for count in counts], (
        f"the budget gives {list(counts)} rows a class, and the set has {found}"
    )
    assert all(torch.isfinite(leaf).all() for leaf in _tensors(value.data) if leaf.is_floating_point()), (
        "the set has values that are not finite"
    )
    assert value.data.x.shape[1:] == problem.train.x.shape[1:], "rows have another shape than the data's"
    assert value.training.normalisation == problem.spec.normalisation, (
        "the set does not record the data's normalisation"
    )
    spread = problem.spec.normalisation.undo(problem.train.x)
    low, high = float(spread.min()), float(spread.max())
    room = 10 * (high - low)
    assert low - room < float(value.data.x.min()) and float(value.data.x.max()) < high + room, (
        "rows are not in raw units"
    )


def _check_table(value: Any, problem: Problem, budget: Budget) -> None:
    most = sum(budget.counts([len(rows) for rows in problem.members.values()]))
    assert isinstance(value, DistilledTable), f"a table became a {type(value).__name__}"
    assert 0 < len(value) <= most, f"the budget allows {most} rows, and the set has {len(value)}"
    assert bool(value.data.values.isfinite().all()), "the set has values that are not finite"
    assert value.target in value.data.names, f"the set has lost its target {problem.spec.schema.target}"
    assert not value.keeps or value.data.size == len(problem.train), (
        f"the set keeps what {len(problem.train)} rows say, and stands for {value.data.size:g}"
    )
    x, _ = problem.spec.schema.split(value.data)
    assert bool(x.isfinite().all()), "the set cannot be read by the columns of its source"


def _check_saving(value: Distilled) -> None:
    with tempfile.TemporaryDirectory() as folder:
        value.save(Path(folder) / "one")
        Distilled.load(Path(folder) / "one").save(Path(folder) / "two")
        files = [(Path(folder) / name / "data.safetensors").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1], "saved, loaded and saved again, the set is another"


def _check_states(method: Iterative, problem: Problem, budget: Budget) -> None:
    state = method.init(problem, budget, rng.generator(0, "method"))
    state, _ = method.step(problem, state)
    kept = [leaf.clone() for leaf in _tensors(state)]
    straight, _ = method.step(problem, state)
    assert all(torch.equal(a, b) for a, b in zip(kept, _tensors(state), strict=True)), (
        "a step changed the state that it was given"
    )
    with tempfile.TemporaryDirectory() as folder:
        save_tree(state, Path(folder) / "state")
        loaded = load_tree(Path(folder) / "state")
    resumed, _ = method.step(problem, loaded)
    same = _equal(method.finish(problem, straight), method.finish(problem, resumed))
    assert same, "a state that was saved and loaded goes on to another set"


def _check_gain(method: Iterative, problem: Problem, budget: Budget, steps: int) -> None:
    known = (problem.spec.fingerprint, budget)
    if known not in _of_random_rows:
        _of_random_rows[known] = [_score(random(), problem, budget, seed, 0) for seed in SEEDS]
    scores = {
        "method": [_score(method, problem, budget, seed, steps) for seed in SEEDS],
        "random": _of_random_rows[known],
    }
    gains = [a - b for a, b in zip(scores["method"], scores["random"], strict=True)]
    spread = statistics.stdev(gains) / len(gains) ** 0.5
    mine, rows = ([round(score, 3) for score in scores[name]] for name in ("method", "random"))
    assert statistics.mean(gains) >= spread, (
        f"{name_of(method)} scores {mine} and random rows {rows} over seeds {SEEDS}: the paired gain of "
        f"{statistics.mean(gains):.3f} is less than its spread of {spread:.3f}"
    )


def _score(method: Method, problem: Problem, budget: Budget, seed: int, steps: int) -> float:
    value = _value(method, problem, budget, seed, steps)
    model = "convnet3-16" if problem.spec.schema is None else "mlp-16"
    [found] = evaluate(value, problem, models=[model], runs=2, protocol=Protocol.quick, seed=seed)
    return found.mean


def _check_rows(value: Distilled, problem: Problem) -> None:
    flat = value.data.x.flatten(1)
    assert len(torch.unique(flat, dim=0)) == len(flat), "the set holds the same row twice"
    if not value.selected:
        return
    places = {origin: row for row, origin in enumerate(problem.origins or range(len(problem.train)))}
    ids = torch.tensor([places[record["row"]] for record in value.selected])
    assert ids.unique().numel() == len(ids), "a row was picked twice"
    source = problem.train.take(ids)
    assert torch.equal(problem.spec.normalisation.undo(source.x), value.data.x), (
        "rows are not those that their ids name"
    )
    assert source.y is None or (value.data.y is not None and torch.equal(source.y, value.data.y)), (
        "labels are not those of the rows"
    )


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Problem):
        return [leaf for part in (value.train, value.validation, value.test) for leaf in _tensors(part)]
    if hasattr(value, "__dataclass_fields__"):
        value = [getattr(value, name) for name in value.__dataclass_fields__]
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _equal(a: Distilled, b: Distilled) -> bool:
    left, right = _tensors(a.data), _tensors(b.data)
    return len(left) == len(right) and all(torch.equal(x, y) for x, y in zip(left, right, strict=True))
