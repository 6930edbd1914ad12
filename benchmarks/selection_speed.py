"""Seconds and memory of choosing rows, beside naive references at sizes that they can do.

    OMP_NUM_THREADS=1 python benchmarks/selection_speed.py              # all, as a Markdown table
    OMP_NUM_THREADS=1 python benchmarks/selection_speed.py k_center     # one

Each is a process of its own, so that its peak memory is its own. Rows are normal clusters, or those through a random layer of
ReLU units ("features"). The naive references compute all distances at each step, as public scripts do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from attar.selection.deduplicate import near_duplicates
from attar.selection.geometry import herding, k_center
from attar.selection.rows import Rows, nearest_of
from attar.selection.submodular import facility_location, facility_value

COUNT = 100


def clusters(n: int, d: int) -> Tensor:
    """200 normal clusters, as wide as they are apart."""
    source = torch.Generator().manual_seed(0)
    centres = torch.randn((200, d), generator=source)
    return centres[torch.randint(200, (n,), generator=source)] + torch.randn((n, d), generator=source)


def features(n: int, d: int) -> Tensor:
    """Clusters through a random layer of ReLU units."""
    return (clusters(n, d) @ torch.randn((d, d), generator=torch.Generator().manual_seed(1)) / 16).relu()


def naive_k_center(x: Tensor, count: int) -> Tensor:
    chosen = [int((x - x.mean(0)).norm(dim=1).argmin())]
    while len(chosen) < count:
        chosen.append(int(torch.cdist(x, x[chosen]).amin(1).argmax()))
    return torch.tensor(chosen)


def naive_herding(x: Tensor, count: int) -> Tensor:
    mean, total, free = x.mean(0), torch.zeros(x.shape[1]), torch.zeros(len(x))
    chosen: list[int] = []
    while len(chosen) < count:
        gaps = (mean - (total + x) / (len(chosen) + 1)).norm(dim=1)
        chosen.append(int((gaps + free).argmin()))
        free[chosen[-1]] = torch.inf
        total = total + x[chosen[-1]]
    return torch.tensor(chosen)


def naive_facility_location(x: Tensor, count: int) -> Tensor:
    gaps = torch.cdist(x, x).square_()  # n x n
    nearest, chosen = torch.full((len(x),), float(gaps.max())), []
    while len(chosen) < count:
        chosen.append(int((nearest - gaps).clamp_(min=0).sum(1).argmax()))
        nearest = torch.minimum(nearest, gaps[chosen[-1]])
    return torch.tensor(chosen)


CASES: dict[str, list[tuple[str, Callable[[Tensor], Tensor], int, int]]] = {
    "k_center": [
        ("attar", lambda x: k_center(x, COUNT).rows, 60_000, 784),
        ("attar", lambda x: k_center(x, COUNT).rows, 10_000, 784),
        ("naive", lambda x: naive_k_center(x, COUNT), 10_000, 784),
    ],
    "herding": [
        ("attar", lambda x: herding(x, COUNT).rows, 60_000, 784),
        ("attar", lambda x: herding(x, COUNT).rows, 10_000, 784),
        ("naive", lambda x: naive_herding(x, COUNT), 10_000, 784),
    ],
    "facility_location": [
        ("stochastic", lambda x: facility_location(x, COUNT, greedy="stochastic").rows, 60_000, 512),
        ("stochastic", lambda x: facility_location(x, COUNT, greedy="stochastic", sample=2048).rows, 15_000, 512),
        ("stochastic, as default", lambda x: facility_location(x, COUNT, greedy="stochastic").rows, 15_000, 512),
        ("exact", lambda x: facility_location(x, COUNT, greedy="exact").rows, 15_000, 512),
        ("exact", lambda x: facility_location(x, COUNT, greedy="exact").rows, 5_000, 512),
        ("naive", lambda x: naive_facility_location(x, COUNT), 5_000, 512),
    ],
    "near_duplicates": [("attar", lambda x: near_duplicates(x).kept, 60_000, 784)],
}


def memory(field: str) -> float:
    """GiB, from what Linux says of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 2**20


def measure(name: str, place: int) -> None:
    """One case, printed as JSON."""
    kind, choose, n, d = CASES[name][place]
    x = (features if name == "facility_location" else clusters)(n, d)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = memory("VmRSS")
    begun, start = time.process_time(), time.perf_counter()
    chosen = choose(x)
    found = {
        "rule": name,
        "how": kind,
        "rows": n,
        "columns": d,
        "cpu": time.process_time() - begun,
        "wall": time.perf_counter() - start,
        "data": x.numel() * 4 / 2**30,
        "more": memory("VmHWM") - before,
        "checksum": int((chosen * torch.arange(1, len(chosen) + 1)).sum()),
    }
    if name == "facility_location":
        found["value"] = facility_value(x, chosen)
        found["gap"] = float(nearest_of(Rows(x), chosen)[1].mean())
        found["gap_of_one"] = float(nearest_of(Rows(x), facility_location(x, 1, greedy="exact").rows)[1].mean())
    print(json.dumps(found))


def table(results: list[dict[str, float | str]]) -> str:
    """Markdown: a line a case; "same" and "share" are beside the exact or naive choice of the same size."""
    lines = [
        "| rule | how | rows x columns | CPU s | wall s | rows, GB | more at peak, GB | beside the slowest way at this size |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in results:
        others = [r for r in results if (r["rule"], r["rows"]) == (case["rule"], case["rows"]) and r is not case]
        best = next((r for r in reversed(others) if r["how"] in ("naive", "exact")), None)
        beside = ""
        if best is not None and case["how"] != "naive":
            saved = [float(r["gap_of_one"]) - float(r["gap"]) for r in (case, best)] if "gap" in case else [1, 1]
            beside = "the same rows"
            if case["checksum"] != best["checksum"]:
                share = float(case["value"]) / float(best["value"])
                beside = f"{share:.2%} of the value, {saved[0] / saved[1]:.2%} of the squared distance saved"
        lines.append(
            f"| {case['rule']} | {case['how']} | {case['rows']:,} x {case['columns']} | {case['cpu']:.2f} | {case['wall']:.2f} "
            f"| {case['data']:.2f} | {case['more']:.2f} | {beside} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rule", nargs="?", choices=CASES)
    parser.add_argument("--case", type=int)
    options = parser.parse_args()
    if options.case is not None:
        measure(options.rule, options.case)
        return
    results = []
    for name in (options.rule,) if options.rule else CASES:
        for place in range(len(CASES[name])):
            command = [sys.executable, __file__, name, "--case", str(place)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.append(json.loads(done.stdout))
            print(done.stdout.strip(), file=sys.stderr, flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
