"""Workers: as many as there are, the table is the same; and stopped in any way, it ends the same."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from attar.compare.workers import Workers, _gathered, _spilled
from attar.data import toy as toys

# a shell's background jobs ignore SIGINT, and so would the processes that they start
SCRIPT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from dataclasses import dataclass
from attar import methods
from attar.compare import compare
from attar.data import toy
from attar.evaluation import Protocol

TINY = Protocol("tiny", models=("mlp-8",), runs=1, epochs=14, plain_epochs=10, updates=15, full_updates=20, lr=0.05)


@dataclass(frozen=True)
class Dies:
    name: str = "dies"

    def finish(self, problem, budget, generator):
        os._exit(9)


def main(out, workers, steps, dies=""):
    named = [("dm", methods.dm("convnet1-4", batch=8)), ("dsa", methods.dsa("convnet1-4", batch=8, matchings=1, epochs=1))]
    named += [("dies", Dies())] if dies else []
    found = compare(toy.images(), named, (1,), seeds=2, out=out, protocol=TINY, steps=int(steps), workers=int(workers))
    print(len(found.failed), [row.failed for row in found.failed])


if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def _run(script, *arguments):
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)], capture_output=True, text=True, check=True
    )


def _stopped(script, out, workers, steps, ready, how):
    """Start a comparison in a session of its own, and send the signal as soon as `ready()`; its exit status."""
    command = [sys.executable, str(script), str(out), str(workers), str(steps)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while not ready():
        assert process.poll() is None, f"ended before it was stopped: {process.stderr.read().decode()}"
        time.sleep(0.01)
    process.send_signal(how)
    status = process.wait(180)
    _wait(lambda: not _alive(process.pid))
    return status


def _alive(session):
    """Processes of a session, by Linux's own files."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(entry)
    return found


def _wait(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "processes are left"
        time.sleep(0.05)


def _table(out):
    record = json.loads((out / "comparison.json").read_text())
    for row in record["rows"]:
        del row["seconds"], row["memory"]
    return record


def _scores(out):
    return len(list((out / "scores").glob("*.json"))) if (out / "scores").is_dir() else 0


def test_rows_reach_a_worker_as_they_are(tmp_path, toy):
    there = _gathered(*_spilled(toy, tmp_path))
    for part in ("train", "validation", "test"):
        here, other = getattr(toy, part), getattr(there, part)
        assert torch.equal(here.x, other.x)
        assert torch.equal(here.y, other.y)
        assert other.weight is None
    assert there.spec == toy.spec
    there.train.x.zero_()  # a method that writes to its input harms no other process
    assert torch.equal(_gathered(*_spilled(toy, tmp_path)).train.x, toy.train.x)


def test_an_empty_part_reaches_a_worker(tmp_path):
    there = _gathered(*_spilled(toys.images(validation=0.0), tmp_path))
    assert (len(there.validation), len(there.train)) == (0, 120)


@pytest.mark.slow
def test_killed_in_a_run_and_started_again_it_ends_with_the_same_table(tmp_path, script):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    _run(script, straight, 1, 30)
    dm = killed / "sets" / "dm-1-per-class-1" / "metrics.jsonl"
    assert _stopped(script, killed, 1, 30, lambda: dm.is_file() and dm.stat().st_size > 0, signal.SIGKILL) == -9
    assert not (dm.parent / "result.json").exists()
    _run(script, killed, 1, 30)
    assert _table(killed) == _table(straight)
    assert _table(killed)["complete"]


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
def test_two_workers_stopped_or_killed_leave_no_process_and_end_with_the_table_of_one(tmp_path, script):
    one, two = tmp_path / "one", tmp_path / "two"
    _run(script, one, 1, 30)
    assert _stopped(script, two, 2, 30, lambda: _scores(two) >= 1, signal.SIGINT) not in (0, -9)
    assert not json.loads((two / "comparison.json").read_text())["complete"]
    many = _scores(two)
    assert _stopped(script, two, 2, 30, lambda: _scores(two) > many, signal.SIGKILL) == -9
    _run(script, two, 2, 30)
    assert _table(two) == _table(one)
    assert list(two.glob(".workers-*")) == []


@dataclass(frozen=True)
class Sleeps:
    name: str

    def do(self, study, problem):
        (study.out / self.name).touch()
        time.sleep(600)


def test_all_processes_are_ended_at_once(tmp_path, toy, monkeypatch, request):
    ended = []
    end = BaseProcess.terminate

    def terminate(process):
        if threading.current_thread() is threading.main_thread():  # the pool's own thread may come too late
            ended.append(process.pid)
        end(process)

    def interrupt():
        while not all((tmp_path / name).exists() for name in "ab"):
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    monkeypatch.setattr(BaseProcess, "terminate", terminate)
    before = set(multiprocessing.active_children())
    own = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, own))
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt), Workers(SimpleNamespace(out=tmp_path), toy, 2) as workers:
        workers.add([Sleeps("a"), Sleeps("b")])
        list(workers)
    assert len(set(ended)) == 2
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.slow
def test_a_worker_that_is_killed_fails_its_cell_alone(tmp_path, script):
    told = _run(script, tmp_path / "out", 2, 1, "dies")
    assert told.stdout.startswith("1 ['seed 0: its process was killed")
    rows = _table(tmp_path / "out")["rows"]
    assert {row["method"]: row["runs"] for row in rows} == {"full": 2, "random": 2, "dm": 2, "dsa": 2, "dies": 0}


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path, script):
    script.write_text(SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    process = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "out"), "2", "1"], capture_output=True, text=True
    )
    assert "AttarError: Worker processes do not start here" in process.stderr
