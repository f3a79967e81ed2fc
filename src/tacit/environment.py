"""Facts about the machine and the versions, stored beside every run and every claim."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from tacit import __version__


def facts() -> dict[str, Any]:
    """Versions, processor, cores, memory and GPUs, as plain data."""
    import torch

    return {
        "tacit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(terse=True),
        "cpu": _cpu_name(),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] or None,
    }


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
