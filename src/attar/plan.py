"""The plan of a run: how it is computed, as against what is computed.

A plan is fixed when a run starts, recorded with it and obeyed on resume, so that a resumed run ends with the same bits.
"""

from __future__ import annotations

import ctypes
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from attar.errors import AttarError

__all__ = ["WORTH_COMPILING", "Plan", "keep_freed_memory"]

WORTH_COMPILING = 60_000_000
"""Pixels that pass through networks in work that is worth compiling for: about two minutes of a CPU."""


@dataclass(frozen=True)
class Plan:
    """How a run is computed.

    Args:
        device: "cpu", "cuda" or "cuda:1".
        precision: "fp32", or "bf16" for the convolutions of networks that have fast kernels (norms, sums and updates stay
            in fp32; other networks stay in fp32 altogether).
        compiled: whether those kernels go through ``torch.compile``.
        chunk: rows at a time through a network where no gradient with respect to the rows is needed; None for all.
        threads: CPU threads; None leaves torch's own number.
    """

    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"
    compiled: bool = False
    chunk: int | None = 64
    threads: int | None = None

    @classmethod
    def on(cls, device: str = "auto") -> Plan:
        """The plain fp32 plan, the reference for every other.

        Args:
            device: "auto" takes CUDA where there is one.

        Raises:
            AttarError: if the device is not there.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        kind, _, index = device.partition(":")
        if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
            raise AttarError(f"Unknown device '{device}': give auto, cpu, cuda or cuda:N.")
        if kind == "cuda" and not (torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count()):
            raise AttarError(
                f"There is no '{device}' here ({torch.cuda.device_count()} CUDA devices seen): use --device cpu."
            )
        return cls(
            device, chunk=None if kind == "cuda" else 64, threads=torch.get_num_threads() if kind == "cpu" else None
        )

    @classmethod
    def fast(cls, device: str = "auto") -> Plan:
        """bf16 and compiled on a CPU that can; else the plain plan. Without a C++ compiler nothing would be gained."""
        plain = cls.on(device)
        compiles = shutil.which("g++") is not None or shutil.which("clang++") is not None
        if plain.device != "cpu" or not compiles:
            return plain
        bf16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return cls(plain.device, "bf16" if bf16 else "fp32", True, plain.chunk, plain.threads)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the block torch uses the plan's number of threads, and fp32 on a GPU means fp32, not TF32."""
        threads, tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
        torch.set_num_threads(self.threads or threads)
        torch.backends.cudnn.allow_tf32 = False
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.backends.cudnn.allow_tf32 = tf32


def keep_freed_memory() -> None:
    """Tell glibc's allocator to keep large freed blocks instead of returning them to the system, for the whole process.

    Activations are allocated and freed every step; without this a fifth of the CPU time goes to page faults. The command
    does it at its start; a program that uses the library may. Does nothing on other systems.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    mallopt(mmap_threshold, 2**30)
    mallopt(trim_threshold, 2**31 - 1)
