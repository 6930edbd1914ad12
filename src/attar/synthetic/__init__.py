"""What is learned: rows in some parameterisation, labels, a step size.

A parameterisation (`Pixels`, `MultiFormation`, ...) is a frozen part that builds an ``nn.Module``, the rows' decoder:

- ``each``: rows to start at for each row of the budget; ``check(problem, budget, labels)`` refuses data that it does not fit;
- ``build(batch, problem, generator) -> Module`` from the rows that it starts at, ``restore(tensors, like) -> Module`` from a
  state, or from what a distilled set stores;
- the module's ``forward(y) -> Batch`` gives all training rows with their labels: one that makes several rows of a stored
  row repeats its label, these rows next to each other;
- ``groups()`` names its parameters: "data" is what there is of each row, or what stands in its place, and others
  ("hallucinators", "addresses", "decoders") are shared by rows; "weights" are what rows weigh; each group may have an optimiser
  of its own, and rows that are not learned have none;
- ``project(normalisation)``, if there is one, is called after each update, for stored rows that are bounded.

`Synthetic` adds what every parameterisation shares: hard, soft or learned labels and learned step sizes.
"""

from attar.synthetic.bases import Bases
from attar.synthetic.codes import Codes
from attar.synthetic.latents import Latents
from attar.synthetic.memory import Memory
from attar.synthetic.multi_formation import MultiFormation
from attar.synthetic.pixels import Pixels
from attar.synthetic.synthetic import Parameterisation, RowDecoder, Synthetic
from attar.synthetic.table import TableRows

__all__ = [
    "Bases",
    "Codes",
    "Latents",
    "Memory",
    "MultiFormation",
    "Parameterisation",
    "Pixels",
    "RowDecoder",
    "Synthetic",
    "TableRows",
]
