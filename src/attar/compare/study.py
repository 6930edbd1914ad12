"""The study behind a comparison: what all of its cells share, and its folder."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch

from attar import recipes
from attar.checkpoint import write_json
from attar.compare.selected import Selected, check_source
from attar.distilled.card import DECODED, WHITENING, parse
from attar.distilled.dataset import CARD, DATA, checksum
from attar.distilled.tables import labels_of
from attar.evaluation import Protocol
from attar.method import Method, is_iterative
from attar.plan import Plan
from attar.record import describe, inputs
from attar.runs import RunDirectory, held
from attar.types import AttarError, Budget, Problem

__all__ = ["BOOTSTRAP", "FULL", "RANDOM", "WHOLE", "WHOLE_NAMES", "Made", "Settled", "Study", "versions"]

FULL, BOOTSTRAP, RANDOM = "full", "bootstrap", "random"

WHOLE = (FULL, BOOTSTRAP)
"""Rows of the table that are of no set: all training rows, and as many drawn of them with replacement, the noise floor of a table's
scores."""

WHOLE_NAMES = {FULL: "full data", BOOTSTRAP: "full data, drawn again"}
"""What tables and pages call them."""

_SHARED = {
    "protocol": "protocol",
    "networks": "number of networks a set",
    "steps": "number of steps",
    "time_budget": "time budget",
    "device": "device",
    "exact": "choice between the fast and the exact plan",
    "whitening": "whitening of the rows",
}
"""What all cells of a folder have in common, and what a refusal calls it."""

_LEFTOVERS = (
    *(".workers-*", ".*.partial", "s*/.*.partial", "sets/*/snapshots/.*.partial", "sets/*/candidates/.*.new"),
    *(f"sets/*/.*.{word}" for word in ("partial", "new", "old")),
)
"""What a process leaves that is killed while it writes."""


@dataclass(frozen=True)
class Made:
    """A set that is finished, by its files.

    Args:
        checksum: of its data.
        labels: "hard", "soft", "learned" or "regression".
        steps: that made it.
        seconds: that making it took.
        coreset: whether it is of real rows, or of a method of the coresets' family.
        memory: bytes that making it took beyond the rows, None where that is not known.
    """

    checksum: str
    labels: str
    steps: int
    seconds: float
    coreset: bool
    memory: int | None = None


@dataclass(frozen=True)
class Settled:
    """How a method's sets of one budget are made; the same for all seeds, whenever they are made."""

    steps: int
    plan: Plan


@dataclass(frozen=True)
class Study:
    """What all cells of a comparison share.

    Args:
        out: folder of the comparison.
        protocol: how networks are trained.
        methods: by name and rows a class, sets that are chosen along the runs of others among them.
        networks: trained on each set from its own seed.
        steps: of iterative methods; None for the recipe's, or as many as fit the time.
        time_budget: seconds that one set may take.
        device: "cpu", "cuda" or "cuda:1".
        exact: compute by the plain fp32 reference.
        command: the command line.
    """

    out: Path
    protocol: Protocol
    methods: Mapping[tuple[str, int], Method | Selected]
    networks: int
    steps: int | None
    time_budget: float | None
    device: str
    exact: bool
    command: str

    def method(self, name: str, per_class: int) -> Method:
        """What makes a set by itself."""
        found = self.methods[name, per_class]
        assert not isinstance(found, Selected)
        return found

    def takes_steps(self, name: str, per_class: int) -> bool:
        """Whether a method works step by step."""
        found = self.methods[name, per_class]
        return not isinstance(found, Selected) and is_iterative(found)

    def selected(self, name: str, per_class: int) -> str | None:
        """What the sets are called that are chosen along the runs of a method, None where none are."""
        found = ((key, method) for key, method in self.methods.items() if key[1] == per_class)
        return next((key[0] for key, method in found if isinstance(method, Selected) and method.of == name), None)

    def candidates(self, name: str, per_class: int) -> int | None:
        """How many sets each run of a method keeps along its way, None for the last alone."""
        chosen = self.methods.get((self.selected(name, per_class) or "", per_class))
        return chosen.candidates if isinstance(chosen, Selected) else None

    def set_path(self, method: str, per_class: int, seed: int) -> Path:
        """The run that makes a set."""
        return self.out / "sets" / f"{method}-{Budget(per_class=per_class)}-{seed}"

    def settled_path(self, method: str, per_class: int) -> Path:
        """The file of `settled`."""
        return self.out / "sets" / f"{method}-{Budget(per_class=per_class)}.json"

    def score_path(self, *words: str | int | None) -> Path:
        """The file of a score, by the words that tell it from the others."""
        return self.out / "scores" / f"{','.join(quote(str(word), safe='') for word in words if word is not None)}.json"

    def settled(self, method: str, per_class: int) -> Settled | None:
        """What `Settle` found, None where it has not been settled yet."""
        record = _read(self.settled_path(method, per_class))
        return Settled(record["steps"], Plan(**record["plan"])) if record else None

    def made(self, method: str, per_class: int, seed: int) -> Made | None:
        """A finished set; None where there is none yet, or what was saved of it is damaged, so that it is made again."""
        path = self.set_path(method, per_class, seed)
        try:
            result = RunDirectory(path).result
            if result is None or not result["finished"]:
                return None
            card = parse(path / "distilled" / CARD)
            data = path / "distilled" / DATA
            expected = {data: card["checksum"]}
            training = card.get("training", {})  # of tables there is none
            decoded, white = data.with_name(DECODED), training.get("normalisation", {}).get("whitening")
            if "decoder" in card and decoded.is_file():  # a missing one is decoded anew
                expected[decoded] = card["decoded_checksum"]
            if white is not None:
                expected[data.with_name(WHITENING)] = white["checksum"]
            for file, known in expected.items():
                state = file.stat()
                if known != _checksum_of(file, state.st_mtime_ns, state.st_size):
                    return None
            recipe = recipes.recipe(card["made_by"]["name"])
            coreset = recipe.get("family") == "coresets" or "selected" in card or "selected" in card["made_by"]
            labels = training["labels"] if training else labels_of(card)
            seconds = card["made_by"]["seconds"]
            steps, memory = card["made_by"]["steps"], result.get("own_memory")
            return Made(card["checksum"], labels, steps, seconds, coreset, memory)
        except (AttarError, OSError, KeyError):
            return None

    @contextmanager
    def opened(self, problem: Problem, seeds: int) -> Iterator[None]:
        """Hold the folder, made where it is not there yet.

        Raises:
            AttarError: if it holds anything else, a comparison with other settings, or sets of other methods of the same
                name; or if another process works on it.
        """
        path = self.out / "protocol.json"
        if (
            not path.is_file()
            and self.out.exists()
            and (not self.out.is_dir() or any(map(_is_other, self.out.iterdir())))
        ):
            raise AttarError(f"{self.out} exists already and holds other files: choose another --out.")
        self.out.mkdir(parents=True, exist_ok=True)
        with held(self.out):
            if path.is_file():
                self._check(_read(path), problem)
            else:
                told = {"data": _told(problem), "versions": versions()}
                write_json(path, {"format": 1, **self._shared(problem), **told})
            self._check_sets(seeds)
            for leftover in (found for pattern in _LEFTOVERS for found in self.out.glob(pattern)):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            for name in ("sets", "scores"):
                (self.out / name).mkdir(exist_ok=True)
            yield

    def _shared(self, problem: Problem) -> dict[str, Any]:
        """JSON values."""
        values = {
            "protocol": dataclasses.asdict(self.protocol),
            "fingerprint": problem.spec.fingerprint,
            "whitening": problem.spec.normalisation.whitening and str(problem.spec.normalisation.whitening),
            **{name: getattr(self, name) for name in _SHARED if hasattr(self, name) and name != "protocol"},
        }
        return json.loads(json.dumps({**values, "device": self.device.partition(":")[0]}))

    def _check(self, recorded: Mapping[str, Any], problem: Problem) -> None:
        """Refuse a folder whose cells do not stand beside this study's."""
        if not recorded:
            path = self.out / "protocol.json"
            raise AttarError(
                f"{path} {_damage(path)}, and the scores beside it stand or fall with it: mend it, or put in its place the "
                "protocol.json of the same 'attar compare' with another --out, which may be stopped once it has begun."
            )
        shared = self._shared(problem)
        if recorded.get("fingerprint") != shared["fingerprint"]:
            theirs, ours = recorded.get("data", "other data"), _told(problem)
            other = (
                "other rows or another split of the same data" if theirs == ours else f"{theirs}, and this is {ours}"
            )
            raise AttarError(
                f"{self.out} holds a comparison on {other}; their scores would not stand beside one another: choose another "
                "--out, or the data and --validation that it was begun with."
            )
        timeless = set() if any(self.takes_steps(*key) for key in self.methods) else {"steps", "time_budget"}
        for name, value in shared.items():
            if name not in timeless and recorded.get(name) != value:
                old, new = recorded.get(name), value
                if isinstance(value, dict) and isinstance(old, dict):
                    field = next(
                        key for key in {**old, **value} if (key in old, old.get(key)) != (key in value, value.get(key))
                    )
                    old, new = (f"{field} {side.get(field)}" for side in (old, value))
                old, new = ("none given" if side is None else side for side in (old, new))
                raise AttarError(
                    f"{self.out} holds a comparison with another {_SHARED[name]} ({old}, now {new}), whose scores would "
                    "not stand beside these: choose another --out."
                )

    def _check_sets(self, seeds: int) -> None:
        """Refuse a folder with sets that another method of the same name made."""
        for (name, per_class), method in self.methods.items():
            if isinstance(method, Selected):
                for source in (self.set_path(method.of, per_class, seed) for seed in range(seeds)):
                    check_source(source, _read(source / "settings.json"), method)
            described = {"method": json.loads(json.dumps(describe(method))), "inputs": inputs(method)}
            runs = (self.set_path(name, per_class, seed) / "settings.json" for seed in range(seeds))
            for path in (self.settled_path(name, per_class), *runs):
                recorded = _read(path)
                if any(recorded.get(key, now) != now for key, now in described.items()):
                    raise AttarError(
                        f"{path} is of '{name}' with other settings or other features than it has now: choose another "
                        "--out, or give the method another name."
                    )


def _told(problem: Problem) -> str:
    """The data in words."""
    return f"{problem.spec.name} ({len(problem.train):,} training and {len(problem.test):,} test rows)"


def versions() -> dict[str, str]:
    """Of the software that makes and measures here."""
    return {"attar": version("attar"), "torch": torch.__version__, "python": platform.python_version()}


def _read(path: Path) -> dict[str, Any]:
    """A JSON file's record, empty where there is none or it is damaged."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _damage(path: Path) -> str:
    """Why a JSON file has no record."""
    try:
        json.loads(path.read_text())
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError as error:
        return f"is not JSON ({error})"
    return "holds no settings"


def _is_other(path: Path) -> bool:
    """Whether a file is none of those that a comparison leaves that was killed before it began."""
    return path.name != "lock" and not (path.name.startswith(".") and path.name.endswith(".partial"))


@cache
def _checksum_of(path: Path, changed: int, size: int) -> str:
    """Of a file's content; read once for each time of change and size, as every score of a set asks for it."""
    return checksum(path.read_bytes())
