"""Causal conclusions from few rows beside those from all.

    python -m benchmarks.causal linear --graphs 200      # random linear-Gaussian graphs, rows that keep moments beside others
    python -m benchmarks.causal discrete                 # asia, sachs and child: soft and hard rows by rows and bytes
    python -m benchmarks.causal cytometry                # protein signals: graphs of all rows, of twelve, of soft ones
    python -m benchmarks.causal ihdp                     # the average effect of the IHDP trial from 20, 50 and 100 rows
    python -m benchmarks.causal simulators               # five nonlinear simulators, whose causes are set, and their floors
    python -m benchmarks.causal floors                   # the floors alone: bootstraps of all rows, before and after a cause is set

Each piece is kept in a file as soon as it is there, so that the same command goes on where it was stopped; tables are printed in
Markdown. Real data are read from the folder that ATTAR_DATA names.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.causal import cytometry, discrete, floors, ihdp, linear, simulators


def all_of_simulators(options: argparse.Namespace) -> None:
    """The rows, and then the floors that their figures stand beside."""
    simulators.main(options)
    floors.main(options)


TRIALS: dict[str, Callable[[argparse.Namespace], None]] = {
    "linear": linear.main,
    "simulators": all_of_simulators,
    "floors": floors.main,
    "discrete": discrete.main,
    "cytometry": cytometry.main,
    "ihdp": ihdp.main,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trial", choices=list(TRIALS))
    parser.add_argument("--graphs", type=int, default=200, help="of linear, how many")
    parser.add_argument("--networks", default="asia,sachs,child", help="of discrete, which")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/causal"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    TRIALS[options.trial](options)


if __name__ == "__main__":
    main()
