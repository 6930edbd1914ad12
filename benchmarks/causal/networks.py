"""Networks of discrete columns: their files (.bif), rows drawn from them, and the rows that others drew."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from attar.causal import Graph
from attar.tables import Column, Table

_VARIABLE = re.compile(r"variable\s+(\S+)\s*\{\s*type discrete\s*\[\s*(\d+)\s*\]\s*\{(.*?)\}", re.S)
_PROBABILITY = re.compile(r"probability\s*\(\s*([^|)]+?)\s*(?:\|\s*(.*?))?\s*\)\s*\{(.*?)\}", re.S)
_ROW = re.compile(r"(?:table|\(([^;]*?)\))\s+([^()]*?);")


@dataclass(frozen=True, eq=False)
class Network:
    """A Bayesian network of columns of categories.

    Args:
        columns: in the order of the file, categories in alphabetical order.
        parents: of each column, by name.
        chances: of each column by name the probabilities of its categories ``(levels of the first parent, ..., levels)``.
    """

    columns: tuple[Column, ...]
    parents: dict[str, tuple[str, ...]]
    chances: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Of a file in the interchange format, .bif or .bif.gz."""
        text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
        told = {name: _words(within) for name, _, within in _VARIABLE.findall(text)}
        assert all(len(told[name]) == int(count) for name, count, _ in _VARIABLE.findall(text))
        columns = tuple(Column(name, "categorical", tuple(sorted(words))) for name, words in told.items())
        code = {column.name: {word: at for at, word in enumerate(column.categories)} for column in columns}
        parents, chances = {}, {}
        for name, of, within in _PROBABILITY.findall(text):
            parents[name] = tuple(_words(of))
            found = np.full([len(told[each]) for each in (*parents[name], name)], np.nan)
            for given, numbers in _ROW.findall(within):
                place = tuple(code[parent][word] for parent, word in zip(parents[name], _words(given), strict=True))
                found[place] = np.array([float(n) for n in _words(numbers)])[
                    [*map(told[name].index, sorted(told[name]))]
                ]
            assert np.allclose(found.sum(-1), 1, atol=1e-4), f"The chances of {name} do not sum to 1 in {path}."
            chances[name] = found / found.sum(-1, keepdims=True)
        return cls(columns, parents, chances)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def graph(self) -> Graph:
        return Graph.dag(self.names, [(parent, name) for name in self.names for parent in self.parents[name]])

    def sampled(self, rows: int, draws: np.random.Generator) -> Table:
        """Rows drawn from the network, each column after its parents."""
        codes: dict[str, np.ndarray] = {}
        for name in self.graph.order:
            ends = self.chances[name][tuple(codes[parent] for parent in self.parents[name])].cumsum(-1)
            codes[name] = (draws.random((rows, 1)) > ends[..., :-1]).sum(-1)
        return self._table([codes[name] for name in self.names])

    def table(self, path: Path) -> Table:
        """Rows that others drew: a line of names, then codes from 1 in the order of the file's columns and of the alphabet."""
        return self._table(list(np.loadtxt(path, skiprows=1, dtype=int).T - 1))

    def _table(self, codes: Sequence[np.ndarray]) -> Table:
        return Table(torch.from_numpy(np.stack(codes, axis=1)).double(), self.columns)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
