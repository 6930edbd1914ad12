"""What a job is foreseen to take, against what it takes."""

import json
import resource
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass, replace

import pytest
import torch

import attar
from attar import estimate as estimation
from attar.estimate import Estimate, estimate, rehearse, require
from attar.objectives import FeatureMatch
from attar.plan import Plan
from attar.types import AttarError, Budget

BUDGET = Budget(per_class=1)
PLAN = attar.Plan(threads=1)
GIB = 2**30


def _dm(**settings):
    return attar.methods.dm("convnet2-8", batch=8, **settings)


def _count_steps(monkeypatch):
    """Real steps, those of a rehearsal left out."""
    done, step = [], attar.Matching.step

    def counted(method, problem, state):
        if problem.train.x.device.type != "meta":
            done.append(state["step"])
        return step(method, problem, state)

    monkeypatch.setattr(attar.Matching, "step", counted)
    return done


@pytest.mark.parametrize("name", ["dm", "dc", "dsa"])
def test_too_little_memory_is_refused_before_the_first_step(tmp_path, toy, monkeypatch, name):
    done = _count_steps(monkeypatch)
    method = attar.methods.METHODS[name]("convnet2-8")
    with pytest.raises(AttarError, match=r"needs about .* GB of memory and 0\.098 GB may be used: lower the budget"):
        attar.distill(method, toy, BUDGET, steps=5, memory=100 * 2**20, out=tmp_path / "run")
    assert done == []
    assert not (tmp_path / "run").exists()


def test_enough_memory_is_not_refused(toy):
    assert attar.distill(_dm(), toy, BUDGET, steps=1, memory=64 * GIB, plan=PLAN).stats.steps == 1


def test_too_little_disk_is_refused_before_the_folder_is_made(tmp_path, toy, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(AttarError, match=r"writes about \d+ MB and 0 MB are free: make room, or choose another --out"):
        attar.distill(_dm(), toy, BUDGET, steps=5, plan=PLAN, out=tmp_path / "deep" / "run")
    assert not (tmp_path / "deep").exists()
    assert attar.distill(_dm(), toy, BUDGET, steps=1, plan=PLAN).stats.steps == 1, "without a folder no disk is needed"


def test_the_disk_foreseen_covers_what_is_written(tmp_path, toy):
    steps = 40
    attar.distill(_dm(), toy, BUDGET, steps=steps, plan=PLAN, out=tmp_path / "run")
    written = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    expected = estimate(_dm(), toy, BUDGET, 0, steps, PLAN, out=tmp_path)
    assert written < expected.disk(steps) < written + 3 * 2**20
    with pytest.raises(AttarError, match="MB are free"):
        require(Estimate(PLAN, 0.1, None, 10, 100, disk_free=expected.disk(steps) - 1), 10**6)


def test_an_estimate_leaves_the_data_and_the_global_randomness_alone(toy):
    before = toy.train.x.clone()
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    estimate(_dm(), toy, BUDGET, 0, 5, PLAN)
    assert torch.equal(torch.rand(1), wanted)
    assert torch.equal(toy.train.x, before)


def test_a_bigger_batch_needs_more_memory(toy):
    def peak(batch, chunk=None):
        plan = attar.Plan(chunk=chunk)
        method = attar.methods.dm("convnet3", batch=batch)
        return rehearse(method, toy, method.init(toy.planned(plan), BUDGET, torch.Generator().manual_seed(0)), plan)

    assert peak(32) > 1.5 * peak(8)
    assert peak(32, chunk=8) < 0.8 * peak(32)


def test_what_would_not_fit_is_foreseen_by_adding_and_not_by_having():
    large = attar.data.toy.images(size=64)
    plan = attar.Plan(chunk=None)
    method = attar.methods.dm("convnet3-384", batch=36)
    state = method.init(large.planned(plan), BUDGET, torch.Generator().manual_seed(0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert rehearse(method, large, state, plan) > GIB
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < GIB / 4


def test_a_method_that_cannot_be_rehearsed_still_runs(toy):
    @dataclass(frozen=True)
    class Looks(FeatureMatch):
        """Looks at a number, which tensors without content have not."""

        def loss(self, *given):
            loss, info, state = super().loss(*given)
            return loss * (2 if loss.item() > 0 else 1), info, state

    method = attar.Matching(Looks(), attar.surrogates.Fresh("convnet2-8"))
    expected = estimate(method, toy, BUDGET, 0, 2, PLAN)
    assert expected.memory is None
    assert "unknown of memory" in expected.sentence(2)


def test_a_long_run_is_given_the_fast_plan_and_a_short_one_the_plain(toy, monkeypatch):
    fast = attar.Plan(chunk=32)
    monkeypatch.setattr(attar.Plan, "fast", classmethod(lambda cls, device="auto": fast))
    monkeypatch.setattr(estimation, "_try_fast", lambda *arguments: 1e-9)
    assert estimate(_dm(), toy, BUDGET, 0, 10, None, device="cpu").plan == attar.Plan.on("cpu")
    assert estimate(_dm(), toy, BUDGET, 0, 10**7, None, device="cpu").plan == fast
    assert estimate(_dm(), toy, BUDGET, 0, 10**7, None, device="cpu", exact=True).plan == attar.Plan.on("cpu")
    for steps in (None, 10**7):  # a time budget bounds a run as its steps do
        assert estimate(_dm(), toy, BUDGET, 0, steps, None, device="cpu", time_budget=5).plan == attar.Plan.on("cpu")
        assert estimate(_dm(), toy, BUDGET, 0, steps, None, device="cpu", time_budget=500).plan == fast
    monkeypatch.setattr(estimation, "_try_fast", lambda *arguments: 1e9)  # no faster, or not to be compiled
    assert estimate(_dm(), toy, BUDGET, 0, 10**7, None, device="cpu").plan == attar.Plan.on("cpu")
    assert estimate(_dm(), toy, BUDGET, 0, 10**7, PLAN, device="cpu").plan == PLAN


def test_the_sentence_is_for_people():
    expected = Estimate(PLAN, 0.5, 3 * GIB, 8 * GIB, 100, None)
    assert expected.sentence(100) == "about 50 s for 100 steps of 500 ms, 3 GB of memory on this machine"
    assert expected.sentence(1000).startswith("about 8 min for 1,000 steps")
    assert "0.35 GB" in replace(expected, memory=int(0.35 * GIB)).sentence(1)
    assert "1 step of 25 s, 512 GB" in replace(expected, seconds_per_step=25.0, memory=512 * GIB).sentence(1)
    assert "1 step of 0.25 ms" in replace(expected, seconds_per_step=0.00025).sentence(1)
    assert expected.sentence(100_000).startswith("about 13.9 h")
    assert json.loads(json.dumps(expected.record(100)))["seconds"] == 50


def test_networks_that_join_a_pool_are_counted_where_steps_are_not_timed():
    pool = attar.surrogates.Pool(count=4, interval=10)
    assert [pool.trains(steps) for steps in (1, 10, 11, 40, 41, 1000)] == [1, 1, 2, 4, 4, 4]
    expected = Estimate(PLAN, 0.5, None, 8 * GIB, 100, None, 20.0, pool.trains)
    assert expected.seconds(11) == 0.5 * 11 + 20.0 * 2
    assert "for 11 steps of 500 ms and 2 networks to train, " in expected.sentence(11)
    for seconds in (26, 60, 500):
        steps = expected.steps(seconds)
        assert expected.seconds(steps) <= seconds < expected.seconds(steps + 1)
    assert expected.steps(1) == 1


def test_the_training_of_a_pool_is_told_from_its_steps(toy):
    method = attar.methods.ncfm("convnet2-8", factor=1, batch=8, networks=3, updates=40)
    expected = estimate(method, toy, BUDGET, 0, 11, PLAN)
    assert expected.seconds_per_network > expected.seconds_per_step
    assert expected.record(11)["seconds"] == round(expected.seconds(11), 1)


def test_steps_are_foreseen_with_the_updates_that_a_population_makes_from_its_second_round_on(toy, monkeypatch):
    """A network is trained when it is drawn again, which in the first steps of ten networks it seldom is."""
    trained, update = [], attar.surrogates.Population._trained

    def counted(source, problem, network, synthetic):
        trained.append(problem.train.x.device.type)
        return update(source, problem, network, synthetic)

    monkeypatch.setattr(attar.surrogates.Population, "_trained", counted)
    method = attar.methods.frepo("convnet2-8", batch=8, networks=50)
    assert estimate(method, toy, BUDGET, 0, 10, PLAN).memory is not None
    assert trained == ["meta"] * 2 + ["cpu"] * 3
    trained.clear()
    attar.distill(method, toy, BUDGET, steps=1, plan=PLAN)
    assert "cpu" not in trained[5:], "the run itself begins with networks that have not judged yet"


# -- the estimate against the peak of a process of its own

MEASURE = """
import json, resource, sys, torch, attar
torch.set_num_threads(1)
data, method, per_class, chunk, run = sys.argv[1:]
problem = attar.data.load(data)
method = eval(method, {"methods": attar.methods})
plan = attar.Plan(chunk=int(chunk), threads=1)
budget = attar.Budget(per_class=int(per_class))
if run == "estimate":
    method_problem = problem.planned(plan)
    state = method.init(method_problem, budget, torch.Generator().manual_seed(0))
    from attar.estimate import _memory
    print(json.dumps(_memory(method, problem, state, plan)))
else:
    for step in attar.run(method, problem, budget, steps=3, plan=plan):
        pass
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
"""


def _measure(*arguments):
    """Foreseen and measured bytes, each in a fresh process: a process never gives its peak back."""
    numbers = []
    for run in ("estimate", "peak"):
        done = subprocess.run([sys.executable, "-c", MEASURE, *arguments, run], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        numbers.append(json.loads(done.stdout))
    return numbers


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [("digits", "methods.dm('convnet3')", "10", "64"), ("digits", "methods.dsa('convnet3', batch=64)", "1", "64")],
    ids=["dm", "dsa"],
)
def test_the_memory_foreseen_is_within_one_and_a_half_of_the_peak(setting):
    foreseen, peak = _measure(*setting)
    assert peak / 1.5 < foreseen < 1.5 * peak, f"foreseen {foreseen / GIB:.2f} GiB, measured {peak / GIB:.2f} GiB"


@pytest.mark.slow
def test_the_memory_foreseen_for_mnist(real_data):
    foreseen, peak = _measure("mnist", "methods.dm('convnet3', batch=256)", "10", "64")
    assert peak / 1.5 < foreseen < 1.5 * peak, f"foreseen {foreseen / GIB:.2f} GiB, measured {peak / GIB:.2f} GiB"


def test_one_step_is_one_step():
    found = Estimate(Plan(), 0.5, None, 0, 0, None, 1.0, lambda steps: steps)
    assert "for 1 step of 500 ms and 1 network to train" in found.sentence(1)
    assert "for 2 steps of 500 ms and 2 networks to train" in found.sentence(2)
