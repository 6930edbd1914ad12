"""Five simulators of nonlinear mechanisms with additive noise, whose causes can be set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from attar.causal import Graph
from attar.tables import Column, Table

NODES = (6, 8, 10, 12, 15)
EDGES_A_NODE = 2
WITHIN = 3.0  # standard deviations beyond which a parent acts no more: chains of squares would have no variance
SCALE_ROWS = 50_000

Mechanism = Callable[[np.ndarray], np.ndarray]
Setting = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _mechanism(kind: str, parents: int, draws: np.random.Generator) -> Mechanism:
    """From standardised parents ``(n, k)`` to values ``(n,)``: slopes of 0.5 to 1.5 either way."""
    slope = draws.choice([-1, 1], parents) * draws.uniform(0.5, 1.5, parents)
    within, across = draws.normal(size=(parents, 10)), draws.normal(size=10)
    shift = draws.normal(size=10)
    made: dict[str, Mechanism] = {
        "tanh": lambda z: np.tanh(z @ slope),
        "quadratic": lambda z: (z @ slope) ** 2,
        "sine": lambda z: np.sin(2 * z @ slope),
        "product": lambda z: (z * slope).prod(1),
        "network": lambda z: np.tanh(z @ within + shift) @ across,
    }
    return made[kind]


KINDS = ("tanh", "quadratic", "sine", "product", "network")
NOISES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "Gaussian": lambda draws, rows: draws.normal(size=rows),
    "Laplace": lambda draws, rows: draws.laplace(scale=0.5**0.5, size=rows),
}


@dataclass(frozen=True, eq=False)
class Simulator:
    """``x_v = f_v(parents) + deviation_v noise_v`` on a random graph, f_v of variance 1.

    The graph has two edges a node, drawn from all pairs in a random order of the nodes. Each node with parents draws its mechanism
    from `KINDS`, each node its noise from `NOISES` and its deviation from 0.3 to 0.8, or 1 without parents. All of this, the target
    and the cause that is set follow from the seed.

    Args:
        nodes: how many.
        seed: of all but the rows.
    """

    nodes: int
    seed: int
    _scales: dict[str, tuple[np.ndarray, np.ndarray, float, float]] = field(default_factory=dict)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(f"x{node + 1}" for node in range(self.nodes))

    @cached_property
    def graph(self) -> Graph:
        draws = np.random.default_rng([self.seed, 0])
        order = draws.permutation(self.nodes)
        pairs = [(order[i], order[j]) for i in range(self.nodes) for j in range(i + 1, self.nodes)]
        chosen = draws.choice(len(pairs), min(EDGES_A_NODE * self.nodes, len(pairs)), replace=False)
        return Graph.dag(self.names, [(self.names[a], self.names[b]) for a, b in (pairs[place] for place in chosen)])

    @cached_property
    def parts(self) -> dict[str, tuple[str, Mechanism | None, str, float]]:
        """Of each node kind and mechanism, none without parents, its noise, and its deviation."""
        draws, found = np.random.default_rng([self.seed, 1]), {}
        for name in self.names:
            parents = len(self.graph.parents(name))
            kind, noise = str(draws.choice(KINDS)), str(draws.choice(list(NOISES)))
            deviation = float(draws.uniform(0.3, 0.8))
            mechanism = _mechanism(kind, parents, draws) if parents else None
            found[name] = (kind if parents else "none", mechanism, noise, deviation if parents else 1.0)
        return found

    @cached_property
    def target(self) -> str:
        """Of the nodes that have parents and children that with the most parents, the last of equals."""
        starts = {start for start, _ in self.graph.directed}
        inner = [name for name in self.graph.order if name in starts and self.graph.parents(name)]
        return max(reversed(inner), key=lambda name: len(self.graph.parents(name)))

    @cached_property
    def cause(self) -> str:
        """The parent of the target that is set: the first that has parents itself, or else the first."""
        parents = self.graph.parents(self.target)
        return next((name for name in parents if self.graph.parents(name)), parents[0])

    def rows(self, count: int, seed: int, do: Setting | None = None) -> np.ndarray:
        """Rows ``(count, nodes)`` drawn from it.

        Args:
            count: how many.
            seed: of the draws.
            do: what the cause is set to, from the values that it would have had.
        """
        if not self._scales:
            self._drawn(SCALE_ROWS, np.random.default_rng([self.seed, 2]), None)
        return self._drawn(count, np.random.default_rng([self.seed, 3, seed]), do)

    def table(self, count: int, seed: int, do: Setting | None = None) -> Table:
        values = torch.from_numpy(self.rows(count, seed, do))
        return Table(values, tuple(Column(name) for name in self.names))

    def _drawn(self, count: int, draws: np.random.Generator, do: Setting | None) -> np.ndarray:
        x: dict[str, np.ndarray] = {}
        for name in self.graph.order:
            _, mechanism, noise, deviation = self.parts[name]
            value = deviation * NOISES[noise](draws, count)
            if mechanism is not None:
                given = np.stack([x[parent] for parent in self.graph.parents(name)], axis=1)
                if name not in self._scales:  # of the first rows drawn, so that f is the same function ever after
                    z = self._standard(given, given.mean(0), given.std(0))
                    made = mechanism(z)
                    self._scales[name] = (given.mean(0), given.std(0), float(made.mean()), float(made.std()))
                mean, spread, centre, scale = self._scales[name]
                value = value + (mechanism(self._standard(given, mean, spread)) - centre) / scale
            x[name] = do(value, draws) if do is not None and name == self.cause else value
        return np.stack([x[name] for name in self.names], axis=1)

    @staticmethod
    def _standard(x: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return np.clip((x - mean) / spread, -WITHIN, WITHIN)


INTERVENTIONS: dict[str, Setting] = {
    "drawn anew": lambda value, draws: draws.permutation(value),
    "shifted": lambda value, draws: draws.permutation(value) + value.std(),
}
"""What the cause is set to: values of its own distribution whatever its causes, or these and a standard deviation more."""

SIMULATORS = tuple(Simulator(nodes, seed) for seed, nodes in enumerate(NODES))
