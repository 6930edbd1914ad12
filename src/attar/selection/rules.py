"""Rules: by what real rows are chosen. A rule looks at a problem once and then picks among any of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from attar import rng
from attar.reuse import once
from attar.selection.features import CHUNK, Features, features_of, is_file, trained
from attar.selection.gradients import craig, glister, last_layer_gradients, validation_gradient
from attar.selection.picked import ASKED_FOR, Picked
from attar.selection.training_dynamics import SCORES
from attar.types import AttarError, Batch, Problem

__all__ = ["AtRandom", "ByDifficulty", "ByFeatures", "ByGradients", "Look", "Rule"]

Look: TypeAlias = Callable[[Tensor, int, Tensor, torch.Generator], Picked]
"""``look(rows (m,), count, fixed (k,), generator)`` picks `count` of the given training rows, the `fixed` ones (positions
in `rows`) among them; the ids of what it gives are positions in `rows`."""


class Rule(Protocol):
    """By what rows are chosen."""

    @property
    def passes(self) -> int:
        """Passes over the training rows that it makes to train networks, by which a fast plan is worth compiling for."""

    def look(self, problem: Problem, seed: int) -> Look:
        """See the problem once: compute its features or scores."""


@dataclass(frozen=True)
class AtRandom:
    """Uniformly, without replacement."""

    @property
    def passes(self) -> int:
        return 0

    def look(self, problem: Problem, seed: int) -> Look:
        return _at_random


@dataclass(frozen=True)
class ByFeatures:
    """By where rows lie.

    Args:
        pick: ``pick(x (m, d), count, *, fixed, **options) -> Picked``, such as those of `geometry`, `submodular` and
            `clusters`.
        features: what rows lie in (see `attar.selection.features`).
        epochs: of a network that is trained for its features.
        options: further arguments of `pick`.
        draws: whether `pick` draws from a `generator`.
    """

    pick: Callable[..., Picked]
    features: Features = "values"
    epochs: int = 5
    options: Mapping[str, Any] = field(default_factory=dict)
    draws: bool = False

    def __post_init__(self) -> None:
        _check_epochs(self.epochs)

    @property
    def passes(self) -> int:
        trained = isinstance(self.features, str) and self.features != "values" and not is_file(self.features)
        return self.epochs if trained else 0

    def look(self, problem: Problem, seed: int) -> Look:
        x = features_of(problem, self.features, self.epochs, rng.derive(seed, "features"))

        def look(rows: Tensor, count: int, fixed: Tensor, generator: torch.Generator) -> Picked:
            drawn = {"generator": generator} if self.draws else {}
            return self.pick(x[rows], count, fixed=fixed, **drawn, **self.options)

        return look


@dataclass(frozen=True)
class ByDifficulty:
    """By how hard rows are to learn.

    Args:
        score: "forgetting", "el2n" or "grand" (see `training_dynamics`).
        model: the network that is trained.
        epochs: passes over the training rows, after (for "forgetting": during) which rows are scored.
        networks: whose scores are averaged.
        prefer: "hard" keeps the hardest rows, "easy" the easiest, "middle" those around the median.
    """

    score: str
    model: str = "convnet3-32"
    epochs: int = 10
    networks: int = 1
    prefer: Literal["hard", "easy", "middle"] = "hard"

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise AttarError(f"There is no difficulty '{self.score}': give {', '.join(SCORES)}.")
        if self.prefer not in ("hard", "easy", "middle"):
            raise AttarError(f"prefer='{self.prefer}' is no preference: give hard, easy or middle.")
        if self.networks < 1:
            raise AttarError(f"networks={self.networks} scores nothing: give 1 or more.")
        if self.score == "forgetting" and self.epochs < 2:
            raise AttarError(f"epochs={self.epochs} leaves nothing to forget: give 2 or more.")
        _check_epochs(self.epochs)

    @property
    def passes(self) -> int:
        return self.epochs * self.networks

    def look(self, problem: Problem, seed: int) -> Look:
        settings = self.model, self.epochs, self.networks, seed
        scores = once(problem, (self.score, *settings), lambda: SCORES[self.score](problem, *settings))

        def look(rows: Tensor, count: int, fixed: Tensor, generator: torch.Generator) -> Picked:
            return self._picked(scores[rows], count, fixed)

        return look

    def _picked(self, scores: Tensor, count: int, fixed: Tensor) -> Picked:
        """The preferred rows, those of equal score in their order."""
        place = scores.argsort(stable=True, descending=self.prefer != "easy")
        if self.prefer == "middle":
            middle = (len(place) - 1) / 2
            place = place[(torch.arange(len(place)) - middle).abs().argsort(stable=True)]
        others = place[~torch.isin(place, fixed)][: count - len(fixed)]
        rows = torch.cat([fixed, others])
        names = {"forgetting": "forgotten {:g} times", "el2n": "error {:.3g}", "grand": "gradient {:.3g}"}
        said = [names[self.score].format(score) for score in scores[others].tolist()]
        if self.score == "forgetting":
            said = [
                "never learned" if score > self.epochs else "forgotten once" if score == 1 else text
                for score, text in zip(scores[others].tolist(), said, strict=True)
            ]
        why = [f"{text}: {self._rank(scores, score)}" for text, score in zip(said, scores[others], strict=True)]
        return Picked(rows, scores[rows], _shares(rows, len(scores)), (ASKED_FOR,) * len(fixed) + tuple(why))

    def _rank(self, scores: Tensor, score: Tensor) -> str:
        """Where a score stands among all; equal ones share a place."""
        harder, alike = int((scores > score).sum()), int((scores == score).sum())
        if alike == 1:
            return f"hardest {harder + 1} of {len(scores)}"
        return f"hardest {harder + 1} to {harder + alike} of {len(scores)}, all alike"


JUDGES = 0.1
"""Share of each class's training rows that judges for GLISTER, and is not chosen from."""


@dataclass(frozen=True)
class ByGradients:
    """By the gradients that rows give a trained network's last layer.

    GLISTER's judges are a tenth of the training rows, from which it does not choose (unless a class has no others left), and
    not the validation rows, by which its set may be compared with others that never saw them.

    Args:
        pick: "craig" or "glister" (see `gradients`).
        model: the network.
        epochs: passes that it is trained for.
    """

    pick: Literal["craig", "glister"]
    model: str = "convnet3-32"
    epochs: int = 5

    def __post_init__(self) -> None:
        if self.pick not in ("craig", "glister"):
            raise AttarError(f"There is no choice by gradients '{self.pick}': give craig or glister.")
        _check_epochs(self.epochs)

    @property
    def passes(self) -> int:
        return self.epochs

    def look(self, problem: Problem, seed: int) -> Look:
        network = trained(problem, self.model, self.epochs, rng.derive(seed, "gradients"))
        layer = last_layer_gradients(*_last_layer(network, problem.train))
        if self.pick == "craig":

            def cover(rows: Tensor, count: int, fixed: Tensor, generator: torch.Generator) -> Picked:
                return craig(layer.take(rows), count, fixed=fixed, generator=generator)

            return cover
        # not by the validation rows, by which its set may be compared with others that never saw them
        assert problem.train.y is not None
        _, judges = rng.stratified(problem.train.y.cpu(), JUDGES, rng.generator(seed, "judges"))
        judges = judges if len(judges) else torch.arange(len(problem.train))
        validation = validation_gradient(*_last_layer(network, problem.train.take(judges.to(problem.train.x.device))))

        def descend(rows: Tensor, count: int, fixed: Tensor, generator: torch.Generator) -> Picked:
            free = torch.ones(len(rows), dtype=torch.bool)
            free[torch.isin(rows, judges)] = False
            free[fixed] = True
            if int(free.sum()) < count:  # a class of which nearly all is asked for
                free[:] = True
            pool = torch.nonzero(free).flatten()
            return glister(layer.take(rows[pool]), count, validation, fixed=torch.searchsorted(pool, fixed)).among(pool)

        return descend


def _check_epochs(epochs: int) -> None:
    """Refuse passes that no network can be trained for, before the rows are there."""
    if epochs < 0:
        raise AttarError(f"epochs={epochs} trains nothing: give 0 or more.")


def _last_layer(network: nn.Module, data: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Logits ``(n, classes)``, labels and what the last layer reads ``(n, e)``, on the CPU."""
    assert data.y is not None
    with torch.no_grad():
        seen = [network(rows, features=True)[-1].flatten(1) for rows in data.x.split(CHUNK)]
        logits = [network.head(part).cpu() for part in seen]  # type: ignore[operator]
    return torch.cat(logits), data.y.cpu(), torch.cat(seen).cpu()


def _at_random(rows: Tensor, count: int, fixed: Tensor, generator: torch.Generator) -> Picked:
    order = torch.randperm(len(rows), generator=generator)
    chosen = torch.cat([fixed, order[~torch.isin(order, fixed)][: count - len(fixed)]])
    why = (ASKED_FOR,) * len(fixed) + ("drawn at random",) * (count - len(fixed))
    return Picked(chosen, torch.zeros(count), _shares(chosen, len(rows)), why)


def _shares(chosen: Tensor, whole: int) -> Tensor:
    """What each stands for where a rule gives rows no part of the data: an equal share."""
    return torch.full((len(chosen),), whole / max(len(chosen), 1))
