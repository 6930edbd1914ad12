"""The memory that a piece of work takes beyond what was there before it."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

__all__ = ["Meter", "resident"]

_before = 0
"""The largest resident size before a `Meter` made the system forget it, in bytes."""


def resident() -> int:
    """The largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(_before, peak if sys.platform == "darwin" else peak * 1024)


class Meter:
    """Peak bytes since it was made beyond those held then; one at a time, for the system keeps one peak a process.

    On a CPU it reads Linux's count of resident memory, after freed memory was given back, so that work of before is not
    counted; on a GPU torch's count of what it allocated. The system's own peak of the process (`getrusage`) starts anew with
    it; `resident` remembers.

    Args:
        device: "cpu", "cuda" or "cuda:1".
    """

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.start: int | None = None
        if device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(device)
            self.start = torch.cuda.memory_allocated(device)
        elif sys.platform.startswith("linux"):
            global _before
            _before = resident()
            _give_back()
            with suppress(OSError):  # some containers do not allow it
                Path("/proc/self/clear_refs").write_text("5")  # the peak is the present size again; see proc(5)
                self.start = _status("VmRSS")

    def peak(self) -> int | None:
        """Bytes beyond those at the start, None where the system does not say."""
        if self.start is None:
            return None
        now = torch.cuda.max_memory_allocated(self.device) if self.device.startswith("cuda") else _status("VmHWM")
        return max(now - self.start, 0)


def _give_back() -> None:
    """Return freed memory to the system, where the C library is glibc."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _status(name: str) -> int:
    """A size of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
