"""Blocks that a step frees are there for the next one."""

from __future__ import annotations

import ctypes
import os
import resource

import pytest
import torch

from tacit.training.memory import kept_memory

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not hasattr(ctypes.CDLL(None), "mallopt") or any(k.startswith("MALLOC_") for k in os.environ),
    reason="glibc's own allocator",
)


def faults(megabytes: int, times: int) -> int:
    """Pages that the system had to hand out for blocks that are written to and freed in turn."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(megabytes << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def test_large_blocks_are_kept_within_and_given_back_after() -> None:
    outside = faults(50, 4)
    with kept_memory():
        faults(50, 20)  # until the blocks lie where they are found again
        held, inside = resident(), faults(50, 4)
    assert inside < 0.1 * outside
    assert resident() < held - 40
