"""Memory that views are made in.

The first touch of new memory, page by page, takes a CPU as long as all the arithmetic of a view.
"""

from __future__ import annotations

import math
import threading

import numpy as np
import torch
from torch import Tensor

LARGEST = 1 << 22
"""Numbers up to which working memory is kept."""


class _Kept(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, Tensor] = {}


_kept = _Kept()


def fresh(*shape: int, device: torch.device) -> Tensor:
    """Uninitialised float32. On a CPU it comes from numpy, which asks the system for large pages."""
    if device.type != "cpu":
        return torch.empty(shape, device=device)
    return torch.from_numpy(np.empty(shape, np.float32))


def scratch(name: str, *shape: int, device: torch.device) -> Tensor:
    """Uninitialised float32 to work in until this thread asks for the same name again."""
    count = math.prod(shape)
    if device.type != "cpu" or count > LARGEST:
        return fresh(*shape, device=device)
    if name not in _kept.buffers or len(_kept.buffers[name]) < count:
        with torch.inference_mode(False):  # else it could not be written to outside of inference mode
            _kept.buffers[name] = fresh(count, device=device)
    return _kept.buffers[name][:count].view(shape)
