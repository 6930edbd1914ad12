"""What the tests of pages share: a reader, a browser, and the record of a comparison with all that one can hold."""

import json
import os
import shutil
import socket
import threading
import time
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlencode

import numpy as np
import pytest

from attar import rng
from attar.methods import random
from attar.report import Cost, Page, Pictures, Score
from attar.runs import RunDirectory
from attar.types import Budget

VOID = {"meta", "img", "wbr", "input", "link"}

LEVELS = {
    "random": (0.59, 0.89, 0.952),
    "kmeans": (0.72, 0.93, 0.958),
    "dm": (0.85, 0.972, 0.979),
    "dc": (0.86, 0.94, None),
}
SECONDS = {"random": 0.004, "kmeans": 1.3, "dm": 640.0, "dc": 5400.0}


class Reader(HTMLParser):
    """Checks nesting while it collects elements and the text that a reader sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def reader():
    """Reads a page: elements with their attributes, and the text that a reader sees."""
    return Reader


def _row(method, place, budget, model, labels, level):
    mean = None if level is None else level - (0.04 if model != "convnet3" else 0) + (0.004 if labels == "soft" else 0)
    low = LEVELS["random"][place] - (0.04 if model != "convnet3" else 0) + (0.004 if labels == "soft" else 0)
    gain = None if mean is None or method == "random" else mean - low
    return {
        "method": method,
        "per_class": budget,
        "model": model,
        "labels": labels,
        "mean": mean,
        "std": None if mean is None else 0.004,
        "runs": 3,
        "scores": [] if mean is None else [mean - 0.004, mean, mean + 0.004],
        "bytes": budget * 31_440 + (400 if labels == "soft" else 0),
        "seconds": SECONDS[method] * (1 + place),
        "against_random": gain and {"mean": gain, "standard_error": 0.002, "low": gain - 0.004, "high": gain + 0.004},
        "against_best_coreset": None,
        "label_robust": 0.41,
        "augmentation_robust": 0.37,
        "validation": mean and mean - 0.003,
        "failed": "dc at 50 images a class ran out of memory: give --chunk 16." if mean is None else None,
    }


@pytest.fixture
def comparison_record():
    """A function that makes the values of comparison.json; its arguments replace fields."""

    def make(models=("convnet3", "resnet18"), labels=("hard", "soft"), budgets=(1, 10, 50), **fields):
        rows = [
            _row(method, place, budget, model, kind, level[place])
            for method, level in LEVELS.items()
            for place, budget in enumerate(budgets)
            for model in models
            for kind in labels
        ]
        for model in models:
            full = _row("random", 2, 60_000, model, "hard", 0.994)
            rows.append({**full, "method": "full", "per_class": None, "bytes": 188_160_000, "against_random": None})
        record = {
            "protocol": {"name": "paper", "epochs": 1000, "models": list(models)},
            "data": "mnist",
            "rows": rows,
            "command": "attar compare mnist --methods kmeans,dm,dc --per-class 1,10,50 --seeds 3 --out table",
            "notes": ["Full data: 60,000 rows, 7,500 updates."],
            "versions": {"attar": "0.1.0", "torch": "2.13.0"},
        }
        return {**record, **fields}

    return make


@pytest.fixture
def settings_record():
    """The methods of a comparison as comparison.json has them: one from a published name, one of somebody's own."""
    sgd = {"type": "attar.training.optimisers:SGD", "fields": {"lr": 10.0, "momentum": 0.5}}
    dm = {"type": "attar.matching:Matching", "fields": {"optimisers": {"data": sgd}, "name": "dm"}}
    own = {"type": "mine:Mine", "fields": {"speed": 3}}
    return {
        "dm": [{"per_class": [1, 10, 50], "method": dm, "changed": ["optimisers.data.lr"], "steps": 1000}],
        "mine": [{"per_class": [1, 10, 50], "method": own, "changed": None, "steps": None}],
    }


def _new_run(path: Path, name: str = "dm", per_class: int = 2, steps: int | None = 10) -> RunDirectory:
    settings = {
        "name": name,
        "method": {"type": "attar.matching:Matching", "fields": {"labels": "hard"}},
        "budget": {"per_class": per_class, "size": None, "fraction": None},
        "steps": steps,
        "seed": 0,
        "problem": {"name": "toy", "source": None},
    }
    return RunDirectory.create(path, settings)


@pytest.fixture
def new_run():
    """Makes the directory of a run."""
    return _new_run


@pytest.fixture
def runs(tmp_path, toy, comparison_record):
    """A finished run, one under way, one that stopped, a comparison; beside the folder, what is nobody's business."""
    folder = tmp_path / "runs"
    done = _new_run(folder / "done")
    done.log(10, 5.0, {"loss": 1.0})
    done.finish(random().finish(toy, Budget(per_class=2), rng.generator(0, "x")), {"seconds": 5.0}, True)
    (done.path / "scores.json").write_text(json.dumps({"scores": [{"subject": "dm", "mean": 0.9}]}))
    (done.path / "report.html").write_text("<!doctype html><title>the report</title>")
    going = _new_run(folder / "deep" / "going", per_class=1)
    going.snapshot(0, random().finish(toy, Budget(per_class=1), rng.generator(0, "x")))
    for step in range(1, 5):
        going.log(step, 2.0 * step, {"loss": 8.0 / step})
    (going.path / "lock").write_text(str(os.getpid()))
    (_new_run(folder / "stopped").path / "lock").write_text("999999999")
    (folder / "table").mkdir()
    (folder / "table" / "comparison.json").write_text(json.dumps(comparison_record()))
    (folder / "table" / "report.html").write_text("<!doctype html><title>the table</title>")
    for outside in (tmp_path / "outside", folder / ".hidden"):
        (_new_run(outside).path / "report.html").write_text("the secret of the house")
    (folder / "linked").symlink_to(tmp_path / "outside")
    (folder / "broken").mkdir()
    (folder / "broken" / "settings.json").write_text("{")
    return folder


@dataclass(frozen=True)
class Served:
    """A folder that is shown."""

    port: int
    key: ClassVar[str] = "a key of these tests"

    def address(self, path: str = "/") -> str:
        """The whole address of a page, its key included."""
        return f"http://127.0.0.1:{self.port}{path}{'&' if '?' in path else '?'}{urlencode({'key': self.key})}"


@pytest.fixture
def serving():
    """Serves a folder on a free port of this machine until the test ends."""
    pytest.importorskip("starlette", reason="needs the extra 'view'")
    uvicorn = pytest.importorskip("uvicorn", reason="needs the extra 'view'")
    from attar.report.live import application

    ends = []

    def serve(folder: Path) -> Served:
        server = uvicorn.Server(uvicorn.Config(application(folder, Served.key), log_level="error", lifespan="off"))
        listening = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        ends.append((server, thread, listening))
        return Served(listening.getsockname()[1])

    yield serve
    for server, thread, listening in ends:
        server.should_exit = True
        thread.join(10)
        listening.close()


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("needs a browser: install chromium")
    with sync_api.sync_playwright() as driver:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
        browser = driver.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A page; at the end nothing may have gone wrong in it, and nothing been fetched but from where it is."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(8_000)
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: None if _left(request) else wrong.append(request.url))
    page.on("request", lambda request: None if _own(request.url) else wrong.append(f"asked for {request.url}"))
    yield page
    context.close()
    assert wrong == []


def _own(url: str) -> bool:
    return url.startswith(("file:", "data:", "http://127.0.0.1:"))


def _left(request) -> bool:
    """Whether the page was left while it asked, as it does every other second."""
    return request.resource_type == "fetch" and request.failure == "net::ERR_ABORTED"


@pytest.fixture
def page_of_a_run():
    """With names that are long or odd, and more pictures than fit side by side."""
    draw = np.random.default_rng(0)
    images = Pictures(draw.random((40, 3, 16, 16), dtype=np.float32), np.arange(4).repeat(10))
    scores = [
        Score(name, "a-network-of-some-name", mean, 0.01, 3, rows=rows, bytes=rows * 768, seconds=rows / 10)
        for name, mean, rows in (("dm", 0.9, 40), ("random", 0.8, 40), ("dm", 0.8, 4), ("full data", 0.95, 5000))
    ]
    return Page(
        title="pets, distilled by dm", sentence="10 images a class keep 90.0 of 95.0 points.", method="dm", data="pets",
        budget="10 images a class", command="attar distill dm ./pets --per-class 10 " + "--flag value " * 20,
        class_names=["cat", "dog", "averyveryverylongnameofaclassthatdoesnotbreak" * 2, "<b>bird</b>"],
        distilled=images, real=images, evolution=[(step, images.x[::10]) for step in (0, 1, 2, 4, 8, 100)],
        scores=scores, loss=[(step, 5.0 / (step + 1)) for step in range(100)], settings={"objective": "x" * 90},
        protocol={"name": "quick"}, cost=Cost(60.0, 1 << 28, 30720), fingerprint="sha256:" + "ab" * 32,
    )  # fmt: skip
