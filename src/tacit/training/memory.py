"""Memory of the CPU that a training keeps from step to step."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

TRIM, MMAP = -1, -3
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of glibc's ``mallopt``."""
KEPT = 1 << 30
"""Blocks up to so many bytes are kept for the next step."""
USUAL = {TRIM: 64 << 20, MMAP: 32 << 20}
"""What glibc arrives at by itself in a program that frees large blocks."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Within it, glibc keeps large blocks that are freed; at the end it gives them back to the system.

    By itself it returns a large block at once, and each step of a training pays for fresh, zeroed pages again. Nothing
    happens with another C library, or where the user set ``MALLOC_*`` variables.
    """
    library = ctypes.CDLL(None) if os.name == "posix" else None
    if not hasattr(library, "mallopt") or any(name.startswith("MALLOC_") for name in os.environ):
        yield
        return
    assert library is not None
    library.mallopt(TRIM, (1 << 31) - 1)
    library.mallopt(MMAP, KEPT)
    try:
        yield
    finally:
        for name, size in USUAL.items():
            library.mallopt(name, size)
        library.malloc_trim(0)
