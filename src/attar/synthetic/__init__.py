"""What is learned: rows in some parameterisation, labels, a step size.

A parameterisation (`Pixels`, ...) is a frozen part that builds an ``nn.Module``, the rows' decoder:

- ``build(batch) -> Module`` from the rows that it starts at, ``restore(tensors, like) -> Module`` from a state;
- the module's ``forward(y) -> Batch`` gives the rows with their labels, so that a decoder that makes several rows of one
  stored row can repeat its label;
- ``groups()`` names its parameters ("data", "edges", ...), each group with an optimiser of its own.

`Synthetic` adds what every parameterisation shares: hard, soft or learned labels and a learned step size.
"""

from attar.synthetic.pixels import Pixels
from attar.synthetic.synthetic import Parameterisation, RowDecoder, Synthetic

__all__ = ["Parameterisation", "Pixels", "RowDecoder", "Synthetic"]
