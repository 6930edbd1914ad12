"""The command that records experts: weight paths on real data, for trajectory matching."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from attar.cli import ahead, wording
from attar.cli.options import DataOptions, Flag, Json, command_line, names, print_json
from attar.errors import AttarError
from attar.signatures import Amount, Count, Real, Whole

if TYPE_CHECKING:
    from attar.experts import Course, Passed, Recording

__all__ = ["experts"]

LINE_SECONDS = 15


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class CourseOptions:
    """How each expert is trained.

    Args:
        model: name of the network.
        epochs: passes over the rows, of each expert.
        lr: step size of its SGD.
        momentum: share of the last update that is kept.
        weight_decay: L2 penalty.
        batch: rows an update.
        augmentation: "default" for the data's own DSA strategy, "" for none, else operations joined by "_".
        flat: look for flat minima (FTD), at two gradients an update.
        rho: how far off the worst weights nearby are looked for, with --flat; 0.01 where none is given.
        alpha: how much the gap to the loss there counts, with --flat; 0.3 where none is given, 0 is SAM.
        adaptive: measure that distance in units of each weight, with --flat; so it is unless --no-adaptive is given.
        staged: add the rows from easy to hard, and later leave out the easiest (PAD), by this score.
        start: share of each class that the first epoch has, with --staged; 0.75 where none is given.
        full_at: epoch by which all rows are there, with --staged; 20 where none is given.
        removals: after which epochs which shares of the easiest rows are left out in all, with --staged; 40=0.1,60=0.2 where
            none are given, "" for none.
    """

    model: str = "convnet3"
    epochs: Count = 50
    lr: Amount = 0.01
    momentum: Real = 0.0
    weight_decay: Real = 0.0
    batch: Count = 256
    augmentation: str = "default"
    flat: Flag = False
    rho: Amount | None = None
    alpha: Real | None = None
    adaptive: bool | None = None
    staged: Literal["grand", "el2n"] | None = None
    start: Real | None = None
    full_at: Whole | None = None
    removals: str | None = None

    def made(self) -> Course:
        """The course that these options ask for."""
        from attar.experts import Course, Flat, Staged

        flat = self._given("flat", ("rho", "alpha", "adaptive"))
        stages = self._given("staged", ("start", "full_at", "removals"))
        if self.removals is not None:
            stages["removals"] = _removals(self.removals)
        return Course(
            self.model,
            self.epochs,
            self.lr,
            self.momentum,
            self.weight_decay,
            self.batch,
            self.augmentation,
            Flat(**flat) if self.flat else None,
            None if self.staged is None else Staged(self.staged, **stages),
        )

    def _given(self, whose: str, names: Sequence[str]) -> dict[str, Any]:
        """Those settings of a part that were given.

        Raises:
            AttarError: if there are some, and the part is not asked for.
        """
        found = {name: value for name in names if (value := getattr(self, name)) is not None}
        if found and not getattr(self, whose):
            name, value = next(iter(found.items()))
            option = ("no-" if value is False else "") + name.replace("_", "-")
            raise AttarError(f"--{option} does nothing without --{whose}: give that, too, or leave it out.")
        return found


def _removals(text: str) -> tuple[tuple[int, float], ...]:
    """``40=0.1,60=0.2`` as ``((40, 0.1), (60, 0.2))``."""
    try:
        pairs = [item.split("=") for item in names(text) or []]
        return tuple((int(epoch), float(share)) for epoch, share in pairs)
    except ValueError:
        raise AttarError(f"--removals {text}: give epochs and shares, as in --removals 40=0.1,60=0.2.") from None


def experts(
    data: str,
    /,
    *,
    count: Annotated[Count, Parameter(help="Experts in all; those that the folder has already count.")],
    out: Path | None = None,
    course: CourseOptions = CourseOptions(),
    precision: Literal["fp32", "bf16"] = "fp32",
    together: Count | None = None,
    seed: Whole = 0,
    validation: Real | None = None,
    device: str = "auto",
    exact: Flag = False,
    source: DataOptions = DataOptions(),
    json_: Json = False,
) -> None:
    """Record experts: the weight paths of networks trained on the real data, which trajectory matching learns from.

    Stopped at any moment, the same command goes on with the experts that are missing; with a larger --count it adds to them.

    Args:
        data: a dataset's name (attar datasets), or a folder or file of your own.
        out: folder of the experts; runs/DATA-experts where none is given.
        precision: of the stored weights; bf16 takes half the disk.
        together: experts trained at a time; one on a CPU and as many as are fastest on a GPU where none is given.
        seed: of everything that is drawn, a split of the data among it.
        validation: share of the training rows that is left out, as attar compare does with a tenth (0.1) unless it is told
            otherwise: a comparison takes only experts that have not seen its validation rows.
        device: auto, cpu or cuda.
        exact: compute by the plain fp32 reference.
    """
    from attar import data as sources
    from attar.experts import prepare
    from attar.experts.recording import settings_in
    from attar.plan import Plan
    from attar.progress import say

    Plan.on(device)
    ahead.check_data_options(data, dataclasses.asdict(source))
    ahead.check_augmentation(course.augmentation)
    ahead.check_networks([course.model])
    ahead.check_validation(validation)
    asked = course.made()
    path = ahead.outside(out, data, "experts")
    settings_in(path)
    say(f"reading {data}")
    problem = sources.find(data, seed=seed, validation=validation, **dataclasses.asdict(source))
    for note in (problem.spec.split, *problem.spec.notes):
        say(wording.in_options(note))
    recording = prepare(
        problem,
        asked,
        count,
        out=path,
        seed=seed,
        precision=precision,
        together=together,
        device=device,
        exact=exact,
        command=command_line(),
    )
    _follow(recording, json_)


def _follow(recording: Recording, as_json: bool) -> None:
    """Record, say how it goes, and what is there at the end."""
    from attar.progress import say

    interrupted = False
    if recording.foreseen.experts:
        plan = recording.problem.task.plan
        how = f"{plan.precision}{', compiled' if plan.compiled else ''} on {plan.device}"
        say(f"{recording.foreseen.sentence()} ({how})")
        if (staged := recording.course.staged) is not None:
            for caution in staged.cautions(recording.course.epochs):
                say(f"staged experts: {caution}")
    try:
        _score(recording)
        if sys.stderr.isatty():
            _bar(recording)
        else:
            _lines(recording)
    except KeyboardInterrupt:
        if not (recording.path / "experts.json").is_file():
            raise  # there is nothing to tell
        interrupted = True
    found = recording.finish()
    scores = [score for number in found.numbers for score in found.accuracy(number)]
    accuracy = sum(scores) / len(scores) if scores else None
    if as_json:
        told = {"count": len(found), "epochs": found.epochs, "bytes": found.nbytes, "seconds": round(found.seconds, 1)}
        print_json({"experts": found.path, **told, "validation_accuracy": accuracy, "checksum": found.checksum})
    else:
        scored = f", {100 * accuracy:.1f} % of the validation rows right on average" if accuracy is not None else ""
        epochs = f"{found.epochs} epoch{'' if found.epochs == 1 else 's'}"
        say(
            f"{len(found)} expert{'' if len(found) == 1 else 's'} of {epochs} in {found.path}: {found.nbytes:,} bytes, "
            f"{found.seconds:,.0f} s{scored}"
        )
    if (losses := recording.unfinished()) is not None:
        say(
            "{:.2f} is their training loss in the last epoch, and guessing gives {:.2f}: they have not finished learning. Give more "
            "epochs (--epochs) or another step size (--lr), most often a larger one.".format(*losses)
        )
    if interrupted:
        say(f"interrupted with {len(found)} of {recording.count} experts; the same command goes on from there")
        raise SystemExit(130)


def _score(recording: Recording) -> None:
    """Score the rows' difficulty where that is still to be done, and say so."""
    from attar.progress import say

    staged = recording.course.staged
    if staged is None or not recording.foreseen.scoring:
        return
    networks = "1 network" if staged.networks == 1 else f"{staged.networks} networks"
    say(f"scoring the difficulty of {len(recording.problem.train):,} rows by {staged.score}, with {networks}")
    say(f"their difficulty is scored, in {recording.score():,.0f} s")


def _bar(recording: Recording) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} epochs  loss {task.fields[loss]:.4g}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("experts", total=None, loss=float("nan"))
        for passed in recording:
            progress.update(
                bar, description=_under_way(passed), total=passed.total, completed=passed.done, loss=passed.loss
            )


def _lines(recording: Recording) -> None:
    from attar.progress import say

    told = time.monotonic()
    for passed in recording:
        if time.monotonic() - told > LINE_SECONDS or passed.done == passed.total:
            told = time.monotonic()
            left = (passed.total - passed.done) * passed.seconds / passed.done
            say(f"{_under_way(passed)}, epoch {passed.epoch}  loss {passed.loss:.4g}  {left:.0f} s left")


def _under_way(passed: Passed) -> str:
    """Which experts are trained, counted from 1."""
    first, last = passed.numbers[0] + 1, passed.numbers[-1] + 1
    return f"expert {first}" if first == last else f"experts {first} to {last}"
